"""What was found, shown in the terminal as a page shows it: its tables, and what is said there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.terminal import console

if TYPE_CHECKING:
    from sim2real.report.page import Section
    from sim2real.report.tables import Table


def show_tables(*tables: Table) -> None:
    """Print tables of a page that have rows, each with what is said above it."""
    show = console()
    for table in tables:
        if table.rows:
            show.print(table.grid)
        if table.note:
            show.print(table.note, soft_wrap=True)


def show_sections(*sections: Section) -> None:
    """Print the tables of a page's sections, and what is said there."""
    for section in sections:
        show_tables(*section.tables)
        if section.lead:
            console().print(section.lead, soft_wrap=True)


def save_and_show(found: object, section: Section, path: Path, picture: str) -> None:
    """Write a dataclass as JSON, with its section's figure beside it, and print the section."""
    from sim2real.files import write_together
    from sim2real.report.plain import as_json
    from sim2real.report.style import save_png

    figure = section.figure
    assert figure is not None
    write_together(path.parent, {path.name: as_json(found), picture: lambda place: save_png(figure, place)})
    show_sections(section)
    print(f"wrote {path.with_name(picture)} and {path.name} beside it")
