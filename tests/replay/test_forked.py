"""Several processes give what one does, to the bit."""

import dataclasses
import gc
import os
import time

import numpy as np
import pytest

from sim2real.replay import Replayer, decoupled, forked, motion_of, simulate, windows
from sim2real.replay.decoupled import DecoupledReplayer
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

NAMES, VALUES = ("servos.kp", "servos.latency"), np.array([[60.0, 0.0], [40.0, 2.5], [80.0, 5.0]])


@pytest.fixture
def forks(monkeypatch):
    made = []
    for module in (decoupled, simulate):
        monkeypatch.setattr(module, "_WORTH", 10)
    monkeypatch.setattr(os, "fork", lambda fork=os.fork: made.append(fork()) or made[-1])
    return made


@pytest.fixture
def motions(twin):
    logs = twin("so101", {"servos.kp": 60.0, "joints.damping": 4.0}, count=4, seconds=3.0)
    return [part for log in logs for part in windows(motion_of(World.load("so101"), log), 0.7)]


def test_joints_alone_are_shared_among_processes_and_change_no_bit(motions, forks):
    world = World.load("so101")
    alone = DecoupledReplayer(world, motions).run(NAMES, VALUES)
    shared = DecoupledReplayer(world, motions, 2).run(NAMES, VALUES)
    assert len(forks) == 1
    for one, other in zip(alone, shared, strict=True):
        assert np.array_equal(one, other)


def test_laws_by_step_are_shared_among_processes_and_change_no_bit(motions, forks):
    """Of a motion that blows up, too, and in the order in which motions were given."""
    world = World.load("so101").with_parameters({}, {"gripper.stribeck": 0.1})
    given = [motions[0], motions[1].part(slice(0, 20)), motions[2]]
    given[2] = dataclasses.replace(given[2], measured=given[2].measured + 1e11)
    one, two = (Replayer(world, given, 3, threads) for threads in (1, 2))
    for alone, shared in zip(one.run(NAMES, VALUES), two.run(NAMES, VALUES), strict=True):
        assert np.array_equal(alone, shared, equal_nan=True)
    assert len(forks) == 1
    assert two.diverged.tolist() == one.diverged.tolist() == [[False] * 3, [False] * 3, [True] * 3]


def test_a_child_does_not_end_what_its_parent_has_left_to_collect(motions, monkeypatch):
    """Simulations with threads, which a child does not have and would wait for."""
    world = World.load("so101").with_parameters({}, {"gripper.stribeck": 0.1})

    def eager(fork=os.fork):
        child = fork()
        if child == 0:
            gc.set_threshold(1)
        return child

    monkeypatch.setattr(simulate, "_WORTH", 10)
    monkeypatch.setattr(os, "fork", eager)
    thresholds = gc.get_threshold()
    gc.set_threshold(10**6)
    try:
        left: list[object] = [MujocoSimulator(world, 64, 2)]
        left[0].step(np.zeros((64, 6)), 1)
        left.append(left)
        del left
        found = Replayer(world, motions[:3], 3, 2).run(NAMES, VALUES)
        assert gc.isenabled()
    finally:
        gc.set_threshold(*thresholds)
    assert np.isfinite(found[0]).all()


def test_the_work_of_a_child_that_hangs_is_done_here(motions, forks, monkeypatch):
    world, here = World.load("so101"), os.getpid()
    monkeypatch.setattr(forked, "_PATIENCE", 0.1)
    plain = DecoupledReplayer._run

    def hang(*given):
        while os.getpid() != here:
            time.sleep(1.0)
        return plain(*given)

    alone = DecoupledReplayer(world, motions).run(NAMES, VALUES)
    monkeypatch.setattr(DecoupledReplayer, "_run", hang)
    shared = DecoupledReplayer(world, motions, 2).run(NAMES, VALUES)
    assert len(forks) == 1
    for one, other in zip(alone, shared, strict=True):
        assert np.array_equal(one, other)
