"""Move every parameter to both ends, and say what changes nothing."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.arguments import positive
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import ANY_WORLD, TASK, load_world
from sim2real.cli.terminal import console, working


@command(
    "audit",
    ANY_WORLD,
    option("--simulator", default="mujoco", help="mujoco (default), bullet or warp"),
    option(
        "--policy", nargs="*", help="names or folders; default the shipped nominal ones; none: give no name"
    ),
    option("--episodes", type=positive, default=8, help="per policy and end"),
    option("--out", type=Path, help="folder of table and plot; default runs/audit-WORLD"),
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Find parameters that change nothing, and rank the others."""
    from rich.table import Column, Table

    from sim2real.audit import AuditSettings
    from sim2real.audit.finding import ALIVE
    from sim2real.pipelines.audit import audit_world
    from sim2real.policy import Policy
    from sim2real.world import with_default_parameters

    world = load_world(arguments.world, arguments)
    given = arguments.policy
    policies = None if given is None else [Policy.load(name) for name in given]
    settings = AuditSettings(arguments.simulator, arguments.episodes, policies)
    out, show = arguments.out or Path("runs") / f"audit-{world.path.name}", console()
    with working(show, f"moving {len(with_default_parameters(world).parameters)} parameters to both ends"):
        audit = audit_world(world, settings, out)
    grid = Table(
        Column("parameter", no_wrap=True), "nominal", "ends", "trajectory", "return", "verdict",
        title=f"{audit.title}, under {audit.simulator}", caption=audit.motion,
    )  # fmt: skip
    for f in audit.findings:
        grid.add_row(
            f.name,
            f"{f.nominal:g}" + (f" {f.unit}" if f.unit != "1" else ""),
            "\n".join(f"{end.value:g}" for end in f.ends),
            "\n".join(f"{end.trajectory:.2g}" for end in f.ends),
            "\n".join(f"{end.mean_return:+.1f}" if end.returns else "–" for end in f.ends),
            f.verdict,
        )
    show.print(grid)
    for f in audit.findings:
        if f.verdict != ALIVE or any(end.diverged for end in f.ends):
            show.print(f.sentence)
    print(f"wrote {out / 'audit.png'}")
    if world.parameters:  # else nobody has asked for these
        audit.refuse()
