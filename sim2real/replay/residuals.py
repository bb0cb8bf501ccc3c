"""What the residual still follows: signals that explain it, ranked, with the structure that each hints at.

    hints = diagnose(world, motions, predicted)

Each signal is cut into bins; the mean residual of a bin, found on every other block of time, predicts the
blocks between (a regressogram, Tukey 1961). What is explained there was not put there by chance. A signal
that explains a good share and that no kept part of the model stands for says which part is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from sim2real.replay.commands import joint_controls
from sim2real.replay.motion import FloatArray, Motion
from sim2real.world import World
from sim2real.world.ground import tip_height
from sim2real.world.poses import in_poses

_BINS = 12
_smooth = partial(uniform_filter1d, size=5, axis=0, mode="constant")
_BLOCK = 2.0  # s
SHARE = 0.15
"""Share of the residual's variance that a signal must explain to be reported."""
_LEAST = 0.002
"""Root mean square residual, rad or m, below which there is nothing to explain."""

MEANINGS: Mapping[str, str] = {
    "direction of motion": "dry friction",
    "speed": "viscous friction, or a latency",
    "command acceleration": "a limit on the acceleration of the servo's goal",
    "command speed": "a speed limit, or a latency",
    "position": "gravity or a spring that changes with the pose",
    "load": "friction that grows with load, or a wrong mass",
    "tip height": "a contact: something in reach of the tip",
    "time": "drift: warming, wear or a sagging supply",
}


@dataclass(frozen=True)
class Hint:
    """A signal that still explains the residual of a joint."""

    joint: str
    signal: str
    share: float
    """Share of the residual's variance that it explains, on blocks that it was not found on."""
    rms: float
    """Root mean square of the residual, rad or m."""

    @property
    def text(self) -> str:
        """In one sentence."""
        return (
            f"{self.signal} explains {self.share:.0%} of what is left of {self.joint} "
            f"({1000 * self.rms:.1f} mrad): {MEANINGS[self.signal]}"
        )


def diagnose(world: World, motions: Sequence[Motion], predicted: Sequence[FloatArray]) -> list[Hint]:
    """Signals that explain the residual, the one that explains most of it first.

    Args:
        world: for gravity and the height of the tip.
        motions: what was measured.
        predicted: positions at the stamps. Shapes (n, k).
    """
    signals = [_signals(world, motion, p) for motion, p in zip(motions, predicted, strict=True)]
    blocks = np.concatenate([(m.time / _BLOCK).astype(int) + 2 * 10**6 * k for k, m in enumerate(motions)])
    residual = np.concatenate([p - m.measured for m, p in zip(motions, predicted, strict=True)])
    hints = []
    for j, joint in enumerate(motions[0].joints):
        rms = float(np.sqrt((residual[:, j] ** 2).mean()))
        if rms < _LEAST:
            continue
        for name in signals[0]:
            column = np.concatenate([s[name] if s[name].ndim == 1 else s[name][:, j] for s in signals])
            share = explained(column, residual[:, j], blocks)
            if share >= SHARE:
                hints.append(Hint(joint, name, share, rms))
    return sorted(hints, key=lambda h: -h.share * h.rms**2)


def explained(signal: FloatArray, residual: FloatArray, blocks: NDArray[np.intp]) -> float:
    """Share of the residual's mean square that bins of a signal explain, each half judged by the other."""
    edges = np.unique(np.quantile(signal, np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, signal)
    left = 0.0
    for half in (0, 1):
        train, judge = blocks % 2 == half, blocks % 2 != half
        counts = np.bincount(bins[train], minlength=_BINS + 1)
        sums = np.bincount(bins[train], residual[train], minlength=_BINS + 1)
        means = sums / np.maximum(counts, 1)
        left += float(((residual[judge] - means[bins[judge]]) ** 2).sum())
    base = float(((residual - residual.mean()) ** 2).sum())
    return max(0.0, 1.0 - left / max(base, 1e-30))


def _signals(world: World, motion: Motion, predicted: FloatArray) -> dict[str, FloatArray]:
    """By name: one column for all joints, or one for each. Shapes (n,) or (n, k)."""
    model, time = world.model, motion.time
    command = np.zeros_like(motion.measured)
    for joint, control in joint_controls(model).items():
        if joint in motion.joints:
            command[:, motion.joints.index(joint)] = motion.command[:, control]
    speed = _smooth(np.gradient(motion.measured, time, axis=0))
    command_speed = _smooth(np.gradient(command, time, axis=0))
    fastest = np.maximum(np.abs(speed).max(axis=0), 1e-9)
    return {
        "direction of motion": np.sign(np.where(np.abs(speed) > 0.02 * fastest, speed, 0.0)),
        "speed": speed,
        "command speed": command_speed,
        "command acceleration": np.gradient(command_speed, time, axis=0),
        "position": motion.measured,
        "load": _gravity(model, motion),
        "tip height": tip_height(model, predicted, motion.joints),
        "time": time,
    }


def _gravity(model: mujoco.MjModel, motion: Motion) -> FloatArray:
    """Torque that holds the robot still at every measured pose. Shape (n, k)."""
    out, bias = np.empty_like(motion.measured), np.empty(model.nv)
    dofs = [int(model.joint(j).dofadr[0]) for j in motion.joints]
    for row, data in enumerate(in_poses(model, motion.joints, motion.measured)):
        mujoco.mj_comPos(model, data)
        mujoco.mj_rne(model, data, 0, bias)
        out[row] = bias[dofs]
    return out
