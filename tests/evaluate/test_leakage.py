"""Policies that have met held-out physics before are named, and left out of what they would spoil."""

import dataclasses

import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.evaluate.episode_table import checked
from sim2real.evaluate.gap import gap_report
from sim2real.evaluate.gate import require
from sim2real.evaluate.leakage import TARGET, TRAINED, has_seen, told_splits
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.evaluate.verdict import headline, leaks, verdict
from sim2real.policy import Policy, ProvenanceStep
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.transfer.transfer import transfer
from sim2real.world import Variant, World, closed

WORLD = World.load("furuta")
NOMINAL = Policy.load("furuta-nominal-0")


def after(domain, settings=None, label="tuned"):
    """The policy after one more link of its chain."""
    step = ProvenanceStep("train", domain.to_toml(), 10, 0, settings or {})
    contract = dataclasses.replace(
        NOMINAL.contract, label=label, provenance=(*NOMINAL.contract.provenance, step)
    )
    return dataclasses.replace(NOMINAL, contract=contract, name=f"{label}-0")


def test_who_has_met_what():
    target = WORLD.variant("combined_a")
    point = Domain.point(target.physics)
    assert has_seen(NOMINAL, WORLD, target) == ""
    assert has_seen(after(point), WORLD, target) == TRAINED
    assert has_seen(after(point), WORLD, WORLD.variant("combined_b")) == ""
    near = Domain.point({**target.physics, "pole.mass": target.physics["pole.mass"] * 1.01})
    assert has_seen(after(near), WORLD, target) == ""
    assert has_seen(after(WORLD.training_domain), WORLD, target) == ""
    whole = Domain.point({**WORLD.nominal, **target.physics})  # nominal values written out
    assert has_seen(after(whole), WORLD, target) == TRAINED
    assert has_seen(after(Domain({}), {"target": "combined_a"}), WORLD, target) == TARGET
    assert has_seen(after(Domain({}), {"target": "combined_a"}), WORLD, WORLD.variant("weak_motor")) == ""


def test_nominal_training_is_in_one_engine():
    bullet = Variant("bullet", "simulator", {}, "bullet")
    assert has_seen(NOMINAL, WORLD, bullet) == ""
    assert has_seen(after(Domain({}), {"simulator": "bullet"}), WORLD, bullet) == TRAINED
    assert has_seen(after(Domain({})), WORLD, WORLD.variant("nominal")) == ""


def test_what_a_method_makes_says_its_target():
    world = World.load("cartpole")
    goal = world.variant("combined_a")
    target = TargetEnv(world, goal, Budget(steps=512), 8, seal=Seal(1, name=goal.name))
    made = transfer(Policy.load("cartpole-nominal-0"), target, "fine-tune", Source(world))
    assert has_seen(made, world, goal) == TARGET


def table_of(seen, gains):
    """Two methods with three seeds and eight starts on control and three variants; one has met some."""
    rng = np.random.default_rng(0)
    rows = []
    for label, gain in (("nominal", 0.0), ("tuned", 1.0)):
        for seed in range(3):
            for variant, more in zip(("nominal", "a", "b", "c"), (0.0, *gains), strict=True):
                group = "control" if variant == "nominal" else "combined"
                how = seen.get(variant, "") if label == "tuned" else ""
                rows += [
                    (
                        label,
                        label,
                        f"{label}-{seed}",
                        seed,
                        variant,
                        group,
                        how,
                        start,
                        value,
                        9,
                        value > 0,
                        False,
                    )
                    for start, value in enumerate(rng.normal(10 + gain * more, 0.1, 8))
                ]
    names = [
        "label",
        "lineage",
        "policy",
        "seed",
        "variant",
        "group",
        "seen",
        "episode",
        "return",
        "length",
        "success",
        "diverged",
    ]
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def test_trained_physics_is_no_evidence():
    report = gap_report(table_of({"a": TRAINED}, (50.0, 0.0, 0.0)), {})
    assert report.cell("tuned", "a").difference is None
    assert report.cell("tuned", "b").difference is not None
    (whole,) = [s.difference for s in report.summaries if s.label == "tuned"]
    assert abs(whole.estimate.value) < 0.2
    assert leaks(report) == "“tuned” was trained on the physics of a, which no verdict is about."
    assert leaks(report) in verdict(report)[1]
    assert not headline(report)


def test_a_target_has_its_own_verdict_and_is_no_part_of_the_whole():
    report = gap_report(table_of({"a": TARGET}, (50.0, 0.0, 0.0)), {})
    assert report.cell("tuned", "a").difference.verdict == "helps"
    (whole,) = [s.difference for s in report.summaries if s.label == "tuned"]
    assert abs(whole.estimate.value) < 0.2
    assert "“tuned” was adapted to a, which" in leaks(report)
    clean = gap_report(table_of({}, (50.0, 0.0, 0.0)), {})
    (whole,) = [s.difference for s in clean.summaries if s.label == "tuned"]
    assert whole.estimate.value == pytest.approx(50 / 3, abs=0.2)
    assert leaks(clean) == ""


def test_a_requirement_is_not_met_by_heart():
    table = table_of({"a": TRAINED}, (50.0, 0.0, 0.0))
    report = gap_report(table, {})
    (alone,) = require(report, "return >= 5 on a for tuned").decisions
    assert (alone.verdict, "trained on their physics" in alone.text) == ("undecided", True)
    (group,) = require(report, "return >= 20 on combined for tuned").decisions
    assert group.verdict == "broken"  # with a, the mean would be 26


def test_older_tables_have_met_nothing():
    table = table_of({"a": TRAINED}, (0.0, 0.0, 0.0))
    old = {name: column for name, column in table.items() if name != "seen"}
    assert set(checked(old)["seen"].tolist()) == {""}


def test_an_evaluation_tells_what_was_met():
    target = WORLD.variant("combined_a")
    policies = [NOMINAL, after(Domain.point(target.physics))]
    table = run_policies(WORLD, policies, ["combined_a"], Trials(2))
    told = {
        (str(p), str(v)): str(s)
        for p, v, s in zip(table["policy"], table["variant"], table["seen"], strict=True)
    }
    assert told == {
        ("furuta-nominal-0", "nominal"): "",
        ("furuta-nominal-0", "combined_a"): "",
        ("tuned-0", "nominal"): "",
        ("tuned-0", "combined_a"): TRAINED,
    }


def test_the_split_is_stored_and_compared(write_world, pendulum_files):
    _, physics = pendulum_files
    world = World.load(write_world())
    other = World.load(write_world(physics=physics.replace("= 0.4", "= 0.5"), name="other"))
    same = World.load(write_world(physics=physics.replace("A pendulum", "Another"), name="same"))
    assert world.split == same.split != other.split
    assert len(world.split) == 12
    with closed():
        assert World.load(world.path).contents["held_out"] == {"split": world.split}
    held = dataclasses.replace(NOMINAL.contract, contents={"held_out": {"split": other.split}})
    mine = dataclasses.replace(NOMINAL, contract=held, name="mine")
    assert told_splits([NOMINAL, NOMINAL, mine], world) == (
        f"{world.split}; furuta-nominal-0 and 1 more made when what was held out is not told: what is held "
        f"out now may have been met; mine made when {other.split} was held out: what is held out now may "
        "have been met"
    )
    assert told_splits([mine], other) == other.split
