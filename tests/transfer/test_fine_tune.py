"""Fine-tuning is careful in the ways that it says, spends its budget and no more, and signs its work."""

import dataclasses

import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback

from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import BudgetExhausted, InvalidValue, PolicyError, UnknownName
from sim2real.learn.hooks import Hooks, critic_first
from sim2real.learn.learn import Monitor, learn
from sim2real.learn.settings import PPOSettings
from sim2real.learn.train import train
from sim2real.policy import Policy
from sim2real.transfer.demonstrations import demonstrations
from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
from sim2real.transfer.retention import states_of
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.world import World

QUICK = FineTuneSettings(rollout_steps=16, batch_size=32, epochs=2)
ROUND = 16 * 4  # control steps of one update of four rows


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory, pendulum_files):
    folder = tmp_path_factory.mktemp("worlds") / "pendulum"
    folder.mkdir()
    for name, text in zip(("scene.xml", "physics.toml"), pendulum_files, strict=True):
        (folder / name).write_text(text)
    return World.load(folder)


@pytest.fixture(scope="module")
def source(pendulum, tmp_path_factory):
    """A policy with a normalizer of its own, barely trained."""
    settings = PPOSettings(
        total_steps=512,
        num_envs=8,
        rollout_steps=16,
        batch_size=64,
        epochs=2,
        hidden=(16, 8),
        normalize_observations=True,
    )
    return train(pendulum, tmp_path_factory.mktemp("runs") / "source", seed=5, settings=settings)


def target_of(world, **limits):
    return TargetEnv(world, world.variant("heavy"), Budget(**limits), num_envs=4, seal=Seal(secret=0))


def actor(weights):
    return {key: array for key, array in weights.items() if key.startswith("actor") or key == "log_std"}


def moved(before, after):
    return [key for key, array in before.items() if not np.array_equal(array, after[key])]


def test_spends_whole_updates_and_signs(pendulum, source):
    target = target_of(pendulum, steps=5 * ROUND + 30)
    adapted = fine_tune(source, target, QUICK, seed=8)
    assert target.spent.steps == 5 * ROUND
    assert target.spent.steps + target.steps_left == 5 * ROUND + 30
    assert adapted.contract.label == "fine-tuned"
    assert adapted.contract.provenance[:-1] == source.contract.provenance
    step = adapted.contract.provenance[-1]
    assert (step.method, step.domain, step.steps, step.seed) == ("fine-tune", {}, 5 * ROUND, 8)
    assert step.settings["normalizer"] == "frozen"
    assert step.settings["episodes"] == target.spent.episodes
    assert moved(source.weights, adapted.weights)
    again = fine_tune(adapted, target_of(pendulum, steps=ROUND), QUICK, seed=9)
    assert [s.method for s in again.contract.provenance] == ["train", "fine-tune", "fine-tune"]


def test_chain_goes_through_a_folder(pendulum, source, tmp_path):
    adapted = fine_tune(source, target_of(pendulum, steps=2 * ROUND), QUICK)
    adapted.save(tmp_path / "adapted")
    loaded = Policy.load(tmp_path / "adapted")
    assert loaded.contract == adapted.contract
    assert "2. fine-tune: 128 control steps" in (tmp_path / "adapted" / "README.md").read_text()


def test_nothing_of_the_target_is_in_the_result(pendulum, source):
    adapted = fine_tune(source, target_of(pendulum, steps=ROUND), QUICK)
    assert "heavy" not in repr(adapted.contract)
    assert "pole.mass" not in repr(adapted.contract.provenance[-1])


def test_same_seed_same_result(pendulum, source):
    a, b, c = (fine_tune(source, target_of(pendulum, steps=2 * ROUND), QUICK, seed) for seed in (1, 1, 2))
    assert moved(a.weights, b.weights) == []
    assert moved(a.weights, c.weights)


def test_without_a_warm_up_all_of_the_actor_moves_at_once(pendulum, source):
    before = {**actor(source.weights), "log_std": np.log(np.full(1, 0.2, np.float32))}
    settings = dataclasses.replace(QUICK, critic_warmup=0.0)
    adapted = fine_tune(source, target_of(pendulum, steps=ROUND), settings)
    assert set(moved(before, adapted.weights)) == set(before)


class Watch(BaseCallback):
    """Keeps the weights as they are at the start of every rollout."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        self.seen.append(self.model.policy_now().weights)


@pytest.mark.parametrize(("warmup", "frozen"), [(0.0, 0), (1 / 7, 1), (2.5 / 7, 2), (4 / 7, 4)])
def test_warm_up_leaves_the_actor_alone_to_the_bit_while_the_critic_moves(pendulum, source, warmup, frozen):
    settings = PPOSettings(total_steps=7 * ROUND, rollout_steps=16, batch_size=32, epochs=2)
    watch, hooks = Watch(), Hooks(critic_first(source.network, warmup))
    learn(target_of(pendulum, steps=10**6), source, settings, hooks=hooks, monitor=Monitor((watch,)))
    for update in range(6):
        before, after = watch.seen[update], watch.seen[update + 1]
        assert bool(moved(actor(before), actor(after))) == (update >= frozen)
        critic = {key: array for key, array in before.items() if key.startswith("critic")}
        assert set(moved(critic, after)) == set(critic)


def test_rehearsal_steps_the_source_beside_the_target_and_says_so(pendulum, source):
    settings = dataclasses.replace(QUICK, rehearsal=0.5)
    target = target_of(pendulum, steps=3 * ROUND)
    plain = fine_tune(source, target_of(pendulum, steps=3 * ROUND), QUICK, seed=2)
    adapted = fine_tune(source, target, settings, seed=2, source=Source(pendulum))
    assert target.spent.steps == 3 * ROUND
    told = adapted.contract.provenance[-1].settings
    assert (told["rehearsal"], told["rehearse"], told["source_steps"]) == (0.5, "own", 3 * ROUND)
    assert plain.contract.provenance[-1].settings["source_steps"] == 0
    assert moved(plain.weights, adapted.weights)
    quarter = dataclasses.replace(QUICK, rehearsal=0.2, rehearse="training")
    adapted = fine_tune(source, target_of(pendulum, steps=ROUND), quarter, source=Source(pendulum))
    assert adapted.contract.provenance[-1].settings["source_steps"] == ROUND / 4
    with pytest.raises(InvalidValue, match="what keeps the source needs the source"):
        fine_tune(source, target_of(pendulum, steps=ROUND), settings)


@pytest.mark.parametrize(
    "settings",
    [{"source_kl": 30.0}, {"l2sp": 3.0}, {"ewc": 30.0}, {"average": 0.05}],
    ids=lambda kept: next(iter(kept)),
)
def test_what_keeps_the_source_keeps_the_actions_in_its_states(pendulum, source, settings):
    """All of them leave the policy nearer to what it did in the source than tuning alone does."""
    quick = dataclasses.replace(QUICK, critic_warmup=0.0, learning_rate=2.0, target_kl=10.0)
    states = states_of(source, Source(pendulum), "nominal", seed=11)
    assert states.shape == (3200, 5)
    before, _ = source.act(states)
    changes = []
    for kept in ({}, settings):
        told = dataclasses.replace(quick, **kept)
        adapted = fine_tune(source, target_of(pendulum, steps=20 * ROUND), told, source=Source(pendulum))
        changes.append(np.abs(adapted.act(states)[0] - before).mean())
        assert {name: adapted.contract.provenance[-1].settings[name] for name in kept} == kept
    assert changes[1] < 0.8 * changes[0]


@pytest.mark.slow
def test_own_states_are_those_of_the_training_and_nominal_ones_of_a_policy_that_tells_of_none(
    pendulum, source, tmp_path
):
    heavy = Domain.point({"pole.mass": 0.5})
    begun = PPOSettings(total_steps=128, num_envs=8, rollout_steps=16, batch_size=64)
    policy = train(pendulum, tmp_path / "heavy", heavy, settings=begun)
    untold = dataclasses.replace(policy, contract=dataclasses.replace(policy.contract, provenance=()))
    std = np.exp(policy.weights["log_std"])
    for one, domain in ((policy, heavy), (untold, None)):
        by_hand, _ = demonstrations(one, Sim2RealVectorEnv(pendulum, 16, domain), 200, std, 4)
        np.testing.assert_array_equal(states_of(one, Source(pendulum), "own", 4), by_hand)
    assert not np.array_equal(*(states_of(policy, Source(pendulum), name, 4) for name in ("own", "nominal")))


def test_frozen_normalizer(pendulum, source):
    adapted = fine_tune(source, target_of(pendulum, steps=3 * ROUND), QUICK)
    for key in ("normalizer.mean", "normalizer.std"):
        np.testing.assert_allclose(adapted.weights[key], source.weights[key], rtol=2e-6)


def test_adapted_normalizer_moves_a_little(pendulum, source):
    settings = dataclasses.replace(QUICK, normalizer="adapted")
    adapted = fine_tune(source, target_of(pendulum, steps=3 * ROUND), settings)
    shift = np.abs(adapted.weights["normalizer.mean"] - source.weights["normalizer.mean"])
    assert 0 < shift.max() < 0.05


def test_fresh_normalizer_forgets_the_source(pendulum, source):
    """Whatever the source's statistics, what is seen in the target decides."""
    other = dict(source.weights)
    other["normalizer.mean"] = other["normalizer.mean"] + 7
    other["normalizer.std"] = other["normalizer.std"] * 3
    settings = dataclasses.replace(QUICK, normalizer="fresh", critic_warmup=0.9)
    # the actor is the same but for its input, so both act alike while it is frozen
    results = [
        fine_tune(Policy(source.contract, source.network, w), target_of(pendulum, steps=2 * ROUND), settings)
        for w in (source.weights, other)
    ]
    for key in ("normalizer.mean", "normalizer.std"):
        np.testing.assert_array_equal(results[0].weights[key], results[1].weights[key])
        assert not np.allclose(results[0].weights[key], source.weights[key])


def test_policy_that_does_not_fit(source):
    with pytest.raises(PolicyError, match="world: 'pendulum' against 'furuta'"):
        fine_tune(source, TargetEnv("furuta", Domain({}), Budget(steps=10**4)))


def test_budget_too_small_for_an_update(pendulum, source):
    target = target_of(pendulum, steps=ROUND - 1)
    with pytest.raises(
        BudgetExhausted, match="63 steps don't pay for one update of 64; raise the budget or lower"
    ):
        fine_tune(source, target, QUICK)
    assert target.spent.steps == 0
    short = target_of(pendulum, episodes=3)
    with pytest.raises(BudgetExhausted, match="the budget episodes 3 does not allow another step of 4 rows"):
        fine_tune(source, short, QUICK)


@pytest.mark.parametrize("rate", [1e3, 1e30])
def test_learning_that_diverges_keeps_the_last_good_policy_and_says_so(pendulum, source, rate, caplog):
    target = target_of(pendulum, steps=6 * ROUND)
    settings = dataclasses.replace(QUICK, learning_rate=rate, critic_warmup=0.0)
    with np.errstate(all="ignore"):
        adapted = fine_tune(source, target, settings, seed=2)
    assert moved(source.weights, adapted.weights) == ["log_std"]  # which exploration begins with
    told = adapted.contract.provenance[-1].settings
    assert "the update after 64 control steps of all envs led to" in told["diverged"]
    assert "learning diverged and ended early" in caplog.text
    assert target.spent.steps == told["steps"] == ROUND
    plain = fine_tune(source, target_of(pendulum, steps=2 * ROUND), QUICK, seed=2)
    assert "diverged" not in plain.contract.provenance[-1].settings


def test_limit_on_episodes_keeps_what_was_learnt(tmp_path):
    """Falls end a rollout midway; the updates before it count, and the same again is possible at once."""
    settings = PPOSettings(
        total_steps=128, num_envs=8, rollout_steps=16, batch_size=64, epochs=1, hidden=(8,)
    )
    source = train("hopper", tmp_path / "hops", settings=settings)
    for _ in range(2):
        target = TargetEnv("hopper", Domain({}), Budget(episodes=12), num_envs=4)
        adapted = fine_tune(source, target, dataclasses.replace(QUICK, critic_warmup=0.0), progress=True)
        assert 8 < target.spent.episodes <= 12
        assert target.spent.steps % ROUND, "the last rollout was cut short"
        assert moved(actor(source.weights), actor(adapted.weights))
        assert adapted.contract.provenance[-1].steps == target.spent.steps


def test_limit_on_episodes_alone_sets_the_length_of_the_warm_up(pendulum, source):
    """Four episodes of 250 steps are 1000 steps; the warm-up is a tenth of that, not of infinity."""
    target = target_of(pendulum, episodes=4)
    assert target.steps_left == 1000
    adapted = fine_tune(source, target, QUICK)
    assert target.spent.steps == 15 * ROUND
    assert moved(actor(source.weights), actor(adapted.weights)) == list(actor(source.weights))


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        (
            {"normalizer": "forzen"},
            UnknownName,
            "unknown normalizer handling 'forzen': did you mean 'frozen'",
        ),
        (
            {"rehearse": "trainig"},
            UnknownName,
            "unknown domain to rehearse 'trainig': did you mean 'training'",
        ),
        ({"rehearsal": 1.0}, InvalidValue, "rehearsal = 1 is out of reach"),
        ({"source_kl": -1.0}, InvalidValue, "source_kl = -1 is out of reach"),
        ({"critic_warmup": 1.0}, InvalidValue, "critic_warmup = 1 is out of reach"),
        ({"critic_warmup": -0.1}, InvalidValue, "critic_warmup = -0.1 is out of reach"),
        ({"critic_warmup": float("nan")}, InvalidValue, "critic_warmup = nan is out of reach"),
    ],
)
def test_settings_that_can_not_be(changes, kind, said):
    with pytest.raises(kind, match=said):
        FineTuneSettings(**changes)
