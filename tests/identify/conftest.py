import os
from pathlib import Path

import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.opening import opened_for
from sim2real.recordings import Recording
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World


def smooth_commands(rng, time, low, high):
    """Steps held for a while plus a few sines, within the range."""
    held = rng.uniform(-1, 1, (1 + int(time[-1] / 0.5), len(low)))[(time / 0.5).astype(int)]
    rates, phases = rng.uniform(2, 9, (3, len(low))), rng.uniform(0, 6, (3, len(low)))
    sines = np.sin(time[:, None, None] * rates + phases).mean(axis=1)
    unit = np.clip(0.6 * held + 0.6 * sines, -1, 1)
    return (low + high) / 2 + unit * (high - low) / 2


@pytest.fixture
def real():
    """Folder of the real SO-101's recordings, where this machine has them."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "real" / "so101"
    folder = Path(os.environ.get("SIM2REAL_RECORDINGS", beside))
    if not (folder / "npz").is_dir():
        pytest.skip("no recordings of the real arm here; SIM2REAL_RECORDINGS can name their folder")
    return folder


@pytest.fixture
def twin():
    """Recordings of a simulated robot with known physics: exact but for noise, at its control rate."""

    def record(name, physics, count=6, seconds=4.0, **setup):
        setup = {"start": None, "share": 0.8, "noise": 1e-4} | setup
        start, share, noise = setup["start"], setup["share"], setup["noise"]
        world = opened_for(World.load(name), Domain.point(physics))
        period = 0.02 if name == "so101" else 0.01
        simulator = MujocoSimulator(world, 1, 1)
        simulator.set_physics(np.array([0]), tuple(physics), np.array([list(physics.values())], dtype=float))
        model = world.model
        joints = tuple(model.joint(k).name for k in range(model.njnt))
        driven = [int(k) for k in model.actuator_trnid[:, 0]]
        low, high = model.actuator_ctrlrange.T * share
        substeps = round(period / simulator.physics_dt)
        recordings = []
        for number in range(count):
            rng = np.random.default_rng(number)
            time = np.arange(round(seconds / period)) * period
            command = smooth_commands(rng, time, low, high)
            qpos = np.zeros((1, model.nq)) if start is None else np.array([start], dtype=float)
            if name == "so101":
                qpos[0, driven] = command[0]
            simulator.reset(np.array([0]), qpos, np.zeros((1, model.nv)), command[:1])
            rows = []
            for k in range(len(time)):
                rows.append((simulator.qpos[0].copy(), simulator.qvel[0].copy()))
                simulator.step(command[k : k + 1], substeps)
            position = np.array([q for q, _ in rows]) + rng.normal(0, noise, (len(time), model.nq))
            velocity = np.array([v for _, v in rows])
            table = np.zeros((len(time), len(joints)))
            table[:, driven] = command
            recordings.append(Recording(f"run{number}", joints, time, table, position, velocity))
        return recordings

    return record
