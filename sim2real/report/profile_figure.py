"""The figure of the performance profiles: how many seeds and variants reach how much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from sim2real.evaluate.gap import GapReport
from sim2real.evaluate.profiles import performance_profile
from sim2real.evaluate.statistics import Array, Estimate, over_starts, spread
from sim2real.report.plots import look, panels
from sim2real.report.style import style

_STEPS = 41


@style()
def draw_profiles(report: GapReport) -> Figure | None:
    """A line for each method over the held-out variants that all have met, its band from three seeds on.

    None where scores aren't normalized, or there are fewer than two such variants: returns of different
    variants have no common axis.
    """
    scores, folded = report.scores, report.scores.folded
    variants = scores.held_out
    for label in scores.label_order:
        variants = scores.met(label, variants)
    if not report.normalized or len(variants) < 2:
        return None
    samples = {label: scores.percent(label, variants)[0] for label in scores.label_order}
    means = {label: over_starts(sample) for label, sample in samples.items()}
    low = min(0.0, *(float(np.nanmin(own)) for own in means.values()))
    high = max(100.0, *(float(np.nanmax(own)) for own in means.values()))
    thresholds = np.linspace(low, high, _STEPS)
    figure, (axes,) = panels(3.6, grid="both")
    axes.set_xlim(low, high)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("score  (0 = random actions, 100 = oracle)")
    axes.set_ylabel("share above it")
    for place, (label, sample) in enumerate(samples.items()):
        colour = look(place)["color"]
        fine = np.linspace(low, high, 20 * _STEPS)
        axes.step(fine, performance_profile(means[label], fine), color=colour, label=folded.labels[label])
        band = [interval for tau in thresholds if (interval := _share(sample, tau).interval)]
        if len(band) == len(thresholds):
            axes.fill_between(thresholds, *_falling(band), color=colour, alpha=0.15, linewidth=0)
    axes.legend(labelcolor="linecolor", loc="lower left")
    return figure


def _falling(band: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    """Ends that fall from left to right as a profile does, and hold the band."""
    low, high = np.transpose(band)
    return np.minimum.accumulate(low), np.maximum.accumulate(high[::-1])[::-1]


def _share(sample: Array, threshold: float) -> Estimate:
    """Share of seeds and variants above a threshold, with its interval over other seeds and starts."""
    tau = np.array([threshold])
    found = spread(lambda draws: performance_profile(draws, tau)[:, 0], sample)
    seeds, variants = sample.shape[:2]
    return found.within(0.0, 1.0, seeds * variants)
