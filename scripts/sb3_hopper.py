"""A stranger's zip of Stable-Baselines3 in physics that nobody trained it for, beside policies trained here.

    python scripts/sb3_hopper.py path/to/sb3     # ppo_hopper.zip, ppo_hopper_vecnormalize.pkl; half an hour
    python scripts/sb3_hopper.py --quick

First its returns in gymnasium's own Hopper-v5, one episode for each of five seeds, beside those that
Stable-Baselines3 itself got from the same file when it still opened it. Then three policies learn here under
a training domain, in less than half of its control steps. All of them meet 20 held-out variants: masses,
friction, damping, weak motors, late commands, noisy observations. Printed: scores by variant;
``runs/sb3-hopper/report.html`` is the whole page.
"""

import argparse
import os
import tempfile
from pathlib import Path

import gymnasium as gym
import numpy as np

from sim2real.cli.evaluate import report
from sim2real.evaluate.rollouts import Trials, evaluate, steps_of
from sim2real.foreign import ForeignPolicy, load_policy
from sim2real.learn.settings import settings_for
from sim2real.learn.train import train
from sim2real.policy import Policy
from sim2real.world import World

PUBLISHED = (2441.3, 2433.8, 2437.0, 2441.5, 2449.1)
PHYSICS = """
title = "Hopper-v5"
[env]
id = "Hopper-v5"
[parameters]
"torso.mass" = {unit = "kg", nominal = 3.6651914, range = [2.5, 6.0], source = "the env's model"}
"leg.mass" = {unit = "kg", nominal = 2.7813567, range = [2.0, 4.0], source = "the env's model"}
"foot.mass" = {unit = "kg", nominal = 5.3155748, range = [3.5, 7.5], source = "the env's model"}
"foot_geom.friction" = {unit = "1", nominal = 2.0, range = [1.2, 2.5], source = "the env's model"}
"joints.damping" = {unit = "N·m·s/rad", nominal = 1.0, range = [0.5, 2.0], source = "the env's model", \
elements = ["thigh_joint", "leg_joint", "foot_joint"]}
"motors.strength" = {unit = "1", nominal = 1.0, range = [0.8, 1.1], source = "assumed", \
elements = ["thigh_joint", "leg_joint", "foot_joint"]}
"motors.latency" = {unit = "physics steps", nominal = 0, range = [0, 1], source = "assumed", \
elements = ["thigh_joint", "leg_joint", "foot_joint"]}
"obs.noise" = {unit = "as in the env", nominal = 0, range = [0, 0.02], source = "assumed", \
elements = ["obs_0", "obs_1", "obs_2", "obs_3", "obs_4", "obs_5"]}
[variants.interpolation]
torso_light = {"torso.mass" = 2.9}
torso_heavy = {"torso.mass" = 5.0}
leg_heavy = {"leg.mass" = 3.5}
foot_heavy = {"foot.mass" = 6.5}
less_grip = {"foot_geom.friction" = 1.4}
more_damping = {"joints.damping" = 1.6}
weaker = {"motors.strength" = 0.88}
late = {"motors.latency" = 1}
noisy = {"obs.noise" = 0.01}
[variants.extrapolation]
torso_very_heavy = {"torso.mass" = 8.0}
leg_very_heavy = {"leg.mass" = 5.5}
foot_very_heavy = {"foot.mass" = 10.0}
slippery = {"foot_geom.friction" = 1.0}
little_damping = {"joints.damping" = 0.2}
much_damping = {"joints.damping" = 3.0}
very_weak = {"motors.strength" = 0.7}
very_late = {"motors.latency" = 2}
very_noisy = {"obs.noise" = 0.05}
[variants.combined]
combined_a = {"torso.mass" = 5.0, "joints.damping" = 1.5, "motors.latency" = 1}
combined_b = {"foot.mass" = 7.0, "foot_geom.friction" = 1.3, "motors.strength" = 0.85, "obs.noise" = 0.01}
"""
OUT = Path("runs/sb3-hopper")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="default: sb3/ in SIM2REAL_STRANGERS, or beside")
    parser.add_argument("--steps", type=int, default=400_000, help="of each policy that learns here")
    parser.add_argument("--quick", action="store_true", help="hardly any training, few episodes and variants")
    arguments = parser.parse_args()
    beside = Path(__file__).resolve().parents[2] / "shared" / "strangers"
    folder = arguments.folder or Path(os.environ.get("SIM2REAL_STRANGERS", beside)) / "sb3"
    if not (folder / "ppo_hopper.zip").is_file():
        raise SystemExit("no zip of a stranger's; give the folder of ppo_hopper.zip")
    stranger = load_policy(f"stranger=sb3:{folder / 'ppo_hopper.zip'}")
    for seed, published in enumerate(PUBLISHED[: 1 if arguments.quick else 5]):
        print(f"seed {seed}: {bare_return(stranger, seed):.1f}, published {published:.1f}")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "hopper-v5"
        path.mkdir()
        (path / "physics.toml").write_text(PHYSICS, encoding="utf-8")
        world = World.load(path)
        steps, seeds = (2_048, 1) if arguments.quick else (arguments.steps, 3)
        ours = [learnt(world, seed, steps) for seed in range(seeds)]
        names = ["combined_a"] if arguments.quick else None
        policies = [stranger, *ours]
        table = evaluate(world, policies, names, Trials(2 if arguments.quick else 16))
        facts = {"command": "python scripts/sb3_hopper.py", "control steps": steps_of(policies)}
        report(world, table, "stranger", OUT, facts)


def bare_return(policy: ForeignPolicy, seed: int) -> float:
    """Of one episode in gymnasium's env, without anything of this package around it."""
    env, total, over = gym.make("Hopper-v5"), 0.0, False
    observation, _ = env.reset(seed=seed)
    while not over:
        action, _ = policy.act(observation[None].astype(np.float32))
        observation, reward, terminated, truncated, _ = env.step(action[0])
        total, over = total + float(reward), terminated or truncated
    return total


def learnt(world: World, seed: int, steps: int) -> Policy:
    settings = settings_for(world, True, total_steps=steps)
    return train(world, OUT / f"randomized-{seed}-{steps}", "training", seed, settings)


if __name__ == "__main__":
    main()
