"""Long roads in stages: those that are done are kept and not repeated, and somebody may watch.

    stages = Stages(folder)
    stages.once("identify", fingerprint(world, recordings, options), work)
    found = ...                         # from the files that the work wrote, now or in an earlier call

A stage counts as done only for what went into it: another world, recording, policy or setting begins it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sim2real.kept import Kept
from sim2real.policy import Policy


class Watch:
    """Is told how a road goes on; this one keeps it to itself."""

    progress = False
    """Whether training shows a progress bar."""

    def stage(self, name: str, kept: bool) -> None:
        """A stage begins, or is there already."""

    def told(self, sentence: str) -> None:
        """Something worth reading on the way."""

    def fit(self, what: str, number: int, cost: float) -> None:
        """A round of a fit is done, at a mean RMSE in rad or m, or a share of what the joints move."""

    def evaluated(self, policy: Policy) -> None:
        """A policy's episodes are done."""


class Stages:
    """Which stages are done, in ``stages.json`` of their folder, with the fingerprint of each."""

    def __init__(self, folder: Path, watch: Watch | None = None) -> None:
        """Read the file; one that is missing or damaged says that nothing is done."""
        self.folder = folder
        self.watch = watch or Watch()
        self._kept = Kept(folder / "stages.json")

    def once(self, name: str, key: str, work: Callable[[], object]) -> None:
        """Do the work of a stage, unless it is done.

        Args:
            name: of the stage.
            key: fingerprint of what goes into it.
            work: writes files, each whole or not at all; what comes after reads them.
        """

        def done() -> bool:
            work()
            return True

        self.watch.stage(name, self._kept.has(name, key))
        self._kept.once(name, key, bool, done)
