"""Learn with rsl_rl's PPO (Schwarke et al. 2025): rollouts, learning and physics on one device.

    settings = settings_for(World.load("furuta"), randomized=True)
    policy = train("furuta", Path("runs/furuta-randomized-0"), "training", settings=settings)

Settings, policies and resuming are those of every learner, with arrays and never pickles on disk. Two
settings mean something else. The learning rate is where it begins, and follows from then on how much updates
change the policy; ``target_kl`` is three times the KL divergence that it is steered to, and
``final_learning_rate`` is not used.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import MissingExtra
from sim2real.learn.rsl_log import RunLog
from sim2real.learn.rsl_weights import export_weights, import_weights
from sim2real.learn.settings import PPOSettings
from sim2real.learn.settings import settings_for as usual_settings
from sim2real.policy import Policy, as_feedforward, feedforward
from sim2real.world import World

if TYPE_CHECKING:
    from rsl_rl.runners import OnPolicyRunner

    from sim2real.learn.learn import Monitor

ON_GPU: dict[str, int] = {
    "total_steps": 30_000_000,
    "num_envs": 4096,
    "rollout_steps": 24,
    "batch_size": 24_576,
    "epochs": 5,
}
"""Settings for thousands of simulations at once, after rsl_rl's own for legged robots."""


def settings_for(world: World, randomized: bool = False, **changes: object) -> PPOSettings:
    """What `sim2real.learn.settings.settings_for` says, with thousands of simulations where Warp has a GPU.

    Args:
        world: whose table counts.
        randomized: whether ``[training.randomized]`` counts too.
        **changes: settings by name, of which ``simulator`` is ``"warp"`` by default; None changes nothing.

    Raises:
        UnknownName: for a setting that does not exist.
    """
    given = {
        "simulator": "warp",
        "learner": "rsl_rl",
        **{name: value for name, value in changes.items() if value is not None},
    }
    many = ON_GPU if given["simulator"] == "warp" and torch.cuda.is_available() else {}
    return usual_settings(world, randomized, **{**many, **given})


def learn_on_device(
    env: Sim2RealVectorEnv, policy: Policy, settings: PPOSettings, seed: int, monitor: Monitor
) -> tuple[Policy, int]:
    """Go on learning with rsl_rl's PPO; the policy, and the control steps taken.

    Args:
        env: where.
        policy: what to begin with, a feedforward one.
        settings: how.
        seed: of exploration and episodes.
        monitor: progress, logs and whose checkpoint to go on from; it has no callbacks.

    Raises:
        MissingExtra: if rsl_rl, or the engine's package, is not installed.
        PolicyError: for a network of another form.
        InvalidValue: if there is a checkpoint of another world.
    """
    activation, _ = as_feedforward(policy.network, policy.weights)
    runner = build_runner(env, settings, seed)
    import_weights(runner.alg, policy, settings.initial_std)
    with tempfile.TemporaryDirectory() as nowhere:
        log = RunLog(monitor.logs or Path(nowhere), monitor.run or "", settings, monitor.title)
        steps = log.learn(runner)
    weights = export_weights(runner.alg)
    network = feedforward(weights, activation)
    return Policy(policy.contract, network, weights, policy.name), steps


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
