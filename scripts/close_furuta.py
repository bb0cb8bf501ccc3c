"""Close the gap of Furuta's combined A from ten recordings: the figure of the issue on identification.

    python scripts/close_furuta.py                   # five seeds, without and with sensor noise
    python scripts/close_furuta.py --seeds 0 --noise 0.02 --truth
    python scripts/close_furuta.py --quick           # one seed, a coarse fit, hardly any training

For every seed: 10 episodes of 160 steps in the sealed target with the nominal policy and shaken actions;
pole mass, motor strength, both dampings and the latency from what the policy saw; 300,000 steps of continued
training in the identified domain. Printed are the returns in the target and their share of the stored oracle,
the best that is known in the true target (without noise); with ``--truth`` also of the same nominal policy
after the same training at the true physics. A seed without a shipped nominal policy gets one trained first.
Noise is that of every observation, in scaled units (0.02 is 0.02 in a sine, 0.2 and 0.4 rad/s in the
velocities).
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from sim2real.catalog import entries
from sim2real.domain import Domain
from sim2real.evaluate.rollouts import Trials, mean_returns, references
from sim2real.identify.rollout_fit import FitSettings
from sim2real.identify.search import SearchSettings
from sim2real.learn.train import train
from sim2real.parameters import Parameter
from sim2real.policy import Policy
from sim2real.transfer.identify_and_train import (
    RoadSettings,
    Training,
    continue_training,
    identify_and_train,
)
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.world import Variant, World

VARIANT = "combined_a"
NAMES = ("pole.mass", "motor.strength", "arm_hinge.damping", "pole_hinge.damping", "motor.latency")
SIGNALS = {"angles.noise": 1.0, "arm.noise": 10.0, "pole_tip.noise": 20.0}


def noisy(world: World) -> World:
    """The world with a sensor noise that its file does not have."""
    signals = {"angles.noise": ("arm_cos", "arm_sin", "pole_cos", "pole_sin")}
    signals |= {"arm.noise": ("arm_velocity",), "pole_tip.noise": ("pole_velocity",)}
    units = {"angles.noise": "1", "arm.noise": "rad/s", "pole_tip.noise": "rad/s"}
    extra = {
        name: Parameter(name, units[name], 0.0, 0.0, 0.0, "made up for the script", elements)
        for name, elements in signals.items()
    }
    return dataclasses.replace(world, parameters={**world.parameters, **extra})


def nominal_policy(world: World, seed: int, out: Path) -> Policy:
    name = f"{world.name}-nominal-{seed}"
    if name in entries("policies"):
        return Policy.load(name)
    folder = out / name
    return Policy.load(folder) if folder.is_dir() else train(world, folder, seed=seed)


def arms(
    world: World, truth: Variant, start: Policy, out: Path, settings: RoadSettings, at_truth: bool
) -> tuple[list[Policy], str]:
    """The policies to compare, the first of them where they start; and what was found and spent."""
    target = TargetEnv(
        world, truth, Budget(steps=1600 * settings.rounds), 10, seal=Seal(secret=start.contract.seed)
    )
    bounds = Domain({name: world.training_domain.parameters[name] for name in NAMES})
    closed = identify_and_train(start, target, world, out, bounds, settings)
    policies = [start, closed.policy]
    if at_truth:
        training = Training(settings.train_steps * settings.rounds)
        policies.append(continue_training(start, world, truth.domain, out / "truth", training))
    fit = closed.fits[-1]
    ends = {n: fit.interval(n) or (fit.values[n], fit.values[n]) for n in NAMES}
    found = ", ".join(f"{n} {fit.values[n]:.3g} [{ends[n][0]:.2g}, {ends[n][1]:.2g}]" for n in NAMES)
    return policies, f"{found}; {target.spent}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, a coarse fit, hardly any training")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.02])
    parser.add_argument("--steps", type=int, default=300_000, help="of continued training")
    parser.add_argument("--rounds", type=int, default=1, help="alternations of SimOpt")
    parser.add_argument("--truth", action="store_true", help="train at the true physics as well")
    parser.add_argument("--out", type=Path, default=Path("runs/close-furuta"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings, trials = RoadSettings(rounds=arguments.rounds, train_steps=arguments.steps), Trials(128)
    if arguments.quick:
        arguments.seeds, arguments.noise = arguments.seeds[:1], arguments.noise[:1]
        coarse = FitSettings(search=SearchSettings(4, 6))
        settings, trials = dataclasses.replace(settings, train_steps=4096, fit=coarse), Trials(4)
    world = noisy(World.load("furuta"))
    stored = references(world)[VARIANT].oracle
    console = Console(width=150)
    for noise in arguments.noise:
        sensors = {name: noise * scale for name, scale in SIGNALS.items()} if noise else {}
        truth = Variant(VARIANT, "combined", {**world.variant(VARIANT).physics, **sensors})
        rows = []
        for seed in arguments.seeds:
            out = arguments.out / f"noise-{noise:g}" / f"seed-{seed}"
            start = nominal_policy(world, seed, arguments.out)
            policies, found = arms(world, truth, start, out, settings, arguments.truth)
            scores = [mean_returns(world, policy, [truth], trials)[VARIANT] for policy in policies]
            rows.append((*scores, scores[1] / stored, *(scores[1] / other for other in scores[2:])))
            reached = ", ".join(f"{value:.3g}" for value in rows[-1])
            print(f"noise {noise:g} seed {seed}: {reached}; {found}", flush=True)
        table = Table(title=f"furuta {VARIANT}, sensor noise {noise:g}, stored oracle {stored:.0f}")
        heads = ["nominal", "identified", *(["at the truth"] if arguments.truth else []), "of the oracle"]
        for column in ("seed", *heads, *(["of the truth"] if arguments.truth else [])):
            table.add_column(column, justify="right")
        for name, row in (*zip(arguments.seeds, rows, strict=True), ("mean", np.mean(rows, axis=0))):
            table.add_row(str(name), *(f"{value:.3g}" for value in row))
        console.print(table)


if __name__ == "__main__":
    main()
