"""An env of one's own, a pendulum in plain numpy, through train, evaluate and transfer, with three seeds.

    python scripts/own_env.py          # 3 trainings and 3 transfers of some 40,000 and 20,000 steps
    python scripts/own_env.py --quick

Its physics is a table that `SETTERS` write; nothing of it is known but what they set. Policies are kept in
``runs/own-env``, and go on from there. Printed: returns and successes in each physics, nominal and tuned to a
late motor, and the report's verdict.
"""

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.evaluate.gap import GapOptions, gap_report
from sim2real.evaluate.rollouts import Trials, run_policies, steps_of
from sim2real.evaluate.verdict import verdict
from sim2real.learn.settings import settings_for
from sim2real.learn.train import train
from sim2real.policy import Policy
from sim2real.report.gap import write_report
from sim2real.transfer.fine_tune import fine_tune
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.world import World


class Pendulum(gym.Env):
    """A bob on a rod, which a weak motor swings up."""

    dt = 0.05  # s
    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self) -> None:
        self.physics = {"mass": 1.0, "length": 1.0, "torque": 15.0}

    def _seen(self) -> np.ndarray:
        return np.array([np.cos(self.angle), np.sin(self.angle), self.speed / 8])

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Begin anywhere."""
        super().reset(seed=seed)
        self.angle, self.speed = self.np_random.uniform([-np.pi, -1.0], [np.pi, 1.0])
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Push for 50 ms."""
        mass, length, torque = (self.physics[name] for name in ("mass", "length", "torque"))
        push = (torque * action[0] - 0.1 * self.speed) / (mass * length**2)
        self.speed = np.clip(self.speed + self.dt * (9.81 * np.sin(self.angle) / length + push), -8, 8)
        self.angle += self.dt * self.speed
        up = np.cos(self.angle)
        return self._seen(), up - 0.01 * self.speed**2, False, False, {"is_success": up > 0.95}


SETTERS = {
    "bob.mass": lambda env, value: env.physics.update(mass=value),
    "motor.strength": lambda env, value: env.physics.update(torque=15.0 * value),
}
PHYSICS = {
    "title": "A pendulum of one's own",
    "parameters": {
        "bob.mass": {"unit": "kg", "nominal": 1.0, "range": [0.7, 1.5], "source": "assumed"},
        "motor.strength": {"unit": "1", "nominal": 1.0, "range": [0.8, 1.2], "source": "assumed"},
        "action_0.latency": {"unit": "physics steps", "nominal": 0, "range": [0, 2], "source": "assumed"},
    },
    "variants": {
        "extrapolation": {
            "heavy": {"bob.mass": 1.8},
            "weak": {"motor.strength": 0.65},
            "late": {"action_0.latency": 3},
        }
    },
}


def pendulum() -> gym.Env:
    return gym.wrappers.TimeLimit(Pendulum(), 200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, a few steps and episodes")
    parser.add_argument("--out", type=Path, default=Path("runs/own-env"))
    arguments = parser.parse_args()
    out, seeds, steps, spent, episodes = arguments.out, range(3), 40_000, 19_200, 32
    if arguments.quick:
        out, seeds, steps, spent, episodes = Path("runs/quick/own-env"), range(1), 4096, 6400, 4
    world = World.of_env(pendulum, PHYSICS, "pendulum", SETTERS)
    settings, policies = settings_for(world, total_steps=steps, num_envs=32), []
    for seed in seeds:
        places = out / f"nominal-{seed}", out / f"tuned-{seed}"
        if not places[0].is_dir():
            train(world, places[0], seed=seed, settings=settings, progress=True)
        nominal = Policy.load(places[0])
        if not places[1].is_dir():
            target = TargetEnv(world, world.variant("late"), Budget(steps=spent))
            fine_tune(nominal, target, progress=True).save(places[1])
        policies += [nominal, Policy.load(places[1])]
    table = run_policies(world, policies, trials=Trials(episodes))
    report = gap_report(table, {}, GapOptions(title=world.title))
    grid = Table("physics", *(f"{label}: return, success" for label in report.labels), title=report.title)
    for variant in report.variants:
        cells = [report.cell(label, variant) for label in report.labels]
        grid.add_row(variant, *(f"{c.returns.value:.0f}, {c.success.value:.2f}" for c in cells))
    console = Console(markup=False, highlight=False)
    console.print(grid)
    console.print(*verdict(report), sep="\n")
    print(f"wrote {write_report(report, table, out, {'control steps': steps_of(policies)})}")


if __name__ == "__main__":
    main()
