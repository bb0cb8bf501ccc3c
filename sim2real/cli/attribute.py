"""Which parameters a drop in another physics comes from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import positive
from sim2real.cli.policies import add_policies, world_of
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import console, counting

if TYPE_CHECKING:
    from rich.table import Table

    from sim2real.cli.arguments import Commands
    from sim2real.evaluate.attribution import Attribution
    from sim2real.evaluate.statistics import Estimate

_SHOWN = 5


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("attribute", help="which parameters a drop in another physics comes from")
    add_policies(command, several=True)
    command.add_argument(
        "--target", required=True, help="held-out variant, or TOML file of a domain, of one physics"
    )
    command.add_argument(
        "--episodes", type=positive, default=32, help="per policy and set of parameters; default 32"
    )
    command.add_argument("--simulator", help="engine of source and target; default the target's own")
    command.add_argument("--out", type=Path, help="folder of the results; default runs/attribute-WORLD")
    command.add_argument("--allow-dead", action="store_true", help="also values that change nothing")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    import json
    from dataclasses import asdict

    from sim2real.errors import InvalidValue
    from sim2real.evaluate.attribution import attribute
    from sim2real.evaluate.rollouts import Trials
    from sim2real.files import Write, check_folder, write_together
    from sim2real.foreign import load_policy
    from sim2real.report.style import save_png
    from sim2real.report.waterfall import draw_waterfall

    if not arguments.policies:
        raise InvalidValue("no policies to attribute a drop of; name at least one")
    policies = [load_policy(spec, arguments.trust) for spec in arguments.policies]
    world = load_world(arguments.world or world_of(policies), arguments)
    out = arguments.out or Path("runs") / f"attribute-{world.path.name}"
    check_folder(out)
    trials = Trials(arguments.episodes, simulator=arguments.simulator, allow_dead=arguments.allow_dead)
    with counting(console(), "attribute", len(policies)) as tell:
        found = attribute(world, policies, arguments.target, trials, lambda policy: tell(policy.name))
    text = json.dumps(asdict(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    figure = draw_waterfall(found)
    files: dict[str, Write] = {
        "attribution.json": text,
        "waterfall.png": lambda path: save_png(figure, path),
    }
    write_together(out, files)
    print_attribution(found)
    print(f"wrote {out / 'waterfall.png'} and attribution.json beside it")


def print_attribution(found: Attribution) -> None:
    """Print the drop, its causes, and which cost more or less together."""
    show = console()
    show.print(causes_table(found))
    for pair in found.interactions[:_SHOWN]:
        cost = _told(pair.cost)
        show.print(f"together beyond each alone: {' and '.join(pair.names)} {cost}", soft_wrap=True)
    how = f"all {found.sets} sets" if found.exact else f"{found.sets} sets of sampled permutations"
    show.print(
        f"Positive is lost; the shares add up to the drop of {_told(found.drop)}. {how} × {found.episodes} "
        f"episodes in {found.simulator}. 95 % intervals are about {found.about}.",
        soft_wrap=True,
    )


def causes_table(found: Attribution) -> Table:
    """A row for each cause, the costliest first."""
    from rich.table import Column, Table

    source, target = (_told(score) for score in found.score)
    table = Table(
        Column("parameter", no_wrap=True), "change", "share of the drop", "alone", "as the last",
        title=f"{found.world}, {found.label}: {source} in source, {target} in {found.target}",
    )  # fmt: skip
    for cause in found.causes:
        table.add_row(
            cause.name,
            f"{cause.source:g} → {cause.target:g}",
            *(_told(cost, "\n") for cost in (cause.share, cause.alone, cause.last)),
        )
    return table


def _told(estimate: Estimate, between: str = " ") -> str:
    value = f"{estimate.value:.1f}"
    if estimate.interval is None:
        return value
    low, high = estimate.interval
    return f"{value}{between}[{low:.1f}, {high:.1f}]"
