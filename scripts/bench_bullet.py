"""How many control steps a second Bullet makes, in one process and in two, beside MuJoCo.

    python scripts/bench_bullet.py            # a minute or two
    python scripts/bench_bullet.py --quick

Each world's shipped nominal policy drives all its simulations, so that contacts are those of a working gait
or reach; ended rows begin again. Only the simulator's own steps are timed. Runs of the three alternate; rates
are medians, and the gain of two workers is the median over pairs. Wall time tells little where others use the
cores, so "on free cores" compares processor time instead: that of one process with that of the caller and
the busier worker (Linux only).
"""

import argparse
import os
from pathlib import Path
from time import perf_counter, process_time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.env import Sim2RealVectorEnv
from sim2real.policy import Policy
from sim2real.simulators import Engine

ENGINES = {
    "bullet, 1 process": Engine("bullet", 1),
    "bullet, 2 workers": Engine("bullet", 2),
    "mujoco, 1 thread": Engine("mujoco", 1),
}
TARGET = 1.8


class Driven:
    """An env that a policy drives, and the time its simulator takes."""

    def __init__(self, world: str, num_envs: int, engine: Engine) -> None:
        self.env = Sim2RealVectorEnv(world, num_envs, simulator=engine)
        self.policy = Policy.load(f"{world}-nominal-0")
        self.observation, _ = self.env.reset(seed=0)
        self.seconds = self.busy = 0.0
        side = getattr(self.env.simulator, "_side", None)
        self.workers = [worker._process.pid for worker in getattr(side, "_workers", [])]
        self.step = self.env.simulator.step
        self.env.simulator.step = self._timed  # type: ignore[method-assign]

    def _timed(self, *arguments: object) -> None:
        start, used = perf_counter(), process_time()
        self.step(*arguments)
        self.seconds += perf_counter() - start
        self.busy += process_time() - used

    def rate(self, steps: int) -> float:
        """Control steps of all simulations together per second."""
        self.seconds, self.busy = 0.0, 0.0
        before = [processor_time(pid) for pid in self.workers]
        for _ in range(steps):
            self.observation, *_ = self.env.step(self.policy.act(self.observation))
        used = [processor_time(pid) - start for pid, start in zip(self.workers, before, strict=True)]
        self.busy += max(used, default=0.0)
        return steps * self.env.num_envs / self.seconds


def processor_time(pid: int) -> float:
    """Seconds that a process has computed."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds, for a look")
    parser.add_argument("--envs", type=int, default=32)
    options = parser.parse_args()
    steps, repeats = (10, 3) if options.quick else (40, 7)

    table = Table(title=f"Control steps per second, {options.envs} simulations, median of {repeats} runs")
    for column in ("world", "engine", "steps/s", "÷ 1 process", "on free cores", "÷ mujoco", "target"):
        table.add_column(column, justify="left" if column in ("world", "engine") else "right")
    for world in ("hopper", "so101"):
        driven = [Driven(world, options.envs, engine) for engine in ENGINES.values()]
        runs = [[(one.rate(steps), one.busy) for one in driven] for _ in range(repeats + 1)]
        rates, busy = np.moveaxis(np.array(runs[1:]), -1, 0)  # the first one warms up
        for k, name in enumerate(ENGINES):
            gain, share = np.median(rates[:, k] / rates[:, 0]), np.median(rates[:, k] / rates[:, 2])
            free = np.median(busy[:, 0] / busy[:, k])
            numbers = f"{np.median(rates[:, k]):,.0f}", f"{gain:.2f}", f"{free:.2f}", f"1/{1 / share:.0f}"
            table.add_row(world, name, *numbers, f"≥ {TARGET}" if "workers" in name else "")
    Console(width=100).print(table)
