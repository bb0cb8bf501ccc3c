"""Small envs as people write them: on gymnasium's `MujocoEnv`, from a scene that the test gives."""

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco import MujocoEnv


class Inline(MujocoEnv):
    """Positions and velocities of a scene; its reset may make its model, its data, or some numbers anew."""

    metadata = {"render_modes": []}  # noqa: RUF012
    anew = None

    def __init__(self, path, frame_skip=2):
        self.path = str(path)
        model = mujoco.MjModel.from_xml_path(self.path)
        space = gym.spaces.Box(-np.inf, np.inf, (model.nq + model.nv,), np.float64)
        super().__init__(self.path, frame_skip, observation_space=space)

    def seen(self):
        return np.concatenate((self.data.qpos, self.data.qvel))

    def step(self, action):
        self.do_simulation(action, self.frame_skip)
        return self.seen(), 0.0, False, False, {}

    def reset_model(self):
        if self.anew == "model":
            self.model = mujoco.MjModel.from_xml_path(self.path)
        if self.anew in ("model", "data"):
            self.data = mujoco.MjData(self.model)
        if self.anew == "numbers":
            self.model.body_mass[:] = mujoco.MjModel.from_xml_path(self.path).body_mass
        self.set_state(self.init_qpos, self.init_qvel)
        return self.seen()


ARM = """
<mujoco model="arm">
  <option timestep="0.005"/>
  <worldbody>
    <geom name="floor" type="plane" size="3 3 1" friction="0.5"/>
    <body name="link" pos="0 0 1">
      <joint name="hinge" axis="0 1 0" damping="0.1" armature="0.01"/>
      <geom name="rod" type="capsule" fromto="0 0 0 .3 0 0" size=".02" mass=".5"/>
    </body>
    <body name="box" pos="1 0 .1">
      <freejoint name="loose"/>
      <geom name="cube" type="box" size=".1 .1 .1"/>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="hinge" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


@pytest.fixture
def arm():
    """An arm with one joint, and a loose box on a floor."""
    return ARM


@pytest.fixture
def inline(tmp_path):
    """Makes such an env of a scene."""

    def make(scene, anew=None):
        path = tmp_path / f"scene-{abs(hash(scene))}.xml"
        path.write_text(scene)
        env = Inline(path)
        env.anew = anew
        return env

    return make


@pytest.fixture
def rolled():
    """Observations of some steps of fixed random actions after a reset."""

    def roll(env, steps=40, seed=3):
        low, high = np.maximum(env.action_space.low, -1), np.minimum(env.action_space.high, 1)
        actions = np.random.default_rng(seed).uniform(low, high, (steps, len(low))).astype(np.float32)
        return np.array([env.reset(seed=seed)[0], *(env.step(action)[0] for action in actions)])

    return roll
