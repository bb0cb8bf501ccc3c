"""What rsl_rl exports, as Isaac Lab and mjlab do: one robot's network, with its memory in or beside it."""

import numpy as np
import pytest
import torch

from sim2real.foreign import load_policy

pytest.importorskip("rsl_rl", reason="rsl_rl is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of torch's exporters
ROWS, STEPS, SIZE = 3, 6, 5


def model(kind, layers=1):
    from rsl_rl.models import MLPModel, RNNModel
    from tensordict import TensorDict

    torch.manual_seed(0)
    observation = TensorDict({"policy": torch.zeros(1, SIZE)}, batch_size=[1])
    common = (observation, {"actor": ["policy"]}, "actor", 2, [8, 8], "elu")
    if kind == "mlp":
        return MLPModel(*common, obs_normalization=True)
    return RNNModel(*common, rnn_type=kind, rnn_hidden_dim=7, rnn_num_layers=layers)


def exported(made, path):
    if path.suffix == ".pt":
        torch.jit.script(made.as_jit().to("cpu")).save(path)
        return f"torchscript:{path}"
    network = made.as_onnx(verbose=False).eval()
    torch.onnx.export(
        network,
        network.get_dummy_inputs(),
        path,
        opset_version=18,
        verbose=False,
        input_names=network.input_names,
        output_names=network.output_names,
    )
    return f"onnx:{path}"


def alone(made, seen):
    """Actions of a module of its own. Shape (steps, 2)."""
    module = torch.jit.script(made.as_jit().to("cpu"))
    with torch.no_grad():
        return np.array([module(torch.from_numpy(row[None]))[0].numpy() for row in seen])


@pytest.mark.parametrize("suffix", [".pt", ".onnx"])
@pytest.mark.parametrize(("kind", "layers"), [("mlp", 1), ("gru", 1), ("lstm", 2)])
def test_every_row_acts_as_a_robot_of_its_own(kind, layers, suffix, tmp_path, rng):
    made = model(kind, layers)
    policy = load_policy(exported(made, tmp_path / f"policy{suffix}"), trust=True)
    seen = rng.normal(size=(2 * STEPS, ROWS, SIZE)).astype(np.float32)
    state, found = policy.start(ROWS), []
    for step in range(2 * STEPS):
        if step == STEPS:
            state = policy.start(np.array([False, True, False]), state)
        action, state = policy.act(seen[step], state)
        found.append(action)
    found = np.array(found)
    np.testing.assert_allclose(found[:, 0], alone(made, seen[:, 0]), atol=1e-5)
    np.testing.assert_allclose(found[STEPS:, 1], alone(made, seen[STEPS:, 1]), atol=1e-5)
    if kind != "mlp":
        assert np.abs(found[STEPS:, 0] - alone(made, seen[STEPS:, 0])).max() > 1e-3, "there is a memory"
