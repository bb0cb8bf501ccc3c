"""The log doctor."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim2real.cli.arguments import Commands
from sim2real.cli.show import show_tables
from sim2real.cli.terminal import command_line, console


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
    from sim2real.doctor import BAD_DATA, verdict_sentence
    from sim2real.pipelines.recordings import RecordingSettings, diagnose
    from sim2real.report.doctor import finding_table, recording_table

    settings = RecordingSettings(unwrap=arguments.unwrap, facts={"command": command_line()})
    diagnosis = diagnose(arguments.folder, arguments.world, arguments.out, settings)
    show_tables(finding_table(diagnosis), recording_table(diagnosis))
    console().print(verdict_sentence(diagnosis))
    print(f"wrote {arguments.out / 'recordings.html'}")
    return int(diagnosis.verdict == BAD_DATA)
