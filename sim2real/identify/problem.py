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
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim2real.doctor.noise import white_noise
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.parameters import quantity_of
from sim2real.recordings.rollouts import Rollouts
from sim2real.replay import READ_DELAY, Motion, Replayer, is_servo_robot
from sim2real.replay.decoupled import DecoupledReplayer, stand_alone
from sim2real.replay.motion import liveliest
from sim2real.replay.rollouts import RolloutReplayer
from sim2real.world import World, actuator_of

DIVERGED = 10.0
"""Error that a diverged simulation counts as, in the joints' units: bad, but finite."""

WIDTH = 16
"""Candidates of a batch."""
_STEP = 0.01  # of a parameter's range: over the kinks that dry friction makes
_SMALL_STEP = 0.002
_BLOCK = 4.0  # s of a block, beyond which errors are hardly correlated
_LIVELY, _NUM_LIVELY = 8.0, 12  # s of a window, and how many
FINEST = 1e-4
"""Of a scaled signal: what sensors round to, at 13 bits."""
NOISES = 1.5
"""Errors up to this many times the noise of the measurements lack nothing."""
_NO_FINER = 5e-5  # rad or m, or share of what joints of unlike units move: no sensor of a robot shows less
_MOVES = 20.0  # times the sensors' floor, below which a joint's motion shows nothing
_NORMAL = (np.pi / 2) ** 0.5  # from the mean of absolute values to a normal's standard deviation


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
    costs: FloatArray = field(default_factory=lambda: np.full(1, np.nan))
    """What the fit minimizes, at the point, by `Problem.own_blocks`."""
    prior: FloatArray | float = 0.0
    """Curvature that priors add, on the diagonal. Shape (p,)."""
    pull: FloatArray | float = 0.0
    """And slope. Shape (p,)."""
    along: FloatArray | None = None
    """A way on which the point is as open as its range, whatever slopes say. Shape (p,)."""

    @property
    def hessian(self) -> FloatArray:
        """Curvature of all blocks and of the priors. Shape (p, p)."""
        return np.asarray(self.curvature.sum(axis=0) + np.eye(len(self.point)) * self.prior)

    @property
    def loss(self) -> FloatArray:
        """Σ w e² of each signal. Shape (k,)."""
        return np.asarray((self.weight * self.rmse**2).sum(axis=0))


@dataclass
class Tally:
    """What the problems of a fit have cost so far."""

    simulations: int = 0
    diverged: int = 0
    """How many of them blew up."""


@dataclass
class Problem(ABC):
    """What is free, and what it predicts."""

    world: World
    """With a parameter for every name of the space."""
    space: ParameterSpace
    scale: FloatArray
    """What an error of each signal is divided by. Shape (k,)."""
    decoupled: bool = field(default=False, kw_only=True)
    """Whether a parameter of one signal moves that signal alone."""
    fine: bool = field(default=False, kw_only=True)
    """Differences to both sides with a small step for every linearization: what many columns at once need
    where something is touched, for twice the simulations."""
    tally: Tally = field(default_factory=Tally, kw_only=True)

    @property
    @abstractmethod
    def measured(self) -> list[FloatArray]:
        """Of every part. Shapes (n, k)."""

    @abstractmethod
    def predict(self, points: FloatArray) -> list[FloatArray]:
        """What would have been measured, NaN where diverged. Shapes (c, n, k)."""

    @abstractmethod
    def sizes(self, errors: Sequence[FloatArray]) -> FloatArray:
        """What a fit minimizes, above 0, of the errors of candidates, shapes (c, n, k). Shape (c,)."""

    @abstractmethod
    def row_weights(self, errors: Sequence[FloatArray]) -> tuple[list[FloatArray], list[FloatArray]]:
        """Weights under which least squares descend the cost, and how large errors are held to be.

        Shapes (n, k), as those of the errors.
        """

    @abstractmethod
    def edges(self, part: int, rows: int) -> NDArray[np.intp]:
        """Rows at which the blocks of a part begin and end."""

    @cached_property
    def noise(self) -> FloatArray:
        """Standard deviation of the white noise of each measured signal, in its unit. Shape (k,)."""
        return np.array([white_noise(pieces) for pieces in zip(*(m.T for m in self.measured), strict=True)])

    @property
    def sensor_floor(self) -> FloatArray:
        """What the sensors' own noise and steps come to in the scaled errors of every signal. Shape (k,)."""
        return np.maximum(self.noise / self.scale, _NO_FINER)

    @property
    def moved(self) -> float:
        """How far signals move, as standard deviations, scaled; mean over them."""
        return float((np.mean([m.std(axis=0) for m in self.measured], axis=0) / self.scale).mean())

    @property
    def visible_error(self) -> float:
        """Mean error that sensors can show, scaled; 0 where joints hardly move, which shows nothing."""
        floor = float(self.sensor_floor.mean())
        return floor * NOISES if self.moved > _MOVES * floor else 0.0

    @property
    def floor(self) -> float:
        """Error of the sensors, which no fit takes away, so that gains beside it are small and count.

        0 for robots that touch things: their errors are ruled by what is struck a step earlier or later.
        """
        return float(self.sensor_floor.mean()) if self.decoupled else 0.0

    def errors(self, points: FloatArray) -> list[FloatArray]:
        """Predicted minus measured, scaled; finite. Shapes (c, n, k)."""
        pairs = zip(self.predict(points), self.measured, strict=True)
        scaled = ((p - m) / self.scale for p, m in pairs)
        return [np.where(np.isfinite(error), error, DIVERGED) for error in scaled]

    def rmse(self, points: FloatArray) -> FloatArray:
        """Root mean square error by point, part and signal, scaled. Shape (c, parts, k)."""
        return rmse_of(self.errors(points))

    def cost(self, points: FloatArray) -> FloatArray:
        """What a fit minimizes. Shape (c,)."""
        return self.sizes(self.errors(points))

    @cached_property
    def owners(self) -> list[int | None]:
        """Of every column the signal that alone shows what it is about, if one does."""
        return [None] * len(self.space.free)

    def shown_by(self, signal: int) -> list[int]:
        """Columns that a signal can show."""
        return [k for k, owner in enumerate(self.owners) if owner in (None, signal)]

    def blocks(self) -> dict[int | None, list[int]]:
        """Columns that one error judges: by signal, and None for those that all signals judge."""
        groups: dict[int | None, list[int]] = {}
        for column, owner in enumerate(self.owners):
            groups.setdefault(owner, []).append(column)
        return groups

    def own_blocks(self) -> dict[int | None, list[int]]:
        """For every signal the columns that it alone shows; where there are none, all columns as one."""
        if not any(owner is not None for owner in self.owners):
            return {None: list(range(len(self.owners)))}
        return {k: self.blocks().get(k, []) for k in range(len(self.scale))}

    def block_costs(self, points: FloatArray, owners: Iterable[int | None]) -> FloatArray:
        """What a fit minimizes, in single signals and, for None, in all. Shape (c, owners)."""
        return self._costs(self.errors(points), owners)

    def _costs(self, errors: Sequence[FloatArray], owners: Iterable[int | None]) -> FloatArray:
        shown = [slice(None) if k is None else slice(k, k + 1) for k in owners]
        return np.stack([self.sizes([e[:, :, signals] for e in errors]) for signals in shown], axis=1)

    def colours(self, still: Collection[int] = ()) -> list[list[int]]:
        """Columns that are changed together, of one quantity that different signals show; some stay."""
        groups: dict[str, list[int]] = {}
        for k, free in enumerate(self.space.free):
            if k not in still:
                groups.setdefault(free.name if self.owners[k] is None else free.quantity, []).append(k)
        return list(groups.values())

    def linearize(self, point: FloatArray, central: bool = False, still: Collection[int] = ()) -> Linear:
        """Finite differences about a point, all columns in one batch.

        Args:
            point: of the unit cube. Shape (p,).
            central: differences to both sides with a small step, for what is read from the curvature; a fit
                is better served by steps that reach over the kinks of dry friction.
            still: columns that are taken to change nothing.
        """
        errors, jacobians = self.jacobians(point, central or self.fine, still)
        weights, spreads = self.row_weights(errors)
        parts = zip(errors, jacobians, weights, spreads, strict=True)
        blocks = [(*block, m) for m, part in enumerate(parts) for block in self._blocks(m, *part)]
        curvature, slope, noise, squares, rows, motion = map(np.array, zip(*blocks, strict=True))
        sums = curvature, slope, noise, squares, rows, motion
        total = np.stack([w.sum(axis=0) for w in weights])
        costs = self._costs([e[None] for e in errors], self.own_blocks())[0]
        return Linear(point, *sums, rmse_of(errors), total, costs, *self._priors(point, errors))

    def _blocks(
        self,
        part: int,
        error: FloatArray,
        jacobian: Sequence[FloatArray],
        weight: FloatArray,
        spread: FloatArray,
    ) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, FloatArray, int]]:
        """Curvature, slope, noise, squares and rows (see `Linear`) of each block of a part."""
        edges, size = self.edges(part, len(error)), len(self.space.free)
        shown = [self.shown_by(k) for k in range(error.shape[1])]
        flat = [columns * np.sqrt(w) for columns, w in zip(jacobian, weight.T, strict=True)]
        noisy = [columns * w for columns, w in zip(jacobian, (weight * spread).T, strict=True)]
        heavy = error * np.sqrt(weight)
        for a, b in itertools.pairwise(edges.tolist()):
            curvature, noise = np.zeros((2, size, size))
            slope = np.zeros(size)
            for k, columns in enumerate(shown):
                own, rough, both = flat[k][:, a:b], noisy[k][:, a:b], np.ix_(columns, columns)
                curvature[both] += own @ own.T
                noise[both] += rough @ rough.T
                slope[columns] += own @ heavy[a:b, k]
            yield curvature, slope, noise, (error[a:b] ** 2).sum(axis=0), b - a

    def _priors(self, point: FloatArray, errors: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Curvature and slope that priors add, in the cost's unit: each weighs as one joint of one part."""
        weight = float(np.sqrt((np.concatenate(errors) ** 2).sum(axis=1).mean())) + 1e-12
        curvature, slope = np.zeros((2, len(point)))
        for k, free in enumerate(self.space.free):
            if free.prior is not None:
                mean, std = free.prior
                curvature[k] = weight * (free.span / std) ** 2
                slope[k] = curvature[k] * (point[k] - float(free.unit(mean)))
        return curvature, slope

    def jacobians(
        self, point: FloatArray, central: bool = False, still: Collection[int] = ()
    ) -> tuple[list[FloatArray], list[list[FloatArray]]]:
        """Scaled errors of every part at a point, shapes (n, k), and their derivatives by part and signal.

        A signal's derivatives are those of the columns that it can show (`shown_by`), shape (columns, n).
        Differences are as in `linearize`; for a whole number, to one neighbour.
        """
        colours, whole = self.colours(still), self.space.steps
        step = np.where(whole > 0, whole, _SMALL_STEP if central else _STEP)
        there = np.where(point > 1 - np.where(whole > 0, 1, 2) * step, -step, step)
        both = (there > 0) & (point > 2 * step) & (whole == 0) & central
        ways = (there, np.where(both, -step, 0.0))[: 2 if central else 1]
        points = np.tile(point, (1 + len(colours) * len(ways), 1))
        rows = np.zeros((2, len(point)), dtype=np.intp)
        for number, (way, columns) in enumerate(itertools.product(range(len(ways)), colours), start=1):
            points[number, columns] += ways[way][columns]
            rows[way, columns] = number
        spans, errors = there + step * both, self.errors(points)
        shown = [(k, self.shown_by(k)) for k in range(len(self.scale))]
        found = []
        for error in errors:
            changes = [(error[rows[0, c], :, k] - error[rows[1, c], :, k]) / spans[c, None] for k, c in shown]
            found.append([np.clip(change, -1e3, 1e3, out=change) for change in changes])
        return [e[0] for e in errors], found


@dataclass
class RecordingProblem(Problem):
    """Recordings, and the world that they are replayed in."""

    motions: list[Motion]
    threads: int = 1
    """Or, where steps are taken in Python, processes; 0 means all cores."""
    fast: bool = False
    """Each joint alone (`sim2real.replay.decoupled`) in place of the full simulation."""
    _replayer: Replayer | DecoupledReplayer | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        world: World,
        space: ParameterSpace,
        motions: Sequence[Motion],
        threads: int = 1,
        fast: bool = False,
    ) -> RecordingProblem:
        """A problem in a world as it is loaded, in which the space's parameters are opened.

        Joints of unlike units are scaled by how far they move; those that don't stand alone are never fast.
        """
        servos = is_servo_robot(world)
        decoupled = servos and stand_alone(world, motions)
        scale = np.ones(len(motions[0].joints))
        if not servos:
            scale = np.maximum(np.mean([m.measured.std(axis=0) for m in motions], axis=0), 1e-6)
        world, fast = world.with_parameters(space.elements), fast and decoupled
        return cls(world, space, scale, list(motions), threads, fast, decoupled=decoupled)

    def on(self, motions: Sequence[Motion], fast: bool | None = None) -> RecordingProblem:
        """The same problem on other motions, or in the other simulation."""
        fast = self.fast if fast is None else fast
        return dataclasses.replace(self, motions=list(motions), fast=fast, _replayer=None)

    def lively(self) -> RecordingProblem:
        """The same problem on the windows in which commands move most, which a global search sees."""
        return self.on(liveliest(self.motions, _LIVELY, _NUM_LIVELY))

    def among(self, world: World, space: ParameterSpace, fine: bool = False) -> RecordingProblem:
        """The same problem with other parameters free, in a world that is opened for them."""
        return dataclasses.replace(self.on(self.motions), world=world, space=space, fine=fine)

    @property
    def measured(self) -> list[FloatArray]:
        """Positions of every motion."""
        return [motion.measured for motion in self.motions]

    def own_blocks(self) -> dict[int | None, list[int]]:
        """As `Problem` has it; in the full simulation joints move each other a little."""
        return super().own_blocks() if self.fast else {None: list(range(len(self.owners)))}

    def predict(self, points: FloatArray) -> list[FloatArray]:
        """Positions at the stamps of every motion, NaN where diverged. Shapes (c, n, k)."""
        width, replayer, parts = min(len(points), WIDTH), self._replayer, []
        if self.fast:
            width = len(points)
            replayer = replayer or DecoupledReplayer(self.world, self.motions, self.threads)
        elif not isinstance(replayer, Replayer) or replayer.width < width:
            replayer = Replayer(self.world, self.motions, width, self.threads, self.space.names)
        self._replayer = replayer
        for start in range(0, len(points), width):
            values = self.space.values(points[start : start + width])
            parts.append(replayer.run(self.space.names, values))
            self.tally.simulations += len(values) * len(self.motions)
            self.tally.diverged += sum(int((~np.isfinite(p[:, -1]).all(axis=1)).sum()) for p in parts[-1])
        return [np.concatenate(of_motion) for of_motion in zip(*parts, strict=True)]

    def sizes(self, errors: Sequence[FloatArray]) -> FloatArray:
        """Mean over motions of the mean over joints of the RMSE."""
        return np.asarray(np.mean([np.sqrt((e**2).mean(axis=1)).mean(axis=1) for e in errors], axis=0))

    def weights(self, rmse: FloatArray) -> FloatArray:
        """Of motions and joints: so that the fit minimizes the sum of RMSEs and none rules alone."""
        floor = max(0.25 * float(np.median(rmse)), 1e-9)
        return np.asarray(1.0 / np.maximum(rmse, floor))

    def row_weights(self, errors: Sequence[FloatArray]) -> tuple[list[FloatArray], list[FloatArray]]:
        """The same for every row of a motion; its errors are as large as their RMSE."""
        rmse = rmse_of(errors)
        weights = [
            np.broadcast_to(w / len(e), e.shape) for w, e in zip(self.weights(rmse), errors, strict=True)
        ]
        rmse = np.maximum(rmse, FINEST)
        return weights, [np.broadcast_to(r, e.shape) for r, e in zip(rmse, errors, strict=True)]

    def edges(self, part: int, rows: int) -> NDArray[np.intp]:
        """Blocks of a few seconds."""
        return np.linspace(0, rows, max(2, int(self.motions[part].duration / _BLOCK) + 1)).astype(np.intp)

    @cached_property
    def owners(self) -> list[int | None]:
        """The measured joint that each column is about, where joints stand alone."""
        return [self.about(k) if self.decoupled else None for k in range(len(self.space.free))]

    def about(self, column: int) -> int | None:
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
        """Prepare simulations in windows of so many control steps from one measured state to the next.

        Raises:
            RecordingError: if the rollouts are not of the world's task.
            InvalidValue: as `RolloutReplayer` has it.
        """
        self.rollouts, self.window = rollouts, window
        self.replay = RolloutReplayer(world, rollouts, window)
        self._ends = np.flatnonzero(np.diff(self.replay.episode)) + 1
        super().__init__(world, space, np.ones(self.replay.observed.shape[1]))

    def on(self, rollouts: Rollouts) -> RolloutProblem:
        """The same problem on other episodes."""
        return RolloutProblem(self.world, self.space, rollouts, self.window)

    @property
    def measured(self) -> list[FloatArray]:
        """What was seen in every episode."""
        return np.split(self.replay.observed, self._ends)

    def predict(self, points: FloatArray) -> list[FloatArray]:
        """What would have been seen in every episode, NaN where diverged. Shapes (c, n, k)."""
        predicted = self.replay.predict(self.space.names, self.space.values(points))
        self.tally.simulations += len(points) * len(self.rollouts.episodes)
        self.tally.diverged = self.replay.diverged
        return np.split(predicted, self._ends, axis=1)

    def sizes(self, errors: Sequence[FloatArray]) -> FloatArray:
        """Geometric mean of the errors' sizes over ages and signals."""
        spreads = [self.spreads([e[c] for e in errors]) for c in range(len(errors[0]))]
        return np.asarray(np.exp(np.log(spreads).mean(axis=(1, 2))))

    def spreads(self, errors: Sequence[FloatArray]) -> FloatArray:
        """Standard deviation of errors for each age and signal, from their mean size. Shape (window, k).

        Not from the median one, which is none where a block lies still most of the time; and more than any
        sensor rounds to, since the differences that derivatives are made of are no finer.
        """
        return np.asarray(_NORMAL * self.by_age(np.abs(np.concatenate(errors))) + FINEST)

    def by_age(self, values: FloatArray) -> FloatArray:
        """Means of rows of one age. Shape (window, k)."""
        age = self.replay.age
        sums = np.zeros((age.max() + 1, values.shape[1]))
        np.add.at(sums, age, values)
        return np.asarray(sums / np.bincount(age)[:, None])

    def row_weights(self, errors: Sequence[FloatArray]) -> tuple[list[FloatArray], list[FloatArray]]:
        """By the inverse of the errors' profiled scale, large ones less (Huber 1964)."""
        scales = np.split(self.spreads(errors)[self.replay.age], self._ends)
        spreads = [np.maximum(np.abs(e), s) for s, e in zip(scales, errors, strict=True)]
        return [1.0 / (s * spread) for s, spread in zip(scales, spreads, strict=True)], spreads

    def edges(self, part: int, rows: int) -> NDArray[np.intp]:
        """An episode is a block."""
        return np.array([0, rows])


def rmse_of(errors: Sequence[FloatArray]) -> FloatArray:
    """Root mean square by part and signal, of errors of shapes (..., n, k). Shape (..., parts, k)."""
    return np.stack([np.sqrt((e**2).mean(axis=-2)) for e in errors], axis=-2)
