"""Tables, told once for the page, the CSV and the terminal: what stands in a cell, and how it is sorted."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from sim2real.evaluate.statistics import Estimate
from sim2real.evaluate.verdict import number, why_no_interval


@dataclass(frozen=True)
class Cell:
    """What stands in a table."""

    text: str
    small: str = ""
    """Said beside it, smaller."""
    value: float | None = None
    """What the column is sorted by, and what the CSV has; by default the text."""
    interval: tuple[float, float] | None = None
    kind: str = ""
    """Class of the style sheet, such as ``helps``, ``na``, ``long`` or ``badge bad``."""
    series: int | None = None
    """Number of the colour that it has in figures."""
    range: tuple[float, float, float, float] | None = None
    """Drawn as a bar: ends of an interval, value and nominal value, in percent of its width."""
    spark: tuple[str, ...] = ()
    """Polylines of a tiny picture, as SVG writes their points."""
    chart: int | None = None
    """Number of the recording that a click on it shows in the page's chart."""


def badge(text: str, tone: str) -> Cell:
    """A word on a ground that is ``good``, ``fair`` or ``bad``."""
    return Cell(text, kind=f"badge {tone}")


def long(text: str) -> Cell:
    """A sentence, which is broken into lines."""
    return Cell(text, kind="long")


def numeral(value: float, form: str, unit: str = "") -> Cell:
    """A number in a format of its own, such as ``.2f``; a dash for one that is undefined."""
    return Cell(f"{value:{form}}{unit}", value=float(value)) if math.isfinite(value) else NONE


NONE = Cell("–", kind="na")
_NAME = 40  # letters of a name that a terminal has room for on one line
Value: TypeAlias = Cell | Estimate | str | float | None
"""What can stand in a cell: a number has four digits there, an estimate its interval, None a dash."""
Rows: TypeAlias = Sequence[Sequence[Value]]


@dataclass(frozen=True)
class Table:
    """A table that can be sorted, and taken along as CSV.

    Its first column names the rows.
    """

    title: str
    head: Sequence[Cell | str]
    rows: Rows
    note: str = ""
    page_only: Sequence[str] = ()
    """Headings of columns that only a page has room for."""

    @classmethod
    def of(
        cls, title: str, rows: Sequence[Mapping[str, Value]], note: str = "", page_only: Sequence[str] = ()
    ) -> Table:
        """A table of rows that say under which heading each value stands, all under the same."""
        head = list(rows[0]) if rows else []
        return cls(title, head, [list(row.values()) for row in rows], note, page_only)

    @property
    def cells(self) -> list[list[Cell]]:
        """The head and the rows, each of cells."""
        return [list(map(_cell, row)) for row in (self.head, *self.rows)]

    @property
    def grid(self) -> Grid:
        """For a terminal; names are never markup."""
        head, *rows = self.cells
        shown = [k for k, cell in enumerate(head) if cell.text not in self.page_only]
        short = all(len(row[0].text) <= _NAME for row in rows)
        columns = [Column(Text(head[k].text), overflow="fold", no_wrap=k == 0 and short) for k in shown]
        grid = Grid(*columns, title=Text(self.title, "table.title"))
        for row in rows:
            grid.add_row(*(_text(row[k]) for k in shown))
        return grid

    @property
    def csv_url(self) -> str:
        """The CSV as an address that holds it, so that no network is needed."""
        return "data:text/csv;charset=utf-8," + quote(self.csv)

    @property
    def csv(self) -> str:
        """Numbers in full, the ends of their intervals in columns of their own."""
        head, *cells = self.cells
        wide = [any(row[k].interval for row in cells) for k in range(len(head))]
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        heads = (
            [c.text, f"{c.text}, low", f"{c.text}, high"] if w else [c.text]
            for c, w in zip(head, wide, strict=True)
        )
        lines.writerow([name for head in heads for name in head])
        for row in cells:
            lines.writerow([v for cell, w in zip(row, wide, strict=True) for v in _values(cell, w)])
        return text.getvalue()


_STYLES = {
    "helps": "green", "helped": "green", "hurts": "red", "hurt": "red", "na": "dim", "undecided": "dim",
    "badge good": "green", "badge fair": "yellow", "badge bad": "bold red",
}  # fmt: skip


def _cell(value: Value) -> Cell:
    if isinstance(value, Cell):
        return value
    if isinstance(value, str):
        return Cell(value)
    if isinstance(value, Estimate):
        return estimate(value)
    if value is None or math.isnan(value):
        return NONE
    return Cell(f"{value:,}" if isinstance(value, int) else f"{value:.4g}", value=value)


def _text(cell: Cell) -> Text:
    small = (f" {cell.small}" if cell.text else cell.small) if cell.small else ""
    return Text.assemble((cell.text, _STYLES.get(cell.kind, "")), (small, "dim"))


def _values(cell: Cell, with_interval: bool) -> Iterator[float | str]:
    yield cell.text if cell.value is None else cell.value
    if with_interval:
        yield from cell.interval or ("", "")


def estimate(
    found: Estimate | None, scale: float = 1.0, digits: int = 1, unit: str = "", note: str = ""
) -> Cell:
    """A cell with a value and, smaller, its interval or why there is none, and a note."""
    if found is None or math.isnan(found.value):
        return Cell("NA" if found is None else "undefined", kind="na")
    value, _, rest = number(found, scale, digits).partition(" ")
    if found.interval is None:
        return Cell(
            f"{value.rstrip(',')}{unit}", f"{why_no_interval(found)} {note}".strip(), found.value * scale
        )
    low, high = found.interval
    return Cell(f"{value}{unit}", f"{rest} {note}".strip(), found.value * scale, (low * scale, high * scale))
