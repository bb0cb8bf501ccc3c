"""What it costs that a network is a graph: `Policy.act` beside its formula written out, and beside torch.

    python scripts/bench_policy.py
    python scripts/bench_policy.py --quick

The three take turns, each turn in the opposite order, so that what else the machine does hits all of them
alike; ratios are medians over turns. Above 1 the graph is the faster.
"""

import argparse
import os
from collections.abc import Callable
from time import process_time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from sim2real.policy import Policy, as_feedforward, num_layers

WORLDS = ("furuta", "hopper", "quadruped")
ROWS = (1, 64, 4096)
TURNS = 21

Act = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def written_out(policy: Policy) -> Act:
    """The same network as a plain loop over its layers, in blocks of 8 rows, as the graph runs it."""
    weights, layers = policy.weights, num_layers(policy.weights, "actor")
    clip = as_feedforward(policy.network, weights)[1]

    def act(observation: NDArray[np.float32]) -> NDArray[np.float32]:
        x = (observation - weights["normalizer.mean"]) / weights["normalizer.std"]
        rows = np.clip(x, -clip, clip)
        x = np.zeros((-(-len(rows) // 8) * 8, rows.shape[1]), dtype=np.float32)
        x[: len(rows)] = rows
        x = x.reshape(-1, 8, rows.shape[1])
        for k in range(layers):
            x = x @ weights[f"actor.{k}.weight"].T + weights[f"actor.{k}.bias"]
            x = np.tanh(x) if k < layers - 1 else x
        return np.clip(x.reshape(-1, x.shape[-1])[: len(rows)], -1.0, 1.0)

    return act


def in_torch(policy: Policy) -> Act:
    """The same network of torch's modules, on one thread."""
    weights, layers = policy.weights, num_layers(policy.weights, "actor")
    clip = as_feedforward(policy.network, weights)[1]
    mean, std = (torch.from_numpy(weights[f"normalizer.{name}"]) for name in ("mean", "std"))
    network = torch.nn.Sequential()
    for k in range(layers):
        network.append(torch.nn.Linear(*weights[f"actor.{k}.weight"].shape[::-1]))
        arrays = {name: torch.from_numpy(weights[f"actor.{k}.{name}"]) for name in ("weight", "bias")}
        network[-1].load_state_dict(arrays)
        if k < layers - 1:
            network.append(torch.nn.Tanh())

    @torch.no_grad()
    def act(observation: NDArray[np.float32]) -> NDArray[np.float32]:
        x = ((torch.from_numpy(observation) - mean) / std).clamp(-clip, clip)
        return np.asarray(network(x).clamp(-1.0, 1.0).numpy())

    return act


def timed(acts: list[Act], observation: NDArray[np.float32], calls: int) -> NDArray[np.float64]:
    """Seconds of the processor for a call. Shape (TURNS, len(acts))."""
    seconds = np.empty((TURNS, len(acts)))
    for turn in range(TURNS):
        for k in range(len(acts))[:: 1 if turn % 2 else -1]:
            start = process_time()
            for _ in range(calls):
                acts[k](observation)
            seconds[turn, k] = (process_time() - start) / calls
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the quickest form, to see that it runs")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    columns = ("world", "rows", "µs a batch", "formula / graph", "torch / graph")
    table = Table(*columns, title="acting by the graph")
    for world in WORLDS:
        policy = Policy.load(f"{world}-nominal-0")
        acts: list[Act] = [lambda seen, p=policy: p.act(seen)[0], written_out(policy), in_torch(policy)]
        for rows in ROWS:
            size = (rows, len(policy.contract.observation))
            observation = np.random.default_rng(0).normal(size=size).astype(np.float32)
            wanted = [act(observation) for act in acts]
            np.testing.assert_array_equal(wanted[0], wanted[1])
            np.testing.assert_allclose(wanted[0], wanted[2], atol=1e-5)
            seconds = timed(acts, observation, 1 if quick else max(4000 // rows, 8))
            ratios = np.median(seconds[:, 1:] / seconds[:, :1], axis=0)
            figures = (f"{1e6 * np.median(seconds[:, 0]):.0f}", *(f"{ratio:.2f}" for ratio in ratios))
            table.add_row(world, str(rows), *figures)
    Console().print(table)


if __name__ == "__main__":
    main()
