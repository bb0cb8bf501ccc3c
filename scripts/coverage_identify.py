"""How often intervals hold the truth when the model lacks something: twins with unmodelled lag and friction.

    python scripts/coverage_identify.py --twins 20

Each twin has two planted parameters to find, and a latency and a dry friction that the fit knows nothing of.
Three intervals of nominally 95 %: from independent errors (what mujoco.sysid reports), from drawing blocks of
time again, and of the domain that is handed on, whose width the held-out error sets.
"""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.domain import Domain
from sim2real.identify.identify import Options, identify
from sim2real.opening import opened_for
from sim2real.recordings import Recording
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

PERIOD = 0.01
TWINS = {
    "cartpole": (("cart.mass", "pole.mass"), {"motor.latency": 2, "slider.frictionloss": 0.2}, (0.0, np.pi)),
    "furuta": (
        ("pole.mass", "motor.strength"),
        {"motor.latency": 2, "arm_hinge.frictionloss": 2e-4},
        (0.0, 0.0),
    ),
    "hopper": (("torso.mass", "motors.strength"), {"motors.latency": 2, "hip.frictionloss": 2.0}, None),
}


def recorded(world: World, physics: dict[str, float], start: np.ndarray, seed: int) -> Recording:
    """Two seconds of random steps and sines, at the control rate, with a little noise."""
    rng = np.random.default_rng(seed)
    world = opened_for(world, Domain.point(physics))
    simulator = MujocoSimulator(world, 1, 1)
    simulator.set_physics(np.array([0]), tuple(physics), np.array([list(physics.values())]))
    model, time = world.model, np.arange(200) * PERIOD
    low, high = model.actuator_ctrlrange.T
    held = rng.uniform(-1, 1, (5, model.nu))[(time / 0.5).astype(int)]
    sines = np.sin(time[:, None] * rng.uniform(3, 9, model.nu) + rng.uniform(0, 6, model.nu))
    command = (low + high) / 2 + 0.35 * (held + sines) * (high - low) / 2
    simulator.reset(np.array([0]), start[None], np.zeros((1, model.nv)), command[:1])
    rows = []
    for row in range(len(time)):
        rows.append((simulator.qpos[0].copy(), simulator.qvel[0].copy()))
        simulator.step(command[row : row + 1], round(PERIOD / simulator.physics_dt))
    position, velocity = (np.array(part) for part in zip(*rows, strict=True))
    joints = tuple(model.joint(k).name for k in range(model.njnt))
    table = np.zeros((len(time), len(joints)))
    table[:, model.actuator_trnid[:, 0]] = command
    noise = rng.normal(0, 1e-4, position.shape)
    return Recording(f"run{seed}", joints, time, table, position + noise, velocity)


def covered(name: str, seed: int) -> list[tuple[bool, bool, bool]]:
    """Whether each interval holds the truth, parameter by parameter."""
    world, (free, hidden, start) = World.load(name), TWINS[name]
    rng = np.random.default_rng(1000 + seed)
    truth = {n: world.parameters[n].nominal * rng.uniform(0.8, 1.25) for n in free}
    pose = world.model.qpos0.copy() if start is None else np.array(start)
    if name == "hopper":
        pose[1] = 1.25
    logs = [recorded(world, truth | hidden, pose, 100 * seed + k) for k in range(8)]
    options = Options(free=free, generations=0, threads=1, window=0.25, seed=seed)
    found = identify(world, logs, options)
    rows = []
    for estimate in found.estimates:
        value = truth[estimate.name]
        spread = found.domain.parameters[estimate.name]
        rows.append(
            (
                abs(value - estimate.value) <= estimate.naive,
                estimate.low <= value <= estimate.high,
                abs(value - spread.mean) <= 1.96 * spread.std,
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--twins", type=int, default=20)
    parser.add_argument("--worlds", nargs="+", default=list(TWINS), choices=list(TWINS))
    arguments = parser.parse_args()
    table = Table("world", "intervals", "independent errors", "blocks of time", "the domain's width")
    for name in arguments.worlds:
        rows = np.array([row for seed in range(arguments.twins) for row in covered(name, seed)])
        table.add_row(name, str(len(rows)), *(f"{share:.0%}" for share in rows.mean(axis=0)))
    Console().print(table)


if __name__ == "__main__":
    main()
