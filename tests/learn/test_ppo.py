"""Training ends where it should, also after a kill, and what it learnt is what the policy does."""

import dataclasses
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import numpy as np
import pytest
from safetensors import safe_open
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor, run_episodes
from sim2real.errors import InvalidValue, UnknownName
from sim2real.learn.callbacks import Checkpoints
from sim2real.learn.checkpoint import description
from sim2real.learn.hooks import Average, Hooks
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.learn import learn
from sim2real.learn.sb3 import as_sb3, named_tensors
from sim2real.learn.settings import PPOSettings, settings_for
from sim2real.learn.start import fresh_policy, hidden_of
from sim2real.learn.train import train
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.policy import Policy, as_feedforward
from sim2real.world import World

TINY = PPOSettings(
    total_steps=1024,
    num_envs=8,
    rollout_steps=16,
    batch_size=64,
    epochs=2,
    hidden=(16, 8),
)


@pytest.fixture
def pendulum(write_world):
    return World.load(write_world())


def model_of(world, seed=0, hooks=None, **changes):
    settings = dataclasses.replace(TINY, **changes)
    env = Sim2RealVectorEnv(world, settings.num_envs)
    return LeanPPO(fresh_policy(env, settings, seed), SB3VecEnv(env), settings, seed, hooks)


def test_rehearsing_envs_keep_nominal_physics_beside_those_of_the_domain(pendulum, tmp_path):
    """As learning in envs of the domain and nominal ones side by side; steps of all envs count."""
    domain, settings = Domain.point({"pole.mass": 0.4}), dataclasses.replace(TINY, rehearsal=0.25)
    policy = train(pendulum, tmp_path / "kept", domain, 3, settings)
    envs = [Sim2RealVectorEnv(pendulum, 6, domain), Sim2RealVectorEnv(pendulum, 2)]
    by_hand = learn(envs, fresh_policy(envs[0], TINY, 3), dataclasses.replace(TINY, total_steps=768), 3)
    for name, array in by_hand.policy.weights.items():
        np.testing.assert_array_equal(policy.weights[name], array)
    assert policy.contract.provenance[0].steps == 1024
    assert [dataclasses.replace(TINY, rehearsal=share).rehearsing for share in (0.0, 0.99)] == [0, 7]
    with pytest.raises(InvalidValue, match="rehearsal = 1 is out of reach"):
        dataclasses.replace(TINY, rehearsal=1.0)


def test_a_batch_of_one_row_has_no_advantages_to_scale():
    with pytest.raises(InvalidValue, match="batch_size = 1 is out of reach; give a whole number"):
        PPOSettings(batch_size=1)


@pytest.mark.slow
def test_a_policy_that_goes_on_rehearses_nominal_physics_whatever_it_was_trained_in(pendulum, tmp_path):
    """Twice in other physics each time, with nominal rows beside them, as by hand."""
    own, others = Domain.point({"pole.mass": 0.3}), [Domain.point({"pole.mass": m}) for m in (0.4, 0.5)]
    by_hand = policy = train(pendulum, tmp_path / "0", own, 3, TINY)
    for number, domain in enumerate(others):
        settings = dataclasses.replace(TINY, rehearsal=0.25, start=str(tmp_path / str(number)))
        policy = train(pendulum, tmp_path / str(number + 1), domain, 3, settings)
        envs = [Sim2RealVectorEnv(pendulum, 6, domain), Sim2RealVectorEnv(pendulum, 2)]
        by_hand = learn(envs, by_hand, dataclasses.replace(TINY, total_steps=768), 3).policy
    for name, array in by_hand.weights.items():
        np.testing.assert_allclose(policy.weights[name], array, atol=1e-5)


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("normalizer", ["frozen", "fresh"])
def test_policy_acts_as_the_network_does(pendulum, activation, normalizer):
    normalize = normalizer == "fresh"
    model = model_of(
        pendulum, hooks=Hooks(normalizer=normalizer), activation=activation, normalize_observations=normalize
    )
    model.learn(512)
    policy = model.policy_now()
    policy.check(Sim2RealVectorEnv(pendulum, 8))
    observation = 3 * np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    expected, _ = model.predict(observation, deterministic=True)
    np.testing.assert_allclose(policy.act(observation)[0], expected, atol=1e-6)
    assert as_feedforward(policy.network, policy.weights) == (activation, 10.0 if normalize else np.inf)
    assert (policy.weights["normalizer.std"] != 1).any() == normalize
    assert hidden_of(policy) == (16, 8)


def test_normalizer_counts_what_was_seen(pendulum):
    """Mean and variance of every observation of every rollout."""
    model = model_of(pendulum, hooks=Hooks(normalizer="fresh"), normalize_observations=True)
    seen = []

    class Keep(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_end(self):
            seen.append(self.model.rollout_buffer.observations.reshape(-1, 5).copy())

    model.learn(512, Keep())
    weights, all_seen = model.policy_now().weights, np.concatenate(seen)
    assert len(all_seen) == 512
    np.testing.assert_allclose(weights["normalizer.mean"], all_seen.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(weights["normalizer.std"], all_seen.std(axis=0), rtol=1e-3)


def test_fresh_weights_are_orthogonal_with_the_gains_of_stable_baselines3(pendulum):
    env = Sim2RealVectorEnv(pendulum)
    policy = fresh_policy(env, dataclasses.replace(TINY, hidden=(64, 64)), seed=4)
    theirs = named_tensors(PPO("MlpPolicy", SB3VecEnv(env), device="cpu"))
    for name, array in policy.weights.items():
        if not name.startswith("normalizer") and name != "log_std":
            wanted = theirs[name].detach().numpy()
            assert array.shape == wanted.shape
            if array.ndim == 2:
                spectra = [np.linalg.svd(matrix, compute_uv=False) for matrix in (array, wanted)]
                np.testing.assert_allclose(*spectra, rtol=1e-4)
    again = fresh_policy(env, dataclasses.replace(TINY, hidden=(64, 64)), seed=4)
    np.testing.assert_array_equal(again.weights["actor.1.weight"], policy.weights["actor.1.weight"])


def test_weights_of_stable_baselines3_there_and_back(pendulum):
    source = model_of(pendulum, seed=1)
    source.learn(256)
    policy = source.policy_now()
    model = as_sb3(policy, SB3VecEnv(Sim2RealVectorEnv(pendulum, 8)), TINY)
    for name, tensor in named_tensors(model).items():
        np.testing.assert_array_equal(tensor.detach().numpy(), policy.weights[name])
    observation = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    theirs, _ = model.predict(observation, deterministic=True)
    np.testing.assert_allclose(theirs, policy.act(observation)[0], atol=1e-6)


def test_a_training_leaves_no_thread_of_its_log(pendulum, tmp_path):
    before = set(threading.enumerate())
    train(pendulum, tmp_path / "mine", settings=TINY)
    assert set(threading.enumerate()) == before


def test_result_of_a_training(pendulum, tmp_path):
    policy = train(pendulum, tmp_path / "runs" / "mine", seed=2, settings=TINY)
    assert policy.name == "mine"
    loaded = Policy.load(tmp_path / "runs" / "mine")
    assert loaded.contract == policy.contract
    contract = loaded.contract
    assert (contract.world, contract.task, contract.label, contract.seed) == (
        "pendulum",
        "cartpole",
        "nominal",
        2,
    )
    (step,) = contract.provenance
    assert (step.method, step.steps, step.seed) == ("train", 1024, 2)
    assert step.domain == Domain({}).to_toml()
    assert step.settings["num_envs"] == 8
    assert set(contract.measured) == {"source_return", "source_success"}
    logs = tmp_path / "runs" / "mine.training"
    assert list(logs.rglob("events.out.tfevents*"))
    assert not (logs / "checkpoint.safetensors").exists()


def test_randomized_training_says_where(pendulum, tmp_path):
    domain = Domain({"pole.mass": Uniform(0.05, 0.2)})
    policy = train(pendulum, tmp_path / "r", domain, settings=TINY)
    assert policy.contract.label == "randomized"
    (step,) = policy.contract.provenance
    assert step.steps == 1024
    assert Domain.from_toml(step.domain) == domain


@pytest.mark.slow
def test_same_seed_same_policy(pendulum, tmp_path):
    a, b, c = (
        train(pendulum, tmp_path / f"{k}", seed=seed, settings=TINY) for k, seed in enumerate((1, 1, 2))
    )
    for key, array in a.weights.items():
        np.testing.assert_array_equal(b.weights[key], array)
    assert not np.array_equal(a.weights["actor.0.weight"], c.weights["actor.0.weight"])


def test_settings_of_a_world(pendulum):
    assert settings_for(pendulum) == PPOSettings()
    assert settings_for(pendulum, total_steps=7, gamma=None).total_steps == 7
    assert settings_for(pendulum, gamma=None).gamma == PPOSettings().gamma
    with pytest.raises(UnknownName, match="unknown training setting 'gama': did you mean 'gamma'"):
        settings_for(pendulum, gama=0.9)


def test_settings_in_the_worlds_file(write_world, pendulum_files):
    scene, physics = pendulum_files
    folder = write_world(scene, physics + "[training]\ngamma = 0.97\nhidden = [32, 16]\n")
    settings = settings_for(World.load(folder), total_steps=9)
    assert (settings.gamma, settings.hidden, settings.total_steps) == (0.97, (32, 16), 9)
    table = "[training]\ngamma = 0.97\n[training.randomized]\ngamma = 0.9\n"
    special = World.load(write_world(scene, physics + table))
    assert (settings_for(special).gamma, settings_for(special, randomized=True).gamma) == (0.97, 0.9)
    wrong = World.load(write_world(scene, physics + "[training]\ngama = 0.97\n"))
    with pytest.raises(UnknownName, match="unknown training setting 'gama': did you mean 'gamma'"):
        settings_for(wrong)


TRAIN = """
import sys
from pathlib import Path
from sim2real.learn.callbacks import Checkpoints
from sim2real.learn.settings import PPOSettings
from sim2real.learn.train import train
settings = PPOSettings(total_steps=int(sys.argv[3]), num_envs=8, rollout_steps=16, batch_size=64, epochs=2)
train(sys.argv[1], Path(sys.argv[2]), seed=3, settings=settings)
"""


def spent_at(path):
    with safe_open(path, framework="np") as file:
        return int(file.metadata()["num_timesteps"])


@pytest.mark.slow
def test_goes_on_after_a_kill(write_world, tmp_path):
    """Killed with SIGKILL after its first checkpoint; the second start ends at the exact total."""
    folder, total = write_world(), 128 * 120
    run = tmp_path / "runs" / "long"
    checkpoint = run.with_name("long.training") / "checkpoint.safetensors"
    command = [sys.executable, "-c", TRAIN, str(folder), str(run), str(total)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    while not checkpoint.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not run.exists()
    reached = spent_at(checkpoint)
    assert 0 < reached < total
    # the second start, in this process, with its own account of where it begins
    world = World.load(folder)
    settings = PPOSettings(total_steps=total, num_envs=8, rollout_steps=16, batch_size=64, epochs=2)
    policy = train(world, run, seed=3, settings=settings)
    assert policy.contract.provenance[0].steps == total
    first_logged = min(steps_logged(run.with_name("long.training")))
    assert first_logged == reached + 128
    assert not checkpoint.exists()


def steps_logged(folder):
    """Control steps at which the newest TensorBoard log has an entry."""
    newest = max(folder.rglob("events.out.tfevents*"), key=lambda path: path.stat().st_mtime)
    log = EventAccumulator(str(newest))
    log.Reload()
    return [event.step for event in log.Scalars("time/fps")]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5])
def test_a_seed_that_is_none_is_refused(pendulum, tmp_path, seed):
    with pytest.raises(InvalidValue, match=r"^seed = .* must be a whole number"):
        train(pendulum, tmp_path / "mine", seed=seed, settings=TINY)
    assert not (tmp_path / "mine.training").exists()


@pytest.mark.slow
def test_numbers_of_numpy_train_as_pythons_do(pendulum, tmp_path):
    numbers = {"total_steps": np.int64(1024), "learning_rate": np.float32(1e-3), "hidden": (np.int32(16), 8)}
    same = dataclasses.replace(TINY, learning_rate=float(np.float32(1e-3)))
    one = train(pendulum, tmp_path / "one", seed=np.int64(3), settings=dataclasses.replace(TINY, **numbers))
    two = train(pendulum, tmp_path / "two", seed=3, settings=same)
    np.testing.assert_array_equal(one.weights["actor.0.weight"], two.weights["actor.0.weight"])
    assert Policy.load(tmp_path / "one").contract.provenance == two.contract.provenance


@pytest.mark.slow
def test_checkpoint_of_other_settings_is_not_used(pendulum, tmp_path, caplog):
    logs = tmp_path / "mine.training"
    train(pendulum, tmp_path / "mine", seed=1, settings=TINY)
    fresh = train(pendulum, tmp_path / "fresh", seed=2, settings=TINY)
    planted_checkpoint(pendulum, logs / "checkpoint.safetensors", json.dumps(["something else"]))
    again = train(pendulum, tmp_path / "mine", seed=2, settings=TINY)
    assert "is of a run with other settings; starting anew" in caplog.text
    np.testing.assert_array_equal(again.weights["actor.0.weight"], fresh.weights["actor.0.weight"])


def test_checkpoint_of_another_world_is_refused(pendulum, tmp_path, write_world):
    """By content, not by name; the old checkpoint stays, and the world as it was goes on."""
    path = tmp_path / "mine.training" / "checkpoint.safetensors"
    run = description(pendulum, pendulum.domain(None).to_toml(), 0, asdict(TINY))
    planted_checkpoint(pendulum, path, run)
    kept = path.read_bytes()
    scene, physics = ((pendulum.path / name).read_text() for name in ("scene.xml", "physics.toml"))
    write_world(scene.replace('mass="1"', 'mass="2"'), physics)
    with pytest.raises(InvalidValue, match=r"another world pendulum: another body cart.*begin anew, delete"):
        train(World.load(pendulum.path), tmp_path / "mine", settings=TINY)
    assert path.read_bytes() == kept
    moved = World.load(write_world(scene, physics, name="elsewhere"))
    with pytest.raises(InvalidValue, match="another world pendulum"):
        train(World.load("cartpole"), tmp_path / "mine", settings=TINY)
    assert train(pendulum, tmp_path / "mine", settings=TINY).contract.provenance[0].steps == 1024
    assert moved.contents == pendulum.contents


def test_broken_checkpoint_is_not_used(pendulum, tmp_path, caplog):
    path = tmp_path / "mine.training" / "checkpoint.safetensors"
    planted_checkpoint(pendulum, path, "any")
    path.write_bytes(path.read_bytes()[:1000])
    policy = train(pendulum, tmp_path / "mine", settings=TINY)
    assert "can't be read" in caplog.text
    assert policy.contract.provenance[0].steps == 1024


def planted_checkpoint(world, path, description):
    model = model_of(world, seed=9)
    saver = Checkpoints(path, description, every=1)
    model.learn(256, saver)


@pytest.mark.parametrize("normalizer", ["frozen", "fresh"])
def test_checkpoint_restores_everything(pendulum, tmp_path, normalizer):
    path = tmp_path / "checkpoint.safetensors"
    hooks = Hooks(normalizer=normalizer, average=Average(0.2, begin=0.0))
    trained = model_of(pendulum, seed=1, hooks=hooks)
    saver = Checkpoints(path, "this run", every=1)
    trained.learn(512, saver)
    saver._save()
    restored = model_of(pendulum, seed=2, hooks=hooks)
    assert not Checkpoints(path, "another run").restore(restored)
    assert not Checkpoints(tmp_path / "missing", "this run").restore(restored)
    assert Checkpoints(path, "this run").restore(restored)
    assert restored.num_timesteps == 512
    assert restored._n_updates == trained._n_updates
    assert trained.adam.steps.max() > 0
    state, again = trained.state(), restored.state()
    assert state.keys() == again.keys() >= {"average", "adam.steps", "normalizer"}
    for name, array in state.items():
        np.testing.assert_array_equal(again[name], array)
    for name, array in trained.policy_now().weights.items():
        np.testing.assert_array_equal(restored.policy_now().weights[name], array)


@pytest.mark.slow
def test_learns_to_swing_up(tmp_path):
    """Half of the usual budget shows that it learns; how far it gets differs between processors and seeds."""
    world = World.load("cartpole")
    untrained = train(world, tmp_path / "untrained", settings=settings_for(world, total_steps=1))
    policy = train(world, tmp_path / "swing", seed=0, settings=settings_for(world, total_steps=400_000))
    env = Sim2RealVectorEnv(world, 64, autoreset=False)
    learnt, begun, chance = (
        run_episodes(actor, env, seed=1).returns.mean() for actor in (policy, untrained, RandomActor(1, 0))
    )
    assert learnt > 4 * max(begun, chance)


@pytest.mark.slow
def test_training_goes_on_from_a_policy(pendulum, tmp_path):
    first = train(pendulum, tmp_path / "first-5", seed=5, settings=TINY)
    settings = dataclasses.replace(TINY, start=str(tmp_path / "first-{seed}"), learning_rate=1e-12)
    domain = Domain({"pole.mass": Uniform(0.05, 0.2)})
    second = train(pendulum, tmp_path / "second", domain, seed=5, settings=settings)
    assert [step.method for step in second.contract.provenance] == ["train", "train"]
    assert second.contract.provenance[0] == first.contract.provenance[0]
    assert second.contract.provenance[1].settings["start"] == str(tmp_path / "first-5")
    for key in ("actor.0.weight", "critic.0.weight"):
        np.testing.assert_allclose(second.weights[key], first.weights[key], atol=1e-6)
    with pytest.raises(UnknownName, match="unknown policy"):
        train(pendulum, tmp_path / "third", domain, seed=6, settings=settings)


@pytest.mark.slow
def test_a_policy_to_start_from_brings_its_network_and_normalizer(pendulum, tmp_path):
    shape = dataclasses.replace(TINY, hidden=(12,), activation="relu", normalize_observations=True)
    first = train(pendulum, tmp_path / "first", seed=5, settings=shape)
    settings = dataclasses.replace(TINY, start=str(tmp_path / "first"))
    second = train(pendulum, tmp_path / "second", seed=5, settings=settings)
    assert as_feedforward(second.network, second.weights) == ("relu", 10.0)
    assert hidden_of(second) == (12,)
    assert first.network == second.network
    assert not np.array_equal(second.weights["normalizer.std"], np.ones_like(first.weights["normalizer.std"]))
    again = train(
        pendulum,
        tmp_path / "again",
        seed=5,
        settings=dataclasses.replace(settings, learning_rate=1e-12),
    )
    np.testing.assert_allclose(again.weights["actor.0.weight"], first.weights["actor.0.weight"], atol=1e-6)
