"""Look for the worst physics of policies, and for how far from nominal they can be trusted."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.arguments import amount, counted, positive, seed
from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import TASK
from sim2real.cli.policies import POLICIES, given
from sim2real.cli.show import show_sections
from sim2real.cli.terminal import counting


@command(
    "worst",
    *POLICIES,
    option("--domain", default="training", help="training (default), or a domain's TOML file"),
    option("--generations", type=positive, default=12, help="of the search (12)"),
    option("--episodes", type=positive, default=16, help="per policy and physics searched (16)"),
    option("--fresh", type=positive, default=256, help="episodes that measure the result (256)"),
    option("--measure", choices=("return", "success"), default="return", help="(return)"),
    option(
        "--threshold",
        type=amount,
        default=0.8,
        help="success, or share of the nominal return, in the robust radius (0.8)",
    ),
    option(
        "--map",
        nargs=2,
        type=counted,
        metavar="PARAMETER:N",
        help="also where on a grid of two parameters all is well, as map.png",
    ),
    option("--simulator", help="engine; default mujoco, or the world's own"),
    option("--allow-dead", action="store_true", help="also ranges that change nothing"),
    option("--seed", type=seed, help="of search and episodes; default that of evaluation"),
    option("--out", type=Path, help="folder of the results; default runs/worst-WORLD"),
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Search a domain for the worst physics of policies."""
    from sim2real.evaluate.rollouts import SEED
    from sim2real.evaluate.worst_case import Search
    from sim2real.pipelines.worst import WorstSettings, worst
    from sim2real.report.run_sections import map_section, worst_section

    policies, world, out = given(arguments, "worst", "find the worst physics of")
    search = Search(
        generations=arguments.generations,
        episodes=arguments.episodes,
        fresh=arguments.fresh,
        measure=arguments.measure,
        seed=SEED if arguments.seed is None else arguments.seed,
        simulator=arguments.simulator,
        allow_dead=arguments.allow_dead,
    )
    settings = WorstSettings(search, arguments.threshold, dict(arguments.map or ()), counting)
    found = worst(world, policies, arguments.domain, out, settings)
    show_sections(worst_section(found.case, found.radius))
    if found.map is not None:
        show_sections(map_section(found.map))
        print(f"wrote {out / 'map.png'} and map.json beside it")
    print(f"wrote {out / 'worst.json'} and {out / 'worst.toml'}, for sim2real evaluate --variants")
