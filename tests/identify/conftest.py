import os
from pathlib import Path

import pytest


@pytest.fixture
def real():
    """Folder of the real SO-101's recordings, where this machine has them."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "real" / "so101"
    folder = Path(os.environ.get("SIM2REAL_RECORDINGS", beside))
    if not (folder / "npz").is_dir():
        pytest.skip("no recordings of the real arm here; SIM2REAL_RECORDINGS can name their folder")
    return folder
