"""The command line: parse, call, print. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim2real.evaluate.gap import GapReport
    from sim2real.evaluate.table import Episodes
    from sim2real.policy import Policy
    from sim2real.world import World


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 (done), 1 (budget or disk gave out) or 2 (a user's mistake)."""
    from sim2real.errors import Sim2RealError

    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        arguments.run(arguments)
    except Sim2RealError as error:
        print(f"sim2real: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, OSError, ImportError) as error:
        print(f"sim2real: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "sim2real: interrupted; start the same command again (training goes on from its last checkpoint)",
            file=sys.stderr,
        )
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sim2real",
        description="How big is the gap between two physics, what closes it, and did it work?",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("worlds", help="list the worlds, or the parameters and variants of one")
    command.add_argument("world", nargs="?", help="a world's name or folder")
    command.set_defaults(run=_worlds)

    command = commands.add_parser("train", help="pre-train a policy in a source domain")
    command.add_argument("world", help="a world's name or folder")
    command.add_argument(
        "--domain", default="nominal", help="nominal (default), training, or the path of a TOML file"
    )
    command.add_argument("--steps", type=_positive, help="control steps; default per world")
    command.add_argument(
        "--start", help="policy to go on from: a name or folder, or '' for none; default per world"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--out", type=Path, help="folder of the policy; default runs/WORLD-DOMAIN-SEED")
    command.set_defaults(run=_train)

    command = commands.add_parser("transfer", help="fine-tune a policy in a sealed target under a budget")
    command.add_argument("policy", help="a policy's name or folder")
    command.add_argument("--target", required=True, help="a held-out variant, or the path of a TOML domain")
    command.add_argument("--steps", type=_positive, default=50_000, help="budget in control steps")
    command.add_argument("--episodes", type=_positive, help="budget in episodes")
    command.add_argument("--seconds", type=float, help="budget in simulated seconds")
    command.add_argument("--world", help="name or folder of the world; default the one that the policy names")
    command.add_argument("--normalizer", default="frozen", help="frozen (default), adapted or fresh")
    command.add_argument("--seed", type=int, help="default: that of the policy")
    command.add_argument("--out", type=Path, help="folder of the new policy; default runs/POLICY-TARGET")
    command.set_defaults(run=_transfer)

    command = commands.add_parser("evaluate", help="measure policies on held-out physics, with intervals")
    command.add_argument("policies", nargs="+", help="names or folders; policies of one label are its seeds")
    command.add_argument("--world", help="name or folder of the world; default the one that they name")
    command.add_argument("--variants", nargs="+", help="held-out variants; default all")
    command.add_argument("--episodes", type=_positive, default=64, help="per policy and variant")
    command.add_argument("--baseline", default="nominal", help="label that the others are compared with")
    command.add_argument("--out", type=Path, help="folder of the report; default runs/evaluate-WORLD")
    command.set_defaults(run=_evaluate)

    command = commands.add_parser("gap", help="replay recordings of a robot and measure the gap per joint")
    command.add_argument("world", help="a world's name or folder")
    command.add_argument("--recordings", type=Path, required=True, help="folder of recordings")
    command.add_argument("--out", type=Path, help="folder of the report; default runs/gap-WORLD")
    command.set_defaults(run=_gap)

    command = commands.add_parser("demo", help="the whole way once, on the rotary pendulum")
    command.add_argument("--out", type=Path, default=Path("runs/demo"))
    command.set_defaults(run=_demo)
    return parser


def _positive(text: str) -> int:
    value = int(text.replace("_", ""))
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _worlds(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from sim2real.catalog import entries
    from sim2real.world import World

    console = Console()
    if arguments.world is None:
        table = Table("world", "what", "parameters", "held-out variants")
        for name in entries("envs"):
            world = World.load(name)
            held_out = len(world.variants) - 1
            table.add_row(name, world.title, str(len(world.parameters)), str(held_out))
        console.print(table)
        return
    world = World.load(arguments.world)
    table = Table(
        Column("parameter", no_wrap=True), "nominal", "training range", "unit", "source", title=world.title
    )
    for p in world.parameters.values():
        table.add_row(p.name, f"{p.nominal:g}", f"{p.low:g} … {p.high:g}", p.unit, p.source)
    console.print(table)
    table = Table(Column("variant", no_wrap=True), "group", "physics")
    for variant in world.variants.values():
        values = ", ".join(f"{name} {value:g}" for name, value in variant.physics.items())
        table.add_row(variant.name, variant.group, values or "all nominal")
    console.print(table)


def _train(arguments: argparse.Namespace) -> None:
    from sim2real.train.ppo import settings_for, train
    from sim2real.world import World

    world = World.load(arguments.world)
    randomized = not world.domain(arguments.domain).is_point
    settings = settings_for(world, randomized, total_steps=arguments.steps, start=arguments.start)
    domain = Path(arguments.domain).stem
    out = arguments.out or Path("runs") / f"{world.name}-{domain}-{arguments.seed}"
    policy = train(world, out, arguments.domain, arguments.seed, settings, progress=True)
    _print_measured(policy, out)


def _transfer(arguments: argparse.Namespace) -> None:
    from sim2real.policy import Policy
    from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
    from sim2real.transfer.target import Budget, TargetEnv
    from sim2real.world import World

    policy = Policy.load(arguments.policy)
    world = World.load(arguments.world or policy.contract.world)
    if Path(arguments.target).is_file():
        domain = world.domain(arguments.target)
    else:
        domain = world.variant(arguments.target).domain
    budget = Budget(arguments.steps, arguments.episodes, arguments.seconds)
    settings = FineTuneSettings(normalizer=arguments.normalizer)
    seed = policy.contract.seed if arguments.seed is None else arguments.seed
    target = TargetEnv(world, domain, budget, num_envs=min(16, arguments.episodes or 16))
    adapted = fine_tune(policy, target, settings, seed, progress=True)
    out = arguments.out or Path("runs") / f"{policy.name}-{Path(arguments.target).stem}"
    adapted.save(out)
    print(
        f"spent {target.spent.steps:,} steps = {target.spent.seconds:,.0f} s in {target.spent.episodes} "
        f"episodes with {target.spent.falls} falls and {target.spent.limit_hits:,} steps at a joint's end"
    )
    print(f"wrote {out}")


def _evaluate(arguments: argparse.Namespace) -> None:
    from sim2real.policy import Policy
    from sim2real.world import World

    policies = [Policy.load(name) for name in arguments.policies]
    world = World.load(arguments.world or policies[0].contract.world)
    out = arguments.out or Path("runs") / f"evaluate-{world.name}"
    command = "sim2real evaluate " + " ".join(arguments.policies)
    table = _evaluated(world, policies, arguments.variants, arguments.episodes)
    _report(world, table, arguments.baseline, out, command)


def _evaluated(
    world: World, policies: Sequence[Policy], variants: Sequence[str] | None, episodes: int
) -> Episodes:
    from rich.progress import Progress

    from sim2real.evaluate.rollouts import evaluate

    with Progress() as progress:
        task = progress.add_task("evaluate", total=len(policies))
        return evaluate(world, policies, variants, episodes, done=lambda _: progress.advance(task))


def _report(world: World, table: Episodes, baseline: str, out: Path, command: str) -> None:
    from sim2real.evaluate.gap import GapOptions, gap_report
    from sim2real.evaluate.report import write_report
    from sim2real.evaluate.rollouts import references

    met = set(map(str, table["variant"]))
    known = {name: reference for name, reference in references(world).items() if name in met}
    report = gap_report(table, known, GapOptions(title=world.title, baseline=baseline))
    page = write_report(report, table, out, {"command": command})
    _print_report(report)
    print(f"wrote {page}")


def _print_report(report: GapReport) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from sim2real.evaluate.verdict import verdict

    labels, variants = report.labels, report.variants
    grid = Table(
        Column("variant", no_wrap=True),
        *(f"{label}\nscore · success" for label in labels),
        title=report.title,
    )
    for variant in variants:
        cells = [report.cell(label, variant) for label in labels]
        grid.add_row(variant, *(f"{c.score.value:.1f} · {c.success.value:.2f}" if c else "–" for c in cells))
    console = Console()
    console.print(grid)
    gap, closed, hurt = verdict(report)
    console.print(gap, *([closed] if isinstance(closed, str) else closed), hurt, sep="\n", highlight=False)


def _gap(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from sim2real.evaluate.replay import replay_gap
    from sim2real.evaluate.replay_report import write_replay_report
    from sim2real.evaluate.replay_summary import replay_tables, verdict
    from sim2real.recordings import load_recordings
    from sim2real.world import World

    world = World.load(arguments.world)
    gap = replay_gap(world, load_recordings(arguments.recordings))
    page = write_replay_report(gap, arguments.out or Path("runs") / f"gap-{world.name}")
    console = Console()
    for table in replay_tables(gap):
        console.print(table)
    console.print(verdict(gap), highlight=False)
    print(f"wrote {page}")


def _demo(arguments: argparse.Namespace) -> None:
    from sim2real.demo import demo_policies

    out: Path = arguments.out
    world, policies = demo_policies(out)
    _report(world, _evaluated(world, policies, None, 64), "nominal", out, f"sim2real demo --out {out}")


def _print_measured(policy: Policy, out: Path) -> None:
    numbers = ", ".join(f"{name.replace('_', ' ')} {v:.3g}" for name, v in policy.contract.measured.items())
    print(f"{numbers}\nwrote {out}")
