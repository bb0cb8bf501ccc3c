"""Made-up reports whose truth is known: is it in the intervals, is harm found, and nothing where nothing is?

    for line in run_selftest(reports=300):
        print(line.text)

The data are made like what the shipped policies show: fifteen variants, most of them near one end; seeds that
differ by variant, with heavy tails, and a little as a whole; 64 starts, some hard for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from sim2real.evaluate.compare import Verdict
from sim2real.evaluate.episode_table import COLUMNS, Episodes, Folded
from sim2real.evaluate.gap import decided, scores_of
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.scores import Reference, Scores
from sim2real.evaluate.statistics import Array, spread

VARIANTS, STARTS = 15, 64
LABELS = ("nominal", "same", "other")
_MANY = 2000  # seeds that stand for all
_HARM = -4.0  # logits on every variant
_REFERENCES: Mapping[str, Reference] = {f"v{k}": Reference(0.0, 100.0) for k in range(VARIANTS)}


@dataclass
class MadeWorld:
    """A made-up world: how hard its variants are, and how far seeds are apart on them."""

    rng: np.random.Generator
    ease: Array = field(init=False)
    """Of every variant, as the logit of the chance of success."""
    width: Array = field(init=False)
    """Of seeds on every variant, likewise."""

    def __post_init__(self) -> None:
        """Draw the world."""
        self.ease = self.rng.normal(1.8, 3.0, VARIANTS)
        self.width = 1.2 * np.exp(self.rng.normal(0.0, 0.6, VARIANTS))

    def starts(self, shape: int | tuple[int, ...] = STARTS) -> Array:
        """How hard each start is, for all policies."""
        return self.rng.normal(0.0, 0.7, shape)

    def chances(self, seeds: int, starts: Array, better: float = 0.0) -> Array:
        """Chance of success, of starts of shape (starts,), or (seeds, 1, starts) where each seed has its own.

        Shape (seeds, variants, starts).
        """
        own = self.width * self.rng.standard_t(5, (seeds, VARIANTS))
        logit = self.ease + better + self.rng.normal(0.0, 0.5, (seeds, 1)) + own
        chances: Array = 1.0 / (1.0 + np.exp(-(logit[..., None] + starts)))
        return chances

    def truth(self, better: float = 0.0) -> Array:
        """Chances of many seeds, over many starts. Shape (1, seeds, variants)."""
        means: Array = self.chances(_MANY, self.starts((_MANY, 1, 8)), better).mean(axis=2)
        return means[None]

    def seen(self, seeds: int, starts: Array, better: float = 0.0) -> Array:
        """Successes, 0 or 1. Shape (seeds, variants, starts)."""
        chances = self.chances(seeds, starts, better)
        return (self.rng.random(chances.shape) < chances).astype(float)

    def scores(self, seeds: int, better: Mapping[str, float] | None = None) -> Scores:
        """Of three methods, some of them better on every variant by so many logits."""
        starts, gains = self.starts(), dict.fromkeys(LABELS, 0.0) | dict(better or {})
        seen = {label: self.seen(seeds, starts, gain) for label, gain in gains.items()}
        return scores_of(_folded(seen), _REFERENCES)


def episodes_of(seen: Mapping[str, Array]) -> Episodes:
    """An episode table of scores 0 or 100; by label of shape (seeds, variants, starts)."""
    parts = []
    for label, scores in seen.items():
        seed, variant, start = (index.ravel() for index in np.indices(scores.shape))
        score = scores.ravel()
        names = np.full(score.size, label)
        policy = np.char.add(f"{label}-", seed.astype(str))
        group = np.full(score.size, "combined")
        columns = (
            names, names, policy, seed, np.char.add("v", variant.astype(str)), group, start, 100 * score,
            np.ones(score.size), score > 0, np.zeros(score.size, dtype=bool),
        )  # fmt: skip
        parts.append(columns)
    return {
        name: np.concatenate(column) for name, column in zip(COLUMNS, zip(*parts, strict=True), strict=True)
    }


def _folded(seen: Mapping[str, Array]) -> Folded:
    """What `fold` makes of that table, without the strings."""
    success = np.stack([np.moveaxis(scores, 0, 1) for scores in seen.values()])
    _, variants, seeds, starts = success.shape
    return Folded(
        labels=tuple(seen),
        variants=tuple(f"v{k}" for k in range(variants)),
        groups=("combined",) * variants,
        seeds=tuple(range(seeds)),
        returns=100 * success,
        success=success,
        episodes=np.full(success.shape[:2], seeds * starts),
        diverged=np.zeros(success.shape[:2], dtype=np.int64),
        seen=np.full(success.shape[:2], ""),
    )


def verdicts_of(scores: Scores) -> dict[str, tuple[Verdict, set[Verdict]]]:
    """Of each method but the baseline: the verdict on it as a whole, and those on its variants."""
    whole: dict[str, Verdict] = {}
    on_variants: dict[str, set[Verdict]] = {}
    for (label, variant), difference in decided(scores).items():
        name = scores.folded.labels[label]
        if difference is not None and variant is None:
            whole[name] = difference.verdict
        elif difference is not None:
            on_variants.setdefault(name, set()).add(difference.verdict)
    return {name: (verdict, on_variants[name]) for name, verdict in whole.items()}


@dataclass(frozen=True)
class Finding:
    """One planted case."""

    what: str
    rate: float
    """Share of the reports in which it was so."""
    least: float
    most: float
    """What the rate may be, with what chance does to so many reports."""

    @property
    def passed(self) -> bool:
        """Whether the rate is where it belongs."""
        return self.least <= self.rate <= self.most

    @property
    def text(self) -> str:
        """One line."""
        mark = "ok  " if self.passed else "FAIL"
        bounds = f"from {100 * self.least:.0f} to {100 * self.most:.0f}"
        return f"{mark} {self.what}: {100 * self.rate:.0f} % ({bounds})"


def run_selftest(reports: int = 300, seeds: int = 5, seed: int = 0) -> Iterator[Finding]:
    """Plant a case in many made-up reports, and say how often it was found.

    Args:
        reports: of each case.
        seeds: training seeds of every method in them.
        seed: of the making.
    """

    def slack(rate: float) -> float:
        """Three standard errors of a share of so many reports."""
        return 3 * float(np.sqrt(rate * (1 - rate) / reports))

    def share(hits: Callable[[MadeWorld], bool]) -> float:
        rng = np.random.default_rng(seed)
        return float(np.mean([hits(MadeWorld(rng)) for _ in range(reports)]))

    def alarm(world: MadeWorld) -> bool:
        told = verdicts_of(world.scores(seeds)).values()
        return any(whole != "undecided" or cells != {"undecided"} for whole, cells in told)

    def held(world: MadeWorld) -> bool:
        true, seen = float(mean(world.truth())[0]), world.seen(seeds, world.starts())
        interval = spread(mean, seen).within(0.0, 1.0, seen.size).interval
        return interval is not None and interval[0] <= true <= interval[1]

    def harmed(world: MadeWorld) -> bool:
        return verdicts_of(world.scores(seeds, {"other": _HARM}))["other"][0] == "hurts"

    yield Finding(
        "reports of equal policies that call anything decided", share(alarm), 0.0, 0.05 + slack(0.05)
    )
    yield Finding("intervals that hold the true mean over variants", share(held), 0.95 - slack(0.95), 1.0)
    yield Finding(
        "reports of a method that is worse everywhere that say so", share(harmed), 0.8 - slack(0.8), 1.0
    )
