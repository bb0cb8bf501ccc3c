"""Turning into the body's frame, against MuJoCo's own quaternions."""

import mujoco
import numpy as np
import pytest

from sim2real.tasks.rotation import to_body, up_in_body


@pytest.fixture
def attitudes():
    quaternions = np.random.default_rng(0).normal(size=(50, 4))
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)


def test_a_world_vector_seen_from_the_body(attitudes):
    vectors = np.random.default_rng(1).normal(size=(50, 3))
    expected, inverse = np.zeros((50, 3)), np.zeros(4)
    for row, (attitude, vector) in enumerate(zip(attitudes, vectors, strict=True)):
        mujoco.mju_negQuat(inverse, attitude)
        mujoco.mju_rotVecQuat(expected[row], vector, inverse)
    np.testing.assert_allclose(to_body(attitudes, vectors), expected, atol=1e-14)


def test_up_is_the_last_row_of_the_matrix(attitudes):
    matrices = np.zeros((50, 9))
    for matrix, attitude in zip(matrices, attitudes, strict=True):
        mujoco.mju_quat2Mat(matrix, attitude)
    np.testing.assert_allclose(up_in_body(attitudes), matrices[:, 6:], atol=1e-14)
    np.testing.assert_allclose(up_in_body(attitudes), to_body(attitudes, np.tile([0, 0, 1.0], (50, 1))))
