"""What a reviewer's or a robot's input may have wrong: a sentence each, and no report of half of it."""

import contextlib

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.errors import PolicyError
from sim2real.evaluate.episodes_file import read_episodes, write_episodes
from sim2real.evaluate.gap import gap_report
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.evaluate.verdict import headline, verdict
from sim2real.foreign import load_policy
from sim2real.policy import Policy
from sim2real.world import Variant, World

WORLD = World.load("furuta")  # episodes of 400 steps


class Until:
    """Acts well for 300 steps, and then goes wrong."""

    def __init__(self, wrong):
        self.wrong, self.steps = wrong, 0

    def __call__(self, observation):
        self.steps += 1
        action = np.zeros((len(observation), 1), dtype=np.float32)
        return action if self.steps <= 300 else self.wrong(action)


def fail(_):
    raise RuntimeError("the camera is gone")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda action: action + np.nan, "gives actions that are not finite"),
        (
            lambda action: np.tile(action, (2, 1)),
            "gives actions of shape (4, 1) for observations of shape (2, 6)",
        ),
        (lambda action: action[:, 0], "gives actions of shape (2,)"),
        (fail, "the camera is gone"),
    ],
    ids=["NaN", "rows", "shape", "raises"],
)
def test_a_policy_that_goes_wrong_at_step_300_is_named(wrong, said):
    policy = load_policy(Until(wrong))
    with pytest.raises(PolicyError) as told:
        run_policies(WORLD, [policy], [], Trials(2))
    assert said in str(told.value)
    assert policy.name in str(told.value)
    assert "\n" not in str(told.value)


def test_two_actions_where_one_is_meant_are_refused():
    policy = load_policy(Until(lambda action: np.tile(action, (1, 2))))
    with pytest.raises(PolicyError, match="2"):
        run_policies(WORLD, [policy], [], Trials(2))


def test_equal_returns_are_undecided_and_finite():
    row = {"label": "a", "lineage": "a", "policy": "a", "seed": 0, "variant": "v", "group": "combined"}
    end = {"episode": 0, "return": 5.0, "length": 3, "success": False, "diverged": False}
    rows = [
        {**row, **end, "label": label, "lineage": label, "seed": seed, "variant": variant, "group": group}
        for label in ("nominal", "other")
        for seed in range(3)
        for variant, group in (("nominal", "control"), ("v", "combined"))
    ]
    report = gap_report({name: np.array([one[name] for one in rows]) for name in rows[0]}, {})
    assert {c.difference.verdict for c in report.cells if c.difference} == {"undecided"}
    assert not headline(report)
    assert "nan" not in " ".join(verdict(report))


def test_a_variant_that_an_engine_can_not_have_is_refused_by_name(tmp_path, capsys):
    with contextlib.chdir(tmp_path):
        (tmp_path / "windy.toml").write_text('[parameters]\n"world.wind_x" = 3.0\n')
        run = (
            "evaluate quadrotor-nominal-0 --variants windy.toml --simulator bullet --episodes 1 --allow-dead"
        )
        assert main(run.split()) == 2
        told = capsys.readouterr().err
        assert "world.wind_x" in told
        assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*/report.html"))


def test_policies_of_two_contracts_in_one_table(capsys):
    assert main(["evaluate", "furuta-nominal-0", "hopper-nominal-0", "--variants", "combined_a"]) == 2
    assert "does not fit" in capsys.readouterr().err


def test_a_run_folder_of_an_older_version_is_compared(tmp_path, capsys):
    policy = Policy.load("furuta-nominal-0")
    table = run_policies(WORLD, [policy], ["combined_a"], Trials(2))
    older = {name: column for name, column in table.items() if name not in ("lineage", "seen")}
    with contextlib.chdir(tmp_path):
        write_episodes(older, "old/episodes.parquet")
        assert set(read_episodes("old/episodes.parquet")["seen"].tolist()) == {""}
        run = f"evaluate {policy.name} --variants combined_a --episodes 2 --compare old --out new"
        assert main(run.split()) == 0
    assert "repeats the other run's episodes to the bit on 2 variants" in capsys.readouterr().out


def test_two_variants_of_one_name_are_not_mixed(tmp_path, capsys):
    with contextlib.chdir(tmp_path):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "point.toml").write_text('[parameters]\n"pole.mass" = 0.03\n')
        assert main(["evaluate", "furuta-nominal-0", "--variants", "a/point.toml", "b/point.toml"]) == 2
    assert "two variants are called 'point'" in capsys.readouterr().err


def test_physics_outside_what_a_quantity_can_have_is_refused():
    with pytest.raises(ValueError, match=r"pole\.mass = -1"):
        run_policies(
            WORLD, [Policy.load("furuta-nominal-0")], [Variant("a", "combined", {"pole.mass": -1.0})]
        )
