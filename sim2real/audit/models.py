"""Audit anybody's randomization: code that writes to an ``MjModel``.

    def heavier(model, value):
        model.body("arm").mass = value

    audit = audit_randomization(model, {"arm.mass": Randomization(heavier, 0.5, 2.0)})
    audit["arm.mass"].sentence
    audit.refuse()

Each end is written to a copy of the nominal model; all copies and the nominal one then move as one batch
under the same commands. What is found is what changes nothing, what is left out (an inertia, a bias, derived
constants), and why, read off the numbers that were written.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.batch import Batch

from sim2real.audit.distance import Paths
from sim2real.audit.finding import INCONSISTENT, Audit, End, Finding, distinct, ranked, verdict_of
from sim2real.audit.reasons import Pairs, what_is_left_out, why_dead
from sim2real.audit.written import written
from sim2real.errors import InvalidValue
from sim2real.interface import Array
from sim2real.reach import check_reach
from sim2real.simulators.quiet import quiet

_DIVERGED = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)


@dataclass(frozen=True)
class Randomization:
    """A write to a model and the range of what is written."""

    write: Callable[[mujoco.MjModel, float], object]
    """Gets a copy of the nominal model and a value; what it returns is ignored."""
    low: float
    high: float
    unit: str = ""


@dataclass(frozen=True)
class RandomMotion:
    """How a model is moved."""

    seconds: float = 2.0
    starts: int = 2
    hold: float = 0.05
    """Seconds that a command holds."""
    speed: float = 0.5
    """Standard deviation of the velocities at the start, rad/s and m/s."""
    place: Callable[[mujoco.MjModel, mujoco.MjData], None] | None = None
    """Puts a fresh ``MjData`` where the motion starts; by default the first keyframe, else ``qpos0``."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        check_reach(self, "(0, inf)", "seconds", "hold")
        check_reach(self, "[0, inf)", "speed")
        check_reach(self, "whole [1, inf)", "starts")


def audit_randomization(
    model: mujoco.MjModel, randomizations: Mapping[str, Randomization], motion: RandomMotion = RandomMotion()
) -> Audit:
    """Find what each randomization changes.

    Args:
        model: the nominal model; it is not written to.
        randomizations: by name.
        motion: the fixed excitation.

    Raises:
        InvalidValue: for a write that raises, or a model in which nothing can move.
    """
    if not model.nv:
        raise InvalidValue("nothing can move in this model; audit one that has joints")
    ends = [(name, value) for name, r in randomizations.items() for value in dict.fromkeys((r.low, r.high))]
    changed = [_changed(model, name, randomizations[name], value) for name, value in ends]
    writes = [bool(written(model, other)) for other in changed]
    with quiet():
        paths, touched = _move([model, model, *changed], motion)
    noise = paths.furthest(1, 0)
    findings = []
    for name, randomization in randomizations.items():
        rows = [k for k, (owner, _) in enumerate(ends) if owner == name]
        rows = [k for k in rows if writes[k]] or rows  # an end at the nominal value is not one to measure at
        found = [
            End(
                ends[k][1],
                paths.distance(k + 2, 0),
                paths.moved(k + 2, 0, noise),
                {},
                bool(paths.diverged[k + 2]),
            )
            for k in rows
        ]
        models = [changed[k] for k in rows]
        findings.append(_finding(name, randomization, found, (model, models, touched)))
    words = f"{motion.starts} starts, each {motion.seconds:g} s of random commands held for {motion.hold:g} s"
    return Audit("a model", "mujoco", ranked(findings), words, {}, noise)


def _finding(
    name: str,
    randomization: Randomization,
    ends: list[End],
    models: tuple[mujoco.MjModel, list[mujoco.MjModel], Pairs],
) -> Finding:
    nominal, changed, touched = models
    still = [model for model, end in zip(changed, ends, strict=True) if not end.moved]
    dead = distinct(reason for model in still for reason in why_dead(nominal, model, touched))
    left_out = distinct(reason for model in changed for reason in what_is_left_out(nominal, model))
    verdict = verdict_of(ends, dead)
    if left_out and verdict != "dead":
        verdict = INCONSISTENT
    return Finding(name, randomization.unit, np.nan, tuple(ends), verdict, (*dead, *left_out))


def _changed(model: mujoco.MjModel, name: str, randomization: Randomization, value: float) -> mujoco.MjModel:
    changed = copy.deepcopy(model)
    try:
        randomization.write(changed, value)
    except Exception as error:  # a stranger's code may raise anything; the audit says whose it is
        raise InvalidValue(
            f"the write of {name} raised {type(error).__name__} at {value:g}: {error}"
        ) from error
    return changed


def _move(models: Sequence[mujoco.MjModel], motion: RandomMotion) -> tuple[Paths, Pairs]:
    """Paths of all models, and the geoms that touched in the first one's."""
    nominal, count = models[0], len(models)
    batch = Batch(nominal, count * motion.starts, 0)
    batch.set_models([model for model in models for _ in range(motion.starts)])
    states, rng = _starts(nominal, motion), np.random.default_rng(motion.seed)
    batch.state[:] = np.tile(states, (count, 1))
    qpos, qvel, ctrl = batch.bind("qpos"), batch.bind("qvel"), batch.bind("ctrl")
    substeps = max(round(motion.hold / nominal.opt.timestep), 1)
    path, touched = [], set()
    data, spec = mujoco.MjData(nominal), mujoco.mjtState.mjSTATE_INTEGRATION
    for _ in range(max(round(motion.seconds / (substeps * nominal.opt.timestep)), 1)):
        ctrl[:] = np.tile(random_commands(nominal, rng, motion.starts), (count, 1))
        for _ in range(4):  # look several times a command, else a bounce is missed
            batch.step(nstep=max(substeps // 4, 1))
            path.append(np.concatenate((qpos, qvel), axis=1))
            for row in range(motion.starts):
                mujoco.mj_setState(nominal, data, batch.state[row], spec)
                mujoco.mj_forward(nominal, data)
                touched |= {(min(pair), max(pair)) for pair in data.contact.geom.tolist()}
    values = np.array(path).reshape(len(path), count, motion.starts, nominal.nq + nominal.nv)
    diverged = batch.warning[:, _DIVERGED, 1].any(axis=1)
    return Paths.of(values, [nominal.nq, nominal.nv], diverged), {
        (int(one), int(two)) for one, two in touched
    }


def _starts(model: mujoco.MjModel, motion: RandomMotion) -> Array:
    """Full states. Shape (starts, size)."""
    states, rng = [], np.random.default_rng((motion.seed, 1))
    spec = mujoco.mjtState.mjSTATE_INTEGRATION
    for _ in range(motion.starts):
        data = mujoco.MjData(model)
        if motion.place is not None:
            motion.place(model, data)
        elif model.nkey:
            mujoco.mj_resetDataKeyframe(model, data, 0)
        data.qvel[:] += rng.normal(0.0, motion.speed, model.nv)
        state = np.zeros(mujoco.mj_stateSize(model, spec))
        mujoco.mj_getState(model, data, state, spec)
        states.append(state)
    return np.array(states)


def random_commands(model: mujoco.MjModel, rng: np.random.Generator, starts: int) -> Array:
    """Commands within their ranges, or within [-1, 1] where there is none. Shape (starts, nu)."""
    limited = model.actuator_ctrllimited.astype(bool)
    low = np.where(limited, model.actuator_ctrlrange[:, 0], -1.0)
    high = np.where(limited, model.actuator_ctrlrange[:, 1], 1.0)
    commands: Array = rng.uniform(low, high, (starts, model.nu))
    return commands
