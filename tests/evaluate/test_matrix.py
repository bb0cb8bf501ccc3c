"""The matrix of methods and places against evaluations one by one."""

import contextlib
import dataclasses

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.episodes_file import read_episodes
from sim2real.evaluate.matrix import matrix, places, rows_of
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.policy import Policy
from sim2real.world import World

WORLD = World.load("cartpole")
POLICIES = [Policy.load(f"cartpole-{label}-{k}") for label in ("nominal", "randomized") for k in range(3)]


@pytest.mark.slow
def test_cells_are_evaluations():
    trials = Trials(3, seed=4)
    found = matrix(POLICIES, places([WORLD], domains=["nominal", "combined_a", "training"]), trials)
    assert found.report.labels == ("nominal", "randomized")
    assert found.report.variants == ("nominal", "combined_a", "training")
    for k, label in enumerate(found.report.labels):
        table = run_policies(WORLD, POLICIES[3 * k : 3 * k + 3], ["combined_a"], trials)
        for variant in ("nominal", "combined_a"):
            own = table["return"][table["variant"] == variant]
            cell = found.report.cell(label, variant)
            assert cell.returns.value == pytest.approx(own.mean())
            assert cell.returns.n == 3
            assert cell.returns.interval is not None
    drawn = found.episodes["return"][found.episodes["variant"] == "training"]
    assert len(set(drawn.tolist())) == len(POLICIES) * 3


def test_columns_are_every_combination():
    bullet = [place.name for place in places([WORLD], ["mujoco", "bullet"])]
    assert bullet == ["mujoco", "bullet"]
    both = places([WORLD, World.load("furuta")], ["mujoco"], ["nominal", "training"])
    assert [place.name for place in both] == [
        "cartpole in nominal in mujoco",
        "cartpole in training in mujoco",
        "furuta in nominal in mujoco",
        "furuta in training in mujoco",
    ]
    assert not both[1].variant.domain.is_point
    with pytest.raises(InvalidValue, match="two columns are called 'mujoco'"):
        places([WORLD], ["mujoco", "mujoco"])
    with pytest.raises(UnknownName, match="did you mean 'combined_a'"):
        places([WORLD], domains=["combned_a"])
    with pytest.raises(InvalidValue, match="no world"):
        places([])


def test_rows_tell_where_policies_were_trained():
    contract = dataclasses.replace(POLICIES[0].contract, simulator="bullet")
    other = dataclasses.replace(POLICIES[0], contract=contract)
    assert rows_of([POLICIES[0], other]) == ["nominal, mujoco", "nominal, bullet"]
    assert rows_of(POLICIES[:2]) == ["nominal", "nominal"]
    hopper = Policy.load("hopper-nominal-0")
    assert rows_of([POLICIES[0], hopper]) == ["nominal, cartpole", "nominal, hopper"]


def test_what_does_not_fit_a_world_is_left_out_and_said():
    both = places([WORLD, World.load("furuta")])
    policies = [POLICIES[0], Policy.load("furuta-nominal-0")]
    found = matrix(policies, both, Trials(2))
    assert set(found.refused) == {("nominal, furuta", "cartpole"), ("nominal, cartpole", "furuta")}
    assert found.report.cell("nominal, furuta", "furuta") is not None
    assert found.report.cell("nominal, furuta", "cartpole") is None
    with pytest.raises(InvalidValue, match="no policy fits"):
        matrix(policies[1:], both[:1], Trials(2))
    with pytest.raises(InvalidValue, match="no policies"):
        matrix([], both)


@pytest.mark.slow
def test_the_command_prints_and_writes_it(tmp_path, capsys):
    pytest.importorskip("pybullet")
    with contextlib.chdir(tmp_path):
        names = [policy.name for policy in POLICIES[:3]]
        run = ["matrix", "cartpole", "--policies", *names, "--episodes", "2", "--out", "out"]
        assert main([*run, "--simulators", "mujoco", "bullet"]) == 0
        table = read_episodes("out/matrix.parquet")
        assert (tmp_path / "out" / "matrix.png").read_bytes().startswith(b"\x89PNG")
        assert main([*run, "--simulators", "bulet"]) == 2
        assert main(["matrix", "nowhere"]) == 2
    told = capsys.readouterr()
    assert "bullet" in told.out
    assert "· 1.00" in told.out
    assert "did you mean 'bullet'" in told.err
    assert set(table["variant"].tolist()) == {"mujoco", "bullet"}
    assert np.isfinite(table["return"]).all()
