"""A simulator of one's own, by name: it steps envs, trains and is refused like any other."""

import sys

import numpy as np
import pytest

import sim2real
from sim2real.cli import main
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName
from sim2real.registry import Registry
from sim2real.simulators import ENGINES, Engine, make_simulator
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

MODULE = """
import sim2real
from sim2real.simulators.mujoco import MujocoSimulator


@sim2real.register_simulator("half")
class Half(MujocoSimulator):
    '''Whose motors give half of what they are told.'''

    def step(self, ctrl, substeps, env_ids=None, between=None):
        super().step(ctrl / 2, substeps, env_ids, between)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, write_world):
    monkeypatch.setattr(ENGINES, "_registered", {})
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "halved.py").write_text(MODULE)
    yield write_world()
    sys.modules.pop("halved", None)


def path_of(world, simulator, factor):
    env = Sim2RealVectorEnv(world, 3, simulator=simulator)
    seen, path = env.reset(seed=1)[0], []
    for k in range(40):
        action = factor * np.sin(0.3 * k + np.arange(3, dtype=np.float32))[:, None]
        seen = env.step(action)[0]
        path.append(seen)
    return np.array(path)


@pytest.mark.slow
def test_it_steps_envs_and_trains_by_its_name(elsewhere):
    words = ["--simulator", "half", "--import", "halved", "--steps", "4096", "--out", "policy"]
    assert main(["train", str(elsewhere), *words]) == 0
    assert sim2real.Policy.load("policy").contract.simulator == "half"
    world = World.load(elsewhere)
    np.testing.assert_array_equal(path_of(world, "half", 0.8), path_of(world, "mujoco", 0.4))
    assert np.abs(path_of(world, "half", 0.8) - path_of(world, "mujoco", 0.8)).max() > 0.01


def test_names_are_unique_and_what_is_none_is_refused(elsewhere):
    with pytest.raises(UnknownName, match=r"unknown simulator 'half': .*known: bullet, mujoco, warp"):
        make_simulator(Engine("half"), World.load(elsewhere), 1)
    with pytest.raises(InvalidValue, match="two simulators are named 'mujoco'"):
        sim2real.register_simulator("mujoco")(MujocoSimulator)
    with pytest.raises(InvalidValue, match="is no simulator; register 'mine' as a class with the methods"):
        sim2real.register_simulator("mine")(dict)


def test_packages_offer_simulators(elsewhere, tmp_path, monkeypatch):
    offered = tmp_path / "offered-1.0.dist-info"
    offered.mkdir()
    (offered / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (offered / "entry_points.txt").write_text("[sim2real.simulators]\nother = halved:Half\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    engines = Registry("simulator", ENGINES.group, {}, lambda _, simulator: simulator)
    assert list(engines) == ["other"]
    assert engines["other"].__name__ == "Half"
