"""Which parameters a drop in another physics, or the spread over a domain, comes from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.arguments import positive
from sim2real.cli.policies import add_policies, world_of
from sim2real.cli.show import show_sections
from sim2real.cli.task import add_task, load_world
from sim2real.cli.terminal import console, counting

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "attribute", help="which parameters a drop in another physics, or a spread over many, comes from"
    )
    add_policies(command, several=True)
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--target",
        help="held-out variant, or TOML file of a domain, of one physics: Shapley values of the drop",
    )
    what.add_argument(
        "--domain", help="training, or a domain's TOML file: Sobol indices of the spread over it"
    )
    command.add_argument(
        "--episodes", type=positive, help="per policy and physics; default 32, with --domain 4"
    )
    command.add_argument(
        "--samples", type=positive, default=128, help="of --domain, a power of 2; default 128"
    )
    command.add_argument("--simulator", help="engine of source and target; default the target's own")
    command.add_argument("--out", type=Path, help="folder of the results; default runs/attribute-WORLD")
    command.add_argument("--allow-dead", action="store_true", help="also values that change nothing")
    add_task(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from functools import partial

    from sim2real.errors import InvalidValue
    from sim2real.evaluate.rollouts import Trials
    from sim2real.foreign import load_policy
    from sim2real.pipelines.causes import SensitivitySettings, attribute, sensitivity
    from sim2real.report.run_sections import attribution_section, sensitivity_section

    if not arguments.policies:
        raise InvalidValue("no policies to attribute a drop of; name at least one")
    policies = [load_policy(spec, arguments.trust) for spec in arguments.policies]
    world = load_world(arguments.world or world_of(policies), arguments)
    out = arguments.out or Path("runs") / f"attribute-{world.path.name}"
    episodes = arguments.episodes or (32 if arguments.target else 4)
    trials = Trials(episodes, simulator=arguments.simulator, allow_dead=arguments.allow_dead)
    progress = partial(counting, console())
    if arguments.target:
        drop = attribute(world, policies, arguments.target, trials, out, progress)
        show_sections(attribution_section(drop))
        print(f"wrote {out / 'waterfall.png'} and attribution.json beside it")
    else:
        settings = SensitivitySettings(arguments.samples, trials, progress)
        spread = sensitivity(world, policies, arguments.domain, out, settings)
        show_sections(sensitivity_section(spread))
        print(f"wrote {out / 'sensitivity.png'} and sensitivity.json beside it")
