"""rsl_rl learns in our env, goes on after a kill, and leaves a policy that acts as its network does."""

import dataclasses
import json
import logging
import math
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensordict import TensorDict

from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import MissingExtra, UnknownName
from sim2real.learn import rsl_rl
from sim2real.learn.rsl_env import RslVecEnv
from sim2real.learn.rsl_log import RunLog
from sim2real.learn.rsl_rl import build_runner, settings_for
from sim2real.learn.rsl_weights import dump, export_weights, import_weights, restore
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import contract_of
from sim2real.learn.train import train
from sim2real.policy import Policy, as_feedforward, feedforward
from sim2real.world import World

TINY = PPOSettings(
    total_steps=1024,
    num_envs=8,
    rollout_steps=16,
    batch_size=64,
    epochs=2,
    hidden=(16, 8),
    learner="rsl_rl",
)


@pytest.fixture
def pendulum(write_world):
    return World.load(write_world())


def runner_of(world, seed=0, **changes):
    settings = dataclasses.replace(TINY, **changes)
    env = Sim2RealVectorEnv(world, settings.num_envs, simulator=settings.simulator)
    return build_runner(env, settings, seed), env, settings


def policy_of(runner, env, settings):
    weights = export_weights(runner.alg)
    return Policy(contract_of(env, "nominal", 0, ()), feedforward(weights, settings.activation), weights)


def seen(observation):
    return TensorDict({"policy": torch.as_tensor(observation)}, batch_size=[len(observation)])


@pytest.mark.parametrize("activation", ["tanh", "relu", "elu"])
@pytest.mark.parametrize("normalize", [True, False])
def test_policy_acts_as_the_network_does(pendulum, capsys, activation, normalize):
    runner, env, settings = runner_of(pendulum, activation=activation, normalize_observations=normalize)
    runner.learn(3)
    policy = policy_of(runner, env, settings)
    policy.check(env)
    observation = 3 * np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    with torch.no_grad():
        wanted = runner.get_inference_policy()(seen(observation)).clamp(-1, 1)
    np.testing.assert_allclose(policy.act(observation)[0], wanted, atol=1e-5)
    assert np.ptp(wanted.numpy()) > 0.01
    assert as_feedforward(policy.network, policy.weights) == (activation, math.inf)
    assert ((policy.weights["normalizer.std"] != 1).any()) == normalize
    assert capsys.readouterr().out == ""


def test_rows_of_the_env_are_rows_of_the_adapter(pendulum):
    env, twin = (Sim2RealVectorEnv(pendulum, 4, max_episode_steps=3) for _ in range(2))
    rows = RslVecEnv(env, seed=5)
    observation, _ = twin.reset(seed=5)
    assert (rows.num_envs, rows.num_actions, rows.max_episode_length) == (4, 1, 3)
    np.testing.assert_array_equal(rows.get_observations()["policy"], observation)
    for k in range(7):
        actions = np.full((4, 1), 0.1 * k, np.float32)
        given, reward, done, extras = rows.step(torch.from_numpy(actions))
        observation, wanted, terminated, truncated, _ = twin.step(actions)
        np.testing.assert_array_equal(given["policy"], observation)
        np.testing.assert_allclose(reward, wanted, rtol=1e-6)
        assert reward.dtype == torch.float32
        assert done.tolist() == (terminated | truncated).tolist()
        assert extras["time_outs"].tolist() == truncated.tolist()
        assert ("success" in extras) == (k % 3 == 2)
        assert rows.episode_length_buf.tolist() == [0 if k % 3 == 2 else k % 3 + 1] * 4


def test_what_was_seen_in_inference_mode_can_be_changed_later(pendulum):
    """rsl_rl steps in inference mode; our env lives on and steps outside of it."""
    rows = RslVecEnv(Sim2RealVectorEnv(pendulum, 2, max_episode_steps=2), seed=0)
    with torch.inference_mode():
        observation, *_ = rows.step(torch.zeros(2, 1))
    observation["policy"].zero_()
    rows.step(torch.zeros(2, 1))


@pytest.mark.slow
def test_result_of_a_training(pendulum, tmp_path, capsys):
    domain = Domain({"pole.mass": Uniform(0.05, 0.2)})
    policy = train(pendulum, tmp_path / "runs" / "mine", domain, seed=2, settings=TINY)
    loaded = Policy.load(tmp_path / "runs" / "mine")
    contract = loaded.contract
    assert contract == policy.contract
    assert (contract.world, contract.label, contract.seed, contract.simulator) == (
        "pendulum",
        "randomized",
        2,
        "mujoco",
    )
    (step,) = contract.provenance
    assert (step.method, step.steps, step.seed) == ("train", 1024, 2)
    assert step.settings["learner"] == "rsl_rl"
    assert Domain.from_toml(step.domain) == domain
    assert set(contract.measured) == {"source_return", "source_success"}
    logs = tmp_path / "runs" / "mine.training"
    assert {path.name.split(".")[0] for path in logs.iterdir()} == {"events"}
    events = EventAccumulator(str(logs))
    events.Reload()
    assert [event.step for event in events.Scalars("train/value")] == list(range(128, 1025, 128))
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_same_seed_same_policy(pendulum, tmp_path):
    a, b, c = (
        train(pendulum, tmp_path / f"{k}", seed=seed, settings=TINY) for k, seed in enumerate((1, 1, 2))
    )
    for key, array in a.weights.items():
        np.testing.assert_array_equal(b.weights[key], array)
    assert not np.array_equal(a.weights["actor.0.weight"], c.weights["actor.0.weight"])


def test_weights_there_and_back(pendulum):
    source, env, settings = runner_of(pendulum, seed=1, normalize_observations=True)
    source.learn(2)
    policy = policy_of(source, env, settings)
    target, *_ = runner_of(pendulum, seed=2, normalize_observations=True)
    import_weights(target.alg, policy, std=0.25)
    back = policy_of(target, env, settings)
    assert set(back.weights) == set(policy.weights)
    np.testing.assert_allclose(np.exp(back.weights["log_std"]), 0.25, rtol=1e-6)
    for key, array in policy.weights.items():
        if key != "log_std":
            np.testing.assert_allclose(back.weights[key], array, rtol=1e-5, atol=1e-7)
    observation = seen(np.ones((3, 5), np.float32))
    with torch.no_grad():
        torch.testing.assert_close(source.alg.critic(observation), target.alg.critic(observation))


@pytest.mark.slow
def test_training_goes_on_from_another_policy(pendulum, tmp_path):
    first = train(pendulum, tmp_path / "first", settings=TINY)
    settings = dataclasses.replace(TINY, start=str(tmp_path / "first"), hidden=(4,), total_steps=128)
    second = train(pendulum, tmp_path / "second", settings=settings)
    assert len(second.contract.provenance) == 2
    assert second.weights["actor.0.weight"].shape == first.weights["actor.0.weight"].shape
    change = np.abs(second.weights["actor.0.weight"] - first.weights["actor.0.weight"]).max()
    assert 0 < change < 0.2
    with pytest.raises(UnknownName, match="policy to start from"):
        train(pendulum, tmp_path / "third", settings=dataclasses.replace(TINY, start="nobody"))


def test_a_checkpoint_holds_all_that_learning_needs(pendulum):
    source, *_ = runner_of(pendulum, seed=3, normalize_observations=True)
    source.learn(2)
    target, *_ = runner_of(pendulum, seed=4, normalize_observations=True)
    restore(target.alg, dump(source.alg))
    wanted, found = dump(source.alg), dump(target.alg)
    assert set(found) == set(wanted)
    assert any(name.startswith("adam/") for name in found)
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name
    assert target.alg.optimizer.param_groups[0]["lr"] == source.alg.learning_rate


def test_a_training_that_was_cut_short_goes_on(pendulum, tmp_path, caplog):
    class Killed(Exception):
        pass

    def log(steps):
        settings = dataclasses.replace(TINY, total_steps=steps)
        return RunLog(tmp_path, "mine", settings, None, every=2)

    runner, *_ = runner_of(pendulum)
    first = log(1024)
    update = first.log

    def dies(**numbers):
        update(**numbers)
        if first.steps == 5 * 128:
            raise Killed

    first.log = dies
    with pytest.raises(Killed):
        first.learn(runner)
    with safe_open(first.path, framework="pt") as file:
        assert json.loads(file.metadata()["steps"]) == 4 * 128
    again, *_ = runner_of(pendulum)
    second = log(1024)
    assert second.learn(again) == 1024
    assert second._updates == 4
    second.forget()
    assert not first.path.exists()
    first.path.write_bytes(b"half a file")
    with caplog.at_level(logging.WARNING):
        assert log(128).learn(again) == 128
    assert "can't be read" in caplog.text


def test_a_checkpoint_of_another_run_is_left_alone(pendulum, tmp_path, caplog):
    runner, *_ = runner_of(pendulum)
    RunLog(tmp_path, "mine", TINY, None, every=1).learn(runner)
    other = RunLog(tmp_path, "yours", TINY, None, every=100)
    assert other.learn(runner) == 1024
    assert "is of a run with other settings" in caplog.text
    assert other._updates == 8


def test_settings_of_a_device(pendulum, monkeypatch):
    assert settings_for(pendulum) == PPOSettings(simulator="warp", learner="rsl_rl")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert settings_for(pendulum).num_envs == 4096
    assert settings_for(pendulum, num_envs=16, gamma=None).num_envs == 16
    assert settings_for(pendulum, simulator="mujoco").num_envs == PPOSettings().num_envs


def test_a_missing_package_is_one_line_away(pendulum, monkeypatch):
    monkeypatch.setitem(sys.modules, "rsl_rl.runners", None)
    env = Sim2RealVectorEnv(pendulum, 2)
    with pytest.raises(
        MissingExtra, match=r'rsl-rl-lib is not installed; run `pip install "sim2real\[warp\]"`'
    ):
        rsl_rl.build_runner(env, TINY, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_kernels")
@pytest.mark.parametrize("learner", ["stable_baselines3", "rsl_rl"])
def test_training_in_warp(tmp_path, learner):
    settings = dataclasses.replace(TINY, simulator="warp", learner=learner)
    policy = train("cartpole", tmp_path / "warp", seed=1, settings=settings)
    assert policy.contract.simulator == "warp"
    policy.check(Sim2RealVectorEnv("cartpole"))
    assert np.isfinite(policy.contract.measured["source_return"])
