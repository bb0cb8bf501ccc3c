"""The command line: parse, call, print. A file a command; heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from sim2real.cli import (
    audit,
    close,
    demo,
    evaluate,
    gap,
    identify,
    parity,
    recordings,
    train,
    transfer,
    worlds,
)

_COMMANDS = (worlds, audit, train, transfer, evaluate, gap, parity, recordings, identify, close, demo)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    The exit status is 0 (done), 1 (bad data were found, no budget or disk left), 2 (a mistake), 15 (bad data,
    of which nothing was computed), or that of the worst verdict of an identification
    (`sim2real.identify.verdicts`).
    """
    from sim2real.errors import Sim2RealError

    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        status = arguments.run(arguments)
    except Sim2RealError as error:
        print(f"sim2real: {error}", file=sys.stderr)
        return error.exit_status
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sim2real",
        description="How big is the gap between two physics, what closes it, and did it work?",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser
