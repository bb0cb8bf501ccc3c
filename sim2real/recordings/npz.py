"""NumPy archives, one motion each.

``time_us`` (n,) whole microseconds, ``joints`` (k,) names, ``command`` and ``position`` (n, k),
and if the robot reports it ``velocity`` (n, k). Other arrays are left alone. Pickled content is
never loaded.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import RecordingError
from sim2real.recordings.recording import FloatArray, Recording

_NEEDED = ("time_us", "joints", "command", "position")
_KNOWN = (*_NEEDED, "velocity")

Array = NDArray[np.generic]


def read_npz(path: Path, name: str) -> Recording:
    """Read one motion.

    Args:
        path: the ``.npz`` file.
        name: what to call the recording.

    Raises:
        RecordingError: for a truncated or foreign file, or numbers that can't be trusted.
    """
    arrays = _arrays(path)
    joints = arrays["joints"]
    if joints.ndim != 1 or joints.dtype.kind != "U":
        raise RecordingError(
            f"{path}: joints are {joints.dtype} of shape {joints.shape}; a row of names is needed"
        )
    return Recording(
        name=name,
        joints=tuple(map(str, joints)),
        time=_numbers(path, arrays, "time_us") * 1e-6,
        command=_numbers(path, arrays, "command"),
        position=_numbers(path, arrays, "position"),
        velocity=_numbers(path, arrays, "velocity") if "velocity" in arrays else None,
        source=path,
    )


def _arrays(path: Path) -> dict[str, Array]:
    try:
        # opened here, because np.load leaves a damaged file open
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [key for key in _NEEDED if key not in archive.files]
            if missing:
                raise RecordingError(
                    f"{path}: not a recording, it lacks {', '.join(missing)}; "
                    f"it holds {', '.join(archive.files) or 'nothing'}"
                )
            return {key: archive[key] for key in _KNOWN if key in archive.files}
    except RecordingError:
        raise
    except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise RecordingError(
            f"{path}: not a readable .npz file ({error}); is it cut off? Copy it again"
        ) from error


def _numbers(path: Path, arrays: dict[str, Array], key: str) -> FloatArray:
    if arrays[key].dtype.kind not in "iuf":
        raise RecordingError(f"{path}: {key} holds {arrays[key].dtype}, not numbers")
    return arrays[key].astype(np.float64)
