"""What a replay gap is made of: by frequency, by the time since the simulation knew the truth, by state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from sim2real.evaluate.frequency import BANDS, response, smoothness
from sim2real.evaluate.marginals import Marginals, marginals
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.replay import HORIZONS, SIMULATION, ReplayGap
from sim2real.evaluate.statistics import Estimate, spread
from sim2real.evaluate.tracking import FloatArray

_MILLI = 1000.0
_STATES = ("position", "velocity")

Rows: TypeAlias = tuple[str, list[str], list[list[str]]]
"""Title, head and rows of a table."""


@dataclass(frozen=True)
class ReplayDetail:
    """Numbers of a replay gap with intervals over motions; None where no motion can tell."""

    ratio: tuple[Estimate | None, ...]
    """Amplitude of the real joints over the simulated ones, mean over joints, of every band."""
    phase: tuple[Estimate | None, ...]
    """Phase of the real joints against the simulated ones, degrees; negative where they come later."""
    smoothness: Estimate | None
    """Spectral arc length of the real joints less that of the simulated ones; negative: they shake more."""
    horizon: tuple[Estimate | None, ...]
    """RMSE, mrad, so long after the simulation was put on the measured state; empty if that wasn't done."""
    states: Marginals | None
    """Of visited positions and velocities, real against simulated; None for a single motion."""


@lru_cache(maxsize=1)  # a page, its JSON and the terminal show the same
def replay_detail(gap: ReplayGap) -> ReplayDetail:
    """Take a replay gap apart."""
    found = [response(m.time, m.measured, m.predictions[SIMULATION]) for m in gap.motions]
    ratio = np.stack([_over_joints(one.ratio) for one in found])
    turns = np.stack([_over_joints(np.exp(1j * one.phase)) for one in found])
    rough = [
        smoothness(m.time, m.measured) - smoothness(m.time, m.predictions[SIMULATION]) for m in gap.motions
    ]
    horizon = () if gap.horizon is None else tuple(_mean(column) for column in _MILLI * gap.horizon.T)
    return ReplayDetail(
        ratio=tuple(_mean(column) for column in ratio.T),
        phase=tuple(_angle(column) for column in turns.T),
        smoothness=_mean(_over_joints(np.array(rough))),
        horizon=horizon,
        states=_states(gap) if len(gap.motions) > 1 else None,
    )


def detail_json(gap: ReplayGap, detail: ReplayDetail) -> dict[str, object]:
    """For the summary; null where the data can't tell."""
    bands = [
        {"hz": list(band), "amplitude_ratio": _json(ratio), "phase_degrees": _json(phase)}
        for band, ratio, phase in zip(BANDS, detail.ratio, detail.phase, strict=True)
    ]
    horizons = [
        {"seconds": seconds, "rmse_mrad": _json(estimate)}
        for seconds, estimate in zip(HORIZONS, detail.horizon, strict=False)
    ]
    told = {"by_frequency": bands, "smoothness_difference": _json(detail.smoothness), "by_horizon": horizons}
    return {**told, "states": None if detail.states is None else _states_json(gap, detail.states)}


def detail_rows(detail: ReplayDetail) -> list[Rows]:
    """Tables of what the data can tell, by frequency, by horizon and by state."""
    tables = (_by_frequency(detail), _by_horizon(detail), _by_state(detail))
    return [table for table in tables if table[2]]


def _by_frequency(detail: ReplayDetail) -> Rows:
    bands = zip(BANDS, detail.ratio, detail.phase, strict=True)
    rows = [[f"{a:g} to {b:g} Hz", _text(r, 2), _text(p, 0, "°")] for (a, b), r, p in bands if r is not None]
    return "By frequency", ["", "real amplitude over simulated", "phase of the real joint"], rows


def _by_horizon(detail: ReplayDetail) -> Rows:
    known = zip(HORIZONS, detail.horizon, strict=False)
    rows = [[f"{seconds:g} s", _text(error, 1)] for seconds, error in known if error is not None]
    return "By time since the simulation was put on the measured state", ["", "RMSE, mrad"], rows


def _by_state(detail: ReplayDetail) -> Rows:
    title, head = "States that are visited, real against simulated", ["", "distance", "p"]
    if detail.states is None:
        return title, head, []
    far = detail.states.wasserstein.reshape(len(_STATES), -1).mean(axis=1).tolist()
    rows = [
        [f"{name}, Wasserstein in standard deviations", f"{far[k]:.3f}", ""] for k, name in enumerate(_STATES)
    ]
    rows.append(["energy distance of all", f"{detail.states.energy:.4f}", f"{detail.states.energy_p:.3f}"])
    right = f"{100 * detail.states.accuracy:.0f} %"
    return title, head, [*rows, ["told apart by a classifier", right, f"{detail.states.accuracy_p:.3f}"]]


def _states(gap: ReplayGap) -> Marginals:
    simulated = [_with_velocity(m.time, m.predictions[SIMULATION]) for m in gap.motions]
    return marginals(simulated, [_with_velocity(m.time, m.measured) for m in gap.motions], paired=True)


def _with_velocity(time: FloatArray, position: FloatArray) -> FloatArray:
    return np.concatenate([position, np.gradient(position, time, axis=0)], axis=1)


def _states_json(gap: ReplayGap, states: Marginals) -> dict[str, object]:
    features = [f"{joint}.{name}" for name in _STATES for joint in gap.joints]
    return {
        "wasserstein": dict(zip(features, states.wasserstein.round(4).tolist(), strict=True)),
        "energy": round(states.energy, 6),
        "energy_p": states.energy_p,
        "classifier_accuracy": round(states.accuracy, 4),
        "classifier_p": states.accuracy_p,
    }


def _over_joints(values: FloatArray) -> FloatArray:
    """Mean of each row over the joints that can tell. Shape (rows,)."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    found: FloatArray = np.full(len(values), np.nan, dtype=total.dtype)
    np.divide(total, known.sum(axis=1), out=found, where=known.any(axis=1))
    return found


def _mean(values: FloatArray) -> Estimate | None:
    """Over the motions that can tell."""
    known = values[~np.isnan(values)]
    return spread(mean, known[:, None, None]).estimate if len(known) else None


def _angle(turns: FloatArray) -> Estimate | None:
    """Mean angle, degrees, of unit vectors; around it the motions' own."""
    known = turns[~np.isnan(turns)]
    if not len(known):
        return None
    middle = np.angle(known.sum())
    return _mean(np.degrees(middle + np.angle(known * np.exp(-1j * middle))))


def _json(estimate: Estimate | None) -> dict[str, object] | None:
    if estimate is None:
        return None
    interval = None if estimate.interval is None else [round(end, 4) for end in estimate.interval]
    return {"value": round(estimate.value, 4), "interval": interval, "motions": estimate.n}


def _text(estimate: Estimate | None, digits: int, unit: str = "") -> str:
    if estimate is None:
        return "–"
    numbers = [round(x, digits) + 0.0 for x in (estimate.value, *(estimate.interval or ()))]  # no negative 0
    value, *ends = (f"{x:.{digits}f}" for x in numbers)
    return f"{value}{unit} [{', '.join(ends)}]" if ends else f"{value}{unit}"
