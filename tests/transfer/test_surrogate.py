"""The Gaussian process of a search: beside scikit-learn's, and on a hill that is hidden in noise."""

import numpy as np
import pytest

from sim2real.transfer.surrogate import Process


def hill(at):
    return 3 * np.exp(-0.5 * ((at - 0.7) ** 2).sum(axis=-1))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def seen(rng):
    points = rng.uniform(-1.5, 1.5, (40, 3))
    return points, hill(points) + 0.5 * rng.standard_normal(40)


def test_mean_and_covariance_are_those_of_scikit_learn(seen, rng):
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    points, values = seen
    process = Process.fit(points, values)
    kernels = gaussian_process.kernels
    kernel = kernels.ConstantKernel(1 - process.noise) * kernels.RBF(process.length)
    theirs = gaussian_process.GaussianProcessRegressor(kernel, alpha=process.noise, optimizer=None)
    theirs.fit(points, (values - values.mean()) / values.std())
    at = rng.uniform(-2, 2, (25, 3))
    mean, covariance = theirs.predict(at, return_cov=True)
    np.testing.assert_allclose(process.mean(at), mean, atol=1e-8)
    np.testing.assert_allclose(process.covariance(at), covariance, atol=1e-8)
    likelihoods = [
        gaussian_process.GaussianProcessRegressor(
            kernels.ConstantKernel(1 - noise) * kernels.RBF(length), alpha=noise, optimizer=None
        )
        .fit(points, (values - values.mean()) / values.std())
        .log_marginal_likelihood_value_
        for length in (1.0, 1.6, 2.5, 4.0, 6.0)
        for noise in (0.05, 0.1, 0.2, 0.35, 0.5, 0.7)
    ]
    assert theirs.log_marginal_likelihood_value_ == pytest.approx(max(likelihoods))


def test_best_is_near_the_top_of_the_hill_and_no_lucky_sample(seen, rng):
    points, values = seen
    values[np.argmax(np.abs(points).sum(axis=1))] = values.max() + 0.5  # far out, and lucky
    best = Process.fit(points, values).best(rng, 1.5)
    assert hill(best) > 2.2
    assert hill(points[values.argmax()]) < 1.0


def test_what_is_looked_at_next_stays_within_the_bound_and_comes_nearer(seen, rng):
    process = Process.fit(*seen)
    asked = process.draws(rng, 50, 1.5)
    assert asked.shape == (50, 3)
    assert np.abs(asked).max() <= 1.5
    assert hill(asked).mean() > hill(seen[0]).mean() + 0.5
    assert len(np.unique(asked, axis=0)) > 10


def test_values_that_are_all_alike_tell_nothing_and_break_nothing(rng):
    process = Process.fit(rng.uniform(-1, 1, (4, 2)), np.full(4, 3.0))
    assert (process.mean(rng.uniform(-1, 1, (5, 2))) == 0).all()
    assert np.abs(process.draws(rng, 4, 1.0)).max() <= 1.0
    assert process.best(rng, 1.0).shape == (2,)
