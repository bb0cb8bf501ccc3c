"""Recordings of real or simulated runs: commands, measurements and times, by joint name."""

from sim2real.recordings.lerobot_writer import write_lerobot
from sim2real.recordings.load import load_recordings, read_raw
from sim2real.recordings.mapping import column_names, map_joints
from sim2real.recordings.npz import write_npz
from sim2real.recordings.operations import Rescaling, resample, rescale
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import Recording

__all__ = [
    "RawLog",
    "Recording",
    "Rescaling",
    "column_names",
    "load_recordings",
    "map_joints",
    "read_raw",
    "resample",
    "rescale",
    "write_lerobot",
    "write_npz",
]
