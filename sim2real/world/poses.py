"""A model in one pose after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray


def in_poses(
    model: mujoco.MjModel, joints: Sequence[str], positions: NDArray[np.float64]
) -> Iterator[mujoco.MjData]:
    """Data with all bodies where they are in each pose, the same object again and again.

    Args:
        model: of the robot.
        joints: hinges and slides that are posed; others are at rest.
        positions: rad or m. Shape (n, len(joints)).
    """
    data = mujoco.MjData(model)
    columns = [int(model.joint(joint).qposadr[0]) for joint in joints]
    for pose in positions:
        data.qpos[columns] = pose
        mujoco.mj_kinematics(model, data)
        yield data
