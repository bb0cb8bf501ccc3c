import io
import json
import logging
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import PolicyError, UnknownName
from sim2real.foreign import import_policy, load_policy
from sim2real.foreign.export import export_policy
from sim2real.foreign.sb3 import read_sb3
from sim2real.learn.learn import learn
from sim2real.learn.settings import PPOSettings
from sim2real.policy import Policy
from sim2real.world import World


class Skewed(gym.Env):
    """Nothing but spaces: four numbers, and two actions whose bounds are not symmetric."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
    action_space = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([1.0, 5.0], np.float32))

    def reset(self, *, seed=None, options=None):
        return np.zeros(4, np.float32), {}

    def step(self, action):
        return np.zeros(4, np.float32), 0.0, False, False, {}


MODELS = {
    "PPO": lambda: PPO("MlpPolicy", Skewed(), n_steps=8, batch_size=8, seed=3),
    "PPO of another width": lambda: PPO(
        "MlpPolicy",
        Skewed(),
        n_steps=8,
        batch_size=8,
        policy_kwargs={"net_arch": {"pi": [5], "vf": [7, 6]}, "activation_fn": torch.nn.ELU},
    ),
    "PPO without a layer": lambda: PPO(
        "MlpPolicy", Skewed(), n_steps=8, batch_size=8, policy_kwargs={"net_arch": []}
    ),
    "A2C with noise of states": lambda: A2C("MlpPolicy", Skewed(), use_sde=True),
    "A2C that squashes": lambda: A2C(
        "MlpPolicy", Skewed(), use_sde=True, policy_kwargs={"squash_output": True, "net_arch": [6]}
    ),
    "SAC": lambda: SAC("MlpPolicy", Skewed(), buffer_size=10, policy_kwargs={"net_arch": [9, 8]}),
    "SAC with noise of states": lambda: SAC(
        "MlpPolicy", Skewed(), buffer_size=10, use_sde=True, policy_kwargs={"net_arch": [9], "clip_mean": 0.5}
    ),
    "DDPG": lambda: DDPG("MlpPolicy", Skewed(), buffer_size=10, policy_kwargs={"net_arch": [9]}),
    "TD3": lambda: TD3("MlpPolicy", Skewed(), buffer_size=10, policy_kwargs={"net_arch": [9, 8]}),
}


def shaken(model):
    """The model with parameters that make actions leave their bounds now and then."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.copy_(0.8 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("name", list(MODELS))
def test_it_acts_as_the_model_does(name, tmp_path, rng):
    model = shaken(MODELS[name]())
    model.save(tmp_path / "model.zip")
    policy = load_policy(f"sb3:{tmp_path / 'model.zip'}")
    seen = rng.normal(size=(500, 4)).astype(np.float32)
    truth, _ = model.predict(seen, deterministic=True)
    actions, _ = policy.act(seen, policy.start(500))
    np.testing.assert_allclose(actions, truth, atol=2e-5)
    low, high = Skewed.action_space.low, Skewed.action_space.high
    assert (np.ptp(truth, axis=0) > 0.3 * (high - low)).all(), "hardly anything was asked"
    assert policy.kind == f"{name.split()[0]} of Stable-Baselines3"
    assert (policy.name, policy.num_observations, policy.num_actions) == ("model", 4, 2)


@pytest.mark.parametrize(
    ("zip_name", "env_id", "returns"),
    [
        pytest.param(
            "ppo_hopper",
            "Hopper-v5",
            [2441.3, 2433.8, 2437.0, 2441.5, 2449.1],
            marks=pytest.mark.slow,  # five thousand steps
        ),
        ("a2c_pendulum", "Pendulum-v1", [-123.4, -0.4, -116.4, -219.4, -349.7]),
    ],
)
def test_zips_of_years_ago_score_as_told(strangers, zip_name, env_id, returns):
    policy, env = load_policy(f"sb3:{strangers / 'sb3' / zip_name}.zip"), gym.make(env_id)
    found = []
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        total, over, state = 0.0, False, policy.start(1)
        while not over:
            action, state = policy.act(observation[None].astype(np.float32), state)
            observation, reward, terminated, truncated, _ = env.step(action[0])
            total, over = total + float(reward), terminated or truncated
        found.append(total)
    np.testing.assert_allclose(found, returns, rtol=2e-3, atol=0.1)  # a thousand steps of rounding


def test_what_the_text_says_is_read(strangers):
    saved = read_sb3(strangers / "sb3" / "ppo_hopper.zip")
    assert (saved.algorithm, saved.activation, saved.steps, saved.seed) == ("PPO", "relu", 1000448, 594371)
    assert saved.gamma == 0.999
    assert saved.normalized
    np.testing.assert_array_equal(read_sb3(strangers / "sb3" / "a2c_pendulum.zip").action.high, [2.0])


@pytest.fixture
def ppo(tmp_path):
    """A zip of PPO, to spoil."""
    path = tmp_path / "ppo.zip"
    MODELS["PPO"]().save(path)
    return path


def rewritten(path, **members):
    """The zip with some members replaced, or their text changed by a function."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    for name, change in members.items():
        key = "policy.pth" if name == "weights" else name
        held[key] = change(held[key]) if callable(change) else change
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in held.items():
            archive.writestr(name, raw)
    return path


def with_text(path, **changes):
    """The zip with other entries in its text."""
    return rewritten(path, data=lambda raw: json.dumps(json.loads(raw) | changes).encode())


class Recurrent(torch.nn.Module):
    """The networks of sb3-contrib's MlpLstmPolicy by their names there, and its episode starts."""

    def __init__(self, hidden, layers):
        super().__init__()
        torch.manual_seed(1)
        self.lstm_actor = torch.nn.LSTM(4, hidden, layers)
        self.lstm_critic = torch.nn.LSTM(4, hidden, layers)
        self.mlp_extractor = torch.nn.Module()
        for head in ("policy_net", "value_net"):
            net = torch.nn.Sequential(torch.nn.Linear(hidden, 6), torch.nn.Tanh())
            setattr(self.mlp_extractor, head, net)
        self.action_net, self.value_net = torch.nn.Linear(6, 2), torch.nn.Linear(6, 1)
        self.log_std = torch.nn.Parameter(torch.zeros(2))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.7 * torch.randn_like(parameter) * (parameter.ndim > 1))
            self.action_net.weight.mul_(3.0)
            self.action_net.bias.copy_(torch.tensor([-0.5, 2.5]))

    def play(self, seen, starts):
        """Actions, clipped to the bounds. Shapes (steps, rows, n) and (steps, rows)."""
        low, high = (torch.from_numpy(end) for end in (Skewed.action_space.low, Skewed.action_space.high))
        size = (self.lstm_actor.num_layers, seen.shape[1], self.lstm_actor.hidden_size)
        state, actions = (torch.zeros(size), torch.zeros(size)), []
        with torch.no_grad():
            for rows, begins in zip(torch.from_numpy(seen), torch.from_numpy(starts), strict=True):
                kept = (~begins).float()[None, :, None]
                latent, state = self.lstm_actor(rows[None], tuple(kept * part for part in state))
                mean = self.action_net(self.mlp_extractor.policy_net(latent[0]))
                actions.append(torch.minimum(torch.maximum(mean, low), high))
        return torch.stack(actions).numpy()


def recurrent(path, hidden=5, layers=1):
    """A zip as sb3-contrib's RecurrentPPO saves it, and its networks."""
    MODELS["PPO"]().save(path)
    model = Recurrent(hidden, layers)
    held = io.BytesIO()
    torch.save(model.state_dict(), held)
    kwargs = {"lstm_hidden_size": hidden, "n_lstm_layers": layers, "net_arch": [6]}
    home = {"__module__": "sb3_contrib.common.recurrent.policies"}
    with_text(path, policy_kwargs=kwargs, policy_class=home)
    return rewritten(path, weights=held.getvalue()), model


@pytest.mark.parametrize("layers", [1, 2])
def test_a_recurrent_policy_acts_as_torchs_lstm(tmp_path, rng, layers):
    path, model = recurrent(tmp_path / "walk.zip", layers=layers)
    policy = load_policy(f"sb3:{path}")
    assert policy.kind == "RecurrentPPO of Stable-Baselines3"
    seen = rng.normal(size=(200, 7, 4)).astype(np.float32)
    starts = rng.random((200, 7)) < 0.05
    starts[0] = True
    truth, state, found = model.play(seen, starts), policy.start(7), []
    for rows, begins in zip(seen, starts, strict=True):
        actions, state = policy.act(rows, policy.start(begins, state))
        found.append(actions)
    np.testing.assert_allclose(found, truth, atol=5e-6)
    assert (np.ptp(truth, axis=(0, 1)) > 1.5).all(), "hardly anything was asked"
    alone, _ = policy.act(seen[-1], policy.start(7))
    assert np.abs(alone - truth[-1]).max() > 0.1, "nothing was remembered"


def test_a_recurrent_policy_becomes_a_folder_that_is_exported_but_not_tuned(tmp_path, capsys):
    path, _ = recurrent(tmp_path / "walk.zip")
    world = World.of_env(lambda: gym.wrappers.TimeLimit(Skewed(), 10), {"env": {"control_dt": 0.1}}, "skewed")
    policy = import_policy(f"sb3:{path}", world)
    assert policy.network.by_name["actor.lstm.0"].kind == "lstm"
    policy.save(tmp_path / "ours")
    assert export_policy(Policy.load(tmp_path / "ours"), tmp_path / "ours.onnx") < 1e-5
    with pytest.raises(PolicyError, match=r"layer 'actor\.lstm\.0' of kind lstm can't learn here"):
        learn(Sim2RealVectorEnv(world, 2), policy, PPOSettings(total_steps=8, rollout_steps=4, batch_size=8))


def test_a_recurrent_policy_that_lacks_an_array_is_refused(tmp_path):
    path, model = recurrent(tmp_path / "walk.zip")
    for name in ("lstm_actor.bias_hh_l0", "lstm_actor.weight_hh_l0"):
        held = io.BytesIO()
        torch.save({key: value for key, value in model.state_dict().items() if key != name}, held)
        with pytest.raises(PolicyError, match="lacks arrays of its lstm_actor"):
            read_sb3(rewritten(path, weights=held.getvalue()))


def test_hostile_pickles_inside_a_zip_do_not_run(ppo, hostile):
    import base64

    text = {":type:": "<class 'x'>", ":serialized:": base64.b64encode(hostile).decode()}
    with_text(ppo, lr_schedule=text, clip_range=text, _last_obs=text)
    read_sb3(ppo)
    rewritten(ppo, weights=hostile)
    with pytest.raises(PolicyError, match="none of it was run"):
        read_sb3(ppo)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:2000]), "cut off"),
        (lambda path: path.write_bytes(b"no zip"), "cut off"),
        (lambda path: path.unlink(), "there is no file"),
        (lambda path: rewritten(path, weights=b"nothing"), "damaged"),
        (lambda path: rewritten(path, data=b"{"), "no JSON"),
        (lambda path: rewritten(path, data=b"[]"), "no table"),
        (lambda path: with_text(path, policy_kwargs={"activation_fn": "x.Mish"}), "activation"),
        (
            lambda path: with_text(path, policy_kwargs={"features_extractor_class": "my.CNN"}),
            "extractor of its",
        ),
        (lambda path: with_text(path, policy_class={"__module__": "my.policies"}), "class of its own"),
        (
            lambda path: with_text(path, action_space={":type:": "x.spaces.box.Box", "_shape": [3]}),
            "bounds low",
        ),
        (lambda path: with_text(path, observation_space={":type:": "y"}), "a Box of one vector"),
    ],
    ids=[
        "cut",
        "other",
        "gone",
        "weights",
        "json",
        "list",
        "activation",
        "extractor",
        "class",
        "action",
        "space",
    ],
)
def test_a_zip_that_cannot_be_read_is_refused(ppo, spoil, complaint):
    spoil(ppo)
    with pytest.raises((PolicyError, UnknownName), match=complaint):
        read_sb3(ppo)


def test_discrete_actions_are_refused(tmp_path):
    DQN("MlpPolicy", gym.make("CartPole-v1"), buffer_size=10).save(tmp_path / "dqn.zip")
    with pytest.raises(PolicyError, match="discrete action"):
        read_sb3(tmp_path / "dqn.zip")


def test_a_zip_that_was_normalized_asks_for_the_statistics(strangers, tmp_path, caplog):
    import shutil

    alone = shutil.copy(strangers / "sb3" / "a2c_pendulum.zip", tmp_path / "alone.zip")
    with pytest.raises(PolicyError, match="normalize=FILE"):
        load_policy(f"sb3:{alone}")
    seen = np.array([[0.5, 0.5, 3.0]], np.float32)
    raw, _ = load_policy(f"sb3:{alone},normalize=none").act(seen)
    given, _ = load_policy(f"sb3:{alone},normalize={strangers}/sb3/a2c_pendulum_vecnormalize.pkl").act(seen)
    shutil.copy(strangers / "sb3" / "a2c_pendulum_vecnormalize.pkl", tmp_path / "alone_vecnormalize.pkl")
    with caplog.at_level(logging.INFO):
        beside, _ = load_policy(f"sb3:{alone}").act(seen)
    assert "alone_vecnormalize.pkl" in caplog.text
    assert given == beside
    assert given != raw
