"""What `sim2real evaluate` must find: requirements, what changed since another run, files for a CI page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim2real.evaluate.candidates import Candidate
    from sim2real.evaluate.episode_table import Episodes
    from sim2real.evaluate.gap import GapReport
    from sim2real.world import World


def add_gate(command: argparse.ArgumentParser) -> None:
    """What turns an evaluation into a gate."""
    command.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="REQUIREMENT",
        help="such as 'success >= 0.9 on combined' or 'worst >= 60'; may be given again. Status 0 if all are "
        "met, 1 if one is broken, 3 if undecided",
    )
    command.add_argument("--compare", type=Path, metavar="OLD", help="an episodes.parquet, or its folder")
    command.add_argument("--junit", type=Path, metavar="FILE", help="where the decisions go as JUnit XML")
    command.add_argument("--summary", type=Path, metavar="FILE", help="where they go as Markdown")


def check_gate(
    arguments: argparse.Namespace, world: World, labels: Sequence[str], old: Episodes | None
) -> None:
    """Refuse requirements that can't be decided, and files that can't be written, before anything runs."""
    from sim2real.env import task_class
    from sim2real.errors import InvalidValue
    from sim2real.evaluate.requirements import check, parse
    from sim2real.evaluate.rollouts import references
    from sim2real.evaluate.variants import chosen_variants
    from sim2real.files import check_folder

    if (arguments.junit or arguments.summary) and not (arguments.require or old is not None):
        raise InvalidValue("--junit and --summary hold what --require or --compare find; give one of these")
    for path in filter(None, (arguments.junit, arguments.summary)):
        if path.is_dir():
            raise InvalidValue(f"{path} is a folder, and a file is to be written; name a file")
        check_folder(path.parent)
    if not arguments.require:
        return
    groups = {variant.name: variant.group for variant in chosen_variants(world, arguments.variants)}
    told = bool(task_class(world).spec.success)
    for text in arguments.require:
        check(parse(text), groups, labels, references(world), told)


def labels_of(policies: Sequence[Candidate]) -> list[str]:
    """What a report calls the method of each policy."""
    import numpy as np

    from sim2real.evaluate.episode_table import told_apart

    names = np.array([policy.label for policy in policies])
    return [str(name) for name in told_apart(names, np.array([policy.lineage for policy in policies]))]


def old_run(path: Path | None) -> Episodes | None:
    """The episode table of another run, given the file or its folder."""
    from sim2real.errors import InvalidValue
    from sim2real.evaluate.episodes_file import read_episodes

    if path is None:
        return None
    path = path / "episodes.parquet" if path.is_dir() else path
    if not path.is_file():
        raise InvalidValue(f"there is no {path} to compare with; give the episodes.parquet of another run")
    return read_episodes(path)


def hold(arguments: argparse.Namespace, report: GapReport, tables: tuple[Episodes, Episodes | None]) -> int:
    """Print and write what was decided, and what changed; the exit status of the gate."""
    from sim2real.cli.terminal import console
    from sim2real.evaluate.changes import changes, told
    from sim2real.evaluate.gate import Gate, require
    from sim2real.evaluate.gate_files import junit, markdown
    from sim2real.files import write_text

    new, old = tables
    lines = [] if old is None else told(changes(new, old, report.references))
    gate = require(report, *arguments.require) if arguments.require else Gate(report.title, ())
    for line in (*lines, *(decision.text for decision in gate.decisions)):
        console().print(line, soft_wrap=True)
    if arguments.junit:
        write_text(arguments.junit, junit(gate))
    if arguments.summary:
        write_text(arguments.summary, markdown(gate, lines))
    return gate.status
