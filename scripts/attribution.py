"""How long exact Shapley values of 8 parameters take on the Furuta pendulum: 256 sets × 32 episodes.

    python scripts/attribution.py            # one policy; the goal is 60 s
    python scripts/attribution.py --quick    # 4 parameters × 4 episodes

The target has combined_a's values, and four more that are near the ends of their training ranges.
"""

import argparse
import os
from time import perf_counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import numpy as np

from sim2real.cli.show import show_sections
from sim2real.domain import Domain
from sim2real.evaluate.attribution import attribute
from sim2real.evaluate.rollouts import Trials
from sim2real.policy import Policy
from sim2real.report.run_sections import attribution_section
from sim2real.world import World

GOAL = 60.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--policy", default="furuta-nominal-0", help="name or folder")
    parser.add_argument("--quick", action="store_true", help="4 parameters × 4 episodes")
    options = parser.parse_args()
    count, episodes = (4, 4) if options.quick else (8, 32)

    world = World.load("furuta")
    combined = world.variant("combined_a").physics
    domain = world.training_domain
    (row,) = domain.quantile(np.full((1, len(domain.names)), 0.9))
    physics = dict(zip(domain.names, map(float, row), strict=True)) | combined
    order = [*combined, *(name for name in physics if name not in combined)]
    target = Domain.point({name: physics[name] for name in order[:count]})
    policy = Policy.load(options.policy)
    start = perf_counter()
    found = attribute(world, [policy], target, Trials(episodes))
    seconds = perf_counter() - start
    show_sections(attribution_section(found))
    goal = "" if options.quick else f", {seconds / GOAL:.2f} of the goal of {GOAL:.0f} s"
    print(f"{found.sets} sets × {episodes} episodes took {seconds:.1f} s{goal}")


if __name__ == "__main__":
    main()
