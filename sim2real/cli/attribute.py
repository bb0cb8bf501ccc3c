"""Which parameters a drop in another physics, or the spread over a domain, comes from."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import positive
from sim2real.cli.policies import add_policies, world_of
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import console, counting

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from sim2real.cli.arguments import Commands
    from sim2real.evaluate.attribution import Attribution
    from sim2real.evaluate.candidates import Candidate
    from sim2real.evaluate.rollouts import Trials
    from sim2real.evaluate.sensitivity import Sensitivity
    from sim2real.evaluate.statistics import Estimate
    from sim2real.world import World

_SHOWN = 5


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "attribute", help="which parameters a drop in another physics, or a spread over many, comes from"
    )
    add_policies(command, several=True)
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--target",
        help="held-out variant, or TOML file of a domain, of one physics: Shapley values of the drop",
    )
    what.add_argument(
        "--domain", help="training, or a domain's TOML file: Sobol indices of the spread over it"
    )
    command.add_argument(
        "--episodes", type=positive, help="per policy and physics; default 32, with --domain 4"
    )
    command.add_argument(
        "--samples", type=positive, default=128, help="of --domain, a power of 2; default 128"
    )
    command.add_argument("--simulator", help="engine of source and target; default the target's own")
    command.add_argument("--out", type=Path, help="folder of the results; default runs/attribute-WORLD")
    command.add_argument("--allow-dead", action="store_true", help="also values that change nothing")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.errors import InvalidValue
    from sim2real.evaluate.rollouts import Trials
    from sim2real.files import check_folder
    from sim2real.foreign import load_policy

    if not arguments.policies:
        raise InvalidValue("no policies to attribute a drop of; name at least one")
    policies = [load_policy(spec, arguments.trust) for spec in arguments.policies]
    world = load_world(arguments.world or world_of(policies), arguments)
    out = arguments.out or Path("runs") / f"attribute-{world.path.name}"
    check_folder(out)
    episodes = arguments.episodes or (32 if arguments.target else 4)
    trials = Trials(episodes, simulator=arguments.simulator, allow_dead=arguments.allow_dead)
    if arguments.target:
        _drop(world, policies, arguments.target, trials, out)
    else:
        _spread(world, policies, (arguments.domain, arguments.samples), trials, out)


def _drop(world: World, policies: Sequence[Candidate], target: str, trials: Trials, out: Path) -> None:
    from sim2real.evaluate.attribution import attribute
    from sim2real.report.waterfall import draw_waterfall

    with counting(console(), "attribute", len(policies)) as tell:
        found = attribute(world, policies, target, trials, lambda policy: tell(policy.name))
    _write(found, draw_waterfall(found), out, ("attribution.json", "waterfall.png"))
    print_attribution(found)
    print(f"wrote {out / 'waterfall.png'} and attribution.json beside it")


def _spread(
    world: World, policies: Sequence[Candidate], where: tuple[str, int], trials: Trials, out: Path
) -> None:
    from sim2real.evaluate.sensitivity import sensitivity
    from sim2real.report.causes import draw_sensitivity

    domain, samples = where
    total = len(world.domain(domain).names) + 2
    with counting(console(), "physics", total) as tell:
        found = sensitivity(world, policies, domain, samples, trials, lambda n: tell(f"{n:,}"))
    _write(found, draw_sensitivity(found), out, ("sensitivity.json", "sensitivity.png"))
    print_sensitivity(found)
    print(f"wrote {out / 'sensitivity.png'} and sensitivity.json beside it")


def _write(found: Attribution | Sensitivity, figure: Figure, out: Path, names: tuple[str, str]) -> None:
    import json
    from dataclasses import asdict

    from sim2real.files import write_together
    from sim2real.report.style import save_png

    text = json.dumps(asdict(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_together(out, {names[0]: text, names[1]: lambda path: save_png(figure, path)})


def print_sensitivity(found: Sensitivity) -> None:
    """Print the indices, the most important parameter first."""
    from rich.table import Table

    table = Table("parameter", "alone (first order)", "with all it does together (total)", title=found.world)
    for index in found.indices:
        table.add_row(index.name, *(_told(one, digits=2) for one in (index.first, index.total)))
    show = console()
    show.print(table)
    physics = found.samples * (len(found.indices) + 2)
    show.print(
        f"Shares of the variance of the return over the domain: mean {found.mean:.1f}, standard deviation "
        f"{found.deviation:.1f}. {physics:,} physics × {found.episodes} starts in {found.simulator}; 95 % "
        "intervals are about other physics of the domain.",
        soft_wrap=True,
    )


def print_attribution(found: Attribution) -> None:
    """Print the drop, its causes, and which cost more or less together."""
    show = console()
    show.print(causes_table(found))
    for part in found.parts if len(found.parts) > 1 else ():
        line = f"all {part.kind}: share {_told(part.share)}, alone {_told(part.alone)}"
        show.print(line, soft_wrap=True)
    for pair in found.interactions[:_SHOWN]:
        what = "only together" if pair.only_together else "together beyond each alone"
        show.print(f"{what}: {' and '.join(pair.names)} {_told(pair.cost)}", soft_wrap=True)
    starts = "all episodes begin alike" if found.by_start is None else _told(found.by_start)
    show.print(f"start states: standard deviation of the drop {starts}", soft_wrap=True)
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


def _told(estimate: Estimate, between: str = " ", digits: int = 1) -> str:
    value = f"{estimate.value:.{digits}f}"
    if estimate.interval is None:
        return value
    low, high = estimate.interval
    return f"{value}{between}[{low:.{digits}f}, {high:.{digits}f}]"
