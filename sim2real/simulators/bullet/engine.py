"""PyBullet, imported when somebody asks for it, and without its greeting on stderr."""

from __future__ import annotations

import os
import sys
from types import ModuleType

from sim2real.errors import MissingExtra


def load() -> ModuleType:
    """The module `pybullet`.

    Raises:
        MissingExtra: if it is not installed.
    """
    loaded = sys.modules.get("pybullet")
    if loaded is not None:
        return loaded
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import pybullet
    except ImportError as error:
        raise MissingExtra("pybullet", "bullet") from error
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
    module: ModuleType = pybullet
    return module
