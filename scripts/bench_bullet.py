"""How many control steps a second Bullet makes, in one process and in two, beside MuJoCo.

    python scripts/bench_bullet.py            # a minute or two
    python scripts/bench_bullet.py --quick

Each world's shipped nominal policy drives all its simulations, so that contacts are those of a working gait
or reach; ended rows begin again. Only the simulator's own steps are timed. Runs of all engines alternate;
rates are the best ones, and gains are given as the ratio of the best and as the median over pairs. What two
cores can give is the row of two processes that know nothing of each other, each with as many simulations as
the one process: read the gain of the workers against theirs. Wall time tells little where others use the
cores, so "on free cores" compares processor time instead: that of one process with that of the caller and
the busier worker (Linux only).
"""

import argparse
import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import MissingExtra
from sim2real.policy import Policy
from sim2real.simulators import Engine, installed

ENGINES = {
    "bullet, 1 process": Engine("bullet", 1),
    "bullet, 2 workers": Engine("bullet", 2),
    "mujoco, 1 thread": Engine("mujoco", 1),
}
ALONE = "bullet, 2 × 1 process"
TARGET = 1.8


class Driven:
    """An env that a policy drives, and the time its simulator takes."""

    def __init__(self, world: str, num_envs: int, engine: Engine) -> None:
        self.env = Sim2RealVectorEnv(world, num_envs, simulator=engine)
        self.policy = Policy.load(f"{world}-nominal-0")
        self.observation, _ = self.env.reset(seed=0)
        self.seconds = self.busy = 0.0
        crew = getattr(getattr(self.env.simulator, "_side", None), "_crew", None)
        self.workers = [worker._process.pid for worker in getattr(crew, "workers", [])]
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
            self.observation, *_ = self.env.step(self.policy.act(self.observation)[0])
        used = [processor_time(pid) - start for pid, start in zip(self.workers, before, strict=True)]
        self.busy += max(used, default=0.0)
        return steps * self.env.num_envs / self.seconds


class Pair:
    """Two processes that drive simulations of their own at the same time."""

    def __init__(self, world: str, num_envs: int) -> None:
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(2)]
        self.busy = np.nan
        self.pipes = [ours for ours, _ in pipes]
        for _, theirs in pipes:
            context.Process(target=drive, args=(theirs, world, num_envs), daemon=True).start()
            theirs.close()

    def rate(self, steps: int) -> float:
        """Control steps of all simulations together per second."""
        for pipe in self.pipes:
            pipe.send(steps)
        return float(sum(pipe.recv() for pipe in self.pipes))

    def close(self) -> None:
        """End both."""
        for pipe in self.pipes:
            pipe.close()


def drive(pipe: Connection, world: str, num_envs: int) -> None:
    """Be one of a pair until the pipe ends."""
    driven = Driven(world, num_envs, ENGINES["bullet, 1 process"])
    while True:
        try:
            steps = pipe.recv()
        except EOFError:
            return
        pipe.send(driven.rate(steps))


def rows(names: list[str], rates: np.ndarray, busy: np.ndarray) -> list[list[str]]:
    """What the table says of each engine; rates and processor times have shape (repeats, engines)."""
    best, mujoco = rates.max(axis=0), names.index("mujoco, 1 thread")
    gains = np.median(rates / rates[:, :1], axis=0)
    free = np.median(busy[:, :1] / busy, axis=0)
    return [
        [
            name,
            f"{best[k]:,.0f}",
            f"{best[k] / best[0]:.2f}",
            f"{gains[k]:.2f}",
            "" if np.isnan(free[k]) else f"{free[k]:.2f}",
            f"1/{best[mujoco] / best[k]:.0f}",
            f"≥ {TARGET}" if "workers" in name else "",
        ]
        for k, name in enumerate(names)
    ]


def processor_time(pid: int) -> float:
    """Seconds that a process has computed."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short run of the hopper alone")
    parser.add_argument("--envs", type=int, help="default 32 (quick: 4)")
    parser.add_argument("--worlds", nargs="+", default=["hopper", "so101"])
    options = parser.parse_args()
    if not installed("bullet"):
        raise SystemExit(str(MissingExtra("pybullet", "bullet")))
    steps, repeats = (3, 1) if options.quick else (40, 7)
    envs = options.envs or (4 if options.quick else 32)

    table = Table(title=f"Control steps per second, {envs} simulations, best of {repeats} runs")
    for column in (
        "world",
        "engine",
        "steps/s",
        "÷ 1 process",
        "median ÷",
        "on free cores",
        "÷ mujoco",
        "target",
    ):
        table.add_column(column, justify="left" if column in ("world", "engine") else "right")
    for world in options.worlds[:1] if options.quick else options.worlds:
        pair = Pair(world, envs)
        driven = [*(Driven(world, envs, engine) for engine in ENGINES.values()), pair]
        runs = [[(one.rate(steps), one.busy) for one in driven] for _ in range(repeats + 1)]
        rates, busy = np.moveaxis(np.array(runs[1:]), -1, 0)  # the first one warms up
        for row in rows([*ENGINES, ALONE], rates, busy):
            table.add_row(world, *row)
        pair.close()
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
