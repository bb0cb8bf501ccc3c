"""What a replay gap is made of: planted amplitude and delay, and windows against replays one by one."""

import json

import numpy as np
import pytest

from sim2real.evaluate.frequency import BANDS
from sim2real.evaluate.replay import HORIZONS, SIMULATION, Errors, ReplayedMotion, ReplayGap, replay_gap
from sim2real.evaluate.replay_detail import detail_json, detail_rows, replay_detail
from sim2real.recordings import Recording
from sim2real.replay import Replayer, motion_of, windows
from sim2real.world import World

TIME = np.arange(0, 40, 0.02)
TONES = np.array([0.35, 0.7, 1.4, 2.8])


def planted_gap(count=4, ratio=0.9, late=0.04, horizon=None):
    """The real joints move less and later than simulated."""
    motions = []
    for k in range(count):
        phases = np.random.default_rng(k).uniform(0, 6, (4, 2))

        def tones(time, phases=phases):
            return np.sin(2 * np.pi * TONES[:, None] * time[:, None, None] + phases).sum(axis=1)

        motions.append(
            ReplayedMotion(str(k), TIME, ratio * tones(TIME - late), {SIMULATION: tones(TIME)}, 0.1)
        )
    nothing = np.zeros((count, 2))
    errors = {SIMULATION: Errors(*[nothing] * 5)}
    return ReplayGap("so101", ("hip", "knee"), tuple(motions), errors, horizon=horizon)


def test_a_planted_amplitude_and_delay_are_told_by_frequency():
    detail = replay_detail(planted_gap())
    for band, tone in enumerate(TONES):
        assert detail.ratio[band].value == pytest.approx(0.9, abs=0.01)
        assert detail.phase[band].value == pytest.approx(-360 * tone * 0.04, abs=1.5)
        assert detail.ratio[band].interval is not None
    assert detail.ratio[4] is None
    assert detail.horizon == ()


def test_phases_are_averaged_around_the_half_turn():
    detail = replay_detail(planted_gap(ratio=-1.0, late=0.0))
    assert abs(abs(detail.phase[1].value) - 180) < 1
    low, high = detail.phase[1].interval
    assert high - low < 2


def test_visited_states_are_compared_by_motion():
    same = replay_detail(planted_gap(6, 1.0, 0.0)).states
    assert (same.energy_p, same.accuracy_p) == (1, 1)
    less = replay_detail(planted_gap(6, 0.7, 0.0)).states
    assert less.energy_p == pytest.approx(2 / 64)  # of 64 ways to swap six pairs, and its mirror
    assert less.accuracy > 0.52
    assert replay_detail(planted_gap(1)).states is None


def test_json_and_tables_say_the_same():
    gap = planted_gap(4, horizon=np.full((4, 5), 0.02))
    detail = replay_detail(gap)
    told = json.loads(json.dumps(detail_json(gap, detail), allow_nan=False))
    assert [band["hz"] for band in told["by_frequency"]] == [list(band) for band in BANDS]
    assert told["by_frequency"][4]["amplitude_ratio"] is None
    assert [row["seconds"] for row in told["by_horizon"]] == list(HORIZONS)
    assert told["by_horizon"][0]["rmse_mrad"]["value"] == 20.0
    assert set(told["states"]["wasserstein"]) == {
        f"{joint}.{what}" for joint in ("hip", "knee") for what in ("position", "velocity")
    }
    titles = [title for title, _, _ in detail_rows(detail)]
    assert len(titles) == 3
    rows = dict((row[0], row[1:]) for row in detail_rows(detail)[0][2])
    assert rows["0.5 to 1 Hz"][0].startswith("0.90 [")


@pytest.fixture(scope="module")
def world():
    return World.load("so101")


def recording(world, seed, seconds=7.0, physics=None):
    """Made-up commands on the world's joints and what it does under some physics."""
    time = np.arange(0, seconds, 0.02)
    rng = np.random.default_rng(seed)
    phases, rates = rng.uniform(0, 6, 6), rng.uniform(1, 5, 6)
    command = 0.4 + 0.3 * np.sin(time[:, None] * rates + phases)
    names = tuple(world.model.actuator(k).name for k in range(world.model.nu))
    log = Recording(str(seed), names, time, command, command)
    motion = motion_of(world, log)
    values = physics or {}
    (found,) = Replayer(world, [motion], 1).run(tuple(values), np.array([list(values.values())]))
    return Recording(str(seed), names, time, command, found[0])


def test_errors_by_horizon_are_those_of_windows_replayed_one_by_one(world):
    logs = [recording(world, seed, physics={"servos.kp": 500.0, "joints.damping": 1.5}) for seed in (0, 1)]
    found = replay_gap(world, logs, horizons=True).horizon
    for row, log in enumerate(logs):
        squares, at = [], []
        for window in windows(motion_of(world, log), 2.0):
            (alone,) = Replayer(world, [window], 1).run((), np.zeros((1, 0)))
            squares.append((alone[0] - window.measured) ** 2)
            at.append(window.time)
        squares, at = np.concatenate(squares), np.concatenate(at)
        for column, horizon in enumerate(HORIZONS):
            near = (at > 0.799 * horizon) & (at < 1.201 * horizon)
            expected = np.sqrt(squares[near].mean(axis=0)).mean() if near.any() else np.nan
            assert found[row, column] == pytest.approx(expected, nan_ok=True)
        assert squares[at == 0].max() == pytest.approx(0, abs=1e-20)  # it begins where it was measured


def test_planted_physics_drifts_little_and_short_logs_know_no_long_horizon(world):
    physics = {"servos.kp": 500.0, "joints.damping": 1.5}
    log = recording(world, 2, physics=physics)
    right = replay_gap(world, [log], physics, horizons=True).horizon
    wrong = replay_gap(world, [log], horizons=True).horizon
    # velocities at the start of a window are slopes of the angles, so that a little is left
    assert np.nanmax(right) < 0.3 * np.nanmax(wrong)
    assert np.nanmax(right) < 0.003
    short = replay_gap(world, [recording(world, 3, seconds=0.7)], horizons=True).horizon
    assert np.isnan(short[0, 3:]).all()
    assert np.isfinite(short[0, :3]).all()
