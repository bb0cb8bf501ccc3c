"""Findings on how joints go with their commands, and on rows that were lost or repeated before stamping."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.doctor import Expected, diagnose
from sim2real.doctor.finding import BAD, FACT, WARNING
from sim2real.doctor.lags import correlations

GOALS = Expected(
    "arm", limits={"shoulder": (-9, 9), "elbow": (-9, 9)}, goals=frozenset(("shoulder", "elbow"))
)


def grave(*logs, expected=GOALS):
    return [finding for finding in diagnose(logs, expected).findings if finding.severity != FACT]


def put(values, column, changed):
    values = values.copy()
    values[:, column] = changed(values[:, column])
    return values


@pytest.mark.parametrize(
    ("beside", "severity", "says"),
    [
        (np.pi, BAD, "2 quarters of a turn"),
        (-np.pi / 2, BAD, "-1 quarters of a turn"),
        (0.5, WARNING, "0.5"),
        (0.1, None, ""),
    ],
)
def test_a_joint_that_follows_beside_its_command_is_told(make, beside, severity, says):
    logs = [make(name, seed) for seed, name in enumerate("ab")]
    logs = [replace(log, position=put(log.position, 0, lambda x: x + beside)) for log in logs]
    found = grave(*logs)
    assert [(f.kind, f.severity, f.joint) for f in found] == [("zero", severity, "shoulder")] * (
        2 * bool(says)
    )
    if says:
        assert says in found[0].text
        assert found[0].value == pytest.approx(beside, abs=0.03)


@pytest.mark.parametrize(
    ("factor", "severity", "joints"),
    [(1 / 2.5, BAD, ["shoulder", "elbow"]), (1 / 1.7, WARNING, ["shoulder", "elbow"]), (2.5, WARNING, [""])],
)
def test_commands_in_a_unit_of_their_own_are_told_with_the_factor(make, factor, severity, joints):
    """No servo goes further than told; joints that all go as far short of it have a unit."""
    log = make("a", tick=0)
    found = [f for f in grave(replace(log, command=log.command * factor)) if f.kind == "scale"]
    assert [(f.severity, f.joint) for f in found] == [(severity, joint) for joint in joints]
    assert [f.value for f in found] == pytest.approx([1 / factor] * len(found), rel=0.1)


@pytest.mark.parametrize(
    "told",
    [
        lambda log: log.velocity,
        lambda log: np.diff(log.command, axis=0, prepend=log.command[:1]),
    ],
)
def test_speeds_and_increments_are_no_places(make, told):
    log = make("a", tick=0)
    found = [f for f in grave(replace(log, command=told(log))) if f.kind == "unlike"]
    assert [(f.severity, "speeds or increments" in f.text) for f in found] == [(BAD, True)]


def test_commands_of_another_run_are_told(make):
    """In a world all that is told as its goals is a goal; elsewhere it may be a torque."""
    log = replace(make("a", 10, tick=0), command=make("b", 99).command)
    assert [(f.kind, f.severity) for f in grave(log)] == [("unlike", BAD)]
    assert [f.severity for f in grave(log, expected=None) if f.kind == "unlike"] == [WARNING]
    half = replace(log, command=np.stack([log.command[:, 0], make("a", 10).command[:, 1]], axis=1))
    assert [(f.severity, f.joint) for f in grave(half) if f.kind == "unlike"] == [(WARNING, "shoulder")]


def test_rows_that_were_lost_before_stamping_are_told(make):
    log = make("a", 1, seconds=60.0)
    rows = np.flatnonzero(np.random.default_rng(1).random(len(log.time)) > 0.05)
    lost = {key: getattr(log, key)[rows] for key in ("command", "position", "velocity")}
    time = 0.02 * np.arange(len(rows))
    [finding] = grave(replace(log, time=time, command_time=time, **lost))
    assert (finding.kind, finding.severity) == ("lost rows", WARNING)
    gone = np.flatnonzero(np.diff(rows) > 1)
    found = [stretch.first for stretch in finding.rows]
    assert np.isin(found, gone).mean() > 0.9


@pytest.mark.parametrize("tick", [0, 2 * np.pi / 4096])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_measurements_that_are_there_again_are_told(make, tick, share):
    log = make("a", 1, tick=tick)
    rows = np.arange(len(log.time))
    rows -= np.random.default_rng(1).random(len(rows)) < share
    rows[0] = 0
    [finding] = grave(replace(log, position=log.position[rows], velocity=None))
    assert (finding.kind, finding.severity) == ("repeated rows", WARNING)
    assert finding.value == pytest.approx(share * (1 - share), rel=0.2)


def test_the_end_of_what_a_sensor_tells_is_told(make):
    log = make("a", tick=0)
    [finding] = grave(replace(log, position=put(log.position, 1, lambda x: np.minimum(x, 0.6))))
    assert (finding.kind, finding.severity, finding.joint) == ("saturation", WARNING, "elbow")
    assert finding.value == 0.6


@pytest.mark.parametrize("parts", [2, 3])
def test_a_clock_that_begins_anew_is_not_to_be_sorted(make, parts):
    log = make("a")
    time = log.time % ((log.time[-1] + 0.02) / parts)
    found = [f for f in grave(replace(log, time=time, command_time=time)) if f.severity == BAD]
    assert "restart" in {f.kind for f in found}
    assert not any("sort" in f.text and "mix" not in f.text for f in found)


@pytest.mark.parametrize(
    ("change", "joints"),
    [
        (lambda v: v * 0, ["shoulder", "elbow"]),
        (lambda v: v[:, ::-1], ["shoulder", "elbow"]),
        (lambda v: v * [1, 0], ["elbow"]),
    ],
)
def test_a_velocity_that_is_not_its_joints_is_told(make, change, joints):
    log = make("a", tick=0)
    found = grave(replace(log, velocity=change(log.velocity)))
    assert [(f.kind, f.severity, f.joint) for f in found] == [("velocity", WARNING, j) for j in joints]


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.06, 1.3])
def test_stamps_that_run_too_fast_or_slow_are_told_by_the_velocities(make, factor):
    """Of one log among others; where all are so by more than 15 %, joint by joint as before."""
    logs = [make(name, seed, tick=0) for seed, name in enumerate("abcd")]
    off = replace(logs[0], time=logs[0].time * factor, command_time=logs[0].time * factor)
    [finding] = grave(off, *logs[1:])
    assert (finding.kind, finding.severity, finding.recordings) == ("velocity", WARNING, ("a",))
    assert finding.value == pytest.approx(factor, rel=0.02)


def test_positions_in_coarse_whole_numbers_beside_commands_in_rad_are_told(make):
    """Steps of the position say nothing of how far a command in another unit goes."""
    log = make("a")
    found = grave(replace(log, position=np.rint(log.position * 30), command=log.command / 2, velocity=None))
    assert {(f.kind, f.severity) for f in found if f.severity == BAD} >= {("scale", BAD)}
    assert [f.value for f in found if f.kind == "scale"] == pytest.approx([60.0] * 2, rel=0.2)


def test_numbers_whose_squares_overflow_are_compared_all_the_same(make):
    log = make("a", tick=0)
    found = [f for f in grave(replace(log, position=log.position * 1e300)) if f.kind == "scale"]
    assert [f.severity for f in found] == [BAD, BAD]


def test_correlations_of_overlapping_parts_are_numpys():
    rng = np.random.default_rng(0)
    a = np.cumsum(rng.normal(size=400)) * 1e160 + 1e163
    b = np.roll(a, 7) * 3e-160 + rng.normal(size=400)
    alike, size = correlations(a, b, range(-20, 21))
    for k, shift in enumerate(range(-20, 21)):
        one, other = (a[: 400 - shift], b[shift:]) if shift >= 0 else (a[-shift:], b[:shift])
        one = one / 1e160
        assert alike[k] == pytest.approx(np.corrcoef(one, other)[0, 1], abs=1e-9)
        assert size[k] * 1e160 == pytest.approx(other.std() / one.std(), rel=1e-9)
    alike, _ = correlations(np.full(50, 0.1), b[:50], [0, 3])
    assert alike.tolist() == [0.0, 0.0]
