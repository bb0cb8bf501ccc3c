"""The worlds of the catalogue, or the parameters and variants of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import IMPORT
from sim2real.cli.terminal import console

if TYPE_CHECKING:
    from rich.table import Table

    from sim2real.io_table import IoTable


@command(
    "worlds",
    option("world", nargs="?", help="a world's name or folder, or gym:ID of a gymnasium env"),
    IMPORT,
)
def run(arguments: Arguments) -> None:
    """List the worlds, or the parameters and variants of one."""
    from rich.table import Column, Table

    from sim2real.catalog import entries
    from sim2real.world import World, with_default_parameters

    show = console()
    if arguments.world is None:
        table = Table("world", "what", "parameters", "held-out variants")
        for name in entries("envs"):
            world = World.load(name)
            held_out = len(world.variants) - 1
            table.add_row(name, world.title, str(len(world.parameters)), str(held_out))
        show.print(table)
        return
    world = World.load(arguments.world)
    table = Table(
        Column("parameter", no_wrap=True), "nominal", "training range", "unit", "source", title=world.title,
        caption=None if world.parameters else "physics.toml names none; these and others can be named",
    )  # fmt: skip
    for p in with_default_parameters(world).parameters.values():
        table.add_row(p.name, f"{p.nominal:g}", f"{p.low:g} … {p.high:g}", p.unit, p.source)
    show.print(table)
    table = Table(Column("variant", no_wrap=True), "group", "physics")
    for variant in world.variants.values():
        values = ", ".join(f"{name} {value:g}" for name, value in variant.physics.items())
        table.add_row(variant.name, variant.group, values or "all nominal")
    show.print(table)
    if world.io is not None:
        show.print(_seen_and_driven(world.io))


def _seen_and_driven(io: IoTable) -> Table:
    """What a policy sees and drives, by its numbers from 0 on."""
    from rich.table import Column, Table

    table = Table(
        Column("numbers", no_wrap=True), "term", "factor", "of", title="what the policy sees and drives"
    )
    for what, terms in (("sees", io.observation), ("drives", io.action)):
        first = 0
        for term in terms:
            size, factors = len(term.scale) * term.history, list(dict.fromkeys(term.scale))
            past = f", {term.history} steps" if term.history > 1 else ""
            of = ", ".join(term.joints or term.bodies)
            shown = ", ".join(f"{factor:g}" for factor in factors)
            table.add_row(f"{what} {first} … {first + size - 1}", term.name + past, shown, of)
            first += size
    return table
