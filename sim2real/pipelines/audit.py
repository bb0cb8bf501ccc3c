"""The effect audit of a world, with its files."""

from __future__ import annotations

from pathlib import Path

from sim2real.audit import Audit, AuditSettings
from sim2real.audit import audit_world as audit
from sim2real.pipelines.given import given_world
from sim2real.report.audit import write_audit
from sim2real.world import World


def audit_world(
    world: str | Path | World, settings: AuditSettings | None = None, out: str | Path | None = None
) -> Audit:
    """Move every parameter of a world to both ends.

    A world that names no task is moved by its actuators alone, and one that names no parameters is audited
    by those that `sim2real.world.with_default_parameters` gives it.

    Args:
        world: which, or its name or folder.
        settings: engine, policies and episodes.
        out: folder that gets ``audit.json`` and ``audit.png``; by default nothing is written.

    Raises:
        UnknownName: for a world or an engine that does not exist.
        PolicyError: for a policy that does not fit the world.
        MissingExtra: if the engine is not installed.
        InvalidValue: for a world in which nothing can move, or policies in one that names no task.
    """
    found = audit(given_world(world), settings or AuditSettings())
    if out is not None:
        write_audit(found, Path(out))
    return found
