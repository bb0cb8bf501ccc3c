"""From an episode table to a gap report: what is lost, what closes it, and whether anything hurt.

::

    report = gap_report(episodes, {"combined_a": Reference(random=3.1, oracle=268.0), ...})
    report.cell("fine-tuned", "combined_a").difference.verdict      # "helps"

Scores are 100 (J - J_random) / (J_oracle - J_random) if every variant has references, else plain
returns: one unit per report, so that no aggregate mixes two. A (label, variant) that was not
evaluated has no cell. Intervals are about other training seeds, other starts and, where their standard errors
are known, other references; what helps or hurts is decided for all comparisons of the report together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.compare import Difference, decide
from sim2real.evaluate.episode_table import Episodes, Folded, fold
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.robustness import Aggregate, LabelSummary, aggregate, gap_closed, summarize
from sim2real.evaluate.scores import Reference, Scores
from sim2real.evaluate.statistics import MINIMUM_RUNS, Estimate, over_starts, spread, wilson
from sim2real.reach import check_reach


@dataclass(frozen=True)
class GapOptions:
    """What to compare with what."""

    title: str = "sim2real"
    """World or experiment, shown on the page."""
    baseline: str = "nominal"
    """Label of the zero-shot method that the others are compared with."""
    cvar_fraction: float = 0.25
    """CVaR is the mean over this worst fraction of the held-out variants, in (0, 1]."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        check_reach(self, "(0, 1]", "cvar_fraction")


@dataclass(frozen=True)
class Cell:
    """One method on one variant."""

    label: str
    variant: str
    group: str
    seeds: tuple[int, ...]
    by_seed: tuple[float, ...]
    """Score of each of ``seeds``, in the report's unit."""
    seen: str
    """How policies of the method met this physics before: `sim2real.evaluate.leakage`; empty for not."""
    episodes: int
    returns: Estimate
    """Mean raw return over seeds."""
    normalized: Estimate | None
    """Mean normalized score over seeds, 0 random to 100 oracle; None without references."""
    score: Estimate
    """Mean over seeds in the report's unit: the one of the two above that the whole report uses."""
    success: Estimate | None
    """Success rate; below three training seeds its interval is about more episodes of these policies. None
    where the env tells of no success."""
    diverged: int
    """Episodes that ended because the simulation diverged."""
    gap: Estimate | None
    """Own control score minus this score, by seed; None on the control arm or where no seed has
    both."""
    difference: Difference | None
    """Against the baseline on the same variant; None for the baseline."""
    closed: Estimate | None
    """Gap closed, 1 is all of it; None (NA) as stated in ``robustness.gap_closed``."""


@dataclass(frozen=True)
class GapReport:
    """Everything the page shows; `plain` gives the JSON summary."""

    title: str
    baseline: str
    control: str | None
    """Variant of the unperturbed control arm; None if the table has none."""
    normalized: bool
    """True if scores are normalized; False if they are raw returns."""
    labels: tuple[str, ...]
    """Baseline first, then in the order of the table."""
    variants: tuple[str, ...]
    groups: tuple[str, ...]
    """Group of each variant."""
    seeds: tuple[int, ...]
    episodes: int
    cvar_fraction: float
    references: dict[str, Reference]
    cells: tuple[Cell, ...]
    aggregates: tuple[Aggregate, ...]
    summaries: tuple[LabelSummary, ...]
    scores: Scores = field(repr=False, compare=False)
    """What it was computed from."""

    def plain(self) -> dict[str, object]:
        """All of it but the scores, in what JSON knows."""
        return {name: value for name, value in asdict(self).items() if name != "scores"}

    @property
    def tells_success(self) -> bool:
        """Whether anything says which episodes succeeded."""
        return any(cell.success is not None for cell in self.cells)

    def cell(self, label: str, variant: str) -> Cell | None:
        """The cell of a method on a variant, or None if it was not evaluated there."""
        return next((c for c in self.cells if c.label == label and c.variant == variant), None)


def gap_report(
    episodes: Episodes, references: Mapping[str, Reference], options: GapOptions | None = None
) -> GapReport:
    """Compute the report of an episode table.

    The control arm is the first variant of group ``control``; all other groups are held out.

    Args:
        episodes: the episode table, see ``table.COLUMNS``.
        references: per variant; used only if every variant has them (single cells keep their
            normalized score).
        options: see ``GapOptions``.

    Raises:
        InvalidValue: if the table is malformed, a reference is not finite or has oracle <= random,
            or the CVaR fraction is outside (0, 1].
        UnknownName: if the baseline is not a label of the table.
    """
    options, folded = options or GapOptions(), fold(episodes)
    scores = scores_of(folded, references, options)
    verdicts = decided(scores)
    summaries = (summarize(scores, label, verdicts.get((label, None))) for label in scores.label_order)
    return GapReport(
        title=options.title,
        baseline=options.baseline,
        control=None if scores.control is None else folded.variants[scores.control],
        normalized=scores.normalized,
        labels=tuple(folded.labels[i] for i in scores.label_order),
        variants=folded.variants,
        groups=folded.groups,
        seeds=folded.seeds,
        episodes=int(folded.episodes.sum()),
        cvar_fraction=options.cvar_fraction,
        references={name: references[name] for name in folded.variants if name in references},
        cells=tuple(_cell(scores, *place, verdicts[place]) for place in _places(scores)),
        aggregates=aggregate(scores),
        summaries=tuple(summary for summary in summaries if summary is not None),
        scores=scores,
    )


def scores_of(
    folded: Folded, references: Mapping[str, Reference], options: GapOptions | None = None
) -> Scores:
    """Normalize, choose the unit and find the control arm.

    Raises:
        InvalidValue: as `gap_report`.
        UnknownName: as `gap_report`.
    """
    options = options or GapOptions()
    if options.baseline not in folded.labels:
        raise UnknownName("baseline label", options.baseline, folded.labels)
    known = {name: references[name] for name in folded.variants if name in references}
    for name, reference in known.items():
        if not (math.isfinite(reference.random) and 0 < reference.oracle - reference.random < math.inf):
            raise InvalidValue(
                f"references of {name!r} are random {reference.random}, oracle {reference.oracle}; "
                "oracle must be above random, both finite: train the oracle longer or drop them"
            )
    absent = Reference(math.nan, math.nan)
    baseline = folded.labels.index(options.baseline)
    return Scores(
        folded=folded,
        references=tuple(known.get(name, absent) for name in folded.variants),
        normalized=len(known) == len(folded.variants),
        baseline=baseline,
        label_order=(baseline, *(i for i in range(len(folded.labels)) if i != baseline)),
        control=folded.groups.index("control") if "control" in folded.groups else None,
        cvar_fraction=options.cvar_fraction,
    )


def _places(scores: Scores) -> list[tuple[int, int]]:
    """Methods, the baseline first, and variants that each was evaluated on."""
    return [
        (label, variant)
        for label in scores.label_order
        for variant in range(len(scores.folded.variants))
        if scores.folded.episodes[label, variant]
    ]


def decided(scores: Scores) -> dict[tuple[int, int | None], Difference | None]:
    """What each method does on each variant and, behind None, on everything held out, decided together.

    Half of the 5 % belongs to the methods as a whole, which are few, the other half to their variants.
    """
    keys: list[tuple[int, int | None]] = [*((label, None) for label in scores.label_order), *_places(scores)]
    found = [
        scores.against_baseline(label, scores.held_out if variant is None else [variant])
        for label, variant in keys
    ]
    there = [
        (variant is None, comparison is not None)
        for (_, variant), comparison in zip(keys, found, strict=True)
    ]
    weights = [1 / max(1, there.count((variant is None, True))) for _, variant in keys]
    return dict(zip(keys, decide(found, weights), strict=True))


def _cell(scores: Scores, label: int, variant: int, difference: Difference | None) -> Cell:
    folded = scores.folded
    own = over_starts(scores.values(label, [variant])[0])[:, 0]
    present = np.flatnonzero(~np.isnan(own))
    score = scores.estimate(mean, label, [variant])
    normalized = None if math.isnan(scores.references[variant].oracle) else score
    if normalized and not scores.normalized:
        normalized = spread(mean, scores.percent(label, [variant])[0]).estimate
    return Cell(
        label=folded.labels[label],
        variant=folded.variants[variant],
        group=folded.groups[variant],
        seeds=tuple(folded.seeds[i] for i in present),
        by_seed=tuple(float(v) for v in own[present]),
        seen=str(folded.seen[label, variant]),
        episodes=int(folded.episodes[label, variant]),
        returns=spread(mean, folded.returns[label, variant][:, None]).estimate,
        normalized=normalized,
        score=score,
        success=_success(folded, label, variant),
        diverged=int(folded.diverged[label, variant]),
        gap=_gap(scores, label, variant),
        difference=difference,
        closed=None if label == scores.baseline else gap_closed(scores, label, [variant]),
    )


def _success(folded: Folded, label: int, variant: int) -> Estimate | None:
    if np.isnan(folded.success).all():
        return None
    found = spread(mean, folded.success[label, variant][:, None])
    episodes = int(folded.episodes[label, variant])
    if found.n >= MINIMUM_RUNS:
        return found.within(0.0, 1.0, episodes)
    by_starts, binomial = found.starts, found.value * (1 - found.value)
    effective = min(float(episodes), binomial / by_starts) if by_starts and binomial else float(episodes)
    return replace(wilson(found.value * effective, effective), n=episodes)


def _gap(scores: Scores, label: int, variant: int) -> Estimate | None:
    """Paired by seed and start: both arms meet the same."""
    if scores.control is None or variant == scores.control or not scores.met(label, [scores.control]):
        return None
    both = [pair[:, :1] - pair[:, 1:] for pair in scores.values(label, [scores.control, variant])]
    if np.isnan(both[0]).all():
        return None
    return spread(mean, both[0], others=[(pair,) for pair in both[1:]]).estimate
