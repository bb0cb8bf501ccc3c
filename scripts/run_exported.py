"""Run an exported policy in a control loop, with onnxruntime alone or numpy alone: a file to copy to a robot.

    sim2real export furuta-nominal-0 --onnx policy.onnx --npz policy.npz
    python run_exported.py policy.onnx     # needs numpy and onnxruntime
    python run_exported.py policy.npz      # needs numpy
    python scripts/run_exported.py --quick # needs sim2real, which exports a policy first

Put your robot into ``sense`` and ``drive``. Normalizer, clipping and history are in the file; what it
remembers begins with zeros in each episode. Printed: the rate reached as a share of 500 Hz, and how long an
action takes.
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

OPERATORS = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Sum": lambda *x: sum(x),
    "Gemm": lambda x, weight, bias: x @ weight + bias, "MatMul": np.matmul, "Clip": np.clip,
    "Concat": lambda *x, axis: np.concatenate(x, axis), "Slice": lambda x, a, b, _: x[:, a[0] : b[0]],
    "Identity": np.copy, "Greater": np.greater, "Where": np.where, "Tile": np.tile, "Expand": np.broadcast_to,
    "Shape": lambda x, start, end: np.array(x.shape[start:end]), "Tanh": np.tanh,
    "Sigmoid": lambda x: 0.5 * np.tanh(0.5 * x) + 0.5, "Relu": lambda x: np.maximum(x, 0),
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), "Softplus": lambda x: np.logaddexp(x, 0),
    "LeakyRelu": lambda x, alpha: np.where(x > 0, x, alpha * x),
    "Gelu": lambda x: x * (0.5 + 0.5 * np.vectorize(math.erf)(x * math.sqrt(0.5))),
}  # fmt: skip


Arrays = dict[str, np.ndarray]
Loaded = tuple[Callable[[Arrays], Arrays], dict[str, int], dict[str, str]]  # run, inputs' sizes, metadata


def with_numpy(path: str) -> Loaded:
    held = dict(np.load(path))
    graph = json.loads(str(held.pop("graph")))

    def run(given: Arrays) -> Arrays:
        values = {**held, **given}
        for operator, inputs, output, attributes in graph["nodes"]:
            values[output] = OPERATORS[operator](*(values[name] for name in inputs), **attributes)
        return values

    return run, graph["inputs"], graph["metadata"]


def with_onnxruntime(path: str) -> Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    names = [value.name for value in session.get_outputs()]
    inputs = {value.name: value.shape[1] for value in session.get_inputs()}
    metadata = session.get_modelmeta().custom_metadata_map
    return lambda given: dict(zip(names, session.run(names, given), strict=True)), inputs, metadata


def episode(loaded: Loaded, sense: Callable, drive: Callable, rate: float, seconds: float) -> list[float]:
    """Act at a rate in Hz; returns how long each action took, and last how long it all took, s."""
    run, inputs, _ = loaded
    memory = {name: np.zeros((1, inputs[name]), np.float32) for name in inputs if name != "observation"}
    took, begin = [], time.perf_counter()
    for step in range(1, round(rate * seconds) + 1):
        seen, now = np.asarray(sense(), np.float32)[None], time.perf_counter()
        given = run({"observation": seen, **memory})
        memory = {name: given[f"{name.removesuffix('_in')}_out"] for name in memory}
        took.append(time.perf_counter() - now)
        drive(given["action"][0])
        time.sleep(max(0.0, begin + step / rate - time.perf_counter()))
    return [*took, time.perf_counter() - begin]


if __name__ == "__main__":
    path = sys.argv[1]
    if path == "--quick":
        from sim2real.cli import main

        path = f"{tempfile.mkdtemp()}/policy.npz"
        main(["export", "furuta-nominal-0", "--npz", path])
    loaded = (with_numpy if path.endswith(".npz") else with_onnxruntime)(path)
    _, inputs, told = loaded
    rng = np.random.default_rng(0)
    sense, drive = lambda: rng.standard_normal(inputs["observation"]), lambda action: None  # your robot
    print(f"observes {told['observation_names']}\ndrives {told['action_names']} every {told['control_dt']} s")
    *took, whole = episode(loaded, sense, drive, 500.0, 4.0)
    us = f"{1e6 * np.median(took):.0f} us, at worst {1e6 * max(took):.0f} us"
    print(f"{len(took) / whole / 500:.3f} of 500 Hz; an action takes {us}")
