"""What transfer reaches on every world, and what it costs the source, into ``policies/transfer.md``.

    python scripts/methods_worlds.py                  # every world with references, three seeds
    python scripts/methods_worlds.py --ship           # and each world's best policies into policies/
    python scripts/methods_worlds.py hopper push --target bullet_combined  # into transfer_bullet_combined.md
    python scripts/methods_worlds.py --quick          # one world, method and seed, a single update

From the nominal policies of a world to its sealed *combined A*, 50,000 control steps each. *Closed* is the
share of what zero-shot lacks to the variant's oracle (score 100, `scripts/make_references.py`) that a method
closes in the mean over seeds; *source* is the change of the score in nominal physics, in points. Cells that
are done are kept under ``runs/``, as `sim2real compare` does; the page tells the worlds that were asked for.
"""

import argparse
import dataclasses
import itertools
from pathlib import Path

import numpy as np

from sim2real.catalog import catalog, entries
from sim2real.cli.arguments import positive
from sim2real.evaluate.rollouts import references
from sim2real.evaluate.verdict import number
from sim2real.files import write_atomically
from sim2real.policy import Policy
from sim2real.transfer.compare import ZERO_SHOT, Compared, Design, Row, compare
from sim2real.transfer.target import Budget
from sim2real.transfer.transfer import USUAL
from sim2real.world import CONTROL, World

TARGET = "combined_a"
ENOUGH = 70
"""Percent of a gap: closed."""


def closed(found: Compared, row: Row) -> float:
    """Percent of what zero-shot lacks to the oracle; NaN where it lacks nothing."""
    before = found.row(row.target, ZERO_SHOT).score["target"].value
    return 100 * (row.score["target"].value - before) / (100 - before) if before < 100 else np.nan


def forgotten(found: Compared, row: Row) -> float:
    """Points of the source's score that were gained; lost, below 0."""
    return row.score["source"].value - found.row(row.target, ZERO_SHOT).score["source"].value


def best(found: Compared) -> Row:
    """What closes most."""
    return max((row for row in found.rows if row.method != ZERO_SHOT), key=lambda row: closed(found, row))


def section(found: Compared) -> list[str]:
    """The table of a world."""
    lines = [f"## {found.title}", "", "| method | target | closed, % | verdict | source | change | seeds |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in found.rows:
        share, change = closed(found, row), forgotten(found, row)
        own = row.method == ZERO_SHOT
        cells = [row.method, number(row.score["target"]), "–" if own else f"{share:.0f}", row.verdict]
        cells += [number(row.score["source"]), "–" if own else f"{change:+.0f}", str(len(row.seeds))]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def usual(found: Compared, methods: list[str]) -> Row | None:
    """What `transfer` takes unless told otherwise; None where that was not among the methods asked for."""
    rows = {row.method: row for row in found.rows}
    tried = itertools.takewhile(lambda name: name in methods, USUAL)
    return next((rows[name] for name in tried if name in rows), None)


def summary(everywhere: list[Compared], methods: list[str]) -> list[str]:
    """What holds over worlds: how often the best method closes a gap, and what the usual one does."""
    tops = [(found, best(found)) for found in everywhere]
    enough = sum(closed(found, row) >= ENOUGH for found, row in tops)
    lines = [
        f"The best method closes at least {ENOUGH} % of the gap on {enough} of {len(everywhere)} worlds "
        f"({listed(tops)}; picked on these very seeds, so a little too good).",
        "",
    ]
    rows = [(found, row) for found in everywhere if (row := usual(found, methods))]
    if rows:
        shares, changes = ([what(f, row) for f, row in rows] for what in (closed, forgotten))
        lines += [
            f"What `sim2real transfer` takes unless told otherwise ({listed(rows)}) closes "
            f"{np.nanmean(shares):.0f} % in the mean over worlds, and changes the source by "
            f"{np.mean(changes):+.0f} points (worst {min(changes):+.0f}).",
            "",
        ]
    return lines


def listed(rows: list[tuple[Compared, Row]]) -> str:
    """Each method with the worlds that it stands for."""
    methods = dict.fromkeys(row.method for _, row in rows)
    worlds = {m: [found.done[0][0].world.name for found, row in rows if row.method == m] for m in methods}
    return "; ".join(f"{method} on {', '.join(names)}" for method, names in worlds.items())


def ship(found: Compared, out: Path) -> None:
    """Save what the best method made of each policy as ``WORLD-transferred-SEED``."""
    method = best(found).method
    for cell, done in found.done:
        if cell.label == method:
            contract = dataclasses.replace(done.policy.contract, label="transferred")
            dataclasses.replace(done.policy, contract=contract).save(
                out / f"{cell.world.name}-transferred-{cell.policy.seed}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="*", help="default all whose target has references")
    parser.add_argument("--methods", nargs="+", default=list(USUAL), metavar="NAME[:SETTING=VALUE,...]")
    parser.add_argument("--target", default=TARGET, help=f"held-out variant ({TARGET})")
    parser.add_argument("--steps", type=positive, default=50_000)
    parser.add_argument("--seeds", type=positive, default=3)
    parser.add_argument("--jobs", type=positive, default=2)
    parser.add_argument(
        "--out", type=Path, default=catalog("policies"), help="folder of the page (policies/)"
    )
    parser.add_argument("--ship", action="store_true", help="save each world's best policies there, too")
    parser.add_argument("--quick", action="store_true", help="one world, method and seed, a single update")
    asked = parser.parse_args()
    methods, steps, seeds, runs, out = asked.methods, asked.steps, asked.seeds, Path("runs"), asked.out
    worlds = asked.worlds or [
        name for name in entries("envs") if asked.target in references(World.load(name))
    ]
    if asked.quick:
        methods, steps, seeds, worlds = ["fine-tune"], 1_024, 1, worlds[:1]
        runs = out = Path("runs/quick")
    everywhere = []
    for name in worlds:
        policies = Policy.shipped(name, CONTROL)[:seeds]
        design = Design(
            (asked.target,), Budget(steps=steps), jobs=min(asked.jobs, len(policies)), variants=()
        )
        everywhere.append(
            compare(World.load(name), policies, methods, design, runs / f"methods-{name}", print)
        )
        if asked.ship or asked.quick:
            ship(everywhere[-1], out)
    lines = [
        f"# From nominal to *{asked.target}* in {steps:,} steps",
        "",
        *summary(everywhere, methods),
        *(line for found in everywhere for line in section(found)),
        "Scores are 0 for random actions and 100 for the oracle, with Student's intervals over seeds and "
        "starts. Printed by `python scripts/methods_worlds.py`.",
    ]
    page = "transfer.md" if asked.target == TARGET else f"transfer_{asked.target}.md"
    write_atomically(out / page, "\n".join(lines) + "\n")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
