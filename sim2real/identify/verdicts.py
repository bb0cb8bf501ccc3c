"""What an identification has to say for itself: verdicts, each with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse.csgraph import connected_components

from sim2real.domain import Domain
from sim2real.identify.estimates import COMMAND, DELAYED, FITTED, NOMINAL, Estimate, GapRow
from sim2real.identify.ground import Plane
from sim2real.identify.identifiability import Combination
from sim2real.identify.nuisance import Lack
from sim2real.identify.residuals import Hint
from sim2real.identify.rollout_fit import RolloutFit
from sim2real.identify.space import ParameterSpace
from sim2real.world import World

IDENTIFIED = "IDENTIFIED"
ON_BOUND = "ON_BOUND"
STRUCTURE_MISSING = "STRUCTURE_MISSING"
NOT_IDENTIFIABLE = "NOT_IDENTIFIABLE"
NO_HELDOUT_GAIN = "NO_HELDOUT_GAIN"
BAD_DATA = "BAD_DATA"

EXIT_CODES: Mapping[str, int] = {
    IDENTIFIED: 0,
    ON_BOUND: 11,
    STRUCTURE_MISSING: 12,
    NOT_IDENTIFIABLE: 13,
    NO_HELDOUT_GAIN: 14,
    BAD_DATA: 15,
}
"""What a command ends with, by the worst verdict; the order is the severity."""

_GAIN = 0.05
"""Share of the nominal model's held-out error that a fit must take away to be worth anything."""
_OPEN = 0.9  # share of the range's own standard deviation
_EDGE = 1e-3  # share of the range
_LOOSE, _AS_ONE = 0.2, 0.98  # share of the range's standard deviation; correlation
_WHITE, _FINE = 5.0, 2e-4  # times the noise, which in a simulator is none


@dataclass(frozen=True)
class Verdict:
    """One finding."""

    name: str
    """A key of `EXIT_CODES`."""
    subject: str
    """The parameter, combination, joint or recording that it is about."""
    text: str
    """In one sentence, with the evidence."""
    evidence: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Findings:
    """What the verdicts on a fit to recordings rest on."""

    estimates: Sequence[Estimate]
    combinations: Sequence[Combination]
    hints: Sequence[Hint]
    gap: Sequence[GapRow]
    complaints: Sequence[str] = ()
    plane: Plane | None = None
    lack: Lack | None = None
    floor: float = 0.0
    """Mean error that the sensors' own noise and steps make, in the unit of the gap."""


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """The code of the worst verdict; 0 if there is nothing to complain of."""
    return max((EXIT_CODES[verdict.name] for verdict in verdicts), default=0)


def ranked(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Worst first; otherwise in the order given."""
    return sorted(verdicts, key=lambda verdict: -EXIT_CODES[verdict.name])


def judge(findings: Findings) -> tuple[Verdict, ...]:
    """Every verdict; `IDENTIFIED` for the parameters that no other one is about, if the fit predicts.

    Nor for one that what the model lacks moves out of the interval of its blocks.
    """
    gain = _no_gain(findings.gap, findings.floor)
    verdicts = [Verdict(BAD_DATA, "recordings", text) for text in findings.complaints] + gain
    verdicts += [
        Verdict(NOT_IDENTIFIABLE, ", ".join(c.names), c.text, {"growth": c.growth})
        for c in findings.combinations
    ]
    bound = [e for e in findings.estimates if e.on_bound]
    for e in bound:
        text = (
            f"{e.name} = {e.value:.4g} {e.unit} is where the fit had to stop "
            f"({e.range[0]:.4g} to {e.range[1]:.4g}); widen its bounds, or another effect is missing"
        )
        verdicts.append(Verdict(ON_BOUND, e.name, text, {"value": e.value}))
    for hint in findings.hints:
        evidence = {"share": hint.share, "rms": hint.rms}
        verdicts.append(Verdict(STRUCTURE_MISSING, f"{hint.joint}: {hint.signal}", hint.text, evidence))
    if findings.plane is not None:
        name, values = ", ".join(findings.plane.values), dict(findings.plane.values)
        verdicts.append(Verdict(STRUCTURE_MISSING, name, findings.plane.text, values))
    moved = []
    if findings.lack is not None:
        moved = [e for e in findings.estimates if not e.blocks[0] <= e.beside <= e.blocks[1]]
        verdicts.append(_lacking(findings.lack, moved))
    doubtful = {name for c in findings.combinations for name in c.names} | {e.name for e in (*bound, *moved)}
    sure = [e.name for e in findings.estimates if e.name not in doubtful]
    if sure and not gain:
        before, after = _held_out(findings.gap)
        text = (
            f"{len(sure)} parameters; the held-out error fell from {1000 * before:.1f} to {1000 * after:.1f} "
            "(mrad, or thousandths of what joints of unlike units move)"
        )
        if before <= findings.floor:
            text = f"{len(sure)} parameters; the published values already predict as well as sensors can show"
        verdicts.append(Verdict(IDENTIFIED, ", ".join(sure), text, {"before": before, "after": after}))
    return tuple(verdicts)


def _held_out(gap: Sequence[GapRow]) -> tuple[float, float]:
    """Held-out errors of the nominal and of the fitted model."""
    rows = {row.predictor: row for row in gap}
    return rows[NOMINAL].held, rows[FITTED].held


def _no_gain(gap: Sequence[GapRow], floor: float) -> list[Verdict]:
    """Whether the fit predicts no better than without it; what sensors can't show is no error."""
    before, after = _held_out(gap)
    if not np.isfinite(after):
        text = "nothing was held out, so nothing says whether the fit predicts; record another motion"
        return [Verdict(NO_HELDOUT_GAIN, "fit", text)]
    simple = min((r for r in gap if r.predictor in (COMMAND, DELAYED)), key=lambda r: r.held, default=None)
    if after <= floor:
        return []
    if after > before * (1 - _GAIN):
        text = (
            f"on held-out recordings the error is {1000 * after:.1f} after {1000 * before:.1f} mrad: no gain"
        )
    elif simple is not None and after > simple.held:
        text = (
            f"the fit ({1000 * after:.1f} mrad held out) predicts worse than the {simple.predictor} "
            f"({1000 * simple.held:.1f} mrad), which knows no physics"
        )
    else:
        return []
    return [Verdict(NO_HELDOUT_GAIN, "fit", text, {"before": before, "after": after})]


def _lacking(lack: Lack, moved: Sequence[Estimate]) -> Verdict:
    """What the model lacks, and which values it has spoilt."""
    name = ", ".join(suspect.name for suspect in lack.suspects)
    spoilt = ", ".join(f"{e.name} = {e.beside:.5g} in place of {e.value:.5g}" for e in moved)
    text = f"{lack.text}, which moves {spoilt}" if moved else lack.text
    return Verdict(STRUCTURE_MISSING, name, text, {"before": lack.before, "after": lack.after})


def judge_rollouts(fit: RolloutFit, world: World, bounds: Domain) -> tuple[Verdict, ...]:
    """Every verdict on a fit to episodes; `IDENTIFIED` for the parameters that no other one is about.

    Args:
        fit: as `fit_rollouts` found it.
        world: where.
        bounds: the ranges that were searched.
    """
    space = ParameterSpace.of(world, bounds)
    point = space.units(np.array([fit.physics[name] for name in space.names]))
    widest = dict(zip(space.names, space.widths(point, np.full(len(point), np.sqrt(1 / 12))), strict=True))
    free = [name for name in space.names if fit.std[name] >= _OPEN * widest[name]]
    ends = [
        name
        for name, at in zip(space.names, point, strict=True)
        if name not in free and not _EDGE < at < 1 - _EDGE
    ]
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
    together = _together(fit.domain, [n for n in space.names if fit.std[n] > _LOOSE * widest[n]])
    for names in together:
        text = f"{', '.join(names)} can only be told together: one makes up for the other; fix one of them"
        verdicts.append(Verdict(NOT_IDENTIFIABLE, ", ".join(names), text, {"std": fit.std[names[0]]}))
    evidence = {"before": fit.error_before, "after": fit.error}
    change = (
        f"the error in held-out episodes went from {fit.error_before:.3g} to {fit.error:.3g} (scaled units)"
    )
    noise = max(fit.noise, _FINE)
    sure = [n for n in space.names if n not in (*free, *ends, *(m for names in together for m in names))]
    if fit.error > fit.error_before * (1 - _GAIN) and fit.error > _FINE:
        verdicts.append(Verdict(NO_HELDOUT_GAIN, "fit", f"{change}: no gain", evidence))
    elif fit.error > _WHITE * noise:
        text = (
            f"{change}, and what is left is {fit.error / noise:.0f} times the noise in it: another effect is "
            "missing, or the search ended early, so values may be off by more than their intervals"
        )
        verdicts.append(Verdict(STRUCTURE_MISSING, "fit", text, evidence))
    elif sure:
        verdicts.append(Verdict(IDENTIFIED, ", ".join(sure), f"{len(sure)} parameters; {change}", evidence))
    return tuple(verdicts)


def _together(domain: Domain, loose: Sequence[str]) -> list[list[str]]:
    """Groups of parameters that are known far better as one than each alone."""
    correlation = domain.correlation
    names = [] if correlation is None else [n for n in correlation.names if n in loose]
    if correlation is None or not names:
        return []
    rows = [correlation.names.index(name) for name in names]
    near = np.abs(np.array(correlation.matrix)[np.ix_(rows, rows)]) > _AS_ONE
    count, group = connected_components(near, directed=False)
    groups = [[name for name, g in zip(names, group, strict=True) if g == k] for k in range(count)]
    return [names for names in groups if len(names) > 1]
