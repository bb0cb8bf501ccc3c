"""Pre-train a policy with Stable-Baselines3's PPO (Schulman et al. 2017), in one process.

    policy = train("furuta", domain="training", seed=0, folder=Path("runs/furuta-randomized-0"))

An interrupted training goes on from its last checkpoint when it is started again with the same folder and
settings; episodes begin anew there. Checkpoints are arrays (safetensors), never pickles.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, VecNormalize

from sim2real.documents import Section
from sim2real.draws import LARGEST_SEED, checked_seed
from sim2real.env import DomainLike, Sim2RealVectorEnv
from sim2real.episodes import run_episodes
from sim2real.errors import UnknownName
from sim2real.learn.callbacks import Checkpoints, ProgressBar, learn
from sim2real.learn.checkpoint import description
from sim2real.learn.domain_callbacks import LogDomain
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.start import begin, contract_of
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.learn.weights import ACTIVATIONS, activation_name, export_weights, import_weights
from sim2real.policy import HasTask, Policy, Step, feedforward
from sim2real.process import undisturbed
from sim2real.world import World

MEASURE_SEED = 2**31
"""Episodes that measure a policy are numbered apart from those that it is trained in."""


@dataclass(frozen=True)
class PPOSettings:
    """Settings of PPO; the defaults suit cheap models on one core."""

    total_steps: int = 500_000
    """Control steps of all envs together."""
    num_envs: int = 64
    rollout_steps: int = 64
    """Control steps of each env between updates."""
    batch_size: int = 512
    epochs: int = 8
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.1
    """Share of the learning rate that is left at the end; it falls linearly."""
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    entropy: float = 0.0
    target_kl: float = 0.03
    initial_std: float = 0.6
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    start: str = ""
    """Name or folder of a policy to go on from, with ``{seed}`` for the seed; empty to begin anew."""
    simulator: str = "mujoco"
    """Engine to train in."""
    normalize_observations: bool = False
    """Whether running means and variances scale what the policy sees; the tasks scale by hand already."""
    allow_dead: bool = False
    """Whether to train with parameters of the domain that change nothing."""


def settings_for(world: World, randomized: bool = False, **changes: object) -> PPOSettings:
    """The defaults with what ``physics.toml`` says under ``[training]``, then ``changes`` that aren't None.

    Args:
        world: whose table counts.
        randomized: whether ``[training.randomized]`` counts too.
        **changes: settings by name.

    Raises:
        UnknownName: for a setting that does not exist.
        InvalidValue: for a value of another type, or below what makes sense.
    """
    known = {field.name: field.default for field in dataclasses.fields(PPOSettings)}
    base = dict(world.training)
    special = base.pop("randomized", {})
    given = {**base, **(special if randomized and isinstance(special, dict) else {})}
    given |= {name: value for name, value in changes.items() if value is not None}
    for name in given:
        if name not in known:
            raise UnknownName("training setting", name, known)
    file = Section(str(world.path / "physics.toml"), given, place="training.")
    values: dict[str, Any] = {name: file.setting(name, known[name]) for name in given}
    settings = dataclasses.replace(PPOSettings(), **values)
    if settings.activation not in ACTIVATIONS:
        raise UnknownName("activation", settings.activation, ACTIVATIONS)
    return settings


@undisturbed()
def train(
    world: str | World,
    folder: str | Path,
    domain: DomainLike = None,
    seed: int = 0,
    settings: PPOSettings | None = None,
    progress: bool = False,
) -> Policy:
    """Train a policy in a source domain and save it to ``folder``.

    Args:
        world: where.
        folder: gets the policy, TensorBoard logs, and checkpoints while it runs.
        domain: what physics is drawn from; see `World.domain`. A domain that isn't a point makes a
            ``randomized`` policy.
        seed: of the network, the exploration and the episodes.
        settings: by default `settings_for` the world. A policy to start from brings its own network.
        progress: whether to show a progress bar.

    Returns:
        The policy, as it was saved.

    Raises:
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
    logs = folder.with_name(folder.name + ".training")
    model = build_ppo(SB3VecEnv(env), settings, seed, logs)
    if start is not None:
        import_weights(model, start, settings.initial_std)
    run = description(world, "lean", source, seed, asdict(settings))
    checkpoint = Checkpoints(logs / "checkpoint.safetensors", run)
    checkpoint.restore(model)
    callbacks = [
        checkpoint,
        LogDomain(),
        *([ProgressBar(settings.total_steps, folder.name)] if progress else []),
    ]
    if model.num_timesteps < settings.total_steps:
        learn(model, settings.total_steps - model.num_timesteps, callbacks)
    plain = {**asdict(settings), "hidden": list(settings.hidden)}
    step = Step("train", source, model.num_timesteps, seed, plain)
    label = "nominal" if env.domain.is_point else "randomized"
    past = start.contract.provenance if start else ()
    policy = make_policy(model, env, label, (*past, step))
    policy = measured(dataclasses.replace(policy, name=folder.name), world, domain, settings.simulator)
    policy.save(folder)
    checkpoint.path.unlink(missing_ok=True)
    return policy


def build_ppo(venv: SB3VecEnv, settings: PPOSettings, seed: int, logs: Path | None) -> LeanPPO:
    """An untrained PPO model on ``venv``, with TensorBoard logs in ``logs``."""
    torch.set_num_threads(1)  # two spinning threads are an order of magnitude slower on small networks
    wrapped: VecEnv = VecMonitor(venv)
    if settings.normalize_observations:
        wrapped = VecNormalize(wrapped, norm_reward=False)
    start, end = settings.learning_rate, settings.learning_rate * settings.final_learning_rate
    model = LeanPPO(
        "MlpPolicy",
        wrapped,
        learning_rate=lambda remaining: end + (start - end) * remaining,
        n_steps=settings.rollout_steps,
        batch_size=settings.batch_size,
        n_epochs=settings.epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_range,
        ent_coef=settings.entropy,
        target_kl=settings.target_kl,
        seed=seed,
        device="cpu",
        tensorboard_log=None if logs is None else str(logs),
        policy_kwargs={
            "net_arch": list(settings.hidden),
            "activation_fn": ACTIVATIONS[settings.activation],
            "log_std_init": math.log(settings.initial_std),
        },
    )
    if logs is None:
        model.set_logger(Logger(None, []))  # or it makes an empty folder for every model
    return model


def make_policy(model: PPO, env: HasTask, label: str, provenance: tuple[Step, ...]) -> Policy:
    """The policy that a model has learnt, with the contract of the env that it was learnt in."""
    normalizer = model.get_vec_normalize_env()
    clip = math.inf if normalizer is None else float(normalizer.clip_obs)
    weights = export_weights(model)
    network = feedforward(weights, activation_name(model), clip)
    return Policy(contract_of(env, label, provenance), network, weights)


def measured(policy: Policy, world: World, domain: DomainLike, simulator: str, episodes: int = 128) -> Policy:
    """The policy with its mean return and success rate in a domain, over fresh episodes, in its contract."""
    env = Sim2RealVectorEnv(world, episodes, domain, autoreset=False, simulator=simulator)
    outcomes = run_episodes(policy, env, MEASURE_SEED)
    numbers = {"source_return": float(outcomes.returns.mean())}
    if env.task.success:
        numbers["source_success"] = float(outcomes.success.mean())
    return dataclasses.replace(policy, contract=dataclasses.replace(policy.contract, measured=numbers))
