import numpy as np
import pytest

from sim2real.recordings.raw import RawLog

JOINTS = ("shoulder", "elbow")
TICK = 2 * np.pi / 4096


def made(name, seed=0, seconds=20.0, rate=50.0, tick=TICK, lag=0.08):
    """A log of a servo arm that is in order: steps and sines, followed by a first-order lag."""
    rng = np.random.default_rng(seed)
    time = np.arange(0, seconds, 1 / rate) + rng.uniform(-1e-4, 1e-4, int(seconds * rate))
    time -= time[0]
    sines = sum(
        0.25 * np.sin(2 * np.pi * f * time + p)
        for f, p in zip(rng.uniform(0.1, 0.8, 3), range(3), strict=True)
    )
    steps = 0.3 * rng.choice([-1, 1], size=10)[np.minimum((time / 2).astype(int), 9)]
    command = np.stack([sines, 0.5 + steps], axis=1)
    position = np.empty_like(command)
    state = command[0].copy()
    for i in range(len(time)):
        position[i] = state
        step = time[i + 1] - time[i] if i + 1 < len(time) else 0.0
        state = state + (command[i] - state) * (1 - np.exp(-step / lag))
    position += np.array([0.01, -0.03])
    velocity = np.gradient(position, time, axis=0)
    if tick:
        position = np.rint(position / tick) * tick
    else:
        position += rng.normal(0, 2e-4, position.shape)
    return RawLog(name, JOINTS, time, command, time, position, velocity)


@pytest.fixture
def make():
    return made


@pytest.fixture
def clean():
    """Logs that are in order, split in two folders."""
    return [made("train/a", 1), made("train/b", 2), made("train/c", 3), made("test/d", 4)]
