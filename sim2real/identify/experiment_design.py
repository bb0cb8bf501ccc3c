"""Which motion to record next: the one that shrinks the widest interval most.

    motion = next_motion(world, recordings, found)
    print(motion.text)                      # record next_motion.npz, 12 s: the interval of elbow.bias ...
    motion.save(folder)

Candidates (`sim2real.identify.excitation`) are simulated at the fitted point; those that leave the joints'
ranges, go faster than the robot was seen to go, or touch something that no recording touched are dropped; of
an arm also those that go lower than it was seen to go, or near a table that was found.
Of the others, the information each would add to what is known says how much every interval would shrink
(Gautier and Khalil 1992; the worst parameter's A-optimality), and one is chosen for the widest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from sim2real.identify.defaults import cut, problem_of
from sim2real.identify.excitation import candidates
from sim2real.identify.identifiability import Information, information
from sim2real.identify.options import Options
from sim2real.identify.result import Identification
from sim2real.identify.space import FloatArray
from sim2real.recordings import Recording
from sim2real.recordings.mapping import unmap_joints
from sim2real.recordings.npz import write_npz
from sim2real.replay import Motion, is_servo_robot, motion_of
from sim2real.replay.envelope import Envelope
from sim2real.world import World
from sim2real.world.ground import plane_parameters

FILE = "next_motion.npz"

_WORTH = 0.95
"""What a motion must leave of an interval at most to be worth recording for it."""
_OF_JOINT = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
_FOCUS = 2  # joints of the widest intervals that are moved alone


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
        told = {name: value for name, value in vars(self).items() if name != "recording"}
        return {"text": self.text, "file": FILE, **told}

    def save(self, folder: Path) -> None:
        """Write ``next_motion.npz``: its ``command`` is what to play."""
        write_npz(self.recording, folder / FILE)


def next_motion(
    world: World,
    recordings: Sequence[Recording],
    found: Identification,
    options: Options | None = None,
) -> NextMotion | None:
    """The candidate that shrinks the widest interval that any of them shrinks; None if none is of use.

    None as well for a robot with joints that are not measured, or that something else moves than one drive of
    their own with one command: what it may be made to do without harm is not known.

    Args:
        world: as it was identified.
        recordings: that it was identified from.
        found: the result.
        options: that it was identified with; they say how long and how fast the motion may be.

    Raises:
        RecordingError: for recordings that don't fit the world.
        InvalidValue: for a world that recordings can't be replayed in.
    """
    options = options or Options()
    motions = [motion_of(world, recording) for recording in recordings]
    model, joints = world.model, {*world.model.actuator_trnid[:, 0].tolist()}
    each = bool(np.isin(model.actuator_trntype, _OF_JOINT).all()) and len(joints) == model.nu
    if not (each and model.nq == model.njnt == len(motions[0].joints)):
        return None
    known = _Known(world, motions, found, options)
    safe = list(_safe(known, Envelope(world, motions, options.top_speed, found.point), options))
    told = known.told([motion for motion, _ in safe]) if safe else []
    tried = [(*way, known.left(more)) for way, more in zip(safe, told, strict=True)]
    for k in known.widest:
        useful = [t for t in tried if t[2][k] < min(_WORTH, known.repeated[k])]
        if useful:
            motion, kind, left = min(useful, key=lambda t: float(t[2][k]))
            commands = np.zeros_like(motion.measured)
            commands[:, model.actuator_trnid[:, 0]] = motion.command
            arrays = motion.time, commands, motion.measured, motion.speeds
            recording = Recording("next_motion", motion.joints, *arrays)
            estimate = known.estimates[k]
            half = (estimate.high - estimate.low) / 2
            return NextMotion(
                recording=unmap_joints(recording, world.recordings, recordings[0]),
                kind=kind,
                target=estimate.name,
                unit=estimate.unit,
                half=half,
                expected=half * float(left[k]),
                repeated=half * float(known.repeated[k]),
                shrinks={e.name: float(x) for e, x in zip(known.estimates, left, strict=True)},
            )
    return None


class _Known:
    """What recordings tell of every number, and what a motion would leave of its interval."""

    def __init__(
        self, world: World, motions: Sequence[Motion], found: Identification, options: Options
    ) -> None:
        tables = plane_parameters(world.model) if is_servo_robot(world) else {}
        self.estimates = [e for e in found.estimates if e.name not in tables]
        self.widest = np.argsort([-e.share for e in self.estimates]).tolist()
        start = {e.name: e.value for e in self.estimates}
        base = world.with_parameters({}, {n: v for n, v in found.point.items() if n not in start})
        self.problem = problem_of(base, cut(world, motions, options.window), list(start), options, start)
        self._world, self._window, self._noise = world, options.window, self.problem.noise
        told = self.told(motions)
        self._sum = sum(told[1:], told[0])
        self.repeated = np.min([self.left(again) for again in told], axis=0)
        """What is left of each interval if the most telling motion is recorded again, as a share."""

    def told(self, motions: Sequence[Motion]) -> list[Information]:
        """What each of some motions tells."""
        cuts = [cut(self._world, [motion], self._window) for motion in motions]
        problem = self.problem.on([part for parts in cuts for part in parts])
        found = iter(information(problem, problem.space.start, self._noise))
        return [sum((next(found) for _ in parts[1:]), next(found)) for parts in cuts]

    def left(self, more: Information) -> FloatArray:
        """What is left of every interval, as a share."""
        return np.asarray((self._sum + more).std / self._sum.std)


def _safe(known: _Known, envelope: Envelope, options: Options) -> Iterator[tuple[Motion, str]]:
    """Candidates as motions that the fitted robot can make without harm, and how each moves."""
    period = float(np.median(np.concatenate([np.diff(m.time) for m in envelope.motions])))
    time = np.arange(round(options.motion_seconds / period) + 1, dtype=np.float64) * period
    driven = envelope.world.model.actuator_trnid[:, 0].tolist()
    owners = [known.problem.about(k) for k in known.widest]
    focus = list(dict.fromkeys(driven.index(o) for o in owners if o is not None and o in driven))
    tried = list(candidates(time, envelope.commands(), focus[:_FOCUS], options.seed))
    first, begun = envelope.motions[0], []
    for _, commands in tried:
        start = first.measured[0].copy()
        if envelope.servos:
            start[driven] = commands[0]
        begun.append(Motion("next", first.joints, time, commands, np.tile(start, (len(time), 1)), 0 * start))
    full = known.problem.on(begun, fast=False)
    predicted = full.predict(full.space.start[None])
    for motion, (kind, _), (positions,) in zip(begun, tried, predicted, strict=True):
        if envelope.holds(time, positions):
            speeds = None if envelope.servos else np.gradient(positions, time, axis=0)
            yield dataclasses.replace(motion, measured=positions, speeds=speeds), kind
