"""NumPy archives, one motion each.

``time_us`` (n,) whole microseconds (or ``time_s``, ``time_ms``, ``time_ns``), ``joints`` (k,) names,
``command`` and ``position`` (n, k), and if the robot reports them ``velocity`` (n, k) and ``current_raw`` or
``effort`` (n, k); ``units`` (k,) and ``robot`` () if they are known; ``state_time_us`` (or
``state_time_s`` and so on) (n,) if measurements have their own stamps. Other arrays are left alone.
Pickled content is never loaded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real.documents import read_arrays
from sim2real.errors import RecordingError
from sim2real.files import write_atomically
from sim2real.recordings.raw import Damage, RawLog
from sim2real.recordings.recording import FloatArray, Recording

_NEEDED = ("joints", "command", "position")
_MICRO = 1e-6
_SECONDS = {"us": _MICRO, "s": 1.0, "ms": 1e-3, "ns": 1e-9}
"""Seconds per unit, by the ending of ``time_us`` and ``state_time_us``."""

Array = NDArray[np.generic]
Arrays = dict[str, Array]


def read_npz(path: Path, name: str) -> RawLog:
    """Read one motion.

    Args:
        path: the ``.npz`` file.
        name: what to call the recording.

    Raises:
        RecordingError: for a truncated or foreign file.
    """
    arrays = _arrays(path)
    joints = _names(path, arrays, "joints")
    time = _stamps(path, arrays, "time")
    signals = {key: _numbers(path, arrays, key) for key in ("command", "position")}
    effort = next((key for key in ("effort", "current_raw") if key in arrays), None)
    if "velocity" in arrays:
        signals["velocity"] = _numbers(path, arrays, "velocity")
    if effort:
        signals["effort"] = _numbers(path, arrays, effort)
    damage: list[Damage] = []
    for key, values in signals.items():
        signals[key] = _fitted(path, key, values, (len(time), len(joints)), damage)
    own = any(f"state_time_{unit}" in arrays for unit in _SECONDS)
    return RawLog(
        name=name,
        joints=joints,
        command_time=time,
        command=signals["command"],
        time=_stamps(path, arrays, "state_time") if own else time,
        position=signals["position"],
        velocity=signals.get("velocity"),
        effort=signals.get("effort"),
        units=_names(path, arrays, "units") if "units" in arrays else (),
        robot=str(arrays["robot"]) if "robot" in arrays and arrays["robot"].dtype.kind == "U" else "",
        damage=tuple(damage),
        source=path,
    )


def write_npz(recording: Recording, path: str | Path) -> None:
    """Write one motion so that reading it gives the same numbers to the bit.

    Stamps become whole microseconds where that loses nothing, values float32.

    Raises:
        OSError: as raised by the file system; an older file is then still there.
    """
    arrays: Arrays = {"joints": np.array(recording.joints), **_packed_stamps("time", recording.time)}
    for key in ("command", "position", "velocity"):
        values = getattr(recording, key)
        if values is not None:
            arrays[key] = shortest(values)
    if recording.state_time is not None:
        arrays |= _packed_stamps("state_time", recording.state_time)
    if recording.units:
        arrays["units"] = np.array(recording.units)
    if recording.robot:
        arrays["robot"] = np.array(recording.robot)
    write_atomically(path, lambda temporary: _save(temporary, arrays))


def shortest(values: FloatArray) -> NDArray[np.floating]:
    """The values as float32 where that loses nothing, else as they are."""
    short = values.astype(np.float32)
    return short if np.array_equal(short.astype(np.float64), values) else values


def _save(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _packed_stamps(key: str, time: FloatArray) -> Arrays:
    whole = np.rint(time / _MICRO)
    if np.all(np.abs(whole) < 2**53) and np.array_equal(whole * _MICRO, time):
        return {f"{key}_us": whole.astype(np.int64)}
    return {f"{key}_s": time}


def _arrays(path: Path) -> Arrays:
    stamps = [f"{key}_{unit}" for key in ("time", "state_time") for unit in _SECONDS]
    arrays = read_arrays(path, "a recording", _NEEDED, (*stamps, *_OTHERS), RecordingError)
    if not any(f"time_{unit}" in arrays for unit in _SECONDS):
        raise RecordingError(f"{path}: not a recording, it lacks time_us (or time_s, time_ms, time_ns)")
    for key in ("time", "state_time"):
        given = [f"{key}_{unit}" for unit in _SECONDS if f"{key}_{unit}" in arrays]
        if len(given) > 1:
            raise RecordingError(f"{path}: it has {' and '.join(given)}; leave one, since both say the same")
    return arrays


_OTHERS = ("velocity", "effort", "current_raw", "units", "robot")


def _names(path: Path, arrays: Arrays, key: str) -> tuple[str, ...]:
    names = arrays[key]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise RecordingError(
            f"{path}: {key} are {names.dtype} of shape {names.shape}; a row of names is needed"
        )
    return tuple(map(str, names))


def _stamps(path: Path, arrays: Arrays, key: str) -> FloatArray:
    unit = next(unit for unit in _SECONDS if f"{key}_{unit}" in arrays)
    name = f"{key}_{unit}"
    time = _numbers(path, arrays, name)
    if time.ndim != 1:
        raise RecordingError(f"{path}: {key} has shape {time.shape}; one stamp per row is needed")
    first = arrays.get(f"time_{unit}", np.zeros(0))
    if arrays[name].dtype.kind in "iu" and first.dtype.kind in "iu" and first.size:
        # since the first stamp of the commands, as whole numbers: an epoch in ns fits no float
        time = (arrays[name].astype(np.int64) - np.int64(first.flat[0])).astype(np.float64)
        time += float(first.flat[0]) if abs(int(first.flat[0])) < 2**53 else 0.0
    return time * _SECONDS[unit]


def _numbers(path: Path, arrays: Arrays, key: str) -> FloatArray:
    if arrays[key].dtype.kind not in "iuf":
        raise RecordingError(f"{path}: {key} holds {arrays[key].dtype}, not numbers")
    return arrays[key].astype(np.float64)


def _fitted(
    path: Path, key: str, values: FloatArray, shape: tuple[int, int], damage: list[Damage]
) -> FloatArray:
    """The values in their shape; missing rows become NaN and are noted."""
    if values.ndim != 2 or values.shape[1] != shape[1]:
        raise RecordingError(
            f"{path}: {key} has shape {values.shape}, but there are {shape[1]} joints; give one column each"
        )
    if len(values) == shape[0]:
        return values
    damage.append(Damage(f"{path}: {key} has {len(values)} rows and time has {shape[0]}; they must be equal"))
    whole = np.full(shape, np.nan)
    whole[: len(values)] = values[: shape[0]]
    return whole
