"""How often an attribution's intervals hold the truth, and how often it finds the culprit that was planted.

    python scripts/coverage_attribution.py            # 1,000 attributions for each number of policies
    python scripts/coverage_attribution.py --kept found.json   # goes on where it was ended
    python scripts/coverage_attribution.py --quick

Of five made-up parameters one costs 20, two cost 12 only together, one costs 3, and one nothing on average;
every policy has costs of its own about these, with heavy tails, and so has every start; every set has chance
of its own besides. Coverage: of the true Shapley value by its interval, that of many policies, or of this one
policy where there is one. False alarms: share of attributions that call the parameter without effect a cause.
Together: share that show the two to hurt only together; falsely: that show it of any of nine others.
"""

import argparse
import json
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sim2real.evaluate.losses import Losses, only_together
from sim2real.evaluate.shapley import Game
from sim2real.files import write_atomically

COSTS, TOGETHER, IDLE = np.array([20.0, 0.0, 0.0, 3.0, 0.0]), 12.0, 4
STARTS = 32
COUNTS = (1, 3, 5, 10)  # of policies
EVERY = 10


def made(rng: np.random.Generator, policies: int) -> tuple[Losses, np.ndarray]:
    """An attribution, and its true Shapley values."""
    game = Game.of(len(COSTS))
    sets = game.sets.astype(float)
    pairs = sets[:, 1] * sets[:, 2]
    own = 4.0 * rng.standard_t(5, (policies, 1, len(COSTS)))
    own[..., IDLE] *= policies > 1
    by_start = 5.0 * rng.standard_t(5, (1, STARTS, len(COSTS)))
    chance = 3.0 * rng.normal(size=(policies, STARTS, len(COSTS)))
    together = TOGETHER + 2.0 * rng.normal(size=(policies, 1))
    lost = (COSTS + own + by_start + chance) @ sets.T + together[..., None] * pairs
    truth, pair = COSTS, TOGETHER
    if policies == 1:
        truth, pair = COSTS + own[0, 0], float(together[0, 0])
    shares = truth + np.array([0.0, pair / 2, pair / 2, 0.0, 0.0])
    returns = 300.0 + 20.0 * rng.normal(size=(policies, STARTS, 1)) + rng.normal(size=lost.shape) - lost
    return Losses(game, returns.swapaxes(1, 2), int(rng.integers(2**31))), shares


def judged(policies: int, number: int) -> dict[str, float]:
    """What one attribution says that is true."""
    losses, truth = made(np.random.default_rng((policies, number)), policies)
    count = len(COSTS)
    shares = [losses.share(k) for k in range(count)]
    alone = [losses.alone(k) for k in range(count)]
    held = [s.interval[0] <= true <= s.interval[1] for s, true in zip(shares, truth, strict=True)]
    pairs = {
        pair: only_together([alone[k] for k in pair], losses.interaction(*pair))
        for pair in combinations(range(count), 2)
    }
    low, high = shares[IDLE].interval
    return {
        "coverage, Shapley values": float(np.mean(held)),
        "the planted culprit comes first": float(np.argmax([s.value for s in shares]) == np.argmax(truth)),
        "false alarms on what costs nothing": float(low > 0 or high < 0),
        "two that hurt only together, told": float(pairs[1, 2]),
        "… falsely, of any other two": float(any(told for pair, told in pairs.items() if pair != (1, 2))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=1000, help="attributions for each number of policies")
    parser.add_argument("--quick", action="store_true", help="10 of them")
    parser.add_argument("--kept", type=Path, help="JSON file of what is done, to go on from")
    arguments = parser.parse_args()
    repeats = 10 if arguments.quick else arguments.repeats
    kept = arguments.kept
    found = {n: [] for n in COUNTS}
    if kept and kept.is_file():
        found |= {int(n): rows for n, rows in json.loads(kept.read_text()).items()}
    for number in track(range(repeats), "attributions"):
        for n in COUNTS:
            if len(found[n]) <= number:
                found[n].append(judged(n, number))
        if kept and number % EVERY == EVERY - 1:
            write_atomically(kept, json.dumps(found))
    table = Table("", *(f"{n} policies" for n in COUNTS), title=f"{repeats} attributions a column")
    for name in found[1][0]:
        means = (np.mean([row[name] for row in found[n][:repeats]]) for n in COUNTS)
        table.add_row(name, *(f"{100 * mean:.1f} %" for mean in means))
    Console().print(table)


if __name__ == "__main__":
    main()
