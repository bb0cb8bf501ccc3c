"""What a fit is doing, for whoever waits: the stage, the least error so far, and the time that is left.

    identify(world, folder, options, Progress(print, planned_stages(world, options)), out)

A line is said at the beginning of every stage, so that a log file shows it, too; a terminal can show every
round in between.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from sim2real.identify.identify import ASSESS
from sim2real.identify.model_selection import candidate_models
from sim2real.identify.options import Options
from sim2real.pipelines.identify import CHECK, PROPOSE
from sim2real.replay import is_servo_robot
from sim2real.world import World

_SHARES = {CHECK: 0.5, "fit": 2.0, "refit": 0.4, ASSESS: 2.0, PROPOSE: 1.0}
"""How long stages take beside a candidate model."""
_SEARCHED = 3.0
_ROUNDS = 8.0  # of a usual stage


def planned_stages(world: World, options: Options) -> dict[str, float]:
    """The stages of an identification in their order, and how long each takes beside the others."""
    models: dict[str, float] = {}
    if not options.free and (is_servo_robot(world) or options.select):
        models = dict.fromkeys((extension.name for extension in candidate_models(world)), 1.0)
    fit = {"fit": _SHARES["fit"] if models else _SEARCHED}
    rest = {name: _SHARES[name] for name in ("refit", ASSESS, PROPOSE)}
    return {CHECK: _SHARES[CHECK], **models, **fit, **rest}


class Progress:
    """Call it with a stage, the number of its round and the least error (mean RMSE, rad or m, or NaN)."""

    def __init__(
        self,
        say: Callable[[str], object],
        stages: Mapping[str, float],
        update: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Begin now.

        Args:
            say: is told a line at the beginning of every stage.
            stages: those to come, in their order, and how long each takes beside the others.
            update: is told the same line after every round.
        """
        self._say, self._update, self._stages = say, update, dict(stages)
        self._began, self._stage, self._best = time.monotonic(), "", math.inf

    def __call__(self, stage: str, number: int, cost: float) -> None:
        """Something has been done."""
        name, _, detail = stage.partition(": ")
        if detail != "search" and math.isfinite(cost):
            self._best = min(self._best, cost) if name == self._stage else cost
        new = name != self._stage
        self._stage = name
        line = f"{name if detail == 'search' else stage}{self._known(number)}"
        self._update(line)
        if new:
            self._say(line)
        elif math.isnan(cost) and detail:
            self._say(stage)

    def left(self, number: int = 0) -> float:
        """Seconds until the end, by how long the stages until now took; NaN before the first has ended."""
        names = list(self._stages)
        if self._stage not in names or self._stage == names[0]:
            return math.nan
        place = names.index(self._stage)
        shares = list(self._stages.values())
        done = sum(shares[:place]) + shares[place] * min(number / _ROUNDS, 0.9)
        return (time.monotonic() - self._began) * (sum(shares) / done - 1.0)

    def _known(self, number: int) -> str:
        told = [f"{1000 * self._best:.2f} mrad so far"] if math.isfinite(self._best) else []
        left = self.left(number)
        told += [f"about {max(left, 1.0):.0f} s left"] if math.isfinite(left) else []
        return f" ({', '.join(told)})" if told else ""
