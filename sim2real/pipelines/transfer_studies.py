"""What transfer gains by budget, which layers hold physics, and what to measure next; with the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sim2real.evaluate.curves import Curve
from sim2real.pipelines.given import given_policies, given_world
from sim2real.pipelines.reporting import Progress, silent
from sim2real.policy import Policy
from sim2real.report.compare import write_layers
from sim2real.report.run_sections import worth_section
from sim2real.report.style import write_results
from sim2real.report.training_curves import write_curves
from sim2real.transfer.compare import Design
from sim2real.transfer.layers import LayerTransfer
from sim2real.transfer.layers import layer_transfer as run_layers
from sim2real.transfer.learning_curves import read_curves as read
from sim2real.transfer.worth import Question, WorthOfKnowing, arms
from sim2real.transfer.worth import worth_of_knowing as train_arms
from sim2real.world import World


def read_curves(
    folders: Sequence[str | Path], out: str | Path | None = None
) -> Mapping[str, Mapping[str, Curve]]:
    """The curves of every method in every target, in control steps of the target.

    Args:
        folders: of `sim2real.compare`, each at its own budget.
        out: folder that gets ``curves-TARGET.png``; by default nothing is written.

    Raises:
        InvalidValue: for fewer than two budgets, two folders at one, a folder that is no comparison, or one
            without a budget in steps.
    """
    found = read([Path(folder) for folder in folders])
    if out is not None:
        write_curves(found, Path(out))
    return found


def layer_transfer(
    world: str | Path | World,
    policies: Sequence[str | Path | Policy],
    design: Design,
    out: str | Path,
    donors: Sequence[str | Path | Policy] = (),
    progress: Progress = silent,
) -> LayerTransfer:
    """Keep layers of source's and target's policies, learn the others anew in a target, and compare.

    Args:
        world: where, or its name or folder.
        policies: of the source, seeds of one method, or their names or folders.
        design: its one target, the budget of each learning, and the rest; see `sim2real.compare`.
        out: folder in which policies of the target, and cells that are done, are kept, and that gets
            ``layers.json`` and ``layers.png``.
        donors: policies of the target, one for each seed; trained by default as the world's nominal ones.
        progress: is told of each policy and cell.

    Raises:
        InvalidValue: for several targets, one of another engine, or donors of other seeds.
        PolicyError: for policies of other networks.
        UnknownName: for a world, a policy or a variant that does not exist.
    """
    starts, theirs = given_policies(policies), given_policies(donors)
    with progress("layers", 0) as tell:
        found = run_layers(given_world(world), starts, design, Path(out), theirs, tell)
    write_layers(found, Path(out))
    return found


def worth_of_knowing(
    world: str | Path | World,
    policies: Sequence[str | Path | Policy],
    target: str,
    out: str | Path,
    question: Question | None = None,
    progress: Progress = silent,
) -> WorthOfKnowing:
    """Go on training with and without knowing each parameter of a target, and compare in the target.

    Args:
        world: where, or its name or folder.
        policies: seeds of one method, each of which goes on, or their names or folders.
        target: a held-out variant of one physics.
        out: folder that keeps what was trained, so that the same call again goes on from there, and that gets
            ``worth.json`` and ``worth.png``.
        question: what is asked.
        progress: is told of each training.

    Raises:
        InvalidValue: for no policy or those of several methods, a target that is drawn from or has no such
            parameter, and a world without training ranges.
        UnknownName: for a world, a policy, a variant or a parameter that does not exist.
        PolicyError: if a policy does not fit the world.
    """
    loaded, starts, question = given_world(world), given_policies(policies), question or Question()
    total = len(arms(loaded, loaded.variant(target), question)) * len(starts)
    with progress("trainings", total) as tell:
        found = train_arms(loaded, starts, target, Path(out), question, tell)
    write_results(Path(out), {"worth.json": found, "worth.png": worth_section(found).figure})
    return found
