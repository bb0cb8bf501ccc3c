"""One recording as a simulation needs it: commands per actuator, start state, measured columns."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, RecordingError
from sim2real.recordings import Recording, column_names, map_joints
from sim2real.replay.commands import orders_of, scalar_joints, told
from sim2real.replay.start import start_pose
from sim2real.world import World, element_name, element_names, reads_position
from sim2real.world.levers import is_scalar

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
    """What each control of the model is told: a joint's angle if it is a position servo's, else the control
    itself (`sim2real.replay.commands`). Shape (n, nu)."""
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
    read_time: FloatArray | None = None
    """Stamps of the measurements on the clock of ``time``, where they have their own. Shape (n,)."""
    whole: bool = False
    """Whether something that was not measured moves by itself, as the base of a quadruped: nobody knows where
    it is later on, so the motion can't be cut."""
    notes: tuple[str, ...] = ()
    """What the log does not say, a sentence each."""
    window_of: str = ""
    """Name of the recording that it is a part of; empty for a whole one."""

    @property
    def recording(self) -> str:
        """Name of the recording that it is, or is a window of."""
        return self.window_of or self.name

    @property
    def duration(self) -> float:
        """Seconds from the first to the last row."""
        return float(self.time[-1])

    @property
    def measured_at(self) -> FloatArray:
        """When each row was measured, s. Shape (n,)."""
        return self.time if self.read_time is None else self.read_time

    def part(self, rows: slice) -> Motion:
        """Some rows, begun at the measured state, with the commands of half a second before."""
        time = self.time[rows]
        since = time[0] - _PAST
        before = slice(int(np.searchsorted(self.past_time, since)), None)
        own = slice(int(np.searchsorted(self.time[: rows.start], since)), rows.start)
        commands = self.past_command.reshape(-1, self.command.shape[1])[before], self.command[own]
        return dataclasses.replace(
            self,
            name=f"{self.name}@{time[0]:.1f}s",
            window_of=self.recording,
            time=time - time[0],
            command=self.command[rows],
            measured=self.measured[rows],
            velocity=_velocity(self, rows.start) if rows.start else self.velocity,
            speeds=None if self.speeds is None else self.speeds[rows],
            past_time=np.concatenate([self.past_time[before], self.time[own]]) - time[0],
            past_command=np.vstack(commands),
            read_time=None if self.read_time is None else self.read_time[rows] - time[0],
        )


def motion_of(world: World, recording: Recording) -> Motion:
    """A recording of a world's joints as a motion that begins at rest.

    Joints are found by name, in any order. Every joint that an actuator orders alone must be there; of others
    (passive ones, those that equalities or tendons move) what was measured is compared, and what was not
    begins where the scene has it. A robot of position servos begins at rest, and what it reports of its
    velocities is not used: servos report them late and coarsely. Any other begins with the velocity that was
    measured.

    Args:
        world: of the robot.
        recording: as read from its source; its columns are mapped on the world's joints.

    Raises:
        RecordingError: for columns that don't fit the world.
        InvalidValue: for a world of which nothing can be replayed, or commands that contradict each other.
    """
    world.check_has_scene()
    model = world.model
    joints, orders = scalar_joints(model), orders_of(model)
    known = list(dict.fromkeys([*joints, *(o.name for o in orders), *element_names(model, "tendon")]))
    if not joints:
        raise InvalidValue(
            f"world {world.name} can't replay recordings: it has no hinge or slide whose position a log "
            "could hold, and the place of a free body is not compared"
        )
    targets = column_names(recording, world.recordings, known)
    needed = [d.joint for d in orders if d.joint and d.name not in targets]
    mapped = map_joints(recording, world.recordings, [name for name in known if name in {*targets, *needed}])
    columns = {name: k for k, name in enumerate(mapped.joints)}
    measured = [columns[joint] for joint in joints if joint in columns]
    if not measured:
        raise RecordingError(f"{recording.name} measures no joint of {world.name}: {', '.join(joints)}")
    seen = tuple(mapped.joints[k] for k in measured)
    start = start_pose(model, seen, mapped.position[0, measured])
    command, notes = told(
        model,
        {name: mapped.command[:, k] for name, k in columns.items()},
        {name: mapped.position[:, k] for name, k in columns.items()},
        start,
    )
    notes += _drifting(world)
    moving = _moving(model, seen)
    if moving:
        notes.append(f"the log does not measure {', '.join(moving)}, left free from where the scene puts it")
    speeds = None if is_servo_robot(world) or mapped.velocity is None else mapped.velocity[:, measured]
    return Motion(
        name=mapped.name,
        joints=seen,
        time=mapped.time - mapped.time[0],
        command=command,
        measured=mapped.position[:, measured],
        velocity=np.zeros(len(seen)) if speeds is None else speeds[0],
        speeds=speeds,
        read_time=None if mapped.state_time is None else mapped.state_time - mapped.time[0],
        whole=bool(moving),
        notes=tuple(notes),
    )


def _drifting(world: World) -> list[str]:
    """A sentence on delays that the scene gives as whole physics steps: the engine compares sums of steps.

    They are so many steps in a world and in its replays (`sim2real.world.scene`), though not in `mj_step`.
    """
    model, path = world.model, world.path / "scene.xml"
    if not model.actuator_delay.any() or not path.is_file():
        return []
    dt = float(model.opt.timestep)
    steps = np.array([actuator.delay for actuator in mujoco.MjSpec.from_file(str(path)).actuators]) / dt
    held = model.actuator_history[:, 1] == 0
    whole = np.flatnonzero(held & (steps > 0.5) & (np.abs(steps - np.round(steps)) < 1e-6))
    said = (f"{element_name(model, 'actuator', int(k))} ({round(steps[k])} steps)" for k in whole)
    sentence = (
        f"the delay of {', '.join(said)} is that in every physics step here, while MuJoCo's own mj_step lets "
        "one of exactly whole steps drift to one more; half a step less in scene.xml is the same in both"
    )
    return [sentence] if len(whole) else []


def _moving(model: mujoco.MjModel, measured: Sequence[str]) -> list[str]:
    """What moves by itself and was not measured: free and ball joints, joints that nothing ties to others."""
    tied = bool((model.eq_type != int(mujoco.mjtEq.mjEQ_TENDON)).any()) if model.neq else False
    names = element_names(model, "joint")
    return [
        name if is_scalar(model, j) else f"the body {element_name(model, 'body', int(model.jnt_bodyid[j]))!r}"
        for j, name in enumerate(names)
        if name not in measured and not (tied and is_scalar(model, j))
    ]


def is_servo_robot(world: World) -> bool:
    """Whether every joint is driven by a position servo of its own."""
    model = world.model
    orders = orders_of(model)
    servos = sorted(order.joint for order in orders if order.servo)
    every = sorted(element_names(model, "joint"))
    return servos == every and len(orders) == len(servos)


def stays_put(world: World) -> bool:
    """Whether a robot stays where it is told, as one that servos alone drive and that has a fixed base.

    Long motions of such a robot can be replayed open-loop; one that can fall soon forgets how it began.
    """
    model = world.model
    free = any(not is_scalar(model, joint) for joint in range(model.njnt))
    actuators = range(model.nactuator)
    return bool(model.nactuator) and not free and all(reads_position(model, k) for k in actuators)


def windows(motion: Motion, seconds: float) -> list[Motion]:
    """A motion cut into windows of equal length that each begin at the measured state; whole if it must be.

    Few rows a second make them longer, as each has some rows at least. Where velocities were not measured,
    they are slopes of parabolas through the rows around.
    """
    if motion.whole:
        return [motion]
    count = max(1, min(round(motion.duration / seconds), len(motion.time) // LEAST_ROWS))
    edges = np.linspace(0, len(motion.time), count + 1).astype(int)
    return [motion.part(slice(a, b)) for a, b in itertools.pairwise(edges) if b - a >= LEAST_ROWS]


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


def _velocity(motion: Motion, row: int) -> FloatArray:
    """Measured, or the slope of a parabola through the rows around. Shape (k,)."""
    if motion.speeds is not None:
        return np.asarray(motion.speeds[row])
    around = slice(max(0, row - _AROUND), row + _AROUND + 1)
    time = motion.measured_at[around] - motion.measured_at[row]
    return np.asarray(np.polyfit(time, motion.measured[around], 2)[1])
