"""What recordings will tell of parameters before anything is fitted to them.

    noise = noise_of(motions)                       # white noise of each joint, from the recordings
    known = information(problem, point, noise)      # of the problem's motions
    (known + other).std                             # standard deviations, in the unit cube

The sandwich H⁻¹ N H⁻¹ of a weighted least-squares fit: H its curvature, N the scatter of its slope under
white noise of the measured positions. The noise of the state that each window begins with moves the whole
window; it is drawn, because a fit that minimizes the sum of RMSEs gives windows that begin badly less weight.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.doctor.view import quantization
from sim2real.identify.problem import Problem
from sim2real.replay import Motion

FloatArray = NDArray[np.float64]

MOST_STD = 0.29
"""Standard deviation, as a share of the range, of a parameter that could be anywhere in it."""

_RIDGE = 1e-8
_DRAWS = 32  # of the noise in the first states
_ROUNDING = 5e-5  # rad or m: of a derivative by the unit cube, from positions in single precision
_ORDER, _GAIN = 5, 252.0  # fifth differences of white noise have 252 times its variance
_NORMAL = 1.4826  # from the median of absolute values to a normal's standard deviation
_PARABOLA = 28.0  # Σ k² of the seven rows that give a window its first velocity


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
    def variance(self) -> FloatArray:
        """Of the fitted point in the unit cube; what nothing tells has that of its range. Shape (p,)."""
        largest = float(np.diagonal(self.curvature, axis1=1, axis2=2).max(initial=0.0))
        ridge = max(_RIDGE * largest, self.floor, 1e-30)
        eye = np.eye(self.curvature.shape[1])
        inverse = np.linalg.inv(self.curvature + ridge * eye)
        # a direction that nothing tells may move each of its parameters through its range
        scatter = self.scatter + len(eye) * (ridge * MOST_STD) ** 2 * eye
        white = np.einsum("dpq,dqr,dpr->dp", inverse, scatter, inverse)
        begun = np.einsum("dpq,dq->dp", inverse, self.slope)
        return np.asarray((white + begun**2).mean(axis=0))

    @property
    def std(self) -> FloatArray:
        """Standard deviations in the unit cube, at most that of a uniform. Shape (p,)."""
        return np.minimum(np.sqrt(self.variance), MOST_STD)

    @property
    def condition(self) -> float:
        """Condition number of the curvature, columns as shares of their ranges; infinite if singular."""
        values = np.linalg.eigvalsh(self.curvature.mean(axis=0))
        return float(values[-1] / values[0]) if values[0] > self.floor else np.inf


def noise_of(motions: Sequence[Motion]) -> FloatArray:
    """Standard deviation of the white noise of each measured joint, rad or m. Shape (k,).

    From fifth differences, which a smooth motion does not have, and not below that of rounding to the
    sensor's step, step / √12.
    """
    count = motions[0].measured.shape[1]
    return np.array([white_noise([m.measured[:, k] for m in motions]) for k in range(count)])


def white_noise(signals: Sequence[FloatArray]) -> float:
    """Standard deviation of the white noise in pieces of one signal; see `noise_of`."""
    differences = np.concatenate([np.abs(np.diff(x, _ORDER)) for x in signals])
    found = _NORMAL * float(np.median(differences)) / _GAIN**0.5 if len(differences) else 0.0
    step = quantization(np.concatenate(signals))
    rounding = float(step) / 12**0.5 if np.isfinite(step) else 0.0
    span = max(float(np.ptp(x)) for x in signals)
    return max(found, rounding, 1e-6 * span, 1e-9)


def information(problem: Problem, point: FloatArray, noise: FloatArray, seed: int = 0) -> Information:
    """What the problem's motions tell at a point.

    Args:
        problem: whose motions they are.
        point: of the unit cube. Shape (p,).
        noise: of each measured joint, rad or m. Shape (k,).
        seed: of the noise in the first states; another one for motions that are added.
    """
    jacobians = problem.jacobians(point, central=True)[1]
    scaled = noise / problem.scale
    starts = _starts(problem, point, noise)
    sizes = np.random.default_rng(seed).normal(size=(_DRAWS, len(starts), len(jacobians), len(noise)))
    if not problem.decoupled:
        sizes[:] = sizes[..., :1]
    begun = [
        np.einsum("dsk,snk->dnk", sizes[:, :, m], np.array(e))
        for m, e in enumerate(zip(*starts, strict=True))
    ]
    # a fit weighs each window by what is left of it: the noise, and that of the state it began with
    left = np.stack([np.sqrt(scaled**2 + (e**2).mean(axis=1)) for e in begun], axis=1)
    weights = np.stack([problem.weights(rmse) for rmse in left])
    curvature, scatter = np.zeros((2, _DRAWS, len(point), len(point)))
    slope = np.zeros((_DRAWS, len(point)))
    for m, jacobian in enumerate(jacobians):
        share = weights[:, m] / len(jacobian)
        by_joint = np.einsum("nkp,nkq->kpq", jacobian, jacobian)
        curvature += np.tensordot(share, by_joint, 1)
        scatter += np.tensordot((share * scaled) ** 2, by_joint, 1)
        slope += np.einsum("dk,nkp,dnk->dp", share, jacobian, begun[m], optimize=True)
    floor = float((weights.mean(axis=0) * (_ROUNDING / problem.scale) ** 2).sum())
    return Information(curvature, scatter, slope, floor)


def _starts(problem: Problem, point: FloatArray, noise: FloatArray) -> list[list[FloatArray]]:
    """Change of every motion's scaled errors by a standard deviation of what it begins with."""
    k = len(noise)
    groups = [np.ones(k)] if problem.decoupled else list(np.eye(k))
    nominal = _predicted(problem, problem.motions, point)
    speed = [_speed_noise(motion, noise) for motion in problem.motions]
    moved: list[list[Motion]] = []
    for group in groups:
        moved.append([_begun(m, group * noise, np.zeros(k)) for m in problem.motions])
        if any(s.any() for s in speed):
            moved.append(
                [_begun(m, np.zeros(k), group * s) for m, s in zip(problem.motions, speed, strict=True)]
            )
    return [
        [(a - b) / problem.scale for a, b in zip(_predicted(problem, motions, point), nominal, strict=True)]
        for motions in moved
    ]


def _predicted(problem: Problem, motions: Sequence[Motion], point: FloatArray) -> list[FloatArray]:
    alone = dataclasses.replace(problem.on(motions), width=1)
    return [np.nan_to_num(p[0]) for p in alone.predict(point[None])]


def _begun(motion: Motion, position: FloatArray, velocity: FloatArray) -> Motion:
    measured = motion.measured.copy()
    measured[0] += position
    return dataclasses.replace(motion, measured=measured, velocity=motion.velocity + velocity)


def _speed_noise(motion: Motion, noise: FloatArray) -> FloatArray:
    """Of the velocity that a motion begins with: measured, or a slope through rows, or at rest."""
    if motion.speeds is not None:
        return np.array([white_noise([x]) for x in motion.speeds.T])
    if not len(motion.past_time):
        return np.zeros_like(noise)
    return np.asarray(noise / (float(np.median(np.diff(motion.time))) * _PARABOLA**0.5))
