"""What to measure on the robot next: what knowing each parameter of a target is worth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import positive
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import console, counting

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands
    from sim2real.evaluate.statistics import Estimate
    from sim2real.transfer.worth import WorthOfKnowing


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("worth", help="which parameter is worth measuring on the robot next?")
    command.add_argument("policies", nargs="+", metavar="POLICY", help="seeds of one method, each goes on")
    command.add_argument("--target", required=True, help="held-out variant of one physics")
    command.add_argument(
        "--parameters", nargs="+", help="that could be measured; default those in which the target differs"
    )
    command.add_argument("--halved", action="store_true", help="also: what is halving its range worth?")
    command.add_argument("--steps", type=positive, default=200_000, help="of each training (200000)")
    command.add_argument("--episodes", type=positive, default=64, help="in the target, per policy (64)")
    command.add_argument("--world", help="name or folder of the world; default the one that policies name")
    command.add_argument("--out", type=Path, help="folder of the results; default runs/worth-WORLD-TARGET")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    import json
    from dataclasses import asdict

    from sim2real.evaluate.rollouts import Trials
    from sim2real.files import write_text
    from sim2real.policy import Policy
    from sim2real.transfer.worth import Question, arms, worth_of_knowing

    policies = [Policy.load(name) for name in arguments.policies]
    world = load_world(arguments.world or policies[0].contract.world, arguments)
    parameters = tuple(arguments.parameters) if arguments.parameters else None
    question = Question(arguments.steps, parameters, arguments.halved, Trials(arguments.episodes))
    count = len(arms(world, world.variant(arguments.target), question)) * len(policies)
    out = arguments.out or Path("runs") / f"worth-{world.path.name}-{arguments.target}"
    with counting(console(), "trainings", count) as tell:
        found = worth_of_knowing(world, policies, arguments.target, out, question, tell)
    text = json.dumps(asdict(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(out / "worth.json", text)
    print_worth(found)
    print(f"wrote {out / 'worth.json'}")


def print_worth(found: WorthOfKnowing) -> None:
    """Print what each parameter is worth, and which to measure first."""
    from rich.table import Column, Table

    half = any(one.halved for one in found.parameters)
    heads = ["known", "in the target", "gained", "of the gap is left", *(["range halved"] if half else [])]
    table = Table(Column(heads[0], no_wrap=True), *heads[1:], title=f"{found.world}, {found.target}")
    for one in found.parameters:
        left = "–" if one.left is None else _told(one.left, 100, " %")
        row = [one.name, f"{one.value:g}", _told(one.gained), left]
        table.add_row(*row, *([_told(one.halved)] if one.halved else ["–"] if half else []))
    show = console()
    show.print(table)
    show.print(
        f"“{found.label}” policies that went on knowing nothing of the target reach {_told(found.nothing)} "
        f"there, those that knew all of these {_told(found.everything)}. {found.trainings} trainings of "
        f"{found.steps:,} steps in the source.",
        soft_wrap=True,
    )
    sure = [one for one in found.parameters if one.gained.interval and one.gained.interval[0] > 0]
    if sure:
        show.print(
            f"Measure {sure[0].name} first; sim2real identify suggests a motion for it.", soft_wrap=True
        )
    else:
        show.print("None is shown to be worth measuring by itself at this budget.", soft_wrap=True)


def _told(estimate: Estimate, scale: float = 1.0, unit: str = "") -> str:
    value = f"{estimate.value * scale:.1f}{unit}"
    if estimate.interval is None:
        return f"{value}, no interval"
    low, high = (end * scale for end in estimate.interval)
    return f"{value} [{low:.1f}, {high:.1f}]"
