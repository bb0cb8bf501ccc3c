"""The process of a user is left as it was: handlers, generators, threads, filters, variables, files."""

import random

import numpy as np
import pytest
import torch

from sim2real.process import undisturbed

LOOK = """
import os, random, signal, sys, threading, warnings
import mujoco, numpy as np, torch

def warned(text):
    pass

mujoco.set_mju_user_warning(warned)
torch.set_num_threads(3)
for seed in (random.seed, np.random.seed, torch.manual_seed):
    seed(12)

def look():
    return {
        "MuJoCo's handler": mujoco.get_mju_user_warning() is warned,
        "threads of torch": torch.get_num_threads(),
        "type of torch": torch.get_default_dtype(),
        "random": random.getstate(),
        "numpy": str(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "numpy's errors": np.geterr(),
        "filters": list(warnings.filters),
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "variables": dict(os.environ),
        "folder": (os.getcwd(), sorted(os.listdir())),
        "printing": sys.displayhook,
    }

def check(before):
    after = look()
    assert not (wrong := [name for name in before if before[name] != after[name]]), wrong
"""

IMPORTS = """
import gymnasium, importlib, pkgutil
import matplotlib.pyplot, scipy.sparse, scipy.special, stable_baselines3
import torch._dynamo, torch._inductor.config
before = look()
import sim2real
for module in pkgutil.walk_packages(sim2real.__path__, "sim2real."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
check(before)
"""

RANDOMIZES = """
import gymnasium as gym
from sim2real.domain import Domain
from sim2real.distributions import Uniform
from sim2real.wrappers import Randomize
bare = gym.make("Hopper-v5")
bare.reset(seed=0)
before = look()
physics = {"torso.mass": Uniform(2, 6), "leg_joint.latency": Uniform(0, 6)}
physics["foot_joint.stiffness"] = Uniform(0, 1e6)  # it blows up under the audit
env = Randomize(gym.make("Hopper-v5"), Domain(physics))
env.reset(seed=0)
for _ in range(5):
    env.step(np.zeros(3, np.float32))
check(before)
"""

STEPS = """
from sim2real.env import Sim2RealVectorEnv
before = look()
env = Sim2RealVectorEnv("furuta", 4, "training")
env.reset(seed=0)
for _ in range(5):
    env.step(env.action_space.sample())
check(before)
env.simulator.qvel[:] = 1e12  # it diverges, which is counted and told to nobody else
env.step(env.action_space.sample())
check(before)
"""

TRAINS = """
from pathlib import Path
from sim2real.learn.settings import PPOSettings
from sim2real.learn.train import train
settings = PPOSettings(total_steps=128, num_envs=2, rollout_steps=16, batch_size=16, epochs=1, hidden=(8,))
before = look()
one = train("cartpole", Path(sys.argv[1]) / "a", seed=3, settings=settings)
check(before)
random.seed(1), np.random.seed(2), torch.manual_seed(3)
two = train("cartpole", Path(sys.argv[1]) / "b", seed=3, settings=settings)
assert all(np.array_equal(one.weights[name], two.weights[name]) for name in one.weights)
"""


@pytest.mark.slow
def test_what_belongs_to_the_process_is_as_it_was(python, tmp_path):
    """In one process, for the imports take longest; what libraries do at theirs is theirs."""
    python(LOOK + IMPORTS + RANDOMIZES + STEPS + TRAINS, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sim2real", "/usr/bin/sim2real.py", "python"])
def test_ids_are_registered_whatever_the_program_is_called(python, name):
    program = f"import sys; sys.argv = [{name!r}]; import sim2real, gymnasium as gym; "
    assert "CartPole" in python(program + "print(gym.make('sim2real/CartPole-v0'))")


@undisturbed()
def spoil():
    """What learners do."""
    torch.set_num_threads(2)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(1)


def test_generators_and_threads_go_on_where_they_were():
    def numbers():
        return random.random(), np.random.random(), torch.rand(1).item(), torch.get_num_threads()  # noqa: NPY002

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(5)
    expected = numbers()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(5)
    spoil()
    assert numbers() == expected
