"""What to measure on the robot next: what knowing each parameter of a target is worth."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.arguments import positive
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import TASK, load_world
from sim2real.cli.show import show_sections
from sim2real.cli.terminal import counting


@command(
    "worth",
    option("policies", nargs="+", metavar="POLICY", help="seeds of one method, each goes on"),
    option("--target", required=True, help="held-out variant of one physics"),
    option(
        "--parameters", nargs="+", help="that could be measured; default those in which the target differs"
    ),
    option("--halved", action="store_true", help="also: what is halving its range worth?"),
    option("--steps", type=positive, default=200_000, help="of each training (200000)"),
    option("--episodes", type=positive, default=64, help="in the target, per policy (64)"),
    option("--world", help="name or folder of the world; default the one that policies name"),
    option("--out", type=Path, help="folder of the results; default runs/worth-WORLD-TARGET"),
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Which parameter is worth measuring on the robot next?"""
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
