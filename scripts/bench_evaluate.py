"""One batched evaluation against Stable-Baselines3's `evaluate_policy` in a loop over the variants.

    python scripts/bench_evaluate.py            # 100 variants × 20 episodes on the hopper, many minutes
    python scripts/bench_evaluate.py --looped 5    # evaluate_policy on 5 of them, its time scaled up
    python scripts/bench_evaluate.py --quick

The goal is a fortieth of its time, and less than 2 GB of memory at the peak. The variants are physics drawn
from the training domain. Both sides run the same policy in the same episodes
(the same start states in the same physics), so their returns must agree; the script ends in an error if they
don't. Loading the world and building the network are not timed, making the envs is, as both need them anew
for other variants. The second row of `evaluate_policy` gives it one env per episode, which is not its default
but batches the network; its episodes start elsewhere. Where a machine has other work, CPU time is what to
look at: ours has a thread for each core. Nine tenths of ours is the engine's own step, which the loop has as
well, so that by CPU time a thirtieth is what can be reached, and less where two threads share a core; the
rest is threads.
"""

import argparse
import os
from collections.abc import Callable
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, process_time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import run_episodes
from sim2real.evaluate.batches import VariantBatch
from sim2real.evaluate.rollouts import SEED
from sim2real.interface import Array
from sim2real.learn.sb3 import as_sb3
from sim2real.learn.settings import settings_for
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.policy import Policy
from sim2real.single_env import Sim2RealEnv
from sim2real.world import Variant, World

GOAL = 1 / 40  # of the time of evaluate_policy in a loop
AGREE = 0.01  # numpy and torch round differently, and a contact can make a rounding grow


def sampled_variants(world: World, count: int) -> list[Variant]:
    domain = world.training_domain
    draws = domain.sample(np.random.default_rng(0), count)
    return [
        Variant(f"sample_{k}", "interpolation", dict(zip(domain.names, map(float, values), strict=True)))
        for k, values in enumerate(draws)
    ]


def batched(world: World, policy: Policy, variants: list[Variant], episodes: int) -> Array:
    """Returns, shape (variants, episodes)."""
    env = VariantBatch(world, variants, episodes).env
    outcomes = run_episodes(policy, env, SEED, np.tile(np.arange(episodes), len(variants)))
    return outcomes.returns.reshape(len(variants), episodes)


def looped(world: World, model: PPO, variants: list[Variant], episodes: int, num_envs: int) -> Array:
    """The same by `evaluate_policy`."""
    returns = []
    for variant in track(variants, f"evaluate_policy, {num_envs} env(s)", transient=True):
        venv = DummyVecEnv([lambda v=variant: Monitor(Sim2RealEnv(world, v.domain))] * num_envs)
        venv.seed(SEED)
        returns.append(evaluate_policy(model, venv, episodes, return_episode_rewards=True)[0])
    return np.array(returns)


def timed(run: Callable[[], Array], share: float = 1.0) -> tuple[np.ndarray, Array]:
    """Seconds by the clock and of CPU, for a share of the work made up to the whole, and returns."""
    start = np.array([perf_counter(), process_time()])
    returns = run()
    return (np.array([perf_counter(), process_time()]) - start) / share, returns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--policy", default="hopper-randomized-0", help="name or folder")
    parser.add_argument("--variants", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--looped", type=int, help="variants of the loop; its time is scaled up")
    parser.add_argument("--quick", action="store_true", help="5 variants × 4 episodes")
    options = parser.parse_args()
    count, episodes = (5, 4) if options.quick else (options.variants, options.episodes)

    policy = Policy.load(options.policy)
    world = World.load(policy.contract.world)
    policy.check(Sim2RealVectorEnv(world))
    variants = sampled_variants(world, count)
    identity = (policy.weights["normalizer.std"] == 1).all() and not policy.weights["normalizer.mean"].any()
    assert identity, "normalized observations are not compared here"
    venv = SB3VecEnv(Sim2RealVectorEnv(world, 1))
    model = as_sb3(policy, venv, settings_for(world))

    ours, mine = timed(lambda: batched(world, policy, variants, episodes))
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1024**2  # GB, of all until here
    few, share = variants[: options.looped], len(variants[: options.looped]) / count
    slow, theirs = timed(lambda: looped(world, model, few, episodes, 1), share)
    wide, other = timed(lambda: looped(world, model, few, episodes, episodes), share)

    table = Table(title=f"{policy.name}: {count} variants × {episodes} episodes")
    for column in ("evaluation", "mean return", "seconds", "of CPU", "ours takes", "ours, of CPU", "target"):
        table.add_column(column, justify="left" if column == "evaluation" else "right")
    for name, seconds, found, goal in (
        ("ours, one batch", ours, mine, ""),
        ("evaluate_policy, 1 env", slow, theirs, f"≤ {GOAL}"),
        (f"evaluate_policy, {episodes} envs", wide, other, ""),
    ):
        parts = ["", ""] if seconds is ours else [f"{part:.3f} of it" for part in ours / seconds]
        times = [f"{part:.2f}" for part in seconds]
        table.add_row(name, f"{found[: len(few)].mean():.2f}", *times, *parts, goal)
    console = Console(width=110)
    console.print(table)
    console.print(f"Peak memory until ours was done, packages included: {peak:.2f} GB (goal: under 2).")
    apart = np.abs(mine[: len(few)] - theirs)
    alike = float(np.mean(apart < AGREE))
    console.print(
        f"Returns of the same episode: {alike:.1%} within {AGREE} of each other; the median differs by "
        f"{np.median(apart):.1e}, the worst by {apart.max():.1e}."
    )
    if alike < 0.95:
        raise SystemExit("the two sides evaluate different things")


if __name__ == "__main__":
    main()
