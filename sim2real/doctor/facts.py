"""What is worth knowing of a folder of logs that are in order: rate, steps, lags, units."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.doctor.finding import FACT, WARNING, Finding
from sim2real.doctor.following import CLOSE
from sim2real.doctor.units import step_name
from sim2real.doctor.view import View, quantization
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray

_UNLIKE = 0.15
_CLOCK, _COMMON = 0.04, 0.03  # relative; what no filter does to all joints alike
_ROWS, _FAR = 50, 0.1  # rows; rad or m
_STEPS = 100  # of an encoder, below which the slope of a position says little


@dataclass(frozen=True, eq=False)
class Measured:
    """Estimates on one log; NaN where it can't tell. Shape (k,)."""

    view: View
    lag: FloatArray
    """Seconds by which the position comes after its command."""
    ratio: FloatArray
    """Reported velocity over differentiated position."""
    late: FloatArray
    """Seconds by which the reported velocity comes after the differentiated position."""


def facts(measured: Sequence[Measured]) -> Iterator[Finding]:
    """One sentence per thing that all logs share."""
    views = [m.view for m in measured]
    names = tuple(view.log.name for view in views)
    if not views:
        return
    periods = np.concatenate([np.diff(view.time) for view in views])
    middle = float(np.median(periods))
    near = periods[periods < 1.5 * middle]
    mean, spread = float(near.mean()), float(near.std())
    text = f"a row every {1000 * mean:.3f} ms, ± {1000 * spread:.3f} ms (standard deviation)"
    yield Finding("rate", FACT, text, names, value=mean)
    yield from _per_joint(measured, names)
    yield from _velocity(measured, names)
    yield from _still(views, names)


def as_read(logs: Sequence[RawLog]) -> Iterator[Finding]:
    """What was left out, merged or taken for something else on reading, each once."""
    for note in dict.fromkeys(note for log in logs for note in log.notes):
        names = tuple(log.name for log in logs if note in log.notes)
        yield Finding("as read", FACT, note, names)


def _per_joint(measured: Sequence[Measured], names: tuple[str, ...]) -> Iterator[Finding]:
    joints = list(dict.fromkeys(joint for m in measured for joint in m.view.log.joints))
    steps = {joint: _median(measured, "step", joint) for joint in joints}
    known = {joint: step for joint, step in steps.items() if np.isfinite(step)}
    for step in sorted({float(f"{step:.3g}") for step in known.values()}):
        group = [joint for joint, value in known.items() if abs(value / step - 1) < 0.01]
        name = step_name(known[group[0]])
        text = f"positions of {', '.join(group)} come in steps of {known[group[0]]:.4g}" + (
            name and f" ({name})"
        )
        joint = group[0] if len(group) == 1 else ""
        yield Finding("quantization", FACT, text, names, joint, value=known[group[0]])
    lags = {joint: _median(measured, "lag", joint) for joint in joints}
    told = [f"{joint} {1000 * lag:.0f}" for joint, lag in lags.items() if np.isfinite(lag)]
    if told:
        text = f"positions come after their commands by, in ms, median over recordings: {', '.join(told)}"
        yield Finding("lag", FACT, text, names, value=float(np.nanmedian(list(lags.values()))))


def _velocity(measured: Sequence[Measured], names: tuple[str, ...]) -> Iterator[Finding]:
    joints = list(dict.fromkeys(joint for m in measured for joint in m.view.log.joints))
    for joint in joints:
        ratio = _median(measured, "ratio", joint)
        # near 180/π it is the unit of angles, which has a finding of its own
        angle = ratio > 0 and abs(abs(np.log(ratio)) - np.log(180 / np.pi)) < CLOSE
        if ratio < 0:
            text = (
                f"the velocity of {joint} goes against its position ({ratio:.2f} times its derivative); turn "
                "its sign (a velocity_scale in [recordings.joints] of the world's physics.toml)"
            )
            yield Finding("sign", WARNING, text, names, joint, value=ratio)
        elif np.isfinite(ratio) and abs(ratio - 1) > _UNLIKE and not angle:
            text = (
                f"the velocity of {joint} is {ratio:.3g} times the derivative of its position: they are in "
                f"different units (is the position a fraction of {ratio:.3g} rad?); give the joint a scale, "
                "and a velocity_scale where that differs"
            )
            yield Finding("scale", WARNING, text, names, joint, value=ratio)
    late = np.concatenate([m.late for m in measured])
    late = late[np.isfinite(late)]
    reported = [m.view.velocity for m in measured if m.view.velocity is not None]
    if late.size and float(np.median(late)) > 1e-6:
        step = quantization(np.concatenate([velocity[:, 0] for velocity in reported]))
        steps = f", in steps of {step:.4g}" if np.isfinite(step) else ""
        behind = 1000 * float(np.median(late))
        text = f"velocities come {behind:.0f} ms after the differentiated positions{steps}"
        yield Finding("velocity", FACT, text, names, value=float(np.median(late)))


def speeds(measured: Sequence[Measured], spared: Collection[str] = ()) -> Iterator[Finding]:
    """Logs whose reported velocities are not those of their positions, or all by one and the same factor.

    Args:
        measured: all logs.
        spared: names of logs of which something is said that explains a factor.
    """
    for m in measured:
        view, name, velocity = m.view, m.view.log.name, m.view.velocity
        if velocity is None or len(view.time) < _ROWS:
            continue
        span = np.diff(np.percentile(view.position, [1, 99], axis=0), axis=0)[0]
        lost = np.flatnonzero(view.moves & ~np.isfinite(m.ratio) & (span > _FAR))
        for j in lost:
            joint = view.log.joints[j]
            how = "is 0 throughout" if not velocity[:, j].any() else "is not that of its position"
            text = (
                f"{name}: the velocity of {joint} {how} (correlation below 0.5): not measured, or another "
                "joint's? Leave it out, or name the column after its joint"
            )
            yield Finding("velocity", WARNING, text, (name,), joint)
        usual = np.array([_usual(measured, joint) for joint in view.log.joints])
        off = np.where(span > _STEPS * np.nan_to_num(view.step), m.ratio / usual, np.nan)
        known = off[np.isfinite(off) & (off > 0)]
        middle = float(np.median(known)) if known.size else 1.0
        if abs(middle - 1) < _CLOCK or name in spared:
            continue
        if len(known) > 1 and float(np.abs(known / middle - 1).max()) < _COMMON:
            how = f"its stamps run so much too {'slow' if middle < 1 else 'fast'}, as it seems"
        elif abs(middle - 1) > _UNLIKE:
            how = "another unit or period, or a slow filter"
        else:
            continue
        text = (
            f"{name}: the velocity of every joint is {middle:.3f} times what the derivative of its position "
            f"{'is' if (usual == 1).all() else 'is in the other logs'}: {how}; look at how both were made"
        )
        yield Finding("velocity", WARNING, text, (name,), value=middle)


def _usual(measured: Sequence[Measured], joint: str) -> float:
    """The ratio of a velocity that is told of all logs (`_velocity`), where it is not 1."""
    ratio = _median(measured, "ratio", joint)
    return ratio if np.isfinite(ratio) and abs(ratio - 1) > _UNLIKE else 1.0


def _still(views: Sequence[View], names: tuple[str, ...]) -> Iterator[Finding]:
    some = [view.log.name for view in views if view.moves.any() and not view.moves.all()]
    if some:
        text = f"{len(some)} of {len(views)} recordings leave some joint still"
        yield Finding("still joints", FACT, text, tuple(some))


def _median(measured: Sequence[Measured], what: str, joint: str) -> float:
    """Median over the logs that can tell."""
    values = []
    for m in measured:
        if joint in m.view.log.joints:
            column = m.view.log.joints.index(joint)
            values.append(float((m.view.step if what == "step" else getattr(m, what))[column]))
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else np.nan
