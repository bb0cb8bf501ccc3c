"""A stranger's own env, plain numpy and no model, through train, evaluate, audit and transfer."""

import dataclasses
import re
import sys

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.documents import Section
from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor, run_episodes
from sim2real.evaluate.episodes_file import read_episodes
from sim2real.policy import Policy
from sim2real.transfer.remote import RemoteTarget
from sim2real.transfer.target import Budget, Seal, TargetEnv, salted
from sim2real.world import World

ENV = """
import gymnasium as gym
import numpy as np


class Pendulum(gym.Env):
    dt, length, mass, damping, torque = 0.05, 1.0, 1.0, 0.1, 15.0
    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def seen(self):
        return np.array([np.cos(self.angle), np.sin(self.angle), self.speed / 8], np.float32)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.angle, self.speed = self.np_random.uniform([-np.pi, -1.0], [np.pi, 1.0])
        return self.seen(), {}

    def step(self, action):
        torque = self.torque * action[0] - self.damping * self.speed
        pull = 9.81 * np.sin(self.angle) / self.length
        self.speed = np.clip(self.speed + self.dt * (pull + torque / (self.mass * self.length**2)), -8, 8)
        self.angle += self.dt * self.speed
        return self.seen(), np.cos(self.angle) - 0.01 * self.speed**2, False, False, {}


gym.register("MyPendulum-v0", entry_point="my_pendulum:Pendulum", max_episode_steps=200)
"""
PHYSICS = """
[env]
id = "MyPendulum-v0"

[env.setters]
"bob.mass" = "mass"

[training]
num_envs = 32
total_steps = 40000

[parameters]
"bob.mass" = { unit = "kg", nominal = 1.0, range = [0.7, 1.5], source = "assumed" }
"env.torque" = { unit = "N·m", nominal = 15.0, range = [12.0, 18.0], source = "assumed" }
"action_0.latency" = { unit = "physics steps", nominal = 0, range = [0, 2], source = "assumed" }

[variants.extrapolation]
heavy = { "bob.mass" = 1.6 }
late = { "action_0.latency" = 3 }
"""


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """The folder in which a stranger works, with an env and a world."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "my_pendulum.py").write_text(ENV)
    (tmp_path / "swing").mkdir()
    (tmp_path / "swing" / "physics.toml").write_text(PHYSICS)
    return tmp_path


def mean(table, policy, variant):
    return table["return"][(table["policy"] == policy) & (table["variant"] == variant)].mean()


@pytest.mark.slow
def test_the_whole_road_from_the_command_line(stranger, capsys):
    mine = ["--import", "my_pendulum"]
    assert main(["worlds", "swing", *mine]) == 0
    assert main(["audit", "swing", *mine, "--policy"]) == 0
    assert main(["train", "swing", *mine, "--out", "runs/one"]) == 0
    again = [
        "--world",
        "swing",
        *mine,
        "--target",
        "late",
        "--method",
        "fine-tune",
        "--steps",
        "19200",
        "--secret",
        "3",
    ]
    assert main(["transfer", "runs/one", *again, "--out", "runs/two"]) == 0
    said = capsys.readouterr().out
    assert "no count of joints' ends" in said
    references = {
        name: {"random": random, "oracle": 190.0} for name, random in (("nominal", -80.0), ("late", -80.0))
    }
    lines = [f"[variants.{n}]\nrandom = {r['random']}\noracle = {r['oracle']}" for n, r in references.items()]
    (stranger / "swing" / "references.toml").write_text("\n".join(lines))
    evaluate = ["evaluate", "runs/one", "runs/two", *mine, "--variants", "late", "--episodes", "16"]
    assert main([*evaluate, "--out", "runs/seen"]) == 0
    table = read_episodes("runs/seen/episodes.parquet")
    assert "success" not in table
    assert mean(table, "one", "nominal") > 120
    assert mean(table, "two", "late") > mean(table, "one", "late") + 50
    page = (stranger / "runs" / "seen" / "report.html").read_text()
    assert "No success signal" in page
    assert "normalized score" in page
    assert re.search(r"late extrapolation +│ +-?\d+\.\d +", capsys.readouterr().out)
    assert main([*evaluate, "--require", "success >= 0.5 on all", "--out", "runs/gate"]) == 2
    assert "tells nothing" in capsys.readouterr().err
    contract = Policy.load("runs/two").contract
    assert (contract.world, contract.task, contract.simulator) == ("swing", "MyPendulum-v0", "gym")
    table = Section.read_json(stranger / "runs" / "seen" / "summary.json").values
    assert {cell["success"] for cell in table["cells"]} == {None}


@pytest.mark.slow
def test_a_sealed_target_in_another_process_is_the_same(stranger):
    main(["worlds", "swing", "--import", "my_pendulum"])
    world = World.load("swing")
    make = (world, world.variant("late"), Budget(steps=4000), 4)
    here = TargetEnv(*make, seal=Seal(5))
    actions = np.random.default_rng(0).uniform(-1, 1, (220, 4, 1)).astype(np.float32)
    with RemoteTarget(*make, seal=Seal(5)) as there:
        assert (there.limited_joints, there.engine.name, there.contents) == (0, "gym", {})
        first = [target.reset(seed=1)[0] for target in (here, there)]
        assert np.array_equal(*first)
        for action in actions:
            one, other = here.step(action), there.step(action)
            assert all(np.array_equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))
        assert here.spent == there.spent
        assert here.spent.episodes == 4
        assert here.spent.limit_hits == 0


def test_an_id_with_its_module_is_a_world(stranger):
    world = World.load("gym:my_pendulum:MyPendulum-v0")
    assert world.name == "gym:my_pendulum:MyPendulum-v0"
    env = Sim2RealVectorEnv(world, 4, {"parameters": {"env.torque": 9.0}}, autoreset=False)
    assert run_episodes(RandomActor(1, 0), env, 0).lengths.tolist() == [200] * 4


@pytest.mark.parametrize("command", ["evaluate", "transfer"])
def test_a_policy_s_file_imports_no_module(stranger, capsys, command):
    (stranger / "hostile.py").write_text("raise SystemExit('ran')")
    policy = Policy.load("furuta-nominal-0")
    contract = dataclasses.replace(policy.contract, world="gym:hostile:Env-v0")
    dataclasses.replace(policy, contract=contract).save(stranger / "gift")
    more = ["--target", "late"] if command == "transfer" else []
    assert main([command, str(stranger / "gift"), *more]) == 2
    assert "its module is imported on your word alone; give --world" in capsys.readouterr().err
    assert "hostile" not in sys.modules
    assert main([command, str(stranger / "gift"), *more, "--world", "gym:hostile:Env-v0"]) == 2
    assert "can't be imported: SystemExit: ran" in capsys.readouterr().err


def test_steps_at_the_ends_of_a_model_s_joints_are_counted(stranger):
    cheetah = World.load("gym:HalfCheetah-v5")
    target = TargetEnv(cheetah, cheetah.variant("nominal"), Budget(steps=1000), 2, seal=Seal(1))
    bare = Sim2RealVectorEnv(cheetah, 2, autoreset=False)
    target.reset(seed=0)
    bare.reset(seed=salted(1, 0))
    ranged = cheetah.model.jnt_limited > 0
    columns, (low, high) = cheetah.model.jnt_qposadr[ranged], cheetah.model.jnt_range[ranged].T
    assert target.limited_joints == len(columns) == 6
    hits = 0
    for action in np.random.default_rng(0).choice([-1.0, 1.0], (40, 2, 6)).astype(np.float32):
        target.step(action)
        bare.step(action)
        at = bare.simulator.qpos[:, columns]
        hits += int(((at <= low) | (at >= high)).any(axis=1).sum())
    assert target.spent.limit_hits == hits > 0
