"""What a user may ask of an identification."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import INERTIA, quantity_named
from sim2real.reach import check_reach
from sim2real.replay import READ_DELAY
from sim2real.world import World


@dataclass(frozen=True)
class Options:
    """How to identify; the defaults suit a robot of servos.

    Raises:
        InvalidValue: for a number that no fit can be made with.
    """

    free: tuple[str, ...] = ()
    """What may change; by default what the selected model of servos, or the world's training range, names."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Values that differ from the world's and stay."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By parameter or by quantity."""
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Mean and standard deviation by parameter, which is that of its logarithm where its bounds span a
    factor."""
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

    def __post_init__(self) -> None:
        """Refuse what no fit can be made with."""
        check_reach(self, "[0, inf)", "window")
        check_reach(self, "whole [0, inf)", "generations", "threads")
        check_reach(self, "[1e-6, inf)", "top_speed")
        check_reach(self, "[1, 3600]", "motion_seconds")
        for name, (mean, std) in self.priors.items():
            if not (math.isfinite(mean) and 0 < std < math.inf):
                raise InvalidValue(
                    f"the prior of {name} has the mean {mean:g} and the standard deviation {std:g}; give two "
                    "finite numbers, the second above 0"
                )

    def check(self, world: World) -> None:
        """Refuse bounds and priors of what a world does not have, or of what is not free.

        Raises:
            InvalidValue: for a name that is none.
            UnknownName: for an element or a quantity that does not exist, or a parameter that is not free.
        """
        for name in (*self.bounds, *self.priors):
            element, dot, quantity = name.rpartition(".")
            ten = f"{element}.inertia" if quantity in INERTIA else name
            if self.free and dot and not {name, ten} & {*self.free}:
                raise UnknownName("free parameter with bounds or a prior", name, self.free)
            if dot and quantity != READ_DELAY:
                world.elements_of(name)
            elif not dot and name != READ_DELAY:
                quantity_named(name, "quantity with bounds:")
