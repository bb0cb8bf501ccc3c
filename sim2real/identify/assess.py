"""From a fitted point to the result: errors before and after, intervals, verdicts, the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.domain import Domain
from sim2real.identify.check import findings
from sim2real.identify.contacts import Contacts, Ground, ground_of
from sim2real.identify.estimates import FITTED, NOMINAL, Estimate, GapRow, baselines, estimates_of, gap_row
from sim2real.identify.ground import Plane, find_plane, touching
from sim2real.identify.identifiability import combinations
from sim2real.identify.least_squares import prior_curvature
from sim2real.identify.model_selection import Comparison
from sim2real.identify.noise import visible_error
from sim2real.identify.nuisance import Lack, enlarge
from sim2real.identify.options import Options
from sim2real.identify.posterior import joined, make_domain, widening_of
from sim2real.identify.problem import Linear, RecordingProblem
from sim2real.identify.residuals import Hint, diagnose
from sim2real.identify.result import Identification, Trace
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.identify.uncertainty import QUANTILE, Spread, bootstrap
from sim2real.identify.verdicts import STRUCTURE_MISSING, Evidence, Verdict, judge
from sim2real.parameters import quantity_of
from sim2real.replay import READ_DELAY, Motion, is_servo_robot
from sim2real.world import World, drives


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
    ladder: tuple[Comparison, ...]
    ground: tuple[Contacts, Mapping[str, float]] | None = None
    """A plane that was kept, and the plane as the recordings that were fitted first show it."""

    @property
    def motions(self) -> list[Motion]:
        """Both parts."""
        return [*self.parts[0], *self.parts[1]]


def assess(model: FittedModel, options: Options, seconds: float, counts: tuple[int, int]) -> Identification:
    """Measure in the full simulation, judge, and make the domain.

    Args:
        model: the fit.
        options: how it was made.
        seconds: that it took.
        counts: simulations, and how many of them diverged.
    """
    problem, point, space = model.problem, model.points[1], model.problem.space
    linear = problem.linearize(point, central=True)
    spread = bootstrap(linear)
    enlarged = enlarge(problem, point) if options.beside else None
    lack = enlarged.lack if enlarged is not None else None
    estimates = estimates_of(problem, point, spread, enlarged, options.profile)
    ground = _ground(model, estimates, spread)
    gap, nominal, predicted = _gaps(model, options.threads, ground)
    hints = diagnose(model.world, model.motions, predicted)
    untold = combinations(problem, linear, prior_curvature(problem, linear))
    domain, found, plane = _domain(model, linear, spread, gap), {}, None
    if ground is not None:
        estimates, untold = estimates + ground.estimates, [*untold, *ground.untold]
        domain, found = joined(domain, ground.domain), dict(ground.values)
    elif any(hint.signal == "tip height" for hint in hints):
        hits = touching(model.world, model.motions, predicted)
        plane = find_plane(problem.world, space.physics(point), hits, options.threads) if hits else None
    lacks = missing(hints, plane, lack, [e for e in estimates if e.moved])
    found_out = [*findings(model.world, model.motions, untold, options.complaints), *lacks]
    values = dict(zip(space.names, map(float, space.values(point)), strict=True))
    physical = {n: float(round(v)) if quantity_of(n).integer else v for n, v in space.physics(point).items()}
    split = len(model.parts[0])
    return Identification(
        world=model.world.name,
        joints=problem.motions[0].joints,
        domain=domain,
        point={**model.fixed, **physical, **found},
        signals={n: v for n, v in values.items() if n.endswith(READ_DELAY)},
        estimates=estimates,
        gap=gap,
        ladder=model.ladder,
        hints=tuple(hints),
        verdicts=judge(Evidence(estimates, gap, found_out, visible_error(problem))),
        fitted=_names(model.parts[0]),
        held=_names(model.parts[1]),
        seconds=seconds,
        simulations=counts[0],
        diverged=counts[1],
        traces=tuple(
            Trace(m.name, k >= split, m.time, {"measured": m.measured, NOMINAL: before, FITTED: after})
            for k, (m, before, after) in enumerate(zip(model.motions, nominal, predicted, strict=True))
        ),
        suspects=lack.suspects if lack is not None else (),
        notes=tuple(dict.fromkeys(note for motion in model.motions for note in motion.notes)),
    )


def missing(
    hints: Sequence[Hint], plane: Plane | None, lack: Lack | None, moved: Sequence[Estimate]
) -> list[Verdict]:
    """Verdicts on what the model lacks.

    Args:
        hints: signals that explain what is left.
        plane: that would explain it.
        lack: usual effects that would.
        moved: whose values those move.
    """
    found = [
        Verdict(STRUCTURE_MISSING, f"{h.joint}: {h.signal}", h.text, {"share": h.share, "rms": h.rms})
        for h in hints
    ]
    if plane is not None:
        found.append(Verdict(STRUCTURE_MISSING, ", ".join(plane.values), plane.text, dict(plane.values)))
    if lack is not None:
        spoilt = ", ".join(f"{e.name} = {e.beside:.5g} in place of {e.value:.5g}" for e in moved)
        text = f"{lack.text}, which moves {spoilt}" if moved else lack.text
        subject, numbers = (
            ", ".join(s.name for s in lack.suspects),
            {"before": lack.before, "after": lack.after},
        )
        names = tuple(e.name for e in moved)
        found.append(Verdict(STRUCTURE_MISSING, subject, text, numbers, names))
    return found


def _ground(model: FittedModel, estimates: Sequence[Estimate], spread: Spread) -> Ground | None:
    """A plane that was kept, its interval no narrower than the joints' own intervals make it."""
    if model.ground is None:
        return None
    problem, point = model.problem, model.points[1]
    pairs = zip(problem.space.free, estimates, strict=True)
    std = np.array([float(f.unit(e.high) - f.unit(e.low)) for f, e in pairs]) / (2 * QUANTILE)
    return ground_of(problem, point, *model.ground, spread.correlation * np.outer(std, std))


def _gaps(
    model: FittedModel, threads: int, ground: Ground | None
) -> tuple[tuple[GapRow, ...], list[FloatArray], list[FloatArray]]:
    """Errors of every predictor, and what the nominal and the fitted world predict.

    Of whole recordings; of robots without servos, of windows of them.
    """
    fitted, held = model.parts
    motions, split = model.motions, len(fitted)
    before = RecordingProblem.of(model.world, ParameterSpace(()), motions, threads)
    nominal = [np.nan_to_num(p[0]) for p in before.predict(np.zeros((1, 0)))]
    predicted = []
    for point, plane in zip(
        model.points, ({}, {}) if ground is None else (ground.first, ground.values), strict=True
    ):
        full = RecordingProblem.of(
            model.base.with_parameters({}, plane), model.problem.space, motions, threads
        )
        predicted.append([np.nan_to_num(p[0]) for p in full.predict(point[None])])
    scale = model.problem.scale
    rows = {NOMINAL: _rmse(motions, nominal, scale), FITTED: _rmse(motions, predicted[0], scale)}
    if is_servo_robot(model.world):
        driven, _ = drives(model.world.model)
        rows |= baselines(motions, [driven.index(joint) for joint in motions[0].joints])
    gaps = tuple(gap_row(n, r[:split], r[split:] if held else None) for n, r in rows.items())
    return gaps, nominal, predicted[1]


def _domain(model: FittedModel, linear: Linear, spread: Spread, gap: Sequence[GapRow]) -> Domain:
    """Normals as wide as predictions of held-out recordings are wrong."""
    row = next(row for row in gap if row.predictor == FITTED)
    share = row.held / max(row.fitted, 1e-12) if np.isfinite(row.held) else 1.0
    held = float((linear.weight * linear.rmse**2).sum()) * max(1.0, share**2)
    keep = [k for k, f in enumerate(model.problem.space.free) if f.quantity != READ_DELAY]
    free = [model.problem.space.free[k] for k in keep]
    widening = widening_of(held, spread.draws, linear)
    return make_domain(free, linear.point[keep], spread.draws[:, keep], widening, _acting(model))


def _acting(model: FittedModel) -> dict[str, float]:
    """What was fixed, less a shape of friction that no joint has; a domain of that would be a dead one."""
    held = model.base.parameters.values()
    shaped = any(
        p.quantity.name.endswith(("stribeck", "stribeck_motor", "stribeck_external")) and p.nominal
        for p in held
    )
    return {n: v for n, v in model.fixed.items() if shaped or not n.endswith(".stribeck_exponent")}


def _rmse(motions: Sequence[Motion], predicted: Sequence[FloatArray], scale: FloatArray) -> FloatArray:
    """By motion and joint. Shape (motions, k)."""
    pairs = zip(motions, predicted, strict=True)
    return np.stack([np.sqrt((((p - m.measured) / scale) ** 2).mean(axis=0)) for m, p in pairs])


def _names(motions: Sequence[Motion]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(motion.name.split("@")[0] for motion in motions))
