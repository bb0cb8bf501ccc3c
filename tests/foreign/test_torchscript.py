import copy

import numpy as np
import pytest
import torch
from torch import nn

from sim2real.errors import PolicyError
from sim2real.foreign import load_policy
from sim2real.foreign.torchscript import TorchScript

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit")
STEPS, ROWS, SIZE = 8, 5, 3


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(SIZE, 4), nn.Tanh(), nn.Linear(4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class OneRow(Plain):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[0] == 1
        return self.net(x)


class Lstm(nn.Module):
    """As Isaac Gym's exporter writes it: the memory is in buffers for one robot."""

    def __init__(self):
        super().__init__()
        self.memory, self.actor = nn.LSTM(SIZE, 4, 2), nn.Linear(4, 2)
        self.register_buffer("hidden_state", torch.zeros(2, 1, 4))
        self.register_buffer("cell_state", torch.zeros(2, 1, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, (h, c) = self.memory(x.unsqueeze(0), (self.hidden_state, self.cell_state))
        self.hidden_state[:] = h
        self.cell_state[:] = c
        return self.actor(out.squeeze(0))

    @torch.jit.export
    def reset_memory(self):
        self.hidden_state[:] = 0.0
        self.cell_state[:] = 0.0


class Past(Plain):
    """Remembers what it saw in a buffer of rows, which an assignment replaces."""

    def __init__(self):
        super().__init__()
        self.register_buffer("past", torch.ones(1, SIZE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.past = 0.5 * self.past + x
        return self.net(self.past)


class Counting(Plain):
    """Remembers the step beside a buffer, which no batch can begin anew for some rows."""

    steps: int

    def __init__(self):
        super().__init__()
        self.register_buffer("past", torch.zeros(1, SIZE))
        self.steps = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.past = self.past + x
        self.steps += 1
        return self.net(self.past) / self.steps


class Hidden(Plain):
    """Remembers in a plain attribute."""

    def __init__(self):
        super().__init__()
        self.past = torch.zeros(1, SIZE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.past = self.past + x
        return self.net(self.past)


def alone(module, seen, anew):
    """Actions of a copy for every row, each begun again where ``anew`` says it."""
    actions = np.zeros((*seen.shape[:2], 2), np.float32)
    for row in range(seen.shape[1]):
        own = copy.deepcopy(module)
        for step in range(len(seen)):
            if anew[step, row]:
                own = copy.deepcopy(module)
            with torch.no_grad():
                actions[step, row] = own(torch.from_numpy(seen[step, row : row + 1]))[0]
    return actions


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        (Plain, "batch"),
        (OneRow, "single"),
        (Lstm, "batch"),
        (Past, "batch"),
        (Counting, "copies"),
        (Hidden, "copies"),
    ],
)
def test_rows_act_as_modules_of_their_own(kind, way, tmp_path, rng):
    torch.manual_seed(0)
    module = torch.jit.script(kind())
    module.save(tmp_path / "policy.pt")
    actor = TorchScript(tmp_path / "policy.pt")
    seen = rng.normal(size=(STEPS, ROWS, SIZE)).astype(np.float32)
    anew = rng.random((STEPS, ROWS)) < 0.2
    for _ in range(2):  # the second time after others have acted
        state, found = actor.start(ROWS), []
        for step in range(STEPS):
            state = actor.start(anew[step], state)
            action, state = actor.act(seen[step], state)
            found.append(action)
        np.testing.assert_allclose(np.array(found), alone(module, seen, anew), atol=1e-5)
    assert actor.way == way


def test_the_humanoids_memory_is_run_in_one_batch(strangers, rng):
    file = strangers / "h1" / "motion.pt"
    policy = load_policy(f"h1=torchscript:{file}", trust=True)
    seen = rng.normal(size=(STEPS, ROWS, 41)).astype(np.float32)
    modules = [torch.jit.load(file) for _ in range(ROWS)]
    state = policy.start(ROWS)
    for step in range(STEPS):
        if step == 4:
            state = policy.start(np.arange(ROWS) == 2, state)
            modules[2].reset_memory()
        action, state = policy.act(seen[step], state)
        with torch.no_grad():
            truth = [
                m(torch.from_numpy(row[None]))[0].numpy() for m, row in zip(modules, seen[step], strict=True)
            ]
        np.testing.assert_allclose(action, truth, atol=1e-5)
    assert policy.label == "h1"
    assert policy.actor.way == "batch"


def test_it_is_not_loaded_without_trust(tmp_path):
    (tmp_path / "policy.pt").write_bytes(b"not even read")
    with pytest.raises(PolicyError, match=r"can run code.*--trust"):
        load_policy(f"torchscript:{tmp_path / 'policy.pt'}")


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "policy.pt"
    for raw in (b"", b"nothing"):
        path.write_bytes(raw)
        with pytest.raises(PolicyError, match="no TorchScript"):
            load_policy(f"torchscript:{path}", trust=True)
    with pytest.raises(PolicyError, match="no TorchScript"):
        load_policy(f"torchscript:{tmp_path / 'none.pt'}", trust=True)


def test_observations_of_another_size_are_told(tmp_path):
    torch.jit.script(Plain()).save(tmp_path / "policy.pt")
    policy = load_policy(f"torchscript:{tmp_path / 'policy.pt'}", trust=True)
    with pytest.raises(
        PolicyError, match=r"fails on observations of shape \(1, 7\): .*mat1 and mat2"
    ) as told:
        policy.act(np.zeros((2, 7), np.float32))
    assert len(str(told.value)) < 400


def test_weights_without_a_network_are_called_so(tmp_path):
    """Torch's own words are that the file is corrupted."""
    torch.save({"model": {"mu.weight": torch.zeros(1, 2)}}, tmp_path / "Ant.pth")
    with pytest.raises(PolicyError, match=r"no TorchScript .* \(it holds weights without a network"):
        load_policy(f"torchscript:{tmp_path / 'Ant.pth'}", trust=True)
