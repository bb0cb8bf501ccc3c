"""A stranger's humanoid, by a table alone and by a task of its own, against the plain loop of its makers."""

import dataclasses
import math
import os
import re
from pathlib import Path

import mujoco
import numpy as np
import pyarrow.parquet as pq
import pytest
import tomli_w
import torch
from array_api_compat import array_namespace

import sim2real
from sim2real.cli import main
from sim2real.documents import Section
from sim2real.evaluate.batches import VariantBatch
from sim2real.foreign import load_policy
from sim2real.world import Variant

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
        max_steps=999,
        observation=(
            *(sim2real.Signal(f"turn_{axis}", "rad/s", 4.0) for axis in "xyz"),
            *(sim2real.Signal(f"gravity_{axis}", "1") for axis in "xyz"),
            *(sim2real.Signal(f"command_{k}", "1") for k in range(3)),
            *(sim2real.Signal(f"{name}_angle", "rad") for name in JOINTS),
            *(sim2real.Signal(f"{name}_speed", "rad/s", 20.0) for name in JOINTS),
            *(sim2real.Signal(f"{name}_action", "1") for name in JOINTS),
            *(sim2real.Signal(f"phase_{name}", "1") for name in ("sin", "cos")),
        ),
        action=tuple(sim2real.Signal(f"{name}_action", "rad", 0.25) for name in JOINTS),
        num_draws=0,
        success="upright to the end",
        joints=(sim2real.Joint("floating_base_joint", "free"), *(sim2real.Joint(name) for name in JOINTS)),
        drives=tuple(sim2real.Drive(name, name, "servo") for name in JOINTS),
        action_limit=100.0,
        hold_steps=1,  # its makers let the first control step pass without the policy
    )

    def __init__(self, simulator, max_steps=None):
        self.spec = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        self.qpos, self.qvel, self.xp = simulator.qpos, simulator.qvel, array_namespace(simulator.qpos)
        self.action = self.xp.zeros_like(self.qpos[:, 7:])
        self.steps = self.xp.zeros_like(self.qpos[:, :1])
        self.row = lambda values: self.xp.asarray(values, dtype=self.qpos.dtype)

    def start(self, env_ids, u):
        ones = self.xp.ones_like(self.qpos[env_ids, :1])
        self.action[env_ids], self.steps[env_ids] = 0.0, 1.0
        qpos = ones * self.row([0, 0, 1.05, 1, *(0,) * 13])
        return qpos, ones * self.row([0.0] * 16), ones * self.row(DEFAULT)

    def command(self, action):
        self.action[:] = action
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
        phase = 2 * math.pi * (0.02 * self.steps % 0.8 / 0.8)
        ones = self.xp.ones_like(phase)
        joints, speeds = self.qpos[:, 7:] - self.row(DEFAULT), 0.05 * self.qvel[:, 6:]
        known = (0.25 * self.qvel[:, 3:6], down, ones * self.row(COMMAND), joints, speeds, self.action)
        return self.xp.concat((*known, self.xp.sin(phase), self.xp.cos(phase)), axis=1)


IO = {
    "control_dt": 0.02,
    "hold": 0.02,
    "num_obs": 41,
    "command": [0.5, 0.0, 0.0],
    "base": "floating_base_joint",
    "joints": [
        {"name": name, "default": float(default), "stiffness": float(kp), "damping": float(kd)}
        for name, default, kp, kd in zip(JOINTS, DEFAULT, KP, KD, strict=True)
    ],
    "observation": [
        {"term": "base_ang_vel", "scale": 0.25},
        {"term": "projected_gravity"},
        {"term": "command", "scale": [2.0, 2.0, 0.25]},
        {"term": "joint_pos"},
        {"term": "joint_vel", "scale": 0.05},
        {"term": "last_action"},
        {"term": "phase", "period": 0.8},
    ],
    "action": [{"term": "joint_position", "scale": 0.25}],
    "fall": {"height": 0.6},
}

MASS, FRICTION, STRENGTH = "pelvis.payload", "contacts.friction", "motors.strength"
ROWS = {  # physics, x and z in m after 20 s
    "nominal": ({}, 9.096, 1.037),
    **{
        f"{name}_{k}": ({parameter: value}, x, z)
        for name, parameter, rows in (
            ("load", MASS, ((5, 7.149, 1.016), (10, 4.567, 0.961), (20, 2.418, 0.891))),
            ("friction", FRICTION, ((0.6, 9.080, 1.039), (0.4, 8.965, 1.039), (0.3, 8.807, 1.040))),
            ("strength", STRENGTH, ((0.9, 7.452, 1.017), (0.8, 4.373, 0.950), (0.7, 2.308, 0.889))),
            ("damping", "joints.damping", ((1, 8.884, 1.036), (3, 8.432, 1.034))),
            ("armature", "joints.armature", ((0.03, 8.983, 1.037), (0.1, 8.699, 1.039))),
            (
                "late",
                "motors.latency",
                ((5, 9.080, 1.037), (10, 9.116, 1.037), (15, 8.863, 1.037), (20, 8.923, 1.038)),
            ),
        )
        for k, (value, x, z) in enumerate(rows)
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The humanoid as ``sim2real new`` has it, with the rows of its makers' table as variants."""
    folder = tmp_path_factory.mktemp("stranger") / "h1"
    sim2real.new_world(folder, H1 / "scene.xml")
    table = dict(Section.read_toml(folder / "physics.toml").values)
    table["variants"] = {"extrapolation": {name: row[0] for name, row in ROWS.items() if row[0]}}
    (folder / "physics.toml").write_text(tomli_w.dumps(table))
    return folder


@pytest.fixture(scope="module")
def by_code(folder):
    """Its motors are replaced by servos of the makers' gains, and the task is a class."""
    world = folder.with_name("h1_code")
    world.mkdir()
    for file in folder.rglob("*"):
        target = world / file.relative_to(folder)
        target.mkdir(exist_ok=True) if file.is_dir() else target.write_bytes(file.read_bytes())
    text = (world / "h1.xml").read_text()
    for name, kp, kd in zip(JOINTS, KP, KD, strict=True):
        servo = f'<position name="{name}" joint="{name}" kp="{kp}" kv="{kd}"/>'
        text, found = re.subn(rf'<motor name="{name}"[^>]*/>', servo, text)
        assert found == 1
    (world / "h1.xml").write_text(text)
    return sim2real.World.load(world).with_task(H1Walk)


@pytest.fixture(scope="module")
def by_table(folder):
    """The makers' gains, observation and action stand in a table."""
    (folder / "io.toml").write_text(tomli_w.dumps(IO))
    return sim2real.World.load(folder)


def plain(steps, change=lambda model: None):
    """Root positions of the makers' own loop after every control step. Shape (steps, 3)."""
    model = mujoco.MjModel.from_xml_path(str(H1 / "scene.xml"))
    change(model)
    data, policy = mujoco.MjData(model), torch.jit.load(H1 / "motion.pt")
    mujoco.mj_setConst(model, data)
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


def walked(world, steps, *physics):
    """The same through the env, a row for each physics; it begins after the step that the makers let pass."""
    variants = [Variant(str(k), "combined", values) for k, values in enumerate(physics or ({},))]
    env = VariantBatch(world, variants, 1).env
    policy = load_policy(f"torchscript:{H1 / 'motion.pt'}", trust=True).fitted(env)
    (seen, _), state = env.reset(seed=0), policy.start(len(variants))
    path = [env.simulator.qpos[:, :3].copy()]
    for _ in range(steps - 1):
        action, state = policy.act(seen, state)
        seen, *_ = env.step(action)
        path.append(env.simulator.qpos[:, :3].copy())
    return np.array(path)


@pytest.mark.slow
def test_its_policy_walks_as_in_the_plain_loop(by_code, by_table):
    notes = [*sim2real.check_task(by_code), *sim2real.check_task(by_table)]
    assert [note for note in notes if not note.startswith(("no draws", "observations command"))] == []
    found = walked(by_table, 50)
    np.testing.assert_allclose(found[:, 0], plain(50), atol=1e-6)
    np.testing.assert_array_equal(found, walked(by_code, 50))


def heavier(model):
    model.body("pelvis").mass += 10


def weaker(model):
    model.actuator_gainprm[:, 0] *= 0.7
    model.jnt_actfrcrange *= 0.7  # what a weak motor gives at most


@pytest.mark.slow
def test_other_physics_in_one_batch_is_that_of_the_plain_loop(by_table):
    rows = {heavier: {MASS: 10}, weaker: {STRENGTH: 0.7}, lambda model: None: {}}
    found = walked(by_table, 50, *rows.values())
    for row, change in enumerate(rows):
        np.testing.assert_allclose(found[:, row], plain(50, change), atol=1e-6)


@pytest.mark.slow
def test_one_command_evaluates_it(by_table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    policy = f"torchscript:{H1 / 'motion.pt'}"
    main(["evaluate", policy, "--world", str(by_table.path), "--trust", "--variants", "load_2", "friction_0"])
    assert "wrote runs/evaluate-h1/report.html" in capsys.readouterr().out
    table = pq.read_table(tmp_path / "runs" / "evaluate-h1" / "episodes.parquet").to_pydict()
    assert table["variant"] == ["nominal", "load_2", "friction_0"]
    assert table["length"] == [999] * 3
    assert table["return"][1] < 0.5 * table["return"][0]  # it hardly gets on with 20 kg


@pytest.mark.slow
def test_the_table_of_its_makers(by_table, by_code):
    """Every row of it, in one batch, after 20 s."""
    policy, ends = load_policy(f"torchscript:{H1 / 'motion.pt'}", trust=True), []
    for world in (by_table, by_code):
        batch = VariantBatch(world, list(world.variants.values()), 1)
        assert batch.run(policy.fitted(batch.env), 0).lengths.tolist() == [999] * len(ROWS)
        ends.append(batch.env.simulator.qpos.copy())
    for end, (name, (_, x, z)) in zip(ends[0], ROWS.items(), strict=True):
        assert end[0] == pytest.approx(x, rel=0.05), name
        assert end[2] == pytest.approx(z, abs=0.05), name
    np.testing.assert_array_equal(*ends)
