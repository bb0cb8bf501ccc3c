"""The log doctor."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import UNWRAP
from sim2real.cli.show import show_tables
from sim2real.cli.terminal import command_line, console


@command(
    "recordings",
    option("folder", type=Path, help="a folder of recordings, or one of them"),
    option("--world", help="name or folder of the world whose joints and ranges they must fit"),
    UNWRAP,
    option("--out", type=Path, default=Path("runs/recordings"), help="folder of the page"),
)
def run(arguments: Arguments) -> int:
    """The log doctor: what is wrong with recordings, and where.

    The exit status is 1 for logs that nothing should be fitted to.
    """
    from sim2real.doctor import BAD_DATA, verdict_sentence
    from sim2real.pipelines.recordings import RecordingSettings, diagnose
    from sim2real.report.doctor import finding_table, recording_table

    settings = RecordingSettings(unwrap=arguments.unwrap, facts={"command": command_line()})
    diagnosis = diagnose(arguments.folder, arguments.world, arguments.out, settings)
    show_tables(finding_table(diagnosis), recording_table(diagnosis))
    console().print(verdict_sentence(diagnosis))
    print(f"wrote {arguments.out / 'recordings.html'}")
    return int(diagnosis.verdict == BAD_DATA)
