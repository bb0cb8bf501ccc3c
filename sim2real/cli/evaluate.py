"""Measure policies on held-out physics, and show the report."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import positive
from sim2real.cli.gate import add_gate, check_gate, hold, labels_of, old_run
from sim2real.cli.policies import add_policies, world_of
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import command_line, console, counting

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands
    from sim2real.evaluate.episode_table import Episodes
    from sim2real.evaluate.gap import Cell, GapReport
    from sim2real.evaluate.rollouts import Trials
    from sim2real.foreign import ForeignPolicy
    from sim2real.policy import Policy
    from sim2real.world import World


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("evaluate", help="measure policies on held-out physics, with intervals")
    add_policies(command, several=True)
    command.add_argument(
        "--variants", nargs="+", help="held-out variants, TOML files of domains; default all"
    )
    command.add_argument(
        "--episodes",
        type=positive,
        help="per policy and variant; default 64, or 1 where an io.toml has all begin alike",
    )
    command.add_argument("--simulator", help="engine for all variants; default each variant's own")
    command.add_argument(
        "--baseline", help="label that the others are compared with; default nominal, or else the first one"
    )
    command.add_argument("--out", type=Path, help="folder of the report; default runs/evaluate-WORLD")
    command.add_argument("--allow-dead", action="store_true", help="also values that change nothing")
    command.add_argument(
        "--selftest",
        action="store_true",
        help="no policies: does evaluation find what is planted, and no more?",
    )
    add_gate(command)
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it; the exit status is 1 for a selftest that fails, or that of the requirements."""
    if arguments.selftest:
        return selftest()
    from sim2real.errors import InvalidValue, UnknownName
    from sim2real.foreign import load_policy

    if not arguments.policies:
        raise InvalidValue("no policies to evaluate; name at least one, or give --selftest")
    policies = [load_policy(spec, arguments.trust) for spec in arguments.policies]
    world = load_world(arguments.world or world_of(policies), arguments)
    out = arguments.out or Path("runs") / f"evaluate-{world.path.name}"
    old = old_run(arguments.compare)
    labels = labels_of(policies)
    check_gate(arguments, world, labels, old)
    baseline = arguments.baseline or ("nominal" if "nominal" in labels else labels[0])
    if baseline not in labels:
        raise UnknownName("baseline label", baseline, labels)
    from sim2real.evaluate.rollouts import Trials, steps_of
    from sim2real.report.gap import contracts_of

    episodes = arguments.episodes or _usual_episodes(world)
    trials = Trials(episodes, simulator=arguments.simulator, allow_dead=arguments.allow_dead)
    table = evaluated(world, policies, arguments.variants, trials)
    facts = {"command": command_line(), "control steps": steps_of(policies), **contracts_of(policies)}
    return hold(arguments, report(world, table, baseline, out, facts), (table, old))


def _usual_episodes(world: World) -> int:
    """One where nothing is drawn at the start of an ``io.toml``'s episodes, else enough for an interval."""
    from sim2real.env import task_class

    alike = world.io is not None and world.own_task is None and not task_class(world).spec.num_draws
    return 1 if alike else 64


def selftest() -> int:
    """Print how often made-up cases came out right."""
    from sim2real.evaluate.selftest import run_selftest

    passed = []
    for finding in run_selftest():
        print(finding.text, flush=True)
        passed.append(finding.passed)
    return 0 if all(passed) else 1


def evaluated(
    world: World, policies: Sequence[Policy | ForeignPolicy], variants: Sequence[str] | None, trials: Trials
) -> Episodes:
    """The episode table, with its progress."""
    from sim2real.evaluate.rollouts import run_policies

    with counting(console(), "evaluate", len(policies)) as tell:
        return run_policies(world, policies, variants, trials, done=lambda policy: tell(policy.name))


def report(world: World, table: Episodes, baseline: str, out: Path, facts: Mapping[str, str]) -> GapReport:
    """The gap report of an episode table, written and printed."""
    from sim2real.evaluate.gap import GapOptions, gap_report
    from sim2real.evaluate.rollouts import references
    from sim2real.report.gap import write_report

    met = set(map(str, table["variant"]))
    known = {name: reference for name, reference in references(world).items() if name in met}
    found = gap_report(table, known, GapOptions(title=world.title, baseline=baseline))
    page = write_report(found, table, out, facts)
    print_report(found)
    print(f"wrote {page}")
    return found


def _told(cell: Cell | None) -> str:
    """Score and, where it is known, success."""
    if cell is None:
        return "–"
    return f"{cell.score.value:.1f}" + (f" · {cell.success.value:.2f}" if cell.success else "")


def print_report(report: GapReport) -> None:
    """Print scores by method and physics, and the verdict."""
    from rich.table import Column, Table

    from sim2real.evaluate.verdict import headline, verdict

    labels, variants = report.labels, report.variants
    grid = Table(
        Column("variant", no_wrap=True),
        *(f"{label}\nscore{' · success' * report.tells_success}" for label in labels),
        title=report.title,
    )
    for variant in variants:
        cells = [report.cell(label, variant) for label in labels]
        grid.add_row(variant, *map(_told, cells))
    show = console()
    show.print(grid)
    show.print(*filter(None, (headline(report), *verdict(report))), sep="\n")
