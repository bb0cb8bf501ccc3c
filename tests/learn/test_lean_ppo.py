"""The lean PPO does what Stable-Baselines3's own does, to rounding."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import Logger

from sim2real.env import Sim2RealVectorEnv
from sim2real.learn.hooks import Hooks
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.sb3 import as_sb3, named_tensors
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.learn.vec_env import SB3VecEnv

BASE = PPOSettings(rollout_steps=32, batch_size=64, epochs=10, target_kl=1e9, initial_std=1.0)
LEARNT_FROM = ("observations", "actions", "values", "log_probs", "advantages", "returns")
BUFFER = (*LEARNT_FROM, "rewards", "episode_starts")
ROWS, MAX_STEPS = 16, 12


def pair(world, changes=None, **settings):
    """The two learners with the same weights, on envs of their own."""
    settings = replace(BASE, **settings)
    policy = fresh_policy(Sim2RealVectorEnv(world), settings, seed=3)
    models = []
    for kind in (as_sb3, LeanPPO):
        venv = SB3VecEnv(Sim2RealVectorEnv(world, ROWS, max_episode_steps=MAX_STEPS))
        model = kind(policy, venv, settings, 3)
        model.set_logger(Logger(None, []))
        model._setup_learn(10**6, None)
        for name, value in (changes or {}).items():
            setattr(model, name, value)
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
    theirs, ours = named_tensors(models[0]), models[1].parameters.values
    learnt = {name for name in ours if not name.startswith("normalizer")}
    assert theirs.keys() == learnt
    return max(float(np.abs(theirs[name].detach().numpy() - ours[name]).max()) for name in theirs)


SETTINGS = {
    "plain": {},
    "entropy": {"entropy": 0.02},
    "value loss": {"changes": {"vf_coef": 0.9}},
    "target_kl": {"target_kl": 0.002},
    # in few epochs no sample comes to the very edge of the clip, where rounding decides whether it counts
    "tight clip": {"clip_range": 0.02, "epochs": 5},
    "clipped values": {"changes": {"clip_range_vf": lambda _: 0.05}},
    "short gradients": {"changes": {"max_grad_norm": 0.01}},
    "long gradients": {"changes": {"max_grad_norm": 100.0}},
    "raw advantages": {"changes": {"normalize_advantage": False}},
    "ragged batches": {"batch_size": 100},
    "relu": {"activation": "relu", "hidden": (32,)},
    "elu, three layers": {"activation": "elu", "hidden": (32, 16, 8)},
}


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("name", SETTINGS)
def test_update_is_that_of_stable_baselines3(write_world, name):
    models = theirs, ours = pair(write_world(), **SETTINGS[name])
    before = ours.parameters.value.copy()
    collect(theirs)
    train_both(models)
    assert np.abs(ours.parameters.value - before).max() > 1e-3
    assert theirs._n_updates == ours._n_updates
    assert (ours._n_updates < ours.n_epochs) == (name == "target_kl")
    assert largest_difference(models) < 1e-5


def test_second_update_goes_on_from_the_moments_of_the_first(write_world):
    models = pair(write_world(), epochs=3)
    for seed in (1, 2):
        collect(models[0], seed)
        train_both(models, seed)
    assert largest_difference(models) < 1e-5


def test_resting_arrays_stay_and_begin_as_torch_would(write_world):
    """The critic first, then all: the actor's bias correction begins when it moves."""
    models = theirs, ours = pair(write_world(), epochs=3)
    actor = ours.parameters.values["actor.0.weight"]
    before = actor.copy()
    for seed in (1, 2):
        collect(theirs, seed)
        for name, tensor in named_tensors(theirs).items():
            tensor.requires_grad_(seed == 2 or name.startswith("critic"))
        ours._hooks = Hooks(free=["critic"] if seed == 1 else None)
        train_both(models, seed)
        assert np.array_equal(actor, before) == (seed == 1)
    assert largest_difference(models) < 1e-5


def test_rates_of_parts_are_those_of_parameter_groups(write_world):
    """As torch's Adam with three groups, on the gradients of Stable-Baselines3's own update."""
    models = theirs, ours = pair(write_world(), epochs=3)
    rates = {"actor": 0.1, "actor.1": 2.0, "critic": 0.5}
    ours._hooks = Hooks(rates=rates)
    share = {"actor.1": 2.0, "actor.": 0.1, "critic": 0.5, "log_std": 1.0}
    groups = [
        {"params": [tensor], "share": next(r for part, r in share.items() if name.startswith(part))}
        for name, tensor in named_tensors(theirs).items()
    ]
    theirs.policy.optimizer = torch.optim.Adam(groups, lr=1e-3, eps=1e-5)

    def update(optimizer):
        for group in optimizer.param_groups:
            group["lr"] = theirs.lr_schedule(theirs._current_progress_remaining) * group["share"]

    theirs._update_learning_rate = update
    collect(theirs)
    train_both(models)
    assert largest_difference(models) < 1e-5


def test_rollout_is_that_of_stable_baselines3():
    models = theirs, ours = pair("hopper")
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
    models = pair(write_world(), target_kl=0.002, entropy=0.01)
    collect(models[0])
    train_both(models, 8)
    told, tell = (model.logger.name_to_value for model in models)
    assert set(told) == set(tell)
    for name in ("train/std", "train/value_loss", "train/policy_gradient_loss", "train/explained_variance"):
        assert tell[name] == pytest.approx(told[name], abs=1e-5), name
