"""Which parameters a drop in another physics, or the spread over a domain, comes from."""

from __future__ import annotations

from pathlib import Path

from sim2real.cli.arguments import positive
from sim2real.cli.command import Arguments, command, either, option
from sim2real.cli.options import ALLOW_DEAD, TASK
from sim2real.cli.policies import POLICIES, given
from sim2real.cli.show import show_sections
from sim2real.cli.terminal import counting


@command(
    "attribute",
    *POLICIES,
    either(
        option(
            "--target",
            help="held-out variant, or TOML file of a domain, of one physics: Shapley values of the drop",
        ),
        option("--domain", help="training, or a domain's TOML file: Sobol indices of the spread over it"),
        required=True,
    ),
    option("--episodes", type=positive, help="per policy and physics; default 32, with --domain 4"),
    option("--samples", type=positive, default=128, help="of --domain, a power of 2; default 128"),
    option("--simulator", help="engine of source and target; default the target's own"),
    option("--out", type=Path, help="folder of the results; default runs/attribute-WORLD"),
    ALLOW_DEAD,
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Which parameters a drop in another physics, or a spread over many, comes from."""
    from sim2real.evaluate.rollouts import Trials
    from sim2real.pipelines.causes import SensitivitySettings, attribute, sensitivity
    from sim2real.report.run_sections import attribution_section, sensitivity_section

    policies, world, out = given(arguments, "attribute", "attribute a drop of")
    episodes = arguments.episodes or (32 if arguments.target else 4)
    trials = Trials(episodes, simulator=arguments.simulator, allow_dead=arguments.allow_dead)
    if arguments.target:
        drop = attribute(world, policies, arguments.target, trials, out, counting)
        show_sections(attribution_section(drop))
        print(f"wrote {out / 'waterfall.png'} and attribution.json beside it")
    else:
        settings = SensitivitySettings(arguments.samples, trials, counting)
        spread = sensitivity(world, policies, arguments.domain, out, settings)
        show_sections(sensitivity_section(spread))
        print(f"wrote {out / 'sensitivity.png'} and sensitivity.json beside it")
