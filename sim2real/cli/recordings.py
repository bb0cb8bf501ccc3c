"""The log doctor."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.terminal import command_line, console

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands
    from sim2real.doctor import Diagnosis, ScreenedRecordings
    from sim2real.world import World


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "recordings", help="the log doctor: what is wrong with recordings, and where"
    )
    command.add_argument("folder", type=Path, help="a folder of recordings, or one of them")
    command.add_argument("--world", help="name or folder of the world whose joints and ranges they must fit")
    command.add_argument(
        "--unwrap", action="store_true", help="take jumps by a whole turn out of the recordings' angles"
    )
    command.add_argument("--out", type=Path, default=Path("runs/recordings"), help="folder of the page")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it; 1 for logs that nothing should be fitted to."""
    from sim2real.doctor import BAD_DATA, diagnose, expected_of, tables, verdict_sentence
    from sim2real.recordings import read_raw
    from sim2real.report.doctor import write_diagnosis
    from sim2real.world import World

    expected = expected_of(World.load(arguments.world)) if arguments.world else None
    diagnosis = diagnose(read_raw(arguments.folder, arguments.unwrap), expected)
    page = write_diagnosis(diagnosis, arguments.out, str(arguments.folder), command_line())
    show = console()
    for table in tables(diagnosis):
        show.print(table)
    show.print(verdict_sentence(diagnosis))
    print(f"wrote {page}")
    return int(diagnosis.verdict == BAD_DATA)


def taken_in(world: World, arguments: argparse.Namespace, out: Path) -> ScreenedRecordings:
    """Recordings for a replay or a fit, with the doctor's page in a folder of its own."""
    from sim2real.doctor.screening import PAGE, screen_recordings
    from sim2real.report.doctor import write_diagnosis

    def show(diagnosis: Diagnosis) -> Path:
        return write_diagnosis(diagnosis, out / PAGE, str(arguments.recordings), command_line())

    return screen_recordings(world, arguments.recordings, arguments.allow_bad_data, arguments.unwrap, show)
