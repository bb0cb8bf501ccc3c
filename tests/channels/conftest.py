"""A cart with a pole and any channels, the same without, and the same engine on torch tensors."""

import numpy as np
import pytest
import torch

from sim2real import env as env_module
from sim2real.env import Sim2RealVectorEnv
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

UNITS = {
    "pole": "kg",
    "cart_position": "m",
    "cart_velocity": "m/s",
    "pole_cos": "1",
    "pole_sin": "1",
    "pole_velocity": "rad/s",
    "motor": "N",
}


def table(name, nominal, unit=None, elements=None, limits=None):
    """One parameter in TOML."""
    unit = UNITS.get(name.split(".")[0]) if unit is None else unit
    text = f'[parameters."{name}"]\nunit = "{unit}"\nnominal = {nominal}\nsource = "made up"\n'
    text += f"range = {limits}\n" if limits else ""
    return text + (f"elements = {list(elements)}\n" if elements else "")


@pytest.fixture(autouse=True)
def _any_cart(of_any_cart):
    """Carts with servos, pucks without a pole."""


@pytest.fixture
def make_world(write_world, pendulum_files):
    """The cart with more parameters in TOML, and with changes of its scene."""

    def make(*tables, scene=pendulum_files[0], name="pendulum"):
        return World.load(write_world(scene, pendulum_files[1] + "\n".join(tables), name))

    return make


def roll(env, steps, seed=0, physics=None):
    """Observations after a reset and after random actions. Shape (steps + 1, num_envs, n)."""
    if physics:
        env.set_physics(tuple(physics), np.tile(list(physics.values()), (env.num_envs, 1)))
    rng = np.random.default_rng(3)
    seen = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        action = rng.uniform(-1, 1, env.action_space.shape)
        seen.append(env.step(action)[0])
    return np.array([np.asarray(one) for one in seen], dtype=np.float64)


class TorchSimulator:
    """MuJoCo behind torch tensors that share its memory: the same numbers in the other namespace."""

    def __init__(self, world, num_envs, num_threads=0):
        self._inner = MujocoSimulator(world, num_envs, num_threads)
        self.qpos, self.qvel = torch.from_numpy(self._inner.qpos), torch.from_numpy(self._inner.qvel)

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def reset(self, env_ids, *start):
        self._inner.reset(env_ids, *(part.numpy() for part in start))

    def step(self, ctrl, *arguments):
        self._inner.step(ctrl.numpy(), *arguments)

    def delay_commands(self, steps):
        self._inner.delay_commands(steps.numpy())


for _name in ("diverged", "force", "actuator_force", "dry_friction", "force_limit", "speed", "load_force"):

    def _shared(self, *arguments, _name=_name):
        array = getattr(self._inner, _name)(*arguments)
        return torch.from_numpy(array if array.flags.writeable else array.copy())

    setattr(TorchSimulator, _name, _shared)


@pytest.fixture
def torch_env(monkeypatch):
    """Make an env whose simulator hands out torch tensors."""

    def make(*arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(
                env_module,
                "make_simulator",
                lambda engine, world, num_envs: TorchSimulator(world, num_envs, engine.threads),
            )
            return Sim2RealVectorEnv(*arguments, **options)

    return make


@pytest.fixture
def tools():
    """Functions of this file for the tests of the room."""
    return table, roll
