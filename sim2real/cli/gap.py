"""Replay recordings of a robot, if the log doctor lets them pass."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import RECORDINGS, WORLD
from sim2real.cli.show import show_tables
from sim2real.cli.terminal import command_line, console, working


@command(
    "gap",
    WORLD,
    option("--recordings", type=Path, required=True, help="folder of recordings"),
    option(
        "--physics",
        type=Path,
        help="TOML of a domain whose middle to replay under, such as identify's point.toml; default nominal",
    ),
    *RECORDINGS,
    option("--out", type=Path, help="folder of the report; default runs/gap-WORLD"),
)
def run(arguments: Arguments) -> None:
    """Replay recordings of a robot and measure the gap per joint."""
    from contextlib import ExitStack

    from sim2real.doctor import BAD_DATA, verdict_sentence
    from sim2real.domain import Domain
    from sim2real.errors import InvalidValue
    from sim2real.pipelines.gap import gap
    from sim2real.pipelines.recordings import RecordingSettings
    from sim2real.report.replay import replay_tables
    from sim2real.world import World

    world, physics = World.load(arguments.world), arguments.physics
    if physics and not physics.is_file():
        raise InvalidValue(
            f"no file {physics}; give a domain's TOML, such as point.toml of sim2real identify"
        )
    out = arguments.out or Path("runs") / f"gap-{world.name}"
    settings = RecordingSettings(arguments.allow_bad_data, arguments.unwrap, {"command": command_line()})
    show = console()
    with ExitStack() as stack:
        found = gap(
            world,
            arguments.recordings,
            Domain.load(physics) if physics else None,
            out,
            settings,
            lambda count: stack.enter_context(working(show, f"replaying {count} recordings")),
        )
    if found.diagnosis.verdict == BAD_DATA:
        print(verdict_sentence(found.diagnosis))
    show_tables(*replay_tables(found.replay))
    show.print(found.verdict)
    print(f"wrote {found.page}")
