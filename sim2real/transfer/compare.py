"""Which transfer method helps: each from the same policies to the same targets, under one budget.

    policies = Policy.shipped("furuta", "nominal")
    found = compare(world, policies, ["fine-tune", "rehearsal:average=0.1"], Design(("combined_a",)), folder)
    found.sentences                                     # helped, hurt or undecided, the best first
    found.row("combined_a", "rehearsal").score["target"]

A cell is one method from one policy (a seed) to one target. All results are tried from the same starts: in
the target, in the source, and in the other held-out variants. A method is compared with zero-shot, which is
always run, and with training from scratch where that is among the methods; what helped or hurt is decided for
all of these comparisons together (Holm). Cells that are done are kept in a folder and not repeated.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sim2real.audit import check_variants
from sim2real.env import Sim2RealVectorEnv, engine_for
from sim2real.errors import InvalidValue
from sim2real.evaluate.compare import Comparison, Difference, decide
from sim2real.evaluate.gap import GapOptions, GapReport, gap_report
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.rollouts import Trials, references
from sim2real.evaluate.statistics import Estimate, spread
from sim2real.evaluate.variants import chosen_variants
from sim2real.evaluate.verdict import number
from sim2real.policy import Policy
from sim2real.transfer.cells import Cell, Done, keep, kept, place, run
from sim2real.transfer.cluster import Cluster, connected
from sim2real.transfer.methods import Method, read_method
from sim2real.transfer.target import Budget
from sim2real.world import CONTROL, World

ZERO_SHOT, SCRATCH = "zero-shot", "from-scratch"
"""Labels of what methods are compared with."""


@dataclass(frozen=True)
class Design:
    """What a comparison runs.

    Raises:
        InvalidValue: for no target, or nominal physics, which is the source.
    """

    targets: tuple[str, ...]
    """Held-out variants, each sealed."""
    budget: Budget = field(default_factory=lambda: Budget(steps=50_000))
    """Of every cell."""
    variants: tuple[str, ...] | None = None
    """Held-out variants beside the targets to try results in; by default all whose engine is installed."""
    trials: Trials = field(default_factory=Trials)
    jobs: int | None = None
    """Cells at once; by default as joblib is configured, and one by one where it isn't."""
    imports: tuple[str, ...] = ()
    """Modules of one's own that other processes import first."""
    cluster: str | None = None
    """Whose workers run the cells instead: ``dask://HOST:PORT`` or what else `sim2real.transfer.cluster`
    takes; with ``dask`` and ``ray``, ``jobs`` of them."""

    def __post_init__(self) -> None:
        """Refuse what leads nowhere."""
        if not self.targets or CONTROL in self.targets:
            raise InvalidValue(
                f"targets {', '.join(self.targets) or '(none)'}: name held-out variants; {CONTROL!r} is the "
                "source"
            )


@dataclass(frozen=True)
class Row:
    """One method in one target. Places are ``target``, ``source``, and ``others``, if there are any."""

    target: str
    method: str
    seeds: tuple[int, ...]
    score: Mapping[str, Estimate]
    """By place: normalized, 0 random to 100 oracle, if every variant has references, else the return."""
    returns: Mapping[str, Estimate]
    """By place: mean return."""
    success: Mapping[str, Estimate]
    """By place: share of episodes; empty where the env tells of no success."""
    against: Mapping[str, Difference]
    """By what the method is compared with: its score in the target less that one's."""
    cost: Mapping[str, float]
    """Means over seeds: steps, episodes, seconds, falls and limit_hits in the target, cpu_seconds, and
    trained_weights where the method tells them."""

    @property
    def verdict(self) -> str:
        """Against zero-shot: helped, hurt or undecided; a dash for zero-shot itself."""
        return said(self.against.get(ZERO_SHOT))


@dataclass(frozen=True, eq=False)
class Compared:
    """What a comparison found."""

    title: str
    budget: Budget
    normalized: bool
    """Whether scores are normalized, or returns."""
    rows: tuple[Row, ...]
    failures: Mapping[str, str]
    """Cells that brought nothing back, and why."""
    done: Sequence[tuple[Cell, Done]] = field(repr=False)

    @property
    def targets(self) -> tuple[str, ...]:
        """Those with a row."""
        return tuple(dict.fromkeys(row.target for row in self.rows))

    def row(self, target: str, method: str) -> Row:
        """Of a method in a target.

        Raises:
            InvalidValue: if no cell of it is there.
        """
        found = next((row for row in self.rows if (row.target, row.method) == (target, method)), None)
        if found is None:
            raise InvalidValue(f"nothing is known of {method!r} in {target!r}; its cells failed or never ran")
        return found

    @property
    def sentences(self) -> list[str]:
        """The verdict of every target on every method, the best first."""
        return [_sentence(self, target, base) for target in self.targets for base in self._bases(target)]

    def _bases(self, target: str) -> list[str]:
        rows = [row for row in self.rows if row.target == target]
        return [base for base in (ZERO_SHOT, SCRATCH) if any(base in row.against for row in rows)]


def compare(
    world: World,
    policies: Sequence[Policy],
    methods: Sequence[str] | Mapping[str, Method],
    design: Design,
    out: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Compared:
    """Run every method from every policy to every target, and say which helped.

    Args:
        world: where.
        policies: where transfer starts: seeds of one method.
        methods: by name, with settings if any as in ``rehearsal:average=0.1``, or methods by label.
        design: targets, budget and the rest.
        out: folder in which cells that are done are kept, and not repeated; by default nothing is.
        tell: is given a line for each cell.

    Raises:
        InvalidValue: for policies that are no seeds of one method, a cluster that does not answer, or if
            every cell fails.
        PolicyError: if a policy does not fit the world.
        UnknownName: for a method, a setting or a variant that does not exist.
        DeadParameter: if a value of a variant changes nothing.
    """
    with nullcontext() if design.cluster is None else connected(design.cluster, design.jobs) as cluster:
        cells = _cells(world, policies, methods, design)
        found, failures = _run(cells, design, cluster, out, tell)
    return _judged(world, [(cells[k], found[k]) for k in sorted(found)], failures, design)


def _run(
    cells: Sequence[Cell],
    design: Design,
    cluster: Cluster | None,
    out: Path | None,
    tell: Callable[[str], None],
) -> tuple[dict[int, Done], dict[str, str]]:
    """What cells bring back, by number, now or from before; and which brought nothing, and why."""
    found: dict[int, Done] = {}
    failures: dict[str, str] = {}
    keys = {id(cell): cell.key() for cell in cells}
    for k, cell in enumerate(cells):
        before = None if out is None else kept(place(out, cell), keys[id(cell)])
        if before is not None:
            found[k] = before
            tell(f"{cell.name}: kept from before")
    left = [cell for k, cell in enumerate(cells) if k not in found]
    for cell, outcome in run(left, design.jobs, design.imports, cluster):
        if isinstance(outcome, str):
            failures[cell.name] = outcome
            tell(f"{cell.name}: left out, {outcome}")
            continue
        if out is not None:
            keep(outcome, place(out, cell), keys[id(cell)])
        found[cells.index(cell)] = outcome
        tell(f"{cell.name}: {_reached(cell, outcome)}")
    return found, failures


def said(difference: Difference | None) -> str:
    """A verdict in a word, in the past, as the comparison is over."""
    words = {"helps": "helped", "hurts": "hurt", "undecided": "undecided"}
    return "–" if difference is None else words[difference.verdict]


def _cells(
    world: World, policies: Sequence[Policy], methods: Sequence[str] | Mapping[str, Method], design: Design
) -> list[Cell]:
    """All cells, after everything that can be refused was."""
    made = dict(methods) if isinstance(methods, Mapping) else {text: read_method(text) for text in methods}
    made = {ZERO_SHOT: read_method(ZERO_SHOT), **{k: v for k, v in made.items() if k != ZERO_SHOT}}
    _check_policies(world, policies)
    targets = [world.variant(name) for name in dict.fromkeys(design.targets)]
    names = None if design.variants is None else [*design.targets, *design.variants]
    variants = chosen_variants(world, names)
    wide = world
    for variant in variants:
        wide = wide.for_domain(variant.domain)
        if not design.trials.allow_dead:
            engine = design.trials.simulator or variant.simulator
            check_variants(wide, [variant], engine_for(engine, variant.domain))
    trials = dataclasses.replace(design.trials, allow_dead=True)  # as they have been checked here
    return [
        Cell(world, policy, target, label, method, design.budget, tuple(variants), trials)
        for target in targets
        for label, method in made.items()
        for policy in policies
    ]


def _check_policies(world: World, policies: Sequence[Policy]) -> None:
    if not policies:
        raise InvalidValue("no policy to start from; name at least one")
    if len({p.label for p in policies}) > 1 or len({p.seed for p in policies}) < len(policies):
        listed = ", ".join(f"{p.name} ({p.label}, seed {p.seed})" for p in policies)
        raise InvalidValue(f"{listed} are no seeds of one method; give policies of one label, one a seed")
    env = Sim2RealVectorEnv(world)
    for policy in policies:
        policy.check(env)


def _reached(cell: Cell, done: Done) -> str:
    here = np.asarray(done.episodes["variant"]) == cell.target.name
    what = "success" if "success" in done.episodes else "return"
    at_home = np.asarray(done.episodes["variant"]) == CONTROL
    values = np.asarray(done.episodes[what]).astype(np.float64)
    return (
        f"{what} {values[here].mean():.2f} in the target, {values[at_home].mean():.2f} in the source, "
        f"{done.spent.steps:,} steps, {done.cpu_seconds:.0f} CPU s"
    )


def _judged(
    world: World, done: Sequence[tuple[Cell, Done]], failures: Mapping[str, str], design: Design
) -> Compared:
    """Rows of every method in every target, decided together."""
    known = references(world)
    reports: dict[str, GapReport] = {}
    for target in dict.fromkeys(design.targets):
        tables = [its.episodes for cell, its in done if cell.target.name == target]
        labels = {cell.label for cell, _ in done if cell.target.name == target}
        if ZERO_SHOT in labels:
            table = {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}
            reports[target] = gap_report(table, known, GapOptions(world.title, ZERO_SHOT))
    if not reports:
        raise InvalidValue(f"no cell of {ZERO_SHOT!r} came to an end: {'; '.join(failures.values())}")
    keys, comparisons = [], []
    for target, report in reports.items():
        for base, label in ((b, m) for b in (ZERO_SHOT, SCRATCH) for m in report.labels):
            keys.append((target, label, base))
            comparisons.append(_against(report, target, label, base))
    decided = dict(zip(keys, decide(comparisons, [1.0] * len(keys)), strict=True))
    rows = []
    for target, report in reports.items():
        for label in report.labels:
            its = [its for cell, its in done if (cell.target.name, cell.label) == (target, label)]
            verdicts = {base: decided[target, label, base] for base in (ZERO_SHOT, SCRATCH)}
            rows.append(_row(report, target, label, verdicts, its))
    normalized = all(report.normalized for report in reports.values())
    return Compared(world.title, design.budget, normalized, tuple(rows), failures, done)


def _against(report: GapReport, target: str, label: str, base: str) -> Comparison | None:
    """A method's score in the target beside that of what it is compared with."""
    names = report.scores.folded.labels
    if base not in names:
        return None
    scores = dataclasses.replace(report.scores, baseline=names.index(base))
    return scores.against_baseline(names.index(label), [report.variants.index(target)])


def _row(
    report: GapReport, target: str, label: str, verdicts: Mapping[str, Difference | None], its: Sequence[Done]
) -> Row:
    scores, folded = report.scores, report.scores.folded
    which = folded.labels.index(label)
    home, here = report.variants.index(CONTROL), report.variants.index(target)
    rest = [v for v in range(len(report.variants)) if v not in (home, here)]
    places = {"target": [here], "source": [home], **({"others": rest} if rest else {})}

    def share(variants: Sequence[int]) -> Estimate:
        found = spread(mean, np.moveaxis(folded.success[which, variants], 0, 1))
        return found.within(0.0, 1.0, int(folded.episodes[which, variants].sum()))

    returns = {
        name: spread(mean, np.moveaxis(folded.returns[which, variants], 0, 1)).estimate
        for name, variants in places.items()
    }
    return Row(
        target,
        label,
        tuple(sorted(done.policy.seed for done in its)),
        {name: scores.estimate(mean, which, variants) for name, variants in places.items()},
        returns,
        {name: share(variants) for name, variants in places.items()} if report.tells_success else {},
        {base: difference for base, difference in verdicts.items() if difference is not None},
        _cost(its),
    )


def _cost(its: Sequence[Done]) -> dict[str, float]:
    spent = [dataclasses.asdict(done.spent) for done in its]
    cost = {name: statistics.fmean(one[name] for one in spent) for name in spent[0]}
    cost["cpu_seconds"] = statistics.fmean(done.cpu_seconds for done in its)
    trained = [done.trained_weights for done in its if done.trained_weights is not None]
    return {**cost, "trained_weights": statistics.fmean(trained)} if trained else cost


def _sentence(found: Compared, target: str, base: str) -> str:
    """What is known of every method in a target, against one baseline."""
    rows = [row for row in found.rows if row.target == target and base in row.against]
    unit = " points" if found.normalized else ""
    told = []
    for word in ("helped", "hurt", "undecided"):
        its = [row for row in rows if said(row.against[base]) == word]
        its.sort(key=lambda row: -row.against[base].estimate.value)
        if its:
            listed = ", ".join(f"{row.method} ({_change(row.against[base], unit)})" for row in its)
            told.append(f"{listed} {word}" if word != "undecided" else f"undecided: {listed}")
    return f"In {target}, against {base}: {'; '.join(told)}."


def _change(difference: Difference, unit: str) -> str:
    sign = "+" if difference.estimate.value > 0 else ""
    return sign + number(difference.estimate, unit=unit)
