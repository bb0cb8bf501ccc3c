"""What belongs to the process of a user: its random generators and its threads are found as they were left.

Learners seed Python's, numpy's and torch's own generators, and want one thread for small networks. Whoever
calls us may have seeded them for something else.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put back random generators and torch's thread count afterwards; also as a decorator."""
    torch = sys.modules.get("torch")
    own, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - the legacy one is the process's
    if torch is not None:
        threads, torchs = torch.get_num_threads(), torch.get_rng_state()
        on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)  # noqa: NPY002
        if torch is not None:
            torch.set_num_threads(threads)
            torch.set_rng_state(torchs)
            if on_gpu is not None:
                torch.cuda.set_rng_state_all(on_gpu)
