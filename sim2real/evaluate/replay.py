"""The gap between a world and a real robot, from recordings alone.

Measured in one call::

    gap = replay_gap(World.load("so101"), load_recordings(folder))
    gap.mean_rmse(SIMULATION)                                       # 0.0319 rad on the real arm

Each recording's commands are replayed open-loop, by the replayer that fits use (`sim2real.replay`): from the
first measured pose at rest, never corrected. A command holds until the next stamp; every physics step runs
under the mean of what was in force during it, and the simulated angle is read at the stamps. All recordings
run at once, as rows of one simulator. Two baselines that know no physics stand beside it: the joint is where
it is told to be, and it gets there a constant delay later. That delay is found on the *other*
motions (leave one out), never on the motion it predicts.

Not covered: the time within a tick at which each joint is really read, which the stamps don't tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sim2real import replay as replays
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, RecordingError
from sim2real.evaluate.tracking import (
    FloatArray,
    Mask,
    at_rest,
    lag,
    normalized_rmse,
    rmse,
    steady_state_error,
)
from sim2real.recordings import Recording
from sim2real.replay import Replayer, motion_of
from sim2real.replay.baselines import COMMAND, DELAYED, commanded, delays, told_angles
from sim2real.replay.residuals import Hint, diagnose
from sim2real.replay.zero_order_hold import delayed
from sim2real.world import World

SIMULATION = "simulation"

HORIZONS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds after a simulation was put on the measured state."""

_AROUND = 0.2
"""Share of a horizon, before and after it, whose rows count for it."""
_NEAR = 1e-6  # s; finer than any log's clock


@dataclass(frozen=True, eq=False)
class ReplayedMotion:
    """One recording and what was predicted of it; angles in rad, shape (n, k)."""

    name: str
    time: FloatArray
    """Seconds. Shape (n,)."""
    measured: FloatArray
    predictions: Mapping[str, FloatArray]
    """By predictor: `SIMULATION`, `COMMAND`, `DELAYED`."""
    delay: float
    """Delay of the delayed command, s."""


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of one predictor: arrays of shape (motions, joints), NaN where data can't tell."""

    rmse: FloatArray
    """Root mean square error, rad."""
    nrmse: FloatArray
    """The same over the measured range (95th minus 5th percentile)."""
    lag: FloatArray
    """Seconds by which the real joint comes after the prediction."""
    steady: FloatArray
    """Mean absolute error where the joint rests, rad."""
    moving: FloatArray
    """Root mean square error where it does not rest, rad."""


@dataclass(frozen=True, eq=False)
class ReplayGap:
    """Measured gap between a world and recordings."""

    world: str
    joints: tuple[str, ...]
    motions: tuple[ReplayedMotion, ...]
    errors: Mapping[str, Errors]
    """By predictor."""
    physics: Mapping[str, float] = field(default_factory=dict)
    """What differed from nominal."""
    notes: tuple[str, ...] = ()
    """What the recordings don't command or don't measure, a sentence each."""
    horizon: FloatArray | None = None
    """Mean over joints of the RMSE, rad, at each of `HORIZONS`, NaN where none is so long. Shape (motions,
    horizons); None if it was not measured."""
    hints: tuple[Hint, ...] = ()
    """Signals that the simulation's error follows, and what each points to; of a robot of servos."""

    def per_motion(self, predictor: str) -> FloatArray:
        """Mean over joints of the RMSE, rad. Shape (motions,)."""
        return np.asarray(self.errors[predictor].rmse.mean(axis=1))

    def mean_rmse(self, predictor: str) -> float:
        """Mean over motions of the mean over joints of the RMSE, rad."""
        return float(self.per_motion(predictor).mean())


def replay(
    world: World,
    recordings: Sequence[Recording],
    physics: Mapping[str, float] | None = None,
    num_threads: int = 0,
) -> list[FloatArray]:
    """Simulate every recording open-loop, as fits do (`sim2real.replay`).

    Args:
        world: the world to replay in.
        recordings: as read from their source, all of the same joints.
        physics: parameter values that differ from nominal.
        num_threads: threads of the simulator; 0 means all cores.

    Returns:
        list[FloatArray]: per recording the simulated positions of the measured joints, in the world's order,
        at its stamps. Shape (n, k).

    Raises:
        RecordingError: for joints that don't fit the world.
        InvalidValue: if a simulation diverges, or for physics that the world can't take.
        UnknownName: for a parameter that the world does not have.
    """
    return _simulated(world, [motion_of(world, recording) for recording in recordings], physics, num_threads)


def _simulated(
    world: World, motions: Sequence[replays.Motion], physics: Mapping[str, float] | None, num_threads: int = 0
) -> list[FloatArray]:
    """One run of the replayer."""
    values = dict(physics or {})
    world = world.for_domain(Domain.point(values))
    world.check(Domain.point(values))
    replayer = Replayer(world, motions, 1, num_threads, tuple(values))
    predicted = replayer.run(tuple(values), np.array([list(values.values())]))
    for row in np.flatnonzero(replayer.diverged[:, 0]).tolist():
        raise InvalidValue(
            f"the simulation of recording {motions[row].name!r} in {world.name} diverged; "
            "check the recording's units and the world's physics"
        )
    return [found[0] for found in predicted]


def replay_gap(
    world: World,
    recordings: Sequence[Recording],
    physics: Mapping[str, float] | None = None,
    horizons: bool = False,
) -> ReplayGap:
    """Replay recordings in a world and measure how far it is off, beside two baselines.

    Args:
        world: of the robot; what its actuators are told is as `sim2real.replay.commands` says.
        recordings: as read from their source; their columns are mapped on the world's joints.
        physics: parameter values that differ from nominal.
        horizons: whether to measure the error against the time since the simulation was put on the measured
            state, too, in windows of two seconds.

    Raises:
        RecordingError: for no recordings at all, or joints that don't fit the world.
        InvalidValue: for a world in which nothing can be replayed, or a simulation that diverges.
    """
    if not recordings:
        raise RecordingError("there are no recordings to replay; load_recordings(folder) reads them")
    told = [motion_of(world, recording) for recording in recordings]
    simulated = _simulated(world, told, physics)
    angles = [commanded(world, motion) for motion in told]
    motions = tuple(map(_motion, told, angles, simulated, delays(told, angles)))
    rest = [at_rest(m.measured_at, angle, m.measured) for m, angle in zip(told, angles, strict=True)]
    errors = {predictor: _errors(motions, rest, predictor) for predictor in (SIMULATION, COMMAND, DELAYED)}
    notes = tuple(dict.fromkeys([*_untold(world, told[0]), *(n for m in told for n in m.notes)]))
    horizon = _horizon(world, told, physics) if horizons else None
    # what falls soon forgets how it began, and its error follows everything
    hints = tuple(diagnose(world, told, simulated)) if replays.stays_put(world) else ()
    return ReplayGap(world.name, told[0].joints, motions, errors, dict(physics or {}), notes, horizon, hints)


def _horizon(world: World, told: Sequence[replays.Motion], physics: Mapping[str, float] | None) -> FloatArray:
    """Errors of windows that each begin at the measured state. Shape (motions, horizons)."""
    parts = (replays.windows(motion, HORIZONS[-1]) for motion in told)
    cut = [[part for part in own if part.duration < 2 * HORIZONS[-1]] for own in parts]
    table, every = np.full((len(told), len(HORIZONS)), np.nan), [window for own in cut for window in own]
    simulated = iter(_simulated(world, every, physics) if every else ())
    for row, own in enumerate(cut):
        if not own:
            continue
        rows = [(window.time, (next(simulated) - window.measured) ** 2) for window in own]
        time, squares = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        for column, horizon in enumerate(HORIZONS):
            near = np.abs(time - horizon) <= _AROUND * horizon + _NEAR
            if near.any():
                table[row, column] = np.sqrt(squares[near].mean(axis=0)).mean()
    return table


def _untold(world: World, motion: replays.Motion) -> list[str]:
    told = {order.joint for order in told_angles(world, motion)}
    others = [joint for joint in motion.joints if joint not in told]
    if not others:
        return []
    return [
        f"no angle is commanded of {', '.join(others)}: they are simulated as the model has them, and for "
        "the baselines they stay where they begin"
    ]


def _motion(told: replays.Motion, angles: FloatArray, simulated: FloatArray, delay: float) -> ReplayedMotion:
    predictions = {SIMULATION: simulated, COMMAND: angles, DELAYED: delayed(told.time, angles, delay)}
    return ReplayedMotion(told.name, told.time, told.measured, predictions, delay)


def _errors(motions: Sequence[ReplayedMotion], rest: Sequence[Mask], predictor: str) -> Errors:
    pairs = [(motion.measured, motion.predictions[predictor]) for motion in motions]
    return Errors(
        rmse=np.stack([rmse(*pair) for pair in pairs]),
        nrmse=np.stack([normalized_rmse(*pair) for pair in pairs]),
        lag=np.stack([lag(motion.time, *pair) for motion, pair in zip(motions, pairs, strict=True)]),
        steady=np.stack([steady_state_error(*pair, mask) for pair, mask in zip(pairs, rest, strict=True)]),
        moving=np.stack([rmse(*pair, ~mask) for pair, mask in zip(pairs, rest, strict=True)]),
    )
