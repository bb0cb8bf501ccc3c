"""A road shown in a terminal: a line for each stage, and below it what the stage is doing."""

from __future__ import annotations

from rich.console import Console
from rich.status import Status
from rich.text import Text

from sim2real.policy import Policy
from sim2real.transfer.stages import Watch


class ConsoleWatch(Watch):
    """Shows a road on a console; use it as a context, which takes the last line away again."""

    progress = True

    def __init__(self, console: Console) -> None:
        """On this console."""
        self._console = console
        self._status: Status | None = None

    def __enter__(self) -> ConsoleWatch:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End, also after an error or Ctrl-C."""
        self._rest()

    def stage(self, name: str, kept: bool) -> None:
        """A line with the stage's name; training then has a progress bar of its own."""
        self._rest()
        self._console.print(Text(f"• {name}", style="bold"), Text("kept" if kept else "", style="dim"))
        if not kept and not name.startswith("train"):
            self._status = self._console.status(name)
            self._status.start()

    def told(self, sentence: str) -> None:
        """A line under the stage's name."""
        self._console.print(Text(f"  {sentence}"))

    def fit(self, what: str, number: int, cost: float) -> None:
        """What the fit is doing."""
        self._say(f"{what}: round {number}, {1000 * cost:.2f} mrad")

    def evaluated(self, policy: Policy) -> None:
        """Whose episodes are done."""
        self._say(f"evaluated {policy.name}")

    def _say(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(text))

    def _rest(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
