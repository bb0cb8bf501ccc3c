"""A stranger's humanoid as a task of its own, by public names alone, against the plain loop of its makers."""

import dataclasses
import math
import os
import re
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from array_api_compat import array_namespace

import sim2real

H1 = (
    Path(os.environ.get("SIM2REAL_STRANGERS", Path(__file__).resolve().parents[3] / "shared" / "strangers"))
    / "h1"
)
JOINTS = [
    f"{side}_{joint}_joint"
    for side in ("left", "right")
    for joint in ("hip_yaw", "hip_roll", "hip_pitch", "knee", "ankle")
]
KP, KD = np.array([150, 150, 150, 200, 40] * 2), np.array([2, 2, 2, 4, 2] * 2)
DEFAULT, COMMAND = np.array([0, 0, -0.1, 0.3, -0.2] * 2), np.array([0.5, 0, 0]) * (2, 2, 0.25)
FULL = 16.0  # what the env's action of 1 means to the policy; a power of 2, so that nothing is rounded
pytestmark = [
    pytest.mark.skipif(not H1.is_dir(), reason="data beside the checkout: a stranger's humanoid"),
    pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated"),
]


class H1Walk:
    """Walk forward at 0.5 m/s; the control law is that of servos in the scene."""

    spec = sim2real.TaskSpec(
        name="h1-walk",
        version=0,
        control_dt=0.02,
        max_steps=1000,
        observation=(
            *(sim2real.Signal(f"turn_{axis}", "rad/s", 4.0) for axis in "xyz"),
            *(sim2real.Signal(f"gravity_{axis}", "1") for axis in "xyz"),
            *(sim2real.Signal(f"command_{k}", "1") for k in range(3)),
            *(sim2real.Signal(f"{name}_angle", "rad") for name in JOINTS),
            *(sim2real.Signal(f"{name}_speed", "rad/s", 20.0) for name in JOINTS),
            *(sim2real.Signal(f"{name}_action", "1") for name in JOINTS),
            *(sim2real.Signal(f"phase_{name}", "1") for name in ("sin", "cos")),
        ),
        action=tuple(sim2real.Signal(name, "of its full action", FULL) for name in JOINTS),
        num_draws=0,
        success="upright to the end",
        joints=(sim2real.Joint("floating_base_joint", "free"), *(sim2real.Joint(name) for name in JOINTS)),
        drives=tuple(sim2real.Drive(name, name, "servo") for name in JOINTS),
    )

    def __init__(self, simulator, max_steps=None):
        self.spec = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        self.qpos, self.qvel, self.xp = simulator.qpos, simulator.qvel, array_namespace(simulator.qpos)
        self.action = self.xp.zeros_like(self.qpos[:, 7:])
        self.steps = self.xp.zeros_like(self.qpos[:, :1])
        self.row = lambda values: self.xp.asarray(values, dtype=self.qpos.dtype)

    def start(self, env_ids, u):
        ones = self.xp.ones_like(self.qpos[env_ids, :1])
        self.action[env_ids], self.steps[env_ids] = 0.0, 0.0
        qpos = ones * self.row([0, 0, 1.05, 1, *(0,) * 13])
        return qpos, ones * self.row([0.0] * 16), ones * self.row(DEFAULT)

    def command(self, action):
        self.action[:] = FULL * action
        return 0.25 * self.action + self.row(DEFAULT)

    def outcome(self):
        self.steps += 1
        fallen = self.qpos[:, 2] < 0.6 * 1.05
        return self.qvel[:, 0] + 0.0, fallen

    def succeeded(self):
        return self.qpos[:, 2] > 0.6 * 1.05

    def observe(self):
        w, x, y, z = (self.qpos[:, k] for k in (3, 4, 5, 6))
        down = self.xp.stack((2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1), axis=1)
        phase = 2 * math.pi * (0.02 * self.steps / 0.8 % 1.0)
        ones = self.xp.ones_like(phase)
        joints, speeds = self.qpos[:, 7:] - self.row(DEFAULT), 0.05 * self.qvel[:, 6:]
        known = (0.25 * self.qvel[:, 3:6], down, ones * self.row(COMMAND), joints, speeds, self.action)
        return self.xp.concat((*known, self.xp.sin(phase), self.xp.cos(phase)), axis=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The humanoid as ``sim2real new`` has it, its motors replaced by servos of the makers' gains."""
    folder = tmp_path_factory.mktemp("stranger") / "h1"
    sim2real.new_world(folder, H1 / "scene.xml")
    text = (folder / "h1.xml").read_text()
    for name, kp, kd in zip(JOINTS, KP, KD, strict=True):
        servo = f'<position name="{name}" joint="{name}" kp="{kp}" kv="{kd}"/>'
        text, found = re.subn(rf'<motor name="{name}"[^>]*/>', servo, text)
        assert found == 1
    (folder / "h1.xml").write_text(text)
    return sim2real.World.load(folder)


def plain(steps):
    """Root positions of the makers' own loop after every control step. Shape (steps, 3)."""
    model = mujoco.MjModel.from_xml_path(str(H1 / "scene.xml"))
    data, policy = mujoco.MjData(model), torch.jit.load(H1 / "motion.pt")
    action, path = np.zeros(10), []
    for step in range(steps):
        for _ in range(10):
            data.ctrl = KP * (0.25 * action + DEFAULT - data.qpos[7:]) - KD * data.qvel[6:]
            mujoco.mj_step(model, data)
        path.append(data.qpos[:3].copy())
        w, x, y, z = data.qpos[3:7]
        down = [2 * (w * y - x * z), -2 * (y * z + w * x), 2 * (x * x + y * y) - 1]
        phase = 2 * np.pi * ((step + 1) * 0.02 % 0.8) / 0.8
        known = (0.25 * data.qvel[3:6], down, COMMAND, data.qpos[7:] - DEFAULT, 0.05 * data.qvel[6:], action)
        seen = np.concatenate((*known, [np.sin(phase), np.cos(phase)])).astype(np.float32)
        with torch.no_grad():
            action = policy(torch.from_numpy(seen)[None])[0].numpy().astype(float)
    return np.array(path)


def walked(world, steps, domain=None):
    """The same through the env; the makers let the first control step pass without the policy."""
    env = sim2real.Sim2RealVectorEnv(world, 1, domain, task=H1Walk, autoreset=False)
    policy = torch.jit.load(H1 / "motion.pt")
    env.reset(seed=0)
    action, path = np.zeros((1, 10), np.float32), []
    for _ in range(steps):
        seen, *_ = env.step(action)
        path.append(env.simulator.qpos[0, :3].copy())
        with torch.no_grad():
            action = policy(torch.from_numpy(seen)).numpy() / FULL
    return np.array(path)


def test_its_policy_walks_as_in_the_plain_loop(world):
    notes = sim2real.check_task(world, H1Walk)
    assert [note for note in notes if not note.startswith(("no draws", "observations command"))] == []
    one, other = plain(50), walked(world, 50)
    np.testing.assert_allclose(other, one, atol=1e-6)


@pytest.mark.slow
def test_it_walks_for_twenty_seconds_unless_its_motors_are_weak(world):
    end = walked(world, 1000)[-1]
    assert end[0] == pytest.approx(9.096, rel=0.05)
    assert end[2] > 1.0
    weak = walked(world, 1000, {"parameters": {"motors.strength": 0.7}})[-1]
    assert weak[0] == pytest.approx(2.308, rel=0.2)
