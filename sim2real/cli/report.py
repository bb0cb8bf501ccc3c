"""Put several runs into one page."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.terminal import command_line


@command(
    "report",
    option("runs", nargs="+", type=Path, metavar="RUN", help="folders of results of one world"),
    option("--baseline", help="label that the others are compared with; default the first run's"),
    option("--out", type=Path, default=Path("runs/report"), help="folder; default runs/report"),
)
def run(arguments: Arguments) -> None:
    """Several runs in one page: evaluate, attribute, worst, play."""
    from sim2real.cli.evaluate import print_report
    from sim2real.report.runs import write_runs

    page, report = write_runs(arguments.runs, arguments.out, arguments.baseline, command_line())
    if report is None:
        print(f"wrote {page}")
    else:
        print_report(report, page)
