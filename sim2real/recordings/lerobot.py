"""LeRobot data sets of versions 2 and 3: Parquet files and JSON, read and written with pyarrow alone.

``meta/info.json`` (features with their names, path templates), ``data/chunk-*/file-*.parquet``, or where
``data_path`` says (a row per frame: ``observation.state``, ``action``, ``timestamp``, ``episode_index``),
and ``meta/episodes/chunk-*/file-*.parquet`` (a row per episode; in version 2 ``meta/episodes.jsonl``). Each
episode is a recording. ``action`` is taken as the commanded positions, in the order of its names;
``observation.state`` and, if there is one, ``observation.velocity`` must have the same names, and may have
others. ``".pos"`` at the end of a name is left out. Shapes, counts and ``fps`` of the description must fit
the data. What unit they are in the layout does not say: LeRobot's own robots use degrees, or -100..100; a
mapping file says it.

What is written holds two more columns, ``sim2real.time`` and ``sim2real.state_time`` (float64, s),
since the layout's ``timestamp`` is float32; LeRobot leaves them alone.
"""

from __future__ import annotations

import glob
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim2real.documents import Section, read_text
from sim2real.errors import RecordingError
from sim2real.recordings.raw import RawLog
from sim2real.recordings.recording import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

INFO = Path("meta") / "info.json"
VELOCITY, TIME, STATE_TIME = "observation.velocity", "sim2real.time", "sim2real.state_time"
_STATE, _ACTION = "observation.state", "action"
_NAMED = (_STATE, _ACTION, VELOCITY)
_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_DATA_2 = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_VERSIONS = ("v2.", "v3.")
_RATE = 0.02  # relative; how far fps and stamps may be apart
_NEEDED = (_STATE, _ACTION, "timestamp", "episode_index", "frame_index")


def read_lerobot(folder: Path, name: str) -> list[RawLog]:
    """Read every episode of a data set.

    Args:
        folder: the one with ``meta`` and ``data`` in it.
        name: what to call the set; episodes are ``name/episode_000000``.

    Raises:
        RecordingError: for another version, a missing or damaged file, or names that don't fit.
    """
    info = _info(folder)
    features = _features(folder, info)
    joints = _names(features, _ACTION)
    columns = _state_columns(folder, joints, _names(features, _STATE))
    speeds, notes = _velocity_columns(features, joints)
    wanted = [
        *_NEEDED,
        *(key for key in (TIME, STATE_TIME) if key in features),
        *([VELOCITY] if speeds else []),
    ]
    frames = _frames(folder, wanted, info)
    widths = dict.fromkeys(wanted, 1) | {key: len(_names(features, key)) for key in wanted if key in _NAMED}
    signals = {key: _numbers(folder, frames, key, widths[key]) for key in wanted}
    episode = _whole(folder, "episode_index", signals["episode_index"][:, 0])
    robot = info.values.get("robot_type")
    units = _units(features.section(_STATE).values.get("units"), columns)
    logs = []
    if TIME not in signals:
        _check_rate(folder, info, signals["timestamp"][:, 0], episode)
    for number in _episodes(folder, info, episode):
        rows = np.flatnonzero(episode == number)
        rows = rows[np.argsort(signals["frame_index"][rows, 0], kind="stable")]
        part = {key: values[rows] for key, values in signals.items()}
        time = part[TIME if TIME in part else "timestamp"][:, 0]
        logs.append(
            RawLog(
                name=f"{name}/episode_{number:06d}",
                joints=joints,
                command_time=time,
                command=part[_ACTION],
                time=part[STATE_TIME][:, 0] if STATE_TIME in part else time,
                position=part[_STATE][:, columns],
                velocity=part[VELOCITY][:, speeds] if speeds else None,
                units=units,
                robot=robot if isinstance(robot, str) else "",
                notes=notes,
                source=folder,
            )
        )
    return logs


def _info(folder: Path) -> Section:
    path = folder / INFO
    try:
        info = Section.read_json(path, RecordingError)
    except OSError as error:
        raise RecordingError(f"{path}: not readable ({error}); copy it again") from error
    version = str(info.values.get("codebase_version", "none"))
    if not version.startswith(_VERSIONS):
        raise RecordingError(
            f"{path}: the data set has version {version}; v2 and v3 are read (lerobot's own scripts, such as "
            "convert_dataset_v1_to_v2, bring others there)"
        )
    return info


def _features(folder: Path, info: Section) -> Section:
    features = info.section("features")
    missing = [key for key in _NEEDED if not isinstance(features.values.get(key), dict)]
    if missing:
        raise RecordingError(
            f"{folder / INFO}: no feature {missing[0]!r}; it has {', '.join(features.values) or 'none'}; "
            "joint positions and commands are needed"
        )
    return features


def _names(features: Section, key: str) -> tuple[str, ...]:
    names = _listed(features.section(key).values.get("names"))
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RecordingError(f"{features.path}: {key} has names {names!r}; a list of joint names is needed")
    shape = features.section(key).values.get("shape", [len(names)])
    if shape not in ([len(names)], (len(names),)):
        raise RecordingError(
            f"{features.path}: {key} has the shape {shape!r} and {len(names)} names; correct what is wrong"
        )
    short = tuple(name.removesuffix(".vel" if key == VELOCITY else ".pos") for name in names)
    twice = [name for name, count in Counter(short).items() if count > 1]
    if twice:
        raise RecordingError(f"{features.path}: {key} names {twice[0]!r} twice; give each its own name")
    return tuple(name.removesuffix(".pos") for name in short)


def _listed(names: object) -> object:
    """Names as sets nest them, ``{"motors": [...]}``, ``[[...]]``, one list a limb, or a place by name."""
    while isinstance(names, dict | list):
        parts = list(names.values()) if isinstance(names, dict) else names
        if isinstance(names, dict) and parts and set(map(repr, parts)) == set(map(str, range(len(parts)))):
            return sorted(names, key=names.__getitem__)
        if len(parts) == 1 and isinstance(parts[0], dict | list):
            names = parts[0]
        elif parts and all(isinstance(part, list) for part in parts):
            names = [name for part in parts for name in part]
        else:
            break
    return names


def _velocity_columns(features: Section, joints: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
    """Which number of a velocity is of which joint; none, and a word on it, where it does not say."""
    if VELOCITY not in features:
        return [], ()
    said = features.section(VELOCITY).values.get("names")
    names = _names(features, VELOCITY) if said else ()
    missing = [joint for joint in joints if joint not in names]
    if missing:
        return [], (f"{VELOCITY} has no number for {missing[0]} by its names ({said!r}): it is left out",)
    return [names.index(joint) for joint in joints], ()


def _state_columns(folder: Path, joints: tuple[str, ...], measured: tuple[str, ...]) -> list[int]:
    missing = [joint for joint in joints if joint not in measured]
    if missing:
        raise RecordingError(
            f"{folder / INFO}: action has {missing[0]!r} and observation.state has not (it has "
            f"{', '.join(measured)}); commanded joint positions are needed, not another kind of action"
        )
    return [measured.index(joint) for joint in joints]


def _units(stated: object, columns: Sequence[int]) -> tuple[str, ...]:
    """Units of the joints, as far as a set states any: of each number of a state, or one of all of them."""
    if isinstance(stated, str):
        return (stated,) * len(columns)
    if not isinstance(stated, list):
        return ()
    return tuple(str(stated[k]) for k in columns if k < len(stated))


def _frames(folder: Path, wanted: Sequence[str], info: Section) -> pa.Table:
    """All rows, from wherever the set's own ``data_path`` says that they are."""
    import pyarrow as pa

    old = info.text("codebase_version").startswith(_VERSIONS[0])
    template = info.text("data_path", _DATA_2 if old else _DATA)
    parts = Path(template).parts
    if Path(template).is_absolute() or ".." in parts or not parts:
        raise RecordingError(f"{info.path}: data_path is {template!r}; it must lead to files of the set")
    # a pattern of Python's format, such as data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet
    literal = [glob.escape(text) for text in re.split(r"\{[^{}]*\}", template)]
    files = sorted(path for path in folder.glob("*".join(literal)) if path.is_file())
    if not files:
        raise RecordingError(f"{folder}: no frames under {template}; copy data/ as well")
    tables = [read_parquet(file, wanted) for file in files]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise RecordingError(f"{folder}: its files hold columns of different types ({error})") from error


def read_parquet(path: Path, columns: Sequence[str]) -> pa.Table:
    """Some columns of a Parquet file.

    Raises:
        RecordingError: for a truncated or foreign file, or one that lacks a column.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        known = parquet.read_schema(path).names
        missing = [column for column in columns if column not in known]
        if missing:
            raise RecordingError(f"{path}: it has no column {missing[0]!r}; it has {', '.join(known)}")
        return parquet.ParquetFile(path).read(columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise RecordingError(
            f"{path}: not a readable Parquet file ({said}); is it cut off? Copy it again"
        ) from error


def _numbers(folder: Path, frames: pa.Table, key: str, width: int) -> FloatArray:
    """A column as float64; a list per row becomes columns. Shape (n, width)."""
    import pyarrow as pa

    column = frames.column(key).combine_chunks()
    held = column.type
    if column.null_count:
        raise RecordingError(
            f"{folder}: {key} is missing in {column.null_count} rows; remove them, or copy data/ again"
        )
    try:
        if pa.types.is_list(held) or pa.types.is_large_list(held):
            column = column.cast(pa.list_(held.value_type, width))
        if pa.types.is_fixed_size_list(column.type):
            column = column.flatten()
        values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        return values.reshape(len(frames), width)
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        said = str(error).splitlines()[0]
        raise RecordingError(
            f"{folder}: {key} is {held}, and not {width} number{'s' * (width > 1)} in each row ({said})"
        ) from error


def _whole(folder: Path, key: str, values: FloatArray) -> FloatArray:
    if not np.all(np.abs(values) < 2**53) or np.any(values != np.rint(values)):
        raise RecordingError(f"{folder}: {key} holds numbers that are not whole; copy data/ again")
    return values


def _episodes(folder: Path, info: Section, episode: FloatArray) -> list[int]:
    """Numbers of the episodes; each must have as many frames as the set says."""
    told = _told_by_lines(folder / "meta" / "episodes.jsonl")
    for file in sorted((folder / "meta" / "episodes").glob("chunk-*/file-*.parquet")):
        table = read_parquet(file, ("episode_index", "length"))
        columns = (
            _whole(file, key, _numbers(file, table, key, 1)[:, 0]) for key in ("episode_index", "length")
        )
        told |= dict(zip(*(column.astype(int).tolist() for column in columns), strict=True))
    found, counts = np.unique(episode, return_counts=True)
    held = dict(zip(found.astype(int).tolist(), counts.tolist(), strict=True))
    for number, length in told.items():
        if held.get(number, 0) != length:
            raise RecordingError(
                f"{folder}: episode {number} should have {length} frames and has {held.get(number, 0)}; "
                "copy data/ again"
            )
    for what, count in (("episodes", len(held)), ("frames", len(episode))):
        total = info.whole(f"total_{what}", count)
        if total != count:
            raise RecordingError(
                f"{folder}: {INFO.as_posix()} counts {total} {what} and data/ holds {count}; copy it again"
            )
    return sorted(held)


def _told_by_lines(path: Path) -> dict[int, int]:
    """Length of each episode as version 2 tells it, a table per line; none without such a file."""
    lines = read_text(path, RecordingError).splitlines() if path.is_file() else []
    told = {}
    for number, line in enumerate(filter(str.strip, lines), 1):
        try:
            entry = Section(str(path), dict(json.loads(line)), RecordingError)
        except (ValueError, TypeError, RecursionError) as error:
            raise RecordingError(f"{path}: line {number} is no JSON table; copy it again") from error
        told[entry.whole("episode_index")] = entry.whole("length")
    return told


def _check_rate(folder: Path, info: Section, time: FloatArray, episode: FloatArray) -> None:
    """Refuse stamps that don't come as often as ``fps`` says, on which LeRobot itself insists."""
    if "fps" not in info:
        return
    told = info.number("fps")
    steps = np.diff(time)[np.diff(episode) == 0]
    steps = steps[steps > 0]
    rate = 1 / float(np.median(steps)) if steps.size else told
    if told <= 0 or abs(rate - told) > _RATE * told:
        raise RecordingError(
            f"{folder}: {INFO.as_posix()} says fps {told:g} and stamps come {rate:.4g} times a second; "
            "correct what is wrong, as nobody else knows how fast it moved"
        )
