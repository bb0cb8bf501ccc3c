"""What knowing a parameter is worth: which domains are trained in, how numbers are made, and what is kept."""

import contextlib
import dataclasses
import json

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.distributions import LogUniform, Point, Uniform
from sim2real.errors import InvalidValue, UnknownName
from sim2real.policy import Policy
from sim2real.transfer import worth as module
from sim2real.transfer.worth import Question, arms, halved, worth_of_knowing
from sim2real.world import World

WORLD = World.load("cartpole")
TWO = ("motor.strength", "motor.latency")


def test_arms_know_one_thing_more():
    variant = WORLD.variant("combined_a")
    box = WORLD.training_domain.parameters
    found = arms(WORLD, variant, Question(parameters=TWO, halved=True))
    assert list(found) == ["nothing", *TWO, *(f"half of {name}" for name in TWO), "all"]
    assert found["nothing"].parameters == box
    for name in TWO:
        value = variant.physics.get(name, WORLD.nominal[name])
        assert found[name].parameters == {**box, name: Point(value)}
        low, high = found[f"half of {name}"].parameters[name].support()
        assert box[name].support()[0] <= low < high <= box[name].support()[1]
    assert {n for n, d in found["all"].parameters.items() if isinstance(d, Point)} == set(TWO)
    assert list(arms(WORLD, variant, Question())) == ["nothing", *variant.physics, "all"]


def test_half_of_a_range_is_around_the_value_and_inside():
    assert halved("pole.mass", Uniform(1.0, 3.0), 2.0) == Uniform(1.5, 2.5)
    assert halved("pole.mass", Uniform(1.0, 3.0), 3.0) == Uniform(2.0, 3.0)
    assert halved("pole.mass", Uniform(1.0, 3.0), 9.0) == Uniform(2.0, 3.0)
    half = halved("hinge.damping", LogUniform(1e-4, 1.0), 1e-2)
    assert half.support() == pytest.approx((1e-3, 1e-1))
    assert halved("motor.latency", Uniform(0, 8), 4.0) == Uniform(2.0, 6.0)


def test_shares_are_the_formula():
    rng = np.random.default_rng(0)
    nothing = rng.normal(100, 1, (4, 1, 8))
    returns = {"nothing": nothing, "a": nothing + 30, "b": nothing + 0.0, "all": nothing + 40}
    variant = dataclasses.replace(WORLD.variant("combined_a"), physics={"a": 1.0, "b": 2.0})
    one, other = (module._known(name, WORLD, variant, returns) for name in ("a", "b"))
    assert one.gained.value == pytest.approx(30)
    assert one.left.value == pytest.approx(0.25)
    assert other.left.value == pytest.approx(1.0)
    assert other.halved is None
    useless = module._known("a", WORLD, variant, {**returns, "all": nothing - 1})
    assert useless.left is None


def test_what_can_not_be_asked(tmp_path):
    policy = Policy.load("cartpole-nominal-0")
    with pytest.raises(InvalidValue, match="nominal is nominal"):
        worth_of_knowing(WORLD, [policy], "nominal", tmp_path)
    with pytest.raises(UnknownName, match="did you mean"):
        worth_of_knowing(WORLD, [policy], "combned_a", tmp_path)
    with pytest.raises(UnknownName, match="unknown parameter"):
        worth_of_knowing(WORLD, [policy], "combined_a", tmp_path, Question(parameters=("cart.mas",)))
    with pytest.raises(InvalidValue, match="0 methods"):
        worth_of_knowing(WORLD, [], "combined_a", tmp_path)
    with pytest.raises(InvalidValue, match="steps = 0 is out of reach"):
        Question(steps=0)


@pytest.mark.slow
def test_the_command_trains_once_and_says_what_to_measure(tmp_path, capsys):
    run = "worth cartpole-nominal-0 --target combined_a --parameters motor.strength --steps 4096 --episodes 4"
    with contextlib.chdir(tmp_path):
        assert main(run.split()) == 0
        first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
        assert main(run.split()) == 0
        assert {path: path.stat().st_mtime_ns for path in first} == first, "trained again"
        (file,) = tmp_path.rglob("worth.json")
    told = json.loads(file.read_text())
    assert told["trainings"] == 3
    assert [one["name"] for one in told["parameters"]] == ["motor.strength"]
    assert "None is shown to be worth measuring" in capsys.readouterr().out
