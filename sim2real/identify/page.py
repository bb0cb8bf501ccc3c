"""An identification as one page that opens offline: verdicts first, pictures drawn from data inside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sim2real.files import write_text
from sim2real.identify.experiment_design import NextMotion
from sim2real.identify.result import Identification, Trace
from sim2real.identify.space import FloatArray
from sim2real.identify.verdicts import ranked
from sim2real.pages import embedded, fill

_MOVING = 0.05  # share of the top speed from which on a joint moves
_MOST_ROWS = 1500  # of a trace; the eye sees no more


def write_page(found: Identification, folder: Path, motion: NextMotion | None = None) -> Path:
    """Write ``identification.html``.

    Args:
        found: what to show.
        folder: where to.
        motion: what to record next, to be drawn.

    Returns:
        Path: of the page.

    Raises:
        OSError: as raised by the file system; an older page is then still there.
    """
    page = folder / "identification.html"
    write_text(page, _page(found, motion))
    return page


def _page(found: Identification, motion: NextMotion | None) -> str:
    worst = ranked(found.verdicts)
    table = found.to_json()
    table["traces"] = [_trace(trace) for trace in found.traces]
    table["residuals"] = _residuals(found)
    table["motion"] = None if motion is None else _motion(motion)
    lead = worst[-1].text if worst else "nothing was found"
    return fill(
        "sim2real.identify", "page.html", {"world": found.world, "lead": lead, "data": embedded(table)}
    )


def _trace(trace: Trace) -> dict[str, object]:
    """Every so many-th row, angles to a tenth of a thousandth."""
    every = max(1, len(trace.time) // _MOST_ROWS)
    lines = {name: np.round(values[::every], 4).T.tolist() for name, values in trace.lines.items()}
    return {
        "name": trace.name,
        "held": trace.held,
        "time": np.round(trace.time[::every], 3).tolist(),
        "lines": lines,
    }


def _motion(motion: NextMotion) -> dict[str, object]:
    """Commands and expected positions of the motion to record next, with the recordings' own names."""
    log = motion.recording
    every = max(1, len(log.time) // _MOST_ROWS)
    return {
        "joints": list(log.joints),
        "time": np.round(log.time[::every], 3).tolist(),
        "command": np.round(log.command[::every], 4).T.tolist(),
        "expected": np.round(log.position[::every], 4).T.tolist(),
    }


def _residuals(found: Identification) -> list[dict[str, object]]:
    """Of predicted minus measured, joint by joint, over all recordings: size, still and moving, memory."""
    if not found.traces:
        return []
    rows: list[dict[str, object]] = []
    for k, joint in enumerate(found.joints):
        errors = [t.lines["identified"][:, k] - t.lines["measured"][:, k] for t in found.traces]
        speeds = [np.abs(np.gradient(t.lines["measured"][:, k], t.time)) for t in found.traces]
        error, speed = np.concatenate(errors), np.concatenate(speeds)
        moving = speed > _MOVING * max(float(np.quantile(speed, 0.99)), 1e-12)
        memory = [float(np.corrcoef(e[:-1], e[1:])[0, 1]) for e in errors if len(e) > 2 and e.std() > 0]
        rows.append(
            {
                "joint": joint,
                "rmse": _rms(error),
                "still": _rms(error[~moving]),
                "moving": _rms(error[moving]),
                "offset": float(error.mean()),
                "autocorrelation": float(np.mean(memory)) if memory else None,
            }
        )
    return rows


def _rms(values: FloatArray) -> float | None:
    return float(np.sqrt((values**2).mean())) if len(values) else None
