"""Whether simulated results tell what real ones will be."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.terminal import console

if TYPE_CHECKING:
    from sim2real.cli.arguments import Commands
    from sim2real.evaluate.control_variate import RealEstimate
    from sim2real.evaluate.predictivity import PolicyResults
    from sim2real.evaluate.statistics import Estimate

    Agreements = Mapping[str, Mapping[str, Estimate]]


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "predict", help="does simulation predict reality? from results of several policies in both"
    )
    command.add_argument("results", type=Path, help="CSV or Parquet; see sim2real.evaluate.results_file")
    command.add_argument(
        "--simulated", nargs="+", required=True, metavar="NAME", help="columns, or values of environment"
    )
    command.add_argument("--real", required=True, metavar="NAME", help="the column or value to predict")
    command.add_argument("--by", metavar="COLUMN", help="such as task: each of its values is judged apart")
    command.add_argument("--measure", choices=("success", "return"), help="of episodes; default success")
    command.add_argument("--json", type=Path, metavar="FILE", help="where the numbers go as JSON")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run it."""
    import json

    from sim2real.evaluate.control_variate import real_estimates
    from sim2real.evaluate.results_file import read_columns, results_of, split
    from sim2real.files import write_text

    *simulators, real = (*dict.fromkeys(arguments.simulated), arguments.real)
    columns = read_columns(arguments.results)
    told = {}
    for group, own in (split(columns, arguments.by) if arguments.by else {real: columns}).items():
        *simulated, target = results_of(own, (*simulators, real), arguments.measure)
        agreements = _agreements(dict(zip(simulators, simulated, strict=True)), target)
        helped = {name: real_estimates(one, target) for name, one in zip(simulators, simulated, strict=True)}
        _print_agreement(group, agreements, min(map(len, target.values)))
        for name, estimates in helped.items():
            _print_help(f"mean in {real}", name, estimates)
        told[group] = {
            "agreement": {name: {k: asdict(e) for k, e in own.items()} for name, own in agreements.items()},
            "real": {name: [asdict(one) for one in estimates] for name, estimates in helped.items()},
        }
    if arguments.json:
        text = json.dumps(_plain(told), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(arguments.json, text + "\n")


def _agreements(simulated: Mapping[str, PolicyResults], real: PolicyResults) -> Agreements:
    """How each simulator agrees with reality, and how it differs from the one before it."""
    from sim2real.evaluate.predictivity import difference, predictivity

    judged = {name: predictivity(one, real) for name, one in simulated.items()}
    found = {name: {metric: a.estimate for metric, a in own.items()} for name, own in judged.items()}
    for first, second in pairwise(judged):
        found[f"{second} less {first}"] = difference(judged[first], judged[second])
    return found


def _print_agreement(title: str, agreements: Agreements, trials: int) -> None:
    from rich.table import Table

    from sim2real.evaluate.agreement import METRICS
    from sim2real.evaluate.predictivity import MINIMUM_POLICIES

    count = next(iter(agreements.values()))["MMRV"].n
    table = Table("", *agreements, title=f"{title}: {count} policies")
    for metric in METRICS:
        table.add_row(metric, *(_shown(own[metric]) for own in agreements.values()))
    console().print(table)
    if count < MINIMUM_POLICIES:
        console().print(f"An interval is not estimable below {MINIMUM_POLICIES} policies.")
    elif trials == 1:
        console().print(
            "With one real result a policy, the noise of its trials is unknown, and in no interval."
        )


def _print_help(title: str, simulator: str, estimates: Sequence[RealEstimate]) -> None:
    """What each policy does in reality, from that alone and by help of its simulated twins."""
    from rich.table import Table

    if not any(one.helped for one in estimates):
        return
    table = Table("policy", "real episodes alone", f"with {simulator}", "worth", title=title)
    for one in estimates:
        worth = f"{one.worth:.1f} times the episodes" if one.helped else "too few"
        table.add_row(one.policy, _shown(one.real), _shown(one.helped), worth)
    console().print(table)


def _plain(value: object) -> object:
    """What JSON knows: null for what is undefined."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    if math.isnan(estimate.value):
        return "undefined: all alike"
    digits = 4 if abs(estimate.value) < 10 else 1
    if estimate.interval is None:
        return f"{estimate.value:.{digits}f}, no interval"
    low, high = (f"{end:.{digits}f}" for end in estimate.interval)
    return f"{estimate.value:.{digits}f} [{low}, {high}]"
