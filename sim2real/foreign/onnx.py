"""Policies as ONNX files, run by onnxruntime, or by the reference evaluator of the package onnx.

    actor = OnnxFile(Path("policy.onnx"))

The observation is the input that is called so, or else the first, and likewise the action among the outputs.
Further inputs are memory: each begins with zeros and is fed from the output that has its name without ``_in``
or ``_out``, or else its place.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim2real.documents import Section
from sim2real.errors import MissingExtra, PolicyError
from sim2real.interface import Mask
from sim2real.policy import Contract
from sim2real.policy.folder import contract_of

if TYPE_CHECKING:
    import onnx

Arrays = dict[str, NDArray[Any]]
Shape = tuple[int | None, ...]
Run = Callable[[Arrays], list[NDArray[Any]]]

CONTRACT = "sim2real.contract"
"""Key of the metadata under which a policy's contract stands."""

_OBSERVATIONS = ("obs", "observation", "observations", "policy_obs")
_ACTIONS = ("action", "actions", "mean", "mu")
_NO_ACTIONS = ("value", "values", "v", "vf", "critic", "log_std", "logstd", "std", "log_prob", "logprob")


@dataclass(frozen=True)
class Value:
    """An input or an output of a graph."""

    name: str
    shape: Shape
    """None where the file leaves a size open."""
    single: bool
    """Whether its numbers are float32."""


@dataclass(frozen=True)
class Memory:
    """An input that one output feeds."""

    name: str
    source: int
    """Which output."""
    shape: Shape
    axis: int
    """Where rows go."""

    def zeros(self, rows: int) -> NDArray[np.float32]:
        """The memory of episodes that begin."""
        shape = [rows if k == self.axis else size or 1 for k, size in enumerate(self.shape)]
        return np.zeros(shape, dtype=np.float32)


class OnnxFile:
    """An actor that runs an ONNX file; see `sim2real.interface.Actor`."""

    def __init__(self, path: Path, runtime: str | None = None) -> None:
        """Load the file.

        Args:
            path: the file.
            runtime: ``"onnxruntime"`` or ``"onnx"``; by default the first that is installed.

        Raises:
            PolicyError: for a file that is damaged, or whose inputs and outputs are no policy's.
            MissingExtra: if neither package is installed.
        """
        self._path = path
        runtime = runtime or _installed()
        self._run, inputs, outputs, self.metadata = _open(path, runtime)
        self._names = [value.name for value in outputs]
        called = [k for k, value in enumerate(inputs) if value.name.lower() in _OBSERVATIONS]
        self._input = inputs.pop(called[0] if called else 0)
        if len(self._input.shape) != 2:
            raise PolicyError(
                f"{path}: the first input {self._input.name!r} has the shape {self._input.shape}; one vector "
                "of observations for each row, (rows, n), is meant"
            )
        self.num_observations = self._input.shape[1]
        self._action = next((k for k, name in enumerate(self._names) if name.lower() in _ACTIONS), 0)
        if len(outputs) > 1 and self._names[self._action].lower() in _NO_ACTIONS:
            raise PolicyError(
                f"{path}: none of its outputs {', '.join(self._names)} is called action, and the first "
                "is none; export the one that acts as 'actions'"
            )
        self.num_actions = outputs[self._action].shape[-1] if outputs[self._action].shape else None
        self._memory = tuple(_memories(path, inputs, outputs, self._action))
        self._one_by_one = self._input.shape[0] == 1
        if self._one_by_one:
            self._widen(path, runtime)

    @property
    def contract(self) -> Contract | None:
        """What the file says of itself, if `sim2real.foreign.export` wrote it."""
        if CONTRACT not in self.metadata:
            return None
        try:
            table = json.loads(self.metadata[CONTRACT])
        except (ValueError, RecursionError) as error:
            raise PolicyError(f"{self._path} carries no contract that can be read ({error})") from error
        return contract_of(Section(str(self._path), table, PolicyError))

    def start(self, rows: int | Mask, state: Arrays | None = None) -> Arrays:
        """Begin episodes, with zeros for memory."""
        if state is None or isinstance(rows, int | np.integer):
            count = int(rows) if isinstance(rows, int | np.integer) else len(rows)
            return {memory.name: memory.zeros(count) for memory in self._memory}
        for memory in self._memory:
            np.moveaxis(state[memory.name], memory.axis, 0)[np.asarray(rows)] = 0.0
        return state

    def act(
        self, observation: NDArray[np.float32], state: Arrays | None = None
    ) -> tuple[NDArray[np.float32], Arrays]:
        """The graph's actions. Shape (n, num_actions)."""
        state = state or self.start(len(observation))
        seen = np.ascontiguousarray(observation, dtype=np.float32)
        if not self._one_by_one:
            return self._pass(seen, state)
        parts = []
        for row in range(len(seen)):
            own = {m.name: np.take(state[m.name], [row], axis=m.axis) for m in self._memory}
            parts.append(self._pass(seen[row : row + 1], own))
        joined = {m.name: np.concatenate([s[m.name] for _, s in parts], axis=m.axis) for m in self._memory}
        return np.concatenate([action for action, _ in parts]), joined

    def _widen(self, path: Path, runtime: str) -> None:
        """Run all rows at once, if the graph can though it names one, which is tried against single ones."""
        run = self._run if runtime == "onnx" else _for_many_rows(path)
        if run is None or self.num_observations is None:
            return
        seen = np.random.default_rng(0).standard_normal((2, 3, self.num_observations), dtype=np.float32)
        truth, alone = self._tried(seen), self._run
        self._run, self._one_by_one = run, False
        try:
            fine = np.allclose(self._tried(seen), truth, rtol=1e-4, atol=1e-5)
        except Exception:  # each runtime has classes of its own, and the graph may be made for one row
            fine = False
        if not fine:
            self._run, self._one_by_one = alone, True

    def _tried(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions in a short episode. Shape (steps, rows, num_actions)."""
        state, actions = self.start(seen.shape[1]), []
        for rows in seen:
            action, state = self.act(rows, state)
            actions.append(action)
        return np.array(actions)

    def _pass(self, observation: NDArray[np.float32], state: Arrays) -> tuple[NDArray[np.float32], Arrays]:
        given = self._run({self._input.name: observation, **state})
        after = {m.name: np.array(given[m.source], dtype=np.float32) for m in self._memory}
        return np.asarray(given[self._action], dtype=np.float32), after


def _installed() -> str:
    for package in ("onnxruntime", "onnx"):
        if importlib.util.find_spec(package) is not None:
            return package
    raise MissingExtra("onnxruntime", "deploy")


def _open(path: Path, runtime: str) -> tuple[Run, list[Value], list[Value], dict[str, str]]:
    if not path.is_file():
        raise PolicyError(f"there is no file {path}")
    try:
        opened = _with_onnxruntime(path) if runtime == "onnxruntime" else _with_onnx(path)
    except Exception as error:  # both raise classes of their own
        reason = " ".join(str(error).split())[:200]
        raise PolicyError(
            f"{path} is no ONNX file that can be run ({reason}); export it or copy it again"
        ) from error
    if not opened[1] or not opened[2]:
        raise PolicyError(f"{path} has no input or no output; a policy has observations and actions")
    for value in opened[1]:
        if not value.single:
            raise PolicyError(f"{path}: {value.name!r} is no tensor of float32; export the policy in float32")
    return opened


def _for_many_rows(path: Path) -> Run | None:
    """The file in onnxruntime with its one row left open; None without the package that can edit files."""
    if importlib.util.find_spec("onnx") is None:
        return None
    import onnx

    model = onnx.load(str(path))
    for value in (*model.graph.input, *model.graph.output):
        sizes = value.type.tensor_type.shape.dim
        if len(sizes) in (2, 3):
            sizes[len(sizes) - 2].dim_param = "rows"
    del model.graph.value_info[:]
    try:
        return _with_onnxruntime(model.SerializeToString())[0]
    except Exception:  # the graph says in other places that there is one row
        return None


def _with_onnxruntime(path: Path | bytes) -> tuple[Run, list[Value], list[Value], dict[str, str]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path if isinstance(path, bytes) else str(path), options, providers=["CPUExecutionProvider"]
    )

    def values(given: Sequence[Any]) -> list[Value]:
        return [
            Value(
                v.name,
                tuple(size if isinstance(size, int) else None for size in v.shape),
                v.type == "tensor(float)",
            )
            for v in given
        ]

    metadata = dict(session.get_modelmeta().custom_metadata_map)
    return (
        lambda feeds: list(session.run(None, feeds)),
        values(session.get_inputs()),
        values(session.get_outputs()),
        metadata,
    )


def _with_onnx(path: Path) -> tuple[Run, list[Value], list[Value], dict[str, str]]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    evaluator = ReferenceEvaluator(model)
    weights = {tensor.name for tensor in model.graph.initializer}

    def values(given: Sequence[onnx.ValueInfoProto]) -> list[Value]:
        return [
            Value(v.name, _shape(v), v.type.tensor_type.elem_type == 1)
            for v in given
            if v.name not in weights
        ]

    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return (
        lambda feeds: list(evaluator.run(None, feeds)),
        values(model.graph.input),
        values(model.graph.output),
        metadata,
    )


def _shape(value: onnx.ValueInfoProto) -> Shape:
    sizes = value.type.tensor_type.shape.dim
    return tuple(size.dim_value if size.HasField("dim_value") else None for size in sizes)


def _memories(path: Path, inputs: Sequence[Value], outputs: Sequence[Value], action: int) -> list[Memory]:
    others = [k for k in range(len(outputs)) if k != action]
    bare = {_bare(outputs[k].name): k for k in others}
    if inputs and len(others) < len(inputs):
        raise PolicyError(
            f"{path} takes {', '.join(v.name for v in inputs)} beside observations, and not as many outputs "
            "feed them; a policy takes observations and its own memory only"
        )
    found: list[Memory] = []
    for place, value in enumerate(inputs):
        source = bare.get(_bare(value.name), others[place])
        if len(value.shape) not in (2, 3) or len(outputs[source].shape) != len(value.shape):
            raise PolicyError(
                f"{path}: input {value.name!r} of shape {value.shape} is no memory of shape (rows, n) or "
                f"(layers, rows, n) that output {outputs[source].name!r} of {outputs[source].shape} feeds"
            )
        if source in [memory.source for memory in found]:
            raise PolicyError(
                f"{path}: output {outputs[source].name!r} would feed two inputs, {found[-1].name!r} and "
                f"{value.name!r}; name each output after the input that it feeds, as h_in and h_out"
            )
        found.append(Memory(value.name, source, value.shape, len(value.shape) - 2))
    return found


def _bare(name: str) -> str:
    return name.lower().replace("_in", "").replace("_out", "").removeprefix("next_")
