"""Pre-train a policy with rsl_rl's PPO (Schwarke et al. 2025): rollouts, learning and physics on one device.

    settings = settings_for(World.load("furuta"), randomized=True)
    policy = train("furuta", Path("runs/furuta-randomized-0"), "training", settings=settings)

It is what `sim2real.learn.ppo` is for Stable-Baselines3: the same settings, policies and resuming, with
arrays and never pickles on disk. Two settings mean something else. The learning rate is where it begins, and
follows from then on how much updates change the policy; ``target_kl`` is three times the KL divergence that
it is steered to, and ``final_learning_rate`` is not used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from sim2real.draws import LARGEST_SEED, checked_seed
from sim2real.env import DomainLike, Sim2RealVectorEnv
from sim2real.errors import MissingExtra
from sim2real.learn import ppo
from sim2real.learn.checkpoint import description
from sim2real.learn.ppo import PPOSettings, measured
from sim2real.learn.rsl_log import RunLog
from sim2real.learn.rsl_weights import export_weights, import_weights
from sim2real.learn.start import begin, contract_of
from sim2real.policy import Policy, Step, feedforward
from sim2real.process import undisturbed
from sim2real.world import World

if TYPE_CHECKING:
    from rsl_rl.runners import OnPolicyRunner

ON_GPU: dict[str, int] = {
    "total_steps": 30_000_000,
    "num_envs": 4096,
    "rollout_steps": 24,
    "batch_size": 24_576,
    "epochs": 5,
}
"""Settings for thousands of simulations at once, after rsl_rl's own for legged robots."""


def settings_for(world: World, randomized: bool = False, **changes: object) -> PPOSettings:
    """What `sim2real.learn.ppo.settings_for` says, with thousands of simulations where Warp has a GPU.

    Args:
        world: whose table counts.
        randomized: whether ``[training.randomized]`` counts too.
        **changes: settings by name, of which ``simulator`` is ``"warp"`` by default; None changes nothing.

    Raises:
        UnknownName: for a setting that does not exist.
    """
    given = {"simulator": "warp", **{name: value for name, value in changes.items() if value is not None}}
    many = ON_GPU if given["simulator"] == "warp" and torch.cuda.is_available() else {}
    return ppo.settings_for(world, randomized, **{**many, **given})


@undisturbed()
def train(
    world: str | World,
    folder: str | Path,
    domain: DomainLike = None,
    seed: int = 0,
    settings: PPOSettings | None = None,
    progress: bool = False,
) -> Policy:
    """Train a policy in a source domain and save it to ``folder``; see `sim2real.learn.ppo.train`.

    Args:
        world: where.
        folder: gets the policy, TensorBoard logs, and checkpoints while it runs.
        domain: what physics is drawn from; see `World.domain`. A domain that isn't a point makes a
            ``randomized`` policy.
        seed: of the network, the exploration and the episodes.
        settings: by default `settings_for` the world, in MuJoCo Warp.
        progress: whether to show a progress bar.

    Returns:
        The policy, as it was saved.

    Raises:
        MissingExtra: if rsl_rl, or the engine's package, is not installed.
        UnknownName: if the policy to start from does not exist.
        PolicyError: if it does not fit the world.
        DeadParameter: if a parameter of the domain changes nothing; see `sim2real.audit`.
        InvalidValue: if the folder has a checkpoint of another world, or for a seed that is none.
    """
    folder, seed = Path(folder), checked_seed(seed, LARGEST_SEED)
    Policy.check_folder(folder)
    env, start, settings = begin(world, domain, seed, settings, settings_for)
    world = env.world
    source = env.domain.to_toml()
    runner = build_runner(env, settings, seed)
    if start is not None:
        import_weights(runner.alg, start, settings.initial_std)
    logs = folder.with_name(folder.name + ".training")
    run = description(world, "rsl_rl", source, seed, asdict(settings))
    log = RunLog(logs, run, settings, folder.name if progress else None)
    steps = log.learn(runner)
    plain = {**asdict(settings), "hidden": list(settings.hidden), "learner": "rsl_rl"}
    step = Step("train", source, steps, seed, plain)
    past = start.contract.provenance if start else ()
    policy = make_policy(runner, env, settings, (*past, step))
    policy = measured(dataclasses.replace(policy, name=folder.name), world, domain, settings.simulator)
    policy.save(folder)
    log.forget()
    return policy


def build_runner(env: Sim2RealVectorEnv, settings: PPOSettings, seed: int) -> OnPolicyRunner:
    """An untrained PPO on ``env``, on the env's device.

    Raises:
        MissingExtra: if rsl_rl is not installed.
    """
    torch.set_num_threads(1)  # two spinning threads are an order of magnitude slower on small networks
    torch.manual_seed(seed)
    runners = _module("rsl_rl.runners")
    rows = _module("sim2real.learn.rsl_env").RslVecEnv(env, seed)
    network = {
        "class_name": "MLPModel",
        "hidden_dims": list(settings.hidden),
        "activation": settings.activation,
        "obs_normalization": settings.normalize_observations,
    }
    noise = {"class_name": "GaussianDistribution", "init_std": settings.initial_std, "std_type": "log"}
    config = {
        "num_steps_per_env": settings.rollout_steps,
        "save_interval": 1,
        "multi_gpu": None,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "algorithm": _algorithm(settings),
        "actor": {**network, "distribution_cfg": noise},
        "critic": network,
    }
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its networks
        runner: OnPolicyRunner = runners.OnPolicyRunner(rows, config, None, str(rows.device))
    return runner


def make_policy(
    runner: OnPolicyRunner, env: Sim2RealVectorEnv, settings: PPOSettings, provenance: tuple[Step, ...]
) -> Policy:
    """The policy that a runner has learnt, with the contract of the env that it was learnt in."""
    label = "nominal" if env.domain.is_point else "randomized"
    weights = export_weights(runner.alg)
    return Policy(contract_of(env, label, provenance), feedforward(weights, settings.activation), weights)


def _algorithm(settings: PPOSettings) -> dict[str, Any]:
    return {
        "class_name": "PPO",
        "num_learning_epochs": settings.epochs,
        "num_mini_batches": max(1, settings.num_envs * settings.rollout_steps // settings.batch_size),
        "clip_param": settings.clip_range,
        "gamma": settings.gamma,
        "lam": settings.gae_lambda,
        "entropy_coef": settings.entropy,
        "learning_rate": settings.learning_rate,
        "max_grad_norm": 0.5,
        "use_clipped_value_loss": False,  # its clip is meant for returns of size 1
        "normalize_advantage_per_mini_batch": True,
        "schedule": "adaptive",
        "desired_kl": settings.target_kl / 3,
    }


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra("rsl-rl-lib", "warp") from error
