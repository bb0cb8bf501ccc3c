"""Find the physics of a robot from its recordings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import add_recordings, amount, seed
from sim2real.cli.terminal import console

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("identify", help="find the physics that recordings of a robot show")
    command.add_argument("world", help="a world's name or folder")
    command.add_argument("--recordings", type=Path, required=True, help="folder of recordings")
    command.add_argument(
        "--free", nargs="+", default=(), help="parameters that may change; default the world's"
    )
    command.add_argument("--held", nargs="+", help="recordings to hold out; default every fourth")
    command.add_argument(
        "--ladder", action="store_true", help="grow a model of the motors, judged on what is held out"
    )
    command.add_argument("--check", action="store_true", help="say what can be told, and fit nothing")
    command.add_argument(
        "--top-speed",
        type=amount,
        help="rad/s or m/s of any joint in the motion to record next; default the highest that was recorded",
    )
    command.add_argument("--seed", type=seed, default=0)
    add_recordings(command)
    command.add_argument("--out", type=Path, help="folder of the results; default runs/identify-WORLD")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it; the exit status is that of the verdicts."""
    import dataclasses

    from sim2real.doctor.intake import take_in
    from sim2real.identify.check import check
    from sim2real.identify.identify import Options, identify
    from sim2real.identify.inertial import inertial_of, whole_bodies
    from sim2real.identify.next_motion import Play, next_motion
    from sim2real.identify.page import write_page
    from sim2real.identify.summary import check_line, check_tables, identification_tables
    from sim2real.world import World

    world = World.load(arguments.world)
    out = arguments.out or Path("runs") / f"identify-{world.name}"
    show = console()
    taken = take_in(world, arguments.recordings, out, arguments.allow_bad_data, arguments.unwrap)
    options = Options(
        free=tuple(arguments.free),
        held=tuple(arguments.held) if arguments.held else None,
        ladder=arguments.ladder,
        seed=arguments.seed,
        complaints=taken.complaints,
        checkpoint=out / "checkpoint.json",
    )
    with show.status("check"):
        before = check(world, taken.recordings, options)
    if arguments.check:
        for table in check_tables(before):
            show.print(table)
        return before.exit_code
    print(check_line(before))
    with show.status("begin") as status:
        found = identify(
            world,
            taken.recordings,
            options,
            lambda what, number, cost: status.update(f"{what}: round {number}, {1000 * cost:.2f} mrad"),
        )
    with show.status("which motion to record next"):
        motion = next_motion(world, taken.recordings, found, options, Play(speed=arguments.top_speed))
    found = dataclasses.replace(
        found, check=before.to_json(), next_motion=None if motion is None else motion.to_json()
    )
    found.save(out)
    page = write_page(found, out, motion)
    for table in identification_tables(found):
        show.print(table)
    for body in whole_bodies(found.point):
        print(inertial_of(world, found.point, body).text)
    if motion is not None:
        motion.save(out)
        print(motion.text)
    print(f"wrote {out / 'identified.toml'} and {page}")
    return found.exit_code
