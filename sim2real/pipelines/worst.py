"""The worst physics of policies, and how far from nominal they can be trusted; with the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.evaluate.outcomes import prepared
from sim2real.evaluate.robust_radius import Bisection, RobustRadius, robust_radius
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.solved_map import SolvedMap, solved_map
from sim2real.evaluate.worst_case import Search, WorstCase, worst_case
from sim2real.files import check_folder
from sim2real.foreign import load_policy
from sim2real.pipelines.given import given_world
from sim2real.pipelines.reporting import Progress, silent
from sim2real.report.run_sections import map_section
from sim2real.report.style import write_results
from sim2real.world import World


@dataclass(frozen=True)
class WorstSettings:
    """Settings of `worst`."""

    search: Search = field(default_factory=Search)
    """Its seed, engine and ``allow_dead`` are those of everything."""
    threshold: float = 0.8
    """Success, or share of the nominal return, that must hold within the robust radius."""
    grid: Mapping[str, int] = field(default_factory=dict)
    """Values of each of two parameters, to say also where between their ends all is well."""
    progress: Progress = silent
    """Is told of each generation of the search, and of each round of the radius."""


@dataclass(frozen=True, eq=False)
class Worst:
    """What was found."""

    case: WorstCase
    """The worst physics, and what policies get there."""
    radius: RobustRadius
    """How far from nominal all is well."""
    map: SolvedMap | None
    """Where on the grid all is well, if one was asked for."""


def worst(
    world: str | Path | World,
    policies: Sequence[object],
    domain: str | Domain = "training",
    out: str | Path | None = None,
    settings: WorstSettings | None = None,
) -> Worst:
    """Look for the physics of a domain in which policies score least, and for how far they can be trusted.

    Args:
        world: where, or its name or folder.
        policies: seeds of one method, whose mean counts; ours and others', or what `sim2real.load_policy`
            takes for one.
        domain: ``"training"``, the path of a TOML file, or a `Domain`. The search goes through its quantiles,
            so to the ends of ranges; whole numbers stay whole, a normal is searched between its 2.5 % and
            97.5 % quantiles, sample sets row by row. Its range is scale 1 of the radius.
        out: folder that gets ``worst.json``, ``worst.toml`` for `sim2real.evaluate`, and with a grid
            ``map.json`` and ``map.png``; by default nothing is written.
        settings: how it is looked for.

    Raises:
        InvalidValue: without policies, for a domain of one physics, or if success is to be least in an env
            that tells of none.
        UnknownName: for a world, a policy or a parameter that does not exist.
        PolicyError: if a policy does not fit the world.
        MissingExtra: if the engine is not installed.
        DeadParameter: if a parameter of the domain changes nothing; see `sim2real.audit`.
    """
    settings = settings or WorstSettings()
    if not policies:
        raise InvalidValue("no policies to find the worst physics of; name at least one")
    actors, search = [load_policy(policy) for policy in policies], settings.search
    if out is not None:
        check_folder(Path(out))
    # the domain is audited once, before all that goes through it
    world, domain = prepared(
        given_world(world),
        actors,
        domain,
        Trials(simulator=search.simulator, allow_dead=search.allow_dead),
    )
    search = replace(search, allow_dead=True)
    engine, number = search.simulator, search.seed
    episodes = max(search.fresh, 3)
    bisection = Bisection(settings.threshold, episodes, seed=number + 3, simulator=engine, allow_dead=True)
    with settings.progress("search", search.generations) as tell:
        case = worst_case(world, actors, domain, search, lambda _, low: tell(f"lowest {low:.4g}"))
    with settings.progress("robust radius", bisection.halvings + 2) as tell:
        radius = robust_radius(world, actors, domain, bisection, lambda n: tell(f"round {n}"))
    found = None
    if settings.grid:
        trials = Trials(max(search.episodes, 3), number + 4, engine, allow_dead=True)
        found = solved_map(world, actors, domain, settings.grid, settings.threshold, trials)
    if out is not None:
        case.domain.save(Path(out) / "worst.toml")
        write_results(Path(out), {"worst.json": {"worst": case, "robust_radius": radius}})
        if found is not None:
            write_results(Path(out), {"map.json": found, "map.png": map_section(found).figure})
    return Worst(case, radius, found)
