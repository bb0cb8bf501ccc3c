"""Which parameters a drop in another physics, or the spread over a domain, comes from; with the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.evaluate.attribution import Attribution
from sim2real.evaluate.attribution import attribute as attribute_drop
from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.sensitivity import Sensitivity
from sim2real.evaluate.sensitivity import sensitivity as sobol_indices
from sim2real.files import check_folder
from sim2real.foreign import load_policy
from sim2real.pipelines.given import given_world
from sim2real.pipelines.reporting import Progress, silent
from sim2real.report.run_sections import attribution_section, sensitivity_section
from sim2real.report.style import write_results
from sim2real.world import World


def attribute(
    world: str | Path | World,
    policies: Sequence[object],
    target: str | Domain,
    trials: Trials | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> Attribution:
    """Share the drop from nominal to a target among the parameters in which they differ.

    Args:
        world: where, or its name or folder.
        policies: seeds of one method, ours and others', or what `sim2real.load_policy` takes for one.
        target: a held-out variant, or the path of a domain's TOML file, or a domain, of one physics.
        trials: episodes for each set of parameters; their seed is also that of sampled permutations.
        out: folder that gets ``attribution.json`` and ``waterfall.png``; by default nothing is written.
        progress: is told of each policy.

    Raises:
        InvalidValue: for no policy or those of several methods, a target that is drawn from, and one that
            is nominal.
        UnknownName: for a world, a policy or a variant that does not exist.
        PolicyError: if a policy does not fit the world.
        DeadParameter: if a value of the target changes nothing; see `sim2real.audit`.
    """
    loaded, actors = _prepared(world, policies, out)
    with progress("attribute", len(actors)) as tell:
        found = attribute_drop(loaded, actors, target, trials or Trials(32), lambda policy: tell(policy.name))
    if out is not None:
        write_results(
            Path(out), {"attribution.json": found, "waterfall.png": attribution_section(found).figure}
        )
    return found


@dataclass(frozen=True)
class SensitivitySettings:
    """How the spread over a domain is taken apart."""

    samples: int = 128
    """A power of 2, of at least 8."""
    trials: Trials = field(default_factory=lambda: Trials(4))
    """Episodes in each physics; their seed is also that of the samples."""
    progress: Progress = silent
    """Is told of each physics."""


def sensitivity(
    world: str | Path | World,
    policies: Sequence[object],
    domain: str | Domain = "training",
    out: str | Path | None = None,
    settings: SensitivitySettings | None = None,
) -> Sensitivity:
    """Sobol indices of the mean return of some policies, by parameter of a domain.

    Intervals are by bootstrap of the physics, so about other samples of the domain; not about other policies.

    Args:
        world: where, or its name or folder.
        policies: their mean is what varies; ours and others', or what `sim2real.load_policy` takes for one.
        domain: ``"training"``, the path of a TOML file, or a `Domain` of independent parameters.
        out: folder that gets ``sensitivity.json`` and ``sensitivity.png``; by default nothing is written.
        settings: samples and episodes.

    Raises:
        InvalidValue: for no policy, another number of samples, a domain of one physics or of parameters that
            are drawn together, and where no physics changes the return.
        UnknownName: for a world or a policy that does not exist.
        PolicyError: if a policy does not fit the world.
        DeadParameter: if a parameter of the domain changes nothing; see `sim2real.audit`.
    """
    settings = settings or SensitivitySettings()
    loaded, actors = _prepared(world, policies, out)
    with settings.progress("physics", len(loaded.domain(domain).names) + 2) as tell:
        found = sobol_indices(
            loaded, actors, domain, settings.samples, settings.trials, lambda n: tell(f"{n:,}")
        )
    if out is not None:
        write_results(
            Path(out), {"sensitivity.json": found, "sensitivity.png": sensitivity_section(found).figure}
        )
    return found


def _prepared(
    world: str | Path | World, policies: Sequence[object], out: str | Path | None
) -> tuple[World, list[Candidate]]:
    """World and policies, and a folder that can be written to, before anything runs."""
    if not policies:
        raise InvalidValue("no policies to run; name at least one")
    if out is not None:
        check_folder(Path(out))
    return given_world(world), [load_policy(p) for p in policies]
