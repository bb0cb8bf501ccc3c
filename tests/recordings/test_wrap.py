import dataclasses

import numpy as np
import pytest

from sim2real.recordings import load_recordings, read_raw
from sim2real.recordings.raw import RawLog
from sim2real.recordings.wrap import unwrapped, wraps

TIME = np.arange(600) * 0.02
GOAL = 9 * np.sin(0.7 * TIME)  # nearly three turns, there and back
REAL = 9 * np.sin(0.7 * TIME - 0.1)


def wrapped(angles, turn, low):
    return (angles - low) % turn + low


def made(command, position, unit="rad"):
    return RawLog(
        "a", ("wrist",), TIME, command[:, None], TIME, position[:, None], units=(unit,) if unit else ()
    )


@pytest.mark.parametrize("signals", ["both", "position"])
@pytest.mark.parametrize(
    ("unit", "turn", "low"),
    [
        ("rad", 2 * np.pi, -np.pi),
        ("rad", 2 * np.pi, 0.0),
        ("deg", 360.0, -180.0),
        ("", 2 * np.pi, -np.pi),
        ("", 360.0, 0.0),
        ("", 4096.0, 0.0),
    ],
)
def test_jumps_by_a_turn_are_found_and_taken_out(unit, turn, low, signals):
    goal, real = (x * turn / (2 * np.pi) for x in (GOAL, REAL))
    if turn == 4096.0:
        goal, real = np.rint(goal), np.rint(real)
    command = wrapped(goal, turn, low) if signals == "both" else goal
    log = made(command, wrapped(real, turn, low), unit)
    found = {wrap.signal: wrap for wrap in wraps(log)}
    assert found["position"].turn == pytest.approx(turn)
    assert found["position"].rows == tuple(np.flatnonzero(np.abs(np.diff(log.position[:, 0])) > turn / 2) + 1)
    whole = unwrapped(log)
    shift = real[0] - whole.position[0, 0]  # which turn the first row is in nobody can know
    assert whole.position[:, 0] + shift == pytest.approx(real, abs=1e-9 * turn)
    assert whole.command[:, 0] + shift == pytest.approx(goal, abs=1e-9 * turn)
    assert not wraps(whole)


@pytest.mark.parametrize(("unit", "turn"), [("rad", 2 * np.pi), ("deg", 360.0), ("", 360.0)])
def test_a_turn_beside_the_command_throughout_is_found_and_taken_out(unit, turn):
    goal, real = (x * turn / (40 * np.pi) for x in (GOAL, REAL))
    for turns in (1, -2):
        log = made(goal, real + turns * turn, unit)
        assert [(wrap.signal, wrap.rows) for wrap in wraps(log)] == [("position", ())]
        whole = unwrapped(log)
        assert whole.position[:, 0] == pytest.approx(real, abs=1e-9 * turn)
        assert np.array_equal(whole.command, log.command)
    for position in (real + 0.8 * turn, np.full_like(real, turn), -real + turn):
        assert not wraps(made(goal, position, unit))


def test_a_command_may_step_by_nearly_a_turn():
    command = np.where(TIME % 4 < 2, 3.1, -3.1)
    position, state = np.empty(600), 0.0
    for k, goal in enumerate(command):
        state += 0.1 * (goal - state)
        position[k] = state
    log = made(command, position)
    assert not wraps(log)
    assert np.array_equal(unwrapped(log).command, log.command)


@pytest.mark.parametrize("unit", ["m", "fraction"])
def test_what_has_no_turns_is_left_alone(unit):
    log = made(wrapped(GOAL, 2 * np.pi, -np.pi), wrapped(REAL, 2 * np.pi, -np.pi), unit)
    assert not wraps(log)


def test_a_reading_of_zero_is_no_wrap():
    position = 3.3 + 0.1 * np.sin(TIME)
    position[[100, 300]] = 0.0
    assert not wraps(made(position, position))


def test_streams_with_stamps_of_their_own_are_unwrapped_alike():
    log = made(wrapped(GOAL, 2 * np.pi, -np.pi), wrapped(REAL, 2 * np.pi, -np.pi))
    log = dataclasses.replace(log, time=log.time[::2] + 0.003, position=log.position[::2])
    whole = unwrapped(log)
    assert whole.position[:, 0] == pytest.approx(REAL[::2], abs=1e-9)
    assert whole.command[:, 0] == pytest.approx(GOAL, abs=1e-9)


def test_reading_unwraps_on_request(tmp_path):
    (tmp_path / "mapping.toml").write_text(
        'time = { column = "t" }\n[joints.wrist]\ncommand = "goal"\nposition = "at"\nunit = "deg"\n'
    )
    rows = zip(TIME, wrapped(GOAL, 2 * np.pi, -np.pi), wrapped(REAL, 2 * np.pi, -np.pi), strict=True)
    lines = [f"{t:.3f},{np.degrees(c):.9f},{np.degrees(q):.9f}" for t, c, q in rows]
    (tmp_path / "a.csv").write_text("t,goal,at\n" + "\n".join(lines) + "\n")
    [run] = load_recordings(tmp_path, unwrap=True)
    assert run.position[:, 0] == pytest.approx(REAL, abs=1e-8)
    assert np.ptp(load_recordings(tmp_path)[0].position) < 6.3
    assert not wraps(read_raw(tmp_path, unwrap=True)[0])
