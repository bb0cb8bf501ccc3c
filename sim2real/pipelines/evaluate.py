"""Measure policies on held-out physics, decide what is required of them, and write the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sim2real.domain import Domain
from sim2real.env import task_class
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.changes import changes, told
from sim2real.evaluate.episode_table import Episodes, told_apart
from sim2real.evaluate.episodes_file import read_episodes
from sim2real.evaluate.gap import GapOptions, GapReport, gap_report
from sim2real.evaluate.gate import Gate, require
from sim2real.evaluate.gate_files import junit, markdown
from sim2real.evaluate.leakage import told_splits
from sim2real.evaluate.requirements import check, parse
from sim2real.evaluate.rollouts import Trials, references, run_policies, steps_of
from sim2real.evaluate.variants import chosen_variants
from sim2real.evaluate.verdict import headline, verdict
from sim2real.files import check_file, write_atomically
from sim2real.foreign import load_policy
from sim2real.pipelines.given import given_world
from sim2real.pipelines.reporting import Progress, silent
from sim2real.plain import as_json
from sim2real.report.decisions import gate_section
from sim2real.report.gap import Beside, contracts_of, write_report
from sim2real.world import Variant, World


@dataclass(frozen=True)
class EvaluateSettings:
    """Settings of `evaluate`."""

    baseline: str | None = None
    """Label that the others are compared with; by default ``nominal``, or else the first one."""
    require: Sequence[str] = ()
    """Requirements, such as ``success >= 0.9 on combined``: `sim2real.evaluate.requirements`."""
    earlier: str | Path | None = None
    """Another run's ``episodes.parquet``, or its folder, to say what changed since."""
    junit: Path | None = None
    """File for what was decided, as JUnit XML."""
    summary: Path | None = None
    """And as Markdown."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Lines of provenance for the report, such as the command."""
    progress: Progress = silent
    """Is told of each policy."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came of an evaluation."""

    table: Episodes
    """A row for each episode."""
    report: GapReport
    gate: Gate
    """What was required, decided; met where nothing was."""
    changes: tuple[str, ...] = ()
    """What changed since the earlier run, a sentence each."""
    page: Path | None = None
    """``report.html``, if a folder was given."""

    @property
    def verdict(self) -> tuple[str, ...]:
        """How big the gap is, what closed it and what hurt, a sentence each."""
        return tuple(filter(None, (headline(self.report), *verdict(self.report))))


def evaluate(
    world: str | Path | World,
    policies: Sequence[object],
    variants: Sequence[str | Domain | Variant] | None = None,
    trials: Trials | None = None,
    out: str | Path | None = None,
    settings: EvaluateSettings | None = None,
) -> Evaluation:
    """Measure policies on held-out physics, with intervals, and say what helped and what hurt.

    Args:
        world: where, or its name or folder.
        policies: ours and others', or what `sim2real.load_policy` takes for one.
        variants: held-out variants by name, domains, or such as `sim2real.evaluate.fresh` draws; by default
            all variants whose engine is installed.
        trials: episodes per policy and variant, their seed, and the engine; by default `usual_trials`.
        out: folder that gets ``report.html``, ``report.png``, ``summary.json`` and ``episodes.parquet``; by
            default nothing is written.
        settings: what is compared, required and written besides.

    Raises:
        InvalidValue: if there is no policy, or for a requirement that can't be decided.
        PolicyError: if a policy does not fit the world.
        UnknownName: for a world, a policy, a variant or a label that does not exist.
        MissingExtra: if the engine of a variant is not installed.
        DeadParameter: if a value of a variant changes nothing; see `sim2real.audit`.
    """
    world = given_world(world)
    settings = settings or EvaluateSettings()
    actors = [load_policy(policy) for policy in policies]
    if not actors:
        raise InvalidValue("no policies to evaluate; name at least one")
    earlier = _earlier(settings)
    labels = _labels(actors)
    baseline = settings.baseline or ("nominal" if "nominal" in labels else labels[0])
    if baseline not in labels:
        raise UnknownName("baseline label", baseline, labels)
    _check(world, variants, labels, settings)
    trials = trials or usual_trials(world)
    with settings.progress("evaluate", len(actors)) as tell:
        table = run_policies(world, actors, variants, trials, lambda policy: tell(policy.name))
    met = set(map(str, table["variant"]))
    known = {name: reference for name, reference in references(world).items() if name in met}
    report = gap_report(table, known, GapOptions(title=world.title, baseline=baseline))
    facts = {
        **settings.facts,
        "control steps": steps_of(actors),
        "held-out split": told_splits(actors, world),
        **contracts_of(actors),
    }
    since = () if earlier is None else tuple(told(changes(table, earlier, report.references)))
    gate = require(report, *settings.require) if settings.require else Gate(report.title, ())
    page = None if out is None else _written(report, table, Path(out), facts, gate)
    if settings.junit:
        write_atomically(settings.junit, junit(gate))
    if settings.summary:
        write_atomically(settings.summary, markdown(gate, since))
    return Evaluation(table, report, gate, since, page)


def _written(report: GapReport, table: Episodes, out: Path, facts: Mapping[str, str], gate: Gate) -> Path:
    """The page, with what was decided; beside it ``gate.json`` if anything was."""
    page = write_report(report, table, out, facts, Beside([gate_section(gate)] if gate.decisions else ()))
    decided = out / "gate.json"
    if gate.decisions:
        write_atomically(decided, as_json(gate))
    else:
        decided.unlink(missing_ok=True)  # of an earlier run
    return page


def usual_trials(world: World) -> Trials:
    """One episode where nothing is drawn at the start of an ``io.toml``'s, else enough for an interval."""
    alike = world.io is not None and world.own_task is None and not task_class(world).spec.num_draws
    return Trials(1 if alike else 64)


def _labels(policies: Sequence[Candidate]) -> list[str]:
    """What a report calls the method of each policy."""
    names = np.array([policy.label for policy in policies])
    return [str(name) for name in told_apart(names, np.array([policy.lineage for policy in policies]))]


def _earlier(settings: EvaluateSettings) -> Episodes | None:
    """The episode table of another run, given the file or its folder."""
    if settings.earlier is None:
        return None
    path = Path(settings.earlier)
    path = path / "episodes.parquet" if path.is_dir() else path
    if not path.is_file():
        raise InvalidValue(f"there is no {path} to compare with; give the episodes.parquet of another run")
    return read_episodes(path)


def _check(
    world: World,
    variants: Sequence[str | Domain | Variant] | None,
    labels: Sequence[str],
    settings: EvaluateSettings,
) -> None:
    """Refuse requirements that can't be decided, and files that can't be written, before anything runs."""
    files = [path for path in (settings.junit, settings.summary) if path]
    if files and not settings.require and settings.earlier is None:
        raise InvalidValue("--junit and --summary hold what --require or --compare find; give one of these")
    for path in files:
        check_file(path)
    groups = {variant.name: variant.group for variant in chosen_variants(world, variants)}
    success = bool(task_class(world).spec.success)
    for text in settings.require:
        check(parse(text), groups, labels, references(world), success)
