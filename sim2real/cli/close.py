"""From recordings of a robot, or a sealed target, to a policy that suits it, in one command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import add_recordings, positive
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import command_line, console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim2real.cli.arguments import Commands
    from sim2real.close import Closing, Sealed
    from sim2real.policy import Policy
    from sim2real.world import World


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "close", help="from recordings to a policy: doctor, identify, go on training, evaluate"
    )
    command.add_argument("world", help="a world's name or folder")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--recordings", type=Path, help="folder of recordings of the robot")
    source.add_argument(
        "--target", help="a held-out variant, or a TOML file of one physics, sealed: it records by itself"
    )
    command.add_argument(
        "--policy", nargs="+", help="policies to go on from, the seeds of one method; default WORLD-nominal-0"
    )
    command.add_argument("--free", nargs="+", default=(), help="parameters to identify; default the world's")
    command.add_argument("--steps", type=positive, default=300_000, help="of continued training, per policy")
    command.add_argument("--episodes", type=positive, default=64, help="per policy and physics")
    command.add_argument("--variants", nargs="+", default=(), help="held-out variants to evaluate in as well")
    command.add_argument("--budget-episodes", type=positive, default=10, help="of a target (default 10)")
    command.add_argument("--rounds", type=positive, default=1, help="in a target: record, identify, train")
    add_recordings(command)
    command.add_argument("--out", type=Path, help="folder; default runs/close-WORLD, with -TARGET")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it; the exit status is the identification's."""
    from sim2real.cli.evaluate import print_report
    from sim2real.policy import Policy

    world = load_world(arguments.world, arguments)
    world.check_replayable()
    policies = [Policy.load(name) for name in arguments.policy or [f"{world.name}-nominal-0"]]
    closing = _road(arguments, world, policies)
    for name, learnt in closing.identified.items():
        for verdict in learnt.verdicts:
            print(f"{name}: {verdict.name}: {verdict.text}")
        if learnt.spent is not None:
            spent = learnt.spent
            print(f"{name}: spent {spent.steps:,} steps in {spent.episodes} episodes, {spent.falls} falls")
    print_report(closing.report)
    print(f"wrote {closing.page}")
    return closing.exit_code


def _road(arguments: argparse.Namespace, world: World, policies: Sequence[Policy]) -> Closing:
    from sim2real.close import CloseSettings, close_gap, close_on_target
    from sim2real.evaluate.rollouts import Trials
    from sim2real.identify.identify import Options
    from sim2real.transfer.console import ConsoleWatch

    with ConsoleWatch(console()) as watch:
        settings = CloseSettings(
            arguments.steps,
            variants=tuple(arguments.variants),
            trials=Trials(arguments.episodes),
            options=Options(free=tuple(arguments.free)),
            allow_bad=arguments.allow_bad_data,
            unwrap=arguments.unwrap,
            facts={
                "command": command_line(),
                "continued training": f"{arguments.steps:,} control steps a policy",
            },
            watch=watch,
        )
        if arguments.recordings:
            out = arguments.out or Path("runs") / f"close-{world.name}"
            return close_gap(world, arguments.recordings, policies, out, settings)
        sealed = _sealed(arguments, world)
        out = arguments.out or Path("runs") / f"close-{world.name}-{sealed.variant.name}"
        return close_on_target(world, sealed, policies, out, settings)


def _sealed(arguments: argparse.Namespace, world: World) -> Sealed:
    from sim2real.close import Sealed
    from sim2real.domain import Domain
    from sim2real.errors import InvalidValue, UnknownName
    from sim2real.world import Variant

    path = Path(arguments.target)
    if path.is_file():
        domain = world.domain(str(path))
        if not domain.is_point:
            raise InvalidValue(f"{path} is a distribution; a target is one physics, each parameter a value")
        variant = Variant(path.stem, "combined", domain.median())
    else:
        variant = world.variant(arguments.target)
    box = world.training_domain.parameters
    for name in arguments.free:
        if name not in box:
            raise UnknownName(f"parameter with a training range in {world.name}", name, box)
    bounds = Domain({name: box[name] for name in arguments.free}) if arguments.free else None
    return Sealed(variant, arguments.budget_episodes, arguments.rounds, bounds=bounds)
