"""A fit as a problem: what is free, what is predicted under many physics at once, and what is left over.

    problem = RecordingProblem.of(world, space, motions)        # or RolloutProblem(world, space, rollouts)
    problem.cost(points)                # one number a point of the unit cube
    problem.linearize(point)            # curvature and slope of every block of data

Measured data come in parts, recordings or episodes, of rows by signals. What weighs how much is the noise
model of the problem: recordings minimize the mean RMSE over motions and joints, so that none rules alone.
Episodes minimize the likelihood of Laplace's distribution with its scale profiled out for each signal and
each step into a window, so that neither units nor the growth of errors within a window weigh, and a contact
that is met a step too late does not outweigh a hundred good windows.

Where each measured joint has a servo of its own and joints hardly move each other, a parameter of one joint
moves that joint alone. Then the same quantity of all joints is changed in the same simulation and each
joint's change is put down to its own parameter (the colouring of sparse finite differences: Curtis, Powell
and Reid 1974).
"""

from __future__ import annotations

import dataclasses
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim2real.identify.parallel import ForkedReplayer
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.parameters import quantity_of
from sim2real.recordings.rollouts import Rollouts
from sim2real.replay import READ_DELAY, Motion, Replayer, is_servo_robot
from sim2real.replay.decoupled import stand_alone
from sim2real.replay.rollouts import RolloutReplayer
from sim2real.world import World, actuator_of

DIVERGED = 10.0
"""Error that a diverged simulation counts as, in the joints' units: bad, but finite."""

WIDTH = 16
"""Candidates of a batch."""
_STEP = 0.01  # of a parameter's range: over the kinks that dry friction makes
_SMALL_STEP = 0.002
_BLOCK = 4.0  # s of a block, beyond which errors are hardly correlated
_ROUNDING = 1e-6  # observations are single precision
_OUTLIER = 4.0  # standard deviations beyond which an error says no more


@dataclass(frozen=True, eq=False)
class Linear:
    """The residual to first order at a point, as sums over blocks of data."""

    point: FloatArray
    curvature: FloatArray
    """Σ w J'J of each block. Shape (blocks, p, p)."""
    slope: FloatArray
    """Σ w J'e of each block. Shape (blocks, p)."""
    noise: FloatArray
    """Covariance of the slope that errors independent row by row would give. Shape (blocks, p, p)."""
    squares: FloatArray
    """Σ e² of each block and signal. Shape (blocks, k)."""
    rows: NDArray[np.intp]
    """Rows of each block. Shape (blocks,)."""
    motion: NDArray[np.intp]
    """Which part each block is of. Shape (blocks,)."""
    rmse: FloatArray
    """Shape (parts, k)."""
    weight: FloatArray
    """Of all rows of each part and signal. Shape (parts, k)."""
    cost: float = np.nan
    """What the fit minimizes, at the point."""


@dataclass
class Problem(ABC):
    """What is free, and what it predicts."""

    world: World
    """As `opened` for the space."""
    space: ParameterSpace
    decoupled: bool = field(default=False, kw_only=True)
    """Whether a parameter of one signal moves that signal alone."""
    fine: bool = field(default=False, kw_only=True)
    """Differences to both sides with a small step for every linearization: what many columns at once need
    where something is touched, for twice the simulations."""
    simulations: int = field(default=0, kw_only=True)
    """Simulations so far."""
    diverged: int = field(default=0, kw_only=True)
    """How many of them blew up."""

    @abstractmethod
    def predict(self, points: FloatArray) -> list[FloatArray]:
        """What would have been measured of every part, NaN where diverged. Shapes (c, n, k)."""

    @abstractmethod
    def errors(self, points: FloatArray) -> list[FloatArray]:
        """Predicted minus measured, scaled; finite. Shapes (c, n, k)."""

    @abstractmethod
    def size(self, errors: Sequence[FloatArray]) -> float:
        """What a fit minimizes, above 0, of the errors of one candidate. Shapes (n, k)."""

    @abstractmethod
    def row_weights(self, errors: Sequence[FloatArray]) -> list[FloatArray]:
        """Weights under which least squares descend the cost. Errors and weights of shapes (n, k)."""

    @abstractmethod
    def edges(self, part: int, rows: int) -> NDArray[np.intp]:
        """Rows at which the blocks of a part begin and end."""

    def cost(self, points: FloatArray) -> FloatArray:
        """What a fit minimizes. Shape (c,)."""
        return self.sizes(self.errors(points))

    def sizes(self, errors: Sequence[FloatArray]) -> FloatArray:
        """The same of the errors of some candidates, shapes (c, n, k). Shape (c,)."""
        return np.array([self.size([e[c] for e in errors]) for c in range(len(errors[0]))])

    def owner(self, column: int) -> int | None:
        """The signal that a column is about, if it is about one."""
        del column
        return None

    def blocks(self) -> list[list[int]]:
        """Columns that one error judges: those of each joint by that joint's where decoupled, all by all."""
        groups: dict[int | None, list[int]] = {}
        for column in range(len(self.space.free)):
            groups.setdefault(self.owner(column) if self.decoupled else None, []).append(column)
        return list(groups.values()) or [[]]

    def block_costs(self, points: FloatArray) -> FloatArray:
        """What a fit minimizes, of each of the `blocks`. Shape (c, blocks)."""
        return self.cost(points)[:, None]

    def colours(self) -> list[list[int]]:
        """Columns that are changed together: those of one quantity on different joints, if decoupled."""
        groups: dict[str, list[int]] = {}
        for k, free in enumerate(self.space.free):
            alone = not self.decoupled or self.owner(k) is None
            groups.setdefault(free.name if alone else free.quantity, []).append(k)
        return list(groups.values())

    def linearize(
        self, point: FloatArray, central: bool = False, scatter: Sequence[FloatArray] | None = None
    ) -> Linear:
        """Finite differences about a point, all columns in one batch.

        Args:
            point: of the unit cube. Shape (p,).
            central: differences to both sides with a small step, for what is read from the curvature; a fit
                is better served by steps that reach over the kinks of dry friction.
            scatter: standard deviations of the errors that weigh them, in place of the noise model's
                weights. Shapes (n, k).
        """
        errors, jacobians = self.jacobians(point, central or self.fine)
        rmse, cost = _rmse(errors), self.size(errors)
        if scatter is None:
            weights = self.row_weights(errors)
            spreads = [np.broadcast_to(r, e.shape) for r, e in zip(rmse, errors, strict=True)]
        else:
            weights, spreads = [1.0 / s**2 for s in scatter], list(scatter)
            errors = [np.clip(e, -_OUTLIER * s, _OUTLIER * s) for e, s in zip(errors, scatter, strict=True)]
        blocks = []
        for m, (error, jacobian, weight, spread) in enumerate(
            zip(errors, jacobians, weights, spreads, strict=True)
        ):
            for a, b in itertools.pairwise(self.edges(m, len(error))):
                columns, e, w = jacobian[a:b], error[a:b], weight[a:b]
                flat = (columns * np.sqrt(w)[:, :, None]).reshape(-1, columns.shape[2])
                noisy = (columns * (w * spread[a:b])[:, :, None]).reshape(-1, columns.shape[2])
                slope = flat.T @ (e * np.sqrt(w)).ravel()
                blocks.append((flat.T @ flat, slope, noisy.T @ noisy, (e**2).sum(axis=0), b - a, m))
        curvature, slopes, noise, squares, rows, motion = zip(*blocks, strict=True)
        total = np.stack([w.sum(axis=0) for w in weights])
        return Linear(
            point,
            np.stack(curvature),
            np.stack(slopes),
            np.stack(noise),
            np.stack(squares),
            np.array(rows),
            np.array(motion),
            rmse,
            total,
            cost,
        )

    def jacobians(
        self, point: FloatArray, central: bool = False
    ) -> tuple[list[FloatArray], list[FloatArray]]:
        """Scaled errors of every part at a point, shapes (n, k), and their derivatives, (n, k, p).

        Args:
            point: of the unit cube. Shape (p,).
            central: as in `linearize`; for a whole number, the difference is to one neighbour.
        """
        colours, whole = self.colours(), self.space.steps
        step = np.where(whole > 0, whole, _SMALL_STEP if central else _STEP)
        above = np.where(point > 1 - np.where(whole > 0, 1, 2) * step, 0.0, step)
        both = (point > 2 * step) & central & (whole == 0)
        below = np.where((above == 0) | both, -step, 0.0)
        points = np.tile(point, (1 + len(colours) * (2 if central else 1), 1))
        for row, columns in enumerate(colours, start=1):
            points[row, columns] += np.where(above > 0, above, below)[columns]
            if central:
                points[row + len(colours), columns] += np.where(above > 0, below, 0.0)[columns]
        spans = np.where(above > 0, above - (below if central else 0.0), below)
        errors = self.errors(points)
        return [e[0] for e in errors], [self._jacobian(e, colours, spans) for e in errors]

    def _jacobian(self, error: FloatArray, colours: list[list[int]], spans: FloatArray) -> FloatArray:
        """Differences of one part's errors, each put down to its column. Shape (n, k, p)."""
        jacobian = np.zeros((*error.shape[1:], len(self.space.free)))
        for row, columns in enumerate(colours, start=1):
            change = error[row] - error[row + len(colours) if len(error) > 1 + len(colours) else 0]
            for column in columns:
                owner = self.owner(column) if self.decoupled else None
                where = slice(None) if owner is None else owner
                jacobian[:, where, column] = change[:, where] / spans[column]
        return np.clip(jacobian, -1e3, 1e3)


@dataclass
class RecordingProblem(Problem):
    """Recordings, and the world that they are replayed in."""

    motions: list[Motion]
    scale: FloatArray
    """What an error of each joint is divided by. Shape (k,)."""
    threads: int = 1
    """Of the full simulation, or processes of the fast one; 0 means all cores."""
    fast: bool = False
    """Each joint alone (`sim2real.replay.decoupled`) in place of the full simulation."""
    _replayer: Replayer | ForkedReplayer | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        world: World,
        space: ParameterSpace,
        motions: Sequence[Motion],
        threads: int = 1,
        fast: bool = False,
    ) -> RecordingProblem:
        """A problem in a world as it is loaded; joints of unlike units are scaled by how far they move.

        Args:
            world: in which the space's parameters are opened.
            space: what is free.
            motions: what to reproduce.
            threads: of the full simulation; 0 means all cores.
            fast: simulate each joint alone, if they stand alone.
        """
        servos = is_servo_robot(world)
        decoupled = servos and stand_alone(world, motions)
        scale = np.ones(len(motions[0].joints))
        if not servos:
            scale = np.maximum(np.mean([m.measured.std(axis=0) for m in motions], axis=0), 1e-6)
        world, fast = world.with_parameters(space.elements), fast and decoupled
        return cls(world, space, list(motions), scale, threads, fast, decoupled=decoupled)

    def on(self, motions: Sequence[Motion], fast: bool | None = None) -> RecordingProblem:
        """The same problem on other motions, or in the other simulation."""
        fast = self.fast if fast is None else fast
        return dataclasses.replace(
            self, motions=list(motions), fast=fast, simulations=0, diverged=0, _replayer=None
        )

    def among(self, world: World, space: ParameterSpace, fine: bool = False) -> RecordingProblem:
        """The same problem with other parameters free, in a world that is opened for them."""
        return dataclasses.replace(self.on(self.motions), world=world, space=space, fine=fine)

    def predict(self, points: FloatArray) -> list[FloatArray]:
        """Positions at the stamps of every motion, NaN where diverged. Shapes (c, n, k)."""
        width = len(points) if self.fast else min(len(points), WIDTH)
        parts = []
        for start in range(0, len(points), width):
            values = self.space.values(points[start : start + width])
            parts.append(self._ready(width).run(self.space.names, values))
            self.simulations += len(values) * len(self.motions)
            self.diverged += sum(int((~np.isfinite(p[:, -1]).all(axis=1)).sum()) for p in parts[-1])
        return [np.concatenate(of_motion) for of_motion in zip(*parts, strict=True)]

    def _ready(self, width: int) -> Replayer | ForkedReplayer:
        """What replays that many candidates at once."""
        if self.fast and self._replayer is None:
            self._replayer = ForkedReplayer(self.world, self.motions, self.threads)
        elif not self.fast and (not isinstance(self._replayer, Replayer) or self._replayer.width < width):
            self._replayer = Replayer(self.world, self.motions, width, self.threads, self.space.names)
        assert self._replayer is not None
        return self._replayer

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

    def block_costs(self, points: FloatArray) -> FloatArray:
        """Mean RMSE of the joint that each block is about, or of all. Shape (c, blocks)."""
        rmse = self.rmse(points).mean(axis=1)
        owners = [self.owner(block[0]) if self.decoupled and block else None for block in self.blocks()]
        return np.stack([rmse.mean(axis=1) if o is None else rmse[:, o] for o in owners], axis=1)

    def size(self, errors: Sequence[FloatArray]) -> float:
        """Mean over motions of the mean over joints of the RMSE."""
        return float(_rmse(errors).mean())

    def weights(self, rmse: FloatArray) -> FloatArray:
        """Of motions and joints: so that the fit minimizes the sum of RMSEs and none rules alone."""
        floor = max(0.25 * float(np.median(rmse)), 1e-9)
        return np.asarray(1.0 / np.maximum(rmse, floor))

    def row_weights(self, errors: Sequence[FloatArray]) -> list[FloatArray]:
        """The same for every row."""
        weights = self.weights(_rmse(errors))
        return [np.broadcast_to(w / len(e), e.shape) for w, e in zip(weights, errors, strict=True)]

    def edges(self, part: int, rows: int) -> NDArray[np.intp]:
        """Blocks of a few seconds."""
        return np.linspace(0, rows, max(2, int(self.motions[part].duration / _BLOCK) + 1)).astype(np.intp)

    def owner(self, column: int) -> int | None:
        """The measured joint that a column is about, if it is about one."""
        free = self.space.free[column]
        kind = "joint" if free.quantity == READ_DELAY else quantity_of(free.name).element
        if len(free.elements) != 1 or kind not in ("joint", "actuator"):
            return None
        model, joints, element = self.world.model, self.motions[0].joints, free.elements[0]
        if kind == "joint":
            return joints.index(element)
        return joints.index(model.joint(int(actuator_of(model, element).trnid[0])).name)


class RolloutProblem(Problem):
    """Recorded episodes of a task, replayed in windows of a few control steps."""

    def __init__(self, world: World, space: ParameterSpace, rollouts: Rollouts, window: int) -> None:
        """Prepare the simulations.

        Args:
            world: where.
            space: what is free.
            rollouts: what was recorded.
            window: control steps from one measured state to the next.

        Raises:
            RecordingError: if the rollouts are not of the world's task.
            InvalidValue: as `RolloutReplayer` has it.
        """
        super().__init__(world, space)
        self.rollouts, self.window = rollouts, window
        self.replay = RolloutReplayer(world, rollouts, window)
        self.ends: NDArray[np.intp] = np.flatnonzero(np.diff(self.replay.episode)) + 1
        """Rows at which the second episode begins, the third and so on."""

    def on(self, rollouts: Rollouts) -> RolloutProblem:
        """The same problem on other episodes."""
        return RolloutProblem(self.world, self.space, rollouts, self.window)

    def rows(self, points: FloatArray) -> FloatArray:
        """Predicted minus seen, NaN where diverged. Shape (c, steps, signals)."""
        predicted = self.replay.predict(self.space.names, self.space.values(points))
        self.simulations += len(points) * len(self.rollouts.episodes)
        self.diverged = self.replay.diverged
        return np.asarray(predicted - self.replay.observed)

    def predict(self, points: FloatArray) -> list[FloatArray]:
        """What would have been seen in every episode, NaN where diverged. Shapes (c, n, k)."""
        return np.split(self.rows(points) + self.replay.observed, self.ends, axis=1)

    def errors(self, points: FloatArray) -> list[FloatArray]:
        """Predicted minus seen, 0 where diverged. Shapes (c, n, k)."""
        return np.split(np.nan_to_num(self.rows(points)), self.ends, axis=1)

    def cost(self, points: FloatArray) -> FloatArray:
        """What a fit minimizes, infinite where a simulation diverged. Shape (c,)."""
        rows = self.rows(points)
        return np.array([self.size([e]) if np.isfinite(e).all() else np.inf for e in rows])

    def size(self, errors: Sequence[FloatArray]) -> float:
        """Geometric mean of the errors' sizes over ages and signals."""
        return float(np.exp(np.log(self.by_age(np.abs(np.concatenate(errors))) + _ROUNDING).mean()))

    def by_age(self, values: FloatArray) -> FloatArray:
        """Means of rows of one age. Shape (window, signals)."""
        counts = np.bincount(self.replay.age)
        sums = np.zeros((len(counts), values.shape[1]))
        np.add.at(sums, self.replay.age, values)
        return np.asarray(sums / counts[:, None])

    def split(self, of_age: FloatArray) -> list[FloatArray]:
        """What is known by age, for every row of every episode. Shapes (n, signals)."""
        return np.split(of_age[self.replay.age], self.ends)

    def row_weights(self, errors: Sequence[FloatArray]) -> list[FloatArray]:
        """By the inverse of the errors' profiled scale, large ones less (Huber 1964)."""
        scales = self.split(self.by_age(np.abs(np.concatenate(errors))) + _ROUNDING)
        return [1.0 / (s * np.maximum(np.abs(e), s)) for e, s in zip(errors, scales, strict=True)]

    def edges(self, part: int, rows: int) -> NDArray[np.intp]:
        """An episode is a block."""
        return np.array([0, rows])


def _rmse(errors: Sequence[FloatArray]) -> FloatArray:
    """By part and signal. Shape (parts, k)."""
    return np.stack([np.sqrt((e**2).mean(axis=0)) for e in errors])
