"""What `VecNormalize` of Stable-Baselines3 learnt of observations, read from its pickle without running it.

A pickle is a program, and one from a stranger must not run. Here every name that it asks for is answered by
an inert stand-in of this module, if it is one that `VecNormalize.save` writes, and refused otherwise: no
function of another package is called with what the file says, not even numpy's.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import PolicyError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Normalizer:
    """Observations as the network wants them: ``clip((x - mean) / std, ±clip)``."""

    mean: Floats
    """Shape (n,)."""
    std: Floats
    """√(variance + ε), above 0. Shape (n,)."""
    clip: float


def read_normalizer(path: Path) -> Normalizer | None:
    """The statistics of observations in a file of ``VecNormalize.save``; None if it normalizes rewards only.

    Raises:
        PolicyError: for a file that is damaged, or asks for anything that such a file doesn't need.
    """
    try:
        saved = _Unpickler(io.BytesIO(path.read_bytes()), str(path)).load()
    except PolicyError:
        raise
    except OSError as error:
        raise PolicyError(
            f"{path} can't be read ({error.strerror}); give the file of VecNormalize.save"
        ) from error
    except Exception as error:  # a broken pickle raises anything
        raise PolicyError(
            f"{path} is no file of VecNormalize.save, or is cut off ({type(error).__name__}: {error}); copy "
            "it again"
        ) from error
    if not isinstance(saved, _StandIn) or saved.name != "VecNormalize":
        raise PolicyError(f"{path} holds no VecNormalize; give the file of VecNormalize.save")
    return _normalizer(saved.state, path)


def _normalizer(state: Mapping[str, Any], path: Path) -> Normalizer | None:
    if not state.get("norm_obs", True):
        return None
    running = state.get("obs_rms")
    if not isinstance(running, _StandIn):
        raise PolicyError(
            f"{path} normalizes {'a dictionary' if isinstance(running, dict) else 'none'} of observations, "
            "and one vector of them is meant"
        )
    try:
        mean, variance = (_plain(running.state[key]) for key in ("mean", "var"))
        epsilon, clip = (float(_plain(state[key])) for key in ("epsilon", "clip_obs"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PolicyError(f"{path} lacks the statistics of observations ({error}); save it again") from error
    fine = mean.ndim == 1 and variance.shape == mean.shape and np.isfinite([mean, variance]).all()
    if not fine or not (variance + epsilon > 0).all():
        raise PolicyError(
            f"{path} has means of shape {mean.shape} and variances of shape {variance.shape}; one vector of "
            "finite means and positive variances is meant"
        )
    if not clip > 0:
        raise PolicyError(f"{path} clips observations to ±{clip:g}; a number above 0 is meant")
    return Normalizer(mean, np.sqrt(variance + epsilon), clip)


def _plain(value: object) -> Floats:
    return np.asarray(value.array if isinstance(value, _Array) else value, dtype=np.float64)


class _StandIn:
    """Takes the place of what a pickle names: remembers what it is given, and does nothing."""

    name = ""
    given: tuple[object, ...] = ()
    state: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *given: object) -> None:
        self.given = given

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.state = state


class _DType(_StandIn):
    """`numpy.dtype`: a code such as ``f8``, and its byte order."""

    order = "="

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "=", "|"):
            self.order = state[1]

    def plain(self) -> np.dtype[Any]:
        """The type of plain numbers that this names; objects and structures are none."""
        code = self.given[0] if self.given else None
        if not isinstance(code, str) or code not in _PLAIN:
            raise PolicyError(f"arrays of type {code!r} are no plain numbers")
        return np.dtype(f"{self.order}{code}")


class _Array(_StandIn):
    """`numpy.ndarray`: bytes, a type and a shape; also a scalar, and an array of a later pickle protocol."""

    array: NDArray[Any] | None = None

    def __init__(self, *given: object) -> None:
        super().__init__(*given)
        if given and isinstance(given[0], _DType):  # numpy's scalar(dtype, bytes)
            self.array = _from_bytes(given[1], given[0], ())
        elif len(given) > 2 and isinstance(given[1], _DType):  # _frombuffer(bytes, dtype, shape, order)
            self.array = _from_bytes(given[0], given[1], given[2], given[3:] == ("F",))

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) == 5 and isinstance(state[2], _DType):
            _, shape, dtype, fortran, raw = state
            if dtype.given and dtype.given[0] not in _PLAIN:
                return  # an array of objects stays one that nobody can read
            self.array = _from_bytes(raw, dtype, shape, bool(fortran))


def _from_bytes(raw: object, dtype: _DType, shape: object, fortran: bool = False) -> NDArray[Any] | None:
    if not isinstance(raw, bytes | bytearray) or not isinstance(shape, tuple):
        return None
    flat = np.frombuffer(bytes(raw), dtype.plain())
    return flat.reshape(shape, order="F" if fortran else "C")


_PLAIN = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}

_ARRAYS = {"_reconstruct", "scalar", "_frombuffer"}
_CORE = {"numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric"}
_INERT = {
    ("stable_baselines3.common.running_mean_std", "RunningMeanStd"),
    ("stable_baselines3.common.vec_env.vec_normalize", "VecNormalize"),
    *(
        (f"{package}.spaces.{kind.lower()}", kind)
        for package in ("gym", "gymnasium")
        for kind in ("Box", "Dict", "Discrete")
    ),
    ("numpy", "ndarray"),
    ("numpy", "float32"),
    ("numpy", "float64"),
    *(("numpy.random._pickle", f"__{kind}_ctor") for kind in ("randomstate", "generator", "bit_generator")),
    ("numpy.random", "__RandomState_ctor"),
    ("numpy.random.mtrand", "RandomState"),
    ("numpy.random._pcg64", "PCG64"),
    ("numpy.random._mt19937", "MT19937"),
    ("numpy.random.bit_generator", "SeedSequence"),
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
}


class _Unpickler(pickle.Unpickler):
    """Knows the names above, and nothing else."""

    def __init__(self, file: io.BytesIO, path: str) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> type[_StandIn | dict[Any, Any]]:
        """The stand-in for a name, or a refusal."""
        kind: type[_StandIn] | None = None
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module in _CORE and name in _ARRAYS:
            kind = _Array
        elif (module, name) == ("numpy", "dtype"):
            kind = _DType
        elif (module, name) in _INERT:
            kind = _StandIn
        if kind is None:
            raise PolicyError(
                f"{self._path} asks for {module}.{name}, which the statistics of VecNormalize don't need; "
                "nothing of it was run. If you trust where it comes from, save it again with plain "
                "VecNormalize.save"
            )
        return type(name, (kind,), {"name": name})
