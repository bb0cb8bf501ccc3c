"""The lean PPO does what Stable-Baselines3's own does, to rounding."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from sim2real.env import Sim2RealVectorEnv
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.ppo import ACTIVATIONS
from sim2real.learn.vec_env import SB3VecEnv

BASE = {"n_steps": 32, "batch_size": 64, "n_epochs": 10, "learning_rate": 1e-3, "device": "cpu", "seed": 3}
LEARNT_FROM = ("observations", "actions", "values", "log_probs", "advantages", "returns")
BUFFER = (*LEARNT_FROM, "rewards", "episode_starts")
ROWS, MAX_STEPS = 16, 12


def pair(world, net=("tanh", [64, 64]), normalize=False, **settings):
    """The two learners with the same weights, on envs of their own."""
    models = []
    for kind in (PPO, LeanPPO):
        venv = VecMonitor(SB3VecEnv(Sim2RealVectorEnv(world, ROWS, max_episode_steps=MAX_STEPS)))
        network = {"activation_fn": ACTIVATIONS[net[0]], "net_arch": net[1]}
        if normalize:
            venv = VecNormalize(venv, norm_reward=False)
        model = kind("MlpPolicy", venv, policy_kwargs=network, **{**BASE, **settings})
        model.set_logger(Logger(None, []))
        model._setup_learn(10**6, None)
        models.append(model)
    return models


def collect(model, seed=5):
    torch.manual_seed(seed)
    callback = model._init_callback(None)
    assert model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)


def copy_rollout(source, target):
    for name in LEARNT_FROM:
        getattr(target.rollout_buffer, name)[:] = getattr(source.rollout_buffer, name)
    target.rollout_buffer.full = True


def train_both(models, seed=8):
    """Train on the rollout of the first, in the same order of minibatches."""
    copy_rollout(*models)
    for model in models:
        np.random.seed(seed)  # noqa: NPY002 - what Stable-Baselines3 shuffles with
        model.train()


def largest_difference(models):
    theirs, ours = (model.policy.state_dict() for model in models)
    assert theirs.keys() == ours.keys()
    return max(float((theirs[name] - ours[name]).abs().max()) for name in theirs)


SETTINGS = {
    "plain": {},
    "entropy and value loss": {"ent_coef": 0.02, "vf_coef": 0.9},
    "target_kl": {"target_kl": 0.002},
    "tight clip": {"clip_range": 0.02},
    "clipped values": {"clip_range_vf": 0.05},
    "short gradients": {"max_grad_norm": 0.01},
    "long gradients": {"max_grad_norm": 100.0},
    "raw advantages": {"normalize_advantage": False},
    "ragged batches": {"batch_size": 100},
    "relu": {"net": ("relu", [32])},
    "elu, three layers": {"net": ("elu", [32, 16, 8])},
}


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("name", SETTINGS)
def test_update_is_that_of_stable_baselines3(write_world, name):
    models = theirs, ours = pair(write_world(), **SETTINGS[name])
    before = ours.parameters.value.copy()
    collect(theirs)
    train_both(models, 8)
    assert np.abs(ours.parameters.value - before).max() > 1e-3
    assert theirs._n_updates == ours._n_updates
    assert (ours._n_updates < BASE["n_epochs"]) == (name == "target_kl")
    assert largest_difference(models) < 1e-5


def test_second_update_goes_on_from_the_moments_of_the_first(write_world):
    models = pair(write_world(), n_epochs=3)
    for seed in (1, 2):
        collect(models[0], seed)
        train_both(models, seed)
    assert largest_difference(models) < 1e-5


def test_resting_tensors_stay_and_begin_as_torch_would(write_world):
    """The critic first, then all: the actor's bias correction begins when it moves."""
    models = theirs, ours = pair(write_world(), n_epochs=3)
    actor = ours.parameters.values["actor.0.weight"]
    before = actor.copy()
    for seed in (1, 2):
        collect(theirs, seed)
        for model in models:
            for key, tensor in model.policy.named_parameters():
                tensor.requires_grad_(seed == 2 or "value_net" in key)
        train_both(models, seed)
        assert np.array_equal(actor, before) == (seed == 1)
    assert largest_difference(models) < 1e-5


@pytest.mark.parametrize("normalize", [False, True])
def test_rollout_is_that_of_stable_baselines3(normalize):
    models = theirs, ours = pair("hopper", normalize=normalize)
    for seed in range(3):  # until hoppers fell, and until time ended the episodes of others
        for model in models:
            collect(model, seed)
        for name in BUFFER:
            one, other = (getattr(model.rollout_buffer, name) for model in models)
            np.testing.assert_allclose(one, other, atol=1e-3, err_msg=name)
    ends, found = ([(info["r"], info["l"]) for info in model.ep_info_buffer] for model in models)
    np.testing.assert_allclose(found, ends, atol=1e-2)
    lengths = {length for _, length in ends}
    assert MAX_STEPS in lengths
    assert len(lengths) > 1
    assert theirs.num_timesteps == ours.num_timesteps


def test_log_has_the_names_and_numbers_of_stable_baselines3(write_world):
    models = pair(write_world(), target_kl=0.002, ent_coef=0.01)
    collect(models[0])
    train_both(models, 8)
    told, tell = (model.logger.name_to_value for model in models)
    assert set(told) == set(tell)
    for name in ("train/std", "train/value_loss", "train/policy_gradient_loss", "train/explained_variance"):
        assert tell[name] == pytest.approx(told[name], abs=1e-5), name
