"""Recordings of real or simulated runs: commands, measurements and times, by joint name."""

from sim2real.recordings.load import load_recordings
from sim2real.recordings.mapping import map_joints
from sim2real.recordings.recording import Recording

__all__ = ["Recording", "load_recordings", "map_joints"]
