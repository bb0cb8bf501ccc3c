"""Learning curves: of training runs, from their TensorBoard logs, and of comparisons at several budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sim2real.errors import InvalidValue
from sim2real.evaluate.curves import Curve, gains, negative_transfer, time_to_threshold
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.statistics import spread
from sim2real.evaluate.survival import saved
from sim2real.report.chart import Chart, FloatArray, Take
from sim2real.report.page import Section
from sim2real.report.plots import look, panels
from sim2real.report.style import style, write_results
from sim2real.report.tables import Rows, Table, Value, estimate
from sim2real.transfer.compare import SCRATCH
from sim2real.transfer.learning_curves import read_curves

_TAG = "rollout/ep_rew_mean"
_LOGS = "events.out.tfevents*"


def logs_of(folder: Path) -> Path | None:
    """Where the logs of a run are: in it, or beside the policy that it made; None without any."""
    beside = folder.with_name(f"{folder.name}.training")
    return next((place for place in (folder, beside) if any(place.rglob(_LOGS))), None)


def curves_section(folders: Sequence[Path]) -> Section | None:
    """Return over control steps, a line for each run; None where none has logs."""
    curves = {folder.name: curve for folder in folders if (curve := _curve(folder)) is not None}
    if not curves:
        return None
    steps = np.unique(np.concatenate([own for own, _ in curves.values()]))
    lines = {
        name: np.interp(steps, own, returns, left=np.nan, right=np.nan)[:, None]
        for name, (own, returns) in curves.items()
    }
    colours = {name: f"series-{1 + k % 5}" for k, name in enumerate(curves)}
    chart = Chart(["mean return of the last episodes"], [Take("training", steps, lines)], colours)
    note = (
        "Mean return of the episodes that ended last, over control steps of training, exploration included."
    )
    return Section("Learning curves", note, charts=[chart])


def curves_sections(folders: Sequence[Path]) -> Iterator[Section]:
    """What each method reaches at each budget, where comparisons had several."""
    if len(folders) > 1:
        for target, curves in read_curves(folders).items():
            lead = "Mean return in the target, by control steps there; bars are 95 % intervals over seeds."
            title, tables = f"What is reached in {target} at each budget", curve_tables(target, curves)
            yield Section(title, lead, tables, draw_curves(target, curves))


def write_curves(found: Mapping[str, Mapping[str, Curve]], folder: Path) -> None:
    """Write ``curves-TARGET.png`` for each target."""
    write_results(folder, {f"curves-{target}.png": draw_curves(target, own) for target, own in found.items()})


@style()
def draw_curves(target: str, curves: Mapping[str, Curve]) -> Figure:
    """A line a method, with 95 % intervals over seeds at each budget."""
    figure, (axes,) = panels(4.6, f"{target}: reached at each budget", grid="y")
    for k, (method, curve) in enumerate(curves.items()):
        appearance = look(k + 1)
        axes.plot(curve.budgets, np.nanmean(curve.scores, axis=0), markersize=5, label=method, **appearance)
        for budget, column in zip(curve.budgets, curve.scores.T, strict=True):
            interval = spread(mean, column[~np.isnan(column), None, None]).interval
            if interval:
                axes.vlines(budget, *interval, color=appearance["color"], linewidth=2.2, alpha=0.45)
    axes.set_xlabel("control steps in the target")
    axes.set_ylabel("mean return in the target")
    axes.legend()
    return figure


def curve_tables(target: str, curves: Mapping[str, Curve], thresholds: Sequence[float] = ()) -> list[Table]:
    """What is reached at each budget; what that gains on learning from scratch; how long returns take.

    Args:
        target: its name.
        curves: of each method.
        thresholds: returns; runs that never get there are censored.
    """
    reached: Rows = [
        [method, int(budget), spread(mean, column[~np.isnan(column), None, None]).estimate]
        for method, curve in curves.items()
        for budget, column in zip(curve.budgets, curve.scores.T, strict=True)
    ]
    scratch = curves.get(SCRATCH)
    others = {method: curve for method, curve in curves.items() if method != SCRATCH}
    gained = [_gained(method, curve, scratch) for method, curve in others.items() if scratch is not None]
    times = [row for threshold in thresholds for row in _times(curves, threshold)]
    head = ["method", "jumpstart", "area", "asymptote", "by budget"]
    nothing = "" if scratch else f"Without {SCRATCH} among the methods there is nothing to gain against."
    return [
        Table(f"Reached in {target}", ["method", "control steps", "mean return"], reached),
        Table(f"Gains on {SCRATCH} in {target}, mean return", head, gained, nothing),
        Table.of(f"Steps to a return in {target} (Kaplan–Meier)", times),
    ]


def _gained(method: str, curve: Curve, scratch: Curve) -> Sequence[Value]:
    try:
        gain = gains(curve, scratch, last=1)
        said = ", ".join(f"{at.budget:,g}: {at.effect}" for at in negative_transfer(curve, scratch))
    except InvalidValue as error:  # no budget that both have, or a run that ended early
        return [method, None, None, None, str(error)]
    return [method, gain.jumpstart, gain.area, gain.asymptote, said]


def _times(curves: Mapping[str, Curve], threshold: float) -> Iterator[Mapping[str, Value]]:
    """How long each method takes to a return, within the least of the largest budgets."""
    horizon = min(float(curve.budgets[-1]) for curve in curves.values())
    found = {method: time_to_threshold(curve, threshold, horizon) for method, curve in curves.items()}
    for method, one in found.items():
        against = found.get(SCRATCH) if method != SCRATCH else None
        yield {
            "method": method,
            "return": threshold,
            "reached": f"{one.reached} of {len(curves[method].scores)}",
            "median steps": "never" if np.isinf(one.median) else f"{one.median:,.0f}",
            "restricted mean": estimate(one.restricted_mean, digits=0),
            f"saved against {SCRATCH}": estimate(saved(one, against), digits=0) if against else None,
        }


def _curve(folder: Path) -> tuple[FloatArray, FloatArray] | None:
    """Steps and returns, by step; of a run that went on in another log, the later log's."""
    place = logs_of(folder)
    logs = [] if place is None else sorted(place.rglob(_LOGS))
    found = sorted(dict(point for path in logs for point in _points(path)).items())
    return tuple(np.array(found, float).T) if found else None


def _points(path: Path) -> Iterator[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(path), size_guidance={"scalars": 0})
    log.Reload()
    if _TAG in log.Tags()["scalars"]:
        yield from ((event.step, event.value) for event in log.Scalars(_TAG))
