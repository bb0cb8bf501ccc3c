"""Every task on torch: torch's meta device, which has shapes but no numbers, stands for a GPU."""

import numpy as np
import pytest
import torch

from sim2real.catalog import entries
from sim2real.tasks import TASKS
from sim2real.world import World

ROWS = 4


class Bodies:
    """What a task reads of a simulator, as tensors on a device that must not be mixed with the CPU."""

    def __init__(self, model, device):
        self.model, self.num_envs = model, ROWS
        self.qpos = torch.zeros(ROWS, model.nq, device=device)
        self.qvel = torch.zeros(ROWS, model.nv, device=device)

    def joints(self, names):
        joints = [self.model.joint(name) for name in names]
        return np.array([j.qposadr[0] for j in joints]), np.array([j.dofadr[0] for j in joints])

    def limits(self, joint):
        low, high = self.model.joint(joint).range
        return float(low), float(high)

    def site(self, name):
        return torch.zeros_like(self.qpos[:, :3])


@pytest.mark.parametrize("name", entries("envs"))
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_task_stays_on_the_device_of_its_simulator(name, device):
    world = World.load(name)
    task = TASKS[world.task](Bodies(world.model, device))
    rows, draws = np.array([0, 2]), task.spec.num_draws
    qpos, qvel, ctrl = task.start(rows, torch.zeros(len(rows), draws, device=device))
    command = task.command(torch.zeros(ROWS, len(task.spec.action), device=device))
    reward, terminated = task.outcome()
    observation, success = task.observe(), task.succeeded()
    floats, flags = (qpos, qvel, ctrl, command, reward, observation), (terminated, success)
    assert {tensor.device.type for tensor in (*floats, *flags)} == {device}
    assert {tensor.dtype for tensor in floats} == {torch.float32}
    assert {tensor.dtype for tensor in flags} == {torch.bool}
    assert qpos.shape == (len(rows), world.model.nq)
    assert ctrl.shape == (len(rows), world.model.nu)
    assert observation.shape == (ROWS, len(task.spec.observation))
