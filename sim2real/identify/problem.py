"""The residual of many recordings under many physics, its cost, and its derivatives, from one batch.

    problem = Problem(world, space, motions)
    problem.costs(points)               # one number a point of the unit cube
    problem.linearize(point)            # curvature and slope of every block of every recording

Where each measured joint has a servo of its own and joints hardly move each other, a parameter of one joint
moves that joint alone. Then the same quantity of all joints is changed in the same simulation and each
joint's change is put down to its own parameter (the colouring of sparse finite differences: Curtis, Powell
and Reid 1974).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.free import Space
from sim2real.opening import opened
from sim2real.parameters import quantity_of
from sim2real.replay import READ_DELAY, Motion, Replayer, is_servo_robot
from sim2real.replay.decoupled import DecoupledReplayer, stand_alone
from sim2real.world import World, actuator_of

FloatArray = NDArray[np.float64]

DIVERGED = 10.0
"""Error that a diverged simulation counts as, in the joints' units: bad, but finite."""

_WIDTH = 16  # candidates of a batch
_STEP = 0.01  # of a parameter's range: over the kinks that dry friction makes
_SMALL_STEP = 0.002
_BLOCK = 4.0  # s of a block, beyond which errors are hardly correlated


@dataclass(frozen=True, eq=False)
class Linear:
    """The residual to first order at a point, as sums over blocks of time."""

    point: FloatArray
    curvature: FloatArray
    """Σ w J'J of each block. Shape (blocks, p, p)."""
    slope: FloatArray
    """Σ w J'e of each block. Shape (blocks, p)."""
    noise: FloatArray
    """Covariance of the slope that errors independent row by row would give. Shape (blocks, p, p)."""
    squares: FloatArray
    """Σ e² of each block and joint. Shape (blocks, k)."""
    rows: NDArray[np.intp]
    """Rows of each block. Shape (blocks,)."""
    motion: NDArray[np.intp]
    """Which motion each block is of. Shape (blocks,)."""
    rmse: FloatArray
    """Shape (motions, k)."""
    weight: FloatArray
    """Of each motion and joint. Shape (motions, k)."""


@dataclass
class Problem:
    """Recordings, the world they are replayed in, and what may change."""

    world: World
    """As `opened` for the space."""
    space: Space
    motions: list[Motion]
    scale: FloatArray
    """What an error of each joint is divided by. Shape (k,)."""
    decoupled: bool
    width: int
    threads: int = 1
    fast: bool = False
    """Each joint alone (`sim2real.replay.decoupled`) in place of the full simulation."""
    simulations: int = 0
    """Simulations so far."""
    diverged: int = 0
    """How many of them blew up."""
    _replayer: Replayer | DecoupledReplayer | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, world: World, space: Space, motions: Sequence[Motion], threads: int = 1, fast: bool = False
    ) -> Problem:
        """A problem in a world as it is loaded; joints of unlike units are scaled by how far they move.

        Args:
            world: in which the space's parameters are opened.
            space: what is free.
            motions: what to reproduce.
            threads: of the full simulation; 0 means all cores.
            fast: simulate each joint alone, if they stand alone.
        """
        joints = motions[0].joints
        servos = is_servo_robot(world)
        decoupled = servos and stand_alone(world, motions)
        scale = np.ones(len(joints))
        if not servos:
            scale = np.maximum(np.mean([m.measured.std(axis=0) for m in motions], axis=0), 1e-6)
        opened_world = opened(world, space.elements)
        fast = fast and decoupled
        return cls(opened_world, space, list(motions), scale, decoupled, _WIDTH, threads, fast)

    def on(self, motions: Sequence[Motion], fast: bool | None = None) -> Problem:
        """The same problem on other motions, or in the other simulation."""
        return dataclasses.replace(
            self,
            motions=list(motions),
            fast=self.fast if fast is None else fast,
            simulations=0,
            diverged=0,
            _replayer=None,
        )

    def predict(self, points: FloatArray) -> list[FloatArray]:
        """Positions at the stamps of every motion, NaN where diverged. Shapes (c, n, k)."""
        if self._replayer is None:
            engine = DecoupledReplayer if self.fast else Replayer
            self._replayer = engine(self.world, self.motions, self.width, self.threads, self.space.names)
        parts = []
        for start in range(0, len(points), self.width):
            values = self.space.values(points[start : start + self.width])
            parts.append(self._replayer.run(self.space.names, values))
            self.simulations += len(values) * len(self.motions)
            self.diverged += int(self._replayer.diverged[:, : len(values)].sum())
        return [np.concatenate(of_motion) for of_motion in zip(*parts, strict=True)]

    def errors(self, points: FloatArray) -> list[FloatArray]:
        """Predicted minus measured, scaled. Shapes (c, n, k)."""
        predicted = self.predict(points)
        return [
            np.nan_to_num((p - m.measured) / self.scale, nan=DIVERGED)
            for p, m in zip(predicted, self.motions, strict=True)
        ]

    def rmse(self, points: FloatArray) -> FloatArray:
        """Root mean square error by point, motion and joint, scaled. Shape (c, motions, k)."""
        return np.stack([np.sqrt((e**2).mean(axis=1)) for e in self.errors(points)], axis=1)

    def colours(self) -> list[list[int]]:
        """Columns that are changed together: those of one quantity on different joints, if decoupled."""
        groups: dict[str, list[int]] = {}
        for k, free in enumerate(self.space.free):
            alone = not self.decoupled or self.owner(k) is None
            groups.setdefault(free.name if alone else free.quantity, []).append(k)
        return list(groups.values())

    def owner(self, column: int) -> int | None:
        """The measured joint that a column is about, if it is about one."""
        free = self.space.free[column]
        kind = "joint" if free.quantity == READ_DELAY else quantity_of(free.name).element
        if len(free.elements) != 1 or kind not in ("joint", "actuator"):
            return None
        model, joints, element = self.world.model, self.motions[0].joints, free.elements[0]
        if kind == "joint":
            return joints.index(element)
        driven = model.joint(int(actuator_of(model, element).trnid[0])).name
        return joints.index(driven)

    def weights(self, rmse: FloatArray, robust: bool = True) -> FloatArray:
        """Of motions and joints: so that the fit minimizes the sum of RMSEs and none rules alone."""
        if not robust:
            return np.ones_like(rmse)
        floor = max(0.25 * float(np.median(rmse)), 1e-9)
        return np.asarray(1.0 / np.maximum(rmse, floor))

    def linearize(self, point: FloatArray, robust: bool = True, central: bool = False) -> Linear:
        """Finite differences about a point, all columns in one batch.

        Args:
            point: of the unit cube. Shape (p,).
            robust: weigh motions and joints by the inverse of their error.
            central: differences to both sides with a small step, for what is read from the curvature; a fit
                is better served by steps that reach over the kinks of dry friction.
        """
        errors, jacobians = self.jacobians(point, central)
        rmse = np.stack([np.sqrt((e**2).mean(axis=0)) for e in errors])
        weight = self.weights(rmse, robust)
        blocks = [
            block
            for m, (e, jacobian) in enumerate(zip(errors, jacobians, strict=True))
            for block in self._blocks(m, e, jacobian, weight[m])
        ]
        curvature, slope, noise, squares, rows, motion = zip(*blocks, strict=True)
        return Linear(
            point,
            np.stack(curvature),
            np.stack(slope),
            np.stack(noise),
            np.stack(squares),
            np.array(rows),
            np.array(motion),
            rmse,
            weight,
        )

    def jacobians(
        self, point: FloatArray, central: bool = False
    ) -> tuple[list[FloatArray], list[FloatArray]]:
        """Scaled errors of every motion at a point, shapes (n, k), and their derivatives, (n, k, p).

        Args:
            point: of the unit cube. Shape (p,).
            central: as in `linearize`.
        """
        colours = self.colours()
        step = _SMALL_STEP if central else _STEP
        above = np.where(point > 1 - 2 * step, 0.0, step)
        below = np.where((above == 0) | ((point > 2 * step) & central), -step, 0.0)
        points = np.tile(point, (1 + len(colours) * (2 if central else 1), 1))
        for row, columns in enumerate(colours, start=1):
            points[row, columns] += np.where(above > 0, above, below)[columns]
            if central:
                points[row + len(colours), columns] += np.where(above > 0, below, 0.0)[columns]
        spans = np.where(above > 0, above - (below if central else 0.0), below)
        errors = self.errors(points)
        return [e[0] for e in errors], [self._jacobian(e, colours, spans) for e in errors]

    def _jacobian(self, error: FloatArray, colours: list[list[int]], spans: FloatArray) -> FloatArray:
        """Differences of one motion's errors, each put down to its column. Shape (n, k, p)."""
        jacobian = np.zeros((*error.shape[1:], len(self.space.free)))
        for row, columns in enumerate(colours, start=1):
            change = error[row] - error[row + len(colours) if len(error) > 1 + len(colours) else 0]
            for column in columns:
                owner = self.owner(column) if self.decoupled else None
                where = slice(None) if owner is None else owner
                jacobian[:, where, column] = change[:, where] / spans[column]
        return np.clip(jacobian, -1e3, 1e3)

    def _blocks(
        self, m: int, error: FloatArray, jacobian: FloatArray, weight: FloatArray
    ) -> list[tuple[FloatArray, FloatArray, FloatArray, FloatArray, int, int]]:
        """Curvature, slope, its noise, squares and rows of each block of one motion."""
        count = len(error)
        share = weight / count
        spread = np.sqrt((error**2).mean(axis=0))
        edges = np.linspace(0, count, max(2, int(self.motions[m].duration / _BLOCK) + 1)).astype(int)
        found = []
        for a, b in itertools.pairwise(edges):
            part, e = jacobian[a:b], error[a:b]
            flat = (part * np.sqrt(share)[None, :, None]).reshape(-1, part.shape[2])
            curvature = flat.T @ flat
            slope = flat.T @ (e * np.sqrt(share)).ravel()
            noisy = (part * (share * spread)[None, :, None]).reshape(-1, part.shape[2])
            found.append((curvature, slope, noisy.T @ noisy, (e**2).sum(axis=0), b - a, m))
        return found
