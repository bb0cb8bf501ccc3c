"""One recording as a simulation needs it: commands per actuator, start state, measured columns."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue
from sim2real.recordings import Recording, map_joints
from sim2real.world import World

FloatArray = NDArray[np.float64]

_PAST = 0.5  # s of earlier commands that a window knows of
_AROUND = 3  # rows before and after, through which a parabola gives the velocity at the start of a window
LEAST_ROWS = 2 * _AROUND + 1
"""Of a window."""


@dataclass(frozen=True, eq=False)
class Motion:
    """What one run was told and what it did, from its first row on."""

    name: str
    joints: tuple[str, ...]
    """Measured joints, in the order of the columns."""
    time: FloatArray
    """Seconds since the first row. Shape (n,)."""
    command: FloatArray
    """Commands of the actuators, in the model's order. Shape (n, nu)."""
    measured: FloatArray
    """Joint positions, rad or m. Shape (n, k)."""
    velocity: FloatArray
    """Joint velocities at the first row, rad/s or m/s. Shape (k,)."""
    speeds: FloatArray | None = None
    """Joint velocities of every row, where they can be trusted. Shape (n, k)."""
    past_time: FloatArray = field(default_factory=lambda: np.empty(0))
    """Stamps of earlier commands, which a latency still delivers, s before 0. Shape (m,)."""
    past_command: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    """Shape (m, nu)."""

    @property
    def duration(self) -> float:
        """Seconds from the first to the last row."""
        return float(self.time[-1])


def motion_of(world: World, recording: Recording) -> Motion:
    """A recording of a world's joints as a motion that begins at rest.

    The command of an actuator is the column of the joint that it drives; the commands of joints without an
    actuator are left alone. A robot of position servos begins at rest, and what it reports of its velocities
    is not used: servos report them late and coarsely. Any other begins with the velocity that was measured.

    Args:
        world: whose joints are all hinges and slides, each actuator driving one of them.
        recording: as read from its source; its joints are mapped on the world's.

    Raises:
        RecordingError: for joints that don't fit the world.
        InvalidValue: for a world with other kinds of joints or actuators.
    """
    model = world.model
    driven = [int(joint) for joint in model.actuator_trnid[:, 0]]
    if model.nq != model.nv or (model.actuator_trntype != mujoco.mjtTrn.mjTRN_JOINT).any():
        raise InvalidValue(
            f"world {world.name} can't replay recordings: every joint must be a hinge or a slide, and every "
            "actuator must drive one of them"
        )
    joints = [model.joint(joint).name for joint in range(model.njnt)]
    mapped = map_joints(recording, world.recordings, joints)
    speeds = None if is_servo_robot(world) else mapped.velocity
    return Motion(
        name=mapped.name,
        joints=tuple(joints),
        time=mapped.time - mapped.time[0],
        command=mapped.command[:, driven],
        measured=mapped.position,
        velocity=np.zeros(len(joints)) if speeds is None else speeds[0],
        speeds=speeds,
    )


def is_servo_robot(world: World) -> bool:
    """Whether every joint is driven by a position servo of its own."""
    model = world.model
    driven = sorted(int(joint) for joint in model.actuator_trnid[:, 0])
    return driven == list(range(model.njnt)) and bool((model.actuator_biasprm[:, 1] < 0).all())


def windows(motion: Motion, seconds: float) -> list[Motion]:
    """A motion cut into windows of equal length that each begin at the measured state.

    Where velocities were not measured, they are slopes of parabolas through the rows around.
    """
    count = max(1, round(motion.duration / seconds))
    edges = np.linspace(0, len(motion.time), count + 1).astype(int)
    return [_cut(motion, slice(a, b)) for a, b in itertools.pairwise(edges) if b - a >= LEAST_ROWS]


def liveliest(motions: Sequence[Motion], seconds: float, count: int) -> list[Motion]:
    """Windows in which the commands move most: the best of each motion, then the second best, and so on.

    Each joint's movement counts as a share of its most.
    """
    parts = [windows(motion, seconds) for motion in motions]
    most = np.max([w.command.std(axis=0) for of_motion in parts for w in of_motion], axis=0)

    def moves(window: Motion) -> float:
        return float(np.sqrt(window.command.std(axis=0) / np.maximum(most, 1e-12)).sum())

    ranked = [sorted(of_motion, key=moves, reverse=True) for of_motion in parts]
    rounds = [window for k in range(max(map(len, ranked))) for r in ranked for window in r[k : k + 1]]
    return rounds[:count]


def _cut(motion: Motion, rows: slice) -> Motion:
    time = motion.time[rows]
    past = slice(int(np.searchsorted(motion.time, time[0] - _PAST)), rows.start)
    return dataclasses.replace(
        motion,
        name=f"{motion.name}@{time[0]:.1f}s",
        time=time - time[0],
        command=motion.command[rows],
        measured=motion.measured[rows],
        velocity=_velocity(motion, rows.start) if rows.start else motion.velocity,
        speeds=None if motion.speeds is None else motion.speeds[rows],
        past_time=motion.time[past] - time[0],
        past_command=motion.command[past],
    )


def _velocity(motion: Motion, row: int) -> FloatArray:
    """Measured, or the slope of a parabola through the rows around. Shape (k,)."""
    if motion.speeds is not None:
        return np.asarray(motion.speeds[row])
    around = slice(max(0, row - _AROUND), row + _AROUND + 1)
    time = motion.time[around] - motion.time[row]
    return np.asarray(np.polyfit(time, motion.measured[around], 2)[1])


@dataclass(frozen=True)
class Integral:
    """The integral of a motion's commands over time, from which means over any span follow."""

    time: FloatArray
    command: FloatArray
    total: FloatArray

    @classmethod
    def of(cls, motion: Motion) -> Integral:
        """Of all actuators."""
        time = np.concatenate([motion.past_time, motion.time])
        command = (
            np.vstack([motion.past_command, motion.command]) if len(motion.past_time) else motion.command
        )
        spans = np.diff(time)[:, None] * command[:-1]
        return cls(time, command, np.vstack([np.zeros_like(spans[:1]), spans.cumsum(axis=0)]))

    def means(self, edges: FloatArray, actuator: int) -> FloatArray:
        """Mean command between neighbouring edges; before the first stamp the first command holds."""
        row = np.maximum(np.searchsorted(self.time, edges, side="right") - 1, 0)
        total = self.total[row, actuator] + (edges - self.time[row]) * self.command[row, actuator]
        return np.asarray(np.diff(total) / np.diff(edges))
