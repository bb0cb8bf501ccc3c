"""Nominal, continued, randomized and fine-tuned on every world, with intervals, into ``policies/<world>.md``.

    python scripts/results.py               # every world; furuta alone: python scripts/results.py furuta
    python scripts/results.py --quick       # one world, two episodes each, pages into runs/quick

All are compared with *continued*, which is nominal that went on in nominal physics until it had had as many
steps as *randomized*; where it isn't shipped, with *nominal*. Fine-tuning starts from each nominal policy, in
*combined A*, under a budget of 50,000 control steps. A report with plots per world is written to
``runs/results/<world>/``, where what was fine-tuned is kept for the next call. Other engines are for
``scripts/simulators.py``.
"""

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

from sim2real.catalog import catalog, entries
from sim2real.cli.arguments import positive
from sim2real.evaluate.gap import GapOptions, GapReport, gap_report
from sim2real.evaluate.rollouts import Trials, references, run_policies, steps_of
from sim2real.evaluate.verdict import headline, number, verdict
from sim2real.files import write_atomically
from sim2real.fingerprint import fingerprint
from sim2real.policy import Policy
from sim2real.report.gap import write_report
from sim2real.transfer.fine_tune import fine_tune
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.world import World

TARGET, LABELS = "combined_a", ("nominal", "continued", "randomized")
OUT = Path("runs/results")


@dataclass(frozen=True)
class Effort:
    """How much is done, and where the pages go."""

    pages: Path
    episodes: int
    """Per policy and variant."""
    budget: int = 50_000
    """Control steps of fine-tuning."""


def adapted(world: World, policy: Policy, budget: int) -> Policy:
    key = fingerprint(world, world.variants[TARGET].domain, policy, budget)
    folder = OUT / world.name / f"{policy.name}-{TARGET}-{key[:8]}"
    if not folder.is_dir():
        target = TargetEnv(world, world.variants[TARGET], Budget(steps=budget), seal=Seal(secret=0))
        fine_tune(policy, target).save(folder)
    return Policy.load(folder)


def report_on(name: str, effort: Effort) -> tuple[GapReport, list[Policy]]:
    world = World.load(name)
    nominal, continued, randomized = (Policy.shipped(name, label) for label in LABELS)
    tuned = [adapted(world, policy, effort.budget) for policy in nominal]
    everyone = [*nominal, *continued, *randomized, *tuned]
    at_home = [variant.name for variant in world.variants.values() if variant.simulator == "mujoco"]
    table = run_policies(world, everyone, at_home, Trials(effort.episodes))
    baseline = "continued" if continued else "nominal"
    report = gap_report(table, references(world), GapOptions(world.title, baseline))
    write_report(
        report,
        table,
        OUT / name,
        {"command": "python scripts/results.py", "control steps": steps_of(everyone)},
    )
    effort.pages.mkdir(parents=True, exist_ok=True)
    shutil.copy(OUT / name / "report.png", effort.pages / f"{name}.png")
    return report, everyone


def section(report: GapReport, policies: list[Policy], name: str) -> str:
    lines = [f"# {report.title}", ""]
    for sentence in "\n".join((headline(report), *verdict(report))).strip().split("\n"):
        lines += [sentence, ""]
    head = " | ".join(f"{label}: score | success, %" for label in report.labels)
    lines += [f"| variant | {head} |", "|---|" + "---|---|" * len(report.labels)]
    for variant in report.variants:
        cells = [report.cell(label, variant) for label in report.labels]
        row = " | ".join(
            f"{number(c.score, digits=0)} | {number(c.success, 100, 0)}" if c else "– | –" for c in cells
        )
        lines.append(f"| {variant} | {row} |")
    lines += ["", f"![{report.title}]({name}.png)"]
    seeds = ",".join(map(str, report.seeds))
    names = (f"`{name}-{label}-{{{seeds}}}`" for label in LABELS if label in report.labels)
    lines += ["", f"Policies: {', '.join(names)}. Control steps: {steps_of(policies)}.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="*", help="worlds; all by default")
    parser.add_argument("--quick", action="store_true", help="one world, hardly measured, into runs/quick")
    parser.add_argument("--episodes", type=positive, default=64, help="per policy and variant")
    arguments = parser.parse_args()
    worlds, effort = arguments.worlds or entries("envs"), Effort(catalog("policies"), arguments.episodes)
    if arguments.quick:
        worlds, effort = worlds[:1], Effort(Path("runs/quick"), 2, 2_048)
    for name in worlds:
        page = section(*report_on(name, effort), name)
        write_atomically(effort.pages / f"{name}.md", page)
        print(page, flush=True)
    pages = [name for name in entries("envs") if (effort.pages / f"{name}.md").is_file()]
    links = [f"- [{World.load(name).title}]({name}.md)" for name in pages]
    head = HEAD.format(episodes=effort.episodes, budget=f"{effort.budget:,}")
    write_atomically(effort.pages / "README.md", head + "\n".join(links) + "\n")


HEAD = """# Policies

Trained by `python scripts/make_policies.py`; the pages of results by `python scripts/results.py`. A folder
holds `policy.toml` (the contract), `weights.safetensors` and a card; `Policy.load(name)` loads one.

*Score*: 0 is random actions, 100 the oracle of that variant: policies that went on training in its
true physics, chosen and measured on episodes of their own (`python scripts/make_references.py`; a page says
where the oracle is still of an older kind). Mean over the training seeds, with the 95 % interval over
seeds, starts and references. *Success*: share of the seeds × {episodes} episodes, with its interval.

*nominal* and *randomized* met no held-out variant, nor did *continued*, which went on in nominal physics
until it had had as many steps as *randomized*: what helps is said against it. *fine-tuned* is nominal after
{budget} control steps in *combined_a*, and is evaluated everywhere.
*transferred* is nominal after the method that closed most of the gap in *combined_a*, with up to {budget}
control steps in it (`python scripts/methods_worlds.py --ship`; [table](transfer.md)).

"""


if __name__ == "__main__":
    main()
