"""From a fitted point to the result: errors before and after, intervals, verdicts, the domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.domain import Domain
from sim2real.identify.check import findings
from sim2real.identify.contacts import Contacts, FittedPlane, find_contacts, plane_of
from sim2real.identify.estimates import (
    FITTED,
    MEASURED,
    NOMINAL,
    GapRow,
    ParameterEstimate,
    estimates_of,
    gap_row,
)
from sim2real.identify.identifiability import at_end, combinations
from sim2real.identify.model_selection import Comparison
from sim2real.identify.nuisance import Enlarged, enlarge
from sim2real.identify.options import Options
from sim2real.identify.problem import Linear, RecordingProblem, rmse_of
from sim2real.identify.result import Identification, Trace
from sim2real.identify.space import FloatArray
from sim2real.identify.uncertainty import QUANTILE, Spread, bootstrap, make_domain
from sim2real.identify.verdicts import STRUCTURE_MISSING, Verdict, judge
from sim2real.parameters import quantity_of
from sim2real.replay import READ_DELAY, Motion, Replayer, is_servo_robot
from sim2real.replay.baselines import COMMAND, DELAYED, commanded, delays
from sim2real.replay.residuals import Hint, diagnose
from sim2real.replay.zero_order_hold import delayed
from sim2real.world import World
from sim2real.world.ground import plane_parameters

_MOST, _MOST_NOISES = 0.15, 5.0
"""Share of the motion, and times the sensors' noise, beyond which an error says that a fit has failed."""
_MANY = 4  # recordings, from which on a sentence does not name them


@dataclass(frozen=True)
class FittedModel:
    """What is known when a fit has ended."""

    world: World
    """As it was loaded."""
    base: World
    """With what is fixed."""
    fixed: Mapping[str, float]
    problem: RecordingProblem
    """The last, on windows of all recordings."""
    points: tuple[FloatArray, FloatArray]
    """Fitted without the held-out recordings, and with them."""
    parts: tuple[Sequence[Motion], Sequence[Motion]]
    """Recordings that were fitted first, and those that were held out; or windows of them."""
    selection: tuple[Comparison, ...]
    contacts: Contacts | None
    """With a plane that was kept."""

    @property
    def motions(self) -> list[Motion]:
        """Both parts."""
        return [*self.parts[0], *self.parts[1]]


def assess(model: FittedModel, options: Options, seconds: float) -> Identification:
    """Measure in the full simulation, judge, and make the domain; the fit took some seconds."""
    problem, point, space = model.problem, model.points[1], model.problem.space
    linear = at_end(problem, point)
    spread = bootstrap(linear)
    before = float(linear.rmse.mean())
    enlarged = enlarge(problem, linear) if options.nuisance else None
    estimates = estimates_of(problem, point, spread, None if enlarged is None else enlarged.interval)
    fitted_plane = _fitted_plane(model, estimates, spread)
    gap, nominal, predicted = _gaps(model, options.threads, fitted_plane)
    hints = diagnose(model.world, model.motions, predicted)
    untold = combinations(problem, linear.hessian, linear.loss, linear.along)
    domain, found, table = _domain(model, linear, spread, gap), {}, None
    if fitted_plane is not None:
        estimates, untold = estimates + fitted_plane.estimates, [*untold, *fitted_plane.untold]
        domain, found = domain.joined(fitted_plane.domain), dict(fitted_plane.values)
    elif any(hint.signal == "tip height" for hint in hints):
        table = find_contacts(problem, point, *model.parts)
    said = findings(model.world, model.motions, untold, options.complaints)
    said += _missing(hints, table)
    share = before / max(problem.moved, 1e-12)
    if share > _MOST and before > _MOST_NOISES * float(problem.sensor_floor.mean()):
        said.append(Verdict.lacking(space.names, f"{share:.0%} of what moves", share=share))
    if enlarged is not None and enlarged.missing:
        said.append(_unmodelled(enlarged, before, [e for e in estimates if e.moved]))
    physical = {n: float(round(v)) if quantity_of(n).integer else v for n, v in space.physics(point).items()}
    split, held = len(model.parts[0]), _names(model.parts[1])
    judged = f"{', '.join(held)}, held out," if 0 < len(held) < _MANY else "the held-out recordings"
    return Identification(
        world=model.world.name,
        joints=problem.motions[0].joints,
        domain=domain,
        point={**model.fixed, **physical, **found},
        signals={n: v for n, v in space.named(point).items() if n.endswith(READ_DELAY)},
        estimates=estimates,
        gap=gap,
        model_selection=model.selection,
        hints=tuple(hints),
        verdicts=judge(estimates, gap, said, judged, problem.visible_error),
        fitted=_names(model.parts[0]),
        held_out=held,
        seconds=seconds,
        simulations=problem.tally.simulations,
        diverged=problem.tally.diverged,
        traces=tuple(
            Trace(m.name, k >= split, m.time, {MEASURED: m.measured, NOMINAL: before, FITTED: after})
            for k, (m, before, after) in enumerate(zip(model.motions, nominal, predicted, strict=True))
        ),
        unmodelled=enlarged.missing if enlarged is not None else (),
        notes=tuple(dict.fromkeys(note for motion in model.motions for note in motion.notes)),
    )


def _missing(hints: Sequence[Hint], table: Contacts | None) -> Iterator[Verdict]:
    """On what the model lacks: signals and a table that explain the rest."""
    for h in hints:
        yield Verdict(STRUCTURE_MISSING, f"{h.joint}: {h.signal}", h.text, {"share": h.share, "rms": h.rms})
    if table is not None and table.kept:
        values, name = table.each[0], table.comparison.model
        text = f"{name.removeprefix('+ ')}: set {' and '.join(f'{n} to {x:.3g}' for n, x in values.items())}"
        yield Verdict(STRUCTURE_MISSING, ", ".join(values), text, values)


def _unmodelled(enlarged: Enlarged, before: float, moved: Sequence[ParameterEstimate]) -> Verdict:
    """On usual effects that the model lacks, what the error would be with them, and what they move."""
    named = ", ".join(f"{e.name} = {e.value:.3g} {e.unit}".rstrip() for e in enlarged.missing)
    text = (
        f"with {named} the error would be {1000 * enlarged.error:.3g} in place of {1000 * before:.3g} "
        "(mrad, or thousandths of what joints of unlike units move); free that too"
    )
    if moved:
        spoilt = ", ".join(f"{e.name} = {e.with_nuisance:.5g} in place of {e.value:.5g}" for e in moved)
        text += f", which moves {spoilt}"
    subject, names = ", ".join(e.name for e in enlarged.missing), tuple(e.name for e in moved)
    return Verdict(STRUCTURE_MISSING, subject, text, {"before": before, "after": enlarged.error}, names)


def _fitted_plane(
    model: FittedModel, estimates: Sequence[ParameterEstimate], spread: Spread
) -> FittedPlane | None:
    """A plane that was kept, its interval no narrower than the joints' own intervals make it."""
    if model.contacts is None:
        return None
    pairs = zip(model.problem.space.free, estimates, strict=True)
    std = np.array([float(f.unit(e.high) - f.unit(e.low)) for f, e in pairs]) / (2 * QUANTILE)
    covariance = spread.correlation * np.outer(std, std)
    return plane_of(model.problem, model.points[1], model.contacts, covariance)


def _gaps(
    model: FittedModel, threads: int, fitted_plane: FittedPlane | None
) -> tuple[tuple[GapRow, ...], list[FloatArray], list[FloatArray]]:
    """Errors of every predictor, and what the nominal and the fitted world predict.

    Of whole recordings; of robots without servos, of windows of them.
    """
    motions, split, space = model.motions, len(model.parts[0]), model.problem.space
    values = space.values(np.stack(model.points))
    names, base = space.names, model.base.with_parameters(space.elements)
    if fitted_plane is not None and model.contacts is not None:
        names, base = (*names, *fitted_plane.values), base.with_parameters({}, fitted_plane.values)
        shown = model.contacts.plane_in(model.parts[0]) or plane_parameters(model.world.model)
        planes = [[plane[name] for name in fitted_plane.values] for plane in (shown, fitted_plane.values)]
        values = np.hstack([values, planes])
    alone = Replayer(model.world, motions, 1, threads).run((), np.zeros((1, 0)))
    both = Replayer(base, motions, 2, threads, names).run(names, values)
    nominal, first, last = (
        [np.nan_to_num(p[k]) for p in found] for found, k in ((alone, 0), (both, 0), (both, 1))
    )
    errors = {
        name: rmse_of([(p - m.measured) / model.problem.scale for m, p in zip(motions, found, strict=True)])
        for name, found in ((NOMINAL, nominal), (FITTED, first))
    }
    if is_servo_robot(model.world):
        told = [commanded(model.world, motion) for motion in motions]
        pairs = list(zip(motions, told, delays(motions, told), strict=True))
        errors[COMMAND] = rmse_of([angles - m.measured for m, angles, _ in pairs])
        errors[DELAYED] = rmse_of([delayed(m.time, angles, late) - m.measured for m, angles, late in pairs])
    held = {name: e[split:] if model.parts[1] else None for name, e in errors.items()}
    return tuple(gap_row(name, e[:split], held[name]) for name, e in errors.items()), nominal, last


def _domain(model: FittedModel, linear: Linear, spread: Spread, gap: Sequence[GapRow]) -> Domain:
    """Normals as wide as predictions of held-out recordings are wrong.

    What was fixed is part of it, less a shape of friction that no joint has, which would be a dead parameter.
    """
    row = next(row for row in gap if row.predictor == FITTED)
    floor = max(float(model.problem.sensor_floor.mean()), 1e-12)  # a better fit than that is no better one
    share = max(row.held_out, floor) / max(row.fitted, floor) if np.isfinite(row.held_out) else 1.0
    held = float(linear.loss.sum()) * max(1.0, share**2)
    keep = [k for k, f in enumerate(model.problem.space.free) if f.quantity != READ_DELAY]
    free = [model.problem.space.free[k] for k in keep]
    rubs = ("stribeck", "stribeck_motor", "stribeck_external")
    shaped = any(p.quantity.name.endswith(rubs) and p.nominal for p in model.base.parameters.values())
    fixed = {n: v for n, v in model.fixed.items() if shaped or not n.endswith(".stribeck_exponent")}
    draws = spread.widened(held, linear).draws
    return make_domain(free, linear.point[keep], draws[:, keep], fixed)


def _names(motions: Sequence[Motion]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(motion.recording for motion in motions))
