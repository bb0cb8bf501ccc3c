"""What a user may ask of an identification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """How to identify; the defaults suit a robot of servos."""

    free: tuple[str, ...] = ()
    """What may change; by default what the selected model of servos, or the world's training range, names."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Values that differ from the world's and stay."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By parameter or by quantity."""
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Mean and standard deviation by parameter; of its logarithm where its bounds span a factor."""
    held_out: tuple[str, ...] | None = None
    """Recordings to hold out, by name; by default every fourth, or the last quarter of a single one. Empty to
    hold out none."""
    window: float = 0.0
    """Seconds of open loop that a fit sees at a time, each begun at the measured state; by default 20 for a
    robot of servos, else 1."""
    generations: int = 25
    """Of the global search; 0 to begin at the nominal values."""
    select: bool = False
    """Select a model of motors from nested ones, too, judged on what is held out; servos' always is."""
    nuisance: bool = True
    """Fit once more with nuisance effects, the usual missing ones, for intervals that cover; without, they
    are those of a block bootstrap."""
    seed: int = 0
    threads: int = 0
    complaints: tuple[str, ...] = ()
    """What the log doctor has against the recordings (`sim2real.doctor.screening`); it stays a verdict."""
    checkpoint: Path | None = None
    """File that an interrupted fit goes on from."""
    allow_bad: bool = False
    """Fit what can be read of a folder in which the log doctor finds bad data."""
    unwrap: bool = False
    """Take jumps by a whole turn out of a folder's angles."""
    top_speed: float | None = None
    """Of every joint in the motion to record next, rad/s or m/s; by default about the highest that the
    recordings show of it."""
    motion_seconds: float = 12.0
    """Length of that motion."""
