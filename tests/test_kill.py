"""After ``kill -9`` at any moment, and on a full disk, what was there is whole, and the next run ends well.

Every command that writes is killed in the middle and towards the end of a run over an older result, finds no
room for another, and is then started again.
"""

import io
import json
import multiprocessing
import subprocess
import sys
import time
import tomllib

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.numpy import load_file

from sim2real.cli import main
from sim2real.policy import Policy
from sim2real.recordings.npz import write_npz

SHARES = (0.6, 0.95)
"""Of a run's time at which it is killed; most writing is done at the end."""

TRAINING = """
[training]
total_steps = 1024
num_envs = 8
rollout_steps = 16
batch_size = 64
epochs = 1
hidden = [8]
"""

COMMANDS = {
    "train": "train {world} --out {out}/mine",
    "transfer": "transfer {policy} --world {world} --target heavy --method fine-tune --steps 2100 "
    "--out {out}/mine",
    "evaluate": "evaluate {policy} --world {world} --variants nominal heavy --episodes 4 --out {out}",
    "audit": "audit {world} --out {out}",
    "parity": "parity {world} --seconds 0.1 --out {out}",
    "gap": "gap {world} --recordings {logs} --out {out}",
    "recordings": "recordings {logs} --world {world} --out {out}",
    "identify": "identify {world} --recordings {logs} --free slider.damping --out {out}",
    "close": "close {world} --recordings {logs} --policy {policy} --free slider.damping --steps 1024 "
    "--episodes 4 --variants nominal --out {out}",
}


@pytest.fixture
def places(tmp_path, write_world, pendulum_files, twin, name):
    """A small world, recordings of it, where results go, and a policy of it where the command takes one."""
    if name == "parity":
        pytest.importorskip("pybullet")
    world = write_world(physics=pendulum_files[1] + TRAINING)
    logs, out = tmp_path / "logs", tmp_path / "out"
    for recording in twin(str(world), {"slider.damping": 0.2}, count=2, seconds=3.0):
        write_npz(recording, logs / f"{recording.name}.npz")
    policy = tmp_path / "pendulum-nominal-0"
    if "{policy}" in COMMANDS[name]:
        assert main(["train", str(world), "--out", str(policy)]) == 0
    return {"world": world, "policy": policy, "logs": logs, "out": out, "told": tmp_path / "told.txt"}


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["sim2real.pipelines.close", "sim2real.parity.measure"])
"""Processes that begin with the library imported, which takes longer than what most commands do here."""

PROGRAM = """
import os, resource, sys
from sim2real.cli import main
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
os.dup2(os.open({told!r}, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
sys.exit(main({arguments!r}))
"""


def start(command, places, room=-1):
    """The process of a command, none of whose files may grow beyond so many bytes; -1 is no limit."""
    arguments = [part.format(**places) for part in command.split()]
    program = PROGRAM.format(told=str(places["told"]), arguments=arguments, room=room)
    process = FORKS.Process(target=exec, args=(program, {}))
    process.start()
    return process


def run(command, places):
    """Seconds of a run that ends well."""
    begun = time.monotonic()
    process = start(command, places)
    process.join(timeout=300)
    assert process.exitcode in GOOD, places["told"].read_text()
    return time.monotonic() - begun


GOOD = (0, 11, 12, 13, 14)
"""Verdicts of a fit are no failure of the command."""


def results(out):
    """Every file of a result that a user sees, by name; unreadable ones raise."""
    found = {}
    for path in sorted(out.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(out).parts):
            check_whole(path)
            found[str(path.relative_to(out))] = path.read_bytes()
    return found


def check_whole(path):
    content = path.read_bytes()
    if path.suffix == ".json":
        json.loads(content)
    elif path.suffix == ".toml":
        tomllib.loads(content.decode())
    elif path.suffix == ".parquet":
        assert pq.read_table(io.BytesIO(content)).num_rows
    elif path.suffix == ".html":
        assert content.rstrip().endswith(b"</html>"), path
    elif path.suffix == ".png":
        Image.open(io.BytesIO(content)).load()
    elif path.suffix == ".safetensors":
        assert all(np.isfinite(array).all() for array in load_file(path).values())
    elif path.suffix == ".npz":
        np.load(io.BytesIO(content), allow_pickle=False)
    if path.name == "policy.toml":
        Policy.load(path.parent)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_and_a_full_disk_lose_nothing(name, places):
    command, out = COMMANDS[name], places["out"]
    run("worlds", places)  # the first process of all also waits for the imports
    seconds = run(command, places)
    before = results(out)
    assert before
    for share in SHARES:
        process = start(command, places)
        time.sleep(share * seconds)
        process.kill()
        process.join()
        assert set(results(out)) >= set(before), "a file of the old result is gone"
    process = start(command, places, room=2500)
    process.join(timeout=300)
    assert process.exitcode == 1
    assert "; make room, or choose another folder, and start again" in places["told"].read_text()
    assert set(results(out)) >= set(before)
    run(command, places)
    assert set(results(out)) >= set(before)


@pytest.mark.slow
def test_a_folder_is_there_at_every_moment(tmp_path, root):
    """A thousand looks while it is replaced, and a kill at the end of each round."""
    folder = tmp_path / "policy"
    program = (
        "import sys; from pathlib import Path; from sim2real.files import replace_folder\n"
        "while True: replace_folder(sys.argv[1], lambda new: (new / 'data').write_text('x' * 1000))"
    )
    folder.mkdir()
    (folder / "data").write_text("x" * 1000)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", program, str(folder)], cwd=root)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert len((folder / "data").read_text()) == 1000
        process.kill()
        process.wait()
        assert len((folder / "data").read_text()) == 1000
