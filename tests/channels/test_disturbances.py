"""Pushes, slope and wind against momentum and closed forms."""

import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName
from sim2real.world import World

PUCK = """
<mujoco model="puck">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.005" cone="elliptic" integrator="implicitfast" gravity="0 0 -9.81"/>
  <worldbody>
    <body name="cart">
      <joint name="slider" type="slide" axis="1 0 0"/>
      <joint name="hinge" type="slide" axis="0 1 0"/>
      <geom name="box" type="box" size="0.1 0.1 0.1" mass="2" contype="0" conaffinity="0"/>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="slider" ctrlrange="-10 10"/></actuator>
</mujoco>
"""


@pytest.fixture
def puck(write_world, tools):
    """A mass of 2 kg that slides freely in the plane."""

    def make(*rows):
        physics = 'title = "A puck"\ntask = "cartpole"\n' + "\n".join(tools[0](*row) for row in rows)
        return World.load(write_world(PUCK, physics, "puck"))

    return make


PUSH = [("cart.push", 0, "N"), ("cart.push_interval", 1.0, "s"), ("cart.push_duration", 0.1, "s")]


def pushed(env, steps):
    """Velocities after every step without command. Shape (steps + 1, num_envs, 2)."""
    env.reset(seed=0)
    seen = [env.simulator.qvel.copy()]
    for _ in range(steps):
        env.step(np.zeros((env.num_envs, 1)))
        seen.append(env.simulator.qvel.copy())
    return np.array(seen)


def test_a_push_gives_its_force_times_its_duration(puck):
    """Δv = F Δt / m, magnitude, in a random direction; at rest before and coasting after."""
    env = Sim2RealVectorEnv(puck(*PUSH), 50, max_episode_steps=400)
    physics = {"cart.push": 8.0, "cart.push_interval": 1e5, "cart.push_duration": 0.16}
    env.set_physics(tuple(physics), np.tile(list(physics.values()), (50, 1)))
    assert not pushed(env, 50).any()
    env.set_physics(("cart.push_interval",), np.full((50, 1), 1e-3))
    env.step(np.zeros((50, 1)))  # begins everywhere
    env.set_physics(("cart.push_interval",), np.full((50, 1), 1e5))
    env.step(np.zeros((50, 1)))
    np.testing.assert_allclose(np.linalg.norm(env.simulator.qvel, axis=1), 8.0 * 0.04 / 2.0, rtol=1e-9)
    for _ in range(10):
        env.step(np.zeros((50, 1)))
    np.testing.assert_allclose(np.linalg.norm(env.simulator.qvel, axis=1), 8.0 * 0.16 / 2.0, rtol=1e-9)
    quadrants = np.unique(np.sign(env.simulator.qvel), axis=0)
    assert len(quadrants) == 4


def test_pushes_come_at_their_mean_interval(puck):
    env = Sim2RealVectorEnv(puck(*PUSH), 20, max_episode_steps=2000)
    env.set_physics(("cart.push", "cart.push_interval"), np.tile([1.0, 0.5], (20, 1)))
    begun = 0
    env.reset(seed=0)
    last = np.zeros(20, dtype=bool)
    for _ in range(1500):
        env.step(np.zeros((20, 1)))
        now = np.abs(env.simulator.force("cart")).sum(axis=1) > 0
        begun += (now & ~last).sum()
        last = now
    # a push of 0.1 s, then a pause of 0.5 s in the mean, less the step it can begin in
    assert begun / 20 == pytest.approx(1500 * 0.02 / (0.1 + 0.5 - 0.02), rel=0.1)


def test_a_new_episode_begins_without_the_last_ones_push(puck):
    env = Sim2RealVectorEnv(puck(*PUSH), 4, max_episode_steps=6)
    env.set_physics(("cart.push", "cart.push_interval"), np.tile([5.0, 0.05], (4, 1)))
    env.set_physics(("cart.push",), np.array([[0.0]]), np.array([3]))
    path = pushed(env, 30)
    assert not path[[0, 6, 12]].any()
    assert np.abs(path[:, :3]).max() > 0.1
    assert not path[:, 3].any()
    again = Sim2RealVectorEnv(puck(*PUSH), 1, max_episode_steps=6)
    again.set_physics(("cart.push", "cart.push_interval"), np.array([[5.0, 0.05]]))
    again.number_episodes(np.array([6]), 0)  # row 2 of the second round
    again.reset()
    for step in range(5):
        again.step(np.zeros((1, 1)))
        np.testing.assert_array_equal(again.simulator.qvel[0], path[7 + step, 2])


def test_torch_pushes_as_numpy_does(puck, torch_env, tools):
    domain = {"parameters": {"cart.push": {"uniform": [0, 9]}, "cart.push_interval": 0.1}}
    ours = tools[1](Sim2RealVectorEnv(puck(*PUSH), 4, domain, 12), 30)
    np.testing.assert_allclose(tools[1](torch_env(puck(*PUSH), 4, domain, 12), 30), ours, atol=1e-6)


def test_a_slope_accelerates_a_puck_as_its_sine(puck):
    world = puck(("world.slope_x", 0, "rad"), ("world.slope_y", 0, "rad"))
    env = Sim2RealVectorEnv(world, 3)
    env.set_physics(("world.slope_x", "world.slope_y"), np.array([[0.1, 0.0], [0.0, 0.2], [0.0, 0.0]]))
    speed = pushed(env, 50)[-1]
    fall = 9.81 * 50 * 0.02
    np.testing.assert_allclose(speed, [[0, fall * np.sin(0.1)], [-fall * np.sin(0.2), 0], [0, 0]], atol=1e-9)


def test_wind_drives_a_puck_with_the_drag_of_its_box(puck):
    """Quadratic drag of the equivalent inertia box, sides 0.2 m: F = ½ ρ A v² · (engine's coefficient 1)."""
    world = puck(("world.wind_x", 0, "m/s"), ("world.air_density", 0, "kg/m³"))
    env = Sim2RealVectorEnv(world, 2)
    env.set_physics(("world.wind_x", "world.air_density"), np.array([[10.0, 1.2], [10.0, 0.0]]))
    speed = pushed(env, 1)[-1]
    assert speed[0, 0] == pytest.approx(0.5 * 1.2 * 0.04 * 100 / 2.0 * 0.02, rel=0.01)
    assert not speed[1].any()


def test_wind_without_air(puck):
    with pytest.raises(
        InvalidValue, match=r"world\.wind_x has no effect without air; give the world a param"
    ):
        puck(("world.wind_x", 0, "m/s", None, [-3, 3]))


def test_a_push_on_a_body_that_is_not_there(puck):
    with pytest.raises(UnknownName, match=r"body for parameter card\.push: 'card': did you mean 'cart'"):
        puck(("card.push", 0, "N"))
