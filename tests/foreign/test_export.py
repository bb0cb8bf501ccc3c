"""Exported files act as the policy does, in onnxruntime where it is installed and in onnx's own evaluator."""

import dataclasses
import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.errors import InvalidValue, PolicyError
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.foreign import export, load_policy
from sim2real.foreign.export import export_policy
from sim2real.foreign.onnx import OnnxFile
from sim2real.interface import Signal
from sim2real.policy import Contract, Layer, Network, Policy
from sim2real.policy.kinds import ACTIVATIONS
from sim2real.world import World

RUNTIMES = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name)]
OBSERVATIONS, ACTIONS = 5, 2


def made(*layers, weights, **contract):
    signals = [tuple(Signal(f"{what}{k}", "1") for k in range(n)) for what, n in (("o", 5), ("a", 2))]
    network = Network(
        tuple(Layer(n, k, tuple(i.split()), *x) for n, k, i, *x in layers), {"action": layers[-1][0]}
    )
    rng = np.random.default_rng(0)
    arrays = {
        key: rng.uniform(0.5, 1.0, shape) if key.endswith("std") else 0.5 * rng.standard_normal(shape)
        for key, shape in weights.items()
    }
    described = Contract("furuta", "furuta", 0, "made", *signals, 0.01, 0, (), {}, **contract)
    return Policy(described, network, {key: array.astype(np.float32) for key, array in arrays.items()})


POLICIES = {
    "every kind that is no activation": lambda: made(
        ("normal", "normalize", "observation"),
        ("clipped", "clip", "normal", 1.5),
        ("first", "gru", "clipped"),
        ("second", "gru", "first"),
        ("third", "lstm", "second"),
        ("trunk", "dense", "third"),
        ("lora", "low_rank", "third", 0.7),
        ("added", "sum", "trunk lora"),
        ("beside", "concat", "added clipped"),
        ("scaled", "affine", "beside"),
        ("out", "dense", "scaled"),
        weights={
            "normal.mean": 5, "normal.std": 5, "first.weight_ih": (9, 5), "first.weight_hh": (9, 3),
            "first.bias_ih": 9, "first.bias_hh": 9, "second.weight_ih": (12, 3), "second.weight_hh": (12, 4),
            "second.bias_ih": 12, "second.bias_hh": 12, "third.weight_ih": (16, 4),
            "third.weight_hh": (16, 4), "third.bias_ih": 16, "third.bias_hh": 16,
            "trunk.weight": (6, 4), "trunk.bias": 6,
            "lora.A": (2, 4), "lora.B": (6, 2), "scaled.scale": 11, "scaled.shift": 11, "out.weight": (2, 11),
            "out.bias": 2,
        },
    ),
    "history": lambda: made(
        ("out", "dense", "history"), weights={"out.weight": (2, 19), "out.bias": 2}, history=3
    ),
    "history of one": lambda: made(
        ("out", "dense", "history"), weights={"out.weight": (2, 5), "out.bias": 2}, action_limit=0.5
    ),
    "context": lambda: made(
        ("both", "concat", "observation context"),
        ("out", "dense", "both"),
        weights={"out.weight": (2, 8), "out.bias": 2, "context": 3},
        context=tuple(Signal(f"c{k}", "1") for k in range(3)),
    ),
    **{
        name: lambda name=name: made(
            ("hidden", "dense", "observation"),
            ("bent", name, "hidden"),
            ("out", "dense", "bent"),
            weights={"hidden.weight": (7, 5), "hidden.bias": 7, "out.weight": (2, 7), "out.bias": 2},
        )
        for name in ACTIVATIONS
    },
}  # fmt: skip


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", list(POLICIES))
def test_it_acts_as_numpy_does(name, runtime, tmp_path, rng):
    policy = POLICIES[name]()
    assert export_policy(policy, tmp_path / "policy.onnx") < 1e-5
    file = OnnxFile(tmp_path / "policy.onnx", runtime)
    mine, others = policy.start(7), file.start(7)
    for step in range(12):
        anew = rng.random(7) < 0.2
        if step:
            mine, others = policy.start(anew, mine) if mine is not None else None, file.start(anew, others)
        seen = 2 * rng.standard_normal((7, OBSERVATIONS)).astype(np.float32)
        wanted, mine = policy.act(seen, mine)
        found, others = file.act(seen, others)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.mean(np.abs(wanted) < 1) > 0


@pytest.fixture(scope="module")
def script(request):
    """The example that is copied to a robot."""
    path = request.config.rootpath / "scripts" / "run_exported.py"
    spec = importlib.util.spec_from_file_location("run_exported", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", list(POLICIES))
def test_the_example_acts_as_the_policy_in_an_episode(script, name, tmp_path, rng):
    policy = POLICIES[name]()
    export_policy(policy, tmp_path / "policy.npz")
    files = ["policy.npz"]
    if "onnxruntime" in RUNTIMES:
        export_policy(policy, tmp_path / "policy.onnx")
        files.append("policy.onnx")
    for file in files:
        seen, done = 2 * rng.standard_normal((20, OBSERVATIONS)).astype(np.float32), []
        loaded = script.load(str(tmp_path / file))
        taken = script.episode(loaded, iter(seen).__next__, done.append, 1e5, 20 / 1e5)
        assert len(taken) == 21
        state = policy.start(1)
        for observation, action in zip(seen, done, strict=True):
            wanted, state = policy.act(observation[None], state)
            np.testing.assert_allclose(action, wanted[0], atol=1e-5)
        assert loaded[2]["observation_names"] == "o0,o1,o2,o3,o4"


def test_the_example_needs_nothing_of_this_package(script, tmp_path):
    path = tmp_path / "policy.npz"
    export_policy(Policy.load("furuta-nominal-0"), path)
    code = (
        "import sys, runpy\n"
        "sys.modules.update(dict.fromkeys(('sim2real', 'torch', 'onnx', 'onnxruntime'), None))\n"
        f"sys.argv = ['run_exported.py', {str(path)!r}]\n"
        "import numpy, time; time.sleep = lambda seconds: None\n"
        f"runpy.run_path({script.__file__!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of 500 Hz" in done.stdout


def test_its_metadata_are_the_contract(tmp_path):
    policy = Policy.load("furuta-nominal-0")
    export_policy(policy, tmp_path / "policy.onnx")
    for runtime in RUNTIMES:
        file = OnnxFile(tmp_path / "policy.onnx", runtime)
        assert file.contract == policy.contract
        assert file.metadata["observation_names"].split(",") == [s.name for s in policy.contract.observation]
        assert float(file.metadata["control_dt"]) == policy.contract.control_dt


def test_what_is_exported_is_evaluated_as_what_it_comes_from(tmp_path, capsys):
    path = tmp_path / "policy.onnx"
    assert main(["export", "furuta-nominal-0", "--onnx", str(path)]) == 0
    assert "on 1000 observations" in capsys.readouterr().out
    ours, exported = Policy.load("furuta-nominal-0"), load_policy(f"again=onnx:{path}")
    table = run_policies(World.load("furuta"), [ours, exported], ["nominal"], Trials(4))
    one, other = table["return"].reshape(2, 4)
    np.testing.assert_allclose(other, one, rtol=1e-3)
    assert exported.label == "again"
    with pytest.raises(PolicyError, match=r"does not fit this env.*world: 'furuta' against 'hopper'"):
        run_policies(World.load("hopper"), [exported], ["nominal"], Trials(1))


def test_an_export_that_acts_otherwise_is_not_written(tmp_path, monkeypatch):
    policy = Policy.load("furuta-nominal-0")
    other = dataclasses.replace(policy, weights={k: v + 0.01 for k, v in policy.weights.items()})
    graph = export._Graph
    monkeypatch.setattr(export, "_Graph", lambda _: graph(other))
    with pytest.raises(PolicyError, match="nothing was written"):
        export_policy(policy, tmp_path / "policy.onnx")
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InvalidValue, match=r"neither \.onnx nor \.npz"):
        export_policy(Policy.load("furuta-nominal-0"), tmp_path / "policy.pt")
