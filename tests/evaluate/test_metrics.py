import numpy as np
import pytest
import scipy.stats

from sim2real.errors import InvalidValue
from sim2real.evaluate.metrics import cvar, iqm, mean, probability_of_improvement


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 30, 101])
def test_iqm_is_scipys_trimmed_mean(count):
    scores = np.random.default_rng(count).normal(size=(6, count))
    assert iqm(scores) == pytest.approx(scipy.stats.trim_mean(scores, 0.25, axis=1))


def test_iqm_leaves_missing_values_out():
    scores = np.array([[1.0, np.nan, 2.0, 3.0, 4.0, np.nan], [1, 2, 3, 4, 5, 100]])
    assert iqm(scores) == pytest.approx([2.5, 3.5])


def test_iqm_ignores_a_quarter_of_outliers():
    assert iqm(np.array([-1e9, 1, 2, 3, 4, 5, 6, 1e9])) == pytest.approx(3.5)


@pytest.mark.parametrize("scores", [np.full(3, np.nan), np.zeros(0)])
def test_iqm_of_nothing_is_refused(scores):
    with pytest.raises(InvalidValue, match="at least one"):
        iqm(scores)


def test_mean_is_over_variants_first():
    scores = np.array([[[1.0, 10.0], [3.0, np.nan]]])
    assert mean(scores) == pytest.approx([(2 + 10) / 2])
    assert mean(scores, np.ones((1, 5, 2))) == pytest.approx([5.0])


def test_cvar_is_rockafellar_and_uryasevs():
    losses = np.random.default_rng(0).normal(50, 20, (1, 9))
    c = np.linspace(-50, 150, 40_001)
    for fraction in (0.05, 0.25, 0.5, 1.0):
        shortfall = np.maximum(c[:, None] - losses, 0).mean(axis=1)
        expected = (c - shortfall / fraction).max()
        assert cvar(losses, fraction)[0] == pytest.approx(expected, abs=0.02)
    assert cvar(np.array([[3.0, np.nan, 1.0]]), 0.5)[0] == 1.0
    assert cvar(np.array([[3.0, np.nan, 1.0]]), 1.0)[0] == 2.0


def test_probability_of_improvement_is_mann_whitney_over_variants():
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 6, (1, 7, 3)).astype(float), rng.integers(0, 6, (1, 5, 3)).astype(float)
    u = [scipy.stats.mannwhitneyu(x[0, :, v], y[0, :, v]).statistic for v in range(3)]
    assert probability_of_improvement(x, y) == pytest.approx([np.mean(u) / 35])


def test_probability_of_improvement_at_its_ends():
    x = np.random.default_rng(6).normal(size=(1, 4, 3))
    assert probability_of_improvement(x, x) == 0.5
    assert probability_of_improvement(x + 99, x) == 1.0
    assert probability_of_improvement(np.ones((1, 3, 2)), np.ones((1, 3, 2))) == 0.5


def test_probability_of_improvement_uses_common_variants_only():
    x = np.array([[[9.0, np.nan]] * 3])
    assert probability_of_improvement(x, np.array([[[1.0, 99.0]] * 3])) == 1.0
    assert np.isnan(probability_of_improvement(x, np.array([[[np.nan, 1.0]] * 3])))
