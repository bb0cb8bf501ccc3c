"""The page of an identification: verdicts first, then errors, curves, parameters, and what to record next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from sim2real.domain import Correlation
from sim2real.evaluate.statistics import Estimate
from sim2real.files import write_atomically
from sim2real.identify.estimates import FITTED, MEASURED, NOMINAL, ParameterEstimate
from sim2real.identify.result import Identification
from sim2real.identify.verdicts import BAD_DATA, IDENTIFIED, NO_HELDOUT_GAIN, Verdict, ranked
from sim2real.recordings import load_recordings
from sim2real.replay.baselines import COMMAND, DELAYED
from sim2real.report.chart import Chart, Take
from sim2real.report.page import Page, Section, render
from sim2real.report.plots import bars, panels
from sim2real.report.replay import hints_table
from sim2real.report.style import COLOURS, style
from sim2real.report.tables import Cell, Rows, Table, Value, badge, long, numeral

_SERIES = {MEASURED: "ink", FITTED: "series-1", NOMINAL: "series-2"}
_COLOURS = {NOMINAL: COLOURS[2], FITTED: COLOURS[1], DELAYED: COLOURS[4], COMMAND: COLOURS[0]}
_MOVING = 0.05  # share of the top speed from which on a joint moves
_LISTED = 6
_NUMBERED = 15  # parameters


def tone_of(verdict: str) -> str:
    """How a page colours a verdict of an identification: ``good``, ``fair`` or ``bad``."""
    return {IDENTIFIED: "good", NO_HELDOUT_GAIN: "bad", BAD_DATA: "bad"}.get(verdict, "fair")


def write_identification(found: Identification, folder: Path, facts: Mapping[str, str] | None = None) -> Path:
    """Write ``identification.html``, verdicts first.

    Args:
        found: what was found.
        folder: where it was saved, with the motion to record next if there is one.
        facts: provenance; ``command`` is what makes the page again.

    Raises:
        OSError: as raised by the file system; an older page is then still there.
    """
    parts = {"fitted": found.fitted, "held out": found.held_out}
    used = {name: ", ".join(recordings) or "nothing" for name, recordings in parts.items()}
    sections = [
        *fit_sections(found),
        *_left(found),
        *_before(found),
        *_next(found, folder),
        *_together(found),
    ]
    kind, told = "identification from recordings", {**(facts or {}), **used}
    page = Page(kind, found.world, _lead(found), sections, _tiles(found), facts=told)
    write_atomically(folder / "identification.html", render(page))
    return folder / "identification.html"


def _lead(found: Identification) -> list[tuple[str, str]]:
    """Whether the fit predicts, and the gravest thing to say against it."""
    verdicts = ranked(found.verdicts)
    if not verdicts:
        return [("Nothing was found.", "bad")]
    worst, tones = verdicts[0], {tone_of(verdict.name) for verdict in verdicts}
    said = "The fit predicts." if tones == {"good"} else "The fit predicts, but not all is well."
    if "bad" in tones or IDENTIFIED not in {verdict.name for verdict in verdicts}:
        said = worst.name.replace("_", " ").capitalize() + "."
    return [(said, ""), (f"{worst.text[0].upper()}{worst.text[1:]}.", tone_of(worst.name))]


def _tiles(found: Identification) -> list[tuple[str, str, str, str]]:
    """Numbers to see first."""
    rows = {row.predictor: row.held_out if found.held_out else row.fitted for row in found.gap}
    counts = f"{found.simulations:,} simulations, {found.diverged} diverged"
    error = " → ".join(f"{1000 * rows[name]:.2f}" for name in (NOMINAL, FITTED) if name in rows)
    return [
        (error, f"error {_judged(found)}, thousandths", "", "series-1"),
        (str(len(found.estimates)), "parameters", "", ""),
        (f"{len(found.fitted)} + {len(found.held_out)}", "recordings fitted + held out", "", ""),
        (f"{found.seconds:.0f} s", "in all", counts, ""),
    ]


def fit_sections(found: Identification) -> list[Section]:
    """Verdicts, errors before and after, what each step of the model bought, parameters with intervals."""
    unit = (
        "Root mean square over each recording, then the mean over recordings, in thousandths of rad or m; "
        "where joints of unlike units are fitted together, of how far each moves."
    )
    sections = [
        Section("Verdicts", "Worst first, each with what it rests on.", [verdict_table(found.verdicts)]),
        Section("Error before and after", unit, [_errors(found)], draw_errors(found)),
    ]
    if found.traces:
        takes = [Take(t.name + " (held out)" * t.held_out, t.time, t.lines) for t in found.traces]
        first = next((k for k, trace in enumerate(found.traces) if trace.held_out), 0)
        chart = Chart(found.joints, takes, _SERIES, "s", first, reference=MEASURED)
        sections.append(Section("Measured and predicted", "In rad or m.", charts=[chart]))
    if found.model_selection:
        head = ["model", "numbers", "fitted", "held out", "kept for"]
        rows: Rows = [
            [s.model, s.parameters, _milli(s.fit), _milli(s.held_out), _kept(s.kept, found.joints)]
            for s in found.model_selection
        ]
        note = "Fitted in turn, kept only for the joints whose held-out error it lowers; thousandths."
        title = "Model selection: what each candidate bought"
        sections.append(Section(title, note, [Table("Models", head, rows)]))
    note = (
        "The bar is what the fit could choose from: its blue stretch is the 95 % interval, the dark mark "
        "the value, the dot the published one; a question mark where recordings can't tell numbers apart."
    )
    doubtful = {
        name for v in found.verdicts if v.name == "NOT_IDENTIFIABLE" for name in v.subject.split(", ")
    }
    numbers = [_parameter(e, e.name in doubtful) for e in found.estimates]
    wide = ("in what it could be", "bootstrap alone", "± if errors were independent")
    return [*sections, Section("Parameters", note, [Table.of("Parameters", numbers, page_only=wide)])]


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Verdicts, the gravest first."""
    rows: Rows = [[badge(v.name, tone_of(v.name)), _short(v.subject), long(v.text)] for v in ranked(verdicts)]
    return Table("Verdicts", ["verdict", "about", "evidence"], rows)


@style()
def draw_errors(found: Identification) -> Figure:
    """Bars of the error by joint and predictor, on what was held out if anything was."""
    figure, (axes,) = panels(1.1 + 0.16 * len(found.joints) * (1 + len(found.gap)))
    numbers = {}
    for row in found.gap:
        errors = [Estimate(1000 * error, None, 1) for error in row.joints]
        colour = _COLOURS.get(row.predictor, COLOURS[5])
        numbers[row.predictor] = colour, dict(zip(found.joints, errors, strict=False))
    bars(axes, found.joints, numbers, "%.1f")
    axes.set_xlabel(f"RMSE, thousandths, {_judged(found)}")
    figure.legend(loc="outside upper left", ncols=4)
    return figure


def _judged(found: Identification) -> str:
    return "held out" if found.held_out else "fitted"


def _errors(found: Identification) -> Table:
    """A row for each joint, a column for each predictor, on what judged and on what was fitted beside it."""
    columns = [
        (row.predictor, row.held_out if found.held_out else row.fitted, row.joints) for row in found.gap
    ]
    if found.held_out:
        columns += [(f"{row.predictor}, fitted", row.fitted, row.fitted_joints) for row in found.gap]
    shown = [column for column in columns if len(column[2]) == len(found.joints)]
    names, values = ("mean", *found.joints), [(mean, *by) for _, mean, by in shown]
    rows = [[name, *map(_milli, row)] for name, *row in zip(names, *values, strict=True)]
    head = ["joint", *(name for name, *_ in shown)]
    return Table(f"Error, thousandths, {_judged(found)}", head, rows, page_only=head[1 + len(found.gap) :])


def _parameter(e: ParameterEstimate, doubtful: bool) -> Mapping[str, Value]:
    mark = "bound" if e.on_bound else "?" if doubtful else ""
    low, high = e.range
    logarithmic = low > 0 and high / low > 4

    def place(value: float) -> float:
        """In percent of what the fit could choose from."""
        at = (value - low) / (high - low or 1.0)
        if logarithmic:
            at = math.log(max(value, low) / low) / math.log(high / low)
        return round(100 * min(max(at, 0.0), 1.0), 2)

    bar = (place(e.low), place(e.high), place(e.value), place(e.nominal))
    return {
        "parameter": Cell(e.name, mark),
        "in what it could be": Cell("", f"{low:.4g} … {high:.4g}", range=bar),
        "value": e.value,
        "unit": e.unit,
        "nominal": e.nominal,
        "95 % interval": _between(e.low, e.high, e.value),
        "bootstrap alone": _between(*e.bootstrap, e.value) if e.bootstrap else None,
        "± if errors were independent": e.independent,
    }


def _left(found: Identification) -> list[Section]:
    """What the model leaves unexplained, and what that points to."""
    sections = []
    if found.traces:
        note = (
            "Of predicted minus measured, over all recordings. White noise has an autocorrelation of 0; "
            "near 1, the model lacks something that lasts."
        )
        rows = [_residual(found, k) for k in range(len(found.joints))]
        sections.append(Section("What is left", note, [Table.of("What is left", rows)]))
    if found.hints:
        lead = "Signals that still explain a good part of it."
        sections.append(Section("What that points to", lead, [hints_table(found.hints)]))
    return sections


def _residual(found: Identification, joint: int) -> Mapping[str, Value]:
    """Size, still and moving, offset and memory of predicted minus measured, over all recordings."""
    errors = [(t.lines[FITTED] - t.lines[MEASURED])[:, joint] for t in found.traces]
    speeds = [np.abs(np.gradient(t.lines[MEASURED][:, joint], t.time)) for t in found.traces]
    error, speed = np.concatenate(errors), np.concatenate(speeds)
    moving = speed > _MOVING * max(float(np.quantile(speed, 0.99)), 1e-12)
    memory = [np.corrcoef(e[:-1], e[1:])[0, 1] for e in errors if len(e) > 2 and e.std() > 0]
    parts = {"error": error, "still": error[~moving], "moving": error[moving]}
    sizes = {name: float(np.sqrt((x**2).mean())) if len(x) else math.nan for name, x in parts.items()}
    return {
        "joint": found.joints[joint],
        **{name: _milli(size) for name, size in (sizes | {"offset": float(error.mean())}).items()},
        "autocorrelation": f"{np.mean(memory):.2f}" if memory else None,
    }


def _before(found: Identification) -> list[Section]:
    note = (
        "How much the recordings move each joint, and the widths that a model without faults could hope for."
    )
    return [Section("Before the fit", note, check_tables(found.check))] if found.check else []


def check_tables(check: Mapping[str, Any]) -> list[Table]:
    """How much each joint moves, and how well each parameter can be known at best.

    Args:
        check: `sim2real.identify.check.Check.to_json`.
    """
    moved: list[Mapping[str, Value]] = [
        {
            "joint": e["joint"],
            "commands span": "not driven" if _unknown(e["commanded"]) else e["commanded"],
            "positions span": e["span"],
            "top speed, /s": e["speed"],
            "moving": f"{100 * e['moving']:.0f} %",
            "noise": e["noise"],
        }
        for e in check["excitation"]
    ]
    expected: list[Mapping[str, Value]] = [
        {
            "parameter": e["name"],
            "looked at": e["value"],
            "95 % interval": _between(e["low"], e["high"], e["value"]),
            "it could be": _between(e["range"][0], e["range"][1], None),
            "share of that": f"{100 * e['share']:.2g} %" + ("" if e["identifiable"] else " (can't tell)"),
            "unit": e["unit"],
        }
        for e in sorted(check["expected"], key=lambda e: -e["share"])
    ]
    return [
        Table.of("Excitation, rad or m", moved),
        Table.of("Expected at best: no missing effect, sensor noise alone", expected),
    ]


def _next(found: Identification, folder: Path) -> list[Section]:
    if found.next_motion is None:
        return []
    text, charts = str(found.next_motion["text"]), []
    path = folder / str(found.next_motion["file"])
    if path.is_file():
        text += (
            ". Look at it before you play it: only the world's own ranges, speeds and contacts were checked."
        )
        (motion,) = load_recordings(path)
        take = Take(
            "next motion", motion.time, {"expected position": motion.position, "command": motion.command}
        )
        colours = {"expected position": "series-1", "command": "series-0"}
        charts = [Chart(motion.joints, [take], colours, "s", held=("command",))]
    return [Section("What to record next", text, charts=charts)]


def _together(found: Identification) -> list[Section]:
    if found.domain.correlation is None:
        return []
    note = (
        "Correlation of the refitted values: blue where two rise together, orange where one makes up for the "
        "other. What is nearly ±1 can't be told apart."
    )
    figure = _correlations(found.domain.correlation)
    return [Section("What goes together", note, figure=figure, label="Correlation of each two parameters")]


@style()
def _correlations(correlation: Correlation) -> Figure:
    """A square for each two parameters, the stronger the more they go together."""
    names, matrix = correlation.names, np.asarray(correlation.matrix)
    figure, (axes,) = panels(1.0 + 0.3 * len(names), grid="")
    colours = np.where(matrix[..., None] > 0, to_rgb(COLOURS[1]), to_rgb(COLOURS[2]))
    axes.imshow(np.concatenate([colours, np.abs(matrix)[..., None]], axis=-1))
    for (row, column), value in np.ndenumerate(matrix):
        if len(names) <= _NUMBERED and row != column:
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.xaxis.tick_top()
    return figure


def _kept(kept: Sequence[str], joints: Sequence[str]) -> str:
    return "all joints" if len(kept) >= len(joints) > 1 else ", ".join(kept) or "none"


def _short(subject: str) -> str:
    parts = subject.split(", ")
    return subject if len(parts) <= _LISTED else f"{', '.join(parts[:5])} and {len(parts) - 5} more"


def _milli(value: float) -> Cell:
    return numeral(1000 * value, ".2f")


def _between(low: float, high: float, value: float | None) -> Cell:
    return Cell(f"{low:.4g} … {high:.4g}", value=value)


def _unknown(value: float | None) -> bool:
    return value is None or math.isnan(value)
