"""A method that changes how a policy sees, and nothing of what it does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import BudgetExhausted, PolicyError
from sim2real.gather import gather
from sim2real.policy import Policy, ProvenanceStep
from sim2real.reach import check_reach
from sim2real.transfer.demonstrations import returns_in_target
from sim2real.transfer.methods.method import Card, Case
from sim2real.transfer.remote import Target
from sim2real.transfer.source import Source

Floats = NDArray[np.float64]
_CONSTANT = 1e-4
"""Standard deviation, in scaled units, below which a signal says nothing of scales."""
_SOURCE_ROWS = 64
_SHARES = (0.0, 1.0, 0.5, 0.25)
"""Of the way to new statistics that are tried, in this order."""


@dataclass(frozen=True)
class AdaptNormalizer:
    """The policy sees the target's observations with the mean and deviation of the source's (AdaBN).

    Li et al. 2016 after Ioffe & Szegedy 2015: with means m and deviations d of source s and target t, an
    observation x is seen as mₛ + (x − mₜ) dₛ / dₜ. Both are those of whole episodes of the policy: in the
    target, and in the domain that it was trained in last. A mean or a deviation moves as far as episodes show
    that it differs: 1 − (c / t)² of the way, the non-negative garrote (Breiman 1995), and not at all while t
    is below the critical value c.

    That undoes other gains and offsets of sensors. In other physics a policy that fails is in other states,
    and the same would mislead it; so the old statistics and shares of the way to the new ones are tried in
    the target, from the same starts, and those that return most are kept if they are shown to return more
    than the old ones.

    Raises:
        InvalidValue: for a level outside (0, 1).
    """

    card: ClassVar[Card] = Card(
        "lets the target's observations look as those of the source, as far as that helps; learns nothing",
        "Li et al. 2016",
        needs=("source",),
        costs="some episodes of the source",
        risk="changes little where the physics differ and sensors do not",
    )
    look_steps: int = 200
    """Control steps of the episode that each row of the target looks at."""
    level: float = 0.05
    """Chance that anything is changed where nothing differs, and that what is changed returns no more."""

    def __post_init__(self) -> None:
        """Refuse what is no level."""
        check_reach(self, "(0, 1)", "level")
        check_reach(self, "whole [1, inf)", "look_steps")

    def __call__(self, case: Case) -> Policy:
        """Spend some steps on looking, and some on trying.

        Raises:
            PolicyError: for a policy that normalizes no observations; nothing is spent then.
            BudgetExhausted: if the budget does not allow a step.
        """
        assert isinstance(case.source, Source)
        policy, target = case.policy, case.target
        layers = [
            layer.name
            for layer in policy.network.layers
            if layer.kind == "normalize" and layer.inputs == ("observation",)
        ]
        if not layers:
            raise PolicyError(
                f"policy {policy.name!r} has no layer that normalizes observations; fine-tune it"
            )
        trainings = policy.contract.trainings
        home = Sim2RealVectorEnv(
            case.source.world, _SOURCE_ROWS, trainings[-1].domain if trainings else None, autoreset=False
        )
        begun = target.spent
        now = _seen(policy, target, self.look_steps, case.seed)
        before = _seen(policy, home, self.look_steps, case.seed)
        new: dict[str, Floats] = {}
        for name in layers:
            mean, std = (policy.weights[f"{name}.{array}"].astype(np.float64) for array in ("mean", "std"))
            found = aligned(mean, std, before, now, self.level)
            new |= {f"{name}.mean": found[0], f"{name}.std": found[1]}
        share = self._best(policy, target, new, case.seed)
        told = {
            "target": target.name,
            **dataclasses.asdict(self),
            "share": share,
            **target.spent.since(begun),
        }
        step = ProvenanceStep("normalizer", {}, target.spent.steps - begun.steps, case.seed, told)
        contract = dataclasses.replace(policy.contract, provenance=(*policy.contract.provenance, step))
        return dataclasses.replace(_moved(policy, new, share), contract=contract)

    def _best(self, policy: Policy, target: Target, new: Mapping[str, Floats], seed: int) -> float:
        """The share of the way to new statistics that is shown to return most, 0 if none is."""
        if all((policy.weights[name] == array.astype(np.float32)).all() for name, array in new.items()):
            return 0.0
        limit, rows = target.budget.episodes, target.num_envs
        paid = len(_SHARES) if limit is None else (limit - target.spent.episodes) // rows
        shares = _SHARES[: max(0, paid)]
        steps = min(target.task.max_steps, target.steps_left // (rows * max(1, len(shares))))
        if len(shares) < 2 or not steps:
            return 0.0
        returns = [returns_in_target(target, _moved(policy, new, share), seed, steps) for share in shares]
        gains = np.array(returns[1:]) - returns[0]
        error = gains.std(axis=1, ddof=1) / np.sqrt(rows) if rows > 1 else np.full(len(gains), np.inf)
        critical = stats.t.ppf(1 - self.level / len(gains), max(1, rows - 1))
        shown = np.where(gains.mean(axis=1) > critical * error, gains.mean(axis=1), 0.0)
        return shares[1 + int(shown.argmax())] if shown.any() else 0.0


def aligned(
    mean: Floats, std: Floats, before: Sequence[Floats], now: Sequence[Floats], level: float = 0.05
) -> tuple[Floats, Floats]:
    """Mean and deviation with which ``now`` looks, in its first two moments, as ``before`` did with the old.

    Signals that stand still in either keep theirs, and so does what does not differ by more than chance.

    Args:
        mean: the old one. Shape (n,).
        std: likewise.
        before: what was seen in the source, by episode. Shapes (steps, n).
        now: what was seen in the target.
        level: chance that anything is changed where nothing differs.
    """
    old, wide = _moments(_sums(before).sum(axis=0))
    moves = np.minimum(wide, _moments(_sums(now).sum(axis=0))[1]) > np.log(_CONSTANT)
    shift, stretch = np.where(moves, _evident(before, now, level), 0.0)
    ratio = np.exp(stretch)
    changed = (shift != 0) | (stretch != 0)
    return np.where(changed, old + shift - (old - mean) * ratio, mean), std * ratio


def _moved(policy: Policy, new: Mapping[str, Floats], share: float) -> Policy:
    """The policy with a share of the way to new statistics."""
    ways = {name: (1 - share) * policy.weights[name] + share * array for name, array in new.items()}
    weights = {**policy.weights, **{name: way.astype(np.float32) for name, way in ways.items()}}
    return dataclasses.replace(policy, weights=weights)


def _seen(policy: Policy, env: Sim2RealVectorEnv | Target, steps: int, seed: int) -> list[Floats]:
    """What a policy sees in an episode of each row. Shapes (steps, num_observations)."""
    if not isinstance(env, Sim2RealVectorEnv):
        steps = min(steps, env.steps_left // env.num_envs)
        if not steps:
            raise BudgetExhausted(
                f"{env.steps_left} steps don't pay for one in each of {env.num_envs} rows; raise the budget"
            )
    episodes = gather(env, policy, steps, seed, anew=False).episodes
    if not isinstance(env, Sim2RealVectorEnv):
        env.stop()
    return [episode.observation[:-1] for episode in episodes]


def _evident(before: Sequence[Floats], now: Sequence[Floats], level: float) -> Floats:
    """Differences of means and of logarithms of deviations, shrunk to what is shown. Shape (2, n).

    Welch's t with variances by the jackknife over episodes, as steps of one are no news of each other; the
    level is shared by all of them (Bonferroni).
    """
    parts = [_sums(episodes) for episodes in (before, now)]
    values = [_moments(part.sum(axis=0)) for part in parts]
    spreads, freedoms = zip(*(_jackknife(part) for part in parts), strict=True)
    difference, variance = values[1] - values[0], spreads[0] + spreads[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / sum(v**2 / k for v, k in zip(spreads, freedoms, strict=True))
        critical = stats.t.ppf(1 - level / (2 * difference.size), freedom)
        kept = 1 - critical**2 * variance / difference**2
    return np.where(kept > 0, kept, 0.0) * difference


def _sums(episodes: Sequence[Floats]) -> Floats:
    """Rows of each episode, sums of its signals, and of their squares. Shape (episodes, 3, n)."""
    return np.stack([[np.full(each.shape[1], len(each)), each.sum(0), (each**2).sum(0)] for each in episodes])


def _moments(sums: Floats) -> Floats:
    """Means, and logarithms of deviations. Shape (2, n), or (2, episodes, n) of sums with another axis."""
    count, first, second = np.moveaxis(sums, -2, 0)
    mean = first / count
    variance = np.maximum(second / count - mean**2, np.finfo(float).tiny)
    return np.stack([mean, 0.5 * np.log(variance)])


def _jackknife(sums: Floats) -> tuple[Floats, int]:
    """Variances of the moments, and their degrees of freedom."""
    count = len(sums)
    if count < 2:
        return np.full(sums[0][:2].shape, np.inf), 1
    without = _moments(sums.sum(axis=0) - sums)
    spread = ((without - without.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return spread * (count - 1) / count, count - 1
