"""Run an exported policy in a control loop, with onnxruntime alone or numpy alone: a file to copy to a robot.

    sim2real export furuta-nominal-0 --onnx policy.onnx --npz policy.npz
    python run_exported.py policy.onnx  # needs numpy and onnxruntime; policy.npz needs numpy

Put your robot into ``sense`` and ``drive``. Normalizer, clipping and history are in the file.
"""

import json
import math
import sys
import time
from collections.abc import Callable

import numpy as np

OPERATORS = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Sum": lambda *x: sum(x),
    "Gemm": lambda x, weight, bias: x @ weight + bias, "MatMul": np.matmul, "Clip": np.clip,
    "Concat": lambda *x, axis: np.concatenate(x, axis), "Slice": lambda x, a, b, _: x[:, a[0] : b[0]],
    "Identity": np.copy, "Tanh": np.tanh, "Sigmoid": lambda x: 0.5 * np.tanh(0.5 * x) + 0.5,
    "Relu": lambda x: np.maximum(x, 0), "LeakyRelu": lambda x, alpha: np.where(x > 0, x, alpha * x),
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), "Softplus": lambda x: np.logaddexp(x, 0),
    "Gelu": lambda x: x * (0.5 + 0.5 * np.vectorize(math.erf)(x * math.sqrt(0.5))),
}  # fmt: skip


def load(path: str) -> tuple:
    """What gives arrays by name for arrays by name, the sizes of its inputs, and the file's metadata."""
    if path.endswith(".npz"):
        held = dict(np.load(path))
        graph = json.loads(str(held.pop("graph")))

        def run(given: dict) -> dict:
            values = {**held, **given}
            for operator, inputs, output, attributes in graph["nodes"]:
                values[output] = OPERATORS[operator](*(values[name] for name in inputs), **attributes)
            return values

        return run, graph["inputs"], graph["metadata"]
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names, told = [v.name for v in session.get_outputs()], session.get_modelmeta().custom_metadata_map
    inputs = {v.name: v.shape[1] for v in session.get_inputs()}
    return lambda given: dict(zip(names, session.run(names, given), strict=True)), inputs, told


def episode(loaded: tuple, sense: Callable, drive: Callable, rate: float, seconds: float) -> list[float]:
    """Act at a rate in Hz, from a memory of zeros; what each action took, and last what all took, s."""
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

        main(["export", "furuta-nominal-0", "--npz", path := "runs/policy.npz"])
    loaded = load(path)
    sense, drive = lambda: np.ones(loaded[1]["observation"]), lambda action: None  # your robot
    *took, whole = episode(loaded, sense, drive, 500.0, 4.0)
    us = f"{1e6 * np.median(took):.0f} us, at worst {1e6 * max(took):.0f} us"
    print(f"{len(took) / whole / 500:.3f} of 500 Hz; an action takes {us}: {loaded[2]['action_names']}")
