"""Work that is kept is done again when code of a user's own in it was edited: channels, tasks, envs."""

import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import gymnasium
import pytest

from sim2real.distributions import Point
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.evaluate.rollouts import Trials
from sim2real.fingerprint import code_in, code_of, fingerprint
from sim2real.parameters import CHANNELS
from sim2real.policy import Policy
from sim2real.registry import load_module
from sim2real.simulators import ENGINES
from sim2real.tasks import CartPole
from sim2real.transfer.cells import Cell
from sim2real.transfer.methods import METHODS, make_method
from sim2real.transfer.target import Budget
from sim2real.world import Variant, World

POLICY = Policy.load("cartpole-nominal-0")

OWN = """
import gymnasium
import sim2real
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.tasks import CartPole


def bent(numbers, values):
    return numbers + values


@sim2real.register_channel("bend")
class Bend(sim2real.Channel):
    acts = "command"

    def apply(self, numbers, values, rows):
        return bent(numbers, values)


class Higher(CartPole):
    pass


@sim2real.register_simulator("mine")
class Mine(MujocoSimulator):
    pass


def make():
    return gymnasium.make("Pendulum-v1")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Loads the module with a text in it, as a new process does."""
    monkeypatch.chdir(tmp_path)

    def load(text=OWN):
        Path("own.py").write_text(text)
        sys.modules.pop(str(tmp_path / "own.py"), None)
        return load_module("own.py")

    with CHANNELS.aside(), ENGINES.aside():
        yield load
    sys.modules.pop(str(tmp_path / "own.py"), None)


def cell_of(world, physics=None, simulator="mujoco", method="fine-tune"):
    target = Variant("there", "combined", {}, drawn=Domain(physics or {}))
    target = replace(target, simulator=simulator)
    return Cell(world, POLICY, target, method, make_method(method), Budget(steps=400), (target,), Trials(4))


def test_cell_is_another_when_code_of_a_channel_task_or_simulator_is_edited(own):
    own()
    world = World.load("cartpole")

    def keys(text):
        module = own(text)
        return [
            cell_of(world, {"motor.bend": Point(0.1)}).key(),
            cell_of(world.with_task(module.Higher)).key(),
            cell_of(world, simulator="mine").key(),
            cell_of(world).key(),
        ]

    first, again, edited = keys(OWN), keys(OWN), keys(OWN.replace("numbers + values", "numbers - values"))
    assert first == again
    assert [one == other for one, other in zip(first, edited, strict=True)] == [False, False, False, True]
    assert len(set(first)) == 4


def test_stage_is_another_when_code_in_its_world_is_edited(own):
    world = World.load("cartpole").with_task(own().Higher)
    domain = Domain({"motor.bend": Point(0.1)})
    first = fingerprint(world), fingerprint(World.load("cartpole").for_domain(domain))
    edited = own(OWN.replace("pass", "...").replace("numbers + values", "numbers - values"))
    world = world.with_task(edited.Higher)
    assert fingerprint(world) != first[0]
    assert fingerprint(World.load("cartpole").for_domain(domain)) != first[1]


def test_code_of_a_callable_that_makes_an_env_counts_and_of_a_registered_env_too(own):
    made = code_in(World.of_env(own().make, name="mine"))
    assert "def make" in "".join(made[0])
    (registered,) = code_in(World.load("gym:Pendulum-v1"))
    assert "class PendulumEnv" in "".join(registered)
    assert gymnasium.spec("Pendulum-v1").entry_point.endswith("PendulumEnv")


def test_what_came_with_the_package_has_no_code_of_ones_own_and_acts_as_it_did():
    world = World.load("cartpole")
    assert code_in(world, [world.training_domain], ["mujoco", "bullet"]) == []
    assert code_in(world.with_task("cartpole")) == []
    assert code_in(world.with_task(CartPole)) == []
    assert Sim2RealVectorEnv(world.with_task(CartPole), 1).task.name == "cartpole"


def test_code_of_a_method_is_that_of_all_classes_it_is_made_of(own):
    known = "".join(code_of(METHODS["rehearsal"]))
    assert "class Rehearsal(FineTune)" in known
    assert "class Parts" in known
    assert "class Retention" in known
    assert version("sim2real") in known
    assert "def bent" in "".join(code_of(own().Bend))
    assert code_of(type("Typed", (), {"__module__": "nowhere"}))[1:] == ["Typed"]
