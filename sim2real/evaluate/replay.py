"""The gap between a world and a real robot, from recordings alone.

Measured in one call::

    gap = replay_gap(World.load("so101"), load_recordings(folder))
    gap.mean_rmse(SIMULATION)                                       # 0.0319 rad on the real arm

Each recording's commands are replayed open-loop: from the first measured pose at rest, never
corrected. A command holds until the next stamp; every physics step runs under the command in
force at its middle, and the simulated angle is read at the stamps. All recordings run at once, as
rows of one simulator. Two baselines that know no physics stand beside it: the joint is where it
is told to be, and it gets there a constant delay later. That delay is found on the *other*
motions (leave one out), never on the motion it predicts.

Not covered: the time within a tick at which each joint is really read, which the stamps don't tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from numpy.typing import NDArray

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
from sim2real.opening import opened_for
from sim2real.parameters import LAW, quantity_of
from sim2real.recordings import Recording, map_joints
from sim2real.replay import Replayer, motion_of
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

SIMULATION, COMMAND, DELAYED = "simulation", "command", "delayed command"

_DELAYS = np.arange(0.0, 0.3001, 0.005)
_FALLBACK_DELAY = 0.1
"""Seconds, where there is no other motion to find it on: typical of hobby servos on a bus."""


@dataclass(frozen=True, eq=False)
class Motion:
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
    motions: tuple[Motion, ...]
    errors: Mapping[str, Errors]
    """By predictor."""
    physics: Mapping[str, float] = field(default_factory=dict)
    """What differed from nominal."""

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
    """Simulate every recording open-loop.

    Args:
        world: the world to replay in.
        recordings: with the world's joints in its order (see `sim2real.recordings.map_joints`).
        physics: parameter values that differ from nominal.
        num_threads: threads of the simulator; 0 means all cores.

    Returns:
        list[FloatArray]: per recording the simulated angles at its stamps, shape (n, k).

    Raises:
        InvalidValue: if a simulation diverges, or for physics that the world can't take.
        UnknownName: for a parameter that the world does not have.
    """
    values = _without_own_shape(physics or {})
    world = opened_for(world, Domain.point(values))
    world.check(Domain.point(values))
    if any(quantity_of(name).acts == LAW or name.endswith(".backlash") for name in values):
        return _replay_with_laws(world, recordings, values, num_threads)
    simulator = MujocoSimulator(world, len(recordings), num_threads)
    rows = np.arange(len(recordings))
    simulator.set_physics(rows, tuple(values), np.array([list(values.values())] * len(rows)))
    trace = _run(simulator, _servo_joints(world), recordings)
    for row in np.flatnonzero(simulator.diverged()).tolist():
        raise InvalidValue(
            f"the simulation of recording {recordings[row].name!r} in {world.name} diverged; "
            "check the recording's units and the world's physics"
        )
    dt = simulator.physics_dt
    return [_sample(trace[:, row], dt, recording) for row, recording in enumerate(recordings)]


def _without_own_shape(physics: Mapping[str, float]) -> dict[str, float]:
    """Without exponents of Stribeck friction that are 1, the only shape that replays have."""
    return {
        name: value
        for name, value in physics.items()
        if not (name.endswith(".stribeck_exponent") and value == 1.0)
    }


def _replay_with_laws(
    world: World, recordings: Sequence[Recording], values: Mapping[str, float], num_threads: int
) -> list[FloatArray]:
    """With play, under friction that depends on speed and load, or a servo's goal with limits."""
    motions = [motion_of(world, recording) for recording in recordings]
    replayer = Replayer(world, motions, 1, num_threads, tuple(values))
    predicted = replayer.run(tuple(values), np.array([list(values.values())]))
    for row in np.flatnonzero(replayer.diverged[:, 0]).tolist():
        raise InvalidValue(
            f"the simulation of recording {recordings[row].name!r} in {world.name} diverged; "
            "check the recording's units and the world's physics"
        )
    order = [motions[0].joints.index(joint) for joint in _servo_joints(world)]
    return [found[0][:, order] for found in predicted]


def replay_gap(
    world: World,
    recordings: Sequence[Recording],
    physics: Mapping[str, float] | None = None,
) -> ReplayGap:
    """Replay recordings in a world and measure how far it is off, beside two baselines.

    Args:
        world: one whose joints are all hinges or slides, each driven by a position servo of its
            own.
        recordings: as read from their source; their joints are mapped on the world's.
        physics: parameter values that differ from nominal.

    Raises:
        RecordingError: for no recordings at all, or joints that don't fit the world.
        InvalidValue: for a world that commanded positions can't be replayed in, or a simulation
            that diverges.
    """
    joints = _servo_joints(world)
    if not recordings:
        raise RecordingError("there are no recordings to replay; load_recordings(folder) reads them")
    mapped = [map_joints(recording, world.recordings, joints) for recording in recordings]
    simulated = replay(world, mapped, physics)
    delays = _delays(mapped)
    motions = tuple(map(_motion, mapped, simulated, delays))
    rest = [at_rest(recording.time, recording.command, recording.position) for recording in mapped]
    errors = {predictor: _errors(motions, rest, predictor) for predictor in (SIMULATION, COMMAND, DELAYED)}
    return ReplayGap(world.name, tuple(joints), motions, errors, dict(physics or {}))


def _servo_joints(world: World) -> list[str]:
    """Joints in the order of the actuators that drive them, one position servo each."""
    model = world.model
    driven = [int(joint) for joint in model.actuator_trnid[:, 0]]
    servos = (model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT) & (model.actuator_biasprm[:, 1] < 0)
    if sorted(driven) != list(range(model.njnt)) or model.nq != model.njnt or not servos.all():
        raise InvalidValue(
            f"world {world.name} can't replay commanded joint positions: every joint needs one "
            "position servo of its own, as in so101"
        )
    return [model.joint(joint).name for joint in driven]


def _run(simulator: MujocoSimulator, joints: list[str], recordings: Sequence[Recording]) -> FloatArray:
    """Angles before every physics step and after the last. Shape (steps + 1, recordings, k)."""
    dt = simulator.physics_dt
    columns, _ = simulator.joints(joints)
    in_force = [_in_force(recording, dt) for recording in recordings]
    steps = np.array([len(index) for index in in_force])
    commands = [recording.command for recording in recordings]
    start = np.stack([recording.position[0] for recording in recordings])
    first = np.stack([command[0] for command in commands])
    ids = np.arange(len(recordings))
    qpos = np.zeros_like(simulator.qpos)
    qpos[:, columns] = start
    simulator.reset(ids, qpos, np.zeros_like(simulator.qvel), first)
    trace = np.zeros((steps.max() + 1, *start.shape))
    trace[0] = start
    ctrl = first.copy()
    for step in range(steps.max()):
        running = ids[steps > step]
        for row in running:
            ctrl[row] = commands[row][in_force[row][step]]
        simulator.step(ctrl, 1, running)
        trace[step + 1] = simulator.qpos[:, columns]
    return trace


def _in_force(recording: Recording, dt: float) -> NDArray[np.intp]:
    """Row of the command that is in force at the middle of every physics step. Shape (steps,)."""
    steps = int(np.ceil(recording.duration / dt))
    middles = recording.time[0] + (np.arange(steps) + 0.5) * dt
    return np.asarray(np.searchsorted(recording.time, middles, side="right") - 1)


def _sample(trace: FloatArray, dt: float, recording: Recording) -> FloatArray:
    """The trace at the recording's stamps, linear between physics steps. Shape (n, k)."""
    when = np.arange(len(trace)) * dt
    return np.stack(
        [np.interp(recording.measured_at - recording.time[0], when, column) for column in trace.T], axis=1
    )


def delayed(time: FloatArray, command: FloatArray, delay: float) -> FloatArray:
    """The command in force ``delay`` seconds earlier, at the start the first one. Shape (n, k)."""
    rows = np.searchsorted(time, time - delay, side="right") - 1
    return command[np.maximum(rows, 0)]


def _delays(recordings: Sequence[Recording]) -> list[float]:
    """For each recording the delay, s, that predicts the *other* motions best (mean RMSE)."""
    table = np.array(
        [
            [rmse(r.position, delayed(r.time, r.command, delay)).mean() for delay in _DELAYS]
            for r in recordings
        ]
    )
    motions = np.array([recording.name.rpartition("/")[2] for recording in recordings])
    chosen = []
    for motion in motions:
        others = table[motions != motion]
        best = _DELAYS[others.mean(axis=0).argmin()] if len(others) else _FALLBACK_DELAY
        chosen.append(float(best))
    return chosen


def _motion(recording: Recording, simulated: FloatArray, delay: float) -> Motion:
    predictions = {
        SIMULATION: simulated,
        COMMAND: recording.command,
        DELAYED: delayed(recording.time, recording.command, delay),
    }
    return Motion(recording.name, recording.time, recording.position, predictions, delay)


def _errors(motions: Sequence[Motion], rest: Sequence[Mask], predictor: str) -> Errors:
    pairs = [(motion.measured, motion.predictions[predictor]) for motion in motions]
    return Errors(
        rmse=np.stack([rmse(*pair) for pair in pairs]),
        nrmse=np.stack([normalized_rmse(*pair) for pair in pairs]),
        lag=np.stack([lag(motion.time, *pair) for motion, pair in zip(motions, pairs, strict=True)]),
        steady=np.stack([steady_state_error(*pair, mask) for pair, mask in zip(pairs, rest, strict=True)]),
        moving=np.stack([rmse(*pair, ~mask) for pair, mask in zip(pairs, rest, strict=True)]),
    )
