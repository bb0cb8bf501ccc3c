"""Verdicts on fits to episodes, and what such a fit leaves on disk."""

import numpy as np
import pytest

from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.gather import Excited, gather
from sim2real.identify.estimates import FITTED, NOMINAL, GapRow, ParameterEstimate
from sim2real.identify.problem import FINEST
from sim2real.identify.rollout_fit import FitSettings, fit_rollouts
from sim2real.identify.search import SearchSettings
from sim2real.identify.space import ParameterSpace
from sim2real.identify.verdicts import (
    IDENTIFIED,
    NO_HELDOUT_GAIN,
    NOT_IDENTIFIABLE,
    ON_BOUND,
    STRUCTURE_MISSING,
    exit_code,
    judge,
)
from sim2real.policy import Policy
from sim2real.transfer.identified import Identified
from sim2real.world import World

BOUNDS = Domain({"pole.mass": Uniform(0.02, 0.03), "motor.latency": Uniform(0, 8)})
VALUES = {"pole.mass": 0.025, "motor.latency": 4.0}
SURE = {"pole.mass": 0.02, "motor.latency": 0.0125}
QUICK = FitSettings(search=SearchSettings(8, 8))


@pytest.fixture(scope="module")
def furuta():
    return World.load("furuta")


def fitted(world, physics, *names):
    env = Sim2RealVectorEnv(world, 4, Domain.point(physics), autoreset=False)
    rollouts = gather(env, Excited(Policy.load("furuta-nominal-0"), 0.2, 0), 160, seed=0)
    bounds = Domain({name: world.training_domain.parameters[name] for name in names})
    return fit_rollouts(world, rollouts, bounds, QUICK)


def judged(world, values=VALUES, std=SURE, after=0.01, bounds=BOUNDS):
    """By verdict, of a fit with some values and standard deviations as shares of the range."""
    space = ParameterSpace.of(world, bounds)
    point = space.units(np.array([values[name] for name in space.names]))
    rows = zip(space.free, point, std.values(), strict=True)
    estimates = [ParameterEstimate.about(world, *row) for row in rows]
    gap = [GapRow(NOMINAL, np.nan, 0.2), GapRow(FITTED, np.nan, after)]
    verdicts = judge(estimates, gap, (), "the held-out episodes", FINEST, (1.0, "scaled units"))
    return {verdict.name: verdict for verdict in verdicts}, exit_code(verdicts)


@pytest.mark.slow
def test_what_was_planted_is_identified_and_comes_back_from_its_folder(furuta, tmp_path):
    planted = {"pole.mass": 0.03, "motor.latency": 5.0}
    found = fitted(furuta, planted, *planted)
    [verdict] = found.verdicts
    assert (verdict.name, verdict.subject) == (IDENTIFIED, "pole.mass, motor.latency")
    assert verdict.evidence == {"before": found.gap[0].held_out, "after": found.gap[1].held_out}
    assert found.point == pytest.approx(planted, rel=1e-3)
    found.save(tmp_path)
    again = Identified.load(tmp_path)
    assert (again.posterior, again.values) == (found.domain, found.point)
    assert [v.text for v in again.verdicts] == [verdict.text]


@pytest.mark.slow
def test_what_the_model_lacks_is_said(furuta):
    found = fitted(furuta, {"pole.mass": 0.03, "arm_hinge.frictionloss": 3e-3}, "pole.mass")
    [verdict] = found.verdicts
    assert (verdict.name, verdict.doubtful) == (STRUCTURE_MISSING, ("pole.mass",))
    assert "times the noise in it" in verdict.text
    assert found.exit_code == 12


@pytest.mark.slow
def test_what_makes_up_for_each_other_is_not_identified(furuta):
    """Both make an arm heavy to turn."""
    planted = {"arm.mass": 0.1, "arm_hinge.armature": 7e-6}
    found = fitted(furuta, planted, *planted)
    [verdict] = found.verdicts
    assert (verdict.name, {*verdict.doubtful}) == (NOT_IDENTIFIABLE, {*planted})
    assert "are one column" in verdict.text
    for e in found.estimates:
        assert e.low <= planted[e.name] <= e.high
    assert found.estimates[1].share > 0.5


def test_what_stays_as_wide_as_its_range_is_not_identifiable(furuta):
    said, code = judged(furuta, std={**SURE, "pole.mass": 12**-0.5})
    assert said[NOT_IDENTIFIABLE].subject == "pole.mass"
    assert "is as unknown as its range was" in said[NOT_IDENTIFIABLE].text
    assert said[IDENTIFIED].subject == "motor.latency"
    assert code == 13


@pytest.mark.parametrize(("name", "end"), [("pole.mass", 0.02), ("motor.latency", 8.0)])
def test_an_end_of_the_range_is_said(furuta, name, end):
    said, code = judged(furuta, {**VALUES, name: end})
    assert said[ON_BOUND].subject == name
    assert said[IDENTIFIED].subject == ("motor.latency" if name == "pole.mass" else "pole.mass")
    assert code == 11


def test_a_published_value_at_an_end_of_the_range_is_a_bound(furuta):
    nominal = furuta.nominal["pole.mass"]
    bounds = Domain({**BOUNDS.parameters, "pole.mass": Uniform(nominal, 0.04)})
    said, _ = judged(furuta, {**VALUES, "pole.mass": nominal}, bounds=bounds)
    assert said[ON_BOUND].subject == "pole.mass"


def test_no_latency_at_all_is_an_answer(furuta):
    said, code = judged(furuta, {**VALUES, "motor.latency": 0.0})
    assert (said[IDENTIFIED].subject, code) == ("pole.mass, motor.latency", 0)


def test_no_gain_leaves_nothing_identified(furuta):
    said, code = judged(furuta, after=0.195)
    assert (set(said), code) == ({NO_HELDOUT_GAIN}, 14)
    assert "from 0.200 to 0.195" in said[NO_HELDOUT_GAIN].text
