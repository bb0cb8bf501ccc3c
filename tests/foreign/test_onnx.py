"""Files of others: their memory, fixed sizes, and what is no policy."""

import importlib.util
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sim2real.errors import MissingExtra, PolicyError
from sim2real.foreign import load_policy
from sim2real.foreign.onnx import OnnxFile

RUNTIMES = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name)]


def value(name, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def saved(path, inputs, outputs, nodes, **arrays):
    """A file of nodes ``(operator, inputs, outputs)``."""
    graph = helper.make_graph(
        [helper.make_node(operator, i.split(), o.split()) for operator, i, o in nodes],
        "policy",
        inputs,
        outputs,
        [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("rows", ["rows", 1])
def test_memory_is_fed_and_begun_anew_by_row(tmp_path, runtime, rows):
    path = saved(
        tmp_path / "sum.onnx",
        [value("obs", rows, 2), value("h_in", 1, rows, 2), value("c_in", rows, 2)],
        [
            value("value", rows, 2),
            value("c_out", rows, 2),
            value("actions", rows, 2),
            value("h_out", 1, rows, 2),
        ],
        [
            ("Add", "h_in obs", "h_out"),
            ("Sub", "c_in obs", "c_out"),
            ("Squeeze", "h_out zero", "squeezed"),
            ("Add", "squeezed c_in", "actions"),
            ("Neg", "obs", "value"),
        ],
        zero=np.array([0]),
    )
    file = OnnxFile(path, runtime)
    state, seen = file.start(3), np.arange(6, dtype=np.float32).reshape(3, 2)
    for count in (1, 2, 3):  # of h its sum of observations, less that of those before
        action, state = file.act(seen, state)
        np.testing.assert_array_equal(action, count * seen - (count - 1) * seen)
        assert state["h_in"].shape == (1, 3, 2)
        np.testing.assert_array_equal(state["c_in"], -count * seen)
    state = file.start(np.array([True, False, False]), state)
    np.testing.assert_array_equal(state["h_in"][0], [[0, 0], [6, 9], [12, 15]])
    assert (file.num_observations, file.num_actions, file.contract) == (2, 2, None)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("alike", [True, False])
def test_a_graph_for_one_row_runs_all_at_once_only_if_that_gives_the_same(tmp_path, runtime, alike):
    total = [("ReduceSum", "obs axes", "total"), ("Mul", "obs total", "actions")]  # over the rows as well
    nodes = [("Add", "obs obs", "actions")] if alike else total
    path = tmp_path / "one.onnx"
    saved(path, [value("obs", 1, 2)], [value("actions", 1, 2)], nodes, axes=np.array([0, 1]))
    file = OnnxFile(path, runtime)
    seen = np.arange(6, dtype=np.float32).reshape(3, 2)
    action, _ = file.act(seen, file.start(3))
    np.testing.assert_array_equal(action, 2 * seen if alike else seen * seen.sum(axis=1, keepdims=True))
    assert file._one_by_one != alike


@pytest.mark.parametrize(
    ("inputs", "outputs", "complaint"),
    [
        ([value("obs", "n", 2), value("time_step", 1, 1)], [value("a", "n", 2)], "takes time_step beside"),
        ([value("image", "n", 3, 8, 8)], [value("a", "n", 3, 8, 8)], "one vector of observations"),
        (
            [value("obs", "n", 2, kind=TensorProto.DOUBLE)],
            [value("a", "n", 2, kind=TensorProto.DOUBLE)],
            "float",
        ),
        ([value("obs", "n", 2), value("h", "n")], [value("a", "n", 2), value("h2", "n")], "no memory"),
        ([value("obs", "n", 2)], [value("value", "n", 2), value("x", "n", 2)], "value, x is called action"),
        (
            [value("obs", "n", 2), value("h", "n", 2), value("c_in", "n", 2)],
            [value("a", "n", 2), value("c_out", "n", 2), value("x", "n", 2)],
            "'c_out' would feed two inputs, 'h' and 'c_in'",
        ),
    ],
    ids=["clock", "image", "double", "flat", "values", "fed twice"],
)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_that_is_no_policy_is_refused(tmp_path, runtime, inputs, outputs, complaint):
    nodes = [("Identity", inputs[min(k, len(inputs) - 1)].name, o.name) for k, o in enumerate(outputs)]
    path = saved(tmp_path / "other.onnx", inputs, outputs, nodes)
    with pytest.raises(PolicyError, match=complaint):
        OnnxFile(path, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_observation_is_the_input_that_is_called_so(tmp_path, runtime):
    """A memory of its size may come before it."""
    path = saved(
        tmp_path / "late.onnx",
        [value("h_in", "n", 2), value("obs", "n", 2)],
        [value("actions", "n", 2), value("h_out", "n", 2)],
        [("Identity", "obs", "actions"), ("Add", "obs h_in", "h_out")],
    )
    file, seen = OnnxFile(path, runtime), np.ones((3, 2), np.float32)
    state = file.start(3)
    for count in (1, 2):
        action, state = file.act(seen, state)
        np.testing.assert_array_equal(action, seen)
        np.testing.assert_array_equal(state["h_in"], count * seen)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_that_is_none_is_refused(tmp_path, runtime):
    path = tmp_path / "policy.onnx"
    with pytest.raises(PolicyError, match="there is no file"):
        OnnxFile(path, runtime)
    for raw in (b"", b"nothing at all"):
        path.write_bytes(raw)
        with pytest.raises(PolicyError, match="no ONNX file that can be run"):
            OnnxFile(path, runtime)


def test_a_missing_extra_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"sim2real\[deploy\]"):
        load_policy(f"onnx:{tmp_path / 'policy.onnx'}")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "sim2real.foreign.export", raising=False)
    with pytest.raises(MissingExtra, match=r"sim2real\[deploy\]"):
        importlib.import_module("sim2real.foreign.export")
