"""How an identification begins unless it is told: what is free and fixed, how recordings are cut."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from sim2real.errors import InvalidValue, RecordingError
from sim2real.identify.options import Options
from sim2real.identify.problem import RecordingProblem, Tally
from sim2real.identify.space import ParameterSpace, free_parameters
from sim2real.parameters import LAW, MODEL, check_value
from sim2real.recordings import Recording
from sim2real.replay import Motion, is_servo_robot, motion_of, stays_put, windows
from sim2real.replay.decoupled import can_stand_in
from sim2real.replay.motion import LEAST_ROWS
from sim2real.world import World, drives, element_names

SERVO_WINDOW, FREE_WINDOW = 20.0, 1.0
"""Seconds of open loop at a time; a robot that can fall soon forgets how it began."""

_OF_DRIVES = ("latency", "frictionloss")


def motions_of(world: World, recordings: Sequence[Recording]) -> list[Motion]:
    """Recordings as the motions that a fit replays.

    Raises:
        RecordingError: for no recordings, joints that don't fit the world, a recording too short to begin a
            window in, or two of one name, which could not be held out apart.
        InvalidValue: for a world that recordings can't be replayed in, or that nothing drives.
    """
    if not recordings:
        raise RecordingError("there are no recordings to learn from; load_recordings(folder) reads them")
    if not world.model.nu:
        raise InvalidValue(
            f"world {world.name} has no actuator, so nothing can follow the commands of recordings; give "
            "scene.xml the actuators of the robot"
        )
    motions = [motion_of(world, recording) for recording in recordings]
    names = [motion.name for motion in motions]
    for motion in motions:
        if len(motion.time) < LEAST_ROWS:
            raise RecordingError(
                f"{motion.name} has {len(motion.time)} rows, and a fit needs {LEAST_ROWS}; record for longer "
                "or leave it out"
            )
        if names.count(motion.name) > 1:
            raise RecordingError(f"two recordings are named {motion.name!r}; give each a name of its own")
    return motions


def fixed_values(world: World, options: Options, published: bool = False) -> dict[str, float]:
    """Values that differ from the world's and stay.

    While no force limit is reached, a servo's velocity gain and its joint's damping are one column: the
    damping keeps both, unless the published gain is to be tried. Friction that a fit may add has the shape
    of Stribeck's own law.
    """
    asked = not options.free or any(name.endswith(".stribeck") for name in options.free)
    shaped = [n for n, p in world.parameters.items() if p.quantity.name == "stribeck_exponent" and asked]
    fixed = dict.fromkeys(shaped, 1.0) | {n: check_value(n, v) for n, v in options.fixed.items()}
    if is_servo_robot(world) and not options.free and not published:
        joints = element_names(world.model, "joint")
        fixed = {world.of_joint(joint, "kd"): 0.0 for joint in joints} | fixed
    return fixed


def trained_parameters(world: World) -> list[str]:
    """What the world's training range names, of what acts in a replay.

    Of a world that gives no ranges: masses, damping, and the latency and dry friction of what is driven.
    """
    known, model = world.parameters.values(), world.model
    trained = [p.name for p in known if p.low < p.high and p.quantity.acts in (MODEL, LAW)]
    if trained:
        return trained
    driven = dict.fromkeys(joint for joint in drives(world.model)[0] if joint)  # some by several
    usual = [world.of_joint(joint, quantity) for quantity in _OF_DRIVES for joint in driven]
    damping = [f"{model.joint(k).name}.damping" for k in range(model.njnt)]
    return [name for name in (*masses_of(world), *damping, *usual) if world.can_have(name)]


def masses_of(world: World) -> tuple[str, ...]:
    """Names of the world's masses or, if it names none, of those of all bodies that have a joint."""
    named = tuple(name for name, p in world.parameters.items() if p.quantity.name == "mass")
    bodies = [world.model.body(int(k)) for k in np.flatnonzero(world.model.body_jntnum)]
    return named or tuple(f"{body.name}.mass" for body in bodies if body.mass[0] > 0)


def problem_of(
    world: World,
    motions: Sequence[Motion],
    names: Sequence[str],
    options: Options,
    start: Mapping[str, float] | None = None,
    tally: Tally | None = None,
) -> RecordingProblem:
    """The problem of some parameters on motions or windows of them, each joint alone where that can be.

    A fit of it begins at the world's values, unless ``start`` has others, and is counted in a tally.
    """
    free = free_parameters(world, names, options.bounds)
    free = [dataclasses.replace(f, prior=options.priors.get(f.name)) for f in free]
    for f in free:
        if f.log and f.prior is not None and f.prior[0] <= 0:
            raise InvalidValue(
                f"the prior of {f.name}, which is searched on a logarithmic scale, has the mean "
                f"{f.prior[0]:g}; give the value itself, above 0"
            )
    space = ParameterSpace(tuple(free)).with_start(start or {})
    fast = is_servo_robot(world) and can_stand_in(names)
    problem = RecordingProblem.of(world, space, motions, options.threads, fast)
    return problem if tally is None else dataclasses.replace(problem, tally=tally)


def cut(world: World, motions: Sequence[Motion], window: float) -> list[Motion]:
    """Motions as the windows that a fit sees; ``window`` in seconds, 0 for the usual length.

    Raises:
        InvalidValue: for windows too short for a fit to begin in.
    """
    least = max((LEAST_ROWS * m.duration / len(m.time) for m in motions), default=0.0)
    if 0 < window < least:
        raise InvalidValue(
            f"windows of {window:g} s have fewer than the {LEAST_ROWS} rows that a fit needs; give at least "
            f"{1.01 * least:.2g} s"
        )
    seconds = window or (SERVO_WINDOW if stays_put(world) else FREE_WINDOW)
    return [part for motion in motions for part in windows(motion, seconds)]
