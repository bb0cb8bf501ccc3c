"""Verdicts on a fit to episodes of a task, in the words that identification from recordings has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from sim2real.domain import Domain
from sim2real.identify.fit import WindowFit
from sim2real.identify.space import Space
from sim2real.identify.verdicts import (
    IDENTIFIED,
    NO_HELDOUT_GAIN,
    NOT_IDENTIFIABLE,
    ON_BOUND,
    STRUCTURE_MISSING,
    Verdict,
)
from sim2real.world import World

_GAIN = 0.05  # share of the nominal error that must go, as where recordings are fitted
_OPEN = 0.9  # share of the range's own standard deviation
_EDGE = 1e-3  # share of the range
_LOOSE, _AS_ONE = 0.2, 0.98  # share of the range's standard deviation; correlation
_WHITE, _FINE = 5.0, 2e-4  # times the noise, which in a simulator is none


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
    together = _together(
        fit, [n for n, m in zip(space.names, widest, strict=True) if fit.std[n] > _LOOSE * m]
    )
    verdicts += [
        Verdict(
            NOT_IDENTIFIABLE,
            ", ".join(names),
            f"{', '.join(names)} can only be told together: one makes up for the other; fix one of them",
            {"std": fit.std[names[0]]},
        )
        for names in together
    ]
    if fit.error > fit.error_before * (1 - _GAIN):
        return (*verdicts, Verdict(NO_HELDOUT_GAIN, "fit", f"{change}: no gain", evidence))
    noise = max(fit.noise, _FINE)
    if fit.error > _WHITE * noise:
        text = (
            f"{change}, and what is left is {fit.error / noise:.0f} times the noise in it: another effect is "
            "missing, or the search ended early, so values may be off by more than their intervals"
        )
        return (*verdicts, Verdict(STRUCTURE_MISSING, "fit", text, evidence))
    sure = [n for n in space.names if n not in (*free, *ends, *(m for names in together for m in names))]
    if sure:
        text = f"{len(sure)} parameters; {change}"
        verdicts.append(Verdict(IDENTIFIED, ", ".join(sure), text, evidence))
    return tuple(verdicts)


def _together(fit: WindowFit, loose: Sequence[str]) -> list[list[str]]:
    """Groups of parameters that are known far better as one than each alone."""
    correlation = fit.domain.correlation
    names = [] if correlation is None else [n for n in correlation.names if n in loose]
    if correlation is None or not names:
        return []
    rows = [correlation.names.index(name) for name in names]
    near = np.abs(np.array(correlation.matrix)[np.ix_(rows, rows)]) > _AS_ONE
    count, group = connected_components(near, directed=False)
    groups = [[name for name, g in zip(names, group, strict=True) if g == k] for k in range(count)]
    return [names for names in groups if len(names) > 1]


def _within(at: float) -> bool:
    return _EDGE < at < 1 - _EDGE
