"""A table that the world does not have: a plane under the robot, its height and friction found by replay.

Heights about the lowest that the tip was measured at are tried, each with a few frictions, then twice more in
finer steps about the best. A search, not a descent: whether a tip slides or sticks is no smooth function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.identify.problem import RecordingProblem
from sim2real.identify.space import FloatArray, ParameterSpace, free_parameters
from sim2real.replay import Motion
from sim2real.world import World
from sim2real.world.ground import plane_parameters, tip_height

_GAIN = 0.05
"""Share of the error that a plane must take away to be proposed."""

_MOST_FRICTION = 0.5  # more lets a simulated jaw that is pressed down lock, as no real one does
_GRIDS: tuple[tuple[FloatArray, tuple[float, ...]], ...] = (
    # a pressed tip is measured lower than the surface: links, clamp and table give way
    (np.arange(-0.01, 0.0251, 0.005), (0.1, 0.2, 0.3, 0.5)),
    (np.arange(-0.004, 0.0041, 0.001), (1.0,)),
    (np.arange(-0.004, 0.0041, 0.001) / 4, (0.8, 1.0, 1.25)),
)
"""Steps of height, m, and factors on friction, from the best so far."""
_DEEPER = 0.004  # m
RESOLUTION = {"height": 2.5e-4, "friction": 0.25}
"""How far apart the planes are that are tried last: m, and a share."""
_FAR = 2.0  # m, or of friction, from where the world has it


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane that explains what was left over."""

    values: Mapping[str, float]
    """Its height, m in the world's frame, and its friction where that counts, by parameter."""
    before: FloatArray
    """Mean RMSE of each motion without it, rad."""
    after: FloatArray
    """And with it."""

    @property
    def text(self) -> str:
        """In one sentence."""
        before, after = 1000 * self.before.mean(), 1000 * self.after.mean()
        gain, height = (
            f"takes the error from {before:.1f} to {after:.1f} mrad",
            next(iter(self.values.values())),
        )
        return f"a plane at a height of {height:.3f} m {gain}; set {' and '.join(self.values)}"


class Planes:
    """Planes under motions of a robot whose physics is known; each is simulated once, whoever asks."""

    def __init__(
        self, world: World, point: Mapping[str, float], motions: Sequence[Motion], threads: int = 1
    ) -> None:
        """Of a world with a parameter for every name in ``point``, the fitted physics."""
        self.world, self.motions, self._own = world, list(motions), plane_parameters(world.model)
        around = {name: (min(value, 0.0) - _FAR, max(value, 0.0) + _FAR) for name, value in self._own.items()}
        base = world.with_parameters({}, point)
        space = ParameterSpace(tuple(free_parameters(base, list(self._own), around)))
        self._problem = RecordingProblem.of(base, space, self.motions, threads) if motions else None
        self._known: dict[tuple[float, ...], FloatArray] = {}

    def errors(self, planes: Sequence[Sequence[float]], motions: Sequence[Motion]) -> FloatArray:
        """RMSE of some of the motions under planes, rad. Shape (planes, motions, k).

        Args:
            planes: a value for each of `plane_parameters`.
            motions: that the planes were prepared for.
        """
        new = [plane for plane in dict.fromkeys(map(tuple, planes)) if plane not in self._known]
        if new and self._problem is not None:
            errors = self._problem.rmse(self._problem.space.units(np.array(new)))
            self._known |= dict(zip(new, errors, strict=True))
        rows = [self.motions.index(motion) for motion in motions]
        return np.stack([self._known[tuple(plane)][rows] for plane in planes])

    def best(
        self, motions: Sequence[Motion] | None = None, near: Mapping[str, float] | None = None
    ) -> Plane | None:
        """The plane that lowers the mean error of some motions most; None without a plane to move, or a gain.

        Args:
            motions: in which the robot is thought to touch something; by default all.
            near: a plane to look around; by default the lowest that the tip was measured at.
        """
        motions = self.motions if motions is None else motions
        if not self._own or not motions:
            return None
        after = before = self.errors([[*self._own.values()]], motions)[0].mean(axis=1)
        if near:
            best, grids = [*near.values()], _GRIDS[1:]
        else:
            tips = [tip_height(self.world.model, m.measured[::5], m.joints) for m in self.motions]
            lowest = min(float(np.quantile(tip, 0.01)) for tip in tips)  # hardly ever undercut
            best, grids = [lowest, 1.0][: len(self._own)], _GRIDS
        for steps, factors in grids:
            frictions = [min(best[-1] * factor, _MOST_FRICTION) for factor in factors]
            planes = [[best[0] + step, f][: len(best)] for step in steps for f in frictions]
            errors = self.errors(planes, motions).mean(axis=2)
            k = int(errors.mean(axis=1).argmin())
            best, after = planes[k], errors[k]
        if after.mean() >= before.mean() * (1 - _GAIN):  # equal where a replay is exact
            return None
        return Plane(dict(zip(self._own, map(float, best), strict=True)), before, after)


def touching(world: World, motions: Sequence[Motion], predicted: Sequence[FloatArray]) -> list[Motion]:
    """Motions whose predicted tip goes lower than the measured one ever does."""
    found = []
    for motion, positions in zip(motions, predicted, strict=True):
        courses = (motion.measured[::5], positions[::5])
        real, guess = (tip_height(world.model, course, motion.joints).min() for course in courses)
        if guess < real - _DEEPER:
            found.append(motion)
    return found
