import numpy as np
import pytest
import scipy.stats

from sim2real.errors import InvalidValue
from sim2real.evaluate.marginals import marginals


def walks(rng, count, rows=60, shift=0.0, features=2):
    """Groups of rows that follow each other, each group somewhere else."""
    made = []
    for _ in range(count):
        steps = rng.normal(0, 0.3, (rows, features))
        made.append(rng.normal(0, 1, features) + shift + scipy.stats.zscore(np.cumsum(steps, axis=0)) * 0.5)
    return made


def test_distances_are_those_of_the_definitions():
    rng = np.random.default_rng(0)
    first, second = walks(rng, 3, 20), walks(rng, 4, 20, 0.5)
    found = marginals(first, second)
    a, b = np.concatenate(first), np.concatenate(second)
    for feature in range(2):
        order = [np.sort(side[:, feature]) for side in (a, b)]
        levels = (np.arange(2400) + 0.5) / 2400
        quantiles = [side[(levels * len(side)).astype(int)] for side in order]
        apart = np.abs(quantiles[0] - quantiles[1]).mean() / b[:, feature].std()
        assert found.wasserstein[feature] == pytest.approx(apart, abs=1e-9)
    a, b = (a - b.mean(axis=0)) / b.std(axis=0), (b - b.mean(axis=0)) / b.std(axis=0)
    mean = lambda x, y: np.mean([np.linalg.norm(p - q) for p in x for q in y])  # noqa: E731
    assert found.energy == pytest.approx(2 * mean(a, b) - mean(a, a) - mean(b, b))


def test_the_energy_distance_of_two_normals():
    """Of N(0, 1) and N(d, 1): 2 E|d + sqrt(2) Z| - 4 / sqrt(pi)."""
    rng = np.random.default_rng(1)
    first, second = ([rng.normal(shift, 1, (500, 1)) for _ in range(4)] for shift in (0.8, 0.0))
    found = marginals(first, second)
    folded = np.sqrt(2) * np.sqrt(2 / np.pi) * np.exp(-(0.8**2) / 4) + 0.8 * (
        1 - 2 * scipy.stats.norm.cdf(-0.8 / np.sqrt(2))
    )
    assert found.energy == pytest.approx(2 * folded - 4 / np.sqrt(np.pi), abs=0.06)
    assert found.wasserstein[0] == pytest.approx(0.8, abs=0.1)
    # the best classifier of the two cuts in the middle
    assert found.accuracy == pytest.approx(scipy.stats.norm.cdf(0.4), abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
def test_a_planted_shift_is_found_and_equal_ones_are_not(paired):
    rng = np.random.default_rng(2)
    base = walks(rng, 8)
    moved = [group + 0.8 for group in base] if paired else walks(rng, 8, shift=2.5)
    found = marginals(base, moved, paired)
    assert found.energy_p < 0.02
    assert found.accuracy > 0.6
    assert found.accuracy_p < 0.05
    alarms = []
    for _ in range(20):
        base = walks(rng, 5)
        other = [g + rng.normal(0, 0.2, 2) for g in base] if paired else walks(rng, 5)
        alarms.append(marginals(base, other, paired).energy_p < 0.05)
    assert np.mean(alarms) <= 0.05 + 3 * (0.05 * 0.95 / 20) ** 0.5


def test_rows_are_not_taken_for_independent():
    """Two groups of each: 5,000 rows apart, and yet nothing can be said."""
    rng = np.random.default_rng(3)
    first, second = ([rng.normal(rng.normal(), 0.1, (2500, 1)) for _ in range(2)] for _ in range(2))
    assert marginals(first, second).energy_p > 0.1


@pytest.mark.parametrize(
    ("first", "second", "paired", "said"),
    [
        ([np.zeros((3, 1))], [np.zeros((3, 1))] * 2, False, "at least two of each"),
        ([np.zeros((3, 1))] * 2, [np.zeros((3, 1))] * 3, True, "of pairs as many"),
        ([np.zeros((3, 1))] * 2, [np.zeros((3, 2))] * 2, False, "same features"),
        ([np.zeros((0, 1))] * 2, [np.zeros((3, 1))] * 2, False, "no row"),
        ([np.full((3, 1), np.nan)] * 2, [np.zeros((3, 1))] * 2, False, "not finite"),
    ],
)
def test_what_cant_be_compared_is_refused(first, second, paired, said):
    with pytest.raises(InvalidValue, match=said):
        marginals(first, second, paired)


def test_constant_features_are_at_no_distance():
    groups = [np.ones((5, 2))] * 3
    found = marginals(groups, groups, paired=True)
    assert found.wasserstein.tolist() == [0, 0]
    assert (found.energy, found.energy_p, found.accuracy_p) == (0, 1, 1)
