"""Write recordings as a LeRobot data set, version 3 (see `sim2real.recordings.lerobot`).

One Parquet file of frames, one of episodes, no videos. Values are float32 where that loses nothing
and float64 elsewhere. The layout knows no uneven stamps: ``fps`` is the rounded mean rate, and
``timestamp`` the true stamps in float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import RecordingError
from sim2real.files import replace_folder
from sim2real.recordings.lerobot import INFO, STATE_TIME, TIME, VELOCITY
from sim2real.recordings.npz import shortest
from sim2real.recordings.recording import Recording

if TYPE_CHECKING:
    import pyarrow as pa

_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_EPISODES = "meta/episodes/chunk-000/file-000.parquet"

Column = NDArray[np.generic]


def write_lerobot(recordings: Sequence[Recording], folder: str | Path, task: str = "motion") -> None:
    """Write recordings of one robot as one data set, an episode each, in their order.

    Args:
        recordings: with the same joints, units and robot; with velocities all or none.
        folder: the data set; an older one is replaced when the new one is whole.
        task: the sentence that LeRobot asks of every episode.

    Raises:
        RecordingError: for none, or ones that differ in what a data set has one of.
        OSError: as raised by the file system; an older data set is then still there.
    """
    _check(recordings)
    columns = _columns(recordings)
    features = _features(recordings[0], columns)

    def write(temporary: Path) -> None:
        _write_table(temporary / _DATA.format(chunk_index=0, file_index=0), columns)
        _write_table(temporary / _EPISODES, _episodes(recordings, task))
        _write_tasks(temporary / "meta" / "tasks.parquet", task)
        _write_json(temporary / INFO, _info(recordings, features))
        _write_json(temporary / "meta" / "stats.json", {key: _stats(columns[key]) for key in columns})

    replace_folder(folder, write)


def _check(recordings: Sequence[Recording]) -> None:
    if not recordings:
        raise RecordingError("there are no recordings to write; a data set needs one at least")
    kinds = [(r.joints, r.units, r.robot, r.velocity is None, r.state_time is None) for r in recordings]
    what = ("joints", "units", "robot", "velocities or none", "stamps of measurements or none")
    for recording, kind in zip(recordings, kinds, strict=True):
        for name, one, first in zip(what, kind, kinds[0], strict=True):
            if one != first:
                raise RecordingError(
                    f"{recording.name} and {recordings[0].name} differ in their {name}; a LeRobot data "
                    "set has one of each: write two"
                )


def _columns(recordings: Sequence[Recording]) -> dict[str, Column]:
    lengths = [len(recording.time) for recording in recordings]
    joined = {
        "observation.state": np.concatenate([r.position for r in recordings]),
        "action": np.concatenate([r.command for r in recordings]),
    }
    if recordings[0].velocity is not None:
        joined[VELOCITY] = np.concatenate([r.velocity for r in recordings if r.velocity is not None])
    columns: dict[str, Column] = {key: shortest(values) for key, values in joined.items()}
    columns[TIME] = np.concatenate([r.time for r in recordings])
    if recordings[0].state_time is not None:
        columns[STATE_TIME] = np.concatenate([r.measured_at for r in recordings])
    columns["timestamp"] = np.concatenate([r.time for r in recordings]).astype(np.float32)
    columns["frame_index"] = np.concatenate([np.arange(length) for length in lengths])
    columns["episode_index"] = np.repeat(np.arange(len(lengths)), lengths)
    columns["index"] = np.arange(sum(lengths))
    columns["task_index"] = np.zeros(sum(lengths), dtype=np.int64)
    return columns


def _features(first: Recording, columns: Mapping[str, Column]) -> dict[str, dict[str, object]]:
    features: dict[str, dict[str, object]] = {}
    for key, values in columns.items():
        wide = values.ndim == 2
        names = list(first.joints) if wide else None
        shape = [values.shape[1] if wide else 1]
        features[key] = {"dtype": str(values.dtype), "shape": shape, "names": names}
        if wide and first.units:
            features[key]["units"] = list(first.units)
    return features


def _info(recordings: Sequence[Recording], features: Mapping[str, object]) -> dict[str, object]:
    frames = sum(len(recording.time) for recording in recordings)
    rate = np.mean([recording.rate for recording in recordings])
    return {
        "codebase_version": "v3.0",
        "robot_type": recordings[0].robot or None,
        "total_episodes": len(recordings),
        "total_frames": frames,
        "total_tasks": 1,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 500,
        "fps": max(1, round(float(rate))),
        "splits": {"train": f"0:{len(recordings)}"},
        "data_path": _DATA,
        "video_path": None,
        "features": features,
    }


def _episodes(recordings: Sequence[Recording], task: str) -> dict[str, object]:
    count = len(recordings)
    ends = np.cumsum([len(recording.time) for recording in recordings])
    zeros = np.zeros(count, dtype=np.int64)
    return {
        "episode_index": np.arange(count),
        "tasks": [[task]] * count,
        "length": np.diff(ends, prepend=0),
        "data/chunk_index": zeros,
        "data/file_index": zeros,
        "dataset_from_index": np.concatenate([[0], ends[:-1]]),
        "dataset_to_index": ends,
        "meta/episodes/chunk_index": zeros,
        "meta/episodes/file_index": zeros,
        "sim2real/name": [recording.name for recording in recordings],
    }


def _stats(values: Column) -> dict[str, list[float]]:
    table = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    return {
        "min": table.min(axis=0).tolist(),
        "max": table.max(axis=0).tolist(),
        "mean": table.mean(axis=0).tolist(),
        "std": table.std(axis=0).tolist(),
        "count": [len(table)],
    }


def _write_table(path: Path, columns: Mapping[str, object]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({key: _array(values) for key, values in columns.items()}), path)


def _array(values: object) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] > 1:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    # A feature of shape (1,) is a plain column in this layout.
    return pa.array(values.ravel() if isinstance(values, np.ndarray) else values)


def _write_tasks(path: Path, task: str) -> None:
    """``tasks.parquet`` is a pandas frame whose index is the task; its note for pandas says so."""
    import pyarrow as pa
    from pyarrow import parquet

    index = {"name": None, "field_name": "__index_level_0__", "pandas_type": "unicode"}
    column = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64"}
    note = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [
            {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}
        ],
        "columns": [column | {"numpy_type": "int64"}, index | {"numpy_type": "object"}],
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": [0], "__index_level_0__": [task]})
    parquet.write_table(table.replace_schema_metadata({"pandas": json.dumps(note)}), path)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=4, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
