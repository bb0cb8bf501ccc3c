"""Several processes give what one does, to the bit."""

import numpy as np

from sim2real.identify.parallel import ForkedReplayer
from sim2real.replay import motion_of, windows
from sim2real.replay.decoupled import DecoupledReplayer
from sim2real.world import World


def test_processes_share_motions_and_change_no_bit(twin):
    world = World.load("so101")
    logs = twin("so101", {"servos.kp": 60.0, "joints.damping": 4.0}, count=4, seconds=3.0)
    motions = [part for log in logs for part in windows(motion_of(world, log), 0.7)]
    names, values = ("servos.kp", "servos.latency"), np.array([[60.0, 0.0], [40.0, 2.5], [80.0, 5.0]])
    alone = DecoupledReplayer(world, motions, 4).run(names, values)
    forked = ForkedReplayer(world, motions, 4, 2, names)
    assert len(forked._parts) == 2
    for one, other in zip(alone, forked.run(names, values), strict=True):
        assert np.array_equal(one, other)
