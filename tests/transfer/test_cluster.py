"""Cells on a Dask or Ray cluster: the same as here, whoever dies, and a sentence where there is none."""

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.errors import InvalidValue
from sim2real.evaluate.rollouts import Trials
from sim2real.policy import Policy
from sim2real.registry import load_module
from sim2real.transfer.cluster import connected
from sim2real.transfer.compare import Design, compare
from sim2real.transfer.methods import METHODS
from sim2real.transfer.target import Budget
from sim2real.world import World

WORLD = World.load("cartpole")
POLICIES = Policy.shipped("cartpole", "nominal")
DESIGN = {
    "targets": ("combined_a",),
    "budget": Budget(steps=400),
    "variants": (),
    "trials": Trials(4),
    "jobs": 1,
}

OWN = """
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sim2real.transfer.methods import Card, register_method


@register_method("weaker")
@dataclass(frozen=True)
class Weaker:
    card: ClassVar[Card] = Card("gives a little less than the policy did")

    def __call__(self, case):
        case.target.reset()
        case.target.step(np.zeros((case.target.num_envs, 1), np.float32))
        return replace(case.policy, weights={k: a * np.float32(0.9) for k, a in case.policy.weights.items()})
"""

KINDS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("dask", "ray")]


def needed(kind):
    return pytest.importorskip({"dask": "distributed", "ray": "ray"}[kind])


@contextmanager
def cluster(kind):
    """The address of a Dask cluster that is started for the run, or of a Ray head that is there."""
    needed(kind)
    if kind == "dask":
        yield "dask"
        return
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    head = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=1"]
    head += ["--port=0", "--min-worker-port=0", "--max-worker-port=0", f"--ray-client-server-port={port}"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*head, "--include-dashboard=false"], stdout=quiet, stderr=quiet) as process:
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.2)
            yield f"ray://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.mark.parametrize("kind", KINDS)
def test_cells_on_a_cluster_bring_back_what_they_do_here(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    Path("own.py").write_text(OWN)
    with METHODS.aside(), cluster(kind) as address:
        methods = {"weaker": load_module("own.py").Weaker()}
        here, there = (
            compare(WORLD, POLICIES[:1], methods, Design(**DESIGN, imports=("own.py",), cluster=place))
            for place in (None, address)
        )
    assert not there.failures
    for (cell, done), (other, expected) in zip(there.done, here.done, strict=True):
        assert cell.name == other.name
        assert done.spent == expected.spent
        np.testing.assert_equal(done.episodes, expected.episodes)


@pytest.mark.parametrize("kind", KINDS)
def test_death_loses_no_call_and_counts_none_twice_and_a_deadly_call_is_given_up(kind, tmp_path):
    """Call 1 ends every worker that it is given to; another worker is killed in the middle of its call."""
    needed(kind)

    def call(number):
        mark = tmp_path / f"{number}-{os.getpid()}"
        mark.touch()
        if number == 1:
            os._exit(1)
        time.sleep(1.0)
        mark.with_suffix(".end").touch()
        return number

    def others():
        return [mark for mark in tmp_path.iterdir() if mark.name[0] != "1" and not mark.suffix]

    def kill_one():
        while not ended.wait(0.02):
            for mark in others():
                if not mark.with_suffix(".end").exists():
                    os.kill(int(mark.name.split("-")[1]), signal.SIGKILL)
                    return True
        return False

    ended = threading.Event()
    with connected(kind, 2) as cluster, ThreadPoolExecutor() as aside:
        killed = aside.submit(kill_one)
        try:
            found = list(cluster.outcomes(call, {k: (k,) for k in range(5)}))
        finally:
            ended.set()
    assert killed.result()
    assert len(others()) > 4  # what was lost was run once more
    assert sorted(number for number, _ in found) == list(range(5))
    assert all(outcome == number for number, outcome in found if number != 1)
    assert "the workers that ran it died" in dict(found)[1]


@pytest.mark.slow
def test_calls_that_wait_while_another_ends_workers_run_once(tmp_path):
    needed("dask")

    def call(number):
        (tmp_path / f"{number}-{os.getpid()}").touch()
        if number % 3 == 1:
            os._exit(1)
        return number

    with connected("dask", 1) as cluster:
        found = dict(cluster.outcomes(call, {k: (k,) for k in range(6)}))
    assert {k: outcome for k, outcome in found.items() if k % 3 != 1} == {0: 0, 2: 2, 3: 3, 5: 5}
    ran = [mark.name[0] for mark in tmp_path.iterdir()]
    assert {k: ran.count(str(k)) for k in range(6)} == {0: 1, 1: 4, 2: 1, 3: 1, 4: 4, 5: 1}


def answered(address):
    """What a cluster makes of a few calls."""
    with connected(address) as cluster:
        return dict(cluster.outcomes(lambda x: math.sqrt(x), {0: (16.0,), 1: (-1.0,), 2: (4.0,)}))


def test_dask_scheduler_of_ones_own():
    distributed = needed("dask")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address=":0",
        silence_logs=50,
    ) as cluster:
        outcomes = answered(cluster.scheduler_address.replace("tcp", "dask"))
    assert (outcomes[0], outcomes[2]) == (4.0, 2.0)
    assert "the cluster lost it (ValueError" in outcomes[1]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("dask://127.0.0.1:{free}", "no Dask scheduler answers at 127.0.0.1:"),
        ("dask://127.0.0.1", "is no cluster; write dask://HOST:PORT"),
        ("ray://127.0.0.1:{free}", "no Ray cluster answers at 127.0.0.1:"),
        ("spark://127.0.0.1:8786", "is no cluster; write dask://HOST:PORT"),
        ("127.0.0.1:8786", "is no cluster; write dask://HOST:PORT"),
    ],
)
def test_address_that_does_not_answer_costs_one_sentence(address, says, capsys, tmp_path):
    if address.endswith("{free}"):
        needed(address.partition(":")[0])
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


@pytest.mark.slow
def test_cluster_without_workers_is_refused(monkeypatch):
    distributed = needed("dask")
    monkeypatch.setattr("sim2real.transfer.cluster._WORKERS", 1)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as empty,
        pytest.raises(InvalidValue, match="has no worker"),
    ):
        answered(empty.scheduler_address.replace("tcp", "dask"))
