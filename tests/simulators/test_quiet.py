"""What is MuJoCo's and the process's is as it was, after we stepped."""

import mujoco

from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.simulators.quiet import quiet
from sim2real.world import World


def timed(model):
    """Seconds that MuJoCo says 100 steps took."""
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 100)
    assert data.timer[mujoco.mjtTimer.mjTIMER_STEP].number == 100
    return data.timer[mujoco.mjtTimer.mjTIMER_STEP].duration


def test_the_clock_rests_within_however_deep_and_runs_on_after():
    model = World.load("cartpole").model
    assert timed(model) > 0
    with quiet():
        assert timed(model) == 0
        with quiet():
            assert timed(model) == 0
        assert timed(model) == 0
    assert timed(model) > 0


def test_the_clock_runs_on_after_an_error():
    model = World.load("cartpole").model
    try:
        with quiet():
            raise KeyError
    except KeyError:
        assert timed(model) > 0


def test_a_clock_of_the_process_s_own_is_put_back_and_does_not_keep_us_from_stepping():
    world, calls = World.load("cartpole"), []
    simulator = MujocoSimulator(world, 2)
    mujoco.set_mjcb_time(lambda: calls.append(1) or float(len(calls)))
    try:
        simulator.step(simulator.qpos[:, :1] * 0, 5)
        assert not calls
        assert timed(world.model) > 0
        assert calls
    finally:
        mujoco.set_mjcb_time(None)
    assert timed(world.model) > 0
