"""Verdicts on fits to episodes, and fits on disk."""

import dataclasses

import pytest

from sim2real.distributions import Normal, Point, Uniform
from sim2real.domain import Correlation, Domain
from sim2real.identify.rollout_fit import RolloutFit
from sim2real.identify.verdicts import (
    IDENTIFIED,
    NO_HELDOUT_GAIN,
    NOT_IDENTIFIABLE,
    ON_BOUND,
    STRUCTURE_MISSING,
    exit_code,
)
from sim2real.world import World

BOUNDS = Domain({"pole.mass": Uniform(0.02, 0.03), "motor.latency": Uniform(0, 8)})


@pytest.fixture
def fit():
    """A fit that went well."""
    return RolloutFit(
        domain=Domain({"pole.mass": Normal(0.025, 2e-4, 0.02, 0.03), "motor.latency": Point(4.0)}),
        physics={"pole.mass": 0.025, "motor.latency": 4.0},
        std={"pole.mass": 2e-4, "motor.latency": 0.1},
        error=0.01,
        error_before=0.2,
        evaluations=96,
        diverged=3,
        noise=0.004,
    )


def judged(fit):
    verdicts = fit.verdicts(World.load("furuta"), BOUNDS)
    return {verdict.name: verdict for verdict in verdicts}, exit_code(verdicts)


def test_a_fit_that_predicts_is_identified(fit):
    said, code = judged(fit)
    assert (set(said), code) == ({IDENTIFIED}, 0)
    assert said[IDENTIFIED].subject == "pole.mass, motor.latency"
    assert said[IDENTIFIED].evidence == {"before": 0.2, "after": 0.01}


def test_what_is_left_above_the_noise_is_said(fit):
    said, code = judged(dataclasses.replace(fit, error=0.03))
    assert (set(said), code) == ({STRUCTURE_MISSING}, 12)
    assert "what is left is 8 times the noise in it" in said[STRUCTURE_MISSING].text


def test_what_makes_up_for_each_other_is_not_identified(fit):
    """Of a pendulum with a motor, forces alone are no scale of masses."""
    normals = {"pole.mass": Normal(0.025, 1e-3, 0.02, 0.03), "motor.strength": Normal(0.8, 0.05, 0.6, 1.2)}
    bounds = Domain({"pole.mass": Uniform(0.02, 0.03), "motor.strength": Uniform(0.6, 1.2)})
    together = dataclasses.replace(
        fit,
        domain=Domain(normals, Correlation(tuple(normals), ((1.0, 0.999), (0.999, 1.0)))),
        physics={"pole.mass": 0.025, "motor.strength": 0.8},
        std={"pole.mass": 1e-3, "motor.strength": 0.05},
    )
    [verdict] = together.verdicts(World.load("furuta"), bounds)
    assert (verdict.name, verdict.subject) == (NOT_IDENTIFIABLE, "pole.mass, motor.strength")


def test_what_stays_as_wide_as_its_range_is_not_identifiable(fit):
    wide = {"pole.mass": 0.01 * 12**-0.5, "motor.latency": 0.1}
    said, code = judged(dataclasses.replace(fit, std=wide))
    assert said[NOT_IDENTIFIABLE].subject == "pole.mass"
    assert "as unknown after 96 candidates as its range was" in said[NOT_IDENTIFIABLE].text
    assert said[IDENTIFIED].subject == "motor.latency"
    assert code == 13


@pytest.mark.parametrize(("name", "end"), [("pole.mass", 0.02), ("motor.latency", 8.0)])
def test_an_end_of_the_range_is_said(name, end, fit):
    said, code = judged(dataclasses.replace(fit, physics={**fit.physics, name: end}))
    assert said[ON_BOUND].subject == name
    assert said[IDENTIFIED].subject == ("motor.latency" if name == "pole.mass" else "pole.mass")
    assert code == 11


def test_a_published_value_at_an_end_of_the_range_is_a_bound(fit):
    world = World.load("furuta")
    nominal = world.nominal["pole.mass"]
    bounds = Domain({**BOUNDS.parameters, "pole.mass": Uniform(nominal, 0.04)})
    physics = {**fit.physics, "pole.mass": nominal}
    verdicts = dataclasses.replace(fit, physics=physics).verdicts(world, bounds)
    assert {v.name: v.subject for v in verdicts}[ON_BOUND] == "pole.mass"


def test_no_latency_at_all_is_an_answer(fit):
    said, code = judged(dataclasses.replace(fit, physics={"pole.mass": 0.025, "motor.latency": 0.0}))
    assert (said[IDENTIFIED].subject, code) == ("pole.mass, motor.latency", 0)


def test_no_gain_leaves_nothing_identified(fit):
    said, code = judged(dataclasses.replace(fit, error=0.195))
    assert (set(said), code) == ({NO_HELDOUT_GAIN}, 14)
    assert "from 0.200 to 0.195" in said[NO_HELDOUT_GAIN].text


def test_a_fit_comes_back_from_its_folder_to_the_bit(fit, tmp_path):
    fit.save(tmp_path)
    assert dataclasses.asdict(RolloutFit.load(tmp_path)) == (dataclasses.asdict(fit))
