"""What recordings tell of parameters, and what they cannot tell apart, before or after anything is fitted.

    (known,) = information(problem, point, noise_of(motions))   # of the problem's motions
    (known + other).std                             # standard deviations, in the unit cube
    combinations(problem, problem.linearize(point, central=True))       # in words

`Information` is the sandwich H⁻¹ N H⁻¹ of a weighted least-squares fit: H its curvature, N the scatter of its
slope under white noise of the measured positions. The noise of the state that each window begins with moves
the whole window; it is drawn, because a fit that minimizes the sum of RMSEs gives windows that begin badly
less weight.

The curvature, each column as a share of its parameter's range, has directions along which the prediction
hardly changes. Moving along one by a good part of the range and seeing no more error than the noise hides:
that combination is not identifiable, whatever an optimizer returns for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.identify.noise import white_noise
from sim2real.identify.problem import Linear, RecordingProblem
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.identify.uncertainty import MOST_STD
from sim2real.replay import Motion

_AWAY = 0.15
"""How far a combination is moved, as a share of the range of the parameter that moves most."""
_HIDDEN = 0.03
"""Relative growth of the mean square error that nobody would notice."""
_PART = 0.2  # share of the largest entry from which on a parameter belongs to a combination
_RIDGE = 1e-8
_DRAWS = 32  # of the noise in the first states
_ROUNDING = 5e-5  # rad or m: of a derivative by the unit cube, from positions in single precision
_PARABOLA = 28.0  # Σ k² of the seven rows that give a window its first velocity


@dataclass(frozen=True, eq=False)
class Combination:
    """A direction that the data say little or nothing about."""

    names: tuple[str, ...]
    """Parameters that move together, the one that moves most first."""
    direction: FloatArray
    """In the unit cube, its largest entry 1. Shape (p,)."""
    growth: float
    """Relative growth of the mean square error when moved by a part of the range."""
    text: str


def combinations(
    problem: RecordingProblem, linear: Linear, priors: FloatArray | None = None
) -> list[Combination]:
    """All that the data cannot tell apart, worst first: what leaves no trace at all, then what goes together.

    Args:
        problem: what is free, and which joint each parameter is about.
        linear: the residual to first order at the fitted point, from central differences.
        priors: curvature that priors add, in units of the weighted mean square error. Shape (p,).
    """
    space, size = problem.space, len(problem.space.free)
    hessian = linear.curvature.sum(axis=0) + np.diag(np.zeros(size) if priors is None else priors)
    shares = _growths(problem, linear, hessian)
    alone = [k for k in np.argsort(shares).tolist() if shares[k] < _HIDDEN]
    found = [_combination(space, np.eye(size)[k], float(shares[k])) for k in alone]
    seen = np.flatnonzero(shares >= _HIDDEN)
    values, vectors = np.linalg.eigh(hessian[np.ix_(seen, seen)])
    for value, vector in zip(values, vectors.T, strict=True):
        direction = np.zeros(size)
        direction[seen] = vector / vector[np.abs(vector).argmax()]
        members = np.flatnonzero(np.abs(direction) >= _PART).tolist()
        growth = float(max(value, 0.0) / (vector**2).max()) * _AWAY**2 / _base(problem, linear, members)
        if growth < _HIDDEN:
            found.append(_combination(space, direction, growth))
    first: dict[frozenset[str], Combination] = {}
    for combination in found:
        first.setdefault(frozenset(combination.names), combination)
    return list(first.values())


def traceless(problem: RecordingProblem, linear: Linear) -> list[str]:
    """Parameters of which these recordings show nothing."""
    shares = _growths(problem, linear, linear.curvature.sum(axis=0))
    return [f.name for f, share in zip(problem.space.free, shares, strict=True) if share < _HIDDEN]


def _growths(problem: RecordingProblem, linear: Linear, hessian: FloatArray) -> FloatArray:
    """Growth of the error for each column alone. Shape (p,)."""
    bases = [_base(problem, linear, [k]) for k in range(len(hessian))]
    return np.asarray(np.diag(hessian) * _AWAY**2 / np.array(bases))


def _base(problem: RecordingProblem, linear: Linear, members: list[int]) -> float:
    """Weighted mean square error of the joints that the members are about."""
    errors = (linear.weight * linear.rmse**2).sum(axis=0)
    owners = {problem.owner(k) if problem.decoupled else None for k in members}
    joints = sorted(owner for owner in owners if owner is not None)
    return max(float(errors.sum() if None in owners else errors[joints].sum()), 1e-30)


def _combination(space: ParameterSpace, direction: FloatArray, growth: float) -> Combination:
    members = [int(k) for k in np.argsort(-np.abs(direction)) if abs(direction[k]) >= _PART]
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
    return Combination(names, direction, growth, text)


@dataclass(frozen=True, eq=False)
class Information:
    """Curvature of a fit and scatter of its slope, summed over motions, for some draws of the noise."""

    curvature: FloatArray
    """Shape (draws, p, p)."""
    scatter: FloatArray
    """Shape (draws, p, p)."""
    slope: FloatArray
    """What the noise of the first states does. Shape (draws, p)."""
    floor: float = 0.0
    """Curvature that differences of single-precision positions would show where there is none."""

    def __add__(self, other: Information) -> Information:
        """What both sets of motions tell together."""
        return Information(
            self.curvature + other.curvature,
            self.scatter + other.scatter,
            self.slope + other.slope,
            self.floor + other.floor,
        )

    @property
    def std(self) -> FloatArray:
        """Standard deviations of the fitted point in the unit cube, at most that of a uniform. Shape (p,)."""
        largest = float(np.diagonal(self.curvature, axis1=1, axis2=2).max(initial=0.0))
        ridge = max(_RIDGE * largest, self.floor, 1e-30)
        eye = np.eye(self.curvature.shape[1])
        inverse = np.linalg.inv(self.curvature + ridge * eye)
        # a direction that nothing tells may move each of its parameters through its range
        scatter = self.scatter + len(eye) * (ridge * MOST_STD) ** 2 * eye
        white = np.einsum("dpq,dqr,dpr->dp", inverse, scatter, inverse)
        begun = np.einsum("dpq,dq->dp", inverse, self.slope)
        return np.asarray(np.minimum(np.sqrt((white + begun**2).mean(axis=0)), MOST_STD))

    @property
    def condition(self) -> float:
        """Condition number of the curvature, columns as shares of their ranges; infinite if singular."""
        values = np.linalg.eigvalsh(self.curvature.mean(axis=0))
        return float(values[-1] / values[0]) if values[0] > self.floor else np.inf


def information(
    problem: RecordingProblem, point: FloatArray, noise: FloatArray, seeds: Sequence[int] = (0,)
) -> list[Information]:
    """What the problem's motions tell at a point, for each of some seeds.

    Args:
        problem: whose motions they are.
        point: of the unit cube. Shape (p,).
        noise: of each measured joint, rad or m. Shape (k,).
        seeds: of the noise in the first states; another one for motions that are added.
    """
    jacobians = problem.jacobians(point, central=True)[1]
    starts = [np.array(e) for e in zip(*_starts(problem, point, noise), strict=True)]
    by_joint = [np.einsum("nkp,nkq->kpq", jacobian, jacobian) for jacobian in jacobians]
    return [_drawn(problem, (jacobians, by_joint), starts, noise / problem.scale, seed) for seed in seeds]


def _drawn(
    problem: RecordingProblem,
    columns: tuple[list[FloatArray], list[FloatArray]],
    starts: list[FloatArray],
    scaled: FloatArray,
    seed: int,
) -> Information:
    """The same under some draws of the noise."""
    jacobians, by_joint = columns
    size = jacobians[0].shape[2]
    sizes = np.random.default_rng(seed).normal(size=(_DRAWS, len(starts[0]), len(jacobians), len(scaled)))
    if not problem.decoupled:
        sizes[:] = sizes[..., :1]
    begun = [np.einsum("dsk,snk->dnk", sizes[:, :, m], e) for m, e in enumerate(starts)]
    # a fit weighs each window by what is left of it: the noise, and that of the state it began with
    left = np.stack([np.sqrt(scaled**2 + (e**2).mean(axis=1)) for e in begun], axis=1)
    weights = np.stack([problem.weights(rmse) for rmse in left])
    curvature, scatter = np.zeros((2, _DRAWS, size, size))
    slope = np.zeros((_DRAWS, size))
    for m, jacobian in enumerate(jacobians):
        share = weights[:, m] / len(jacobian)
        curvature += np.tensordot(share, by_joint[m], 1)
        scatter += np.tensordot((share * scaled) ** 2, by_joint[m], 1)
        slope += np.einsum("dk,nkp,dnk->dp", share, jacobian, begun[m], optimize=True)
    floor = float((weights.mean(axis=0) * (_ROUNDING / problem.scale) ** 2).sum())
    return Information(curvature, scatter, slope, floor)


def _starts(problem: RecordingProblem, point: FloatArray, noise: FloatArray) -> list[list[FloatArray]]:
    """Change of every motion's scaled errors by a standard deviation of the positions it begins with.

    And of the velocities: measured, or a slope through rows, or at rest.
    """
    speeds = [np.zeros_like(noise) for _ in problem.motions]
    for m, motion in enumerate(problem.motions):
        if motion.speeds is not None:
            speeds[m] = np.array([white_noise([x]) for x in motion.speeds.T])
        elif len(motion.past_time):
            speeds[m] = noise / (float(np.median(np.diff(motion.time))) * _PARABOLA**0.5)
    changes = [([noise] * len(speeds), [0 * s for s in speeds])]
    if np.any(speeds):
        changes.append(([0 * noise] * len(speeds), speeds))
    nominal = _alone(problem, problem.motions, point)
    found = []
    for group in [np.ones(len(noise))] if problem.decoupled else np.eye(len(noise)):
        for positions, velocities in changes:
            moved = [
                _begun(motion, group * p, group * v)
                for motion, p, v in zip(problem.motions, positions, velocities, strict=True)
            ]
            pairs = zip(_alone(problem, moved, point), nominal, strict=True)
            found.append([(a - b) / problem.scale for a, b in pairs])
    return found


def _alone(problem: RecordingProblem, motions: Sequence[Motion], point: FloatArray) -> list[FloatArray]:
    return [np.nan_to_num(p[0]) for p in problem.on(motions).predict(point[None])]


def _begun(motion: Motion, position: FloatArray, velocity: FloatArray) -> Motion:
    measured = motion.measured.copy()
    measured[0] += position
    return dataclasses.replace(motion, measured=measured, velocity=motion.velocity + velocity)
