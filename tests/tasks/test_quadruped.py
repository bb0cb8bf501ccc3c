"""The quadruped: its legs' geometry, what touches what, and its reward and success by hand."""

import math

import mujoco
import numpy as np
import pytest

from sim2real.world import World

U = np.full((1, 16), 0.5)
CROUCH = np.tile([0.0, 0.9, -1.8], 4)


def test_crouching_feet_are_under_the_hips():
    """Two links of 0.213 m at 0.9 rad to either side: the foot is right below, 2 · 0.213 · cos 0.9 deep."""
    model = World.load("quadruped").model
    data = mujoco.MjData(model)
    data.qpos[7:] = CROUCH
    mujoco.mj_kinematics(model, data)
    for leg, (front, left) in {"FR": (1, -1), "FL": (1, 1), "RR": (-1, -1), "RL": (-1, 1)}.items():
        foot = data.geom(f"{leg}_foot").xpos - data.body("trunk").xpos
        expected = (front * 0.1881, left * (0.04675 + 0.08), -2 * 0.213 * math.cos(0.9))
        np.testing.assert_allclose(foot, expected, atol=1e-9)
    assert model.body_mass.sum() == pytest.approx(5.204 + 4 * (0.68 + 1.009 + 0.195862))


def test_left_and_right_mirror_each_other():
    model = World.load("quadruped").model
    for part in ("hip", "thigh", "calf"):
        for end in "FR":
            left, right = (model.body(f"{end}{side}_{part}") for side in "LR")
            tensors = []
            for body, mirror in ((left, 1.0), (right, -1.0)):
                turn = np.zeros(9)
                mujoco.mju_quat2Mat(turn, body.iquat)
                axes = np.diag([1.0, mirror, 1.0]) @ turn.reshape(3, 3)
                tensors.append(axes @ np.diag(body.inertia) @ axes.T)
                if part != "calf":  # the published calves are one part, a millimetre to the left
                    np.testing.assert_allclose(body.ipos * [1, mirror, 1], left.ipos)
            if part != "calf":
                np.testing.assert_allclose(*tensors, atol=2e-6)


def test_only_trunk_and_feet_touch_and_only_the_floor(bound):
    task, simulator = bound("quadruped", U)
    rng, touching = np.random.default_rng(0), set()
    for _ in range(40):
        simulator.step(task.command(rng.uniform(-1, 1, (1, 12))), 5)
        model, data = simulator.snapshot(0)
        touching |= {frozenset(model.geom(int(g)).name for g in contact.geom) for contact in data.contact}
    feet = {frozenset({"floor", f"{leg}_foot"}) for leg in ("FR", "FL", "RR", "RL")}
    assert feet <= touching <= feet | {frozenset({"floor", "trunk_box"})}


def test_no_action_stands(bound):
    task, simulator = bound("quadruped", np.repeat(U, 2, axis=0))
    for _ in range(150):
        simulator.step(task.command(np.zeros((2, 12))), 5)
        reward, fallen = task.outcome()
        assert not fallen.any()
    assert np.abs(simulator.qvel).max() < 0.01
    assert simulator.qpos[0, 2] == pytest.approx(0.26, abs=0.015)
    assert reward[0] == pytest.approx(0.1 + math.exp(-4), abs=0.02)  # told to do 0.5 m/s: two scales off
    assert not task.succeeded().any()


def test_servos_give_what_their_gains_say(bound):
    """Held in the air and stretched, a servo's torque is kp · error - kd · velocity, up to its limit."""
    world = World.load("quadruped")
    model, data = world.model, mujoco.MjData(world.model)
    data.qpos[2], data.qpos[7:] = 2.0, CROUCH
    data.qvel[6:] = 1.5
    data.ctrl[:] = CROUCH + np.tile([0.3, -0.2, 0.8], 4)
    mujoco.mj_forward(model, data)
    expected = 35.0 * np.tile([0.3, -0.2, 0.8], 4) - 0.5 * 1.5
    np.testing.assert_allclose(data.actuator_force, expected, rtol=1e-9)
    data.ctrl[:] = CROUCH + np.tile([0.8, 2.0, 0.9], 4)
    data.qvel[6:] = -10.0
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.actuator_force, np.tile([23.7, 23.7, 35.55], 4))


def test_reward_by_hand(bound):
    task, simulator = bound("quadruped", U)
    action, last = np.full((1, 12), 0.5), np.full((1, 12), 0.2)
    task.command(last)
    task.command(action)
    half, roll = math.pi / 4, 0.1
    turn, level = (
        np.array([math.cos(half), 0, 0, math.sin(half)]),
        np.array([math.cos(roll), math.sin(roll), 0, 0]),
    )
    mujoco.mju_mulQuat(simulator.qpos[0, 3:7], turn, level)
    simulator.qpos[0, 2] = 0.3
    simulator.qvel[0, :6] = [0.0, 0.4, 0.0, 0.1, 0.2, 0.3]  # a quarter turn to the left: y is forward
    reward, fallen = task.outcome()
    cost = 0.03 * (0.01 + 0.04) + 0.3 * 0.09 + math.sin(0.2) ** 2 + 10 * 0.04**2
    cost += 0.01 * 12 * 0.3**2 + 0.01 * 12 * 0.5**2
    assert reward[0] == pytest.approx(0.1 + math.exp(-0.16) - cost)
    assert not fallen[0]
    seen = dict(zip((s.name for s in task.spec.observation), task.observe()[0], strict=True))
    assert seen["commanded_velocity_x"] == pytest.approx(0.5)
    assert (seen["clock_cos"], seen["clock_sin"]) == pytest.approx(
        (math.cos(math.pi / 10), math.sin(math.pi / 10))
    )
    assert seen["up_y"] == pytest.approx(math.sin(0.2) / 0.5)
    assert seen["turn_rate_z"] == pytest.approx(0.3 / 2)
    assert seen["RL_calf_last_action"] == 0.5


@pytest.mark.parametrize(
    ("changed", "fallen"),
    [({}, False), ({"height": 0.14}, True), ({"roll": 0.9}, True), ({"roll": 0.7}, False)],
)
def test_a_fall_is_low_or_tilted(bound, changed, fallen):
    task, simulator = bound("quadruped", U)
    roll = changed.get("roll", 0.0)
    simulator.qpos[0, 2] = changed.get("height", 0.26)
    simulator.qpos[0, 3:7] = [math.cos(roll / 2), math.sin(roll / 2), 0, 0]
    assert task.outcome()[1][0] == fallen


@pytest.mark.parametrize(("speed", "success"), [(0.5, True), (0.41, True), (0.39, False), (0.61, False)])
def test_success_is_the_mean_speed_of_the_second_half(bound, speed, success):
    task, simulator = bound("quadruped", U)
    simulator.qpos[0, 2] = 0.26
    for step in range(task.spec.max_steps):
        wobble = 0.3 * (-1) ** step
        simulator.qvel[0, 0] = 0.0 if step < 150 else speed + wobble
        task.outcome()
    assert task.succeeded()[0] == success


def test_on_torch_the_same(agrees_with_torch):
    agrees_with_torch("quadruped")
