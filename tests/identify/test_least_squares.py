"""Least squares joint by joint, on a problem whose answer is planted."""

from functools import cached_property

import numpy as np
import pytest

from sim2real.identify.least_squares import least_squares
from sim2real.identify.problem import Problem, rmse_of
from sim2real.identify.space import FreeParameter, ParameterSpace
from sim2real.world import World

TRUTH = np.array([0.3, 0.8, 0.55, 0.2, 0.65])


class Bent(Problem):
    """Two signals, each a bent function of two columns of its own and perhaps of one that they share."""

    def __init__(self, shared):
        names = ("0.kp", "0.damping", "1.kp", "1.damping", "both.mass")[: 4 + shared]
        free = [FreeParameter(name, 0.0, 1.0, 0.5, False, (name[0],)) for name in names]
        super().__init__(World.load("cartpole"), ParameterSpace(tuple(free)), np.ones(2), decoupled=True)
        self._rows = np.random.default_rng(0).normal(size=(2, 200, 3)) * [[[1.0]], [[30.0]]]
        self.linearized = []

    @cached_property
    def owners(self):
        return [0, 0, 1, 1, None][: len(self.space.free)]

    @property
    def measured(self):
        return [self._at(TRUTH[None, : len(self.space.free)])[0]]

    def _at(self, points):
        seen = [points[:, [2 * k, 2 * k + 1, *range(4, points.shape[1])]] for k in range(2)]
        lines = [x @ rows[:, : x.shape[1]].T for x, rows in zip(seen, self._rows, strict=True)]
        return np.stack([np.sinh(line / scale) for line, scale in zip(lines, (1, 30), strict=True)], axis=2)

    def predict(self, points):
        return [self._at(points)]

    def jacobians(self, point, central=False, still=()):
        self.linearized.append(set(still))
        return super().jacobians(point, central, still)

    def sizes(self, errors):
        return rmse_of(errors).mean(axis=(-2, -1))

    def row_weights(self, errors):
        rmse = np.maximum(rmse_of(errors)[0], 1e-6)
        return [np.broadcast_to(x, errors[0].shape) for x in (1 / rmse / 200,)], [errors[0] * 0 + rmse]

    def edges(self, part, rows):
        return np.array([0, rows // 2, rows])


@pytest.mark.parametrize("shared", [0, 1])
def test_every_joint_finds_what_was_planted(shared):
    problem = Bent(shared)
    fit = least_squares(problem, np.full(4 + shared, 0.5), 20)
    assert np.allclose(fit.point, TRUTH[: 4 + shared], atol=1e-3)
    assert fit.cost == pytest.approx(float(problem.cost(fit.point[None])[0]), rel=1e-9)


def test_a_joint_that_gains_no_more_is_left_alone():
    problem = Bent(0)
    least_squares(problem, np.array([*TRUTH[:2], 0.1, 0.9]), 8)
    assert problem.linearized[0] == set()
    assert {0, 1} in problem.linearized


def test_frozen_columns_stay():
    fit = least_squares(Bent(1), np.full(5, 0.5), 8, frozen=[1, 4])
    assert fit.point[[1, 4]].tolist() == [0.5, 0.5]
