"""What tells whether the work that is kept is that which is asked for: hashes of all that goes into it."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version

import numpy as np
from gymnasium.envs.registration import EnvSpec, load_env_creator

from sim2real.domain import Domain
from sim2real.parameters import CHANNELS, quantity_of
from sim2real.policy import Policy
from sim2real.recordings import Recording
from sim2real.recordings.rollouts import Rollouts
from sim2real.simulators import ENGINES
from sim2real.tasks import TASKS
from sim2real.world import World


def fingerprint(*parts: object) -> str:
    """SHA-256 of everything in worlds, policies, recordings, rollouts, domains, and plain values."""
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()


def code_of(thing: object) -> list[str]:
    """What code of another version or another text is told from: both, of each class that a class is made of.

    The text is that of the whole module, as a class or function calls what stands beside it; in a notebook it
    is its own. There is none of code without a file.

    Args:
        thing: a class, a function, or something of a class.
    """
    kind = thing if isinstance(thing, type) or inspect.isroutine(thing) else type(thing)
    known = [f"sim2real {version('sim2real')}"]
    for part in kind.__mro__[:-1] if isinstance(kind, type) else (kind,):
        known.append(part.__qualname__)
        for text_of in (inspect.getmodule(part), part):
            with contextlib.suppress(OSError, TypeError):
                known.append(inspect.getsource(text_of))  # type: ignore[arg-type]
                break
    return known


def code_in(world: World, domains: Iterable[Domain] = (), engines: Iterable[str] = ()) -> list[list[str]]:
    """Code that acts in a world and is none of this package's: of channels, task, env and simulators.

    Args:
        world: which.
        domains: whose parameters may have channels beside the world's.
        engines: names of the simulators that step it.
    """
    names = {*world.parameters, *(name for domain in domains for name in domain.names)}
    own = {quantity.shapes or quantity.name for quantity in map(quantity_of, names)}
    code: list[object] = [CHANNELS[name] for name in sorted(own & {*CHANNELS})]
    if world.env is not None:
        made, setters = world.env.source.what, world.env.source.setters
        entry = made.entry_point if isinstance(made, EnvSpec) else made
        code.append(load_env_creator(entry) if isinstance(entry, str) else entry)
        code += [setters[name] for name in sorted(setters) if not isinstance(setters[name], str)]
    elif world.own_task is not None or world.task in TASKS:
        task = world.own_task or TASKS[world.task]
        code += [] if TASKS.is_built_in(task) else [task]
    simulators = [ENGINES[name] for name in sorted({*engines} & {*ENGINES})]
    code += [simulator for simulator in simulators if not ENGINES.is_built_in(simulator)]
    return [code_of(thing) for thing in code]


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
        return [*part.source, *code_in(part)]
    if isinstance(part, Policy):
        return part.contract, part.network, part.weights
    if isinstance(part, Domain):
        return json.dumps(part.to_toml(), sort_keys=True)
    if isinstance(part, Recording):
        return part.name, part.joints, part.measured_at, part.time, part.command, part.position, part.velocity
    if isinstance(part, Rollouts):
        return [(episode.observation, episode.action) for episode in part.episodes]
    return part
