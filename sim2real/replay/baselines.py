"""Predictions that know no physics: a joint is where it is told to be, or gets there a constant delay later.

told = [commanded(world, motion) for motion in motions]
late = [delayed(m.time, angles, d) for m, angles, d in zip(motions, told, delays(motions, told))]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim2real.replay.commands import Order, orders_of
from sim2real.replay.motion import FloatArray, Motion
from sim2real.replay.zero_order_hold import delayed
from sim2real.world import World

COMMAND, DELAYED = "command", "delayed command"

_DELAYS = np.arange(0.0, 0.3001, 0.005)
_FALLBACK = 0.1
"""Seconds, where there is no other motion to find a delay on: typical of hobby servos on a bus."""


def told_angles(world: World, motion: Motion) -> list[Order]:
    """The servos that are told angles of measured joints."""
    return [order for order in orders_of(world.model) if order.servo and order.joint in motion.joints]


def commanded(world: World, motion: Motion) -> FloatArray:
    """The angle that each joint is told; where it begins, for a joint that is told none. Shape (n, k)."""
    angles = np.tile(motion.measured[0], (len(motion.time), 1))
    for order in told_angles(world, motion):
        angles[:, motion.joints.index(order.joint)] = motion.command[:, order.control]
    return angles


def delays(motions: Sequence[Motion], told: Sequence[FloatArray]) -> list[float]:
    """For each motion the delay, s, that predicts the *other* motions best (mean RMSE over joints)."""
    pairs = zip(motions, told, strict=True)
    table = np.array([[_late(motion, angles, delay) for delay in _DELAYS] for motion, angles in pairs])
    names = np.array([motion.name.rpartition("/")[2] for motion in motions])
    others = [table[names != name] for name in names]
    return [float(_DELAYS[rows.mean(axis=0).argmin()]) if len(rows) else _FALLBACK for rows in others]


def _late(motion: Motion, angles: FloatArray, delay: float) -> float:
    """Mean RMSE over joints of what is told, so late; one at a time, as of hours all would fill a memory."""
    error = delayed(motion.time, angles, delay) - motion.measured
    return float(np.sqrt((error**2).mean(axis=0)).mean())
