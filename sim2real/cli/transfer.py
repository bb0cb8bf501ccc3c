"""Adapt a policy to a target."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path

from sim2real.cli.arguments import positive, seed
from sim2real.cli.command import Arguments, command, either, option
from sim2real.cli.options import TASK, load_world


@command(
    "transfer",
    option("policy", help="a policy's name or folder"),
    option("--target", required=True, help="a held-out variant, or the path of a TOML domain"),
    option("--steps", type=positive, default=50_000, help="budget in control steps"),
    option("--episodes", type=positive, help="budget in episodes"),
    option("--seconds", type=float, help="budget in simulated seconds"),
    option("--world", help="name or folder of the world; default the one that the policy names"),
    option(
        "--method",
        metavar="NAME[:SETTING=VALUE,...]",
        help="see `sim2real methods`; default the first of identify, rehearsal and fine-tune that can",
    ),
    option("--seed", type=seed, help="of exploration; default that of the policy"),
    option("--label", help="what reports call it; default the method"),
    option(
        "--secret", type=seed, help="of the target's draws, to repeat a run; default one that nobody knows"
    ),
    option(
        "--remote",
        action="store_true",
        help="keep the target in a process of its own, which can't be looked into",
    ),
    either(
        option("--out", type=Path, help="folder of the new policy; default runs/POLICY-TARGET"),
        option(
            "--adapter",
            type=Path,
            help="folder of what low-rank or adapters trained, in place of a policy; loads as POLICY+FOLDER",
        ),
    ),
    *TASK,
)
def run(arguments: Arguments) -> None:
    """Adapt a policy to a sealed target under a budget."""
    from sim2real.policy import Policy
    from sim2real.transfer.methods import read_method
    from sim2real.transfer.methods.fine_tuning import as_adapter
    from sim2real.transfer.remote import RemoteTarget
    from sim2real.transfer.source import Source
    from sim2real.transfer.target import Budget, Seal, TargetEnv
    from sim2real.transfer.transfer import USUAL, TransferSettings, transfer

    policy = Policy.load(arguments.policy)
    world = load_world(arguments.world or policy.contract.world, arguments)
    given = Path(arguments.target)
    physics = world.domain(arguments.target) if given.is_file() else world.variant(arguments.target)
    budget = Budget(arguments.steps, arguments.episodes, arguments.seconds)
    method = read_method(arguments.method) if arguments.method else None
    out = arguments.adapter or arguments.out or Path("runs") / f"{policy.name}-{given.stem}"
    Policy.check_folder(out)
    if arguments.adapter:
        method = as_adapter(method or read_method(USUAL[0]))
    secret = secrets.randbits(32) if arguments.secret is None else arguments.secret
    kind = RemoteTarget if arguments.remote else TargetEnv
    target = kind(world, physics, budget, budget.rows, seal=Seal(secret, name=given.stem))
    run = TransferSettings(arguments.seed, out.with_name(f"{out.name}.transfer"), progress=True)
    adapted = transfer(policy, target, method, Source(world), run)
    label = arguments.label or adapted.contract.label
    adapted = dataclasses.replace(adapted, contract=dataclasses.replace(adapted.contract, label=label))
    if arguments.adapter:
        adapted.save_adapter(out, policy)
    else:
        adapted.save(out)
    at_ends = f"{target.spent.limit_hits:,} steps at a joint's end"
    if not target.limited_joints:
        at_ends = "no count of joints' ends, as nothing tells of any"
    print(
        f"spent {target.spent.steps:,} steps = {target.spent.seconds:,.0f} s in {target.spent.episodes} "
        f"episodes with {target.spent.falls} falls and {at_ends}"
    )
    print(f"wrote {out}; --secret {secret} repeats this run")
