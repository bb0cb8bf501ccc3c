"""A stranger's env under the wrapper moves, to the bit, as our own simulator does with the same parameter."""

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco import MujocoEnv

from sim2real.channels import Channels
from sim2real.distributions import Point, Uniform
from sim2real.domain import Domain
from sim2real.draws import StepDraws
from sim2real.interface import Signal, TaskSpec
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World
from sim2real.wrappers import Randomize

SCENE = """
<mujoco model="stranger">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.005" cone="elliptic" integrator="implicitfast"/>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 1" pos="0 0 -.8" friction="0.1"/>
    <body name="cart">
      <joint name="slider" type="slide" axis="1 0 0" range="-1.8 1.8" damping="0.1" frictionloss="0.1"/>
      <geom name="box" type="box" size="0.1 0.1 0.1" mass="1" contype="0" conaffinity="0"/>
      <body name="pole">
        <joint name="hinge" type="hinge" axis="0 1 0" damping="0.001"/>
        <geom name="rod" type="capsule" fromto="0 0 0 0 0 1" size="0.04" mass="0.1" friction="0.5"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="slider" ctrlrange="-10 10" forcerange="-9 9"/></actuator>
</mujoco>
"""
SUBSTEPS, STEPS, SEED = 4, 60, 7
NAMES = ("obs_0", "obs_1", "obs_2", "obs_3")

DOMAINS = (
    {"pole.mass": 0.3},
    {"pole.payload": 0.2, "pole.mass": 0.05},
    {"rod.friction": 1.0, "slider.damping": 0.7},
    {"world.gravity": 5.0, "world.slope_y": 0.1},
    {"world.air_density": 1.2, "world.wind_x": 5.0},
    {"motor.strength": 0.5, "motor.torque_limit": 4.0},
    {"motor.latency": 7.0},
    {"motor.latency": 2.0, "motor.latency_jitter": 3.0},
    {"motor.command_noise": 1.0, "motor.command_resolution": 0.5, "motor.deadband": 0.3},
    {"motor.rate_limit": 20.0},
    {"motor.speed_loss": 0.5},
    {"slider.stribeck": 0.5, "slider.stribeck_velocity": 0.1, "motor.latency": 3.0},
    {"slider.load_friction_motor": 0.1, "slider.load_friction_external": 0.1},
    {"cart.push": 4.0, "cart.push_interval": 0.1, "cart.push_duration": 0.06},
    {"motor.strength": 1.0, "motor.strength.drift": -0.3},
    {"obs_3.noise": 0.1, "obs_2.bias": 0.2, "obs_0.sensor_latency": 2.0, "obs_1.dropout": 0.3},
    {"obs_3.bias_drift": 0.1, "obs_2.sensor_gain": 1.1, "obs_0.sensor_period": 3.0, "obs_1.resolution": 0.1},
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """The scene as a file; ours is compiled with delay buffers."""
    path = tmp_path_factory.mktemp("stranger") / "scene.xml"
    path.write_text(SCENE)
    return path


class Stranger(MujocoEnv):
    """As people write them."""

    metadata = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"]}  # noqa: RUF012

    def __init__(self, path):
        space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64)
        super().__init__(str(path), SUBSTEPS, observation_space=space)

    def step(self, action):
        self.do_simulation(action, self.frame_skip)
        return self._seen(), 0.0, False, False, {}

    def reset_model(self):
        self.set_state(np.array([0.1, 0.3]), np.array([0.0, 0.5]))
        return self._seen()

    def _seen(self):
        return np.concatenate((self.data.qpos, self.data.qvel))


def commands():
    return np.repeat(np.random.default_rng(0).uniform(-10, 10, (STEPS // 4, 1)), 4, axis=0).astype(np.float32)


def theirs(path, domain):
    env = Randomize(Stranger(path), domain)
    observations = [env.reset(seed=SEED)[0]]
    truth = [env.unwrapped._seen()]
    for command in commands():
        observations.append(env.step(command)[0])
        truth.append(env.unwrapped._seen())
    return np.array(observations), np.array(truth)


def ours(path, domain):
    """The simulator and the channels of our own env, without a task."""
    wrapped = Randomize(Stranger(path), domain)
    spec = mujoco.MjSpec.from_file(str(path))
    spec.actuators[0].nsample = 8
    model, theirs = spec.compile(), wrapped._world
    world = World("stranger", path, "", "", model, theirs.parameters, {}, {}, {})
    simulator = MujocoSimulator(world, 1)
    signals = tuple(Signal(name, "as in the env") for name in NAMES)
    task = TaskSpec("", 0, SUBSTEPS * 0.005, 0, signals, (), 0, "")
    episodes, steps, one = (
        np.zeros(1, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
        np.zeros(1, dtype=np.intp),
    )
    draws = StepDraws(episodes, steps)
    draws.seed = SEED
    channels = Channels(world, simulator, task, draws, domain)
    values = domain.quantile(np.zeros((1, len(domain.names))))
    simulator.set_physics(one, domain.names, values)
    channels.set_physics(one, domain.names, values)
    channels.begin(one, np.zeros((1, 1)))
    simulator.reset(one, np.array([[0.1, 0.3]]), np.array([[0.0, 0.5]]), np.zeros((1, 1)))

    def seen():
        return np.concatenate((simulator.qpos, simulator.qvel), axis=1)

    observations, truth = [channels.first(seen(), one)[0]], [seen()[0]]
    for command in commands():
        for due in channels.schedule.due() if channels.schedule else ():
            simulator.set_physics(*due)
            channels.change(*due)
        simulator.step(channels.command(command[None].astype(float)), SUBSTEPS, None, channels.between)
        steps += 1
        truth.append(seen()[0])
        observations.append(channels.observe(seen())[0])
    return np.array(observations), np.array(truth)


@pytest.mark.parametrize("physics", DOMAINS, ids=lambda physics: next(iter(physics)))
def test_the_same_parameter_moves_and_measures_the_same_to_the_bit(scene, physics):
    domain = Domain.point(physics)
    observed, truth = theirs(scene, domain)
    expected, simulated = ours(scene, domain)
    assert np.array_equal(truth, simulated)
    assert np.array_equal(observed, expected)
    bare, bare_truth = theirs(scene, Domain({}))
    assert np.abs(observed - bare).max() > 1e-3
    assert np.array_equal(bare, bare_truth)


def test_a_noisy_episode_repeats_and_the_next_one_differs(scene):
    domain = Domain(
        {"obs_0.noise": Point(0.1), "cart.push": Point(3.0), "cart.push_interval": Uniform(0.1, 0.2)}
    )
    env = Randomize(Stranger(scene), domain)

    def episode(seed=None):
        first = env.reset(seed=seed)[0]
        return np.array([first, *(env.step(command)[0] for command in commands())])

    one, two = episode(3), episode()
    assert not np.array_equal(one, two)
    assert np.array_equal(episode(3), one)
    assert np.array_equal(episode(), two)


def test_what_drifted_is_nominal_again_in_the_next_episode(scene):
    env = Randomize(Stranger(scene), Domain({"slider.damping.drift": Point(5.0)}))
    env.reset(seed=0)
    for command in commands()[:20]:
        env.step(command)
    model = env.unwrapped.model
    assert model.dof_damping[0] == pytest.approx(0.1 + 5.0 * 19 * 0.02)
    env.reset()
    assert model.dof_damping[0] == 0.1
