"""What an identification has to say for itself: verdicts, each with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sim2real.identify.estimates import FITTED, NOMINAL, GapRow, ParameterEstimate
from sim2real.replay.baselines import COMMAND, DELAYED

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

GAIN = 0.05
"""Share of the nominal model's held-out error that a fit must take away to be worth anything."""


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
    doubtful: tuple[str, ...] = ()
    """Parameters that it leaves open, or whose values are not to be trusted."""

    @classmethod
    def not_identifiable(cls, names: tuple[str, ...], text: str, **evidence: float) -> Verdict:
        """That the data leave some parameters open."""
        return cls(NOT_IDENTIFIABLE, ", ".join(names), text, evidence, names)

    @classmethod
    def lacking(cls, names: tuple[str, ...], much: str, **evidence: float) -> Verdict:
        """That a fit left so much that none of its values is to be trusted."""
        text = (
            f"what is left is {much}: another effect is missing, or the search ended early, so values may be "
            "off by more than their intervals"
        )
        return cls(STRUCTURE_MISSING, "fit", text, evidence, names)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """The code of the worst verdict; 0 if there is nothing to complain of."""
    return max((EXIT_CODES[verdict.name] for verdict in verdicts), default=0)


def ranked(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Worst first; otherwise in the order given."""
    return sorted(verdicts, key=lambda verdict: -EXIT_CODES[verdict.name])


def judge(
    estimates: Sequence[ParameterEstimate],
    gap: Sequence[GapRow],
    findings: Sequence[Verdict] = (),
    judged: str = "what was held out",
    floor: float = 0.0,
    unit: tuple[float, str] = (1000.0, "mrad, or thousandths of what joints of unlike units move"),
) -> tuple[Verdict, ...]:
    """Every verdict; `IDENTIFIED` for the parameters that nothing casts doubt on, if the fit predicts.

    Args:
        estimates: what was fitted.
        gap: errors of the nominal and of the fitted model, and of predictors that know no physics.
        findings: on the data, on what they leave open, and on what the model lacks.
        judged: on what the held-out errors are, in words.
        floor: error that the sensors' own noise and steps make; what is less is none.
        unit: factor on the errors, and their unit then.
    """
    held = {row.predictor: row.held_out for row in gap}
    told = {predictor: f"{unit[0] * error:#.3g}" for predictor, error in held.items()}
    change = f"the error on {judged} went from {told[NOMINAL]} to {told[FITTED]} ({unit[1]})"
    before, after = held[NOMINAL], held[FITTED]
    numbers = {"before": before, "after": after}
    no_gain = ""
    simple = min((p for p in (COMMAND, DELAYED) if p in held), key=lambda p: held[p], default=NOMINAL)
    if not np.isfinite(after):
        no_gain = "nothing was held out, so nothing says whether the fit predicts; record another motion"
    elif after > max(floor, before * (1 - GAIN)):
        no_gain = f"{change}: no gain"
    elif after > max(floor, held[simple]):
        no_gain = (
            f"the fit ({told[FITTED]} held out) predicts worse than the {simple} ({told[simple]}), which "
            "knows no physics"
        )
    verdicts = [Verdict(NO_HELDOUT_GAIN, "fit", no_gain, numbers)] if no_gain else []
    verdicts += findings
    verdicts += (
        Verdict(
            ON_BOUND,
            e.name,
            f"{e.name} = {e.value:.4g} {e.unit} is where the fit had to stop ({e.range[0]:.4g} to "
            f"{e.range[1]:.4g}); widen its bounds, or another effect is missing",
            {"value": e.value},
            (e.name,),
        )
        for e in estimates
        if e.on_bound
    )
    doubtful = {name for verdict in verdicts for name in verdict.doubtful}
    for e in estimates:
        if e.share >= 1 and e.name not in doubtful:
            text = (
                f"{e.name} is as unknown as its range was: other effects look alike, or too little shows it; "
                "fix it, or record what it matters in"
            )
            verdicts.append(Verdict.not_identifiable((e.name,), text, share=e.share))
            doubtful.add(e.name)
    sure = [e.name for e in estimates if e.name not in doubtful]
    if sure and not no_gain:
        if before <= floor:
            change = "the published values already predict as well as sensors can show"
        verdicts.append(Verdict(IDENTIFIED, ", ".join(sure), f"{len(sure)} parameters; {change}", numbers))
    return tuple(verdicts)
