"""Intervals of few blocks, and of a fit that stopped short, against a regression whose truth is known."""

import numpy as np
import pytest

from sim2real.identify.problem import Linear
from sim2real.identify.uncertainty import bootstrap


def line(rng, blocks, at=None):
    """A line fitted to blocks, each of which is off by a number of its own; or seen at another slope."""
    column = rng.normal(size=(blocks, 50))
    measured = 0.5 * column + rng.normal(size=(blocks, 1)) * column
    point = np.sum(column * measured) / np.sum(column**2) if at is None else at
    error = point * column - measured
    curvature = (column**2).sum(axis=1)[:, None, None]
    slope = (column * error).sum(axis=1)[:, None]
    ones = np.ones((blocks, 1))
    noise = curvature * (error**2).mean()
    return Linear(
        np.array([point]), curvature, slope, noise, ones, np.arange(blocks), np.arange(blocks), ones, ones
    )


@pytest.mark.parametrize("blocks", [3, 8])
def test_intervals_of_few_blocks_hold_the_truth(blocks):
    rng = np.random.default_rng(blocks)
    held = 0
    for _ in range(100):
        linear = line(rng, blocks)
        low, high = bootstrap(linear, 100).interval(linear.point)
        held += bool(low[0] <= 0.5 <= high[0])
    assert held >= 90


def test_a_fit_that_stopped_short_is_no_surer_than_it_fell_short():
    rng = np.random.default_rng(0)
    end = line(rng, 400).point[0]
    linear = line(np.random.default_rng(0), 400, end - 0.2)
    low, high = bootstrap(linear).interval(linear.point)
    assert low[0] < end < high[0]
