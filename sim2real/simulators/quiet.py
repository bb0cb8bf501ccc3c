"""While we step, MuJoCo's warnings go to our log, or to whom the process has chosen, and its clock rests.

Without a handler every warning is printed and appended to ``MUJOCO_LOG.TXT`` in the working folder; a
simulation that diverges is an event that we count ourselves. The clock is what fills ``MjData.timer``,
which nobody reads of our simulations, and reading it takes a sixth of the time of a small model's step.
Both belong to the process: they are put back after every call. What another thread times by itself
meanwhile, with its clock, is wrong.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import mujoco

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_inside = 0  # calls under way, in all threads: the first one takes the handler away, the last puts it back
_before: object = None
_ticking: int | None = None


def _clock() -> ctypes.c_void_p:
    """Where MuJoCo keeps the function that it asks for the time; where that can't be found, nowhere."""
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(mujoco._functions.__file__), "mjcb_time")
    except (OSError, ValueError, AttributeError):
        return ctypes.c_void_p()


_time = _clock()


def _after_fork() -> None:
    """Another thread, which the child does not have, may have held the lock."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def quiet() -> Iterator[None]:
    """Send MuJoCo's warnings to our log and let its clock rest, for as long as this lasts."""
    global _inside, _before, _ticking
    with _lock:
        if not _inside:
            _before = mujoco.get_mju_user_warning()
            mujoco.set_mju_user_warning(_log.debug)
            _ticking, _time.value = _time.value, None
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                mujoco.set_mju_user_warning(_before)
                _time.value = _ticking
