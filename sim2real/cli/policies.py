"""Policies of anyone as arguments of commands that run them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim2real.foreign import ForeignPolicy
    from sim2real.policy import Policy


def add_policies(command: argparse.ArgumentParser, several: bool) -> None:
    """What every command asks that runs policies of anyone."""
    command.add_argument(
        "policies" if several else "policy",
        nargs="*" if several else None,
        metavar="POLICY",
        help="name or folder of ours, sb3:FILE.zip, onnx:FILE, torchscript:FILE, MODULE:NAME; LABEL=POLICY "
        "gives a label" + ", and policies of one label are its seeds" * several,
    )
    command.add_argument(
        "--trust", action="store_true", help="load TorchScript, which can run code of whoever made it"
    )
    command.add_argument(
        "--world", help="name or folder of the world; default the one that our policies name"
    )


def world_of(policies: Sequence[Policy | ForeignPolicy]) -> str:
    """The world that the first policy names which names any."""
    from sim2real.errors import InvalidValue

    for policy in policies:
        if policy.contract is not None:
            return policy.contract.world
    raise InvalidValue("policies that were made elsewhere name no world; say in which one, with --world")
