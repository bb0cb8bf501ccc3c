"""An identification as one page that opens offline: verdicts first, pictures drawn from data inside it."""

from __future__ import annotations

import html
import json
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from sim2real.files import write_text
from sim2real.identify.next_motion import NextMotion
from sim2real.identify.result import Identification, Trace
from sim2real.identify.verdicts import ranked

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
    template = Template(resources.files("sim2real.identify").joinpath("page.html").read_text("utf-8"))
    worst = ranked(found.verdicts)
    table = found.to_json()
    table["traces"] = [_trace(trace) for trace in found.traces]
    table["motion"] = None if motion is None else _motion(motion)
    data = json.dumps(table, allow_nan=False, ensure_ascii=False).replace("</", "<\\/")
    lead = worst[-1].text if worst else "nothing was found"
    return template.substitute(world=html.escape(found.world), lead=html.escape(lead), data=data)


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
