"""The quadrotor against Newton and Euler, and a controller from the book that solves it."""

import math

import mujoco
import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import run_episodes
from sim2real.tasks.quadrotor import Quadrotor
from sim2real.world import World

MASS, INERTIA, DRAG = 1.325, np.array([0.0365, 0.0254, 0.0607]), 0.0201
HUBS = np.array([[-0.14, -0.18], [-0.14, 0.18], [0.14, 0.18], [0.14, -0.18]])
SPIN = np.array([-1, 1, -1, 1])
HOVER = MASS * 9.81 / 4
LEVEL = np.full((1, 9), 0.5)
SCALES = np.array([signal.scale for signal in Quadrotor.spec.observation])


def test_no_action_hovers(bound):
    task, simulator = bound("quadrotor", LEVEL)
    for _ in range(50):
        simulator.step(task.command(np.zeros((1, 4))), 4)
    np.testing.assert_allclose(simulator.qpos[0], [0, 0, 1.5, 1, 0, 0, 0], atol=1e-9)


@pytest.mark.parametrize("rotor", range(4))
def test_one_rotor_pushes_and_turns_as_newton_and_euler_say(rotor):
    world = World.load("quadrotor")
    model, data = world.model, mujoco.MjData(world.model)
    data.ctrl[:] = HOVER
    data.ctrl[rotor] += 1.0
    mujoco.mj_step(model, data)
    x, y = HUBS[rotor]
    turning = np.array([y, -x, DRAG * SPIN[rotor]]) / INERTIA
    np.testing.assert_allclose(
        data.qvel, [0, 0, model.opt.timestep / MASS, *model.opt.timestep * turning], atol=1e-9
    )


def test_strength_is_of_one_rotor(bound):
    task, simulator = bound("quadrotor", np.repeat(LEVEL, 2, axis=0))
    simulator.set_physics(np.array([1]), ("rotor_2.strength",), np.array([[0.8]]))
    simulator.step(task.command(np.zeros((2, 4))), 1)
    missing = 0.2 * HOVER * simulator.physics_dt
    x, y = HUBS[1]
    expected = [-missing / MASS, *(-missing * np.array([y, -x, DRAG * SPIN[1]]) / INERTIA)]
    np.testing.assert_allclose((simulator.qvel[1] - simulator.qvel[0])[2:], expected, atol=1e-9)


def test_full_thrust_climbs_at_a_constant_rate(bound):
    task, simulator = bound("quadrotor", LEVEL)
    for _ in range(25):
        simulator.step(task.command(np.ones((1, 4))), 4)
    assert simulator.qvel[0, 2] == pytest.approx(0.5 * 12.0 / MASS, rel=1e-6)


def test_reward_observation_and_end_by_hand(bound):
    task, simulator = bound("quadrotor", LEVEL)
    action = np.array([[0.5, -0.5, 1.0, 0.0]])
    task.command(action)
    task._waypoint[:] = [1.0, 2.0, 3.0]
    half = math.pi / 4  # a quarter turn about z: the body's x is the world's y
    simulator.qpos[:] = [1.0, 1.0, 3.0, math.cos(half), 0, 0, math.sin(half)]
    simulator.qvel[:] = [0.0, 0.4, 0.5, 1.0, 2.0, 3.0]
    reward, lost = task.outcome()
    expected = math.exp(-1 / 0.5) + 0.5 * math.exp(-100) - 0.005 * 14 - 0.01 * 1.5
    assert reward[0] == pytest.approx(expected)
    assert not lost[0]
    seen = task.observe()[0] * SCALES
    np.testing.assert_allclose(seen, [1, 0, 0, 0.4, 0, 0.5, 0, 0, 1, 1, 2, 3, *action[0]], atol=1e-12)
    simulator.qpos[0, 3:] = [0, 1, 0, 0]
    assert task.outcome()[1][0], "upside down"
    simulator.qpos[0, 3:], simulator.qpos[0, 0] = [1, 0, 0, 0], 5.5
    assert task.outcome()[1][0], "lost"


class Cascade:
    """Position, velocity, attitude, turn rate, loop in loop (Mellinger and Kumar 2011, linearized)."""

    mix = np.linalg.inv(np.array([np.ones(4), HUBS[:, 1], -HUBS[:, 0], DRAG * SPIN]))

    def __call__(self, observation):
        waypoint, velocity, up, rate = np.split(observation[:, :12] * SCALES[:12], 4, axis=1)
        wanted = 4.0 * waypoint - 3.6 * velocity  # acceleration, seen from the body
        wanted *= np.minimum(1.0, 5.0 / np.maximum(np.linalg.norm(wanted, axis=1, keepdims=True), 1e-9))
        thrust = wanted + 9.81 * up  # where the rotors should push
        tilt = np.stack((-thrust[:, 1], thrust[:, 0], 0 * thrust[:, 0]), axis=1) / 9.81
        torque = INERTIA * (120.0 * tilt - 20.0 * rate)
        lift = MASS * thrust[:, 2:]
        rotors = np.concatenate((lift, torque), axis=1) @ self.mix.T
        return ((rotors - HOVER) / 3.0).clip(-1, 1).astype(np.float32)


def test_a_cascade_of_loops_solves_it():
    env = Sim2RealVectorEnv("quadrotor", 64, autoreset=False)
    outcomes = run_episodes(Cascade(), env, 0)
    assert outcomes.success.mean() > 0.95
    assert outcomes.returns.mean() > 250


def test_on_torch_the_same(agrees_with_torch):
    agrees_with_torch("quadrotor")
