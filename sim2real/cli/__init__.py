"""The command line: parse, call, print. A file a command; heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sim2real.cli.command import COMMANDS, Arguments, help_of

IN_PYTHON = {
    "worlds": "World.load",
    "new": "new_world",
    "audit": "audit_world",
    "train": "train",
    "policies": "Policy.shipped",
    "methods": "METHODS",
    "transfer": "transfer",
    "compare": "compare",
    "layers": "layer_transfer",
    "curves": "read_curves",
    "evaluate": "evaluate",
    "matrix": "matrix",
    "attribute": "attribute",
    "worst": "worst",
    "worth": "worth_of_knowing",
    "predict": "predict",
    "report": "write_runs",
    "export": "export_policy",
    "import": "import_policy",
    "gap": "gap",
    "parity": "parity",
    "play": "play",
    "recordings": "diagnose",
    "identify": "identify",
    "close": "close",
    "demo": "demo",
}
"""Commands in their order, and the public name that does what each does; a module a command."""
_ELSEWHERE = {"import": "export"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    The exit status is 0 (done), 1 (bad data were found, a requirement is broken, no budget or disk left), 2
    (a mistake), 3 (a requirement is undecided), 15 (bad data, of which nothing was computed), or that of the
    worst verdict of an identification (`sim2real.identify.verdicts`).
    """
    from sim2real.errors import Sim2RealError

    for stream in (sys.stdout, sys.stderr):  # a name that the terminal can't show is no reason to end
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        _prepare(arguments)
        status = arguments.run(arguments)
        sys.stdout.flush()
    except Sim2RealError as error:
        print(f"sim2real: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:  # whoever read the output has gone, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError as error:
        print(f"sim2real: not enough memory ({error or 'for what was asked'}); ask for less", file=sys.stderr)
        return 1
    except (RuntimeError, OSError, ImportError) as error:
        print(f"sim2real: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "sim2real: interrupted; start the same command again (fits and training go on from what is kept)",
            file=sys.stderr,
        )
        return 130
    return int(status or 0)


def _prepare(arguments: Arguments) -> None:
    """What comes before every command: no work is spent on what can't be written, nor without one's tasks."""
    from sim2real.files import check_folder
    from sim2real.registry import import_module

    if "out" in arguments:
        check_folder(arguments.out or Path("runs"))
    for module in getattr(arguments, "imports", ()):
        import_module(module)


class _Parser(argparse.ArgumentParser):
    """Answers a mistake with one sentence, as every command does."""

    def error(self, message: str) -> NoReturn:
        """Say it and end with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sim2real",
        description="How big is the gap between two physics, what closes it, and did it work?",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, python in IN_PYTHON.items():
        importlib.import_module(f"sim2real.cli.{_ELSEWHERE.get(name, name)}")
        run, options = COMMANDS[name]
        made = commands.add_parser(name, help=help_of(run), epilog=f"In Python: sim2real.{python}")
        for add in options:
            add(made)
        made.set_defaults(run=run)
    return parser
