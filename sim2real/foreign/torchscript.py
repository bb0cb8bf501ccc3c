"""Policies as TorchScript, those included that keep a memory inside the module.

A module with a memory has one robot in mind. Where its memory is in buffers with a place for rows, as
``(1, 1, hidden)`` of an LSTM, the buffers get as many rows as there are episodes, which is tried against
copies of the module before it is believed; elsewhere each row gets a copy of its own. Every episode begins
with the memory that the file holds, after ``reset_memory()`` or ``reset()`` where the module has it.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sim2real.errors import PolicyError
from sim2real.interface import Mask

_RESETS = ("reset_memory", "reset")
_ROWS, _STEPS = 3, 4
"""How many episodes, and for how long, a way to run many of them is tried against copies."""


@dataclass
class _Episodes:
    """What a module remembers of each row."""

    rows: int
    buffers: dict[str, torch.Tensor] | None = None
    copies: list[torch.jit.ScriptModule] = field(default_factory=list)


class TorchScript:
    """An actor that runs a TorchScript module; see `sim2real.interface.Actor`.

    Loading TorchScript can run code of whoever made it; see `load_policy`.
    """

    def __init__(self, path: Path) -> None:
        """Load the file, onto the CPU.

        Raises:
            PolicyError: for a file that is no TorchScript, or is damaged.
        """
        self._path = path
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                load: Callable[..., torch.jit.ScriptModule] = torch.jit.load  # it has no annotations
                self._module = load(path, map_location="cpu").eval()
        except Exception as error:  # torch raises many, and a module's own code any
            line = " ".join(str(error).split())[:200]
            if "constants.pkl" in line:  # torch's own words take it for corrupted
                line = "it holds weights without a network, as torch.save writes them"
            raise PolicyError(
                f"{path} is no TorchScript that can be loaded ({line}); save it with torch.jit.save, "
                "or copy it again"
            ) from error
        for name in _RESETS:
            if hasattr(self._module, name):
                with contextlib.suppress(Exception):  # one that wants arguments is for something else
                    getattr(self._module, name)()
                break
        self._first = {name: buffer.clone() for name, buffer in self._module.named_buffers()}
        self._way: tuple[str, Mapping[str, int]] | None = None

    def start(self, rows: int | Mask, state: _Episodes | None = None) -> _Episodes:
        """Begin episodes: with the memory that the file holds."""
        if isinstance(rows, int | np.integer) or state is None:
            return _Episodes(rows if isinstance(rows, int | np.integer) else len(rows))
        mask = np.asarray(rows)
        if state.buffers is not None and self._way is not None:
            for name, axis in self._way[1].items():
                state.buffers[name] = state.buffers[name].clone()
                state.buffers[name].index_copy_(
                    axis, torch.from_numpy(np.flatnonzero(mask)), self._rows(name, axis, int(mask.sum()))
                )
        for row in np.flatnonzero(mask) if state.copies else ():
            state.copies[row] = copy.deepcopy(self._module)
        return state

    def act(
        self, observation: NDArray[np.float32], state: _Episodes | None = None
    ) -> tuple[NDArray[np.float32], _Episodes]:
        """The module's actions. Shape (n, num_actions)."""
        if self._way is None:
            self._way = self._find_way(observation.shape[1])
        how, axes = self._way
        state = state or _Episodes(len(observation))
        seen = torch.from_numpy(np.ascontiguousarray(observation, dtype=np.float32))
        with _one_thread(), torch.no_grad():
            if how == "copies":
                state.copies = state.copies or [copy.deepcopy(self._module) for _ in range(state.rows)]
                parts = [_act(module, row[None]) for module, row in zip(state.copies, seen, strict=True)]
                return torch.cat(parts).numpy(), state
            if how == "single":
                return torch.cat([_act(self._module, row[None]) for row in seen]).numpy(), state
            buffers = state.buffers or {
                name: self._rows(name, axis, state.rows) for name, axis in axes.items()
            }
            for name, value in buffers.items():
                _put(self._module, name, value)
            actions = _act(self._module, seen).numpy()
            held = dict(self._module.named_buffers())
            state.buffers = {name: held[name].clone() for name in axes}
            return actions, state

    @property
    def way(self) -> str | None:
        """How many rows are run: in one ``batch``, ``single``, or as ``copies``; None before they are."""
        return None if self._way is None else self._way[0]

    def _rows(self, name: str, axis: int, rows: int) -> torch.Tensor:
        """The memory that episodes begin with."""
        repeated: torch.Tensor = self._first[name].repeat_interleave(rows, dim=axis)
        return repeated

    def _find_way(self, size: int) -> tuple[str, Mapping[str, int]]:
        """How many rows are run (see `way`), and where rows go in buffers."""
        seen = torch.randn(_STEPS, _ROWS, size, generator=torch.Generator().manual_seed(0))
        own = [copy.deepcopy(self._module) for _ in range(_ROWS)]
        before = own[0].save_to_buffer()
        with _one_thread(), torch.no_grad():
            truth = torch.stack(
                [torch.cat([_act(m, row[None]) for m, row in zip(own, rows, strict=True)]) for rows in seen]
            )
        if own[0].save_to_buffer() == before:
            return ("batch" if _agrees(lambda: self._tried(seen, {}), truth) else "single"), {}
        changed = {
            name: buffer.shape
            for name, buffer in own[0].named_buffers()
            if not torch.equal(buffer, self._first[name])
        }
        axes = {name: _row_axis(shape) for name, shape in changed.items()}
        known = {name: axis for name, axis in axes.items() if axis is not None}
        if changed and len(known) == len(changed) and _agrees(lambda: self._tried(seen, known), truth):
            return "batch", known
        return "copies", {}

    def _tried(self, seen: torch.Tensor, axes: Mapping[str, int]) -> torch.Tensor:
        """Actions of a batch, in a copy, whose rows begin twice: only the buffers may be remembered."""
        module = copy.deepcopy(self._module)
        for _ in range(2):
            for name, axis in axes.items():
                _put(module, name, self._rows(name, axis, seen.shape[1]))
            actions = torch.stack([_act(module, rows) for rows in seen])
        return actions


def _agrees(tried: Callable[[], torch.Tensor], truth: torch.Tensor) -> bool:
    try:
        with torch.no_grad():
            found = tried()
    except Exception:  # a module that takes one row only raises whatever its layers do
        return False
    return bool(found.shape == truth.shape and torch.allclose(found, truth, rtol=1e-4, atol=1e-5))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Many threads wait for each other longer than a small network takes; the user's number comes back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _row_axis(shape: torch.Size) -> int | None:
    """Where rows go in a buffer: (1, hidden), or (layers, 1, hidden) as torch's recurrent layers have it."""
    axis = 1 if len(shape) == 3 else 0
    return axis if len(shape) > 1 and shape[axis] == 1 else None


def _act(module: torch.jit.ScriptModule, rows: torch.Tensor) -> torch.Tensor:
    """The first output of a module, which tells in its last line what it does not take."""
    try:
        given: object = module(rows)
    except Exception as error:  # whatever a stranger's module raises
        last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise PolicyError(
            f"the module fails on observations of shape {tuple(rows.shape)}: {last[0][:200]}; is it the "
            "policy of another robot or task?"
        ) from error
    first = given[0] if isinstance(given, tuple | list) else given
    if not isinstance(first, torch.Tensor):
        raise PolicyError(f"the module gives a {type(first).__name__} where a tensor of actions is meant")
    return first


def _put(module: torch.nn.Module, name: str, value: torch.Tensor) -> None:
    *path, last = name.split(".")
    for part in path:
        module = getattr(module, part)
    setattr(module, last, value)
