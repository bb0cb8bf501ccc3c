"""The cells of a comparison: one transfer method from one policy to one target, run, kept and read again.

Cells run through joblib, on this machine's cores or wherever ``joblib.parallel_config`` says, or on a Dask
or Ray cluster, each with its target in one more process, whose physics no method reaches. What a cell brings
back is written here, whole or not at all, so that only cells that were running are lost by a kill.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from joblib import Parallel, delayed

from sim2real.documents import Section
from sim2real.errors import BudgetExhausted, Sim2RealError, told
from sim2real.evaluate.episode_table import Episodes
from sim2real.evaluate.episodes_file import read_episodes, write_episodes
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.files import replace_folder, write_atomically
from sim2real.fingerprint import code_in, code_of, fingerprint
from sim2real.policy import Policy
from sim2real.registry import import_module, pickled
from sim2real.transfer.cluster import Cluster
from sim2real.transfer.methods import Method
from sim2real.transfer.remote import RemoteTarget
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, Spent
from sim2real.transfer.transfer import transfer
from sim2real.world import Variant, World

_ALONE = threading.Lock()
"""Cells seed their process's generators and shut its variants: one at a time in each."""
_DEATHS = 2
"""Of workers, after which cells run one by one, to tell whose it is."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One method from one policy to one target, and where the result is tried."""

    world: World
    policy: Policy
    target: Variant
    label: str
    """Of the method, with its settings."""
    method: Method
    budget: Budget
    variants: tuple[Variant, ...]
    trials: Trials

    @property
    def name(self) -> str:
        """For a line of progress, and a folder."""
        return f"{self.target.name} {self.label} seed {self.policy.seed}"

    def key(self) -> str:
        """Fingerprint of everything that goes in; of a user's own things their code, too."""
        how = dataclasses.asdict(self.method) if dataclasses.is_dataclass(self.method) else vars(self.method)
        tried = [(variant.name, variant.simulator, variant.domain) for variant in self.variants]
        goal = (self.target.name, self.target.simulator, self.target.domain)
        places = (self.target, *self.variants)
        own = code_in(self.world, [place.domain for place in places], [place.simulator for place in places])
        where = (self.world.name, self.world.task, self.world.contents, *own)
        what = (*where, self.policy, goal, self.label, code_of(type(self.method)), how)
        return fingerprint(*what, dataclasses.asdict(self.budget), tried, self.trials)


@dataclass(frozen=True, eq=False)
class Done:
    """What a cell brought back."""

    policy: Policy
    """What the method made, labelled as the cell is."""
    episodes: Episodes
    """Of the policy, the same starts in every cell."""
    spent: Spent
    """In the target."""
    cpu_seconds: float
    """Of the transfer, without the target's own process and the evaluation."""
    trained_weights: int | None
    """Weights that learnt; None where the method doesn't say."""


def run(
    cells: Sequence[Cell], jobs: int | None, imports: Sequence[str], cluster: Cluster | None = None
) -> Iterator[tuple[Cell, Done | str]]:
    """Each cell with what it brought back, or with a sentence that says why nothing, as they end.

    Args:
        cells: to run.
        jobs: how many at once; None as joblib is configured, and one by one where it isn't.
        imports: modules that other processes import first.
        cluster: whose workers run them, all at once; see `sim2real.transfer.cluster`.
    """
    if cluster is not None:
        # classes of .py files go with the cell, as other machines don't have the files
        modules = tuple(name for name in imports if not name.endswith(".py"))
        given = {k: (k, pickled(cell), modules) for k, cell in enumerate(cells)}
        for number, outcome in cluster.outcomes(_on_worker, given):
            yield cells[number], outcome
        return
    left, deaths = list(range(len(cells))), 0
    while left:
        alone = deaths >= _DEATHS
        its = left[:1] if alone else list(left)
        calls = (delayed(_run)(k, pickled(cells[k]), tuple(imports)) for k in its)
        try:
            for number, outcome in Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(
                calls
            ):
                left.remove(number)
                yield cells[number], outcome
        except BrokenProcessPool:
            deaths += 1
            if alone:
                left.remove(its[0])
                yield cells[its[0]], "the process that ran it died; is there memory enough for it?"


def _run(number: int, given: bytes, imports: Sequence[str]) -> tuple[int, Done | str]:
    """One cell, wherever this process is."""
    try:
        for module in imports:
            import_module(module)
        return number, _done(pickle.loads(given))
    except (Sim2RealError, BudgetExhausted, ImportError) as error:
        return number, str(error)
    except Exception as error:
        return number, told(error)


def _on_worker(number: int, given: bytes, imports: Sequence[str]) -> Done | str:
    """One cell in a worker of a cluster, which may have several threads, and is born without children."""
    with _ALONE:
        multiprocessing.current_process().daemon = False
        return _run(number, given, imports)[1]


def _done(cell: Cell) -> Done:
    goal, policy = cell.target, cell.policy
    secret = int(fingerprint("target", policy.seed, goal.name)[:15], 16)
    budget = cell.budget
    with RemoteTarget(cell.world, goal, budget, budget.rows, seal=Seal(secret, name=goal.name)) as target:
        begun = time.process_time()
        adapted = transfer(policy, target, cell.method, Source(cell.world))
        seconds, spent = time.process_time() - begun, target.spent
    trained: object = 0
    if adapted is not policy:
        trained = adapted.contract.provenance[-1].settings.get("trained_weights")
    contract = dataclasses.replace(adapted.contract, label=cell.label)
    adapted = dataclasses.replace(adapted, contract=contract, name=f"{policy.name}-{goal.name}-{cell.label}")
    wide = dataclasses.replace(cell.world, variants={v.name: v for v in cell.variants})
    table = run_policies(wide, [adapted], [v.name for v in cell.variants], cell.trials)
    # seeds of a method are one method, whatever each of them spent
    episodes = {**table, "lineage": np.full(len(table["label"]), cell.label)}
    return Done(adapted, episodes, spent, seconds, trained if isinstance(trained, int) else None)


def place(folder: Path, cell: Cell) -> Path:
    """Where a cell is kept."""
    return folder / "cells" / f"{cell.target.name}-{quote(cell.label, safe=':=,')}-{cell.policy.seed}"


def keep(done: Done, folder: Path, key: str) -> None:
    """Write what a cell brought back, whole or not at all.

    Raises:
        OSError: as raised by the file system.
    """
    facts = {
        "fingerprint": key,
        "cpu_seconds": done.cpu_seconds,
        "trained_weights": done.trained_weights,
        "spent": dataclasses.asdict(done.spent),
    }

    def write(temporary: Path) -> None:
        done.policy.save(temporary / "policy")
        write_episodes(done.episodes, temporary / "episodes.parquet")
        write_atomically(temporary / "cell.json", json.dumps(facts, indent=1) + "\n")

    replace_folder(folder, write)


def kept(folder: Path, key: str) -> Done | None:
    """What a cell brought back in an earlier run; None if there was none, or of something else."""
    try:
        facts = Section.read_json(folder / "cell.json")
        if facts.text("fingerprint") != key:
            return None
        counts = facts.section("spent")
        names = ("steps", "episodes", "falls", "limit_hits")
        spent = Spent(seconds=counts.number("seconds"), **{name: int(counts.number(name)) for name in names})
        trained = facts.values.get("trained_weights")
        return Done(
            Policy.load(folder / "policy"),
            read_episodes(folder / "episodes.parquet"),
            spent,
            facts.number("cpu_seconds"),
            None if trained is None else int(facts.number("trained_weights")),
        )
    except (OSError, Sim2RealError):
        return None
