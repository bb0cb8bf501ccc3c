"""A replay gap in numbers: means with intervals, per joint and per motion, as JSON.

Intervals are Student's, 95 %, over motions: they say how much the mean depends on which
motions were recorded, not how well each was measured. Fewer than three motions have none.
"""

from __future__ import annotations

import numpy as np

from sim2real.evaluate.metrics import mean
from sim2real.evaluate.replay import SIMULATION, Errors, ReplayGap
from sim2real.evaluate.replay_detail import detail_json, replay_detail
from sim2real.evaluate.statistics import Estimate, spread
from sim2real.evaluate.tracking import FloatArray
from sim2real.replay.baselines import COMMAND, DELAYED

PREDICTORS = (SIMULATION, DELAYED, COMMAND)

_MILLI = 1000.0

Json = dict[str, object]


def overall(gap: ReplayGap, predictor: str, baseline: str | None = None) -> Estimate:
    """Mean over motions of the mean RMSE over joints, mrad, or by how much it exceeds a baseline's.

    Args:
        gap: the measured gap.
        predictor: `SIMULATION`, `COMMAND` or `DELAYED`.
        baseline: another one to subtract, motion by motion.
    """
    values = gap.per_motion(predictor) - (gap.per_motion(baseline) if baseline else 0.0)
    return spread(mean, _MILLI * values[:, None, None]).estimate


def verdict(gap: ReplayGap, nominal: ReplayGap | None = None) -> str:
    """What the numbers say, in two sentences; then what given physics gains, and what logs leave out.

    Args:
        gap: the measured gap.
        nominal: that of the same recordings under nominal physics.
    """
    worse = overall(gap, SIMULATION, DELAYED)
    delay = _MILLI * float(np.median([motion.delay for motion in gap.motions]))
    size = f"{_show(overall(gap, SIMULATION))} mrad"
    by = f"{_show(Estimate(abs(worse.value), _flip(worse), worse.n))} mrad"
    if worse.interval is None:
        rank = f"Here it is {'worse' if worse.value > 0 else 'better'} than"
        end = f", by {by}; so few motions can't say whether it is on others."
    elif worse.interval[0] <= 0 <= worse.interval[1]:
        rank = "These motions can't tell it from"
        end = f": the difference is {_show(worse)} mrad."
    else:
        rank = "It is worse than" if worse.value > 0 else "It is better than"
        end = f", by {by}."
    under = f"under the {_count(len(gap.physics), 'value')} given " if gap.physics else ""
    return (
        f"{gap.world} {under}replays {_count(len(gap.motions), 'recording')} with a mean RMSE of {size} "
        f"per joint. {rank} a prediction that knows no physics, the command {delay:.0f} ms "
        f"later{end}{'' if nominal is None else ' ' + _gain(nominal, gap)}"
        + "".join(f" {note[0].upper()}{note[1:]}." for note in gap.notes)
    )


def _gain(before: ReplayGap, after: ReplayGap) -> str:
    change = 1000 * (before.per_motion(SIMULATION) - after.per_motion(SIMULATION))
    share = 1 - after.mean_rmse(SIMULATION) / max(before.mean_rmse(SIMULATION), 1e-12)
    less = spread(mean, change[:, None, None]).estimate
    told = less.interval is not None and not less.interval[0] <= 0 <= less.interval[1]
    return (
        f"Under nominal physics the mean RMSE is {_show(overall(before, SIMULATION))} mrad, under the given "
        f"{_show(overall(after, SIMULATION))}: {abs(share):.0%} {'less' if share >= 0 else 'more'}"
        f"{'' if told else ', a difference that these motions can not tell from none'}."
    )


def summary(gap: ReplayGap) -> Json:
    """Everything but the trajectories, for JSON; null where the data can't tell."""
    return {
        "world": gap.world,
        "joints": list(gap.joints),
        "physics": dict(gap.physics),
        "verdict": verdict(gap),
        "definitions": DEFINITIONS,
        "mean_rmse_mrad": {name: _json(overall(gap, name)) for name in PREDICTORS},
        "simulation_minus_mrad": {name: _json(overall(gap, SIMULATION, name)) for name in (DELAYED, COMMAND)},
        "per_joint": {
            joint: {name: _row(per_joint(gap, name), j) for name in PREDICTORS}
            for j, joint in enumerate(gap.joints)
        },
        "follows": [
            {"joint": h.joint, "signal": h.signal, "share": round(h.share, 4), "text": h.text}
            for h in gap.hints
        ],
        **detail_json(gap, replay_detail(gap)),
        "per_motion": [_motion(gap, i) for i in range(len(gap.motions))],
    }


def per_joint(gap: ReplayGap, predictor: str) -> dict[str, FloatArray]:
    """Mean (of the lag the median) of each metric over the motions that can tell. Shape (k,)."""
    errors = gap.errors[predictor]
    return {
        "rmse_mrad": _MILLI * errors.rmse.mean(axis=0),
        "moving_rmse_mrad": _MILLI * _over_motions(errors.moving),
        "resting_error_mrad": _MILLI * _over_motions(errors.steady),
        "nrmse": _over_motions(errors.nrmse),
        "lag_ms": _MILLI * _median(errors.lag),
    }


DEFINITIONS = {
    "replay": "open-loop from the first measured pose at rest, never corrected; commands hold until the next "
    "stamp, and a physics step runs under the mean of what was in force during it",
    "rmse_mrad": "root mean square of predicted minus measured angle over a motion; mean over motions",
    "moving_rmse_mrad": "the same over the rows where the joint does not rest",
    "resting_error_mrad": "mean absolute error where, for 0.3 s, the command changed by at most "
    "0.5 mrad and the measured angle by at most 5 mrad",
    "nrmse": "RMSE over the measured range from the 5th to the 95th percentile, "
    "for joints that move 10 mrad or more",
    "lag_ms": "time by which the real joint comes after the prediction, median over motions: peak "
    "within 0.5 s of the correlation of mean-removed, normalized signals, refined by a parabola; "
    "correlation at least 0.5",
    "delayed command": "the command a constant delay earlier; for each motion the delay (a "
    "multiple of 5 ms) with the least mean RMSE on all other motions, or 100 ms if there are none",
    "by_frequency": "spectra in windows of 8 s; amplitude ratio and phase of the measured joint against the "
    "simulated one, where that has power and tells more than half of it; mean over joints, then motions",
    "by_horizon": "RMSE at rows within a fifth of so many seconds after the simulation began anew at the "
    "measured state, in windows of 2 s; velocities that weren't measured are slopes of the angles around",
    "states": "measured against simulated positions and velocities: Wasserstein distance of each alone in "
    "measured standard deviations; energy distance of all; how often a classifier tells them apart on a "
    "motion that it hasn't seen. p: share of the ways to swap measured and simulated motions that differ as "
    "much",
    "interval": "95 % by Student's t over motions",
}
"""What each number means, for the JSON and the page."""


def _over_motions(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    mean: FloatArray = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return mean


def _median(values: FloatArray) -> FloatArray:
    columns = [column[np.isfinite(column)] for column in values.T]
    return np.array([np.median(column) if column.size else np.nan for column in columns])


def _motion(gap: ReplayGap, index: int) -> Json:
    motion = gap.motions[index]
    return {
        "name": motion.name,
        "seconds": round(float(motion.time[-1] - motion.time[0]), 3),
        "rows": len(motion.time),
        "delay_ms": _number(_MILLI * motion.delay),
        "mean_rmse_mrad": {name: _number(_MILLI * gap.per_motion(name)[index]) for name in PREDICTORS},
        "joints": {
            name: [_row(_milli(gap.errors[name], index), j) for j in range(len(gap.joints))]
            for name in PREDICTORS
        },
    }


def _milli(errors: Errors, index: int) -> dict[str, FloatArray]:
    return {
        "rmse_mrad": _MILLI * errors.rmse[index],
        "moving_rmse_mrad": _MILLI * errors.moving[index],
        "resting_error_mrad": _MILLI * errors.steady[index],
        "nrmse": errors.nrmse[index],
        "lag_ms": _MILLI * errors.lag[index],
    }


def _row(metrics: dict[str, FloatArray], joint: int) -> dict[str, float | None]:
    return {metric: _number(values[joint]) for metric, values in metrics.items()}


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _json(estimate: Estimate) -> Json:
    interval = None if estimate.interval is None else [_number(end) for end in estimate.interval]
    return {"value": _number(estimate.value), "interval": interval, "motions": estimate.n}


def _show(estimate: Estimate) -> str:
    if estimate.interval is None:
        return f"{estimate.value:.1f}"
    low, high = estimate.interval
    return f"{estimate.value:.1f} [{low:.1f}, {high:.1f}]"


def _flip(estimate: Estimate) -> tuple[float, float] | None:
    """The interval of the absolute value, for an estimate whose interval does not hold zero."""
    if estimate.interval is None:
        return None
    low, high = sorted(map(abs, estimate.interval))
    return low, high


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
