"""The policies of the catalogue; and policies of anyone as arguments of commands that run them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.cli.command import Arguments, command, option
from sim2real.cli.options import load_world
from sim2real.cli.terminal import console

if TYPE_CHECKING:
    from sim2real.foreign import ForeignPolicy
    from sim2real.policy import Policy, ProvenanceStep
    from sim2real.world import World

_FORMS = "name or folder of ours, sb3:FILE.zip, onnx:FILE, torchscript:FILE, MODULE:NAME; LABEL=POLICY gives "
_WHERE = (
    option("--trust", action="store_true", help="load TorchScript, which can run code of whoever made it"),
    option("--world", help="name or folder of the world; default the one that our policies name"),
)
POLICY = (option("policy", metavar="POLICY", help=_FORMS + "a label"), *_WHERE)
POLICIES = (
    option(
        "policies",
        nargs="*",
        metavar="POLICY",
        help=_FORMS + "a label, and policies of one label are its seeds",
    ),
    *_WHERE,
)


@command(
    "policies",
    option("name", nargs="?", help="a world, for its policies, or a policy, for its card"),
)
def run(arguments: Arguments) -> None:
    """List the shipped policies, or show the card of one."""
    from rich.table import Column, Table

    from sim2real.catalog import entries, find
    from sim2real.documents import read_text
    from sim2real.policy import Policy

    show, worlds = console(), entries("envs")
    if arguments.name is not None and arguments.name not in worlds:
        show.print(read_text(find("policies", arguments.name) / "README.md"), soft_wrap=True)
        return
    kinds: dict[tuple[str, str], list[Policy]] = {}
    for policy in map(Policy.load, entries("policies")):
        if arguments.name in (None, policy.contract.world):
            kinds.setdefault((policy.contract.world, policy.label), []).append(policy)
    name = Column("policies", no_wrap=True)
    table = Table(name, "seeds", "came from, in control steps", "success in the source")
    for (world, label), policies in kinds.items():
        measured = [policy.contract.measured.get("source_success") for policy in policies]
        known = [value for value in measured if value is not None]
        table.add_row(
            f"{world}-{label}-SEED",
            " ".join(str(policy.seed) for policy in policies),
            " → ".join(map(_told, policies[0].contract.provenance)),
            f"{sum(known) / len(known):.2f}" if known else "–",
        )
    show.print(table)


def _told(step: ProvenanceStep) -> str:
    """A link of the chain that a policy comes from, with its target if it had one."""
    target = step.settings.get("target")
    return f"{step.method} {step.steps:,}" + (f" in {target}" if target else "")


def world_of(policies: Sequence[Policy | ForeignPolicy]) -> str:
    """The world that the first policy names which names any."""
    from sim2real.errors import InvalidValue

    for policy in policies:
        if policy.contract is not None:
            return policy.contract.world
    raise InvalidValue("policies that were made elsewhere name no world; say in which one, with --world")


def given(arguments: Arguments, command: str, what: str) -> tuple[list[Policy | ForeignPolicy], World, Path]:
    """Policies, the world that was named or the one that they name, and the folder of the results.

    Raises:
        InvalidValue: without policies, of which it says what was to be done with them.
    """
    from sim2real.errors import InvalidValue
    from sim2real.foreign import load_policy

    if not arguments.policies:
        raise InvalidValue(f"no policies to {what}; name at least one")
    policies = [load_policy(spec, arguments.trust) for spec in arguments.policies]
    world = load_world(arguments.world or world_of(policies), arguments)
    return policies, world, arguments.out or Path("runs") / f"{command}-{world.path.name}"
