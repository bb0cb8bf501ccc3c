"""From a fit to its verdicts, each with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.conditioning import Combination
from sim2real.identify.diagnose import Hint
from sim2real.identify.missing import Lack
from sim2real.identify.plane import Plane
from sim2real.identify.result import Estimate, GapRow
from sim2real.identify.verdicts import (
    BAD_DATA,
    IDENTIFIED,
    NO_HELDOUT_GAIN,
    NOT_IDENTIFIABLE,
    ON_BOUND,
    STRUCTURE_MISSING,
    Verdict,
)
from sim2real.replay import Motion

FloatArray = NDArray[np.float64]

NOMINAL, FITTED, COMMAND, DELAYED = "nominal", "identified", "command", "delayed command"

_GAIN = 0.05
"""Share of the nominal model's held-out error that a fit must take away to be worth anything."""
_MOVES = 0.01  # rad or m; a command that ranges over less excites nothing
_DELAYS = np.arange(0.0, 0.301, 0.01)


@dataclass(frozen=True)
class Findings:
    """What the verdicts rest on."""

    estimates: Sequence[Estimate]
    combinations: Sequence[Combination]
    hints: Sequence[Hint]
    gap: Sequence[GapRow]
    complaints: Sequence[str] = ()
    plane: Plane | None = None
    lack: Lack | None = None


def judge(findings: Findings) -> tuple[Verdict, ...]:
    """Every verdict; `IDENTIFIED` for the parameters that no other one is about, if the fit predicts.

    Nor for one that what the model lacks moves out of the interval of its blocks.
    """
    verdicts = [Verdict(BAD_DATA, "recordings", text) for text in findings.complaints]
    gain = _heldout(findings.gap)
    verdicts += gain
    for combination in findings.combinations:
        subject = ", ".join(combination.names)
        evidence = {"growth": combination.growth}
        verdicts.append(Verdict(NOT_IDENTIFIABLE, subject, combination.text, evidence))
    bound = [e for e in findings.estimates if e.on_bound]
    verdicts += [Verdict(ON_BOUND, e.name, _bound(e), {"value": e.value}) for e in bound]
    verdicts += [
        Verdict(
            STRUCTURE_MISSING,
            f"{hint.joint}: {hint.signal}",
            hint.text,
            {"share": hint.share, "rms": hint.rms},
        )
        for hint in findings.hints
    ]
    if findings.plane is not None:
        name, values = ", ".join(findings.plane.values), dict(findings.plane.values)
        verdicts.append(Verdict(STRUCTURE_MISSING, name, findings.plane.text, values))
    moved = []
    if findings.lack is not None:
        moved = [e for e in findings.estimates if not e.blocks[0] <= e.beside <= e.blocks[1]]
        verdicts.append(_missing(findings.lack, moved))
    if not any(v.name == NO_HELDOUT_GAIN for v in gain):
        doubtful = {name for c in findings.combinations for name in c.names}
        doubtful |= {e.name for e in (*bound, *moved)}
        sure = [e.name for e in findings.estimates if e.name not in doubtful]
        if sure:
            verdicts.append(_identified(sure, findings.gap))
    return tuple(verdicts)


def unexcited(motions: Sequence[Motion], driven: Sequence[str]) -> list[str]:
    """Complaints about joints that no recording ever commands to move."""
    found = []
    spans = np.max([np.ptp(m.command, axis=0) for m in motions], axis=0)
    for joint, span in zip(driven, spans, strict=True):
        if span < _MOVES:
            found.append(f"no recording commands {joint} to move; nothing can be learnt about it")
    return found


def gap_row(predictor: str, fitted: FloatArray, held: FloatArray | None) -> GapRow:
    """Mean errors of a predictor.

    Args:
        predictor: its name.
        fitted: RMSE of the fitted motions. Shape (motions, k).
        held: of the held-out ones, or None.
    """
    shown, every = (
        tuple(float(x) for x in rows.mean(axis=0)) for rows in (fitted if held is None else held, fitted)
    )
    mean = float("nan") if held is None else float(held.mean())
    return GapRow(predictor, float(fitted.mean()), mean, shown, every)


def baselines(motions: Sequence[Motion], columns: Sequence[int]) -> dict[str, FloatArray]:
    """RMSE of the command itself and of the command a constant delay earlier, the delay of least error.

    Args:
        motions: of a robot whose every joint is commanded.
        columns: the actuator of each joint.
    """
    table = np.array([[_late(m, columns, delay) for m in motions] for delay in _DELAYS])
    best = int(table.mean(axis=(1, 2)).argmin())
    return {COMMAND: table[0], DELAYED: table[best]}


def _late(motion: Motion, columns: Sequence[int], delay: float) -> FloatArray:
    rows = np.maximum(np.searchsorted(motion.time, motion.time - delay, side="right") - 1, 0)
    error = motion.command[rows][:, columns] - motion.measured
    return np.asarray(np.sqrt((error**2).mean(axis=0)))


def _heldout(gap: Sequence[GapRow]) -> list[Verdict]:
    rows = {row.predictor: row for row in gap}
    before, after = rows[NOMINAL].held, rows[FITTED].held
    if not np.isfinite(after):
        text = "nothing was held out, so nothing says whether the fit predicts; record another motion"
        return [Verdict(NO_HELDOUT_GAIN, "fit", text)]
    evidence = {"before": before, "after": after}
    if after > before * (1 - _GAIN):
        text = (
            f"on held-out recordings the error is {1000 * after:.1f} after {1000 * before:.1f} mrad: no gain"
        )
        return [Verdict(NO_HELDOUT_GAIN, "fit", text, evidence)]
    simple = min((r for r in gap if r.predictor in (COMMAND, DELAYED)), key=lambda r: r.held, default=None)
    if simple is not None and after > simple.held:
        text = (
            f"the fit ({1000 * after:.1f} mrad held out) predicts worse than the {simple.predictor} "
            f"({1000 * simple.held:.1f} mrad), which knows no physics"
        )
        return [Verdict(NO_HELDOUT_GAIN, "fit", text, evidence)]
    return []


def _missing(lack: Lack, moved: Sequence[Estimate]) -> Verdict:
    """What the model lacks, and which values it has spoilt."""
    name = ", ".join(suspect.name for suspect in lack.suspects)
    spoilt = ", ".join(f"{e.name} = {e.beside:.5g} in place of {e.value:.5g}" for e in moved)
    text = f"{lack.text}, which moves {spoilt}" if moved else lack.text
    return Verdict(STRUCTURE_MISSING, name, text, {"before": lack.before, "after": lack.after})


def _identified(sure: Sequence[str], gap: Sequence[GapRow]) -> Verdict:
    rows = {row.predictor: row for row in gap}
    before, after = rows[NOMINAL].held, rows[FITTED].held
    text = (
        f"{len(sure)} parameters; the held-out error fell from {1000 * before:.1f} to {1000 * after:.1f} "
        "(mrad, or thousandths of what joints of unlike units move)"
    )
    return Verdict(IDENTIFIED, ", ".join(sure), text, {"before": before, "after": after})


def _bound(estimate: Estimate) -> str:
    low, high = estimate.range
    return (
        f"{estimate.name} = {estimate.value:.4g} {estimate.unit} is where the fit had to stop "
        f"({low:.4g} to {high:.4g}); widen its bounds, or another effect is missing"
    )
