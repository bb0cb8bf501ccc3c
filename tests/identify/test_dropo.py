"""DROPO: its likelihood against one written out by hand, planted masses, and widths that don't collapse."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t

from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor
from sim2real.errors import InvalidValue
from sim2real.gather import gather
from sim2real.identify.dropo import DropoSettings, Likelihood, dropo
from sim2real.identify.problem import RolloutProblem
from sim2real.identify.search import SearchSettings
from sim2real.identify.space import ParameterSpace
from sim2real.world import World

BOUNDS = Domain({"pole.mass": Uniform(0.01, 0.06), "motor.strength": Uniform(0.5, 1.5)})
TRUTH = {"pole.mass": 0.03, "motor.strength": 0.8}


@pytest.fixture(scope="module")
def furuta():
    return World.load("furuta")


@pytest.fixture(scope="module")
def rollouts(furuta):
    env = Sim2RealVectorEnv(furuta, 3, Domain.point(TRUTH), autoreset=False)
    return gather(env, RandomActor(1, seed=0), 40, seed=0)


@pytest.mark.parametrize("tails", [math.inf, 4.0])
def test_the_likelihood_is_the_one_written_out(furuta, rollouts, tails):
    space = ParameterSpace.of(furuta, BOUNDS)
    problem = RolloutProblem(furuta, space, rollouts, 2)
    epsilon = np.full(6, 1e-4)
    likelihood = Likelihood(problem, DropoSettings(samples=10, horizon=2, tails=tails), epsilon)
    mean, std = np.array([[0.4, 0.3], [0.6, 0.3]]), np.array([[0.05, 0.02], [0.05, 0.02]])
    got = likelihood(mean, std)
    draws = space.values(mean[0] + std[0] * likelihood._normals)
    predicted = problem.replay.predict(space.names, draws)[:, likelihood.ends]
    total = 0.0
    for k, end in enumerate(likelihood.ends):
        cloud = predicted[:, k]
        covariance = np.cov(cloud, rowvar=False) + np.diag(epsilon)
        if math.isinf(tails):
            law = multivariate_normal(cloud.mean(axis=0), covariance)
        else:
            law = multivariate_t(cloud.mean(axis=0), covariance, df=tails)
        total += law.logpdf(problem.replay.observed[end])
    assert got[0] == pytest.approx(total / len(likelihood.ends), rel=1e-6)
    assert got[0] > got[1], "the candidate nearer to the truth is likelier"


@pytest.mark.slow
def test_planted_values_are_found_and_no_width_is_below_what_residuals_imply(furuta, rollouts):
    search = SearchSettings(generations=30, population=8)
    result = dropo(furuta, rollouts, BOUNDS, DropoSettings(samples=6, search=search))
    for k, (name, value) in enumerate(TRUTH.items()):
        normal = result.domain.parameters[name]
        assert normal.mean == pytest.approx(value, rel=0.03)
        assert normal.std >= max(result.found_std[k], result.implied_std[k]) * (1 - 1e-9)
    assert result.transitions == 120


@pytest.mark.slow
def test_a_mixture_of_physics_is_covered_and_entropy_widens(furuta):
    """Episodes of robots that differ, as DROPO means it, and E-DROPO's bonus."""
    env = Sim2RealVectorEnv(furuta, 8, Domain({"pole.mass": Uniform(0.02, 0.04)}), autoreset=False)
    mixed = gather(env, RandomActor(1, seed=1), 25, seed=1)
    bounds = Domain({"pole.mass": Uniform(0.01, 0.06)})
    search = SearchSettings(generations=15, population=8)
    covers = dropo(furuta, mixed, bounds, DropoSettings(search=search, epsilon=1e-6, tails=math.inf))
    normal = covers.domain.parameters["pole.mass"]
    assert 0.024 < normal.mean < 0.036
    assert 0.002 < normal.std < 0.012, "a uniform of this width has 0.0058"
    rewarded = DropoSettings(search=search, epsilon=1e-6, tails=math.inf, entropy=2.0)
    assert dropo(furuta, mixed, bounds, rewarded).found_std[0] > covers.found_std[0]


def test_what_has_no_normal_is_refused(furuta, rollouts):
    late = Domain({"motor.latency": Uniform(0, 8)})
    with pytest.raises(InvalidValue, match="counts whole numbers"):
        dropo(furuta, rollouts, late)
    with pytest.raises(InvalidValue, match="samples = 1 is out of reach; give a whole number of at least 2"):
        DropoSettings(samples=1)
    with pytest.raises(InvalidValue, match="epsilon = -1"):
        DropoSettings(epsilon=-1.0)
