"""Sobol indices against a function whose indices are known, and planted parameters; the solved-volume map."""

import contextlib
import json

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.distributions import Samples, Uniform
from sim2real.domain import Correlation, Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate import sensitivity as module
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.evaluate.sensitivity import sensitivity
from sim2real.evaluate.solved_map import solved_map
from sim2real.policy import Policy
from sim2real.world import World

WORLD = World.load("cartpole")
POLICY = Policy.load("cartpole-nominal-0")
TWO = Domain({"motor.strength": Uniform(0.3, 1.1), "hinge.damping": Uniform(1e-6, 5e-6)})


def ishigami(u):
    """Ishigami & Homma 1990 with a = 7, b = 0.1."""
    x = (2 * u - 1) * np.pi
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_indices_of_ishigamis_function():
    a, b, *mixed = map(ishigami, module._designs(3, 4096, 0))
    first, total = module._indices(a, b, np.array(mixed))
    assert first == pytest.approx([0.3139, 0.4424, 0.0], abs=0.02)
    assert total == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.02)


def test_designs_differ_in_one_column():
    a, b, *mixed = module._designs(3, 8, 1)
    for k, design in enumerate(mixed):
        assert (design[:, k] == b[:, k]).all()
        others = [j for j in range(3) if j != k]
        assert (design[:, others] == a[:, others]).all()


def test_a_planted_parameter_explains_the_spread():
    found = sensitivity(WORLD, [POLICY], TWO, 16, Trials(2))
    first, second = found.indices
    assert (first.name, second.name) == ("motor.strength", "hinge.damping")
    assert first.total.value > 0.8 > 0.05 > second.total.value
    assert first.total.interval[0] < first.total.value < first.total.interval[1]
    assert found.deviation > 1


def test_what_has_no_indices():
    with pytest.raises(InvalidValue, match="no power of 2"):
        sensitivity(WORLD, [POLICY], TWO, 100)
    with pytest.raises(InvalidValue, match="no policies"):
        sensitivity(WORLD, [], TWO)
    with pytest.raises(InvalidValue, match="one physics"):
        sensitivity(WORLD, [POLICY], Domain.point({"cart.mass": 1.2}))
    tied = Domain(TWO.parameters, Correlation(TWO.names, ((1.0, 0.5), (0.5, 1.0))))
    rows = Domain({"cart.mass": Samples((0.8, 1.2)), "pole.mass": Samples((0.1, 0.2))})
    for together in (tied, rows):
        with pytest.raises(InvalidValue, match="drawn together"):
            sensitivity(WORLD, [POLICY], together)


def test_a_map_against_an_evaluation_of_each_physics():
    domain = Domain({"motor.strength": Uniform(0.3, 1.1), "cart.mass": Uniform(0.8, 3.0)})
    trials = Trials(4, seed=3)
    found = solved_map(WORLD, [POLICY], domain, {"motor.strength": 3, "cart.mass": 2}, 0.8, trials)
    assert found.values == (pytest.approx((0.3, 0.7, 1.1)), (0.8, 3.0))
    for k, strength in enumerate(found.values[0]):
        for j, mass in enumerate(found.values[1]):
            point = Domain.point({"motor.strength": strength, "cart.mass": mass})
            table = run_policies(WORLD, [POLICY], [point], trials)
            assert found.means[k][j] == table["success"][table["variant"] == "domain_1"].mean()
    share = np.mean(np.array(found.means) >= 0.8)
    assert found.solved.value == share
    low, high = found.solved.interval
    assert 0 <= low <= share <= high <= 1
    assert 0 < share < 1


def test_what_is_no_map():
    with pytest.raises(InvalidValue, match="two axes, not 1"):
        solved_map(WORLD, [POLICY], TWO, {"motor.strength": 3})
    with pytest.raises(UnknownName, match="unknown parameter of the domain"):
        solved_map(WORLD, [POLICY], TWO, {"motor.strength": 3, "cart.mass": 3})
    with pytest.raises(InvalidValue, match="threshold 2"):
        solved_map(WORLD, [POLICY], TWO, dict.fromkeys(TWO.names, 3), 2.0)


@pytest.mark.slow
def test_the_commands_write_numbers_and_pictures(tmp_path, capsys):
    with contextlib.chdir(tmp_path):
        TWO.save("two.toml")
        few = "--domain two.toml --episodes 2 --out out"
        assert main(["attribute", POLICY.name, *few.split(), "--samples", "8"]) == 0
        assert main(["attribute", POLICY.name, *few.split(), "--samples", "9"]) == 2
        search = f"worst {POLICY.name} {few} --generations 1 --fresh 4 --map motor.strength:3 hinge.damping:2"
        assert main(search.split()) == 0
    told = json.loads((tmp_path / "out" / "sensitivity.json").read_text())
    assert [index["name"] for index in told["indices"]] == ["motor.strength", "hinge.damping"]
    assert np.shape(json.loads((tmp_path / "out" / "map.json").read_text())["means"]) == (3, 2)
    for name in ("sensitivity.png", "map.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert "32 physics × 2 starts" in shown
    assert "is solved: a success of at least" in shown
