"""Draws belong to an episode: uniform, independent, and the same whatever happens around it."""

import numpy as np
import pytest
import torch
from array_api_compat import array_namespace
from scipy.stats import chisquare, kstest

from sim2real.draws import (
    LARGEST_SEED,
    NORMALS,
    PHYSICS,
    START,
    Ahead,
    StepDraws,
    checked_seed,
    levels_elsewhere,
    uniforms,
)
from sim2real.errors import InvalidValue

EPISODES = np.arange(20_000, dtype=np.int64)


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31, 2**63 - 1])
@pytest.mark.parametrize("stream", [PHYSICS, START])
def test_columns_are_uniform(seed, stream):
    drawn = uniforms(seed, EPISODES, 4, stream)
    assert drawn.shape == (len(EPISODES), 4)
    assert ((drawn >= 0) & (drawn < 1)).all()
    assert min(kstest(column, "uniform").pvalue for column in drawn.T) > 1e-4


def test_rows_are_uniform():
    few = uniforms(3, np.arange(5, dtype=np.int64), 5_000, PHYSICS)
    assert min(kstest(row, "uniform").pvalue for row in few) > 1e-3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (uniforms(0, EPISODES, 2, PHYSICS)[:, 0], uniforms(0, EPISODES, 2, PHYSICS)[:, 1]),
        (uniforms(0, EPISODES, 1, PHYSICS)[:, 0], uniforms(0, EPISODES, 1, START)[:, 0]),
        (uniforms(0, EPISODES, 1, PHYSICS)[:, 0], uniforms(1, EPISODES, 1, PHYSICS)[:, 0]),
        (uniforms(0, EPISODES, 1, PHYSICS)[:, 0], uniforms(0, EPISODES + 1, 1, PHYSICS)[:, 0]),
        (uniforms(0, EPISODES, 2, PHYSICS)[:, 1], uniforms(0, EPISODES + 1, 2, PHYSICS)[:, 0]),
        (uniforms(0, EPISODES, 1, PHYSICS)[:, 0], uniforms(0, EPISODES + 64, 1, PHYSICS)[:, 0]),
    ],
    ids=["columns", "streams", "seeds", "neighbours", "diagonal", "next round of 64"],
)
def test_pairs_are_independent(first, second):
    counts, _, _ = np.histogram2d(first, second, bins=8, range=[[0, 1], [0, 1]])
    assert chisquare(counts.ravel()).pvalue > 1e-4
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(first))


def test_no_two_numbers_are_alike():
    drawn = np.concatenate(
        [uniforms(seed, EPISODES[:1000], 8, s).ravel() for seed in range(4) for s in (0, 1)]
    )
    assert len(np.unique(drawn)) == len(drawn)


def test_an_episode_draws_the_same_in_any_company():
    all_of_them = uniforms(5, EPISODES[:100], 6, START)
    order = np.random.default_rng(0).permutation(100)
    np.testing.assert_array_equal(uniforms(5, EPISODES[order], 6, START), all_of_them[order])
    np.testing.assert_array_equal(uniforms(5, EPISODES[17:18], 6, START), all_of_them[17:18])
    np.testing.assert_array_equal(uniforms(5, EPISODES[:100], 3, START), all_of_them[:, :3])


def test_draws_of_a_step_are_uniform_normal_and_independent():
    episodes, steps = np.arange(4000, dtype=np.int64), np.full(4000, 7, dtype=np.int64)
    step = StepDraws(episodes, steps)
    u, n = step.uniform(0, 6), step.normal(1, 6)
    assert min(kstest(column, "uniform").pvalue for column in u.T) > 1e-4
    assert min(kstest(column, "norm").pvalue for column in n.T) > 1e-4
    first = step.normal(0, 6)
    steps += 1
    assert abs(np.corrcoef(first.ravel(), step.normal(0, 6).ravel())[0, 1]) < 0.03
    assert np.abs(np.corrcoef(first.T) - np.eye(6)).max() < 0.08
    np.testing.assert_array_equal(step.normal(0, 6)[5:7], step.normal(0, 6, np.array([5, 6])))


def test_draws_of_a_step_are_the_same_in_torch():
    step = StepDraws(EPISODES[:50], np.arange(50, dtype=np.int64))
    step.seed = 2**63 - 1
    for width in (1, 4, 11):
        rows, places = (torch.from_numpy(key.view(np.int64)) for key in step.keys(3, width))
        levels = levels_elsewhere(array_namespace(rows), rows, places)[:, :width]
        np.testing.assert_array_equal(NORMALS[levels.numpy()], step.normal(3, width))


def test_no_episodes_no_draws():
    assert uniforms(0, EPISODES[:0], 3, START).shape == (0, 3)
    assert uniforms(0, EPISODES[:3], 0, START).shape == (3, 0)


def step_draws(seed, episodes, steps):
    draws = StepDraws(np.array(episodes), np.array(steps))
    draws.seed = seed
    return draws


def test_numbers_of_a_step_belong_to_episode_and_step_alone():
    many = step_draws(3, [5, 6, 7], [0, 10, 20])
    alone = step_draws(3, [6], [10])
    assert np.array_equal(many.normal(1, 7)[1:2], alone.normal(1, 7))
    assert np.array_equal(many.normal(1, 7, np.array([1])), alone.normal(1, 7))
    assert np.array_equal(many.normal(1, 7)[:, :3], many.normal(1, 3)), "more numbers change the first ones"


@pytest.mark.parametrize("other", [(4, 6, 10, 1), (3, 7, 10, 1), (3, 6, 11, 1), (3, 6, 10, 2)])
def test_another_seed_episode_step_or_stream_gives_other_numbers(other):
    seed, episode, step, stream = other
    first = step_draws(3, [6], [10]).normal(1, 64)
    second = step_draws(seed, [episode], [step]).normal(stream, 64)
    assert abs(np.corrcoef(first[0], second[0])[0, 1]) < 0.4


def test_normals_and_uniforms_are_what_they_say():
    draws = step_draws(0, np.arange(2000), np.zeros(2000, dtype=int))
    normals, uniforms = draws.normal(0, 50), draws.uniform(0, 50)
    assert kstest(normals.ravel()[::7], "norm").pvalue > 1e-3
    assert kstest(uniforms.ravel()[::7], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(normals[:, 0], normals[:, 1])[0, 1]) < 0.07, "neighbouring numbers go together"
    assert abs(np.corrcoef(normals[:-1, 0], normals[1:, 0])[0, 1]) < 0.07, "neighbouring episodes go together"
    assert uniforms.min() > 0
    assert uniforms.max() < 1


@pytest.mark.parametrize("seed", [0, 7, np.int64(7), np.uint8(3), LARGEST_SEED])
def test_a_whole_number_is_a_seed(seed):
    assert checked_seed(seed, LARGEST_SEED) == seed
    assert type(checked_seed(seed)) is int


@pytest.mark.parametrize("seed", [-1, np.int64(-3), 1.0, np.float32(2), "3", True, np.bool_(True), None, [1]])
def test_nothing_else_is(seed):
    with pytest.raises(InvalidValue, match=r"^seed = .* must be a whole number of at least 0$"):
        checked_seed(seed)
    with pytest.raises(InvalidValue, match=r"at least 0 and at most 4294967295$"):
        checked_seed(seed, LARGEST_SEED)
    with pytest.raises(InvalidValue, match="at most"):
        checked_seed(2**32, LARGEST_SEED)


def test_what_is_made_ahead_is_what_is_made_in_time():
    """Rows begin at random; now and then an episode is not the next one, and all is forgotten."""
    rng, rows = np.random.default_rng(0), 7
    calls, ahead, episodes = [], Ahead(rows), np.arange(rows, dtype=np.int64)

    def make(numbers):
        calls.append(len(numbers))
        return uniforms(5, numbers, 2, PHYSICS), uniforms(5, numbers, 3, START)

    begun = np.arange(rows)
    for step in range(200):
        taken = ahead.take(begun, episodes, make)
        for part, fresh in zip(taken, make(episodes[begun]), strict=True):
            np.testing.assert_array_equal(part, fresh)
        calls.pop()
        if step % 50 == 49:
            ahead.forget()
        if step % 70 == 69:
            episodes = episodes[::-1].copy() + 3
        begun = np.sort(rng.choice(rows, size=rng.integers(1, 4), replace=False))
        episodes[begun] += rows
    assert calls[0] == rows
    assert len(calls) < 150
