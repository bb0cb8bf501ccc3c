"""What holds learning back does so by its equation, and moves what it says in a real training."""

import dataclasses

import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, PolicyError, UnknownName
from sim2real.learn.hooks import Average, Hooks, critic_first
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.learn import Monitor, learn
from sim2real.learn.regularizers import L2SP, Anchor, anchor_to, fisher
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.learn.vec_env import SB3VecEnv, SideBySide
from sim2real.policy import Layer, Network, Policy
from sim2real.policy.surgery import add_low_rank, merge_low_rank
from sim2real.world import World

TINY = PPOSettings(total_steps=512, num_envs=8, rollout_steps=16, batch_size=64, epochs=2, hidden=(16, 8))


@pytest.fixture
def env(write_world):
    return Sim2RealVectorEnv(World.load(write_world()), 8)


@pytest.fixture
def policy(env):
    return fresh_policy(env, TINY, seed=1)


def moved(policy, learnt):
    return {name for name, array in policy.weights.items() if not np.array_equal(array, learnt.weights[name])}


def states_of(count=200):
    return np.random.default_rng(3).normal(size=(count, 5)).astype(np.float32)


def test_free_parts_alone_move(env, policy):
    learnt = learn(env, policy, TINY, hooks=Hooks(free=["actor.2", "critic"])).policy
    assert moved(policy, learnt) == {
        name for name in policy.weights if name.startswith(("actor.2.", "critic."))
    }
    with pytest.raises(UnknownName, match=r"unknown part of the network 'actor.3'"):
        learn(env, policy, TINY, hooks=Hooks(free=["actor.3"]))
    with pytest.raises(UnknownName, match="unknown part of the network 'normalizer'"):
        learn(env, policy, TINY, hooks=Hooks(rates={"normalizer": 2.0}))


def test_low_rank_layers_learn_alone_and_merge_exactly(env, policy):
    lora = add_low_rank(policy, ("actor.0", "actor.1"), rank=2)
    learnt = learn(env, lora, TINY, hooks=Hooks(free=["actor.0.lora", "actor.1.lora"])).policy
    assert moved(lora, learnt) == {f"actor.{k}.lora.{array}" for k in (0, 1) for array in "AB"}
    states = states_of()
    np.testing.assert_allclose(merge_low_rank(learnt).act(states)[0], learnt.act(states)[0], atol=1e-6)


def test_unfreezing_by_share_of_the_training(env, policy):
    parts = (["actor.2"], ["actor.2", "actor.1"])
    hooks = Hooks(free=lambda done: parts[done > 0.5])
    half = learn(env, policy, dataclasses.replace(TINY, total_steps=256), hooks=Hooks(free=parts[0])).policy
    whole = learn(env, policy, TINY, hooks=hooks).policy
    assert moved(policy, half) == {"actor.2.weight", "actor.2.bias"}
    assert moved(policy, whole) == {f"actor.{k}.{kind}" for k in (1, 2) for kind in ("weight", "bias")}


def test_critic_first_knows_the_critic_of_a_shared_trunk():
    layers = (
        Layer("trunk", "dense", ("observation",)),
        Layer("act", "dense", ("trunk",)),
        Layer("judge", "dense", ("trunk",)),
    )
    free = critic_first(Network(layers, {"action": "act", "value": "judge"}), 0.1)
    assert list(free(0.1)) == ["judge"]
    assert list(free(0.2)) == ["trunk", "act", "judge", "log_std"]


@pytest.mark.parametrize("elastic", [False, True])
def test_l2sp_holds_the_weights_where_they_began(env, policy, elastic):
    """The gradient is the closed form's; a strong one leaves the actor nearly where it was."""
    rng = np.random.default_rng(0)
    start = {"actor.0.weight": policy.weights["actor.0.weight"]}
    importance = {"actor.0.weight": rng.uniform(size=(16, 5)).astype(np.float32)} if elastic else {}
    values = {"actor.0.weight": start["actor.0.weight"] + rng.normal(size=(16, 5)).astype(np.float32)}
    grads = {"actor.0.weight": np.ones((16, 5), np.float32)}
    L2SP(start, 3.0, importance).add_gradient(values, grads)
    pull = 3.0 * (values["actor.0.weight"] - start["actor.0.weight"]) * importance.get("actor.0.weight", 1.0)
    np.testing.assert_allclose(grads["actor.0.weight"], 1 + pull, rtol=1e-6)
    penalties = [L2SP(policy.weights, strength) for strength in (0.0, 100.0)]
    far, near = (learn(env, policy, TINY, hooks=Hooks(penalties=[p])).policy for p in penalties)
    distances = [
        np.linalg.norm(p.weights["actor.1.weight"] - policy.weights["actor.1.weight"]) for p in (far, near)
    ]
    assert distances[1] < 0.5 * distances[0]


def test_fisher_is_the_mean_square_of_the_score(env, policy):
    """For one linear layer the score is z/σ · x: its mean square is known."""
    layers = (Layer("act", "dense", ("observation",)), Layer("judge", "dense", ("observation",)))
    network = Network(layers, {"action": "act", "value": "judge"})
    weights = {
        "act.weight": np.zeros((1, 5), np.float32),
        "act.bias": np.zeros(1, np.float32),
        "judge.weight": np.zeros((1, 5), np.float32),
        "judge.bias": np.zeros(1, np.float32),
        "log_std": np.log(np.full(1, 0.3, np.float32)),
    }
    states = states_of(20_000) * np.float32([1, 2, 0.5, 1, 1])
    found = fisher(Policy(policy.contract, network, weights), states)
    assert set(found) == {"act.weight", "act.bias"}
    wanted = np.array([1, 4, 0.25, 1, 1]) / 4
    np.testing.assert_allclose(found["act.weight"][0], wanted, rtol=0.1)
    np.testing.assert_allclose(found["act.bias"][0], 1 / 4, rtol=0.1)


@pytest.mark.slow
def test_an_anchor_teaches_a_student_what_a_teacher_does(env, policy):
    """Distillation: with a strong anchor the policy acts as the other one in those states."""
    teacher = fresh_policy(env, TINY, seed=7)
    weights = {**teacher.weights, "actor.2.weight": 30 * teacher.weights["actor.2.weight"]}
    teacher = dataclasses.replace(teacher, weights=weights)
    states = states_of()
    settings = dataclasses.replace(TINY, total_steps=8192, learning_rate=3e-3, target_kl=1e9)
    far, near = (
        learn(env, policy, settings, hooks=Hooks(anchors=[anchor_to(teacher, states, s)])).policy
        for s in (0.0, 100.0)
    )
    wanted, _ = teacher.act(states)
    errors = [np.abs(p.act(states)[0] - wanted).mean() for p in (far, near)]
    assert errors[1] < 0.3 * errors[0]
    with pytest.raises(InvalidValue, match="an anchor of 3 observations and 2 actions"):
        Anchor(states[:3], wanted[:2], 1.0)


def test_gradient_of_an_anchor_by_finite_differences(env, policy):
    """Of strength times the mean KL divergence, (μ − μ₀)² / 2σ² summed over actions."""
    states = states_of(50)
    actions = np.full((50, 1), 0.2, np.float32)
    model = LeanPPO(
        policy, SB3VecEnv(env), TINY, hooks=Hooks(anchors=[Anchor(states, actions, 3.0, rows=50)])
    )
    np.random.seed(0)  # noqa: NPY002 - what minibatches are drawn with
    pull = model._pull()[model.parameters.slices["actor.1.weight"]]
    np.random.seed(0)  # noqa: NPY002
    rows = np.random.randint(50, size=50)  # noqa: NPY002
    std = np.exp(model.parameters.values["log_std"])

    def loss(shift):
        weights = {**policy.weights, "actor.1.weight": policy.weights["actor.1.weight"] + shift}
        mean = Policy(policy.contract, policy.network, weights).act(states[rows])[0]
        return 3.0 * float(((mean - actions[rows]) ** 2 / (2 * std**2)).sum(axis=1).mean())

    direction = np.random.default_rng(1).normal(size=(8, 16)).astype(np.float32)
    slope = (loss(1e-2 * direction) - loss(-1e-2 * direction)) / 2e-2
    assert np.dot(pull, direction.ravel()) == pytest.approx(slope, rel=2e-2)


def test_average_is_that_of_the_weights_after_updates(env, policy):
    kept = []

    class Keep(LeanPPO):
        def _update_average(self):
            super()._update_average()
            kept.append(self.parameters.value.copy())

    model = Keep(policy, SB3VecEnv(env), TINY, hooks=Hooks(average=Average(0.25, begin=0.5)))
    model.learn(512)
    wanted = kept[1]
    for value in kept[2:]:
        wanted = wanted + 0.25 * (value - wanted)
    part = model.parameters.slices["actor.0.weight"]
    np.testing.assert_allclose(model.policy_now().weights["actor.0.weight"].ravel(), wanted[part], rtol=1e-5)


def test_envs_side_by_side_step_as_each_alone(write_world):
    world = World.load(write_world())
    joined = SideBySide([SB3VecEnv(Sim2RealVectorEnv(world, rows)) for rows in (3, 2)])
    alone = [SB3VecEnv(Sim2RealVectorEnv(world, rows)) for rows in (3, 2)]
    joined.seed(4)
    for k, env in enumerate(alone):
        env.seed(4 + 104_729 * k)
    np.testing.assert_array_equal(joined.reset(), np.concatenate([env.reset() for env in alone]))
    for _ in range(5):
        actions = np.random.default_rng(0).uniform(-1, 1, size=(5, 1)).astype(np.float32)
        observation, reward, done, infos = joined.step(actions)
        parts = [env.step(own) for env, own in zip(alone, np.split(actions, [3]), strict=True)]
        for found, wanted in zip((observation, reward, done), zip(*parts, strict=True), strict=False):
            np.testing.assert_array_equal(found, np.concatenate(wanted))
        assert len(infos) == 5
    other = SB3VecEnv(Sim2RealVectorEnv("furuta", 2))
    with pytest.raises(InvalidValue, match="observations and actions of other shapes"):
        SideBySide([alone[0], other])


def test_steps_are_counted_for_each_env(write_world, policy):
    world = World.load(write_world())
    envs = [Sim2RealVectorEnv(world, rows) for rows in (8, 4)]
    settings = dataclasses.replace(TINY, batch_size=48)
    assert learn(envs, policy, settings).steps == (512, 256)


def test_slanted_rate_rises_and_falls():
    settings = PPOSettings(learning_rate=2.0, final_learning_rate=0.1, schedule="slanted")
    assert [settings.rate_left(1 - done) for done in (0.0, 0.1, 1.0)] == pytest.approx([0.2, 2.0, 0.2])
    assert settings.rate_left(0.45) == pytest.approx(2.0 * 0.55)


@pytest.mark.parametrize(
    ("learner", "message"), [("stable_baselines3", "has no critic"), ("rsl_rl", "rsl_rl learns everything")]
)
def test_what_can_not_learn_is_refused(env, policy, learner, message):
    actor = [layer for layer in policy.network.layers if not layer.name.startswith("critic")]
    network = Network(tuple(actor), {"action": policy.network.outputs["action"]})
    weights = {name: array for name, array in policy.weights.items() if not name.startswith("critic")}
    silent = Policy(policy.contract, network, weights)
    hooks = Hooks(free=["actor"]) if learner == "rsl_rl" else None
    with pytest.raises((PolicyError, InvalidValue), match=message):
        learn(env, silent, dataclasses.replace(TINY, learner=learner), hooks=hooks, monitor=Monitor())
