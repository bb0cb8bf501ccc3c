"""Whether simulated results tell what real ones will be."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.show import show_sections


@command(
    "predict",
    option("results", type=Path, help="CSV or Parquet; see sim2real.evaluate.results_file"),
    option("--simulated", nargs="+", required=True, metavar="NAME", help="columns, or values of environment"),
    option("--real", required=True, metavar="NAME", help="the column or value to predict"),
    option("--by", metavar="COLUMN", help="such as task: each of its values is judged apart"),
    option("--measure", choices=("success", "return"), help="of episodes; default success"),
    option(
        "--json",
        type=Path,
        metavar="FILE",
        help="where the numbers go; as predictivity.json in a folder, sim2real report shows them",
    ),
)
def run(arguments: Arguments) -> None:
    """Does simulation predict reality? from results of several policies in both."""
    from sim2real.pipelines.agreement import predict
    from sim2real.report.decisions import prediction_section

    simulated, by, measure = arguments.simulated, arguments.by, arguments.measure
    found = predict(arguments.results, simulated, arguments.real, by, measure, arguments.json)
    for group, prediction in found.items():
        show_sections(prediction_section(group, prediction))
