"""What recordings tell of parameters, and what they cannot tell apart, before or after anything is fitted.

    one, other = information(problem, point, problem.noise)     # of the problem's motions
    (one + other).std                               # standard deviations, in the unit cube
    combinations(problem, linear.hessian, linear.loss)      # in words

`Information` is the sandwich H⁻¹ N H⁻¹ of a weighted least-squares fit: H its curvature, N the scatter of its
slope under white noise of the measured positions, and under that of the state that each window begins with,
which moves the whole window.

The curvature, each column as a share of its parameter's range, has directions along which the prediction
hardly changes. Moving along one by a good part of the range and seeing no more error than the noise hides:
that combination is not identifiable, whatever an optimizer returns for it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from sim2real.doctor.noise import white_noise
from sim2real.identify.problem import Linear, Problem, RecordingProblem
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.identify.uncertainty import MOST_STD
from sim2real.identify.verdicts import Verdict

_AWAY = 0.15
"""How far a combination is moved, as a share of the range of the parameter that moves most."""
_HIDDEN = 0.03
"""Relative growth of the mean square error that nobody would notice."""
_PART = 0.2  # share of the largest entry from which on a parameter belongs to a combination
_RIDGE = 1e-8
_ROUNDING = 5e-5  # rad or m: of a derivative by the unit cube, from positions in single precision
OF_SCALE = ("mass", "armature", "damping", "frictionloss", "strength")
"""Quantities that change nothing if all of them grow together."""
_GROWN = 1.01
_STILL = 0.02
"""Share of what one of them does alone, below which all together do nothing."""
_PARABOLA = 28.0  # Σ k² of the seven rows that give a window its first velocity


def at_end(problem: Problem, point: FloatArray) -> Linear:
    """The residual where a fit ended, with the way that its slopes may not show."""
    return dataclasses.replace(problem.linearize(point, central=True), along=open_scale(problem, point))


def combinations(
    problem: Problem, hessian: FloatArray, loss: FloatArray, along: FloatArray | None = None
) -> list[Verdict]:
    """All that the data cannot tell apart, worst first: what leaves no trace at all, then what goes together.

    Each is a verdict on the parameters that move together, the one that moves most first; its evidence is the
    relative growth of the mean square error when they move by a part of their range.

    Args:
        problem: what is free, and which joint each parameter is about.
        hessian: curvature at the fitted point, from central differences. Shape (p, p).
        loss: weighted mean square error of each signal. Shape (k,).
        along: what `open_scale` found, which slopes may not show. Shape (p,).
    """
    space, size, shares = problem.space, len(hessian), _growths(problem, hessian, loss)
    alone = [k for k in np.argsort(shares).tolist() if shares[k] < _HIDDEN]
    found = [_combination(space, np.eye(size)[k], float(shares[k])) for k in alone]
    if along is not None:
        found.append(_combination(space, along / np.abs(along).max(), 0.0))
    seen = np.flatnonzero(shares >= _HIDDEN)
    values, vectors = np.linalg.eigh(hessian[np.ix_(seen, seen)])
    for value, vector in zip(values, vectors.T, strict=True):
        direction = np.zeros(size)
        direction[seen] = vector / vector[np.abs(vector).argmax()]
        members = np.flatnonzero(np.abs(direction) >= _PART).tolist()
        growth = float(max(value, 0.0) / (vector**2).max()) * _AWAY**2 / _base(problem, loss, members)
        if growth < _HIDDEN:
            found.append(_combination(space, direction, growth))
    first: dict[frozenset[str], Verdict] = {}
    for verdict in found:
        first.setdefault(frozenset(verdict.doubtful), verdict)
    return list(first.values())


def traceless(problem: Problem, linear: Linear) -> list[str]:
    """Parameters of which these recordings show nothing."""
    shares = _growths(problem, linear.curvature.sum(axis=0), linear.loss)
    return [f.name for f, share in zip(problem.space.free, shares, strict=True) if share < _HIDDEN]


def _growths(problem: Problem, hessian: FloatArray, loss: FloatArray) -> FloatArray:
    """Growth of the error for each column alone. Shape (p,)."""
    bases = [_base(problem, loss, [k]) for k in range(len(hessian))]
    return np.asarray(np.diag(hessian) * _AWAY**2 / np.array(bases))


def _base(problem: Problem, loss: FloatArray, members: list[int]) -> float:
    """Weighted mean square error of the joints that the members are about."""
    owners = {problem.owners[k] for k in members}
    total = loss.sum() if None in owners else sum(loss[k] for k in owners if k is not None)
    return max(float(total), 1e-30)


def _combination(space: ParameterSpace, direction: FloatArray, growth: float) -> Verdict:
    size = np.abs(direction)
    # what hardly moves beside one parameter, but makes up for it, is still named
    least = min(_PART, float(np.sort(size)[-2:][0])) or _PART
    members = [int(k) for k in np.argsort(-size) if size[k] >= least]
    free = [space.free[k] for k in members]
    names = tuple(f.name for f in free)
    elements = {f.elements[0] if len(f.elements) == 1 else f.name for f in free}
    where = f" of {next(iter(elements))}" if len(elements) == 1 else ""
    listed = [f.quantity if where else f.name for f in free]
    text = f"{', '.join(listed)}{where} can only be told together"
    if len(free) == 1:
        text = f"{free[0].name} leaves no trace in these recordings"
    elif where and len(set(direction[members] > 0)) == 1 and all(f.log for f in free):
        text = f"only the ratios of {', '.join(listed)}{where} can be told, not their scale"
    elif len(free) == 2:
        text = f"{listed[0]} and {listed[1]}{where} are one column"
    return Verdict.not_identifiable(names, text, growth=growth)


def open_scale(problem: Problem, point: FloatArray) -> FloatArray | None:
    """The way in the unit cube on which all forces and inertias grow in proportion, if that leaves no trace.

    Masses, rotor inertias, friction and the strength of motors in proportion are the same motion. Slopes
    don't tell where feet strike the ground, so they are made to grow, and the last of them alone. Shape (p,).
    """
    space = problem.space
    now = space.values(point)  # what is 0 does not grow
    every = [k for k, f in enumerate(space.free) if f.quantity in OF_SCALE and now[k]]
    scaled = [] if problem.decoupled else every
    for factor in (_GROWN, 1 / _GROWN) if scaled else ():
        values = np.tile(now, (2, 1))
        values[0, scaled] *= factor
        values[1, scaled[-1]] *= factor
        ends = space.units(values)
        if (ends >= 0).all() and (ends <= 1).all():
            errors = problem.errors(np.vstack([point, ends]))
            sizes = [np.sqrt(((e[1:] - e[0]) ** 2).mean(axis=(1, 2))) for e in errors]
            together, alone = np.median(sizes, axis=0)
            return ends[0] - point if together <= _STILL * alone else None
    return None


@dataclass(frozen=True, eq=False)
class Information:
    """Curvature of a fit and scatter of its slope, of a motion or of several."""

    curvature: FloatArray
    """Shape (p, p)."""
    scatter: FloatArray
    """Shape (p, p)."""
    floor: float = 0.0
    """Curvature that differences of single-precision positions would show where there is none."""

    def __add__(self, other: Information) -> Information:
        """What both sets of motions tell together."""
        sums = self.curvature + other.curvature, self.scatter + other.scatter, self.floor + other.floor
        return Information(*sums)

    @property
    def std(self) -> FloatArray:
        """Standard deviations of the fitted point in the unit cube, at most that of a uniform. Shape (p,)."""
        ridge = max(_RIDGE * float(np.diag(self.curvature).max(initial=0.0)), self.floor, 1e-30)
        eye = np.eye(len(self.curvature))
        inverse = np.linalg.inv(self.curvature + ridge * eye)
        # a direction that nothing tells may move each of its parameters through its range
        scatter = self.scatter + len(eye) * (ridge * MOST_STD) ** 2 * eye
        return np.asarray(np.minimum(np.sqrt(np.diag(inverse @ scatter @ inverse)), MOST_STD))


def information(problem: RecordingProblem, point: FloatArray, noise: FloatArray) -> list[Information]:
    """What each of the problem's motions tells at a point, weighed as a fit of all of them weighs it.

    The noise is that of each measured joint, rad or m. Shape (k,).
    """
    jacobians = problem.jacobians(point, central=True)[1]
    starts, scaled = _starts(problem, point, noise), noise / problem.scale
    begun = [sum((e[m] ** 2).mean(axis=0) for e in starts) for m in range(len(jacobians))]
    # a fit weighs each window by what is left of it: the noise, and that of the state it began with
    weights = problem.weights(np.sqrt(scaled**2 + np.array(begun)))
    found = []
    for m, jacobian in enumerate(jacobians):
        columns = np.zeros((len(noise), len(point), jacobian[0].shape[1]))
        for k, of_joint in enumerate(jacobian):
            columns[k, problem.shown_by(k)] = of_joint
        share, products = weights[m] / columns.shape[2], columns @ columns.transpose(0, 2, 1)
        slopes = np.array([share[:, None] * (columns @ e[m].T[..., None])[..., 0] for e in starts])
        if not problem.decoupled:
            slopes = slopes.sum(axis=1, keepdims=True)
        slopes = slopes.reshape(-1, len(point))
        scatter = np.tensordot((share * scaled) ** 2, products, 1) + slopes.T @ slopes
        floor = float((weights[m] * (_ROUNDING / problem.scale) ** 2).sum())
        found.append(Information(np.tensordot(share, products, 1), scatter, floor))
    return found


def _starts(problem: RecordingProblem, point: FloatArray, noise: FloatArray) -> list[list[FloatArray]]:
    """Change of every motion's scaled errors by a standard deviation of the positions it begins with.

    And of the velocities: measured, or a slope through rows, or at rest.
    """
    motions, count = problem.motions, len(problem.motions)
    speeds = [np.zeros_like(noise) for _ in motions]
    for m, motion in enumerate(motions):
        if motion.speeds is not None:
            speeds[m] = np.array([white_noise([x]) for x in motion.speeds.T])
        elif len(motion.past_time):
            speeds[m] = noise / (float(np.median(np.diff(motion.time))) * _PARABOLA**0.5)
    every = list(motions)
    for group in [np.ones(len(noise))] if problem.decoupled else np.eye(len(noise)):
        for motion in motions:
            measured = motion.measured.copy()
            measured[0] += group * noise
            every.append(dataclasses.replace(motion, measured=measured))
        if np.any(speeds):
            pairs = zip(motions, speeds, strict=True)
            every += [dataclasses.replace(m, velocity=m.velocity + group * speed) for m, speed in pairs]
    predicted = [np.nan_to_num(p[0]) / problem.scale for p in problem.on(every).predict(point[None])]
    nominal = predicted[:count]
    return [
        [moved - still for moved, still in zip(predicted[k : k + count], nominal, strict=True)]
        for k in range(count, len(every), count)
    ]
