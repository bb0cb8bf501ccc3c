"""Run policies on variants: all variants × episodes of a policy are one batch.

Common random numbers: episode k starts alike for every policy and in every variant, so that differences are
those of policy and physics. The unperturbed control arm is always among the variants.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence

import numpy as np

from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import Outcomes, run_episodes
from sim2real.errors import InvalidValue
from sim2real.evaluate.gap import Reference
from sim2real.evaluate.table import Episodes
from sim2real.interface import Actor
from sim2real.policy import Policy
from sim2real.world import CONTROL, Variant, World

SEED = 1_000_003
"""Default seed of evaluation episodes, apart from those of training."""


def evaluate(
    world: World,
    policies: Sequence[Policy],
    variants: Sequence[str] | None = None,
    episodes: int = 64,
    seed: int = SEED,
    done: Callable[[Policy], None] = lambda _: None,
) -> Episodes:
    """The episode table of some policies on some variants.

    Args:
        world: where.
        policies: each with the label and training seed of its contract.
        variants: held-out variants by name; by default all of them.
        episodes: per policy and variant.
        seed: of the episodes.
        done: called after each policy, to show progress.

    Raises:
        InvalidValue: if there is no policy or no episode to run.
        PolicyError: if a policy does not fit the world.
        UnknownName: for a variant that does not exist.
    """
    if not policies or episodes < 1:
        raise InvalidValue(f"{len(policies)} policies × {episodes} episodes leave nothing to evaluate")
    chosen = _variants(world, variants)
    env = variant_env(world, chosen, episodes)
    for policy in policies:
        policy.check(env)
    numbers = np.tile(np.arange(episodes), len(chosen))
    outcomes = []
    for policy in policies:
        outcomes.append(run_episodes(policy, env, seed, numbers))
        done(policy)
    return _table(policies, chosen, numbers, outcomes)


def mean_returns(
    world: World, actor: Actor, variants: Sequence[Variant], episodes: int, seed: int = SEED
) -> dict[str, float]:
    """Mean return of any actor on each variant, for references."""
    env = variant_env(world, variants, episodes)
    outcomes = run_episodes(actor, env, seed, np.tile(np.arange(episodes), len(variants)))
    means = outcomes.returns.reshape(len(variants), episodes).mean(axis=1)
    return {v.name: float(mean) for v, mean in zip(variants, means, strict=True)}


def variant_env(world: World, variants: Sequence[Variant], episodes: int) -> Sim2RealVectorEnv:
    """An env whose rows are variants × episodes, each with its variant's physics, without autoreset."""
    env = Sim2RealVectorEnv(world, len(variants) * episodes, autoreset=False)
    names = tuple(sorted({name for variant in variants for name in variant.physics}))
    values = [[v.physics.get(name, world.nominal[name]) for name in names] for v in variants]
    env.set_physics(names, np.repeat(np.array(values), episodes, axis=0))
    return env


def references(world: World) -> dict[str, Reference]:
    """Stored returns of random actions and of an oracle, by variant; empty if the world has none.

    The oracle is the best that is known in the true target; ``scripts/make_references.py`` says how.
    """
    path = world.path / "references.toml"
    if not path.is_file():
        return {}
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        name: Reference(random=float(entry["random"]), oracle=float(entry["oracle"]))
        for name, entry in table["variants"].items()
    }


def _variants(world: World, names: Sequence[str] | None) -> list[Variant]:
    if names is None:
        return list(world.variants.values())
    return [world.variant(name) for name in dict.fromkeys((CONTROL, *names))]


def _table(
    policies: Sequence[Policy],
    variants: Sequence[Variant],
    numbers: np.ndarray[tuple[int], np.dtype[np.int64]],
    outcomes: Sequence[Outcomes],
) -> Episodes:
    rows = len(numbers)
    each = rows // len(variants)

    def per_policy(values: Sequence[object]) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        return np.repeat(np.array(values), rows)

    def per_variant(values: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        return np.tile(np.repeat(np.array(values), each), len(policies))

    return {
        "label": per_policy([p.contract.label for p in policies]),
        "policy": per_policy([p.name for p in policies]),
        "seed": per_policy([p.contract.seed for p in policies]),
        "variant": per_variant([v.name for v in variants]),
        "group": per_variant([v.group for v in variants]),
        "episode": np.tile(numbers, len(policies)),
        "return": np.concatenate([o.returns for o in outcomes]),
        "length": np.concatenate([o.lengths for o in outcomes]),
        "success": np.concatenate([o.success for o in outcomes]),
        "diverged": np.concatenate([o.diverged for o in outcomes]),
    }
