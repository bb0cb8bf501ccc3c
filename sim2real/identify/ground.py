"""A table that the world does not have: a plane under the robot, its height and friction found by replay.

Heights about the lowest that the tip was measured at are tried, each with a few frictions, then twice more in
finer steps about the best. A search, not a descent: whether a tip slides or sticks is no smooth function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from sim2real.identify.residuals import tip_height
from sim2real.identify.space import FloatArray
from sim2real.replay import Motion, Replayer
from sim2real.world import World, nominal_value

_GAIN = 0.05
"""Share of the error that a plane must take away to be proposed."""

# a pressed tip is measured lower than the surface: links, clamp and table give way, capsules are no meshes
_AROUND = np.arange(-0.01, 0.0251, 0.005)
_FINE = np.arange(-0.004, 0.0041, 0.001)
_FRICTIONS = (
    0.1,
    0.2,
    0.3,
    0.5,
)  # more lets a simulated jaw that is pressed down lock, as a real one does not
_NEAR = (0.8, 1.0, 1.25)
_DEEPER = 0.004  # m
RESOLUTION = {"height": 2.5e-4, "friction": 0.25}
"""How far apart the planes are that are tried last: m, and a share."""
_WIDTH = 36


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
    def height(self) -> float:
        """In the world's frame, m."""
        return next(value for name, value in self.values.items() if name.endswith(".height"))

    @property
    def text(self) -> str:
        """In one sentence."""
        before, after = 1000 * self.before.mean(), 1000 * self.after.mean()
        gain = f"takes the error from {before:.1f} to {after:.1f} mrad"
        return f"a plane at a height of {self.height:.3f} m {gain}; set {' and '.join(self.values)}"


class PlaneErrors:
    """RMSE of some motions under planes; each plane is simulated once, whoever asks."""

    def __init__(
        self, world: World, point: Mapping[str, float], motions: Sequence[Motion], threads: int = 1
    ) -> None:
        """Of a world with a parameter for every name in ``point``, the fitted physics."""
        self.world, self.point, self.motions, self.threads = world, point, list(motions), threads
        tips = [tip_height(world, m.measured[::5], m.joints) for m in motions]
        self.lowest = min(float(np.quantile(tip, 0.01)) for tip in tips)
        """Height of the tip, hardly ever undercut, m."""
        self._known: dict[tuple[float, ...], FloatArray] = {}

    def of(self, planes: Sequence[Sequence[float]], motions: Sequence[Motion]) -> FloatArray:
        """Of some of the motions. Shape (planes, motions, k)."""
        new = [list(plane) for plane in planes if tuple(plane) not in self._known]
        if new:
            names = tuple(plane_parameters(self.world))
            errors = plane_errors(self.world, self.point, names, new, self.motions, self.threads)
            self._known |= {tuple(plane): e for plane, e in zip(new, errors, strict=True)}
        rows = [self.motions.index(motion) for motion in motions]
        return np.stack([self._known[tuple(plane)][rows] for plane in planes])


def find_plane(
    world: World,
    point: Mapping[str, float],
    motions: Sequence[Motion],
    threads: int = 1,
    known: PlaneErrors | None = None,
) -> Plane | None:
    """The plane that lowers the mean error of some motions most; None without a plane to move, or a gain.

    Args:
        world: with a parameter for every name in ``point``.
        point: the fitted physics.
        motions: in which the robot is thought to touch something.
        threads: of the simulation.
        known: errors of these motions and others, to look them up in.
    """
    own = plane_parameters(world)
    names = tuple(own)
    if not names or not motions:
        return None
    table = known or PlaneErrors(world, point, motions, threads)

    def tried(heights: Sequence[float], frictions: Sequence[float]) -> tuple[list[float], FloatArray]:
        planes = [[h, f][: len(names)] for h in heights for f in frictions[: 1 if len(names) == 1 else None]]
        errors = table.of(planes, motions).mean(axis=2)
        best = int(errors.mean(axis=1).argmin())
        return planes[best], errors[best]

    before = table.of([[*own.values()]], motions)[0].mean(axis=1)
    best, _ = tried([table.lowest + step for step in _AROUND], _FRICTIONS)
    best, _ = tried([best[0] + step for step in _FINE], best[1:] or _FRICTIONS)
    near = [min(factor * best[-1], _FRICTIONS[-1]) for factor in _NEAR]
    best, after = tried([best[0] + step for step in _FINE / 4], near)
    if after.mean() >= before.mean() * (1 - _GAIN):  # equal where a replay is exact
        return None
    return Plane(dict(zip(names, map(float, best), strict=True)), before, after)


def plane_errors(
    world: World,
    point: Mapping[str, float],
    names: Sequence[str],
    planes: Sequence[Sequence[float]],
    motions: Sequence[Motion],
    threads: int = 1,
) -> FloatArray:
    """RMSE under every plane, rad; infinite where diverged. Shape (planes, motions, k).

    Args:
        world: with a parameter for every name in ``point``.
        point: the fitted physics.
        names: what differs between the planes, as `plane_parameters` names it.
        planes: a value a name each.
        motions: to replay.
        threads: of the simulation.
    """
    ready = world.with_parameters({name: (name.rpartition(".")[0],) for name in names})
    rest = {name: value for name, value in point.items() if name not in names}
    free = (*rest, *names)
    replayer = Replayer(ready, motions, min(_WIDTH, len(planes)), threads, free)
    parts = []
    for start in range(0, len(planes), _WIDTH):
        values = np.array([[*rest.values(), *plane] for plane in planes[start : start + _WIDTH]])
        predicted = replayer.run(free, values)
        pairs = zip(predicted, motions, strict=True)
        parts.append(np.stack([np.sqrt(((p - m.measured) ** 2).mean(axis=1)) for p, m in pairs], axis=1))
    return np.asarray(np.nan_to_num(np.concatenate(parts), nan=np.inf))


def touching(world: World, motions: Sequence[Motion], predicted: Sequence[FloatArray]) -> list[Motion]:
    """Motions whose predicted tip goes lower than the measured one ever does."""
    found = []
    for motion, positions in zip(motions, predicted, strict=True):
        real, guess = (tip_height(world, p[::5], motion.joints).min() for p in (motion.measured, positions))
        if guess < real - _DEEPER:
            found.append(motion)
    return found


def plane_parameters(world: World) -> dict[str, float]:
    """Height of the world's first plane and, where its friction counts (priority), that.

    Returns:
        Their values as the world's files have them, whatever was opened since; none without a plane.
    """
    model = world.model
    planes = np.flatnonzero(model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE))
    if not len(planes):
        return {}
    plane = int(planes[0])
    partners = [
        g
        for g in range(model.ngeom)
        if g != plane
        and (model.geom_contype[g] & model.geom_conaffinity[plane])
        | (model.geom_contype[plane] & model.geom_conaffinity[g])
    ]
    name = str(model.geom(plane).name)
    rules = all(model.geom_priority[g] < model.geom_priority[plane] for g in partners)
    quantities = ("height", "friction") if rules else ("height",)
    return {f"{name}.{quantity}": nominal_value(model, quantity, name) for quantity in quantities}
