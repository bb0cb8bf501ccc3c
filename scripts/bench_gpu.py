"""What our env costs on top of raw MuJoCo Warp, and how long training takes, on the first GPU it meets.

    python scripts/bench_gpu.py                       # a few minutes on a GPU
    python scripts/bench_gpu.py --worlds furuta --seeds 0 --limit 120
    python scripts/bench_gpu.py --quick               # that all of it runs

Table 1: control steps per second of our vector env (task, channels, episodes that end and begin again with
physics drawn from the training domain) over those of nothing but `mujoco_warp.step` in a recorded graph, on
the same model, with the same room for contacts, at the same number of worlds and substeps. Table 2: seconds
until 80 % of the last 100 training episodes succeeded, with rsl_rl, nominal physics, compiling not counted.
Without a GPU both run on Warp's CPU device at small size, which says that they work and nothing about a GPU.
"""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

try:
    import mujoco_warp as mjw
    import warp as wp
except ModuleNotFoundError:
    raise SystemExit('mujoco-warp is not installed; run `pip install "sim2real[warp]"`') from None

import torch
from rich.console import Console
from rich.table import Table

from sim2real.env import Sim2RealVectorEnv
from sim2real.learn.rsl_log import RunLog
from sim2real.learn.rsl_rl import build_runner, settings_for
from sim2real.learn.settings import PPOSettings
from sim2real.simulators.warp_model import capacity
from sim2real.world import World

THRESHOLD = 0.8
GPU_SIZES, CPU_SIZES = (1024, 4096, 16384), (16, 64, 256)


def per_second(step: Callable[[], object], worlds: int, seconds: float) -> float:
    """Control steps of all worlds per second, the best of three stretches."""
    step()
    best = 0.0
    for _ in range(3):
        wp.synchronize()
        start, count = perf_counter(), 0
        while perf_counter() - start < seconds / 3 or count < 3:
            step()
            count += 1
            wp.synchronize()
        best = max(best, count * worlds / (perf_counter() - start))
    return best


def ours(world: World, worlds: int, seconds: float) -> float:
    env = Sim2RealVectorEnv(world, worlds, "training", simulator="warp")
    observation, _ = env.reset(seed=0)
    shape = (worlds, len(env.task.action))
    return per_second(lambda: env.step(2 * torch.rand(shape, device=observation.device) - 1), worlds, seconds)


def raw(world: World, worlds: int, seconds: float) -> float:
    env = Sim2RealVectorEnv(world, 1)
    substeps = round(env.task.control_dt / env.simulator.physics_dt)
    model = mjw.put_model(world.model)
    contacts, rows = capacity(world.model, model.nxn_geom_pair_filtered.numpy())
    data = mjw.make_data(world.model, nworld=worlds, nconmax=contacts, njmax=rows)
    with wp.ScopedCapture() as capture:
        for _ in range(substeps):
            mjw.step(model, data)
    return per_second(lambda: wp.capture_launch(capture.graph), worlds, seconds)


class Stopped(Exception):
    """The threshold is reached, or the time is up."""


class UntilSuccess(RunLog):
    """A log that ends training at the threshold."""

    def __init__(self, folder: Path, settings: PPOSettings, limit: float) -> None:
        super().__init__(folder, "bench", settings, None, every=10**9)
        self._end = perf_counter() + limit

    def log(self, **numbers: object) -> None:
        """Write, then see whether it is enough."""
        super().log(**numbers)  # type: ignore[arg-type]
        if self.success >= THRESHOLD or perf_counter() > self._end:
            raise Stopped


def train(world: World, seed: int, limit: float) -> tuple[str, float]:
    """How a training ended, and after how many seconds."""
    settings = settings_for(world)
    env = Sim2RealVectorEnv(world, settings.num_envs, simulator="warp")
    runner = build_runner(env, settings, seed)
    env.step(torch.zeros((env.num_envs, len(env.task.action))))  # compiles and records
    env.reset(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        log = UntilSuccess(Path(folder), settings, limit)
        start = perf_counter()
        with contextlib.suppress(Stopped):
            log.learn(runner)
    end = "reached" if log.success >= THRESHOLD else "not reached"
    return f"{end} in {log.steps:,} steps of {settings.num_envs} worlds", perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the cart-pole alone, seconds of everything")
    parser.add_argument("--worlds", nargs="+", default=["cartpole", "furuta", "hopper"])
    parser.add_argument("--sizes", type=int, nargs="+", help="worlds at once")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each figure of the first table")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for each training")
    options = parser.parse_args()
    if options.quick:
        options.worlds, options.sizes = options.worlds[:1], [8]
        options.seconds, options.seeds, options.limit = 0.1, [0], 1.0
        wp.config.optimization_level = 0  # compiles in half the time
    torch.set_num_threads(1)
    wp.config.log_level = wp.LOG_ERROR
    wp.init()
    gpu = wp.is_cuda_available() and torch.cuda.is_available()
    console = Console(width=110)
    console.print(
        f"On {torch.cuda.get_device_name(0)}"
        if gpu
        else "No GPU here: Warp's CPU device, small sizes. These figures say nothing about a GPU."
    )
    sizes = options.sizes or (GPU_SIZES if gpu else CPU_SIZES)
    table = Table(title="Control steps per second")
    for column in ("world", "worlds", "our env", "raw mujoco_warp", "ratio"):
        table.add_column(column, justify="left" if column == "world" else "right")
    worlds = [World.load(name) for name in options.worlds]
    for world in worlds:
        for size in sizes:
            mine, theirs = ours(world, size, options.seconds), raw(world, size, options.seconds)
            table.add_row(world.name, f"{size:,}", f"{mine:,.0f}", f"{theirs:,.0f}", f"{mine / theirs:.2f}")
    console.print(table)
    table = Table(title=f"Training until {THRESHOLD:.0%} of the last 100 episodes succeeded")
    for column in ("world", "seed", "end", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for world in worlds:
        for seed in options.seeds:
            end, seconds = train(world, seed, options.limit)
            table.add_row(world.name, str(seed), end, f"{seconds:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
