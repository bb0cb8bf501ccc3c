"""The oracle of a variant: what training in its true physics reaches, the 100 of normalized scores.

    found = measure_oracle(world, world.variant("combined_a"), contestants, Path("runs/references/furuta"))
    found.entry()                       # a table of references.toml

Each training seed goes on from that shipped policy of its number which does best in the variant, is looked at
several times on the way, and the look that did best is kept. Starts are chosen and looks compared on episodes
of their own, the result is measured on others, and neither are those of evaluation: a contestant is never its
own oracle. What was trained is kept in the folder, so that a call that is repeated goes on from it.

Training in the variant from scratch is no oracle: it gets stuck where training that goes on doesn't. In
engines that step a hundred times slower on a CPU the oracle was trained in MuJoCo, at the variant's physics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor
from sim2real.errors import InvalidValue
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.rollouts import Trials, episode_returns
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.statistics import Array, Spread, spread
from sim2real.fingerprint import fingerprint
from sim2real.interface import ActorLike
from sim2real.learn.hooks import Hooks, critic_first
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.learn import Monitor, learn
from sim2real.learn.settings import settings_for
from sim2real.learn.start import contract_of, normalizer_of, shaped_like
from sim2real.policy import Policy, ProvenanceStep
from sim2real.reach import check_reach
from sim2real.simulators import Engine
from sim2real.world import Variant, World

LABEL = "oracle"
_SELECTION, _MEASUREMENT = 2_000_003, 3_000_017
"""Seeds of episodes, apart from those of training and of evaluation."""


@dataclass(frozen=True)
class OracleSettings:
    """How an oracle is trained and measured.

    Raises:
        InvalidValue: for a count below 1.
    """

    steps: int = 100_000
    """Control steps of each seed's training in the variant."""
    seeds: int = 3
    evaluations: int = 5
    """How often a training is looked at; the best look is kept."""
    selection: int = 64
    """Episodes of each look."""
    episodes: int = 64
    """That the result is measured on."""
    elsewhere: int = 16
    """The same in other engines, which are slow."""
    learning_rate: float = 0.5
    """As a share of what the world's training begins with."""
    initial_std: float = 0.35
    """Exploration at the start, in units of a full action."""
    critic_warmup: float = 0.04
    """Share of the steps in which the critic alone learns."""

    def __post_init__(self) -> None:
        """Refuse to do nothing."""
        counts = ("steps", "seeds", "evaluations", "selection", "episodes", "elsewhere")
        check_reach(self, "whole [1, inf)", *counts)
        check_reach(self, "[0, inf)", "learning_rate")
        check_reach(self, "(0, inf)", "initial_std")
        check_reach(self, "[0, 1)", "critic_warmup")


@dataclass(frozen=True)
class Oracle:
    """What was measured of a variant."""

    reference: Reference
    shipped: Mapping[str, float]
    """Mean return of every contestant by label, over its seeds, on the episodes of the oracle."""
    settings: OracleSettings

    @property
    def best(self) -> str:
        """The contestants' label that does best here."""
        return max(self.shipped, key=lambda label: self.shipped[label])

    def entry(self) -> dict[str, object]:
        """What stands in ``references.toml``."""
        return {
            **{key: value for key, value in dataclasses.asdict(self.reference).items() if key != "picked"},
            "steps": self.settings.steps,
            "seeds": self.settings.seeds,
            "best_shipped": self.best,
            "best_shipped_return": self.shipped[self.best],
            "beats_shipped": self.reference.oracle > self.shipped[self.best],
        }


def measure_oracle(
    world: World,
    variant: Variant,
    contestants: Sequence[Policy],
    folder: Path,
    settings: OracleSettings | None = None,
) -> Oracle:
    """Train and measure the oracle of a variant, and measure random actions there.

    Args:
        world: of the variant.
        variant: whose oracle; the physics is known here, and to nobody else.
        contestants: shipped policies; seed ``k`` of the oracle goes on from one of seed ``k``.
        folder: keeps what was trained.
        settings: how.

    Raises:
        InvalidValue: if no contestant has the seed.
        PolicyError: if a contestant does not fit the world.
    """
    settings = settings or OracleSettings()
    twin = _at_home(world, variant)
    starts = [[p for p in contestants if p.contract.seed == seed] for seed in range(settings.seeds)]
    if not all(starts):
        raise InvalidValue(
            f"an oracle of {settings.seeds} seeds goes on from shipped policies of the seeds "
            f"0 to {settings.seeds - 1}, which {world.name} lacks; train them, or ask for fewer seeds"
        )
    trained = [_trained(world, twin, own, folder / twin.name, settings) for own in starts]
    trials = Trials(settings.episodes, _MEASUREMENT, Engine("mujoco", 1))
    if variant.simulator != "mujoco":
        trials = Trials(settings.elsewhere, _MEASUREMENT)

    def over(actors: Sequence[ActorLike]) -> Spread:
        returns = np.stack([_returns(world, actor, variant, trials) for actor in actors])
        return spread(mean, returns[:, None])

    size = len(contestants[0].contract.action)
    oracle, random = over(trained), over([RandomActor(size, seed) for seed in range(settings.seeds)])
    labels = dict.fromkeys(policy.contract.label for policy in contestants)
    shipped = {label: over([p for p in contestants if p.contract.label == label]).value for label in labels}
    errors = (_error(random), _error(oracle))
    return Oracle(Reference(random.value, oracle.value, *errors), shipped, settings)


def _at_home(world: World, variant: Variant) -> Variant:
    """The same physics in MuJoCo: a variant of the world, where it has one."""
    if variant.simulator == "mujoco":
        return variant
    told = variant.domain.to_toml()
    same = [v for v in world.variants.values() if v.simulator == "mujoco" and v.domain.to_toml() == told]
    return same[0] if same else dataclasses.replace(variant, simulator="mujoco")


def _trained(
    world: World, variant: Variant, starts: Sequence[Policy], folder: Path, settings: OracleSettings
) -> Policy:
    """The oracle that goes on from policies of one seed, from the folder if it is there."""
    how = dataclasses.astuple(dataclasses.replace(settings, seeds=1, episodes=1, elsewhere=1))
    key = fingerprint(world.without_variants(), variant.domain, *starts, how)
    place = folder / f"seed-{starts[0].contract.seed}-{key[:8]}"
    if not place.is_dir():
        train_oracle(world, variant, starts, settings).save(place)
    return Policy.load(place)


def train_oracle(
    world: World, variant: Variant, starts: Sequence[Policy], settings: OracleSettings
) -> Policy:
    """Go on training in a variant from the start that does best there, and keep the best look.

    Args:
        world: where.
        variant: in MuJoCo.
        starts: policies of one seed, which is that of the training.
        settings: how.
    """
    seed = starts[0].contract.seed
    looks = Trials(settings.selection, _SELECTION, Engine("mujoco", 1))
    start = max(starts, key=lambda policy: _returns(world, policy, variant, looks).mean())
    ppo = settings_for(world, total_steps=settings.steps, initial_std=settings.initial_std)
    ppo = shaped_like(
        start, dataclasses.replace(ppo, learning_rate=settings.learning_rate * ppo.learning_rate)
    )
    env = Sim2RealVectorEnv(world, ppo.num_envs, variant.domain, simulator=Engine("mujoco", 1))
    start.check(env)
    table = {**dataclasses.asdict(ppo), "hidden": list(ppo.hidden), "start": start.name}

    def look(policy: Policy, steps: int) -> tuple[float, Policy]:
        step = ProvenanceStep("train", env.domain.to_toml(), steps, seed, table)
        contract = contract_of(env, LABEL, seed, (*start.contract.provenance, step), start.contract)
        policy = dataclasses.replace(policy, contract=contract, name="policy")
        return float(_returns(world, policy, variant, looks).mean()), policy

    best = _BestPolicy(look, settings.steps / settings.evaluations)
    hooks = Hooks(critic_first(start.network, settings.critic_warmup), normalizer=normalizer_of(start, ppo))
    learn(env, start, ppo, seed, hooks, Monitor((best,)))
    return best.policy


class _BestPolicy(BaseCallback):
    """Looks at what was learnt every so many control steps, and at the end."""

    def __init__(self, look: Callable[[Policy, int], tuple[float, Policy]], every: float) -> None:
        super().__init__()
        self._look, self._every, self._seen = look, every, 0
        self._best: tuple[float, Policy] | None = None

    @property
    def policy(self) -> Policy:
        """The best so far."""
        assert self._best is not None
        return self._best[1]

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps // self._every > self._seen // self._every:
            self._compare()

    def _on_training_end(self) -> None:
        if self.num_timesteps > self._seen:
            self._compare()

    def _compare(self) -> None:
        assert isinstance(self.model, LeanPPO)
        self._seen = self.num_timesteps
        found = self._look(self.model.policy_now(), self._seen)
        if self._best is None or found[0] > self._best[0]:
            self._best = found


def _returns(world: World, actor: ActorLike, variant: Variant, trials: Trials) -> Array:
    return episode_returns(world, actor, [variant], trials)[variant.name]


def _error(found: Spread) -> float:
    """Standard error over seeds and starts; over starts alone where there is one seed."""
    return found.error if np.isfinite(found.error) else float(np.sqrt(found.starts))
