import os
import pickle
from pathlib import Path

import numpy as np
import pytest

STRANGERS = Path(
    os.environ.get("SIM2REAL_STRANGERS", Path(__file__).resolve().parents[3] / "shared" / "strangers")
)


@pytest.fixture
def strangers():
    if not STRANGERS.is_dir():
        pytest.skip("data beside the checkout: strangers' policies")
    return STRANGERS


class Touch:
    """A pickle of this writes a file when it is loaded by anyone careless."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def hostile(tmp_path):
    """A pickle that would write a file, and the file; it is shown that it would."""
    sentinel = tmp_path / "ran"
    raw = pickle.dumps(Touch(sentinel))
    pickle.loads(raw)
    assert sentinel.exists()
    sentinel.unlink()
    yield raw
    assert not sentinel.exists(), "a file that was loaded ran code"


@pytest.fixture
def rng():
    return np.random.default_rng(0)
