"""Several processes give what one does, to the bit."""

import os

import numpy as np

from sim2real.replay import forked, motion_of, windows
from sim2real.replay.decoupled import DecoupledReplayer
from sim2real.world import World


def test_processes_share_motions_and_change_no_bit(twin, monkeypatch):
    forks = []
    monkeypatch.setattr(forked, "_WORTH", 10)
    monkeypatch.setattr(os, "fork", lambda fork=os.fork: forks.append(fork()) or forks[-1])
    world = World.load("so101")
    logs = twin("so101", {"servos.kp": 60.0, "joints.damping": 4.0}, count=4, seconds=3.0)
    motions = [part for log in logs for part in windows(motion_of(world, log), 0.7)]
    names, values = ("servos.kp", "servos.latency"), np.array([[60.0, 0.0], [40.0, 2.5], [80.0, 5.0]])
    alone = DecoupledReplayer(world, motions).run(names, values)
    shared = forked.ForkedReplayer(world, motions, 2).run(names, values)
    assert len(forks) == 1
    for one, other in zip(alone, shared, strict=True):
        assert np.array_equal(one, other)
