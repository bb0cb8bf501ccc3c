"""List transfer methods: what each does, needs, costs and risks."""

from __future__ import annotations

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import IMPORT
from sim2real.cli.terminal import console


@command(
    "methods",
    option("name", nargs="?", help="a method, for its settings"),
    IMPORT,
)
def run(arguments: Arguments) -> None:
    """Ways to transfer a policy: needs, costs, risks, settings."""
    from rich.table import Column, Table

    from sim2real.transfer.methods import METHODS, settings_of

    show = console()
    if arguments.name:
        grid = Table("setting", "default", title=f"{arguments.name}: {METHODS[arguments.name].card.does}")
        for name, default in settings_of(arguments.name).items():
            grid.add_row(name, str(default))
    else:
        names = Column("method", no_wrap=True)
        grid = Table(names, "does", "needs", "costs beside the budget", "risk")
        for name, factory in METHODS.items():
            card = factory.card
            does = f"{card.does} ({card.paper})" if card.paper else card.does
            grid.add_row(name, does, ", ".join(card.needs), card.costs, card.risk)
    show.print(grid)
