"""From an episode table to a gap report: what is lost, what closes it, and whether anything hurt.

::

    report = gap_report(episodes, {"combined_a": Reference(random=3.1, oracle=268.0), ...})
    report.cell("fine-tuned", "combined_a").difference.verdict      # "helps"

Scores are 100 (J - J_random) / (J_oracle - J_random) if every variant has references, else plain
returns: one unit per report, so that no aggregate mixes two. A (label, variant) that was not
evaluated has no cell. The uncertainty of the references themselves is not part of any interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.compare import Difference, compare
from sim2real.evaluate.robustness import Aggregate, LabelSummary, Scores, gap_closed, summarize
from sim2real.evaluate.statistics import Array, Estimate, bootstrap, wilson
from sim2real.evaluate.table import Episodes, Folded, fold


@dataclass(frozen=True)
class Reference:
    """Mean returns that anchor the normalized score of one variant."""

    random: float
    """Mean return of random actions: score 0."""
    oracle: float
    """Mean return of a policy trained in the true target: score 100."""


@dataclass(frozen=True)
class GapOptions:
    """What to compare with what, and how finely to resample."""

    title: str = "sim2real"
    """World or experiment, shown on the page."""
    baseline: str = "nominal"
    """Label of the zero-shot method that the others are compared with."""
    cvar_fraction: float = 0.25
    """CVaR is the mean over this worst fraction of the held-out variants, in (0, 1]."""
    repetitions: int = 10_000
    """Bootstrap resamples."""
    seed: int = 0
    """Seed of every resampling."""


@dataclass(frozen=True)
class Cell:
    """One method on one variant."""

    label: str
    variant: str
    group: str
    seeds: tuple[int, ...]
    by_seed: tuple[float, ...]
    """Score of each of ``seeds``, in the report's unit."""
    episodes: int
    returns: Estimate
    """Mean raw return over seeds."""
    normalized: Estimate | None
    """Mean normalized score over seeds, 0 random to 100 oracle; None without references."""
    score: Estimate
    """Mean over seeds in the report's unit: the one of the two above that the whole report uses."""
    success: Estimate
    """Success rate, Wilson interval: about more episodes of these policies, not about other
    training seeds."""
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
    """Everything the page shows, in plain values; ``dataclasses.asdict`` gives the JSON summary."""

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
    options = options or GapOptions()
    folded = fold(episodes)
    if options.baseline not in folded.labels:
        raise UnknownName("baseline label", options.baseline, folded.labels)
    if not 0 < options.cvar_fraction <= 1:
        raise InvalidValue(f"CVaR fraction {options.cvar_fraction} was given; it must lie in (0, 1]")
    known = {name: references[name] for name in folded.variants if name in references}
    scores = _scores(folded, known, options)
    cells = [
        _cell(folded, scores, label, variant)
        for label in scores.label_order
        for variant in range(len(folded.variants))
        if folded.episodes[label, variant]
    ]
    aggregates, summaries = summarize(scores)
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
        references=known,
        cells=tuple(cells),
        aggregates=aggregates,
        summaries=summaries,
    )


def _scores(folded: Folded, references: Mapping[str, Reference], options: GapOptions) -> Scores:
    """Normalize, choose the unit and find the control arm."""
    for name, reference in references.items():
        if not (math.isfinite(reference.random) and 0 < reference.oracle - reference.random < math.inf):
            raise InvalidValue(
                f"references of {name!r} are random {reference.random}, oracle {reference.oracle}; "
                "oracle must be above random, both finite: train the oracle longer or drop them"
            )
    absent = Reference(math.nan, math.nan)
    pairs = [references.get(name, absent) for name in folded.variants]
    random = np.array([[pair.random] for pair in pairs])
    oracle = np.array([[pair.oracle] for pair in pairs])
    percent = 100 * (folded.returns - random) / (oracle - random)
    complete = len(references) == len(folded.variants)
    baseline = folded.labels.index(options.baseline)
    return Scores(
        folded=folded,
        percent=percent,
        normalized=complete,
        values=percent if complete else folded.returns,
        baseline=baseline,
        label_order=(baseline, *(i for i in range(len(folded.labels)) if i != baseline)),
        control=folded.groups.index("control") if "control" in folded.groups else None,
        cvar_fraction=options.cvar_fraction,
        repetitions=options.repetitions,
        seed=options.seed,
    )


def _cell(folded: Folded, scores: Scores, label: int, variant: int) -> Cell:
    own, theirs = scores.values[label, variant], scores.values[scores.baseline, variant]
    present = np.flatnonzero(~np.isnan(own))
    percent = scores.percent[label, variant]
    is_baseline = label == scores.baseline
    return Cell(
        label=folded.labels[label],
        variant=folded.variants[variant],
        group=folded.groups[variant],
        seeds=tuple(folded.seeds[i] for i in present),
        by_seed=tuple(float(v) for v in own[present]),
        episodes=int(folded.episodes[label, variant]),
        returns=_mean(scores, folded.returns[label, variant]),
        normalized=None if np.isnan(percent).all() else _mean(scores, percent),
        score=_mean(scores, own),
        success=wilson(int(folded.successes[label, variant]), int(folded.episodes[label, variant])),
        diverged=int(folded.diverged[label, variant]),
        gap=_gap(scores, label, variant),
        difference=None
        if is_baseline
        else compare(own, theirs, repetitions=scores.repetitions, seed=scores.seed),
        closed=None if is_baseline else gap_closed(scores, label, [variant]),
    )


def _gap(scores: Scores, label: int, variant: int) -> Estimate | None:
    if scores.control is None or variant == scores.control:
        return None
    lost = scores.values[label, scores.control] - scores.values[label, variant]
    return None if np.isnan(lost).all() else _mean(scores, lost)


def _mean(scores: Scores, values: Array) -> Estimate:
    return bootstrap(values[:, None], repetitions=scores.repetitions, seed=scores.seed)
