"""Pre-train a policy with PPO (Schulman et al. 2017).

    policy = train("furuta", Path("runs/furuta-randomized-0"), domain="training", seed=0)

An interrupted training goes on from its last checkpoint when it is started again with the same folder and
settings; episodes begin anew there. Checkpoints are arrays (safetensors), never pickles.
"""

from __future__ import annotations

import dataclasses
from dataclasses import asdict
from pathlib import Path

from sim2real.draws import LARGEST_SEED, checked_seed
from sim2real.env import DomainLike, Sim2RealVectorEnv
from sim2real.episodes import run_episodes
from sim2real.learn.checkpoint import description
from sim2real.learn.domain_callbacks import LogDomain
from sim2real.learn.hooks import Hooks
from sim2real.learn.learn import Monitor, learn
from sim2real.learn.privileged import hide_physics, show_physics
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import begin, contract_of, normalizer_of
from sim2real.policy import Policy, ProvenanceStep
from sim2real.world import World

MEASURE_SEED = 2**31
"""Episodes that measure a policy are numbered apart from those that it is trained in."""


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
        MissingExtra: if the learner, or the engine's package, is not installed.
    """
    folder, seed = Path(folder), checked_seed(seed, LARGEST_SEED)
    Policy.check_folder(folder)
    env, start, settings = begin(world, domain, seed, settings)
    first = show_physics(start, env) if settings.privileged else start
    source, logs = env.domain.to_toml(), folder.with_name(folder.name + ".training")
    monitor = Monitor(
        callbacks=(LogDomain(),),
        title=folder.name if progress else None,
        logs=logs,
        run=description(env.world, source, seed, asdict(settings)),
    )
    envs: Sim2RealVectorEnv | list[Sim2RealVectorEnv] = env
    own = settings.total_steps
    if settings.rehearsing:
        envs = [env, Sim2RealVectorEnv(env.world, settings.rehearsing, simulator=settings.simulator)]
        own = max(own * env.num_envs // settings.num_envs, 1)
    hooks = Hooks(normalizer=normalizer_of(start, settings))
    result = learn(envs, first, dataclasses.replace(settings, total_steps=own), seed, hooks, monitor)
    acting = hide_physics(result.policy) if settings.privileged else result.policy
    plain = {**asdict(settings), "hidden": list(settings.hidden)}
    step = ProvenanceStep("train", source, sum(result.steps), seed, plain)
    label = "nominal" if env.domain.is_point else "randomized"
    contract = contract_of(env, label, seed, (*start.contract.provenance, step), start.contract)
    policy = dataclasses.replace(acting, contract=contract, name=folder.name)
    policy = measured(policy, env.world, domain, settings.simulator)
    policy.save(folder)
    (logs / "checkpoint.safetensors").unlink(missing_ok=True)
    return policy


def measured(policy: Policy, world: World, domain: DomainLike, simulator: str, episodes: int = 128) -> Policy:
    """The policy with its mean return and success rate in a domain, over fresh episodes, in its contract."""
    env = Sim2RealVectorEnv(world, episodes, domain, autoreset=False, simulator=simulator)
    outcomes = run_episodes(policy, env, MEASURE_SEED)
    numbers = {"source_return": float(outcomes.returns.mean())}
    if env.task.success:
        numbers["source_success"] = float(outcomes.success.mean())
    return dataclasses.replace(policy, contract=dataclasses.replace(policy.contract, measured=numbers))
