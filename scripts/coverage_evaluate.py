"""How often a report's intervals hold the truth, and how often it calls something decided that is not.

    python scripts/coverage_evaluate.py            # 1,000 reports for each number of seeds, about 12 minutes
    python scripts/coverage_evaluate.py --quick

The data are made like what the shipped policies show: fifteen variants, most of them near one end; seeds
that differ by variant, with heavy tails, and a little as a whole; 64 starts, some hard for all. A report
compares two methods with a baseline. Coverage: of the true mean over many seeds, by each of the report's
intervals, and of the percentile bootstrap that papers use. False alarms: share of reports in which anything
is called decided though the three methods are the same. Power: share in which a method that is better
everywhere is said to help as a whole, and on at least one variant. Gates: share that are met, or broken,
where the truth is the very number that is required (2.5 % each at most), and where ten numbers are required
that all hold.
"""

import argparse
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sim2real.evaluate.gap import gap_report
from sim2real.evaluate.gate import require
from sim2real.evaluate.metrics import cvar, iqm, mean, variant_means
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.selftest import VARIANTS, MadeWorld, episodes_of, verdicts_of
from sim2real.evaluate.statistics import Array, spread

STATISTICS: dict[str, Callable[[Array], Array]] = {
    "mean over variants": mean,
    "IQM": lambda draws: iqm(draws.reshape(len(draws), -1)),
    "worst quarter (CVaR)": lambda draws: cvar(variant_means(draws), 0.25),
}


def percentile(scores: Array, statistic: Callable[[Array], Array], rng: np.random.Generator) -> Array:
    means = scores.mean(axis=2)
    draws = statistic(means[rng.integers(0, len(means), (1000, len(means)))])
    return np.percentile(draws, (2.5, 97.5))


def coverage(seeds: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Coverage by the report's interval and by the percentile bootstrap, by what they are about."""
    hits: dict[str, list[tuple[bool, bool]]] = {}
    rng = np.random.default_rng(seeds)

    def note(name: str, scores: Array, statistic: Callable[[Array], Array], truth: Array) -> None:
        true = float(statistic(truth)[0])
        ours = spread(statistic, scores).within(0.0, 1.0, scores.size).interval
        theirs = percentile(scores, statistic, rng)
        hits.setdefault(name, []).append((ours[0] <= true <= ours[1], theirs[0] <= true <= theirs[1]))

    for _ in track(range(repeats), f"coverage, {seeds} seeds"):
        world = MadeWorld(rng)
        truth, seen = world.truth(), world.seen(seeds, world.starts())
        for name, statistic in STATISTICS.items():
            note(name, seen, statistic, truth)
        for v in rng.choice(VARIANTS, 4, replace=False):
            note("one variant", seen[:, v : v + 1], mean, truth[:, :, v : v + 1])
    return {name: tuple(np.mean(found, axis=0)) for name, found in hits.items()}


def verdicts(seeds: int, repeats: int, better: float) -> tuple[float, float, float]:
    """Share of reports in which anything is decided; the better one as a whole; on at least one variant."""
    rng, found = np.random.default_rng(100 + seeds), []
    for _ in track(range(repeats), f"{'false alarms' if better == 0 else 'power'}, {seeds} seeds"):
        told = verdicts_of(MadeWorld(rng).scores(seeds, {"other": better}))
        decided = {v for whole, cells in told.values() for v in (whole, *cells)} - {"undecided"}
        found.append((bool(decided), told["other"][0] == "helps", "helps" in told["other"][1]))
    return tuple(np.mean(found, axis=0))


def gates(seeds: int, repeats: int) -> tuple[float, float, float]:
    """Share of gates at the brink that are met, and broken; of gates of ten requirements there, broken."""
    rng, found = np.random.default_rng(200 + seeds), []
    references = {f"v{k}": Reference(0.0, 100.0) for k in range(VARIANTS)}
    for _ in track(range(repeats), f"gates, {seeds} seeds"):
        world = MadeWorld(rng)
        truth, starts = 100 * world.truth(), world.starts()
        report = gap_report(episodes_of({"nominal": world.seen(seeds, starts)}), references)
        alone = require(report, f"score >= {float(mean(truth)[0])} on all").status
        each = [f"score >= {float(truth[..., v].mean())} on v{v}" for v in range(10)]
        found.append((alone == 0, alone == 1, require(report, *each).status == 1))
    return tuple(np.mean(found, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reports", type=int, default=1000, help="for each number of seeds")
    parser.add_argument("--quick", action="store_true", help="5 reports")
    arguments = parser.parse_args()
    repeats = 5 if arguments.quick else arguments.reports
    counts, gain = (3, 5, 10), 2.0
    table = Table("", *(f"{n} seeds" for n in counts), title=f"{repeats} reports a column")
    covered = [coverage(n, repeats) for n in counts]
    for name in covered[0]:
        table.add_row(f"coverage, {name}", *(f"{100 * c[name][0]:.0f} %" for c in covered))
        table.add_row("… of the percentile bootstrap", *(f"{100 * c[name][1]:.0f} %" for c in covered))
    table.add_section()
    null = [verdicts(n, repeats, 0.0) for n in counts]
    real = [verdicts(n, repeats, gain) for n in counts]
    table.add_row("false alarms of a report", *(f"{100 * n[0]:.1f} %" for n in null))
    table.add_row("power, better as a whole", *(f"{100 * r[1]:.0f} %" for r in real))
    table.add_row("power, on at least one variant", *(f"{100 * r[2]:.0f} %" for r in real))
    table.add_section()
    held = [gates(n, repeats) for n in counts]
    for k, name in enumerate(("gate at the brink that is met", "… broken", "ten at the brink, broken")):
        table.add_row(name, *(f"{100 * h[k]:.1f} %" for h in held))
    Console().print(table)


if __name__ == "__main__":
    main()
