"""Pre-train a policy."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.arguments import positive, seed
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import ANY_WORLD, TASK, load_world


@command(
    "train",
    ANY_WORLD,
    option("--domain", default="nominal", help="nominal (default), training, or the path of a TOML file"),
    option("--steps", type=positive, help="control steps; default per world"),
    option("--start", help="policy to go on from: a name or folder, or '' for none; default per world"),
    option("--simulator", help="engine: mujoco (default), bullet or warp"),
    option("--seed", type=seed, default=0),
    option("--allow-dead", action="store_true", help="train with parameters that change nothing"),
    option("--out", type=Path, help="folder of the policy; default runs/WORLD-DOMAIN-SEED"),
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Pre-train a policy in a source domain."""
    world = load_world(arguments.world, arguments)
    randomized = not world.domain(arguments.domain).is_point
    given = {"total_steps": arguments.steps, "start": arguments.start, "simulator": arguments.simulator}
    if arguments.allow_dead:
        given["allow_dead"] = True
    from sim2real.learn.train import train

    if arguments.simulator == "warp":
        from sim2real.learn.rsl_rl import settings_for
    else:
        from sim2real.learn.settings import settings_for
    settings = settings_for(world, randomized, **given)
    domain = Path(arguments.domain).stem
    out = arguments.out or Path("runs") / f"{world.path.name}-{domain}-{arguments.seed}"
    policy = train(world, out, arguments.domain, arguments.seed, settings, progress=True)
    numbers = ", ".join(f"{name.replace('_', ' ')} {v:.3g}" for name, v in policy.contract.measured.items())
    print(f"{numbers}\nwrote {out}")
