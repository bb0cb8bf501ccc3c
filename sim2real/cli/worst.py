"""Look for the worst physics of policies, and for how far from nominal they can be trusted."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import amount, counted, positive, seed
from sim2real.cli.policies import add_policies, world_of
from sim2real.cli.show import save_and_show, show_sections
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import console, counting

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands
    from sim2real.domain import Domain
    from sim2real.evaluate.candidates import Candidate
    from sim2real.evaluate.robust_radius import RobustRadius
    from sim2real.evaluate.rollouts import Trials
    from sim2real.evaluate.worst_case import WorstCase
    from sim2real.world import World


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("worst", help="search a domain for the worst physics of policies")
    add_policies(command, several=True)
    command.add_argument("--domain", default="training", help="training (default), or a domain's TOML file")
    command.add_argument("--generations", type=positive, default=12, help="of the search (12)")
    command.add_argument("--episodes", type=positive, default=16, help="per policy and physics searched (16)")
    command.add_argument("--fresh", type=positive, default=256, help="episodes that measure the result (256)")
    command.add_argument("--measure", choices=("return", "success"), default="return", help="(return)")
    command.add_argument(
        "--threshold",
        type=amount,
        default=0.8,
        help="success, or share of the nominal return, in the robust radius (0.8)",
    )
    command.add_argument(
        "--map",
        nargs=2,
        type=counted,
        metavar="PARAMETER:N",
        help="also where on a grid of two parameters all is well, as map.png",
    )
    command.add_argument("--simulator", help="engine; default mujoco, or the world's own")
    command.add_argument("--allow-dead", action="store_true", help="also ranges that change nothing")
    command.add_argument("--seed", type=seed, help="of search and episodes; default that of evaluation")
    command.add_argument("--out", type=Path, help="folder of the results; default runs/worst-WORLD")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.errors import InvalidValue
    from sim2real.evaluate.outcomes import prepared
    from sim2real.evaluate.robust_radius import Bisection, robust_radius
    from sim2real.evaluate.rollouts import SEED, Trials
    from sim2real.evaluate.worst_case import Search, worst_case
    from sim2real.foreign import load_policy
    from sim2real.report.run_sections import worst_section

    if not arguments.policies:
        raise InvalidValue("no policies to find the worst physics of; name at least one")
    policies = [load_policy(spec, arguments.trust) for spec in arguments.policies]
    number = SEED if arguments.seed is None else arguments.seed
    engine = arguments.simulator
    # the domain is audited once, before all that goes through it
    bisection = Bisection(
        arguments.threshold, max(arguments.fresh, 3), seed=number + 3, simulator=engine, allow_dead=True
    )
    search = Search(
        generations=arguments.generations,
        episodes=arguments.episodes,
        fresh=arguments.fresh,
        measure=arguments.measure,
        seed=number,
        simulator=engine,
        allow_dead=True,
    )
    world = load_world(arguments.world or world_of(policies), arguments)
    world, domain = prepared(
        world, policies, arguments.domain, Trials(simulator=engine, allow_dead=arguments.allow_dead)
    )
    out = arguments.out or Path("runs") / f"worst-{world.path.name}"
    show = console()
    with counting(show, "search", search.generations) as tell:
        found = worst_case(world, policies, domain, search, lambda _, low: tell(f"lowest {low:.4g}"))
    with counting(show, "robust radius", bisection.halvings + 2) as tell:
        radius = robust_radius(world, policies, domain, bisection, lambda n: tell(f"round {n}"))
    _write(out, found, radius)
    show_sections(worst_section(found, radius))
    if arguments.map:
        trials = Trials(max(search.episodes, 3), number + 4, engine, allow_dead=True)
        _map(world, policies, domain, (dict(arguments.map), arguments.threshold), trials, out)
    print(f"wrote {out / 'worst.json'} and {out / 'worst.toml'}, for sim2real evaluate --variants")


def _map(
    world: World,
    policies: Sequence[Candidate],
    domain: Domain,
    mapped: tuple[Mapping[str, int], float],
    trials: Trials,
    out: Path,
) -> None:
    """Write the map of two parameters and say how much of it is solved."""
    from sim2real.evaluate.solved_map import solved_map
    from sim2real.report.run_sections import map_section

    found = solved_map(world, policies, domain, *mapped, trials)
    save_and_show(found, map_section(found), out / "map.json", "map.png")


def _write(out: Path, found: WorstCase, radius: RobustRadius) -> None:
    from sim2real.files import write_text
    from sim2real.report.plain import as_json

    found.domain.save(out / "worst.toml")
    write_text(out / "worst.json", as_json({"worst": found, "robust_radius": radius}))
