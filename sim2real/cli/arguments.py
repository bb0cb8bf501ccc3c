"""What several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim2real.policy import Policy

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def positive(text: str) -> int:
    """A whole number above 0."""
    value = int(text.replace("_", ""))
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def print_measured(policy: Policy, out: Path) -> None:
    """Print what a policy reached and where it is."""
    numbers = ", ".join(f"{name.replace('_', ' ')} {v:.3g}" for name, v in policy.contract.measured.items())
    print(f"{numbers}\nwrote {out}")
