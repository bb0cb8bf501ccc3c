"""Long roads in stages: those that are done are kept and not repeated, and somebody may watch.

    stages = Stages(folder)
    stages.once("identify", fingerprint(world, recordings, options), work)
    found = ...                         # from the files that the work wrote, now or in an earlier call

A stage counts as done only for what went into it: another world, recording, policy or setting begins it anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sim2real.documents import Section
from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.files import write_text
from sim2real.identify.checkpoint import content_of
from sim2real.policy import Policy
from sim2real.recordings import Recording
from sim2real.recordings.rollouts import Rollouts
from sim2real.world import World


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
        self._path = folder / "stages.json"
        try:
            self._keys = dict(Section.read_json(self._path).values)
        except (FileNotFoundError, InvalidValue):
            self._keys = {}

    def once(self, name: str, key: str, work: Callable[[], object]) -> None:
        """Do the work of a stage, unless it is done.

        Args:
            name: of the stage.
            key: fingerprint of what goes into it.
            work: writes files, each whole or not at all; what comes after reads them.
        """
        done = self._keys.get(name) == key
        self.watch.stage(name, done)
        if not done:
            work()
            self._keys[name] = key
            write_text(self._path, json.dumps(self._keys, indent=1))


def fingerprint(*parts: object) -> str:
    """SHA-256 of everything in worlds, policies, recordings, rollouts, domains, and plain values."""
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()


def code_of(method: type) -> list[str]:
    """What a method of another version or another text is told from: both, of each class that it is made of.

    The text is that of the whole module, as a class calls what stands beside it; none of code without a file.
    """
    known = [f"sim2real {version('sim2real')}"]
    for part in method.__mro__[:-1]:
        known.append(part.__qualname__)
        with contextlib.suppress(OSError, TypeError):
            known.append(inspect.getsource(inspect.getmodule(part) or part))
    return known


def _feed(digest: hashlib._Hash, part: object) -> None:
    kind = "list" if isinstance(part, tuple) else type(part).__name__
    digest.update(f"|{kind}|".encode())
    part = _content(part)
    if isinstance(part, np.ndarray):
        digest.update(str(part.shape).encode() + np.ascontiguousarray(part).tobytes())
    elif isinstance(part, Mapping):
        for name in sorted(part):
            _feed(digest, (name, part[name]))
    elif isinstance(part, tuple | list):
        for value in part:
            _feed(digest, value)
    else:
        digest.update(repr(part).encode())


def _content(part: object) -> object:
    """What makes one of our things what it is."""
    if isinstance(part, World):
        return content_of(part)
    if isinstance(part, Policy):
        return part.contract, part.network, part.weights
    if isinstance(part, Domain):
        return json.dumps(part.to_toml(), sort_keys=True)
    if isinstance(part, Recording):
        return part.name, part.joints, part.measured_at, part.time, part.command, part.position, part.velocity
    if isinstance(part, Rollouts):
        return [(episode.observation, episode.action) for episode in part.episodes]
    return part
