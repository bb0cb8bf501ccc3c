"""Stable-Baselines3's PPO to the success threshold on Furuta: our path against its defaults.

    python scripts/bench_training.py                    # about ten minutes on two cores
    python scripts/bench_training.py --seeds 0 1 2
    python scripts/bench_training.py --quick            # two seconds of each: that they run, not who wins

Ours is what `sim2real train furuta` runs: the settings of the world on the native vector env. Theirs is
`PPO("MlpPolicy", venv)` with nothing changed, on eight `SubprocVecEnv`s of our single env. Both learn at
nominal physics until 80 % of the last 100 training episodes succeeded. Time runs from the first step, so
starting the processes is not counted. A training is stopped after ``--limit`` seconds; when that happens to
theirs, the ratio is a bound.
"""

import argparse
import os
from dataclasses import dataclass
from time import perf_counter
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import SubprocVecEnv

from sim2real.env import Sim2RealVectorEnv
from sim2real.single_env import Sim2RealEnv
from sim2real.train.ppo import build_ppo, settings_for
from sim2real.train.vec_env import SB3VecEnv
from sim2real.world import World

THRESHOLD, LAST = 0.8, 100


class NamedAsSB3(gym.Wrapper[Any, Any, Any, Any]):
    """Stable-Baselines3 looks for ``is_success``."""

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """The step, with success under that name."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if "success" in info:
            info["is_success"] = info["success"]
        return observation, float(reward), terminated, truncated, info


class UntilSuccess(BaseCallback):
    """Stops at the threshold, or when the time is up."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self._limit = limit
        self.reached = False
        self.seconds = 0.0

    def _on_training_start(self) -> None:
        self._start = perf_counter()

    def _on_step(self) -> bool:
        successes = self.model.ep_success_buffer or ()
        self.reached = len(successes) == LAST and float(np.mean(successes)) >= THRESHOLD
        self.seconds = perf_counter() - self._start
        return not self.reached and self.seconds < self._limit


@dataclass(frozen=True)
class Run:
    """One training."""

    reached: bool
    seconds: float
    steps: int

    def cells(self) -> tuple[str, str, str]:
        """How it ended, seconds, steps per second."""
        end = "reached" if self.reached else "not reached"
        return f"{end} in {self.steps:,} steps", f"{self.seconds:.1f}", f"{self.steps / self.seconds:,.0f}"


def learn(model: PPO, steps: int, limit: float) -> Run:
    callback = UntilSuccess(limit)
    model.learn(steps, callback)
    return Run(callback.reached, callback.seconds, model.num_timesteps)


def ours(seed: int, limit: float) -> Run:
    world = World.load("furuta")
    settings = settings_for(world)
    env = SB3VecEnv(Sim2RealVectorEnv(world, settings.num_envs))
    return learn(build_ppo(env, settings, seed, logs=None), settings.total_steps, limit)


def theirs(seed: int, limit: float, processes: int) -> Run:
    venv = SubprocVecEnv([lambda: Monitor(NamedAsSB3(Sim2RealEnv("furuta")))] * processes)
    try:
        return learn(PPO("MlpPolicy", venv, seed=seed, device="cpu"), 100_000_000, limit)
    finally:
        venv.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="stop after two seconds, theirs in 2 processes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--limit", type=float, default=480.0, help="seconds for each training")
    options = parser.parse_args()
    limit, processes = (2.0, 2) if options.quick else (options.limit, 8)
    torch.set_num_threads(1)

    table = Table(title=f"PPO on Furuta until {THRESHOLD:.0%} of the last {LAST} training episodes succeeded")
    for column in ("seed", "training", "end", "seconds", "steps/s", "ours takes", "target"):
        table.add_column(column, justify="left" if column in ("training", "end") else "right")
    for seed in options.seeds:
        fast, slow = ours(seed, limit), theirs(seed, limit, processes)
        bound = "" if slow.reached else "less than " * fast.reached
        ratio = f"{bound}{fast.seconds / slow.seconds:.2f} of it" if fast.reached else "unknown"
        table.add_row(str(seed), "ours", *fast.cells(), "", "")
        table.add_row("", f"SB3 defaults, {processes} Subproc", *slow.cells(), ratio, "≤ 0.33")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
