"""A matrix as a table and a figure: rows trained, columns run, a cell's colour its success or its return."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sim2real.evaluate.episode_table import Episodes, told_apart
from sim2real.evaluate.episodes_file import write_episodes
from sim2real.evaluate.gap import Cell, GapOptions, gap_report
from sim2real.evaluate.matrix import Matrix
from sim2real.evaluate.statistics import Estimate
from sim2real.report.page import Section
from sim2real.report.plots import panels
from sim2real.report.style import INK, style, write_results
from sim2real.report.tables import NONE, Rows, Table, estimate
from sim2real.report.tables import Cell as TableCell


def matrix_of(episodes: Episodes) -> Matrix:
    """The matrix of saved episodes, without what was refused."""
    first = str(told_apart(episodes["label"], episodes["lineage"])[0])
    report = gap_report(episodes, {}, GapOptions("trained here, run there", first))
    return Matrix(report, episodes, {})


def write_matrix(found: Matrix, folder: Path) -> None:
    """Write ``matrix.parquet``, its episodes, and ``matrix.png`` into a folder."""
    episodes = partial(write_episodes, found.episodes)
    write_results(folder, {"matrix.parquet": episodes, "matrix.png": draw_matrix(found)})


def matrix_section(found: Matrix) -> Section:
    """Methods trained here, run there, and what was refused."""
    report = found.report
    rows: Rows = [[label, *(_run(report.cell(label, v)) for v in report.variants)] for label in report.labels]
    table = Table("Trained (rows), run (columns)", ["trained", *report.variants], rows)
    lead = "Mean return with its 95 % interval over training seeds" + " · success" * report.tells_success
    refused = [f"{row} was not run in {column}: {why}" for (row, column), why in found.refused.items()]
    said = ". ".join([lead, *refused]) + "."
    return Section("The matrix: trained here, run there", said, [table], draw_matrix(found))


def _run(cell: Cell | None) -> TableCell:
    success = "" if cell is None or cell.success is None else f"· {cell.success.value:.2f}"
    return NONE if cell is None else estimate(cell.returns, digits=0, note=success)


@style()
def draw_matrix(found: Matrix) -> Figure:
    """Means with their intervals below, on a ground that is lighter the better."""
    report = found.report
    places = [(report.labels.index(c.label), report.variants.index(c.variant)) for c in report.cells]
    values = np.full((len(report.labels), len(report.variants)), np.nan)
    for place, cell in zip(places, report.cells, strict=True):
        values[place] = (cell.success or cell.returns).value
    width, height = 2.6 + 1.7 * len(report.variants), 1.5 + 0.72 * len(report.labels)
    title = f"{report.title}: trained (rows), run (columns)"
    figure, (axes,) = panels(height, title, grid="", width=width)
    low, high = (0.0, 1.0) if report.tells_success else (None, None)
    image = axes.imshow(values, cmap="cividis", aspect="auto", vmin=low, vmax=high)
    for (row, column), cell in zip(places, report.cells, strict=True):
        colour = INK if image.to_rgba(values[row, column])[1] > 0.5 else "white"
        success = f" · {cell.success.value:.2f}" if cell.success else ""
        text = f"{cell.returns.value:.0f}{success}\n{_ends(cell.returns)}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=colour)
    axes.set_xticks(range(len(report.variants)), report.variants)
    axes.set_yticks(range(len(report.labels)), report.labels)
    axes.xaxis.tick_top()
    axes.tick_params(labelsize=9, labelcolor=INK)
    what = "mean return · success" if report.tells_success else "mean return"
    axes.set_xlabel(f"{what}; below, the 95 % interval of the return")
    return figure


def _ends(estimate: Estimate) -> str:
    if estimate.interval is None:
        return "no interval"
    return f"[{estimate.interval[0]:.0f}, {estimate.interval[1]:.0f}]"
