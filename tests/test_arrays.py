"""The same arrays on the host and in a simulator's namespace."""

import numpy as np
import pytest
import torch

from sim2real.arrays import Arrays

LIKES = {"numpy": np.zeros((2, 3)), "torch": torch.zeros((2, 3), dtype=torch.float32)}


@pytest.mark.parametrize("name", LIKES)
def test_there_and_back(name):
    arrays = Arrays(LIKES[name])
    numbers = np.array([[0.5, -2.0], [3.0, 0.25]])
    there = arrays.put(numbers)
    assert type(there) is type(LIKES[name])
    assert there.dtype == LIKES[name].dtype
    assert np.array_equal(arrays.host(there), numbers)
    mask = np.array([True, False])
    assert np.array_equal(arrays.host(arrays.put(mask)), mask)
    assert arrays.host(arrays.put(np.array([1, 2]))).dtype == np.int64


@pytest.mark.parametrize("name", LIKES)
def test_copies_alias_nothing(name):
    arrays = Arrays(LIKES[name])
    first = arrays.floats([[1.0, 2.0]])
    second = arrays.copy(first)
    second[0, 0] = 9.0
    assert float(first[0, 0]) == 1.0
    assert arrays.single(first).dtype == arrays.zeros((1, 2)).dtype


def test_numpy_is_never_copied():
    numbers = np.zeros((2, 2))
    arrays = Arrays(numbers)
    assert arrays.put(numbers) is numbers
    assert arrays.host(numbers) is numbers
