"""Cells on a Dask cluster: the same as here, whoever dies, and a sentence where there is no cluster."""

import dataclasses
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.errors import InvalidValue
from sim2real.evaluate.rollouts import Trials
from sim2real.policy import Policy
from sim2real.registry import load_module
from sim2real.transfer.compare import Design, compare
from sim2real.transfer.methods import METHODS
from sim2real.transfer.target import Budget
from sim2real.world import World

distributed = pytest.importorskip("distributed")

WORLD = World.load("cartpole")
POLICIES = Policy.shipped("cartpole", "nominal")

OWN = """
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from sim2real.transfer.methods import Card, register_method


@register_method("slow")
@dataclass(frozen=True)
class Slow:
    card: ClassVar[Card] = Card("takes its time, and says where it begins and ends")
    marks: str = ""
    deadly: int = -1

    def __call__(self, case):
        marks = Path(self.marks)
        mark = marks / f"{case.seed}-{os.getpid()}-{time.monotonic_ns()}"
        mark.touch()
        if case.seed == self.deadly:
            os._exit(1)
        case.target.reset()
        for _ in range(10):
            case.target.step(np.zeros((case.target.num_envs, 1), np.float32))
            time.sleep(0.1)
        weights = {key: array * np.float32(0.9) for key, array in case.policy.weights.items()}
        mark.with_suffix(".end").touch()
        return replace(case.policy, weights=weights, name="slow")
"""


@pytest.fixture(scope="module")
def cluster():
    """Two workers on this machine, each in a process of its own that is started again if it dies."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as made:
        yield made


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A method in a file, and a folder in which it marks its runs."""
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    marks = tmp_path / "marks"
    marks.mkdir()
    with METHODS.aside():
        yield load_module("own.py").Slow, marks


def design(cluster):
    at = None if cluster is None else cluster.scheduler_address.replace("tcp", "dask")
    return Design(("combined_a",), Budget(steps=400), (), Trials(4), imports=("own.py",), cluster=at)


def begun(marks):
    return [path for path in marks.iterdir() if path.suffix != ".end"]


def numbers(found):
    return [dataclasses.replace(row, cost={}) for row in found.rows]


@pytest.mark.slow
def test_death_of_a_worker_loses_no_cell_and_counts_none_twice(cluster, own, tmp_path):
    slow, marks = own
    methods = {"slow": slow(str(marks))}
    ended = threading.Event()

    def kill_one():
        while not ended.wait(0.02):
            for mark in begun(marks):
                if not mark.with_suffix(".end").exists():
                    os.kill(int(mark.name.split("-")[1]), signal.SIGKILL)
                    return True
        return False

    policies = [dataclasses.replace(p, contract=dataclasses.replace(p.contract, seed=7)) for p in POLICIES]
    policies = [*POLICIES, policies[0]]
    with ThreadPoolExecutor() as aside:
        killed = aside.submit(kill_one)
        try:
            found = compare(WORLD, policies, methods, design(cluster), tmp_path / "out")
        finally:
            ended.set()
    assert killed.result()
    assert len(begun(marks)) > len(policies)  # what was lost was run once more
    assert not found.failures
    assert found.row("combined_a", "slow").seeds == (0, 1, 2, 7)
    assert len(found.done) == 2 * len(policies)
    lines = []
    here = compare(WORLD, policies, methods, design(None), None, lines.append)
    assert numbers(found) == numbers(here)
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 2 * len(policies)


@pytest.mark.slow
def test_cell_that_ends_every_worker_is_named_and_left_out(cluster, own):
    slow, marks = own
    found = compare(WORLD, POLICIES, {"slow": slow(str(marks), deadly=1)}, design(cluster))
    assert found.row("combined_a", "slow").seeds == (0, 2)
    ((name, why),) = found.failures.items()
    assert name == "combined_a slow seed 1"
    assert "the workers that ran it died" in why
    assert np.isfinite(found.row("combined_a", "slow").score["target"].value)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("dask://127.0.0.1:{free}", "no Dask scheduler answers at 127.0.0.1:"),
        ("dask://127.0.0.1", "is no cluster; write dask://HOST:PORT"),
        ("ray://127.0.0.1:8786", "is no cluster; write dask://HOST:PORT"),
        ("127.0.0.1:8786", "is no cluster; write dask://HOST:PORT"),
    ],
)
def test_address_that_does_not_answer_costs_one_sentence(address, says, capsys, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        at = address.format(free=taken.getsockname()[1])
        command = ["compare", "cartpole", "--targets", "combined_a", "--methods", "averaged", "--variants"]
        begun = time.monotonic()
        assert main([*command, "--cluster", at, "--budget", "400", "--out", str(tmp_path / "out")]) == 2
    assert time.monotonic() - begun < 20  # seconds, on a machine that has other work
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_cluster_without_workers_is_refused(monkeypatch):
    monkeypatch.setattr("sim2real.transfer.cluster._WORKERS", 1)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as empty,
        pytest.raises(InvalidValue, match="has no worker"),
    ):
        compare(WORLD, POLICIES, ["averaged"], design(empty))
