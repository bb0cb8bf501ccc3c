"""How long until something happens, where some have been watched for less: Kaplan & Meier 1958.

A run that never reached a score within its budget did not fail to: it was watched for too short. Dropping
it, or counting its budget as its time, makes the slower method look faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue
from sim2real.evaluate.statistics import MINIMUM_RUNS, Array, Estimate, Spread


@dataclass(frozen=True)
class Survival:
    """Share of the runs that have not got there yet."""

    times: Array
    """When runs got there, rising. Shape (events,)."""
    share: Array
    """Share left just after each. Shape (events,)."""
    median: float
    """When half of them have; infinite if so many never do."""
    restricted_mean: Estimate
    """Mean time within the horizon: a run that takes longer counts as the horizon."""
    variance: float
    """Of the restricted mean."""
    reached: int
    """How many got there."""


def kaplan_meier(times: Array, observed: NDArray[np.bool_], horizon: float) -> Survival:
    """The share of runs that have not got there, from times that are cut off.

    The restricted mean is the area below the curve up to the horizon; its variance is Greenwood's, made up
    for few runs by m / (m - 1) with m events (Klein & Moeschberger 2003, 4.5.2), its interval Student's.

    Args:
        times: when each run got there, or else when watching it ended. Shape (runs,).
        observed: whether it got there. Shape (runs,).
        horizon: what the mean is restricted to.

    Raises:
        InvalidValue: if there is no run, a time is negative or not finite, or nothing is known of the share
            at the horizon, since the last run that was watched ended before it without getting there.
    """
    times, observed = np.asarray(times, dtype=float), np.asarray(observed, dtype=bool)
    if not len(times) or len(times) != len(observed):
        raise InvalidValue(
            f"{len(times)} times and {len(observed)} ends were given; each run has one of both"
        )
    if not (np.isfinite(times).all() and (times >= 0).all()):
        raise InvalidValue("a time is negative or not finite; an end that was never seen is one not observed")
    if not observed[times == times.max()].any() and times.max() < horizon:
        raise InvalidValue(
            f"no run was watched until {horizon:g}; restrict the mean to {times.max():g}, where the last one "
            "ended"
        )
    within = observed & (times <= horizon)
    events = np.unique(times[within])
    at_risk = np.array([(times >= t).sum() for t in events], dtype=float)
    happened = np.array([(within & (times == t)).sum() for t in events], dtype=float)
    share = np.cumprod(1 - happened / at_risk)
    widths = np.diff([0.0, *events, max(horizon, 0.0)])
    area = float(widths @ np.array([1.0, *share]))
    after = np.array([float(widths[k + 1 :] @ share[k:]) for k in range(len(events))])
    left = at_risk - happened
    terms = np.divide(after**2 * happened, at_risk * left, out=np.zeros_like(after), where=left > 0)
    m = int(happened.sum())
    variance = float(terms.sum()) * (m / (m - 1) if m > 1 else 1.0)
    half = events[share <= 0.5 + 1e-12]
    found = Spread(area, ((variance, len(times)),), 0.0)
    interval = found.interval if m >= MINIMUM_RUNS else None
    if interval is not None:
        interval = max(interval[0], 0.0), min(interval[1], horizon)
    median = float(half[0]) if len(half) else math.inf
    mean = Estimate(area, interval, len(times))
    return Survival(events, share, median, mean, variance, int(within.sum()))


def saved(transfer: Survival, scratch: Survival) -> Estimate:
    """By how much transfer is sooner: difference of the restricted means, scratch less transfer."""
    arms = [(arm.variance, arm.restricted_mean.n) for arm in (transfer, scratch)]
    value = scratch.restricted_mean.value - transfer.restricted_mean.value
    known = transfer.restricted_mean.interval is not None and scratch.restricted_mean.interval is not None
    found = Spread(value, tuple(arms), 0.0)
    return found.estimate if known else Estimate(value, None, found.n)
