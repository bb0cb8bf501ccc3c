"""A stranger's humanoid and its policy without a line of code: where it walks, and where it falls.

    python scripts/h1.py path/to/h1            # the H1 of unitree_rl_gym: scene.xml, config.yaml, motion.pt
    python scripts/h1.py --quick               # two seconds of a few rows

Writes a world from the makers' own deployment file, and walks the policy (TorchScript, an LSTM) in every
physics of the first table in one batch. Printed: seconds upright, where the pelvis ends, and the same of a
plain loop over `mj_step`, as published beside the files; after 20 s they agree on up or fallen, and on x
within a few per cent, because a walk amplifies rounding. Then a grid of payload, strength and friction, each
alone: the last value at which it stays up for 20 s, and the first at which it falls.
"""

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import MissingExtra
from sim2real.foreign import ForeignPolicy, load_policy
from sim2real.scaffold import new_world
from sim2real.world import World

PUBLISHED = {  # x and z of the pelvis after 20 s, m
    ("pelvis.payload", "kg"): {0: (9.096, 1.037), 5: (7.149, 1.016), 10: (4.567, 0.961), 20: (2.418, 0.891)},
    ("contacts.friction", ""): {0.6: (9.080, 1.039), 0.4: (8.965, 1.039), 0.3: (8.807, 1.040)},
    ("motors.strength", ""): {0.9: (7.452, 1.017), 0.8: (4.373, 0.950), 0.7: (2.308, 0.889)},
    ("joints.damping", "N·m·s/rad"): {1: (8.884, 1.036), 3: (8.432, 1.034)},
    ("joints.armature", "kg·m²"): {0.03: (8.983, 1.037), 0.1: (8.699, 1.039)},
    ("motors.latency", "steps of 2 ms"): {
        5: (9.080, 1.037), 10: (9.116, 1.037), 15: (8.863, 1.037), 20: (8.923, 1.038)
    },
}  # fmt: skip
GRID = {
    "pelvis.payload": np.arange(0.0, 62.5, 2.5),
    "motors.strength": np.arange(1.0, 0.28, -0.03),
    "contacts.friction": np.geomspace(1.0, 0.02, 24),
}


Row = tuple[str, float]  # a parameter and its value
Found = dict[Row, tuple[float, float, float]]  # s upright, and the pelvis' x and z at the end, m


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="default: h1/ in SIM2REAL_STRANGERS, or beside")
    parser.add_argument("--quick", action="store_true", help="two seconds of a few rows")
    arguments = parser.parse_args()
    beside = Path(__file__).resolve().parents[2] / "shared" / "strangers"
    folder = arguments.folder or Path(os.environ.get("SIM2REAL_STRANGERS", beside)) / "h1"
    if not (folder / "motion.pt").is_file():
        raise SystemExit("no files of the H1; give their folder: scene.xml, config.yaml and motion.pt")
    steps = 99 if arguments.quick else 999  # of 0.02 s, after the first, in which the pose is held
    with tempfile.TemporaryDirectory() as place:
        world = new_world(Path(place) / "H1", folder / "scene.xml", io=folder / "config.yaml").world
        policy = load_policy(f"torchscript:{folder / 'motion.pt'}", trust=True)
        rows = [(name, value) for (name, _), known in PUBLISHED.items() for value in known]
        show_table(walk(world, policy, rows[:: 6 if arguments.quick else 1], steps), arguments.quick)
        grid = {name: values[:: 8 if arguments.quick else 1] for name, values in GRID.items()}
        found = walk(world, policy, [(name, value) for name in grid for value in grid[name]], steps)
        show_limits(grid, found, steps)


def walk(world: World, policy: ForeignPolicy, rows: Sequence[Row], steps: int) -> Found:
    names = tuple(dict.fromkeys(name for name, _ in rows))
    world = world.for_domain(
        world.domain({"parameters": {n: max(v for m, v in rows if m == n) for n in names}})
    )
    values = np.tile([world.nominal[name] for name in names], (len(rows), 1))
    for row, (name, value) in enumerate(rows):
        values[row, names.index(name)] = value
    env = Sim2RealVectorEnv(world, len(rows), max_episode_steps=steps, autoreset=False)
    env.set_physics(names, values)
    actor = policy.fitted(env)
    (seen, _), state = env.reset(seed=0), actor.start(len(rows))
    lengths = np.full(len(rows), env.task.hold_steps)
    while not env.resting.all():
        action, state = actor.act(seen, state)
        lengths += ~env.resting
        seen, *_ = env.step(action)
    ends = env.simulator.qpos[:, [0, 2]]
    return {row: (t * env.task.control_dt, *end) for row, t, end in zip(rows, lengths, ends, strict=True)}


def show_table(found: Found, quick: bool) -> None:
    table = Table("physics", "upright, s", "x, m", "z, m", *(() if quick else ("x published", "z", "x off")))
    for (name, value), (seconds, x, z) in found.items():
        unit, known = next(
            (u, rows[value]) for (n, u), rows in PUBLISHED.items() if n == name and value in rows
        )
        cells = [f"{name} {value:g} {unit}".strip(), f"{seconds:.2f}", f"{x:.3f}", f"{z:.3f}"]
        published = [f"{known[0]:.3f}", f"{known[1]:.3f}", f"{x / known[0] - 1:+.1%}"]
        table.add_row(*cells, *(() if quick else published))
    Console(width=110).print(table)


def show_limits(grid: Mapping[str, np.ndarray], found: Found, steps: int) -> None:
    print(f"each alone, for {0.02 * (steps + 1):g} s:")
    for name, values in grid.items():
        stays = [found[name, value][0] > 0.02 * steps for value in values]
        first = stays.index(False) if False in stays else len(values)
        says = f"up at {values[first - 1]:.3g}" if first else "never up"
        falls = f"falls at {values[first]:.3g}" if first < len(values) else "falls nowhere on the grid"
        again = [f"{value:.3g}" for value, stay in zip(values[first:], stays[first:], strict=True) if stay]
        print(f"{name}: {says}, {falls}" + (f"; up again at {', '.join(again)}" if again else ""))


if __name__ == "__main__":
    try:
        main()
    except MissingExtra as error:
        raise SystemExit(str(error)) from None
