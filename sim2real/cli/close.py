"""From recordings of a robot, or a sealed target, to a policy that suits it, in one command."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.arguments import positive
from sim2real.cli.command import Arguments, command, either, option
from sim2real.cli.options import RECORDINGS, TASK, WORLD, load_world
from sim2real.cli.terminal import command_line, console


@command(
    "close",
    WORLD,
    either(
        option("--recordings", type=Path, help="folder of recordings of the robot"),
        option(
            "--target", help="a held-out variant, or a TOML file of one physics, sealed: it records by itself"
        ),
        required=True,
    ),
    option(
        "--policy", nargs="+", help="policies to go on from, the seeds of one method; default WORLD-nominal-0"
    ),
    option("--free", nargs="+", default=(), help="parameters to identify; default the world's"),
    option("--steps", type=positive, default=300_000, help="of continued training, per policy"),
    option("--episodes", type=positive, default=64, help="per policy and physics"),
    option("--variants", nargs="+", default=(), help="held-out variants to evaluate in as well"),
    option("--budget-episodes", type=positive, default=10, help="of a target (default 10)"),
    option("--rounds", type=positive, default=1, help="in a target: record, identify, train"),
    *RECORDINGS,
    option("--out", type=Path, help="folder; default runs/close-WORLD, with -TARGET"),
    *TASK,
)
def run(arguments: Arguments) -> int:
    """From recordings to a policy: doctor, identify, go on training, evaluate.

    The exit status is the identification's.
    """
    from sim2real.cli.evaluate import print_report
    from sim2real.evaluate.rollouts import Trials
    from sim2real.identify.options import Options
    from sim2real.pipelines.close import CloseSettings, Sealed, close
    from sim2real.transfer.console import ConsoleWatch

    world, target = load_world(arguments.world, arguments), None
    if arguments.target:
        budget = arguments.budget_episodes, arguments.rounds
        target = Sealed.named(world, arguments.target, *budget, arguments.free)
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
        closing = close(world, arguments.recordings, target, arguments.policy or (), arguments.out, settings)
    for name, found in closing.identified.items():
        for verdict in found.verdicts:
            print(f"{name}: {verdict.name}: {verdict.text}")
        if found.spent is not None:
            spent = found.spent
            print(f"{name}: spent {spent.steps:,} steps in {spent.episodes} episodes, {spent.falls} falls")
    print_report(closing.report, closing.page)
    return closing.exit_code
