"""A zip becomes a policy folder that acts alike, and that training goes on from."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sim2real  # noqa: F401
from sim2real.cli import main
from sim2real.env import Sim2RealVectorEnv
from sim2real.policy import Policy


@pytest.fixture
def stranger(tmp_path):
    """A model that somebody made with Stable-Baselines3 in our env, and its file."""
    env = VecNormalize(DummyVecEnv([lambda: gym.make("sim2real/Furuta-v0")]))
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=64, seed=5, policy_kwargs={"net_arch": [16]})
    model.learn(64)
    model.save(tmp_path / "stranger.zip")
    env.save(tmp_path / "stranger_vecnormalize.pkl")
    env.training = False
    return model, tmp_path / "stranger.zip"


def test_it_acts_and_values_as_the_model_does(stranger, tmp_path, capsys, rng):
    model, path = stranger
    out = tmp_path / "ours"
    assert main(["import", f"sb3:{path}", "--world", "furuta", "--label", "theirs", "--out", str(out)]) == 0
    policy = Policy.load(out)
    env = Sim2RealVectorEnv("furuta", 1)
    policy.check(env)
    assert (policy.label, policy.seed, policy.steps, policy.contract.world) == ("theirs", 5, (64,), "furuta")
    assert policy.contract.observation == env.task.observation
    seen = rng.normal(size=(50, 6)).astype(np.float32)
    normal = model.get_env().normalize_obs(seen)
    wanted, _ = model.predict(normal, deterministic=True)
    found, _ = policy.act(seen)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    with torch.no_grad():
        values = model.policy.predict_values(torch.from_numpy(normal)).numpy()
    run = policy.network.outputs["value"]
    assert run == "critic.1"
    hidden = np.tanh(normal @ policy.weights["critic.0.weight"].T + policy.weights["critic.0.bias"])
    found = hidden @ policy.weights["critic.1.weight"].T + policy.weights["critic.1.bias"]
    np.testing.assert_allclose(found, values, atol=1e-5)
    np.testing.assert_allclose(policy.weights["log_std"], model.policy.log_std.detach(), atol=1e-6)


def test_training_goes_on_from_it(stranger, tmp_path):
    _, path = stranger
    out = tmp_path / "ours"
    assert main(["import", f"sb3:{path}", "--world", "furuta", "--out", str(out)]) == 0
    target = [
        "--target",
        "combined_a",
        "--method",
        "fine-tune",
        "--steps",
        "2000",
        "--out",
        str(tmp_path / "tuned"),
    ]
    assert main(["transfer", str(out), *target]) == 0
    tuned = Policy.load(tmp_path / "tuned")
    assert tuned.contract.provenance[0].method == "PPO"
    assert len(tuned.contract.provenance) == 2


def test_a_squashed_network_keeps_its_squash_and_learns(tmp_path, rng, capsys):
    model = SAC("MlpPolicy", gym.make("sim2real/Furuta-v0"), buffer_size=10, policy_kwargs={"net_arch": [8]})
    model.save(tmp_path / "sac.zip")
    out = tmp_path / "ours"
    assert main(["import", f"sb3:{tmp_path / 'sac.zip'}", "--world", "furuta", "--out", str(out)]) == 0
    seen = rng.normal(size=(50, 6)).astype(np.float32)
    found, _ = Policy.load(out).act(seen)
    np.testing.assert_allclose(found, model.predict(seen, deterministic=True)[0], atol=1e-5)
    assert Policy.load(out).label == "SAC"
    assert "a new critic" in capsys.readouterr().out
    target = [
        "--target",
        "combined_a",
        "--method",
        "fine-tune",
        "--steps",
        "2048",
        "--out",
        str(tmp_path / "tuned"),
    ]
    assert main(["transfer", str(out), *target]) == 0
    tuned = Policy.load(tmp_path / "tuned")
    for name in ("actor.0.weight", "critic.0.weight", "critic.1.weight"):
        assert np.abs(tuned.weights[name] - Policy.load(out).weights[name]).max() > 0, name
    assert tuned.network.outputs == {"action": "actor.bounds", "value": "critic.1"}


def test_another_world_is_told_apart(stranger, tmp_path, capsys):
    _, path = stranger
    assert main(["import", f"sb3:{path}", "--world", "hopper", "--out", str(tmp_path / "ours")]) == 2
    told = capsys.readouterr().err
    assert "observations: 6 against 11; actions: 1 against 3" in told
    assert not (tmp_path / "ours").exists()
    PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8).save(tmp_path / "pendulum.zip")
    assert main(["import", f"sb3:{tmp_path / 'pendulum.zip'}", "--world", "cartpole"]) == 2
    assert "observations: 3 against" in capsys.readouterr().err


def test_only_zips_are_made_ours(tmp_path, capsys):
    assert main(["import", "onnx:policy.onnx", "--world", "furuta", "--out", str(tmp_path / "o")]) == 2
    assert "no zip of Stable-Baselines3 (sb3:FILE.zip)" in capsys.readouterr().err
