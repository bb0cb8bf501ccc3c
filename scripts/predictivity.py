"""What SIMPLER published, from its released numbers; and how often intervals of predictivity hold the truth.

    python scripts/predictivity.py            # 1,000 made-up studies for each size
    python scripts/predictivity.py --quick

The first table repeats the nine rows of Li et al. 2024 (arXiv 2405.05941) for visual matching. The
studies are made up: the true success of a policy in simulation and in reality is the logistic of two
normals that correlate by 0.8, of which 100 simulated and some real trials are seen. Coverage is of what
endless policies and trials would show (MMRV: endless sets of as many policies); beside it that of the
plain nested bootstrap, which takes the noise of few trials for disagreement. Last the control variate:
how often its interval holds a policy's real success, and how much narrower it is, from 20 real episodes
and 2,000 simulated ones that share their luck in four of five.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sim2real.evaluate.agreement import METRICS
from sim2real.evaluate.control_variate import real_estimates
from sim2real.evaluate.predictivity import PolicyResults, predictivity
from sim2real.evaluate.results_file import read_columns, results_of, split
from sim2real.evaluate.statistics import Array

RELEASED = Path(__file__).resolve().parents[1] / "tests" / "evaluate" / "simpler.csv"
SIMULATED, SIZES = 100, ((5, 20), (8, 20), (15, 10), (40, 10))
RANKED = ("MMRV", "Pearson", "Spearman", "Kendall")


def published() -> Table:
    table = Table("task", "policies", "MMRV", "Pearson", title="SIMPLER, from its released success rates")
    for task, columns in split(read_columns(RELEASED), "task").items():
        found = predictivity(*results_of(columns, ("simulated", "real")))
        values = (f"{found[name].estimate.value:.4f}" for name in ("MMRV", "Pearson"))
        table.add_row(task, str(found["MMRV"].estimate.n), *values)
    return table


def chances(rng: np.random.Generator, *shape: int) -> tuple[Array, Array]:
    """True success in simulation and in reality."""
    a = rng.normal(size=shape)
    b = 0.8 * a + 0.6 * rng.normal(size=shape)
    return 1 / (1 + np.exp(-0.5 - 1.2 * a)), 1 / (1 + np.exp(0.3 - 1.2 * b))


def truth(policies: int) -> dict[str, float]:
    rng = np.random.default_rng(99)
    sets, many = chances(rng, 4000, policies), chances(rng, 2000)
    return {name: float(METRICS[name](*(sets if name == "MMRV" else many)).mean()) for name in RANKED}


def seen(rng: np.random.Generator, true: Array, trials: int) -> PolicyResults:
    names = tuple(map(str, range(len(true))))
    values = tuple((rng.random(trials) < p).astype(float) for p in true)
    return PolicyResults(names, values, (tuple(map(str, range(trials))),) * len(true))


def coverage(policies: int, trials: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Coverage by our interval and by the plain nested bootstrap."""
    rng, true = np.random.default_rng(policies), truth(policies)
    hits: dict[str, list[tuple[bool, bool]]] = {name: [] for name in RANKED}
    for k in track(range(repeats), f"{policies} policies, {trials} real trials each"):
        s, r = chances(rng, policies)
        found = predictivity(seen(rng, s, SIMULATED), seen(rng, r, trials), RANKED, seed=k)
        for name, agreement in found.items():
            plain = np.nanpercentile(agreement.draws, (2.5, 97.5))
            ours = agreement.estimate.interval or (-np.inf, np.inf)
            hits[name].append((ours[0] <= true[name] <= ours[1], plain[0] <= true[name] <= plain[1]))
    return {name: tuple(np.mean(found, axis=0)) for name, found in hits.items()}


def twins(rng: np.random.Generator, real: int, simulated: int) -> tuple[PolicyResults, PolicyResults]:
    """Episodes of one policy; those of one number start alike, easy or hard."""
    chance = 1 / (1 + np.exp(-(0.5 + rng.normal(0, 1.5, simulated))))
    luck = rng.random(simulated)
    shared = np.where(rng.random(real) < 0.8, luck[:real], rng.random(real))
    values = (luck < chance + 0.1).astype(float), (shared < chance[:real]).astype(float)
    names = tuple(map(str, range(simulated)))
    return tuple(PolicyResults(("p",), (v,), (names[: len(v)],)) for v in values)


def helped(repeats: int) -> tuple[float, float, float]:
    """Coverage, width against that of real episodes alone, and how many times as many those are worth."""
    rng = np.random.default_rng(0)
    true = float(twins(rng, 400_000, 400_000)[1].means[0])
    found = [real_estimates(*twins(rng, 20, 2000))[0] for _ in range(repeats)]
    hits = [one.helped.interval[0] <= true <= one.helped.interval[1] for one in found]
    widths = [np.diff(one.helped.interval) / np.diff(one.real.interval) for one in found]
    return float(np.mean(hits)), float(np.median(widths)), float(np.median([one.worth for one in found]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--studies", type=int, default=1000, help="for each size")
    parser.add_argument("--quick", action="store_true", help="5 studies")
    arguments = parser.parse_args()
    repeats = 5 if arguments.quick else arguments.studies
    console = Console()
    console.print(published())
    heads = (f"{n} policies, {trials} trials" for n, trials in SIZES)
    table = Table("coverage of 95 %", *heads, title=f"{repeats} made-up studies a column")
    covered = [coverage(*size, repeats) for size in SIZES]
    for name in RANKED:
        table.add_row(name, *(f"{100 * found[name][0]:.1f} %" for found in covered))
        table.add_row(
            "… of the plain nested bootstrap", *(f"{100 * found[name][1]:.1f} %" for found in covered)
        )
    console.print(table)
    hits, width, worth = helped(repeats)
    console.print(
        f"Control variate: covers {100 * hits:.1f} %, {width:.2f} times as wide as real episodes alone, and "
        f"worth {worth:.1f} times as many"
    )


if __name__ == "__main__":
    main()
