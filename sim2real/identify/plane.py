"""A table that the world does not have: a plane under the robot, its height and friction found by replay.

Called when the height of the tip explains what a fit has left over. Heights about the lowest that the tip was
measured at are tried, each with a slippery and a rough surface, then once more in finer steps about the best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.identify.diagnose import tip_height
from sim2real.opening import opened
from sim2real.replay import Motion, Replayer
from sim2real.world import World

FloatArray = NDArray[np.float64]

GAIN = 0.05
"""Share of the error that a plane must take away to be proposed."""

_AROUND = np.arange(-0.02, 0.0101, 0.005)
_FINE = np.arange(-0.004, 0.0041, 0.002)
_FRICTIONS = (0.1, 0.3)  # more lets a simulated jaw that is pressed down lock, as a real one does not
_DEEPER = 0.004  # m
_FRICTION = "contact.friction"


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane that explains what was left over."""

    geom: str
    height: float
    """m, in the world's frame."""
    friction: float
    """Sliding friction of everything that can touch."""
    before: FloatArray
    """Mean RMSE of each motion without it, rad."""
    after: FloatArray
    """And with it."""

    @property
    def values(self) -> dict[str, float]:
        """As parameters of the world opened by `with_plane`."""
        return {f"{self.geom}.height": self.height, _FRICTION: self.friction}

    @property
    def text(self) -> str:
        """In one sentence."""
        before, after = 1000 * self.before.mean(), 1000 * self.after.mean()
        gain = f"takes the error from {before:.1f} to {after:.1f} mrad"
        return f"a plane at a height of {self.height:.3f} m {gain}; set {self.geom}.height"


def find_plane(
    world: World, point: Mapping[str, float], motions: Sequence[Motion], threads: int = 1
) -> Plane | None:
    """The plane that lowers the mean error of some motions most; None without a plane to move, or a gain.

    Args:
        world: with a parameter for every name in ``point``.
        point: the fitted physics.
        motions: in which the robot is thought to touch something.
        threads: of the simulation.
    """
    geoms = np.flatnonzero(world.model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    if not len(geoms):
        return None
    geom = str(world.model.geom(int(geoms[0])).name)
    ready = with_plane(world, geom)
    lowest = min(float(np.quantile(tip_height(world, m.measured[::5], m.joints), 0.01)) for m in motions)
    trial = _Trial(ready, geom, dict(point), list(motions), threads)
    before = trial.errors([(float(world.model.geom_pos[geoms[0], 2]), 1.0)])[0]
    coarse = [(lowest + step, friction) for step in _AROUND for friction in _FRICTIONS]
    best, _ = trial.best(coarse)
    best, after = trial.best([(best[0] + step, best[1]) for step in _FINE])
    if after.mean() > before.mean() * (1 - GAIN):
        return None
    return Plane(geom, best[0], best[1], before, after)


def touching(world: World, motions: Sequence[Motion], predicted: Sequence[FloatArray]) -> list[Motion]:
    """Motions whose predicted tip goes lower than the measured one ever does."""
    found = []
    for motion, positions in zip(motions, predicted, strict=True):
        real, guess = (tip_height(world, p[::5], motion.joints).min() for p in (motion.measured, positions))
        if guess < real - _DEEPER:
            found.append(motion)
    return found


def with_plane(world: World, geom: str) -> World:
    """The world with parameters for a plane's height and for the friction of all that can touch."""
    model = world.model
    touching = [
        str(model.geom(k).name)
        for k in range(model.ngeom)
        if model.geom_contype[k] or model.geom_conaffinity[k]
    ]
    return opened(world, {f"{geom}.height": (geom,), _FRICTION: tuple(touching)})


@dataclass(frozen=True)
class _Trial:
    world: World
    geom: str
    point: dict[str, float]
    motions: list[Motion]
    threads: int

    def errors(self, planes: Sequence[tuple[float, float]]) -> FloatArray:
        """Mean RMSE by plane and motion, rad. Shape (planes, motions)."""
        names = (*self.point, f"{self.geom}.height", _FRICTION)
        values = np.array([[*self.point.values(), *plane] for plane in planes])
        predicted = Replayer(self.world, self.motions, len(planes), self.threads, names).run(names, values)
        found = [
            np.sqrt(((p - m.measured) ** 2).mean(axis=1)).mean(axis=1)
            for p, m in zip(predicted, self.motions, strict=True)
        ]
        return np.asarray(np.nan_to_num(np.stack(found, axis=1), nan=np.inf))

    def best(self, planes: list[tuple[float, float]]) -> tuple[tuple[float, float], FloatArray]:
        errors = self.errors(planes)
        k = int(errors.mean(axis=1).argmin())
        return planes[k], errors[k]
