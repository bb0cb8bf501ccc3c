"""What tells whether the work that is kept is that which is asked for: hashes of all that goes into it."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Mapping
from importlib.metadata import version

import numpy as np

from sim2real.domain import Domain
from sim2real.identify.checkpoint import content_of
from sim2real.policy import Policy
from sim2real.recordings import Recording
from sim2real.recordings.rollouts import Rollouts
from sim2real.world import World


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
