"""Transfer methods side by side under one budget, with the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sim2real.files import check_folder
from sim2real.pipelines.given import given_policies, given_world
from sim2real.pipelines.reporting import Reporting
from sim2real.policy import Policy
from sim2real.report.compare import write_comparison
from sim2real.transfer.compare import ZERO_SHOT, Compared, Design
from sim2real.transfer.compare import compare as run_cells
from sim2real.transfer.methods.method import Method
from sim2real.world import World


def compare(
    world: str | Path | World,
    policies: Sequence[str | Path | Policy],
    methods: Sequence[str] | Mapping[str, Method],
    design: Design,
    out: str | Path | None = None,
    reporting: Reporting | None = None,
) -> Compared:
    """Run every method from every policy to every target, and say which helped.

    Args:
        world: where, or its name or folder.
        policies: where transfer starts: seeds of one method, or their names or folders.
        methods: by name, with settings if any as in ``rehearsal:average=0.1``, or methods by label; zero-shot
            is always among them.
        design: targets, budget and the rest.
        out: folder in which cells that are done are kept, and not repeated, and that gets ``compare.html``,
            ``compare.png``, ``compare.json`` and ``compare.parquet``; by default nothing is written.
        reporting: lines of provenance, and what is told of each cell.

    Raises:
        InvalidValue: for policies that are no seeds of one method, a cluster that does not answer, or if
            every cell fails.
        PolicyError: if a policy does not fit the world.
        UnknownName: for a world, a policy, a method, a setting or a variant that does not exist.
        DeadParameter: if a value of a variant changes nothing.
    """
    folder, reporting = None if out is None else Path(out), reporting or Reporting()
    world = given_world(world)
    starts = given_policies(policies)
    if folder is not None:
        check_folder(folder)
    total = len(design.targets) * len({ZERO_SHOT, *methods}) * len(starts)
    with reporting.progress("cells", total) as tell:
        found = run_cells(world, starts, methods, design, folder, tell)
    if folder is not None:
        write_comparison(found, folder, reporting.facts)
    return found
