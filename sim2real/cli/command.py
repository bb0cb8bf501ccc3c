"""What a command is: a function that says in its docstring what it does, with its name and its options."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

Arguments: TypeAlias = argparse.Namespace
Run: TypeAlias = Callable[[Arguments], int | None]
Option: TypeAlias = "Callable[[argparse._ActionsContainer], object]"

COMMANDS: dict[str, tuple[Run, tuple[Option, ...]]] = {}
"""By name, those whose modules were imported."""


def option(*names: str, **settings: Any) -> Option:  # noqa: ANN401
    """What a command asks, told as to `argparse.ArgumentParser.add_argument`."""
    return lambda parser: parser.add_argument(*names, **settings)


def either(*options: Option, required: bool = False) -> Option:
    """Options of which one can be given, or must."""

    def add(parser: argparse._ActionsContainer) -> None:
        group = parser.add_mutually_exclusive_group(required=required)
        for each in options:
            each(group)

    return add


def command(name: str, *options: Option) -> Callable[[Run], Run]:
    """Make a function a command of that name, which asks these options; its result is the exit status."""

    def register(run: Run) -> Run:
        COMMANDS[name] = run, options
        return run

    return register


def help_of(run: Run) -> str:
    """What a command does, in the words of its docstring's first line."""
    first = (inspect.getdoc(run) or "").partition("\n")[0].removesuffix(".")
    return first[:1].lower() + first[1:]
