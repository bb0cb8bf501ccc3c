"""Measure policies on held-out physics, and show the report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import counted, positive, seed
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import ALLOW_DEAD, TASK
from sim2real.cli.policies import POLICIES, given
from sim2real.cli.show import show_tables
from sim2real.cli.terminal import command_line, console, counting

if TYPE_CHECKING:
    from sim2real.evaluate.gap import GapReport
    from sim2real.world import Variant, World


@command(
    "evaluate",
    *POLICIES,
    option("--variants", nargs="+", help="held-out variants, TOML files of domains; default all"),
    option(
        "--episodes",
        type=positive,
        help="per policy and variant; default 64, or 1 where an io.toml has all begin alike",
    ),
    option("--fresh", type=positive, metavar="N", help="N variants that are drawn by --seed"),
    option("--seed", type=seed, default=0, help="of the physics of --fresh (0)"),
    option(
        "--grid",
        nargs="+",
        type=counted,
        default=[],
        metavar="PARAMETER:N",
        help="every combination of N values of each, both ends among them",
    ),
    option("--domain", help="of --fresh and --grid: training, or a TOML file; default what variants span"),
    option("--simulator", help="engine for all variants; default each variant's own"),
    option(
        "--baseline", help="label that the others are compared with; default nominal, or else the first one"
    ),
    option("--out", type=Path, help="folder of the report; default runs/evaluate-WORLD"),
    ALLOW_DEAD,
    option(
        "--selftest",
        action="store_true",
        help="no policies: does evaluation find what is planted, and no more?",
    ),
    option(
        "--require",
        action="append",
        default=[],
        metavar="REQUIREMENT",
        help="such as 'success >= 0.9 on combined' or 'worst >= 60'; may be given again. Status 0 if all are "
        "met, 1 if one is broken, 3 if undecided",
    ),
    option("--compare", type=Path, metavar="OLD", help="an episodes.parquet, or its folder"),
    option("--junit", type=Path, metavar="FILE", help="where the decisions go as JUnit XML"),
    option("--summary", type=Path, metavar="FILE", help="where they go as Markdown"),
    *TASK,
)
def run(arguments: Arguments) -> int:
    """Measure policies on held-out physics, with intervals.

    The exit status is 1 for a selftest that fails, or that of the requirements.
    """
    if arguments.selftest:
        return selftest()
    from dataclasses import replace

    from sim2real.errors import InvalidValue
    from sim2real.pipelines.evaluate import EvaluateSettings, evaluate, usual_trials

    if not arguments.policies:
        raise InvalidValue("no policies to evaluate; name at least one, or give --selftest")
    policies, world, out = given(arguments, "evaluate", "evaluate")
    trials = replace(usual_trials(world), simulator=arguments.simulator, allow_dead=arguments.allow_dead)
    if arguments.episodes:
        trials = replace(trials, episodes=arguments.episodes)
    settings = EvaluateSettings(
        arguments.baseline,
        arguments.require,
        arguments.compare,
        arguments.junit,
        arguments.summary,
        {"command": command_line()},
        counting,
    )
    found = evaluate(world, policies, _variants(world, arguments), trials, out, settings)
    print_report(found.report, found.page)
    for line in (*found.changes, *(decision.text for decision in found.gate.decisions)):
        console().print(line, soft_wrap=True)
    return found.gate.status


def _variants(world: World, arguments: argparse.Namespace) -> list[Variant]:
    """The variants that are named, drawn by seed or in a grid; the world's own if none is asked for."""
    from sim2real.evaluate.fresh import evaluation_domain, fresh_variants, grid_variants
    from sim2real.evaluate.variants import chosen_variants

    if not (arguments.fresh or arguments.grid):
        return chosen_variants(world, arguments.variants)
    domain = world.domain(arguments.domain) if arguments.domain else evaluation_domain(world)
    drawn = fresh_variants(world, domain, arguments.fresh, arguments.seed) if arguments.fresh else []
    drawn += grid_variants(world, domain, dict(arguments.grid)) if arguments.grid else []
    return chosen_variants(world, [*(arguments.variants or ()), *drawn])


def selftest() -> int:
    """Print how often made-up cases came out right."""
    from sim2real.evaluate.selftest import run_selftest

    passed = []
    for finding in run_selftest():
        print(finding.text, flush=True)
        passed.append(finding.passed)
    return 0 if all(passed) else 1


def print_report(report: GapReport, page: Path | None) -> None:
    """Print scores by method and physics, the verdict, and where the page is."""
    from sim2real.evaluate.verdict import headline, verdict
    from sim2real.report.gap import by_variant

    show_tables(*by_variant(report))
    console().print(*filter(None, (headline(report), *verdict(report))), sep="\n")
    print(f"wrote {page}")
