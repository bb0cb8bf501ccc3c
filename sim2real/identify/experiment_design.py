"""Which motion to record next: the one that shrinks the widest interval most.

    motion = next_motion(world, recordings, found)
    print(motion.text)                      # record next_motion.npz, 12 s: the interval of elbow.bias ...
    motion.save(folder)

Candidates (`sim2real.identify.excitation`) are simulated at the fitted point; those that leave the joints'
ranges, go faster than the robot was seen to go, or touch something that no recording touched are dropped.
An arm of servos also goes no lower than it was seen to go, since nobody knows what is there, and stays clear
of a table that was found.
Of the others, the information each would add to what is known says how much every interval would shrink
(Gautier and Khalil 1992; the worst parameter's A-optimality), and one is chosen for the widest.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from sim2real.identify.defaults import cut
from sim2real.identify.excitation import MARGIN, Candidate, CommandLimits, candidates
from sim2real.identify.ground import plane_parameters
from sim2real.identify.identifiability import Information, information
from sim2real.identify.noise import noise_of
from sim2real.identify.options import Options
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.residuals import tip_height
from sim2real.identify.result import Identification
from sim2real.identify.space import FloatArray, ParameterSpace, free_parameters
from sim2real.recordings import Recording
from sim2real.recordings.mapping import unmap_joints
from sim2real.recordings.npz import write_npz
from sim2real.replay import Motion, is_servo_robot, motion_of
from sim2real.replay.decoupled import can_stand_in
from sim2real.world import World

FILE = "next_motion.npz"

_WORTH = 0.95
"""What a motion must leave of an interval at most to be worth recording for it."""
_LOOKS = 60  # poses of a motion in which contacts are looked for
_CLEARANCE = 0.02  # m over a table
_OF_JOINT = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
_FOCUS = 2  # joints of the widest intervals that are moved alone


@dataclass(frozen=True)
class MotionLimits:
    """What a robot may be made to play."""

    seconds: float = 12.0
    speed: float | None = None
    """Top speed of every joint, rad/s or m/s; by default about the highest that the recordings show of it."""
    seed: int = 0


@dataclass(frozen=True, eq=False)
class NextMotion:
    """A motion worth recording."""

    recording: Recording
    """Commands to play, and the positions to expect, with the names and units of the recordings."""
    kind: str
    """How it moves, in words."""
    target: str
    """The parameter that it is for."""
    unit: str
    half: float
    """Half width of its interval now, in its unit."""
    expected: float
    """Half width to expect with this motion recorded too."""
    repeated: float
    """Half width to expect from recording the most telling known motion again."""
    shrinks: Mapping[str, float]
    """What would be left of every parameter's interval, as a share."""

    @property
    def text(self) -> str:
        """In one sentence."""
        return (
            f"record {FILE}, {self.recording.duration:.0f} s ({self.kind}): the interval of {self.target} "
            f"is expected to shrink from ±{self.half:.3g} to ±{self.expected:.3g} {self.unit} "
            f"(recording a known motion again: ±{self.repeated:.3g})"
        )

    def to_json(self) -> dict[str, object]:
        """As plain values, without the motion itself."""
        return {
            "text": self.text,
            "file": FILE,
            "kind": self.kind,
            "target": self.target,
            "half": self.half,
            "expected": self.expected,
            "repeated": self.repeated,
            "shrinks": dict(self.shrinks),
        }

    def save(self, folder: Path) -> None:
        """Write ``next_motion.npz``: its ``command`` is what to play."""
        folder.mkdir(parents=True, exist_ok=True)
        write_npz(self.recording, folder / FILE)


def next_motion(
    world: World,
    recordings: Sequence[Recording],
    found: Identification,
    options: Options | None = None,
    limits: MotionLimits | None = None,
) -> NextMotion | None:
    """The candidate that shrinks the widest interval that any of them shrinks; None if none is of use.

    None as well for a robot with joints that are not measured, or that something else than a drive of their
    own moves: what it may be made to do without harm is not known.

    Args:
        world: as it was identified.
        recordings: that it was identified from.
        found: the result.
        options: that it was identified with.
        limits: how long and how fast the motion may be.

    Raises:
        RecordingError: for recordings that don't fit the world.
        InvalidValue: for a world that recordings can't be replayed in.
    """
    options, limits = options or Options(), limits or MotionLimits()
    motions = [motion_of(world, recording) for recording in recordings]
    if not _all_driven(world, motions[0]):
        return None
    chooser = _Chooser(world, motions, found, options, limits)
    best = chooser.best()
    if best is None:
        return None
    motion, commands, shrinks, k = best
    estimate = chooser.estimates[k]
    half = (estimate.high - estimate.low) / 2
    return NextMotion(
        recording=_as_recorded(world, recordings[0], motion),
        kind=commands.kind,
        target=estimate.name,
        unit=estimate.unit,
        half=half,
        expected=half * float(shrinks[k]),
        repeated=half * float(chooser.repeated[k]),
        shrinks={e.name: float(s) for e, s in zip(chooser.estimates, shrinks, strict=True)},
    )


def _all_driven(world: World, motion: Motion) -> bool:
    """Whether all joints are measured hinges and slides, and every actuator drives one of them."""
    model = world.model
    joints = np.isin(model.actuator_trntype, _OF_JOINT).all()
    return bool(joints) and model.nq == model.njnt == len(motion.joints)


class _Chooser:
    """Candidates and what they would tell."""

    def __init__(
        self,
        world: World,
        motions: list[Motion],
        found: Identification,
        options: Options,
        limits: MotionLimits,
    ) -> None:
        self.world, self.motions, self.allowed, self.window = world, motions, limits, options.window
        self.servos = is_servo_robot(world)
        tables = plane_parameters(world) if self.servos else {}
        self.estimates = [e for e in found.estimates if e.name not in tables]
        names = [e.name for e in self.estimates]
        base = world.with_parameters({}, {n: v for n, v in found.point.items() if n not in names})
        space = ParameterSpace(tuple(free_parameters(base, names, options.bounds)))
        space = space.with_start({e.name: e.value for e in self.estimates})
        self.point = space.start
        fast = self.servos and can_stand_in(names)
        self.problem = RecordingProblem.of(
            base, space, cut(world, motions, self.window), options.threads, fast
        )
        self.noise = noise_of(motions)
        told = [self._told_by(motion, seed, len(motions)) for seed, motion in enumerate(motions)]
        self.known = functools.reduce(Information.__add__, [first for first, _ in told])
        self.repeated = np.min([self._shrinks(again) for _, again in told], axis=0)
        self.model = placed(world, found.point)
        self.touched: set[tuple[int, int]] = set()
        self.lowest = -np.inf
        if self.servos:
            self.touched.update(*(self._contacts(m.measured) for m in motions))
            self.lowest = self._lowest(found.point)
        self.widths = np.array([self._share(k, e.low, e.high) for k, e in enumerate(self.estimates)])

    def _lowest(self, point: Mapping[str, float]) -> float:
        """Height that the lowest thing that can touch must keep, m."""
        seen = min(float(tip_height(self.world, m.measured[::5], m.joints).min()) for m in self.motions)
        table = [
            value
            for name, value in point.items()
            if name in plane_parameters(self.world) and name.endswith(".height")
        ]
        return max([seen, *(height + _CLEARANCE for height in table)])

    def _share(self, k: int, low: float, high: float) -> float:
        free = self.problem.space.free[k]
        ends = (min(max(x, free.low), free.high) for x in (low, high))
        first, last = (float(free.unit(x)) for x in ends)
        return last - first

    def best(self) -> tuple[Motion, Candidate, FloatArray, int] | None:
        """The motion, how it moves, what it leaves of every interval, and the parameter it is for."""
        tried = [(m, c, self._shrinks(*self._told_by(m, len(self.motions)))) for m, c in self._safe()]
        for k in np.argsort(-self.widths):
            useful = [t for t in tried if t[2][k] < min(_WORTH, self.repeated[k])]
            if useful:
                chosen = min(useful, key=lambda t: float(t[2][k]))
                return (*chosen, int(k))
        return None

    def _told_by(self, motion: Motion, *seeds: int) -> list[Information]:
        problem = self.problem.on(cut(self.world, [motion], self.window))
        return information(problem, self.point, self.noise, seeds)

    def _shrinks(self, more: Information) -> FloatArray:
        return np.asarray((self.known + more).std / self.known.std)

    def _limits(self) -> CommandLimits:
        model = self.world.model
        commands = np.vstack([m.command for m in self.motions])
        limited = model.actuator_ctrllimited.astype(bool)
        low = np.where(limited, model.actuator_ctrlrange[:, 0], commands.min(axis=0))
        high = np.where(limited, model.actuator_ctrlrange[:, 1], commands.max(axis=0))
        driven = model.actuator_trnid[:, 0]
        if self.servos:
            ends = self._ends()
            low, high = np.maximum(low, ends[0][driven]), np.minimum(high, ends[1][driven])
        margin = MARGIN * (high - low)
        start = np.clip(self.motions[0].command[0], low + margin, high - margin)
        return CommandLimits(low + margin, high - margin, self._speed()[driven], start, self.servos)

    def _ends(self) -> tuple[FloatArray, FloatArray]:
        """Range of every joint; infinite where it has none. Shapes (k,)."""
        model = self.world.model
        limited = model.jnt_limited.astype(bool)
        low, high = np.where(limited[:, None], model.jnt_range, [-np.inf, np.inf]).T
        return low, high

    def _speed(self) -> FloatArray:
        """Top speed of every joint: its own, or the median of its kind if it was moved slowly. Shape (k,)."""
        kinds = self.world.model.jnt_type
        if self.allowed.speed is not None:
            return np.full(len(kinds), self.allowed.speed)
        own = np.max([_speeds(m.time, m.measured).max(axis=0) for m in self.motions], axis=0)
        return np.asarray(np.maximum(own, [np.median(own[kinds == kind]) for kind in kinds]))

    def _safe(self) -> Iterator[tuple[Motion, Candidate]]:
        """Candidates as motions that the fitted robot can make without harm."""
        period = float(np.median(np.concatenate([np.diff(m.time) for m in self.motions])))
        time: FloatArray = np.arange(round(self.allowed.seconds / period) + 1, dtype=np.float64) * period
        limits = self._limits()
        owners = [self.problem.owner(int(k)) for k in np.argsort(-self.widths)]
        driven = self.world.model.actuator_trnid[:, 0].tolist()
        focus = list(dict.fromkeys(driven.index(o) for o in owners if o is not None and o in driven))
        tried = list(candidates(time, limits, focus[:_FOCUS], self.allowed.seed))
        begun = [self._begun(time, commands) for commands in tried]
        full = self.problem.on(begun, fast=False)
        for motion, commands, predicted in zip(begun, tried, full.predict(self.point[None]), strict=True):
            positions = predicted[0]
            if np.isfinite(positions).all() and self._harmless(time, positions):
                speeds = None if self.servos else np.gradient(positions, time, axis=0)
                yield dataclasses.replace(motion, measured=positions, speeds=speeds), commands

    def _begun(self, time: FloatArray, commands: Candidate) -> Motion:
        first = self.motions[0]
        measured = np.tile(first.measured[0], (len(time), 1))
        if self.servos:
            measured[:, self.world.model.actuator_trnid[:, 0]] = commands.values[0]
        return Motion("next", first.joints, time, commands.values, measured, np.zeros(len(first.joints)))

    def _harmless(self, time: FloatArray, positions: FloatArray) -> bool:
        low, high = self._ends()
        if (positions < low).any() or (positions > high).any():
            return False
        if (_speeds(time, positions).max(axis=0) > 1.05 * self._speed()).any():
            return False
        if not self.servos:
            return True
        lowest = float(tip_height(self.world, positions[::5], self.motions[0].joints).min())
        return lowest >= self.lowest and not self._contacts(positions) - self.touched

    def _contacts(self, positions: FloatArray) -> set[tuple[int, int]]:
        """Pairs of geoms that touch in some pose of a motion."""
        model = self.model
        data = mujoco.MjData(model)
        pairs = set()
        for row in np.linspace(0, len(positions) - 1, _LOOKS).astype(int):
            data.qpos[:] = positions[row]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_collision(model, data)
            pairs |= {(int(a), int(b)) for a, b in data.contact.geom}
        return pairs


def _speeds(time: FloatArray, positions: FloatArray) -> FloatArray:
    """Over a tenth of a second, so that noise is none. Shape (n, k)."""
    later = [np.interp(time + 0.1, time, column) for column in positions.T]
    return np.asarray(np.abs(np.stack(later, axis=1) - positions) / 0.1)


def _as_recorded(world: World, like: Recording, motion: Motion) -> Recording:
    """A motion as the robot's own logs would have it."""
    commands = np.zeros_like(motion.measured)
    commands[:, world.model.actuator_trnid[:, 0]] = motion.command
    recording = Recording("next_motion", motion.joints, motion.time, commands, motion.measured, motion.speeds)
    return unmap_joints(recording, world.recordings, like)


def placed(world: World, values: Mapping[str, float]) -> mujoco.MjModel:
    """A copy of the model with its planes at the heights that some values give."""
    model = copy.copy(world.model)
    for name, value in values.items():
        geom, _, quantity = name.rpartition(".")
        if quantity == "height":
            model.geom(geom).pos[2] = value
    return model
