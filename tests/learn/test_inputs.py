"""What a learner's rows hold is what the policy sees when it acts in the same episodes."""

import dataclasses

import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, PolicyError
from sim2real.interface import Signal
from sim2real.learn.hooks import Hooks
from sim2real.learn.inputs import Inputs, SeesInputs
from sim2real.learn.learn import learn
from sim2real.learn.regularizers import anchor_to
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.learn.train import train
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.policy import Layer, Network, Policy
from sim2real.world import World

TINY = PPOSettings(
    total_steps=512, num_envs=4, rollout_steps=16, batch_size=32, epochs=2, hidden=(16, 8), history=3
)
ENDS = 5  # control steps of an episode


@pytest.fixture
def world(write_world):
    return World.load(write_world())


def env_of(world, rows=4):
    return Sim2RealVectorEnv(world, rows, max_episode_steps=ENDS)


def conditioned(policy, values):
    """The policy with a context beside its history, which a sum lets in."""
    contract = dataclasses.replace(
        policy.contract, context=tuple(Signal(f"c{k}", "1") for k in range(len(values)))
    )
    layers = {layer.name: layer for layer in policy.network.layers}
    first = layers["actor.0"]
    layers["context.in"] = Layer("context.in", "dense", ("context",))
    layers["joined"] = Layer("joined", "sum", ("actor.0", "context.in"))
    layers["actor.0.tanh"] = dataclasses.replace(layers["actor.0.tanh"], inputs=("joined",))
    rng, size = np.random.default_rng(0), len(policy.weights[f"{first.name}.bias"])
    weights = {
        **policy.weights,
        "context": np.asarray(values, np.float32),
        "context.in.weight": rng.normal(size=(size, len(values))).astype(np.float32),
        "context.in.bias": np.zeros(size, np.float32),
    }
    return Policy(contract, Network(tuple(layers.values()), policy.network.outputs), weights)


@pytest.mark.parametrize("context", [(), (0.5, -1.0)])
def test_rows_give_the_actions_that_the_policy_takes(world, context):
    policy = fresh_policy(env_of(world), TINY, seed=1)
    weights = {**policy.weights, "actor.2.weight": 50 * policy.weights["actor.2.weight"]}
    policy = dataclasses.replace(policy, weights=weights)
    if context:
        policy = conditioned(policy, context)
    inputs, twin = Inputs(policy), env_of(world)
    venv = SeesInputs(SB3VecEnv(env_of(world)), policy, inputs)
    assert inputs.names == (("history", "context") if context else ("history",))
    venv.seed(3)
    rows, (observation, _) = venv.reset(), twin.reset(seed=3, options={"staggered": True})
    state, lasts = policy.start(4), 0
    for _ in range(3 * ENDS):
        wanted, state = policy.act(observation, state)
        found = policy._run(inputs.split(rows))[0]
        np.testing.assert_allclose(np.clip(found, -1, 1), wanted, atol=1e-6)
        rows, _, done, infos = venv.step(wanted)
        observation, _, terminated, truncated, info = twin.step(wanted)
        assert (done == (terminated | truncated)).all()
        if done.any():
            final, _ = policy.act(np.asarray(info["final_obs"]), state)
            lasts += done.sum()
            last = np.stack([infos[row]["terminal_observation"] for row in np.flatnonzero(done)])
            shown = np.clip(policy._run(inputs.split(last))[0], -1, 1)
            np.testing.assert_allclose(shown, final[done], atol=1e-6)
            state = policy.start(done, state)
    assert lasts >= 3 * 4 - 1


@pytest.mark.parametrize("context", [(), (0.5, -1.0)])
def test_a_policy_with_a_past_learns_and_goes_through_a_folder(world, tmp_path, context):
    policy = fresh_policy(env_of(world), TINY, seed=1)
    policy = conditioned(policy, context) if context else policy
    learnt = learn(env_of(world), policy, TINY, hooks=Hooks(normalizer="fresh")).policy
    for name in (
        "actor.0.weight",
        "critic.2.weight",
        "normalizer.mean",
        *(["context.in.weight"] * bool(context)),
    ):
        assert not np.array_equal(learnt.weights[name], policy.weights[name]), name
    learnt.save(tmp_path / "mine")
    loaded = Policy.load(tmp_path / "mine")
    observation = np.ones((4, 5), np.float32)
    one, other = (p.act(observation, p.start(4))[0] for p in (learnt, loaded))
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_training_makes_a_policy_with_a_past(world, tmp_path):
    policy = train(world, tmp_path / "mine", settings=TINY)
    assert policy.contract.history == 3
    assert policy.remembers
    assert policy.weights["actor.0.weight"].shape == (16, 3 * 5 + 2)
    again = train(world, tmp_path / "more", settings=dataclasses.replace(TINY, start=str(tmp_path / "mine")))
    assert again.contract.history == 3
    with pytest.raises(InvalidValue, match="can't be an anchor"):
        anchor_to(policy, np.zeros((3, 5), np.float32), 1.0)


def test_what_no_env_shows_is_refused(world):
    policy = fresh_policy(env_of(world), dataclasses.replace(TINY, history=1), seed=1)
    contract = dataclasses.replace(policy.contract, privileged=policy.contract.observation)
    layers = [
        dataclasses.replace(layer, inputs=("privileged",)) if layer.name == "critic.0" else layer
        for layer in policy.network.layers
    ]
    knowing = Policy(contract, Network(tuple(layers), policy.network.outputs), policy.weights)
    with pytest.raises(PolicyError, match=r"critic reads cart_position, .*which this env doesn't tell"):
        learn(env_of(world), knowing, TINY)
    layers = [
        dataclasses.replace(layer, inputs=("privileged",)) if layer.name == "actor.0" else layer
        for layer in policy.network.layers
    ]
    teacher = Policy(contract, Network(tuple(layers), policy.network.outputs), policy.weights)
    with pytest.raises(PolicyError, match="reads privileged, which no env shows"):
        learn(env_of(world), teacher, TINY)
