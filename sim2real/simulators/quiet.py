"""MuJoCo's warnings go to our log while we step, and to whom the process has chosen otherwise.

Without a handler every warning is printed and appended to ``MUJOCO_LOG.TXT`` in the working folder; a
simulation that diverges is an event that we count ourselves. The handler is the process's, not ours: it is
put back after every call.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import mujoco

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_inside = 0  # calls under way, in all threads: the first one takes the handler away, the last puts it back
_before: object = None


@contextmanager
def quiet() -> Iterator[None]:
    """Send MuJoCo's warnings to our log, for as long as this lasts."""
    global _inside, _before
    with _lock:
        if not _inside:
            _before = mujoco.get_mju_user_warning()
            mujoco.set_mju_user_warning(_log.debug)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                mujoco.set_mju_user_warning(_before)
