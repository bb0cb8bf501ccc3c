"""Findings on commands that were never sent, and on logs of which one is several."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.doctor import Expected, diagnose
from sim2real.doctor.finding import BAD, FACT, WARNING

GOALS = Expected(
    "arm", limits={"shoulder": (-3, 3), "elbow": (-3, 3)}, goals=frozenset(("shoulder", "elbow"))
)


def grave(*logs, expected=GOALS):
    return [finding for finding in diagnose(logs, expected).findings if finding.severity != FACT]


@pytest.mark.parametrize(
    ("late", "says"), [(0, "of the same row"), (1, "of the next row"), (3, "3 rows later")]
)
def test_commands_that_are_later_measurements_are_no_commands(make, late, says):
    log = make("a", tick=0)
    rows = np.minimum(np.arange(len(log.time)) + late, len(log.time) - 1)
    [finding] = grave(replace(log, command=log.position[rows]), make("b", 1))
    assert (finding.kind, finding.severity, finding.recordings) == ("echo", WARNING, ("a",))
    assert says in finding.text


def test_a_joint_that_moves_on_under_a_constant_command_is_told(make):
    """In a world that says that its command is a goal; a joint that nothing drives may be pushed."""
    log = make("a")
    command = log.command.copy()
    command[:, 0] = 0.2
    still = replace(log, command=command)
    [finding] = grave(still)
    assert (finding.kind, finding.severity, finding.joint) == ("untold", WARNING, "shoulder")
    assert finding.value == pytest.approx(np.ptp(np.percentile(log.position[500:, 0], [2, 98])))
    assert grave(still, expected=replace(GOALS, goals=frozenset(["elbow"]))) == []
    settles = replace(still, position=np.where(np.arange(1000)[:, None] < 50, log.position, [0.1, 0.0]))
    assert not any(found.kind == "untold" for found in grave(settles))


@pytest.mark.parametrize("tick", [0, 2 * np.pi / 4096])
@pytest.mark.parametrize("velocity", [True, False])
def test_two_runs_in_one_log_with_stamps_that_go_on(make, tick, velocity):
    """The end of one and the start of another are a row apart, where no command told any joint to go."""
    one, two = make("a", 1, tick=tick), make("b", 7, tick=tick)
    cut = 700
    joined = {
        key: np.concatenate([getattr(one, key)[:cut], getattr(two, key)])
        for key in ("command", "position", "velocity")
    }
    assert np.all(np.abs(np.diff(joined["position"], axis=0)[cut - 1]) > 0.15)
    time = np.arange(len(joined["command"])) * 0.02
    log = replace(one, time=time, command_time=time, **joined if velocity else joined | {"velocity": None})
    found = [finding for finding in grave(log) if finding.kind == "jump"]
    assert [(finding.severity, str(finding.rows[0])) for finding in found] == [(BAD, "a: rows 699–700")]


def test_a_sensor_that_loses_count(make):
    log = replace(make("a", tick=0), velocity=None)
    position = log.position.copy()
    position[430:, 1] += 0.3
    [finding] = [finding for finding in grave(replace(log, position=position)) if finding.kind == "jump"]
    assert (finding.severity, finding.joint, str(finding.rows[0])) == (WARNING, "elbow", "a: rows 429–430")
    assert finding.value == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("unit", "slides"), [("m", []), ("rad", ["elbow"]), ("deg", ["elbow"])])
def test_a_unit_of_another_kind_of_joint_is_refused(make, unit, slides):
    log = replace(make("a"), units=("rad", unit))
    expected = replace(GOALS, slides=frozenset(slides))
    assert any(
        f"elbow is in {unit} by its own account, and is in" in f.text for f in grave(log, expected=expected)
    )
    table = {"elbow": {"joint": "elbow", "scale": 0.5}}
    assert not any("and is in" in f.text for f in grave(log, expected=replace(expected, table=table)))
    right = replace(log, units=("rad", "m" if slides else "rad"))
    assert grave(right, expected=expected) == []


@pytest.mark.parametrize("rate", [20.0, 50.0, 250.0])
def test_a_log_that_begins_in_motion_is_told(make, rate):
    """Cut where a joint is fastest; whole, it begins at rest, where a replay does."""
    log = make("a", 3, rate=rate, lag=0.1)
    speed = np.abs(np.gradient(log.position[:, 0], log.time))
    cut = int(np.argmax(speed[: len(speed) // 2]))
    cut_off = {key: getattr(log, key)[cut:] for key in ("command", "position", "velocity", "time")}
    found = grave(replace(log, command_time=cut_off["time"], **cut_off))
    assert [(f.kind, f.severity, str(f.rows[0])) for f in found] == [
        ("begins in motion", WARNING, "a: row 0")
    ]
    assert found[0].value == pytest.approx(speed[cut], rel=0.5)
    assert grave(log) == []


def test_one_column_for_two_joints_is_refused(make):
    log = replace(make("a"), velocity=None)
    doubled = replace(log, position=log.position[:, [0, 0]])
    assert "shoulder and elbow are told different things" in next(
        f.text for f in grave(doubled) if f.kind == "joint"
    )
    alike = replace(doubled, command=log.command[:, [0, 0]])  # fingers that go together
    assert grave(alike) == []


def test_what_a_world_begins_with_a_measured_velocity_may_begin_in_motion(make):
    log = make("a", 3, lag=0.1)
    cut = int(np.argmax(np.abs(np.gradient(log.position[:500, 0], log.time[:500]))))
    cut_off = {key: getattr(log, key)[cut:] for key in ("command", "position", "velocity", "time")}
    log = replace(log, command_time=cut_off["time"], **cut_off)
    drives = {"one": "shoulder", "two": "elbow"}
    passive = replace(GOALS, limits=GOALS.limits | {"finger": (-1, 1)}, drives=drives)
    assert grave(log, expected=passive) == []
    assert [f.kind for f in grave(replace(log, velocity=None), expected=passive)] == ["begins in motion"]


def test_a_joint_that_nothing_drives_rests_whatever_its_column_says(make):
    """Its sensor is not stuck; that of a joint with a drive is."""
    log = replace(make("a", tick=0), velocity=None)
    position = log.position.copy()
    position[250:330, 0] = position[250, 0]
    still = replace(log, position=position)
    driven = replace(GOALS, drives={"one": "shoulder", "two": "elbow"})
    assert {f.kind for f in grave(still, expected=driven)} == {"stuck sensor"}
    passive = replace(GOALS, goals=frozenset(["elbow"]), drives={"two": "elbow"})
    assert grave(still, expected=passive) == []
