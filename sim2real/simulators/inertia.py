"""A body's mass, centre of mass and inertia changed together, so that some mass distribution has them.

Ten numbers stretch, shear and move the nominal distribution of mass about its centre and multiply it: with
the upper triangular U of ``exp(inertia_stretch)`` on the diagonal and ``inertia_shear`` above it, the second
moments Σ of the body (½ tr I · 1 - I, in the body's axes) become exp(inertia_log_mass) · U Σ Uᵀ. This is the
log-Cholesky form of Rucker and Wensing 2022 ("Smooth parameterization of rigid-body inertia") relative to
the nominal body: every ten numbers are physically consistent, and every consistent inertia has its ten.
"""

from __future__ import annotations

import mujoco
import numpy as np

from sim2real.interface import Array


def reshaped(numbers: Array, theta: Array) -> Array:
    """The eleven numbers of a body after its distribution of mass was changed.

    Args:
        numbers: mass in kg, centre of mass in m (3), principal inertia in kg·m² (3), quaternion (4), as
            MuJoCo has them. Shape (n, 11).
        theta: as `sim2real.parameters.INERTIA`; zeros change nothing. Shape (n, 10).

    Returns:
        Shape (n, 11).
    """
    axes = _matrices(numbers[:, 7:])
    moments = numbers[:, 4:7].sum(axis=1, keepdims=True) / 2 - numbers[:, 4:7]
    second = (axes * moments[:, None, :]) @ axes.swapaxes(1, 2)
    upper = np.zeros((len(theta), 3, 3))
    upper[:, [0, 1, 2], [0, 1, 2]] = np.exp(theta[:, 4:7])
    upper[:, [0, 1, 0], [1, 2, 2]] = theta[:, 7:]
    factor = np.exp(theta[:, 0])
    changed = factor[:, None, None] * (upper @ second @ upper.swapaxes(1, 2))
    values, vectors = np.linalg.eigh(changed)
    vectors[np.linalg.det(vectors) < 0, :, 2] *= -1
    inertia = values.sum(axis=1, keepdims=True) - values
    out = np.empty_like(numbers)
    out[:, 0] = factor * numbers[:, 0]
    out[:, 1:4] = numbers[:, 1:4] + theta[:, 1:4]
    out[:, 4:7] = inertia
    out[:, 7:] = _quaternions(vectors)
    same = ~theta.any(axis=1)
    out[same] = numbers[same]
    return out


def inertia_tensor(numbers: Array) -> Array:
    """Inertia about the centre of mass in the body's axes, kg·m². Shape (n, 3, 3).

    Args:
        numbers: as for `reshaped`. Shape (n, 11).
    """
    axes = _matrices(numbers[:, 7:])
    tensor: Array = (axes * numbers[:, None, 4:7]) @ axes.swapaxes(1, 2)
    return tensor


def _matrices(quaternions: Array) -> Array:
    out = np.empty((len(quaternions), 9))
    for row, quaternion in zip(out, quaternions, strict=True):
        mujoco.mju_quat2Mat(row, quaternion)
    return out.reshape(-1, 3, 3)


def _quaternions(matrices: Array) -> Array:
    out = np.empty((len(matrices), 4))
    for row, matrix in zip(out, matrices, strict=True):
        mujoco.mju_mat2Quat(row, matrix.ravel())
    return out
