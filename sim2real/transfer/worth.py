"""What knowing one parameter of a target is worth: how much of the gap is left if it alone is identified.

Each policy goes on training for the same number of steps several times: in the source's ranges, knowing
nothing of the target; with one parameter at the target's value and the others in their ranges; and knowing
all of them. What the first lacks to the last is the gap that identification can close, and the parameter that
closes most of it is the one to measure first on the robot.

::

    found = worth_of_knowing(world, policies, "combined_a", Path("runs/worth"), steps=200_000)
    [(one.name, one.left.value) for one in found.parameters if one.left]

A parameter that matters may be worth little to know, where a policy copes with all of its range, or where
training needs longer to use it: the answer is for this budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sim2real.distributions import Distribution, LogUniform, Point, Uniform
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.outcomes import tried
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.statistics import Array, Estimate, spread
from sim2real.parameters import quantity_of
from sim2real.policy import Policy
from sim2real.reach import check_reach
from sim2real.transfer.identify_and_train import Training, trained
from sim2real.transfer.stages import Stages
from sim2real.world import Variant, World

NOTHING, ALL, HALF = "nothing", "all", "half of "
"""Names of arms; the others are called by the parameter that they know."""


@dataclass(frozen=True)
class Question:
    """What is asked, and at which cost.

    Raises:
        InvalidValue: for less than one step.
    """

    steps: int = 200_000
    """Control steps of each training, all in the source."""
    parameters: tuple[str, ...] | None = None
    """Which might be measured; by default those in which the target differs from nominal."""
    halved: bool = False
    """Whether to ask, too, what it is worth to halve the range of each."""
    trials: Trials = field(default_factory=lambda: Trials(64))
    """In the target."""

    def __post_init__(self) -> None:
        """Refuse no training."""
        check_reach(self, "whole [1, inf)", "steps")


@dataclass(frozen=True)
class Known:
    """What it is worth to know one parameter."""

    name: str
    value: float
    """In the target."""
    gained: Estimate
    """Mean return in the target, more than of those that knew nothing."""
    left: Estimate | None
    """Share of what knowing all gains that is still lacking; None where knowing all is not shown to gain."""
    halved: Estimate | None
    """As ``gained``, of knowing only that it is in the nearer half of its range; None where not asked."""


@dataclass(frozen=True)
class WorthOfKnowing:
    """Of every parameter, the one to measure first at the head."""

    world: str
    label: str
    policies: tuple[str, ...]
    target: str
    steps: int
    """Of each training."""
    trainings: int
    nothing: Estimate
    """Mean return in the target of policies that went on knowing nothing of it."""
    everything: Estimate
    """Of those that knew all the parameters."""
    parameters: tuple[Known, ...]


def worth_of_knowing(
    world: World,
    policies: Sequence[Policy],
    target: str,
    folder: Path,
    question: Question = Question(),
    tell: Callable[[str], None] = lambda _: None,
) -> WorthOfKnowing:
    """Go on training with and without knowing each parameter of a target, and compare in the target.

    Args:
        world: where.
        policies: seeds of one method, each of which goes on.
        target: a held-out variant of one physics.
        folder: keeps what was trained; the same call again goes on from there.
        question: what is asked.
        tell: is given the name of each training that is done.

    Raises:
        InvalidValue: for no policy or those of several methods, a target that is drawn from or has no such
            parameter, and a world without training ranges.
        UnknownName: for a variant or a parameter that does not exist.
        PolicyError: if a policy does not fit the world.
    """
    labels = sorted({policy.label for policy in policies})
    if len(labels) != 1:
        raise InvalidValue(f"{len(labels)} methods can't be asked together; give seeds of one")
    variant = world.variant(target)
    domains = arms(world, variant, question)
    stages = Stages(folder)
    returns: dict[str, Array] = {}
    for arm, domain in domains.items():
        made = []
        for policy in policies:
            place = folder / arm.replace(" ", "-") / policy.name
            made.append(trained(policy, world, domain, place, Training(question.steps, arm), stages))
            tell(f"{arm}, {policy.name}")
        returns[arm] = tried(world, made, [variant], question.trials)[0]
    names = [name for name in domains if name not in (NOTHING, ALL) and not name.startswith(HALF)]
    known = [_known(name, world, variant, returns) for name in names]
    return WorthOfKnowing(
        world.name, labels[0], tuple(policy.name for policy in policies), target, question.steps,
        len(domains) * len(policies), spread(mean, returns[NOTHING]).estimate,
        spread(mean, returns[ALL]).estimate, tuple(sorted(known, key=lambda one: -one.gained.value)),
    )  # fmt: skip


def arms(world: World, variant: Variant, question: Question) -> dict[str, Domain]:
    """The domain of every training, by what it knows.

    Raises:
        InvalidValue: for a variant that is drawn from or nominal, and a world without training ranges.
        UnknownName: for a parameter that the world does not have.
    """
    box = world.domain("training").parameters
    if variant.drawn is not None or not variant.physics:
        what = "draws its physics anew" if variant.drawn is not None else "is nominal"
        raise InvalidValue(f"{variant.name} {what}, so that no value of it can be known; give another target")
    names = question.parameters or tuple(variant.physics)
    for name in names:
        if name not in world.parameters:
            raise UnknownName(f"parameter of {world.name}", name, world.parameters)
    values = {name: variant.physics.get(name, world.nominal[name]) for name in names}
    points: Mapping[str, Distribution] = {name: Point(value) for name, value in values.items()}
    found = {NOTHING: Domain(box)}
    found |= {name: Domain({**box, name: point}) for name, point in points.items()}
    if question.halved:
        ranges = {name: halved(name, box[name], values[name]) for name in names if name in box}
        found |= {HALF + name: Domain({**box, name: half}) for name, half in ranges.items()}
    return found | {ALL: Domain({**box, **points})}


def halved(name: str, distribution: Distribution, value: float) -> Distribution:
    """The half of a range that is around a value, as far as the range reaches; logarithmic if that is."""
    low, high = distribution.support()
    log = isinstance(distribution, LogUniform)
    ends = np.log([low, high, max(value, low)]) if log else np.array([low, high, value])
    width = (ends[1] - ends[0]) / 2
    first = min(max(ends[2] - width / 2, ends[0]), ends[0] + width)
    around = np.exp([first, first + width]) if log else np.array([first, first + width])
    if quantity_of(name).integer:
        around = np.round(around)
    start, stop = map(float, around)
    return Point(start) if start == stop else (LogUniform if log else Uniform)(start, stop)


def _known(name: str, world: World, variant: Variant, returns: Mapping[str, Array]) -> Known:
    """Policies and starts are the same in all arms, so that everything is paired."""
    half = returns.get(HALF + name)
    nothing, own, everything = (returns[arm] for arm in (NOTHING, name, ALL))
    reachable = spread(mean, everything - nothing).estimate
    left = None
    if reachable.interval is not None and reachable.interval[0] > 0:
        left = spread(_left, np.concatenate([nothing, own, everything], axis=1)).estimate
    return Known(
        name,
        variant.physics[name] if name in variant.physics else world.nominal[name],
        spread(mean, own - nothing).estimate,
        None if left is None or math.isnan(left.value) else left,
        None if half is None else spread(mean, half - nothing).estimate,
    )


def _left(means: Array) -> Array:
    """Share that is lacking, from shape (repetitions, policies, 3): nothing, one and all known."""
    nothing, own, everything = np.moveaxis(means.mean(axis=1), 1, 0)
    share: Array = np.full_like(own, np.nan)
    np.divide(everything - own, everything - nothing, out=share, where=everything > nothing)
    return share
