"""Recordings replayed open-loop: many physics at once, in one batch of simulations.

    replayer = Replayer(world, [motion_of(world, recording) for recording in recordings], width=8)
    predicted = replayer.run(("servos.kp",), values)        # one array (8, n, k) a motion

Commands act by their stamps: a physics step runs under the mean of what was in force during it, `latency`
before. So a delay is a number like any other, without steps to fall down, and exactly the engine's own
delay where it is a whole number of physics steps. Nothing is compiled again for another physics.
"""

from sim2real.replay.motion import Motion, is_servo_robot, motion_of, stays_put, windows
from sim2real.replay.simulate import READ_DELAY, Replayer

__all__ = ["READ_DELAY", "Motion", "Replayer", "is_servo_robot", "motion_of", "stays_put", "windows"]
