"""How often intervals hold the truth when the model lacks something: planted twins of three worlds.

    python scripts/coverage_identify.py --twins 20                       # unmodelled latency and dry friction
    python scripts/coverage_identify.py --twins 20 --lacks nothing other
    python scripts/coverage_identify.py --quick                          # one twin of the cart-pole

Each twin has two planted parameters to find and something that the fit knows nothing of. Intervals of
nominally 95 %: from independent errors (the formula that mujoco.sysid reports; on cartpole its own fit and
intervals as well, if `mujoco[sysid]` is installed), from drawing blocks of time again, those that
`sim2real identify` reports, and the width of the domain that is handed on.
Coverage comes with Wilson's interval; the width is a share of what the fit could choose from; the score is
Gneiting and Raftery's (2007), the less the better. Twins that are done are kept in --out, so an interrupted
run goes on.
"""

import argparse
import contextlib
import io
import json
from pathlib import Path

import mujoco
import numpy as np
from mujoco import sysid
from rich.console import Console
from rich.table import Table

from sim2real.domain import Domain
from sim2real.evaluate.statistics import wilson
from sim2real.files import write_atomically
from sim2real.identify.identify import Options, identify
from sim2real.identify.space import FreeParameter, free_parameters
from sim2real.recordings import Recording
from sim2real.replay import motion_of, windows
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

PERIOD = 0.01
FREE = {
    "cartpole": ("cart.mass", "pole.mass"),
    "furuta": ("pole.mass", "motor.strength"),
    "hopper": ("torso.mass", "motors.strength"),
}
LATENCY = {"cartpole": "motor.latency", "furuta": "motor.latency", "hopper": "motors.latency"}
FRICTION = {
    "cartpole": ("slider.frictionloss", 0.2),
    "furuta": ("arm_hinge.frictionloss", 2e-4),
    "hopper": ("hip.frictionloss", 2.0),
}
START = {"cartpole": (0.0, np.pi), "furuta": (0.0, 0.0), "hopper": (0.0, 1.25, 0.0, 0.0, 0.0, 0.0)}
ROWS = {"cartpole": 200, "furuta": 200, "hopper": 60}
AMPLITUDE = {"cartpole": 0.35, "furuta": 0.35, "hopper": 0.2}
WINDOW = {"cartpole": 0.25, "furuta": 0.25, "hopper": 0.12}
RUNS = 6
OTHER = ("tilted ground", "sensor that reads 2 % too much", "sensor with an offset", "motor of 20 ms")
"""What a twin can have that is not among the usual missing effects."""

KINDS = ("independent errors", "mujoco.sysid", "blocks of time", "reported", "domain")


def recorded(world: World, physics: dict[str, float], lack: str, seed: int) -> Recording:
    """Random steps and sines at the control rate, with a little noise."""
    rng, name = np.random.default_rng(seed), world.name
    world = world.for_domain(Domain.point(physics))
    simulator = MujocoSimulator(world, 1, 1)
    simulator.set_physics(np.array([0]), tuple(physics), np.array([list(physics.values())]))
    model, time = world.model, np.arange(ROWS[name]) * PERIOD
    low, high = model.actuator_ctrlrange.T
    held = rng.uniform(-1, 1, (5, model.nu))[(time / 0.5).astype(int)]
    sines = np.sin(time[:, None] * rng.uniform(3, 9, model.nu) + rng.uniform(0, 6, model.nu))
    command = (low + high) / 2 + AMPLITUDE[name] * (held + sines) * (high - low) / 2
    force = command.copy()
    if lack == "motor of 20 ms":
        for row in range(1, len(force)):
            force[row] = force[row - 1] + (1 - np.exp(-PERIOD / 0.02)) * (command[row] - force[row - 1])
    simulator.reset(np.array([0]), np.array([START[name]]), np.zeros((1, model.nv)), force[:1])
    rows = []
    for row in range(len(time)):
        rows.append((simulator.qpos[0].copy(), simulator.qvel[0].copy()))
        simulator.step(force[row : row + 1], round(PERIOD / simulator.physics_dt))
    position, velocity = (np.array(part) for part in zip(*rows, strict=True))
    position *= 1.02 if lack == "sensor that reads 2 % too much" else 1.0
    position += 0.02 if lack == "sensor with an offset" else 0.0
    joints = tuple(model.joint(k).name for k in range(model.njnt))
    table = np.zeros((len(time), len(joints)))
    table[:, model.actuator_trnid[:, 0]] = command
    noise = rng.normal(0, 1e-4, position.shape)
    return Recording(f"run{seed}", joints, time, table, position + noise, velocity)


def twin(name: str, lacks: str, seed: int) -> tuple[World, dict[str, float], list[Recording]]:
    """A world, the planted values, and recordings of it with them and with something that is not modelled."""
    world, rng = World.load(name), np.random.default_rng(7000 + seed)
    truth = {n: world.parameters[n].nominal * rng.uniform(0.8, 1.25) for n in FREE[name]}
    hidden, lack = {}, ""
    if lacks == "lag and friction":
        friction, size = FRICTION[name]
        hidden = {LATENCY[name]: float(rng.integers(1, 5)), friction: size * rng.uniform(0.3, 2.0)}
    if lacks == "other":
        lack = OTHER[seed % len(OTHER)]
        hidden = {"world.slope_y": 0.03} if lack == "tilted ground" else {}
    logs = [recorded(world, truth | hidden, lack, 10_000 + 100 * seed + k) for k in range(RUNS)]
    return world, truth, logs


def intervals(name: str, lacks: str, seed: int) -> dict[str, list[list[float]]]:
    """By kind and parameter: low, high and truth, in shares of what the fit could choose from."""
    world, truth, logs = twin(name, lacks, seed)
    options = Options(free=FREE[name], generations=0, threads=1, window=WINDOW[name], seed=seed)
    found = identify(world, logs, options)
    space = {free.name: free for free in free_parameters(world, FREE[name])}
    rows: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for e in found.estimates:
        spread = found.domain.parameters[e.name]
        ends = {
            "independent errors": (e.value - e.independent, e.value + e.independent),
            "blocks of time": e.bootstrap,
            "reported": (e.low, e.high),
            "domain": (spread.mean - 1.96 * spread.std, spread.mean + 1.96 * spread.std),
        }
        for kind, pair in ends.items():
            if pair is not None:
                rows[kind].append(shares(space[e.name], *pair, truth[e.name]))
    if name == "cartpole" and hasattr(sysid, "optimize"):
        for free, value, half in zip(space.values(), *by_sysid(world, logs, space), strict=True):
            rows["mujoco.sysid"].append(shares(free, value - half, value + half, truth[free.name]))
    return rows


def shares(free: FreeParameter, low: float, high: float, value: float) -> list[float]:
    low, high = max(low, free.low), min(high, free.high)
    return [float(free.unit(x)) for x in (low, high, value)]


def by_sysid(
    world: World, logs: list[Recording], space: dict[str, FreeParameter]
) -> tuple[np.ndarray, np.ndarray]:
    """Masses of the cartpole and the half widths of their intervals, by mujoco.sysid on the same windows."""
    spec = mujoco.MjSpec.from_file(str(world.path / "scene.xml"))
    for joint in ("slider", "hinge"):
        kind, of = mujoco.mjtSensor.mjSENS_JOINTPOS, mujoco.mjtObj.mjOBJ_JOINT
        spec.add_sensor(name=f"{joint}_position", type=kind, objtype=of, objname=joint)
    model, parameters = spec.compile(), sysid.ParameterDict()
    for name, free in space.items():
        body = name.partition(".")[0]

        def weigh(spec: mujoco.MjSpec, p: sysid.Parameter, body: str = body) -> None:
            spec.body(body).geoms[0].mass = p.value[0]

        key = name.replace(".", "_")
        parameters.add(sysid.Parameter(key, free.start, free.low, free.high, modifier=weigh))
    states, controls, measured = [], [], []
    parts = [w for log in logs for w in windows(motion_of(world, log), WINDOW["cartpole"])]
    for part in parts:
        time = np.arange(round(part.duration / model.opt.timestep) + 2) * model.opt.timestep
        held = np.searchsorted(part.time, time + 1e-9, side="right") - 1
        states.append(sysid.create_initial_state(model, part.measured[0], part.velocity))
        controls.append(sysid.TimeSeries(time, part.command[held]))
        # a rollout stores what sensors read before each step under the stamp after it
        late = part.time + model.opt.timestep
        measured.append(sysid.TimeSeries.from_names(late, part.measured, model))
    names = [part.name for part in parts]
    group = sysid.ModelSequences("cartpole", spec, names, states, controls, measured)
    residual = sysid.build_residual_fn(models_sequences=[group], n_threads=1)
    with contextlib.redirect_stdout(io.StringIO()):
        found, result = sysid.optimize(parameters, residual, optimizer="mujoco", max_iters=30)
    errors, _, _ = residual(result.x, found)
    return np.asarray(result.x), np.asarray(sysid.calculate_intervals(errors, result.jac)[1])


def row(kind: str, ends: np.ndarray) -> tuple[str, ...]:
    """Coverage, width and score of a kind of interval. Ends of shape (n, 3)."""
    low, high, truth = ends.T
    holds = (low <= truth) & (truth <= high)
    rate = wilson(int(holds.sum()), len(holds))
    misses = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    score = (high - low + 2 / 0.05 * misses).mean()
    first, last = rate.interval
    return (
        kind,
        str(len(holds)),
        f"{holds.mean():.0%} [{first:.0%}, {last:.0%}]",
        f"{(high - low).mean():.4f}",
        f"{score:.3f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one twin of the cart-pole")
    parser.add_argument("--twins", type=int, default=20)
    parser.add_argument("--worlds", nargs="+", default=list(FREE), choices=list(FREE))
    choices = ("lag and friction", "nothing", "other")
    parser.add_argument("--lacks", nargs="+", default=["lag and friction"], choices=choices)
    parser.add_argument("--out", type=Path, default=Path("runs/coverage"))
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.twins, arguments.worlds = 1, arguments.worlds[:1]
    for lacks in arguments.lacks:
        table = Table("world", "intervals", "parameters", "coverage", "width", "score")
        table.title = f"Twins whose model lacks {lacks}"
        for name in arguments.worlds:
            found: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
            for seed in range(arguments.twins):
                path = arguments.out / f"{name}-{lacks.replace(' ', '-')}-{seed}.json"
                if not path.exists():
                    write_atomically(path, json.dumps(intervals(name, lacks, seed)))
                for kind, ends in json.loads(path.read_text("utf-8")).items():
                    found[kind] += ends
            for kind, ends in found.items():
                if ends:
                    table.add_row(name, *row(kind, np.array(ends)))
        Console().print(table)


if __name__ == "__main__":
    main()
