"""What was found, shown in the terminal as a page shows it: its tables, and what is said there."""

from __future__ import annotations

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
