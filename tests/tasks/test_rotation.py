"""Turning into the body's frame, against MuJoCo's own quaternions."""

import mujoco
import numpy as np
import pytest

from sim2real.tasks.rotation import tilted, to_body, to_world, up_in_body


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


def test_to_the_world_and_back(attitudes):
    vectors = np.random.default_rng(1).normal(size=(50, 3))
    np.testing.assert_allclose(to_world(attitudes, to_body(attitudes, vectors)), vectors, atol=1e-13)


def test_an_attitude_from_where_up_is(attitudes):
    """But for the heading, which is that of a body that only rolled after it pitched."""
    up = up_in_body(attitudes)
    found = tilted(up)
    np.testing.assert_allclose(up_in_body(found), up, atol=1e-13)
    forward = to_world(found, np.tile([1.0, 0, 0], (50, 1)))
    np.testing.assert_allclose(forward[:, 1], 0, atol=1e-13)
    assert (forward[:, 0] >= 0).all()
