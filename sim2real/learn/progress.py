"""How far a training is: a bar in a terminal, and elsewhere a line for every tenth of it."""

from __future__ import annotations

import time
from collections.abc import Collection

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class StepsShown:
    """Steps, mean return of the last episodes, and time left.

    Args:
        title: whose training it is.
        total: steps of all of it.
        console: where; by default standard output.
    """

    def __init__(self, title: str, total: int, console: Console | None = None) -> None:
        self._console = console or Console(markup=False, emoji=False, highlight=False)
        self._title, self._total = title, total
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} steps"),
            TextColumn("return {task.fields[score]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task(title, total=total, score="–")

    def start(self) -> None:
        """Begin, or begin again."""
        self._begun: tuple[float, int] | None = None
        self._tenth = 0
        if self._console.is_terminal:
            self._bar.start()

    def at(self, steps: int, returns: Collection[float]) -> None:
        """So many steps of all are done; these are the returns of the last episodes."""
        score = f"{np.mean(list(returns)):.1f}" if returns else "–"
        self._bar.update(self._task, completed=steps, score=score)
        now = time.monotonic()
        first, before = self._begun = self._begun or (now, steps)
        tenth = 10 * steps // self._total
        if self._console.is_terminal or tenth == self._tenth:
            return
        self._tenth = tenth
        left = max(self._total - steps, 0) * (now - first) / max(steps - before, 1)
        ahead = f", {left:,.0f} s left" if steps > before else ""
        told = f"{self._title}: {steps:,} of {self._total:,} steps, return {score}{ahead}"
        self._console.print(told, soft_wrap=True)

    @property
    def shows(self) -> bool:
        """Whether a bar is on the screen now."""
        return self._bar.live.is_started

    def stop(self) -> None:
        """Leave no bar running, also after an error."""
        if self.shows:
            self._bar.stop()
