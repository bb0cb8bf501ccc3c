"""Speed of learning on Furuta: our PPO against Stable-Baselines3's own, and training to a success threshold.

    python scripts/bench_training.py                    # about ten minutes on two cores
    python scripts/bench_training.py --part update      # the first table alone, a minute
    python scripts/bench_training.py --seeds 0 1 2
    python scripts/bench_training.py --quick            # seconds: that it runs, not who wins

*update*: the same settings, weights, seeds and env, once with the rollouts and updates of Stable-Baselines3
and once with our lean ones (`sim2real.learn.lean_ppo`), interleaved, in CPU seconds of this process, with the
env's own. Fine-tuning is what `sim2real transfer` does, training what `sim2real train` does.

*success*: ours is what `sim2real train furuta` runs, theirs `PPO("MlpPolicy", venv)` with nothing changed, on
eight `SubprocVecEnv`s of our single env. Both learn at nominal physics until 80 % of the last 100 training
episodes succeeded. Time runs from the first step, so starting the processes is not counted. A training is
stopped after ``--limit`` seconds; when that happens to theirs, the ratio is a bound.
"""

import argparse
import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time
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
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.sb3 import as_sb3
from sim2real.learn.settings import PPOSettings, settings_for
from sim2real.learn.start import fresh_policy
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.single_env import Sim2RealEnv
from sim2real.transfer.fine_tune import FineTuneSettings
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
    env = Sim2RealVectorEnv(world, settings.num_envs)
    model = LeanPPO(fresh_policy(env, settings, seed), SB3VecEnv(env), settings, seed)
    return learn(model, settings.total_steps, limit)


def theirs(seed: int, limit: float, processes: int) -> Run:
    venv = SubprocVecEnv([lambda: Monitor(NamedAsSB3(Sim2RealEnv("furuta")))] * processes)
    try:
        return learn(PPO("MlpPolicy", venv, seed=seed, device="cpu"), 100_000_000, limit)
    finally:
        venv.close()


def update_seconds(kind: Callable[..., PPO], settings: PPOSettings, steps: int) -> float:
    """CPU seconds of so many control steps."""
    env = Sim2RealVectorEnv("furuta", settings.num_envs)
    model = kind(fresh_policy(env, settings, 0), SB3VecEnv(env), settings, 0)
    begun = process_time()
    model.learn(steps)
    return process_time() - begun


def compare_updates(steps: int, rounds: int) -> Table:
    """The first table."""
    training = settings_for(World.load("furuta"))
    tuning = FineTuneSettings()
    names = ("rollout_steps", "batch_size", "epochs", "target_kl", "initial_std")
    changes = {name: getattr(tuning, name) for name in names}
    cases = {
        "fine-tuning": dataclasses.replace(training, num_envs=16, **changes),
        "training": training,
    }
    table = Table(title=f"{steps:,} control steps of Furuta, CPU seconds, least of {rounds}")
    for column in ("settings", "batch", "SB3", "lean", "SB3 / lean", "target"):
        table.add_column(column, justify="left" if column == "settings" else "right")
    for (name, settings), target in zip(cases.items(), ("≥ 3", "≥ 1.5"), strict=True):
        seconds = [
            [update_seconds(kind, settings, steps) for kind in (as_sb3, LeanPPO)] for _ in range(rounds)
        ]
        slow, fast = np.min(seconds, axis=0)
        table.add_row(
            name, str(settings.batch_size), f"{slow:.2f}", f"{fast:.2f}", f"{slow / fast:.1f}", target
        )
    return table


def compare_successes(options: argparse.Namespace) -> Table:
    """The second table."""
    limit, processes = (2.0, 2) if options.quick else (options.limit, 8)
    table = Table(title=f"PPO on Furuta until {THRESHOLD:.0%} of the last {LAST} training episodes succeeded")
    for column in ("seed", "training", "end", "seconds", "steps/s", "ours takes", "target"):
        table.add_column(column, justify="left" if column in ("training", "end") else "right")
    for seed in options.seeds:
        fast, slow = ours(seed, limit), theirs(seed, limit, processes)
        bound = "" if slow.reached else "less than " * fast.reached
        ratio = f"{bound}{fast.seconds / slow.seconds:.2f} of it" if fast.reached else "unknown"
        table.add_row(str(seed), "ours", *fast.cells(), "", "")
        table.add_row("", f"SB3 defaults, {processes} Subproc", *slow.cells(), ratio, "≤ 0.33")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few steps, and stop after two seconds")
    parser.add_argument("--part", choices=("update", "success", "both"), default="both")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the second table")
    parser.add_argument("--limit", type=float, default=480.0, help="seconds for each training to success")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=120)
    if options.part != "success":
        console.print(compare_updates(*((4096, 1) if options.quick else (51_200, 3))))
    if options.part != "update":
        console.print(compare_successes(options))


if __name__ == "__main__":
    main()
