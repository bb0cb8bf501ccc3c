"""Find the physics of a robot from its recordings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sim2real.cli.arguments import amount, seed
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import RECORDINGS, WORLD
from sim2real.cli.show import show_tables
from sim2real.cli.terminal import command_line, console, identifying


@command(
    "identify",
    WORLD,
    option("--recordings", type=Path, required=True, help="folder of recordings"),
    option("--free", nargs="+", default=(), help="parameters that may change; default the world's"),
    option(
        "--held-out",
        nargs="+",
        help="recordings to hold out; default every fourth, or the end of a single one",
    ),
    option(
        *("--select", "--ladder"),
        action="store_true",
        help="select a model of the motors from nested ones, judged on what is held out",
    ),
    option("--check", action="store_true", help="say what can be told, and fit nothing"),
    option(
        "--top-speed",
        type=amount,
        help="rad/s or m/s of any joint in the motion to record next; default the highest that was recorded",
    ),
    option("--seed", type=seed, default=0),
    *RECORDINGS,
    option("--out", type=Path, help="folder of the results; default runs/identify-WORLD"),
)
def run(arguments: Arguments) -> int:
    """Find the physics that recordings of a robot show.

    The exit status is that of the verdicts.
    """
    from sim2real.identify.check import check
    from sim2real.identify.options import Options
    from sim2real.pipelines.identify import identify
    from sim2real.pipelines.recordings import RecordingSettings, screened
    from sim2real.report.identification import check_tables, fit_sections, verdict_table
    from sim2real.simulators.inertial import inertial_of, whole_bodies
    from sim2real.world import World

    world = World.load(arguments.world)
    out = arguments.out or Path("runs") / f"identify-{world.name}"
    show, facts = console(), {"command": command_line()}
    options = Options(
        free=tuple(arguments.free),
        held_out=tuple(arguments.held_out) if arguments.held_out else None,
        select=arguments.select,
        seed=arguments.seed,
        allow_bad=arguments.allow_bad_data,
        unwrap=arguments.unwrap,
        top_speed=arguments.top_speed,
    )
    if arguments.check:
        how = RecordingSettings(arguments.allow_bad_data, arguments.unwrap, facts)
        taken = screened(world, arguments.recordings, out, how)
        before = check(world, taken.recordings, dataclasses.replace(options, complaints=taken.complaints))
        show_tables(verdict_table(before.verdicts), *check_tables(before.to_json()))
        return before.exit_code
    with identifying(show, world, options) as watch:
        found = identify(world, arguments.recordings, options, watch, out, facts)
    for note in found.notes:
        show.print(note, soft_wrap=True)
    show_tables(*(table for section in fit_sections(found) for table in section.tables))
    for body in whole_bodies(found.point):
        print(inertial_of(world, found.point, body).text)
    if found.next_motion is not None:
        print(found.next_motion["text"])
    print(f"wrote {out / 'identified.toml'} and {out / 'identification.html'}")
    return found.exit_code
