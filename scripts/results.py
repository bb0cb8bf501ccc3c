"""Zero-shot, randomized and fine-tuned results on every world, with intervals, into ``policies/<world>.md``.

    python scripts/results.py               # every world; furuta alone: python scripts/results.py furuta

Fine-tuning starts from each nominal policy, in *combined A*, under a budget of 50,000 control steps. A report
with plots per world is written to ``runs/results/<world>/``. Other engines are for ``scripts/simulators.py``.
"""

import argparse
import shutil
from pathlib import Path

from sim2real.catalog import catalog, entries
from sim2real.evaluate.gap import GapOptions, GapReport, gap_report
from sim2real.evaluate.report import write_report
from sim2real.evaluate.rollouts import Trials, evaluate, references
from sim2real.evaluate.statistics import Estimate
from sim2real.files import write_text
from sim2real.policy import Policy
from sim2real.transfer.fine_tune import fine_tune
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.world import World

TARGET, BUDGET, SEEDS = "combined_a", 50_000, (0, 1, 2)
OUT = Path("runs/results")


def adapted(world: World, policy: Policy) -> Policy:
    folder = OUT / world.name / f"{policy.name}-{TARGET}"
    target = TargetEnv(world, world.variants[TARGET], Budget(steps=BUDGET))
    result = fine_tune(policy, target, seed=policy.contract.seed)
    result.save(folder)
    return result


def report_on(name: str, episodes: int) -> GapReport:
    world = World.load(name)
    nominal = [Policy.load(f"{name}-nominal-{seed}") for seed in SEEDS]
    randomized = [Policy.load(f"{name}-randomized-{seed}") for seed in SEEDS]
    tuned = [adapted(world, policy) for policy in nominal]
    at_home = [variant.name for variant in world.variants.values() if variant.simulator == "mujoco"]
    table = evaluate(world, [*nominal, *randomized, *tuned], at_home, Trials(episodes))
    report = gap_report(table, references(world), GapOptions(title=world.title))
    write_report(report, table, OUT / name, {"command": "python scripts/results.py"})
    shutil.copy(OUT / name / "report.png", catalog("policies") / f"{name}.png")
    return report


def shown(estimate: Estimate | None, scale: float = 1.0, digits: int = 0) -> str:
    if estimate is None:
        return "–"
    value = f"{scale * estimate.value:.{digits}f}"
    if estimate.interval is None:
        return value
    low, high = (f"{scale * end:.{digits}f}" for end in estimate.interval)
    return f"{value} [{low}, {high}]"


def section(report: GapReport, name: str) -> str:
    head = " | ".join(f"{label}: score | success, %" for label in report.labels)
    lines = [f"# {report.title}", "", f"| variant | {head} |", "|---|" + "---|---|" * len(report.labels)]
    for variant in report.variants:
        cells = [report.cell(label, variant) for label in report.labels]
        row = " | ".join(f"{shown(c.score)} | {shown(c.success, 100)}" if c else "– | –" for c in cells)
        lines.append(f"| {variant} | {row} |")
    lines += ["", f"![{report.title}]({name}.png)"]
    lines += ["", f"Policies: `{name}-nominal-{{0,1,2}}`, `{name}-randomized-{{0,1,2}}`.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="*", help="worlds; all by default")
    parser.add_argument("--episodes", type=int, default=64, help="per policy and variant")
    arguments = parser.parse_args()
    for name in arguments.worlds or entries("envs"):
        page = section(report_on(name, arguments.episodes), name)
        write_text(catalog("policies") / f"{name}.md", page)
        print(page, flush=True)
    pages = [name for name in entries("envs") if (catalog("policies") / f"{name}.md").is_file()]
    links = [f"- [{World.load(name).title}]({name}.md)" for name in pages]
    write_text(
        catalog("policies") / "README.md", HEAD.format(episodes=arguments.episodes) + "\n".join(links) + "\n"
    )


HEAD = """# Policies

Trained by `python scripts/make_policies.py`; the pages of results by `python scripts/results.py`. A folder
holds `policy.toml` (the contract), `weights.safetensors` and a card; `Policy.load(name)` loads one.

*Score*: 0 is random actions, 100 the oracle of that variant (the best shipped policy, as it is or after
warm-started training in the true physics); mean over three training seeds, with the 95 % bootstrap interval
over seeds. *Success*: share of three seeds ×
{episodes} episodes, with the Wilson 95 % interval of these policies.

*nominal* and *randomized* met no held-out variant; *fine-tuned* is nominal after 50,000 control steps in
*combined_a*, and is evaluated everywhere.

"""


if __name__ == "__main__":
    main()
