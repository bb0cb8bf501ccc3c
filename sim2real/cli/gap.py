"""Replay recordings of a robot, if the log doctor lets them pass."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import add_recordings
from sim2real.cli.recordings import taken_in
from sim2real.cli.terminal import command_line, console, working

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("gap", help="replay recordings of a robot and measure the gap per joint")
    command.add_argument("world", help="a world's name or folder")
    command.add_argument("--recordings", type=Path, required=True, help="folder of recordings")
    command.add_argument(
        "--physics",
        type=Path,
        help="TOML of a domain whose middle to replay under, such as identify's point.toml; default nominal",
    )
    add_recordings(command)
    command.add_argument("--out", type=Path, help="folder of the report; default runs/gap-WORLD")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.doctor import BAD_DATA, verdict_sentence
    from sim2real.errors import InvalidValue
    from sim2real.evaluate.replay import replay_gap
    from sim2real.evaluate.replay_summary import replay_tables, verdict
    from sim2real.report.replay import write_replay_report
    from sim2real.world import World

    world = World.load(arguments.world)
    physics = None
    if arguments.physics:
        if not arguments.physics.is_file():
            raise InvalidValue(
                f"no file {arguments.physics}; give a domain's TOML, such as point.toml of sim2real identify"
            )
        physics = world.domain(str(arguments.physics)).median()
    out = arguments.out or Path("runs") / f"gap-{world.name}"
    taken = taken_in(world, arguments, out)
    if taken.diagnosis.verdict == BAD_DATA:
        print(verdict_sentence(taken.diagnosis))
    recordings, show = taken.recordings, console()
    with working(show, f"replaying {len(recordings)} recordings"):
        gap = replay_gap(world, recordings, physics, horizons=True)
    page = write_replay_report(gap, out, {"command": command_line()})
    for table in replay_tables(gap):
        show.print(table)
    nominal = None if physics is None else replay_gap(world, recordings)
    show.print(verdict(gap, nominal))
    print(f"wrote {page}")
