"""What channels cost: control steps per second of an env with them, over those of the same env without.

    python scripts/bench_channels.py            # about five minutes
    python scripts/bench_channels.py --quick

Three kinds of physics on the same world, with the same random actions and autoreset, the training domain in
all of them:

- *none*: every channel at its neutral value.
- *on*: latency, strength, sensor noise and quantization of readings and commands, all drawn anew for every
  episode. The first two are the engine's, the others array operations once a control step.
- *law*: Stribeck friction of every driven joint, written before every physics step: what a loop in Python
  between the engine's steps costs.

The envs take turns, step by step, so that what else the machine does hits all of them alike; times are
interquartile means over steps. The target for *on* at 256 envs is 0.9.
"""

import argparse
import os
from dataclasses import replace
from time import perf_counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.distributions import Distribution, Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.evaluate.metrics import iqm
from sim2real.parameters import Parameter
from sim2real.world import World

WORLDS = ("furuta", "hopper", "so101")
SIZES = (64, 256)
TARGET = 0.9


def with_bench_channels(world: World) -> World:
    """The world with sensor noise, rounding and Stribeck friction on everything, whatever it has itself."""
    env = Sim2RealVectorEnv(world)
    model = world.model
    actuators = tuple(model.actuator(k).name for k in range(model.nu))
    joints = tuple(model.joint(int(k)).name for k in model.actuator_trnid[:, 0])
    found = [Parameter(name, "", value, value, value, "", elements) for name, value, elements in (
        ("actuators.command_resolution", 0.0, actuators),
        ("drives.stribeck", 0.0, joints),
        ("drives.stribeck_velocity", 0.1, joints),
    )]  # fmt: skip
    for signal in env.task.observation:
        for quantity in ("noise", "resolution"):
            name = f"{signal.name}.{quantity}"
            found.append(Parameter(name, signal.unit, 0.0, 0.0, 0.0, "", (signal.name,)))
    kept = {name: p for name, p in world.parameters.items() if p.low < p.high}
    return replace(world, parameters={**kept, **{p.name: p for p in found}}, channels={})


def domains(world: World) -> dict[str, Domain]:
    """The domain of each kind."""
    training = {name: p for name, p in world.training_domain.parameters.items() if p.support()[1]}
    scales = {signal.name: signal.scale for signal in Sim2RealVectorEnv(world).task.observation}
    full = float(np.abs(world.model.actuator_ctrlrange).max()) or 1.0
    on: dict[str, Distribution] = {"actuators.command_resolution": Uniform(0.001 * full, 0.01 * full)}
    for name, scale in scales.items():
        on[f"{name}.noise"] = Uniform(0.0, 0.01 * scale)
        on[f"{name}.resolution"] = Uniform(0.0, 0.002 * scale)
    law: dict[str, Distribution] = {"drives.stribeck": Uniform(0.0, 0.001)}
    return {"none": Domain(training), "on": Domain(training | on), "law": Domain(training | law)}


def measure(world: World, num_envs: int, steps: int) -> dict[str, float]:
    """Seconds of a control step of all envs together, of every kind."""
    envs = {kind: Sim2RealVectorEnv(world, num_envs, domain) for kind, domain in domains(world).items()}
    for env in envs.values():
        env.reset(seed=0)
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {kind: [] for kind in envs}
    for _ in range(steps):
        action = rng.uniform(-1, 1, envs["none"].action_space.shape).astype(np.float32)
        for kind, env in envs.items():
            start = perf_counter()
            env.step(action)
            times[kind].append(perf_counter() - start)
    return {kind: float(iqm(np.array(values)[None])[0]) for kind, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few steps of furuta at 64 envs")
    arguments = parser.parse_args()
    table = Table(
        "world", "envs", "none, steps/s", "on, steps/s", "share", "law, steps/s", "share", "law, µs/step"
    )
    missed = []
    for name in WORLDS[:1] if arguments.quick else WORLDS:
        world = with_bench_channels(World.load(name))
        substeps = Sim2RealVectorEnv(world)._substeps
        for num_envs in SIZES[:1] if arguments.quick else SIZES:
            steps = (20 if arguments.quick else 300) * (1 if num_envs > 64 else 3)
            times = measure(world, num_envs, steps)
            shares = {kind: times["none"] / times[kind] for kind in times}
            extra = (times["law"] - times["none"]) / substeps
            speeds = {kind: f"{num_envs / time:,.0f}" for kind, time in times.items()}
            table.add_row(
                name, str(num_envs), speeds["none"], speeds["on"], f"{shares['on']:.3f}",
                speeds["law"], f"{shares['law']:.3f}", f"{1e6 * extra:.0f}",
            )  # fmt: skip
            if num_envs == 256 and shares["on"] < TARGET:
                missed.append(name)
    Console(width=110).print(table)
    if not arguments.quick:
        print(
            f"target {TARGET} at 256 envs:", f"missed by {', '.join(missed)}" if missed else "reached by all"
        )


if __name__ == "__main__":
    main()
