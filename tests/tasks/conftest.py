"""Tasks bound to simulations of their world, and the same tasks on torch."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.tasks import TASKS
from sim2real.world import World


@pytest.fixture
def bound():
    """A world's task and simulator, begun from the given uniform numbers."""

    def bind(name, u):
        world = World.load(name)
        simulator = MujocoSimulator(world, len(u), 1)
        task = TASKS[world.task](simulator)
        ids = np.arange(len(u))
        simulator.reset(ids, *task.start(ids, u))
        return task, simulator

    return bind


@dataclass
class TorchTwin:
    """What a simulator on torch would show of the states of another one."""

    num_envs: int
    qpos: torch.Tensor
    qvel: torch.Tensor


@pytest.fixture
def agrees_with_torch():
    """Does a random episode on numpy and asks a float32 twin of the task the same at every step."""

    def compare(name, rows=4, steps=30):
        world = World.load(name)
        simulator = MujocoSimulator(world, rows, 1)
        shapes = simulator.qpos.shape[1], simulator.qvel.shape[1]
        twin = TorchTwin(rows, *(torch.zeros(rows, n, dtype=torch.float32) for n in shapes))
        task, other = TASKS[world.task](simulator), TASKS[world.task](twin)
        rng, ids = np.random.default_rng(0), np.arange(rows)
        u = rng.random((rows, task.spec.num_draws))
        begun = task.start(ids, u)
        begun_too = other.start(ids, torch.asarray(u, dtype=torch.float32))
        same(begun, begun_too)
        simulator.reset(ids, *begun)
        for _ in range(steps):
            action = rng.uniform(-1, 1, (rows, len(task.spec.action)))
            command = task.command(action)
            same([command], [other.command(torch.asarray(action, dtype=torch.float32))])
            simulator.step(command, round(task.spec.control_dt / simulator.physics_dt))
            twin.qpos[:], twin.qvel[:] = torch.asarray(simulator.qpos), torch.asarray(simulator.qvel)
            reward, ended = task.outcome()
            reward_too, ended_too = other.outcome()
            same([reward, task.observe()], [reward_too, other.observe()])
            assert np.array_equal(ended, ended_too.numpy())
            assert np.array_equal(task.succeeded(), other.succeeded().numpy())

    return compare


def same(ours, theirs):
    for one, two in zip(ours, theirs, strict=True):
        assert two.dtype == torch.float32
        np.testing.assert_allclose(np.asarray(one), two.numpy(), rtol=2e-4, atol=2e-5)
