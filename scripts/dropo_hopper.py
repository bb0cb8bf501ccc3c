"""DROPO's published test: four link masses of the hopper, unknown within 0.5 to 10 kg, from transitions.

    python scripts/dropo_hopper.py                   # noise-free and noisy
    python scripts/dropo_hopper.py --cases noisy --episodes 20
    python scripts/dropo_hopper.py --quick           # a search too short to find them

Transitions are made with our hopper at its nominal masses (gymnasium's Hopper-v5; the paper's older MuJoCo
makes them 4 % lighter) by a shipped policy with shaken actions. Noisy ones have white noise of the paper's
variance, 1e-5, on every position and velocity (m, rad, m/s, rad/s), before and after the transition.
Noise-free ones are single control steps (λ = 1 in the paper); noisy ones are 10, since over a single one the
noise on a velocity is as large as what a kilogram changes. The table has the mean of each mass, its standard
deviation as DROPO found it, and the least that the residuals allow.
"""

import argparse
import dataclasses
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.distributions import Normal, Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.gather import Excited, gather
from sim2real.identify.dropo import DropoSettings, dropo
from sim2real.identify.search import SearchSettings
from sim2real.policy import Policy
from sim2real.recordings.rollouts import Episode, Rollouts
from sim2real.world import World

MASSES = ("torso.mass", "thigh.mass", "leg.mass", "foot.mass")
VARIANCE = 1e-5
CASES = {"noise-free": (0.0, 1, 50, 4), "noisy": (VARIANCE, 10, 100, 12)}


def with_noise(rollouts: Rollouts, variance: float, seed: int) -> Rollouts:
    """White noise on what was measured; the observation follows from it."""
    if not variance:
        return rollouts
    rng = np.random.default_rng(seed)
    scales = np.array([signal.scale for signal in Sim2RealVectorEnv(rollouts.world).task.observation])

    def noisy(episode: Episode) -> Episode:
        qpos, qvel = (
            part + np.sqrt(variance) * rng.standard_normal(part.shape)
            for part in (episode.qpos, episode.qvel)
        )
        seen = np.concatenate((qpos[:, 1:], qvel), axis=1) / scales
        return dataclasses.replace(episode, observation=seen, qpos=qpos, qvel=qvel)

    return dataclasses.replace(rollouts, episodes=tuple(map(noisy, rollouts.episodes)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few transitions, a search too short")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--episodes", type=int, help="default 4 noise-free, 12 noisy")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.cases, arguments.episodes = arguments.cases[:1], 2
    generations = 3 if arguments.quick else 60
    world, policy = World.load("hopper"), Policy.load("hopper-nominal-0")
    bounds = Domain({name: Uniform(0.5, 10.0) for name in MASSES})
    console = Console(width=120)
    for case in arguments.cases:
        variance, horizon, steps, episodes = CASES[case]
        env = Sim2RealVectorEnv(world, arguments.episodes or episodes, autoreset=False)
        rollouts = gather(env, Excited(policy, 0.1, arguments.seed), steps, seed=arguments.seed)
        rollouts = with_noise(rollouts, variance, arguments.seed)
        settings = DropoSettings(horizon=horizon, search=SearchSettings(generations, 16, seed=arguments.seed))
        begin = time.process_time()
        result = dropo(world, rollouts, bounds, settings)
        table = Table(
            title=f"{case}: {result.transitions} transitions of {horizon} control steps, "
            f"{result.evaluations} candidates, {time.process_time() - begin:.0f} CPU-s"
        )
        for column in ("mass", "true kg", "found kg", "off %", "std found", "std implied"):
            table.add_column(column, justify="right")
        for k, name in enumerate(MASSES):
            normal, true = result.domain.parameters[name], world.nominal[name]
            assert isinstance(normal, Normal)
            numbers = (true, normal.mean, 100 * (normal.mean / true - 1))
            stds = (result.found_std[k], result.implied_std[k])
            table.add_row(name, *(f"{n:.2f}" for n in numbers), *(f"{n:.3f}" for n in stds))
        console.print(table)


if __name__ == "__main__":
    main()
