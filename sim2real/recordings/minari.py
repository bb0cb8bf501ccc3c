"""Episodes in HDF5, read with h5py alone: Minari data sets (``data/main_data.hdf5``), and files of others.

Each episode is a recording: a group ``episode_0`` (Minari), ``data/demo_0`` (robomimic), or the whole file
where there is none (ALOHA, DROID). Nothing in it says which number is which joint's, nor when it was read, so
a mapping file (`sim2real.recordings.columns`) must: ``position = "observations[3]"`` or
``"observations/qpos[3]"``, ``command = "actions[0]"``, whatever the file calls them, and ``period``, the
seconds per step. Row t is the observation before action t and that action; the last observation, which no
action follows, is left out. Sets kept as Arrow are refused: Minari itself can't read all of those. Needs
``h5py``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim2real.errors import MissingExtra, RecordingError
from sim2real.recordings.columns import MAPPING_FILE, LogMap
from sim2real.recordings.raw import Damage, RawLog
from sim2real.recordings.recording import FloatArray

if TYPE_CHECKING:
    import h5py

MINARI_FILE = "main_data.hdf5"

_PLACE = re.compile(r"(?P<signal>[^\[\]]+)(?:\[(?P<column>\d+)\])?")


def read_minari(path: Path, name: str, columns: LogMap | None) -> list[RawLog]:
    """Read every episode of a data set.

    Args:
        path: its ``main_data.hdf5``.
        name: what to call the set; episodes are ``name/episode_0``.
        columns: the mapping file that is for it.

    Raises:
        RecordingError: for a truncated or foreign file, or a mapping that does not fit it.
        MissingExtra: without the package ``h5py``.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("h5py", "recordings") from error
    try:
        with h5py.File(path, "r") as file:
            episodes = _episodes(file)
            if not episodes or (path.name == MINARI_FILE and "." in episodes):
                raise RecordingError(f"{path}: no episodes; it holds {', '.join(file) or 'nothing'}")
            if columns is None or columns.period is None or not columns.joints:
                raise RecordingError(_advice(path, file[episodes[0]], columns))
            return [
                _episode(path, f"{name}/{key}".removesuffix("/."), file[key], columns) for key in episodes
            ]
    except RecordingError:
        raise
    except Exception as error:  # a spoilt file makes h5py raise whatever its types and names come to
        reason = str(error).splitlines()[0].strip("'\"")
        raise RecordingError(
            f"{path}: not a readable HDF5 file ({reason}); is it cut off? Copy it again"
        ) from error


def _episodes(file: h5py.File) -> list[str]:
    """Places of the episodes, in their order; ``"."`` where the whole file is one, none where it is empty."""
    inner = file.get("data")
    held = [key for key in file if re.fullmatch(r"episode_\d+", key)]
    held += [f"data/{key}" for key in getattr(inner, "keys", list)() if re.fullmatch(r"demo_\d+", key)]
    return sorted(held, key=lambda key: int(key.rpartition("_")[2])) or (["."] if _shapes(file) else [])


def _advice(path: Path, episode: h5py.Group, columns: LogMap | None) -> str:
    if columns is not None and columns.joints:
        return f"{columns.path}: a Minari set has no stamps; give the seconds per step as period"
    held = ", ".join(f"{key} {shape}" for key, shape in _shapes(episode).items())
    return (
        f"{path}: nothing says which number is which joint's ({held}); write a {MAPPING_FILE} "
        "in the data set's folder (see sim2real.recordings.columns)"
    )


def _shapes(episode: h5py.Group) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def visit(key: str, item: h5py.Dataset | h5py.Group) -> None:
        shape = getattr(item, "shape", None)
        if shape and len(shape) <= 2:  # no images
            shapes[key] = shape

    episode.visititems(visit)
    return shapes


def _episode(path: Path, name: str, episode: h5py.Group, columns: LogMap) -> RawLog:
    joints = columns.joints.values()
    command = np.stack([_column(path, episode, joint.command) for joint in joints], axis=1)
    position = np.stack([_column(path, episode, joint.position) for joint in joints], axis=1)
    places = [joint.velocity for joint in joints]
    velocity = None
    if all(places):
        velocity = np.stack([_column(path, episode, place) for place in places], axis=1)
    rows = len(command)
    damage: tuple[Damage, ...] = ()
    if len(position) not in (rows, rows + 1):
        said = f"{path}: {name} has {len(position)} observations for {rows} actions; one more is expected"
        damage = (Damage(said),)
    rows = min(rows, len(position))
    time = np.arange(rows, dtype=np.float64) * (columns.period or 0.0)
    return RawLog(
        name=name,
        joints=tuple(columns.joints),
        command_time=time,
        command=columns.scaled(command[:rows]),
        time=time,
        position=columns.scaled(position[:rows]),
        velocity=None if velocity is None else columns.scaled(velocity[:rows], offset=False),
        units=columns.units,
        robot=columns.text.get("robot", ""),
        damage=damage,
        source=path,
    )


def _column(path: Path, episode: h5py.Group, place: str) -> FloatArray:
    match = _PLACE.fullmatch(place)
    shapes = _shapes(episode)
    if match is None or match["signal"] not in shapes:
        held = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
        raise RecordingError(f"{path}: there is no {place!r}; it has {held}")
    values = episode[match["signal"]]
    if values.dtype.kind not in "iuf":
        raise RecordingError(f"{path}: {place} holds {values.dtype}, not numbers")
    table = np.asarray(values[()], dtype=np.float64).reshape(len(values), -1)
    column = int(match["column"] or 0)
    if match["column"] is None and table.shape[1] > 1:
        raise RecordingError(
            f"{path}: {place!r} has {table.shape[1]} columns; say which one, such as {place + '[0]'!r}"
        )
    if column >= table.shape[1]:
        raise RecordingError(f"{path}: there is no {place!r}; {match['signal']} has {table.shape[1]} columns")
    return table[:, column]
