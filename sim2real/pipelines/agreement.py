"""How engines, places and reality agree: parity, the matrix, and what simulation predicts; with the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sim2real.evaluate.matrix import Matrix, places
from sim2real.evaluate.matrix import matrix as run_matrix
from sim2real.evaluate.prediction import Prediction
from sim2real.evaluate.prediction import predict as predict_results
from sim2real.evaluate.results_file import read_columns, results_of, split
from sim2real.evaluate.rollouts import Trials
from sim2real.files import check_file, check_folder, write_atomically
from sim2real.foreign import load_policy
from sim2real.parity.measure import Parity, measure
from sim2real.pipelines.given import given_world
from sim2real.pipelines.reporting import Progress, silent
from sim2real.plain import as_json
from sim2real.report.matrix import write_matrix
from sim2real.report.parity import write as write_parity
from sim2real.world import World


def parity(
    world: str | Path | World, simulator: str = "bullet", seconds: float = 1.0, out: str | Path | None = None
) -> Parity:
    """Compare an engine with MuJoCo.

    Args:
        world: on which world, or its name or folder; at nominal physics but for the effects.
        simulator: name of the engine.
        seconds: length of the motions.
        out: folder that gets ``parity.json`` and ``parity.png``; by default nothing is written.

    Raises:
        UnknownName: for a world or an engine that does not exist.
        MissingExtra: if its package is not installed.
        InvalidValue: for a world that the engine can't express or that has no joint, or a motion of no step.
    """
    found = measure(given_world(world), simulator, seconds)
    if out is not None:
        write_parity(found, Path(out))
    return found


@dataclass(frozen=True)
class MatrixSettings:
    """How policies are run in many places."""

    trials: Trials = field(default_factory=Trials)
    """Episodes of each policy in each place, their seed, and whether dead values may be."""
    progress: Progress = silent
    """Is told of each place."""


def matrix(
    worlds: Sequence[str | Path | World],
    policies: Sequence[object],
    simulators: Sequence[str] = (),
    domains: Sequence[str] = (),
    out: str | Path | None = None,
    settings: MatrixSettings | None = None,
) -> Matrix:
    """Run every policy in every combination of worlds, engines and physics that it fits.

    Args:
        worlds: at least one, or their names or folders.
        policies: seeds of some methods, ours and others', or what `sim2real.load_policy` takes for one.
        simulators: engines; none for that of the physics.
        domains: ``nominal``, ``training``, held-out variants, or TOML files of domains; none for nominal.
        out: folder that gets ``matrix.parquet`` and ``matrix.png``; by default nothing is written.
        settings: episodes.

    Raises:
        InvalidValue: if there is no world or policy, or none fits any place.
        UnknownName: for a world, a policy or a variant that does not exist.
        MissingExtra: if an engine is not installed.
        DeadParameter: if a value of a place changes nothing; see `sim2real.audit`.
    """
    settings = settings or MatrixSettings()
    if out is not None:
        check_folder(Path(out))
    where = places([given_world(world) for world in worlds], simulators, domains)
    actors = [load_policy(policy) for policy in policies]
    with settings.progress("matrix", len(where)) as tell:
        found = run_matrix(actors, where, settings.trials, lambda place: tell(place.name))
    if out is not None:
        write_matrix(found, Path(out))
    return found


def predict(
    results: str | Path,
    simulated: Sequence[str],
    real: str,
    by: str | None = None,
    measure: str | None = None,
    out: str | Path | None = None,
) -> dict[str, Prediction]:
    """Whether simulation predicts reality, from results of several policies in both.

    Args:
        results: CSV or Parquet; see `sim2real.evaluate.results_file`.
        simulated: its columns, or values of the column ``environment``, of simulators.
        real: that of reality.
        by: a column such as ``task``, each of whose values is judged apart.
        measure: ``success`` or ``return``, of episodes; by default the first of these that is there.
        out: JSON file that gets the numbers; by default none is written.

    Returns:
        By value of ``by``; one under the name of reality without it.

    Raises:
        InvalidValue: for a file that is no table, or lacks a column, or policies that aren't the same.
        UnknownName: if an environment isn't there.
    """
    if out is not None:
        check_file(out)
    simulators = [name for name in dict.fromkeys(simulated) if name != real]
    columns = read_columns(results)
    found = {}
    for group, own in (split(columns, by) if by else {real: columns}).items():
        *each, target = results_of(own, (*simulators, real), measure)
        found[group] = predict_results(dict(zip(simulators, each, strict=True)), target)
    if out is not None:
        write_atomically(Path(out), as_json(found))
    return found
