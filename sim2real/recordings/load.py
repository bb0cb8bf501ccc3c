"""Find and read every recording under a folder, whatever its format.

A folder may mix them: SAGE motion folders, ``.npz`` archives, LeRobot data sets (by their
``meta/info.json``), Minari data sets (``main_data.hdf5``), ``.mcap`` files, and plain ``.csv`` or
``.tsv`` files and other HDF5 (``.hdf5``, ``.h5``) with a ``mapping.toml`` beside or above them.
"""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim2real.documents import read_text
from sim2real.errors import RecordingError
from sim2real.recordings.columns import MAPPING_FILE, LogMap, map_file_for, mapped, read_log_map
from sim2real.recordings.lerobot import INFO, read_lerobot
from sim2real.recordings.mcap_log import COMPRESSED, read_mcap
from sim2real.recordings.minari import MINARI_FILE, read_minari
from sim2real.recordings.npz import read_npz
from sim2real.recordings.plain_csv import read_csv
from sim2real.recordings.raw import RawLog, measured, trusted, unreadable
from sim2real.recordings.recording import Recording
from sim2real.recordings.sage import SAGE_FILES, read_sage
from sim2real.recordings.wrap import unwrapped

_TABLES, _HDF5 = (".csv", ".tsv"), (".hdf5", ".h5")

Reader = Callable[[Path, str, LogMap | None], list[RawLog]]


@dataclass(frozen=True)
class _Source:
    """Something that holds one recording or several."""

    path: Path
    name: str
    kind: str
    """As a user would say it: ``".npz"``, ``"a folder"``."""
    read: Reader


def load_recordings(path: str | Path, unwrap: bool = False) -> list[Recording]:
    """Read all recordings under a folder and its subfolders, sorted by name.

    Args:
        path: a folder of recordings (see the module for the formats), or one of those.
        unwrap: take jumps by a whole turn out of angles (`sim2real.recordings.wrap`).

    Returns:
        list[Recording]: at least one, named by their path under the folder:
            ``"test/circular_motion"``.

    Raises:
        RecordingError: if there is none, or for the first that can't be read or trusted.
        MissingExtra: for a format whose package is not installed.
    """
    return [trusted(log) for log in read_raw(path, unwrap)]


def read_raw(path: str | Path, unwrap: bool = False) -> list[RawLog]:
    """Read all logs under a folder as they are, sorted by name, for the log doctor.

    Args:
        path: as for `load_recordings`.
        unwrap: likewise.

    Returns:
        list[RawLog]: at least one. What is damaged or can't be read at all says so in itself.

    Raises:
        RecordingError: if there is none.
        MissingExtra: for a format whose package is not installed.
    """
    root = Path(path)
    if not root.exists():
        raise RecordingError(f"{root}: no such file or folder; give a folder of recordings")
    found: dict[str, tuple[_Source, RawLog]] = {}
    sources = list(_sources(root))
    for source in sources:
        for log in _logs(source):
            if log.name in found:
                one, two = sorted((found[log.name][0].kind, source.kind))
                raise RecordingError(f"{root}: {log.name} is there as {one} and as {two}; remove one of them")
            found[log.name] = (source, log)
    if not found and root.is_file():
        raise RecordingError(_elsewhere([str(root)]) or f"{root}: not a recording; give {_EXPECTED}")
    if not found:
        raise RecordingError(f"{root}: no recordings: {_inventory(root)}")
    logs = [found[name][1] for name in sorted(found)]
    if left := _left_out(root, sources):
        logs[0] = dataclasses.replace(logs[0], notes=(*logs[0].notes, left))
    return [unwrapped(log) for log in logs] if unwrap else logs


def _logs(source: _Source) -> list[RawLog]:
    try:
        file = map_file_for(source.path)
        logs = source.read(source.path, source.name, None if file is None else read_log_map(file))
    except RecordingError as error:
        return [unreadable(source.name, source.path, str(error))]
    return [_named(measured(log)) for log in logs]


def _named(log: RawLog) -> RawLog:
    """The log, unless a name would do something to a terminal or can't be written, or a unit is missing."""
    if log.joints and len(log.units) not in (0, len(log.joints)):
        reason = f"{log.source}: it has {len(log.units)} units for {len(log.joints)} joints; give one each"
        return unreadable(log.name, log.source, reason)
    for name in (*log.joints, *log.units, log.robot):
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
            reason = f"{log.source}: the name {name!r} holds what is no letter and can't be shown; rename it"
            return unreadable(log.name, log.source, reason)
    return log


def _sources(root: Path) -> Iterator[_Source]:
    files = [root] if root.is_file() else sorted(_visible(root))
    claimed: set[Path] = set()
    for file in files:
        if file.parts[-2:] == INFO.parts and (folder := file.parents[1]) not in claimed:
            claimed.add(folder)
            yield _Source(folder, _name(root, folder), "a LeRobot data set", _READERS["lerobot"])
    for file in files:
        if file.name in SAGE_FILES and file.parent not in claimed and root.is_dir():
            claimed.add(file.parent)
            yield _Source(file.parent, _name(root, file.parent), "a folder", _READERS["sage"])
    for file in files:
        if file.name == MINARI_FILE:
            owner = file.parents[1] if file.parent.name == "data" and file != root else file
            yield _Source(file, _name(root, owner), "a Minari data set", _READERS[MINARI_FILE])
        elif _form(file) in _HDF5 and file not in claimed and _is_mapped_by_row(file):
            yield _Source(file, _name(root, file), _form(file), _READERS[MINARI_FILE])
        elif _form(file) in _READERS and not claimed & set(file.parents):
            yield _Source(file, _name(root, file), _form(file), _READERS[_form(file)])
    yield from _tables(root, [file for file in files if not claimed & set(file.parents)])


def _tables(root: Path, files: list[Path]) -> Iterator[_Source]:
    """CSV files; those without a mapping only where nothing else is there, to ask for one."""
    tables = [file for file in files if file.suffix.lower() in _TABLES]
    known = [file for file in tables if map_file_for(file) is not None]
    others = any(_form(file) in _READERS or file.name == MINARI_FILE for file in files)
    lonely = root.is_file() or (not others and not known and len(tables) == len(files))
    for file in tables if lonely else known:
        yield _Source(file, _name(root, file), ".csv", _READERS["csv"])


def _one(read: Callable[[Path, str], RawLog]) -> Reader:
    """A reader of one log whose joints have names of their own."""
    return lambda path, name, columns: [mapped(read(path, name), columns)]


_READERS: dict[str, Reader] = {
    "lerobot": lambda path, name, columns: [mapped(log, columns) for log in read_lerobot(path, name)],
    "sage": _one(read_sage),
    "csv": lambda path, name, columns: [read_csv(path, name, columns)],
    MINARI_FILE: read_minari,
    ".npz": _one(read_npz),
    ".mcap": lambda path, name, columns: [mapped(read_mcap(path, name, columns), columns)],
}


def _is_mapped_by_row(file: Path) -> bool:
    """Whether a mapping is for files without stamps, of which none but HDF5 is read."""
    mapping = map_file_for(file)
    return mapping is not None and "period" in read_text(mapping, RecordingError)


def _form(file: Path) -> str:
    """The ending that tells what a file is: that before the one of its compression."""
    return (Path(file.stem).suffix if file.suffix in COMPRESSED else file.suffix).lower()


def _visible(root: Path) -> Iterator[Path]:
    """Files below, but none that is hidden: those are unfinished writes and other people's caches."""
    seen: set[Path] = set()
    for folder, below, names in os.walk(root, followlinks=True):
        whole = Path(folder).resolve()
        if whole in seen:  # a link that leads back
            below.clear()
            continue
        seen.add(whole)
        below[:] = [name for name in sorted(below) if not name.startswith(".")]
        files = (Path(folder, name) for name in names if not name.startswith("."))
        yield from (file for file in files if file.is_file())


def _name(root: Path, path: Path) -> str:
    if not path.is_file():
        return path.resolve().name if path == root else path.relative_to(root).as_posix()
    plain = path.with_suffix("") if path.suffix in COMPRESSED else path
    return plain.resolve().stem if path == root else plain.relative_to(root).with_suffix("").as_posix()


_EXPECTED = (
    f"a .npz, .mcap(.zstd) or {MINARI_FILE} file, a .csv with a {MAPPING_FILE}, or a folder of recordings"
)


_ELSEWHERE = {
    ".arrow": 'is of a Minari set kept as Arrow; make the set again with data_format="hdf5"',
    ".db3": "is a ROS 2 bag kept as SQLite; write it as MCAP (ros2 bag convert, storage_id: mcap)",
    ".bag": "is a ROS 1 bag; write it as MCAP (mcap convert run.bag run.mcap)",
    ".pkl": "is a pickle, which could run code, so none is read; save its arrays as .npz",
    ".pickle": "is a pickle, which could run code, so none is read; save its arrays as .npz",
    ".hdf5": "is HDF5, which says of no number what it is; write a mapping.toml with a period",
    ".h5": "is HDF5, which says of no number what it is; write a mapping.toml with a period",
    ".npy": "is a single array without stamps and names; save them together as .npz",
    ".mat": "is of Matlab; save its arrays as .npz (scipy.io.loadmat, numpy.savez)",
    ".parquet": "is a table without a description; write it as CSV with a mapping.toml",
    ".gz": "is compressed; unpack it (gunzip)",
    ".zip": "is compressed; unpack it",
    ".tar": "is an archive; unpack it",
    ".ulg": "is a log of PX4; write it as CSV (ulog2csv of pyulog) with a mapping.toml",
    ".tlog": "is a log of Gazebo or MAVLink, which holds no commands of joints; record the topics as MCAP",
    ".bbl": f"is a Betaflight blackbox; write it as CSV (blackbox_decode) with a {MAPPING_FILE}",
    ".bfl": f"is a Betaflight blackbox; write it as CSV (blackbox_decode) with a {MAPPING_FILE}",
    ".bin": f"is bytes without a description; write it as CSV with a {MAPPING_FILE}",
    ".r64": f"is a trace of KUKA; write it as CSV with a {MAPPING_FILE}",
    ".rrd": f"is of Rerun; write what it shows as CSV with a {MAPPING_FILE}",
    ".tfrecord": "is of TensorFlow (RLDS, Open X); save its arrays as .npz",
    ".xlsx": f"is a spreadsheet; save it as CSV with a {MAPPING_FILE}",
    ".ods": f"is a spreadsheet; save it as CSV with a {MAPPING_FILE}",
    ".feather": f"is a table without a description; write it as CSV with a {MAPPING_FILE}",
    ".pt": "is of PyTorch: a policy or tensors; save arrays as .npz",
    ".pth": "is of PyTorch: a policy or tensors; save arrays as .npz",
    ".zgroup": "is of a Zarr store; save its arrays as .npz",
    ".zarray": "is of a Zarr store; save its arrays as .npz",
    "zarr.json": "is of a Zarr store; save its arrays as .npz",
    ".jsonl": f"is JSON, which says of no number what it is; write it as CSV with a {MAPPING_FILE}",
    ".json": f"is JSON, which says of no number what it is; write it as CSV with a {MAPPING_FILE}",
    ".log": f"is text, or a simulator's own; where it is a table, name it .csv and write a {MAPPING_FILE}",
    ".dat": f"is text or bytes; where it is a table, name it .csv and write a {MAPPING_FILE}",
    ".txt": f"is text; where it is a table, name it .csv and write a {MAPPING_FILE}",
}
"""What others keep logs in, by its ending, and how to bring it here."""
_BESIDE = (".json", ".txt", ".log", ".dat", ".zip", ".gz", ".tar", ".pt", ".pth", ".xlsx")
"""Of those, what may as well say something of recordings that are read, or keep them once more."""


def _elsewhere(names: Sequence[str]) -> str:
    """What the first file of a known foreign kind is, and what to do with it; empty if there is none."""
    found = ((name, ending) for ending in _ELSEWHERE for name in names if name.lower().endswith(ending))
    name, ending = next(found, ("", ""))
    return f"{name} {_ELSEWHERE[ending]}" if name else ""


def _left_out(root: Path, sources: Sequence[_Source]) -> str:
    """That a folder holds more logs than were read, and what the first of those is; empty if it doesn't."""
    read = {source.path for source in sources}
    files = (file for file in _visible(root) if root.is_dir() and not read & {file, *file.parents})
    names = [file.relative_to(root).as_posix() for file in files if file.suffix.lower() not in _BESIDE]
    kept = [name for name in names if _elsewhere([name]) or name.lower().endswith(_TABLES)]
    if not kept:
        return ""
    said = _elsewhere(kept) or f"{kept[0]} has no {MAPPING_FILE}, which says what its columns are"
    return f"{len(kept)} file(s) beside the recordings are not read: {said}"


def _inventory(root: Path) -> str:
    files = sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
    expected = (
        f"looked for *.npz and for folders with {', '.join(SAGE_FILES)}; for *.mcap, LeRobot's "
        f"{INFO.as_posix()}, Minari's {MINARI_FILE}, and *.csv with a {MAPPING_FILE}"
    )
    if not files:
        return f"the folder is empty; {expected}"
    return _elsewhere(files) or f"{expected}; found {len(files)} other file(s), such as {files[0]}"
