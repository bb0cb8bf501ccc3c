"""A table planted under a twin of the arm is found, judged, and part of the result."""

import json

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.distributions import Normal
from sim2real.domain import Domain
from sim2real.identify.contacts import Planes, find_contacts, plane_of
from sim2real.identify.experiment_design import next_motion
from sim2real.identify.identify import Options, identify
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.space import ParameterSpace, free_parameters
from sim2real.identify.verdicts import STRUCTURE_MISSING
from sim2real.recordings import Recording, write_npz
from sim2real.replay import Motion, Replayer, motion_of, windows
from sim2real.world import World
from sim2real.world.ground import tip_height

SLOW = {"servos.kp": 15.0, "servos.kd": 0.0, "joints.damping": 1.2, "joints.frictionloss": 0.2}
TABLE = {"floor.height": -0.05, "floor.friction": 0.3}
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


def moved(seed, depth, seconds):
    """Lowering and lifting the tip: at a depth of 1 through the table, up to 0.4 above it."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds / 0.02)) * 0.02
    slow, fast = (0.5 - 0.5 * np.cos(2 * np.pi * time / rng.uniform(*p)) for p in ((2.5, 4.0), (1.5, 2.5)))
    command = np.zeros((len(time), 6))
    command[:, 1], command[:, 2] = 0.2 + depth * 0.3 * slow, 0.3 + depth * 0.5 * slow
    command[:, [0, 3, 4]], command[:, 5] = fast[:, None] * rng.uniform(-0.3, 0.3, 3), 0.5 + 0.4 * fast
    return time, command


def log(seed, depth, table=TABLE, seconds=8.0):
    time, command = moved(seed, depth, seconds)
    world = World.load("so101").with_parameters({}, SLOW | dict(table))
    told = Motion("told", JOINTS, time, command, np.tile(command[0], (len(time), 1)), np.zeros(6))
    (found,) = Replayer(world, [told], 1, 1).run((), np.zeros((1, 0)))
    noise = np.random.default_rng(seed).normal(0, 3e-4, found[0].shape)
    return Recording(f"{'press' if depth > 0.9 else 'free'}{seed}", JOINTS, time, command, found[0] + noise)


def problem_of(recordings, seconds=20.0):
    """The joints as they are; nothing but a table is to be found."""
    world = World.load("so101").with_parameters({}, SLOW)
    cut = [part for r in recordings for part in windows(motion_of(world, r), seconds)]
    space = ParameterSpace(tuple(free_parameters(world, ["joints.damping", "joints.frictionloss"])))
    return RecordingProblem.of(world, space, cut, 1, fast=True)


@pytest.mark.slow
def test_a_table_is_judged_on_what_it_was_not_found_on():
    problem = problem_of([log(1, 0.35), log(2, 1.0), log(4, 0.95)])
    fitted, held = problem.motions[:2], problem.motions[2:]
    contacts = find_contacts(problem, problem.space.start, fitted, held)
    assert contacts.kept
    assert contacts.comparison.kept == tuple(TABLE)
    assert "where 2 recordings touch" in contacts.comparison.model
    assert [m.name for m in contacts.clear(problem.motions)] == ["free1@0.0s"]
    assert contacts.plane_in(held) == pytest.approx(TABLE, abs=0.002)
    assert len(contacts.each) == 2
    for found, other in zip(contacts.each, (held, fitted[1:]), strict=True):
        assert found == pytest.approx(TABLE, abs=0.002)
        own = Planes(problem.world, {}, other).errors([list(found.values())], other)
        assert own.mean() < 1e-3
    assert contacts.comparison.held_out < 1e-3
    table = plane_of(problem, problem.space.start, contacts, 1e-4 * np.eye(2))
    for estimate in table.estimates:
        assert estimate.low <= TABLE[estimate.name] <= estimate.high
        assert estimate.high - estimate.low < 0.1
        assert estimate.nominal == {"floor.height": -0.3, "floor.friction": 1.0}[estimate.name]
    sure = plane_of(problem, problem.space.start, contacts, np.zeros((2, 2)))
    for wide, narrow in zip(table.estimates, sure.estimates, strict=True):
        assert wide.high - wide.low > narrow.high - narrow.low  # what is not known of the joints


@pytest.mark.slow
def test_one_recording_that_touches_is_judged_on_its_own_parts():
    problem = problem_of([log(1, 0.35), log(2, 1.0)])
    contacts = find_contacts(problem, problem.space.start, problem.motions, [])
    assert contacts.kept
    assert "in press2, each part with the others' table; nothing else touches" in contacts.comparison.model
    assert [m.name for m in contacts.clear(problem.motions)] == ["free1@0.0s"]
    free, pressed = problem.motions
    contacts = find_contacts(problem, problem.space.start, [free], [pressed])
    alone = problem.on([free]).rmse(problem.space.start[None]).mean()
    assert contacts.comparison.fit == pytest.approx(alone, rel=0.01), "both parts were held out"


def test_no_table_is_looked_for_where_nothing_is_touched():
    problem = problem_of([log(1, 0.35), log(3, 0.3)])
    assert find_contacts(problem, problem.space.start, problem.motions, []) is None


@pytest.mark.slow
def test_a_table_that_the_others_do_not_show_is_not_kept():
    low, high = (
        {"floor.height": -0.075, "floor.friction": 0.3},
        {"floor.height": -0.02, "floor.friction": 0.3},
    )
    problem = problem_of([log(2, 1.0, low), log(4, 0.95, high)])
    contacts = find_contacts(problem, problem.space.start, problem.motions, [])
    assert contacts is not None
    assert not contacts.kept


@pytest.mark.slow
def test_a_table_is_proposed_where_the_model_was_named():
    free, fixed = ("joints.damping", "joints.frictionloss"), {"servos.kp": 15.0, "servos.kd": 0.0}
    options = Options(free=free, fixed=fixed, generations=0, threads=1, held_out=(), nuisance=False)
    logs = [log(seed, depth, seconds=4.0) for seed, depth in ((1, 0.35), (2, 1.0), (4, 0.95))]
    found = identify(World.load("so101"), logs, options)
    [verdict] = [v for v in found.verdicts if v.subject == ", ".join(TABLE)]
    assert verdict.name == STRUCTURE_MISSING
    assert verdict.evidence["floor.height"] == pytest.approx(TABLE["floor.height"], abs=0.005)
    assert "where 2 recordings touch, each with the others' table): set floor.height to -0.0" in verdict.text


@pytest.mark.slow
def test_a_table_becomes_part_of_the_result(tmp_path, capsys):
    """From model selection to the files, and from the files to a gap, to training and to the next motion."""
    plan = ((0, 0.3), (2, 1.0), (1, 0.35), (3, 0.3), (4, 0.95))
    logs = [log(seed, depth, seconds=6.0) for seed, depth in plan]
    world = World.load("so101")
    options = Options(threads=1, generations=2, nuisance=False, motion_seconds=3.0)
    found = identify(world, logs, options)
    assert found.model_selection[-1].kept == tuple(TABLE)
    for joint in ("shoulder_lift", "elbow_flex"):  # the joints that contacts bend most
        assert found.point[f"{joint}.kp"] == pytest.approx(SLOW["servos.kp"], rel=0.2)
    assert found.point["floor.height"] == pytest.approx(TABLE["floor.height"], abs=0.003)
    assert "floor.height" not in {v.subject for v in found.verdicts if v.name == "STRUCTURE_MISSING"}
    rows = {row.predictor: row for row in found.gap}
    assert rows["identified"].fitted < 0.1 * rows["nominal"].fitted
    found.save(tmp_path)
    domain = Domain.load(tmp_path / "identified.toml")
    assert isinstance(domain.parameters["floor.height"], Normal)
    write_npz(logs[1], tmp_path / "logs" / "press2.npz")
    gap = ["gap", "so101", "--recordings", str(tmp_path / "logs"), "--out", str(tmp_path / "gap")]
    assert main([*gap, "--physics", str(tmp_path / "point.toml")]) == 0
    replayed = json.loads((tmp_path / "gap" / "gap.json").read_text())
    assert replayed["physics"] == pytest.approx(Domain.load(tmp_path / "point.toml").median())
    train = ["train", "so101", "--domain", str(tmp_path / "identified.toml"), "--steps", "1024"]
    assert main([*train, "--out", str(tmp_path / "trained")]) == 0
    motion = next_motion(world, logs, found, options)
    assert motion.target not in TABLE
    heights = tip_height(world.model, motion.recording.position, JOINTS)
    assert heights.min() >= found.point["floor.height"] + 0.02
