"""The push against closed forms: friction's law, geometry of the start, reward."""

import math

import mujoco
import numpy as np
import pytest

from sim2real.world import World

U = np.random.default_rng(3).random((200, 7))


def test_starts_touch_nothing_and_goals_lie_ahead(bound):
    task, simulator = bound("push", U)
    finger, block = simulator.qpos[:, :2], simulator.qpos[:, 2:4]
    ahead = task._goal - block
    distance, azimuth = np.hypot(*ahead.T), np.arctan2(ahead[:, 1], ahead[:, 0])
    assert (distance.min(), distance.max()) == pytest.approx((0.15, 0.30), abs=0.003)
    assert np.abs(azimuth).max() <= 0.6
    yaw = 2 * np.arctan2(simulator.qpos[:, 8], simulator.qpos[:, 5])
    assert 0.4 < np.abs(yaw).max() <= 0.5
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, y = (finger - block).T
    beyond = np.abs([cos * x + sin * y, cos * y - sin * x]).T - [0.045, 0.0515]  # of the box, in its frame
    clearance = np.hypot(*np.maximum(beyond, 0.0).T) - 0.012
    assert clearance.min() > 0.0
    before = simulator.qpos.copy()
    for _ in range(10):
        simulator.step(task.command(np.zeros((200, 2))), 8)
    np.testing.assert_allclose(simulator.qpos[:, 2:4], before[:, 2:4], atol=1e-6)


@pytest.mark.parametrize("friction", [0.2, 0.4, 0.6])
@pytest.mark.parametrize("azimuth", [0.0, math.pi / 4])
def test_a_sliding_block_stops_where_coulomb_says(friction, azimuth):
    """It goes ``v² / (2 μ g)``, along the axes and between them."""
    model = World.load("push").model
    model.geom("table").friction[0] = friction
    data = mujoco.MjData(model)
    data.qpos[:3], data.qpos[4] = (-0.2, 0.0, 0.0), 0.019
    data.ctrl[0] = -0.2
    data.qvel[2:4] = 0.6 * math.cos(azimuth), 0.6 * math.sin(azimuth)
    for _ in range(200):
        mujoco.mj_step(model, data)
    expected = 0.6**2 / (2 * friction * 9.81)
    assert math.hypot(*data.qpos[2:4]) == pytest.approx(expected, rel=0.06)


def test_the_fingertip_has_its_own_friction():
    model = World.load("push").model
    data = mujoco.MjData(model)
    data.qpos[:2], data.qpos[4] = (-0.0565, 0.0), 0.019
    mujoco.mj_forward(model, data)
    found = {
        frozenset(model.geom(int(g)).name for g in contact.geom): contact.friction[0]
        for contact in data.contact
    }
    assert found == {frozenset({"table", "block_box"}): 0.4, frozenset({"fingertip", "block_box"}): 0.5}


def test_an_episode_is_a_plain_loop(bound):
    """A dozen control steps against ``mj_step``, with the goals of the servos kept by hand."""
    task, simulator = bound("push", U[:1])
    model = World.load("push").model
    data = mujoco.MjData(model)
    data.qpos[:] = simulator.qpos[0]
    goal = data.qpos[:2].copy()
    rng = np.random.default_rng(0)
    for step in range(12):
        action = np.array([0.8, 0.0]) + 0.2 * rng.uniform(-1, 1, 2)
        simulator.step(task.command(action[None]), 8)
        goal = np.clip(goal + 0.04 * action, (-0.2, -0.3), (0.45, 0.3))
        data.ctrl[:] = goal
        for _ in range(8):
            mujoco.mj_step(model, data)
        assert np.array_equal(data.qpos, simulator.qpos[0]), step
    assert simulator.qpos[0, 2] > 0.1  # it was pushed


def test_reward_and_observation_by_hand(bound):
    task, simulator = bound("push", U[:1])
    task.command(np.array([[0.5, -1.0]]))
    task._goal[:] = [0.2, 0.1]
    task._target[:] = [0.06, 0.0]
    yaw = 0.7
    simulator.qpos[:] = [0.05, 0.0, 0.14, 0.02, 0.019, math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)]
    simulator.qvel[:] = [0.1, -0.2, 0.3, 0.4, 0, 0, 0, 2.0]
    reward, ended = task.outcome()
    expected = math.exp(-0.1 / 0.1) + 0.5 * math.exp(-((0.1 / 0.02) ** 2))  # 6 and 8 cm away make 10
    expected += 0.1 * math.exp(-(0.09**2 + 0.02**2) / 0.01) - 0.01 * 1.25
    assert reward[0] == pytest.approx(expected)
    assert not ended.any()
    seen = task.observe()[0] * [signal.scale for signal in task.spec.observation]
    by_hand = [0.05, 0, 0.1, -0.2, 0.01, 0, math.cos(0.7), math.sin(0.7), 0.3, 0.4, 2, 0.09, 0.02, 0.06, 0.08]
    np.testing.assert_allclose(seen, by_hand, atol=1e-12)


@pytest.mark.parametrize(("distance", "success"), [(0.0, True), (0.024, True), (0.026, False)])
def test_success_is_a_block_that_stays(bound, distance, success):
    task, simulator = bound("push", U[:1])
    simulator.qpos[0, 2:4] = task._goal[0] + [distance, 0.0]
    for _ in range(task.spec.max_steps):
        task.outcome()
    assert task.succeeded()[0] == success


def test_success_needs_the_end_of_the_episode(bound):
    task, simulator = bound("push", U[:1])
    for step in range(task.spec.max_steps):
        simulator.qpos[0, 2:4] = task._goal[0] + [0.0 if step != 55 else 0.1, 0.0]
        task.outcome()
    assert not task.succeeded()[0]


def test_on_torch_the_same(agrees_with_torch):
    agrees_with_torch("push")
