"""Write a policy as one ONNX file, contract and all, and check that it acts as numpy does.

    export_policy(policy, "policy.onnx")

Inputs are ``observation``, shape (rows, n), and for what remembers ``<layer>_in`` and ``past_in``, shape
(rows, m), which begin with zeros and are fed from ``<layer>_out`` and ``past_out``. The output is ``action``,
within ± the contract's limit. Normalizer, clipping and history are in the graph; the metadata say the rest.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, MissingExtra, PolicyError
from sim2real.files import room_in, write_atomically
from sim2real.foreign.onnx import CONTRACT, OnnxFile
from sim2real.policy import Layer, Policy
from sim2real.policy.folder import to_table
from sim2real.policy.kinds import KINDS

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise MissingExtra("onnx", "deploy") from error

_OPSET, _IR = 20, 10
"""Of ONNX 1.15, the first that knows Gelu."""
_OBSERVATIONS = 1000
_TOLERANCE = 1e-5


def export_policy(policy: Policy, path: str | Path) -> float:
    """Write a policy as one file, after comparing it with numpy on a thousand observations of 100 episodes.

    ``.onnx`` is for onnxruntime and the like. ``.npz`` holds the same graph for numpy alone, as
    ``scripts/run_exported.py`` runs it: the arrays by name, and ``graph``, a JSON text of nodes in order, as
    [operator of ONNX, inputs, output, attributes], of inputs with their sizes, outputs, and the metadata.

    Returns:
        The largest difference of an action.

    Raises:
        InvalidValue: for a file of another kind.
        PolicyError: for a policy that acts on privileged signals, or a file that does not act as the policy.
    """
    path = Path(path)
    if path.suffix not in (".onnx", ".npz"):
        raise InvalidValue(f"{path} is to be an exported policy, and ends with neither .onnx nor .npz")
    graph = _Graph(policy)
    model, difference = _checked(policy, graph.model())

    def write(temporary: Path) -> None:
        if path.suffix == ".onnx":
            temporary.write_bytes(model.SerializeToString())
        else:
            np.savez(
                temporary, allow_pickle=False, **graph.arrays, graph=np.array(_as_text(policy, graph, model))
            )

    write_atomically(path, write)
    return difference


def _as_text(policy: Policy, graph: _Graph, model: onnx.ModelProto) -> str:
    nodes = [
        [n.op_type, [*n.input], n.output[0], {a.name: helper.get_attribute_value(a) for a in n.attribute}]
        for n in model.graph.node
    ]
    sizes = {"nodes": nodes, "inputs": graph.inputs, "outputs": list(graph.outputs)}
    return json.dumps({**sizes, "metadata": metadata(policy)})


def _checked(policy: Policy, model: onnx.ModelProto) -> tuple[onnx.ModelProto, float]:
    """The model, and by how much it differs from the policy."""
    onnx.checker.check_model(model, full_check=True)
    with room_in(tempfile.gettempdir()), tempfile.TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "policy.onnx")
        difference = _difference(policy, OnnxFile(Path(folder) / "policy.onnx"))
    if not difference <= _TOLERANCE:
        raise PolicyError(
            f"as ONNX, policy {policy.name!r} gives other actions, by up to {difference:.2g}; nothing was "
            "written"
        )
    return model, difference


def metadata(policy: Policy) -> dict[str, str]:
    """What the file says of itself: the contract as JSON, and in plain text what a robot's loop needs."""
    contract = policy.contract
    return {
        CONTRACT: json.dumps(to_table(contract, policy.network), sort_keys=True),
        "policy": policy.name,
        "world": contract.world,
        "task": f"{contract.task} {contract.task_version}",
        "control_dt": f"{contract.control_dt:g}",
        "observation_names": ",".join(signal.name for signal in contract.observation),
        "observation_units": ",".join(signal.unit for signal in contract.observation),
        "observation_scales": ",".join(f"{signal.scale:g}" for signal in contract.observation),
        "action_limit": f"{contract.action_limit:g}",
        "action_names": ",".join(signal.name for signal in contract.action),
        "action_units": ",".join(signal.unit for signal in contract.action),
        "action_scales": ",".join(f"{signal.scale:g}" for signal in contract.action),
    }


def _difference(policy: Policy, file: OnnxFile, rows: int = 100) -> float:
    """Largest difference over rows that begin anew now and then."""
    rng = np.random.default_rng(0)
    size, worst = len(policy.contract.observation), 0.0
    mine, others = policy.start(rows), file.start(rows)
    for _ in range(_OBSERVATIONS // rows):
        seen = (3 * rng.standard_normal((rows, size))).astype(np.float32)
        expected, mine = policy.act(seen, mine)
        found, others = file.act(seen, others)
        worst = max(worst, float(np.abs(found - expected).max()))
        anew = rng.random(rows) < 0.2
        mine, others = policy.start(anew, mine) if mine is not None else None, file.start(anew, others)
    return worst


class _Graph:
    """The nodes of a policy, while they are written."""

    def __init__(self, policy: Policy) -> None:
        if "privileged" in policy.network.reads():
            raise PolicyError(
                f"policy {policy.name!r} acts on privileged signals, which no robot has; distil it"
            )
        self._policy, self._contract = policy, policy.contract
        self._nodes: list[onnx.NodeProto] = []
        self.arrays: dict[str, NDArray[np.generic]] = {}
        self.inputs = {"observation": len(policy.contract.observation)}
        self.outputs = {"action": len(policy.contract.action)}

    def model(self) -> onnx.ModelProto:
        """The whole file."""
        network = self._policy.network
        reads = network.reads()
        if "context" in reads:
            self._context()
        if "history" in reads:
            self._history()
        for layer in network.order():
            self._layer(layer)
        most = self._contract.action_limit
        self._add("Clip", (network.outputs["action"], self._number(-most), self._number(most)), "action")
        if "past_in" in self.inputs:
            self._past()
        graph = helper.make_graph(
            self._nodes,
            "policy",
            [_value(name, size) for name, size in self.inputs.items()],
            [_value(name, size) for name, size in self.outputs.items()],
            [numpy_helper.from_array(array, name) for name, array in self.arrays.items()],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR, producer_name="sim2real"
        )
        helper.set_model_props(model, metadata(self._policy))
        return model

    def _add(self, operator: str, inputs: tuple[str, ...], output: str = "", **attributes: float) -> str:
        output = output or f"_{operator.lower()}_{len(self._nodes)}"
        node = helper.make_node(operator, list(inputs), [output])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return output

    def _number(self, *values: float, kind: type[np.generic] = np.float32) -> str:
        name = "_".join(("", kind.__name__, *map(repr, values)))
        self.arrays[name] = np.array(
            values[0] if len(values) == 1 and kind is np.float32 else values, dtype=kind
        )
        return name

    def _array(
        self, layer: str, array: str, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> str:
        name = f"{layer}.{array}"
        self.arrays[name] = np.ascontiguousarray(change(self._policy.weights[name]), dtype=np.float32)
        return name

    def _layer(self, layer: Layer) -> None:
        name, inputs, number = layer.name, layer.inputs, layer.number or 0.0

        def own(array: str, factor: float = 1.0) -> str:
            return self._array(name, array, lambda a: factor * (a.T if a.ndim == 2 else a))

        if layer.kind == "dense":
            self._add("Gemm", (inputs[0], own("weight"), own("bias")), name)
        elif layer.kind == "low_rank":
            down = self._add("MatMul", (inputs[0], own("A")))
            self._add("MatMul", (down, own("B", number)), name)
        elif layer.kind == "normalize":
            self._add("Div", (self._add("Sub", (inputs[0], own("mean"))), own("std")), name)
        elif layer.kind == "affine":
            self._add("Add", (self._add("Mul", (inputs[0], own("scale"))), own("shift")), name)
        elif layer.kind in ("gru", "lstm"):
            (self._gru if layer.kind == "gru" else self._lstm)(layer, own)
        elif layer.kind == "clip":
            self._add("Clip", (inputs[0], self._number(-number), self._number(number)), name)
        elif layer.kind == "concat":
            self._add("Concat", inputs, name, axis=-1)
        elif layer.kind == "silu":
            self._add("Mul", (inputs[0], self._add("Sigmoid", inputs)), name)
        else:
            operator, attributes = _OPERATORS[layer.kind]
            self._add(operator, inputs, name, **attributes)

    def _gru(self, layer: Layer, own: Callable[[str], str]) -> None:
        """Gates r, z and n of `sim2real.policy.kinds`, out of plain products."""
        size, before, after = self._memory(layer)
        new = self._parts(self._add("Gemm", (layer.inputs[0], own("weight_ih"), own("bias_ih"))), size, 3)
        old = self._parts(self._add("Gemm", (before, own("weight_hh"), own("bias_hh"))), size, 3)
        r, z = (self._add("Sigmoid", (self._add("Add", (new[k], old[k])),)) for k in range(2))
        n = self._add("Tanh", (self._add("Add", (new[2], self._add("Mul", (r, old[2])))),))
        kept = self._add("Mul", (z, before))
        fresh = self._add("Mul", (self._add("Sub", (self._number(1.0), z)), n))
        self._add("Add", (fresh, kept), layer.name)
        self._add("Identity", (layer.name,), after)

    def _lstm(self, layer: Layer, own: Callable[[str], str]) -> None:
        """Gates i, f, g and o, alike; what is remembered is h and c side by side."""
        size, before, after = self._memory(layer)
        h, c = self._parts(before, size, 2)
        new = self._add("Gemm", (layer.inputs[0], own("weight_ih"), own("bias_ih")))
        old = self._add("Gemm", (h, own("weight_hh"), own("bias_hh")))
        gates = self._parts(self._add("Add", (new, old)), size, 4)
        i, f, o = (self._add("Sigmoid", (gates[k],)) for k in (0, 1, 3))
        added = self._add("Mul", (i, self._add("Tanh", (gates[2],))))
        c = self._add("Add", (self._add("Mul", (f, c)), added))
        self._add("Mul", (o, self._add("Tanh", (c,))), layer.name)
        self._add("Concat", (layer.name, c), after, axis=-1)

    def _memory(self, layer: Layer) -> tuple[int, str, str]:
        """How many numbers a layer gives, and names of what it remembers, before and after."""
        size = self._policy.weights[f"{layer.name}.weight_hh"].shape[1]
        before, after = f"{layer.name}_in", f"{layer.name}_out"
        self.inputs[before] = self.outputs[after] = KINDS[layer.kind].memory * size
        return size, before, after

    def _parts(self, value: str, size: int, count: int) -> list[str]:
        """Columns, so many at a time."""
        return [self._columns(value, k * size, (k + 1) * size) for k in range(count)]

    def _columns(self, value: str, start: int, end: int) -> str:
        bounds = (self._number(start, kind=np.int64), self._number(end, kind=np.int64))
        return self._add("Slice", (value, *bounds, self._number(1, kind=np.int64)))

    def _context(self) -> None:
        """The context, as often as there are rows."""
        self.arrays["context_row"] = self._policy.weights["context"][None].astype(np.float32)
        self._add("Add", (self._nothing("observation"), "context_row"), "context")

    def _history(self) -> None:
        """What was seen and done, out of ``past_in``: observations, actions, and 1 once one has begun."""
        steps = self._contract.history - 1
        if steps == 0:
            self._add("Identity", ("observation",), "history")
            return
        observations, actions = steps * len(self._contract.observation), steps * len(self._contract.action)
        self.inputs["past_in"] = self.outputs["past_out"] = observations + actions + 1
        begun = self._columns("past_in", observations + actions, observations + actions + 1)
        first = self._add("Concat", ("observation",) * steps, axis=-1)
        first = self._add("Mul", (self._add("Sub", (self._number(1.0), begun)), first))
        known = self._add("Mul", (begun, self._columns("past_in", 0, observations)))
        self._add("Add", (known, first), "past_observations")
        self._add(
            "Identity", (self._columns("past_in", observations, observations + actions),), "past_actions"
        )
        self._add("Concat", ("past_observations", "observation", "past_actions"), "history", axis=-1)

    def _nothing(self, value: str) -> str:
        """A column of zeros, as many as there are rows."""
        return self._add("Mul", (self._columns(value, 0, 1), self._number(0.0)))

    def _past(self) -> None:
        """The past of the next control step."""
        steps, size, actions = (
            self._contract.history - 1,
            len(self._contract.observation),
            len(self._contract.action),
        )
        ones = self._add("Add", (self._nothing("action"), self._number(1.0)))
        older = self._columns("past_observations", size, steps * size)
        done = self._columns("past_actions", actions, steps * actions)
        self._add("Concat", (older, "observation", done, "action", ones), "past_out", axis=-1)


_OPERATORS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "elu": ("Elu", {}),
    "gelu": ("Gelu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "relu": ("Relu", {}),
    "sigmoid": ("Sigmoid", {}),
    "softplus": ("Softplus", {}),
    "sum": ("Sum", {}),
    "tanh": ("Tanh", {}),
}


def _value(name: str, size: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", size])
