"""The road from recordings to a better policy: budget, files that it goes on from, and where it leads."""

import dataclasses
from functools import partial

import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.errors import BudgetExhausted, InvalidValue
from sim2real.evaluate.rollouts import Trials, mean_returns
from sim2real.identify.rollout_fit import FitSettings
from sim2real.identify.search import SearchSettings
from sim2real.learn.callbacks import Checkpoints
from sim2real.policy import Policy
from sim2real.recordings.rollouts import Rollouts
from sim2real.transfer.identify_and_train import (
    RoadSettings,
    Training,
    continue_training,
    identify_and_train,
)
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.world import World

QUICK = RoadSettings(steps=40, train_steps=4096, fit=FitSettings(search=SearchSettings(4, 6)))


@pytest.fixture(scope="module")
def furuta():
    return World.load("furuta")


@pytest.fixture(scope="module")
def policy():
    return Policy.load("furuta-nominal-0")


@pytest.fixture(scope="module")
def bounds(furuta):
    names = ("pole.mass", "motor.strength", "motor.latency")
    return Domain({name: furuta.training_domain.parameters[name] for name in names})


def target_of(world, steps, rows=4):
    return TargetEnv(world, world.variant("combined_a"), Budget(steps=steps), num_envs=rows)


@pytest.mark.slow
def test_rounds_record_fit_and_train_and_everything_is_counted_and_kept(furuta, policy, bounds, tmp_path):
    target = target_of(furuta, 320)
    settings = dataclasses.replace(QUICK, rounds=2)
    closed = identify_and_train(policy, target, furuta, tmp_path, bounds, settings)
    assert target.spent.steps == closed.rollouts.steps == 320
    assert target.spent.episodes == 8
    assert len(closed.rollouts.episodes) == 8
    assert len(closed.fits) == 2
    assert closed.policy.contract.label == "identified"
    steps = [(step.method, step.steps) for step in closed.policy.contract.provenance[-2:]]
    assert steps == [("train", 4096)] * 2
    assert Domain.load(tmp_path / "round-1" / "identified.toml") == closed.domain
    assert np.array_equal(
        Policy.load(tmp_path / "policy").weights["actor.0.weight"], closed.policy.weights["actor.0.weight"]
    )
    first = Rollouts.load(tmp_path / "round-0" / "rollouts.npz")
    assert first.steps == 160
    again = identify_and_train(policy, target_of(furuta, 1), furuta, tmp_path, bounds, settings)
    assert again.domain == closed.domain, "recordings that were made are not made again"


def test_a_budget_that_does_not_pay_is_refused_before_anything_is_written(furuta, policy, bounds, tmp_path):
    with pytest.raises(BudgetExhausted):
        identify_and_train(policy, target_of(furuta, 100), furuta, tmp_path, bounds, QUICK)
    assert not list(tmp_path.rglob("*.npz"))
    with pytest.raises(InvalidValue, match="rounds = 0 is out of reach"):
        RoadSettings(rounds=0)


@pytest.mark.slow
def test_recordings_of_another_policy_are_not_taken_for_this_ones(furuta, policy, bounds, tmp_path):
    identify_and_train(policy, target_of(furuta, 160), furuta, tmp_path, bounds, QUICK)
    other = Policy.load("furuta-nominal-1")
    with pytest.raises(InvalidValue, match="in another target, by another policy or with other settings"):
        identify_and_train(other, target_of(furuta, 160), furuta, tmp_path, bounds, QUICK)
    elsewhere = TargetEnv(furuta, furuta.variant("combined_b"), Budget(steps=160), 4)
    with pytest.raises(InvalidValue, match="in another target"):
        identify_and_train(policy, elsewhere, furuta, tmp_path, bounds, QUICK)
    assert elsewhere.spent.steps == 0


@pytest.mark.slow
def test_a_checkpoint_of_another_start_is_not_gone_on_from(furuta, policy, tmp_path, monkeypatch):
    """Both trainings have the same folder, domain, seed and settings; the first one is interrupted."""
    other = Policy.load("furuta-nominal-1")
    other = dataclasses.replace(other, contract=dataclasses.replace(other.contract, seed=0))
    domain, training = Domain.point({"pole.mass": 0.03}), Training(4096)
    fresh = continue_training(policy, furuta, domain, tmp_path / "fresh", training)
    monkeypatch.setattr("sim2real.learn.learn.Checkpoints", partial(Checkpoints, every=1))
    with monkeypatch.context() as patch:
        patch.setattr("sim2real.learn.train.measured", interrupted)
        with pytest.raises(KeyboardInterrupt):
            continue_training(other, furuta, domain, tmp_path / "again", training)
    assert (tmp_path / "again.training" / "checkpoint.safetensors").is_file()
    learnt = continue_training(policy, furuta, domain, tmp_path / "again", training)
    assert np.array_equal(learnt.weights["actor.0.weight"], fresh.weights["actor.0.weight"])


@pytest.mark.slow
def test_seeds_of_one_method_are_of_one_kind_though_they_learn_other_domains(furuta, policy, tmp_path):
    name = target_of(furuta, 1).name
    learnt = []
    for seed, mass in enumerate((0.03, 0.031)):
        start = dataclasses.replace(policy, contract=dataclasses.replace(policy.contract, seed=seed))
        training, domain = Training(4096, target=name), Domain.point({"pole.mass": mass})
        learnt.append(continue_training(start, furuta, domain, tmp_path / str(seed), training))
    assert learnt[0].lineage == learnt[1].lineage
    assert name in learnt[0].lineage
    assert learnt[0].contract.provenance[-1].domain != learnt[1].contract.provenance[-1].domain


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_a_nominal_policy_gets_the_gap_closed(furuta, policy, bounds, tmp_path):
    settings = RoadSettings(train_steps=240_000, fit=FitSettings(search=SearchSettings(25, 10)))
    target = target_of(furuta, 800, rows=5)
    closed = identify_and_train(policy, target, furuta, tmp_path, bounds, settings)
    assert closed.fits[0].values["motor.latency"] == 4.0
    variant = furuta.variant("combined_a")
    before, after = (
        mean_returns(furuta, actor, [variant], Trials(32))["combined_a"] for actor in (policy, closed.policy)
    )
    assert after > before + 60
