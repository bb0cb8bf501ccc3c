"""The search for the worst physics against a grid of ten times its rollouts.

    python scripts/worst_case.py            # 64 episodes a grid point, three seeds of the search
    python scripts/worst_case.py --quick

The grid has 40 physics, 5 × 8 values of two parameters of the world, both ends of each included. The
minimum of either is measured on the same fresh episodes, which neither saw. Ratio: return at the search's
worst physics by that at the grid's; 1.05 or less is as good as the grid. In
all three the grid finds its minimum at a corner or beside one, and the search begins with the corners.
"""

import argparse
import itertools

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.domain import Domain
from sim2real.evaluate.outcomes import tried
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.worst_case import Search, worst_case
from sim2real.foreign import load_policy
from sim2real.world import Variant, World

SPLIT = (5, 8)
PARAMETERS = {
    "cartpole": ("motor.latency", "pole.mass"),
    "furuta": ("motor.latency", "pole.mass"),
    "hopper": ("motors.latency", "torso.mass"),
}


def compared(name: str, episodes: int, seed: int) -> tuple[float, float, int, int]:
    """Fresh returns at the worst physics of search and grid, and their rollouts."""
    world, policy = World.load(name), load_policy(f"{name}-nominal-0")
    domain = Domain.box([world.parameters[parameter] for parameter in PARAMETERS[name]])
    axes = [np.linspace(*domain.parameters[p].support(), n) for p, n in zip(domain.names, SPLIT, strict=True)]
    axes[0] = np.round(axes[0])
    grid = [
        Variant(str(k), "combined", dict(zip(domain.names, map(float, point), strict=True)))
        for k, point in enumerate(itertools.product(*axes))
    ]
    returns, _ = tried(world, [policy], grid, Trials(episodes, seed))
    least = grid[int(returns[0].mean(axis=1).argmin())]
    # six generations of six physics, then four of them with four times the episodes: 52 times the episodes
    search = Search(6, 6, episodes=max(1, returns.size // 10 // 52), fresh=256, seed=seed + 100)
    found = worst_case(world, [policy], domain, search)
    fresh, _ = tried(world, [policy], [least], search.trials(search.fresh, 2))
    return found.returns.value, float(fresh.mean()), found.searched, returns.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed and 16 episodes a grid point")
    quick = parser.parse_args().quick
    table = Table("world", "seed", "search", "grid", "ratio", "rollouts", "of the grid's")
    for name, seed in itertools.product(PARAMETERS, range(1 if quick else 3)):
        worst, least, spent, of = compared(name, 16 if quick else 64, seed)
        numbers = (f"{worst:.1f}", f"{least:.1f}", f"{worst / least:.3f}", f"{spent}", f"{spent / of:.2f}")
        table.add_row(name, str(seed), *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()
