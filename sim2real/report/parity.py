"""A parity as tables, a figure and a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from sim2real.evaluate.statistics import Estimate
from sim2real.interface import Array
from sim2real.parity.measure import Effect, Parity
from sim2real.report.plots import bare, bars, sheet
from sim2real.report.style import COLOURS, style, write_results
from sim2real.report.tables import Rows, Table, long, numeral

_POWER = StrMethodFormatter("{x:.0e}")  # text, as mathematics is not parsed
_SAME = 0.999  # cosine from which two effects count as the same


def tables(parity: Parity) -> list[Table]:
    """The findings and the effects."""
    title = f"{parity.simulator} against mujoco on {parity.world}"
    head = ["parameter", "moved to", "mujoco", parity.simulator, "cosine", ""]
    effects: Rows = [
        [
            e.parameter,
            e.value,
            numeral(e.reference, ".2e"),
            numeral(e.size, ".2e"),
            f"{e.agreement:.4f}",
            long(_verdict(e)),
        ]
        for e in parity.effects
    ]
    return [
        Table(title, ["question", "answer"], _findings(parity)),
        Table("Effects on positions, rms", head, effects),
    ]


def write(parity: Parity, folder: Path) -> None:
    """Write ``parity.json`` and ``parity.png`` into a folder."""
    numbers = {
        "world": parity.world,
        "simulator": parity.simulator,
        "reference": "mujoco",
        "physics_dt_s": parity.physics_dt,
        "start": parity.start,
        "blown_up": parity.blown,
        "seconds": len(parity.path) * parity.physics_dt,
        "untouched": {
            "largest_difference": parity.open_loop,
            "relative_difference_of_accelerations": parity.inertia,
            "relative_difference_of_energy": parity.energy,
        },
        "with_contacts_and_limits": {
            "seconds_until_apart": {f"{d:g}": parity.parted(d) for d in (1e-6, 1e-3, 1e-1)},
            "largest_difference": float(parity.apart.max()),
        },
        "effects": parity.effects,
    }
    write_results(folder, {"parity.json": numbers, "parity.png": draw_parity(parity)})


def _findings(parity: Parity) -> list[tuple[str, str]]:
    parted = parity.parted()
    when = "never" if np.isinf(parted) else f"after {parted:.3g} s"
    blown = [("numbers that blew up", ", ".join(parity.blown))] if parity.blown else []
    return [
        *blown,
        ("where motions begin", parity.start),
        (
            f"untouched, {len(parity.path)} steps of {parity.physics_dt:g} s",
            f"≤ {parity.open_loop:.1e} rad or m",
        ),
        ("accelerations under unit pushes (mass matrix)", f"≤ {parity.inertia:.1e} of the largest"),
        ("energy of the untouched motion", f"≤ {parity.energy:.1e} of its range"),
        ("with contacts and limits, apart by 1e-3", f"{when}; at most {parity.apart.max():.1e} rad or m"),
        ("what can't agree", "onset and softness of contacts, and joint limits, are each engine's own"),
    ]


def _verdict(effect: Effect) -> str:
    if effect.refused:
        return f"refused: {effect.refused}"
    if not effect.reference and not effect.size:
        return "no effect in either"
    where = ", in contact" if effect.touched else ""
    if effect.agreement > _SAME and abs(effect.size / effect.reference - 1) < 0.01:
        return "same" + where
    return ("same sign" if effect.agreement > 0 else "differs") + where


@style()
def draw_parity(parity: Parity) -> Figure:
    """Paths, distances over time, and the effects of parameters, in both engines."""
    figure = sheet(6.4, f"{parity.simulator} against mujoco on {parity.world}")
    axes = figure.subplot_mosaic([["paths", "effects"], ["distances", "effects"]])
    _paths(axes["paths"], parity)
    _distances(axes["distances"], parity)
    for each in axes.values():
        bare(each, "both")
    _effects(axes["effects"], parity)
    return figure


def _times(parity: Parity, path: Array) -> Array:
    return np.asarray(parity.physics_dt * np.arange(1, len(path) + 1))


def _paths(axes: Axes, parity: Parity) -> None:
    times = _times(parity, parity.contact_path)
    for k, (one, other) in enumerate(
        zip(parity.reference_contact_path.T, parity.contact_path.T, strict=True)
    ):
        axes.plot(times, one, color=COLOURS[1 + k % 5], linewidth=2.5, alpha=0.35)
        axes.plot(times, other, color=COLOURS[1 + k % 5], linewidth=0.9)
    axes.set_ylabel("positions, rad and m")
    axes.set_title(f"as it is: mujoco wide, {parity.simulator} thin", fontsize=10, fontweight="normal")


def _distances(axes: Axes, parity: Parity) -> None:
    free = np.abs(parity.path - parity.reference_path).max(axis=1)
    kinds = ((free, "untouched", COLOURS[1]), (parity.apart, "with contacts and limits", COLOURS[2]))
    for distance, label, colour in kinds:
        axes.semilogy(_times(parity, distance), np.maximum(distance, 1e-18), label=label, color=colour)
    axes.set(xlabel="time, s", ylabel="largest difference, rad and m")
    axes.yaxis.set_major_formatter(_POWER)
    axes.legend()


def _effects(axes: Axes, parity: Parity) -> None:
    effects = [effect for effect in parity.effects if effect.reference or effect.size]
    sizes = (("mujoco", COLOURS[0], "reference"), (parity.simulator, COLOURS[1], "size"))
    numbers = {
        engine: (colour, {e.parameter: Estimate(getattr(e, size), None, 1) for e in effects})
        for engine, colour, size in sizes
    }
    bars(axes, [effect.parameter for effect in effects], numbers)
    axes.set(xscale="log" if effects else "linear", xlabel="effect, rms rad and m")
    axes.set_title("effects of parameters", fontsize=10, fontweight="normal")
    axes.xaxis.set_major_formatter(_POWER)
    axes.xaxis.set_minor_formatter(NullFormatter())  # numbers between the powers of ten would overlap
    axes.legend()
