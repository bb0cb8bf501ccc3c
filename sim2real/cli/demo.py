"""The whole way once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.evaluate import evaluated, report

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("demo", help="the whole way once, on the rotary pendulum")
    command.add_argument("--out", type=Path, default=Path("runs/demo"))
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    from sim2real.demo import BASELINE, demo_policies
    from sim2real.evaluate.rollouts import Trials, steps_of

    out: Path = arguments.out
    world, policies = demo_policies(out)
    at_home = [variant.name for variant in world.variants.values() if variant.simulator == "mujoco"]
    facts = {"command": f"sim2real demo --out {out}", "control steps": steps_of(policies)}
    report(world, evaluated(world, policies, at_home, Trials()), BASELINE, out, facts)
