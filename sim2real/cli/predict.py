"""Whether simulated results tell what real ones will be."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim2real.cli.arguments import Commands
from sim2real.cli.show import show_sections


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "predict", help="does simulation predict reality? from results of several policies in both"
    )
    command.add_argument("results", type=Path, help="CSV or Parquet; see sim2real.evaluate.results_file")
    command.add_argument(
        "--simulated", nargs="+", required=True, metavar="NAME", help="columns, or values of environment"
    )
    command.add_argument("--real", required=True, metavar="NAME", help="the column or value to predict")
    command.add_argument("--by", metavar="COLUMN", help="such as task: each of its values is judged apart")
    command.add_argument("--measure", choices=("success", "return"), help="of episodes; default success")
    command.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="where the numbers go; as predictivity.json in a folder, sim2real report shows them",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.pipelines.agreement import predict
    from sim2real.report.decisions import prediction_section

    simulated, by, measure = arguments.simulated, arguments.by, arguments.measure
    found = predict(arguments.results, simulated, arguments.real, by, measure, arguments.json)
    for group, prediction in found.items():
        show_sections(prediction_section(group, prediction))
