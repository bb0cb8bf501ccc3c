"""Verdicts on a fit to episodes of a task, in the words that identification from recordings has."""

from __future__ import annotations

import numpy as np

from sim2real.domain import Domain
from sim2real.identify.fit import WindowFit
from sim2real.identify.space import Space
from sim2real.identify.verdicts import IDENTIFIED, NO_HELDOUT_GAIN, NOT_IDENTIFIABLE, ON_BOUND, Verdict
from sim2real.world import World

_GAIN = 0.05  # share of the nominal error that must go, as where recordings are fitted
_OPEN = 0.9  # share of the range's own standard deviation
_EDGE = 1e-3  # share of the range


def judge_windows(fit: WindowFit, world: World, bounds: Domain) -> tuple[Verdict, ...]:
    """Every verdict; `IDENTIFIED` for the parameters that no other one is about, if the fit predicts.

    Args:
        fit: as `fit_windows` found it.
        world: where.
        bounds: the ranges that were searched.
    """
    space = Space.of(world, bounds)
    point = space.points(np.array([[fit.physics[name] for name in space.names]]))[0]
    widest = space.widths(point, np.full(len(point), np.sqrt(1 / 12)))
    free = [name for name, most in zip(space.names, widest, strict=True) if fit.std[name] >= _OPEN * most]
    ends = [n for n, at in zip(space.names, point, strict=True) if n not in free and not _within(at)]
    evidence = {"before": fit.error_before, "after": fit.error}
    change = (
        f"the error in held-out episodes went from {fit.error_before:.3g} to {fit.error:.3g} (scaled units)"
    )
    verdicts = [
        Verdict(
            NOT_IDENTIFIABLE,
            name,
            f"{name} is as unknown after {fit.evaluations} candidates as its range was; record episodes that "
            "it matters in, or leave it out",
            {"std": fit.std[name]},
        )
        for name in free
    ]
    verdicts += [
        Verdict(
            ON_BOUND,
            name,
            f"{name} = {fit.physics[name]:.4g} is an end of its range; widen it, or an effect is missing",
            {"value": fit.physics[name]},
        )
        for name in ends
    ]
    if fit.error > fit.error_before * (1 - _GAIN):
        return (*verdicts, Verdict(NO_HELDOUT_GAIN, "fit", f"{change}: no gain", evidence))
    sure = [name for name in space.names if name not in (*free, *ends)]
    if sure:
        text = f"{len(sure)} parameters; {change}"
        verdicts.append(Verdict(IDENTIFIED, ", ".join(sure), text, evidence))
    return tuple(verdicts)


def _within(at: float) -> bool:
    return _EDGE < at < 1 - _EDGE
