"""How far an engine agrees with MuJoCo about a world."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import TASK, WORLD, load_world
from sim2real.cli.show import show_tables
from sim2real.cli.terminal import console, working


@command(
    "parity",
    WORLD,
    option("--simulator", default="bullet", help="engine: bullet (default) or warp"),
    option("--seconds", type=float, default=1.0, help="length of the open-loop motions"),
    option("--out", type=Path, help="folder of the results; default runs/parity-WORLD-ENGINE"),
    *TASK,
)
def run(arguments: Arguments) -> None:
    """How far another engine agrees with MuJoCo about a world."""
    from sim2real.pipelines.agreement import parity
    from sim2real.report.parity import tables

    world = load_world(arguments.world, arguments)
    out = arguments.out or Path("runs") / f"parity-{world.name}-{arguments.simulator}"
    with working(console(), f"comparing {arguments.simulator} with mujoco on {world.name}"):
        found = parity(world, arguments.simulator, arguments.seconds, out)
    show_tables(*tables(found))
    print(f"wrote {out}")
