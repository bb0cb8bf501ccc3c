"""Findings on logs together: other robots, joints that nothing moves, odd lags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from sim2real.doctor.finding import BAD, WARNING, Finding
from sim2real.doctor.view import View
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray

_STEP = 0.02  # relative difference of two encoders' steps
_ZERO = 0.2  # rad or m by which the standing error may differ between logs of one robot


def joint_names(logs: Sequence[RawLog]) -> Iterator[Finding]:
    """Logs whose joints are other ones than most logs have."""
    kinds = Counter(frozenset(log.joints) for log in logs if log.joints)
    if len(kinds) < 2:
        return
    usual = kinds.most_common(1)[0][0]
    for log in logs:
        joints = frozenset(log.joints)
        if not joints or joints == usual:
            continue
        lacks = f"lacks {', '.join(sorted(usual - joints))}" if usual - joints else ""
        more = f"has {', '.join(sorted(joints - usual))}" if joints - usual else ""
        text = (
            f"{log.name}: it {' and '.join(filter(None, (lacks, more)))}, unlike {kinds[usual]} of the "
            f"{sum(kinds.values())} logs: another robot, or a joint renamed or lost; put it in a folder of "
            "its own or map its joints"
        )
        yield Finding("two robots", BAD, text, (log.name,))


def robot_names(logs: Sequence[RawLog]) -> Iterator[Finding]:
    """Logs that name another robot than most do."""
    named = Counter(log.robot for log in logs if log.robot)
    if len(named) < 2:
        return
    usual = named.most_common(1)[0][0]
    others = [log for log in logs if log.robot and log.robot != usual]
    robots = _listed(sorted({log.robot for log in others}))
    text = (
        f"{_listed([log.name for log in others])}: of robot {robots}, "
        f"where the others are of {usual}; keep each robot's logs in a folder of its own"
    )
    yield Finding("two robots", BAD, text, tuple(log.name for log in others))


def encoders(views: Sequence[View]) -> Iterator[Finding]:
    """Joints whose encoder has another step in some logs; where as many say so as not, all are named."""
    for joint in _joints(views):
        steps = {v.log.name: s for v in views for s in [_of(v, v.step, joint)] if np.isfinite(s)}
        if len(steps) < 2:
            continue
        usual = max(steps.values(), key=lambda step: sum(_multiple(s, step) for s in steps.values()))
        others = [name for name, step in steps.items() if not _multiple(step, usual)]
        if others:
            seen = steps[others[0]]
            text = (
                f"{_listed(others)}: {joint} has steps of {seen:.4g} where the others have "
                f"{usual:.4g}: another robot, or another unit"
            )
            named = tuple(others) if 2 * len(others) < len(steps) else tuple(steps)
            yield Finding("two robots", BAD, text, named, joint, value=seen)


def zeros(views: Sequence[View]) -> Iterator[Finding]:
    """Joints that stand far from where they stand in the other logs under the same goal."""
    for joint in _joints(views):
        following = [v for v in views if joint in v.log.joints and _of(v, v.follows, joint)]
        apart = [v.position - v.command for v in following]
        pairs = list(zip(following, apart, strict=True))
        error = {v.log.name: _of(v, np.median(e, axis=0), joint) for v, e in pairs}
        # where a joint is late all the time, its median error says little of its zero
        within = {v.log.name: _of(v, _scatter(e), joint) for v, e in pairs}
        if len(error) < 3:
            continue
        values = np.array(list(error.values()))
        middle = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - middle)))
        far = [
            name
            for name, value in error.items()
            if abs(value - middle) > max(_ZERO, 8 * spread, 2 * within[name])
        ]
        if far:
            text = (
                f"{_listed(far)}: {joint} stands {error[far[0]] - middle:+.3g} away from where the other "
                "logs have it under the same command: another zero, or another robot"
            )
            yield Finding("two robots", BAD, text, tuple(far), joint, value=error[far[0]] - middle)


def unexcited(views: Sequence[View]) -> Iterator[Finding]:
    """Joints that no recording moves."""
    for joint in _joints(views):
        moved = [v.log.name for v in views if joint in v.log.joints and _of(v, v.moves, joint)]
        if not moved:
            text = f"{joint} moves in no recording: nothing can be fitted to it; record a motion that does"
            yield Finding("unexcited joint", WARNING, text, tuple(v.log.name for v in views), joint)


def lag_outliers(views: Sequence[View], lags: Sequence[FloatArray]) -> Iterator[Finding]:
    """Logs whose joints all come later, or earlier, than in the others, or before their command."""
    table = {j: [_of(v, lag, j) for v, lag in zip(views, lags, strict=True)] for j in _joints(views)}
    usual = {j: float(np.nanmedian(row)) for j, row in table.items() if np.isfinite(row).sum() >= 3}
    for i, (view, lag) in enumerate(zip(views, lags, strict=True)):
        name = view.log.name
        apart = np.array([table[j][i] - usual[j] for j in usual if np.isfinite(table[j][i])])
        known = lag[np.isfinite(lag)]
        if known.size and float(np.median(known)) < -view.period:
            text = (
                f"{name}: positions come {-1000 * float(np.median(known)):.0f} ms before the commands that "
                "cause them: the two clocks are skewed, or the streams are paired wrongly"
            )
            yield Finding("clock skew", BAD, text, (name,), value=float(np.median(known)))
        elif len(apart) >= 2:
            least = float(np.abs(apart).min())
            if (np.all(apart > 0) or np.all(apart < 0)) and least > max(0.06, 3 * view.period):
                text = (
                    f"{name}: every joint comes at least {1000 * least:.0f} ms "
                    f"{'later' if apart[0] > 0 else 'earlier'} after its command than in the other logs: "
                    "skewed clocks?"
                )
                yield Finding("clock skew", WARNING, text, (name,), value=least)


def _joints(views: Sequence[View]) -> list[str]:
    return list(dict.fromkeys(joint for view in views for joint in view.log.joints))


def _of(view: View, values: np.ndarray[tuple[int], np.dtype[np.generic]], joint: str) -> float:
    if joint not in view.log.joints:
        return np.nan
    return float(values[view.log.joints.index(joint)])


def _scatter(values: FloatArray) -> FloatArray:
    """Robust standard deviation of columns. Shape (k,)."""
    return np.asarray(1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0))


def _multiple(step: float, usual: float) -> bool:
    """Whether a step is the usual one, or a few of it, as a log with few values may show."""
    ratio = step / usual
    return 0.5 < ratio < 20 and abs(ratio - round(ratio)) < _STEP * max(1, round(ratio))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
