"""What to measure on the robot next: what knowing each parameter of a target is worth."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim2real.cli.arguments import Commands, positive
from sim2real.cli.show import show_sections
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import counting


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
    from sim2real.evaluate.rollouts import Trials
    from sim2real.pipelines.transfer_studies import worth_of_knowing
    from sim2real.policy import Policy
    from sim2real.report.run_sections import worth_section
    from sim2real.transfer.worth import Question

    policies = [Policy.load(name) for name in arguments.policies]
    world = load_world(arguments.world or policies[0].contract.world, arguments)
    parameters = tuple(arguments.parameters) if arguments.parameters else None
    question = Question(arguments.steps, parameters, arguments.halved, Trials(arguments.episodes))
    out = arguments.out or Path("runs") / f"worth-{world.path.name}-{arguments.target}"
    found = worth_of_knowing(world, policies, arguments.target, out, question, counting)
    show_sections(worth_section(found))
    print(f"wrote {out / 'worth.png'} and worth.json beside it")
