"""What a stranger types wrong costs one sentence and status 2, before any work and without any loss."""

import os
import shlex
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from sim2real.cli import main

POLICY = "furuta-nominal-0"
OUT = (
    "train furuta --steps 1",
    f"transfer {POLICY} --target combined_a",
    f"evaluate {POLICY}",
    "audit furuta",
    "parity furuta",
    "gap so101 --recordings logs",
    "recordings logs",
    "identify so101 --recordings logs",
    "close furuta --target combined_a",
    "compare furuta --targets combined_a --methods fine-tune",
    "demo",
    f"attribute {POLICY} --target combined_a",
    f"worst {POLICY}",
    "matrix furuta",
    f"layers {POLICY} --target combined_a",
    f"worth {POLICY} --target combined_a",
    "report logs",
)
WRONG = {
    "": "required: COMMAND",
    "nonsense": "invalid choice: 'nonsense'",
    # counts, seeds and durations
    "train furuta --steps -5": "-5 is not above 0",
    "train furuta --steps nan": "'nan' is not a whole number",
    "train furuta --steps 1e6": "'1e6' is not a whole number",
    "train furuta --steps 1.5k": "'1.5' is not a whole number",
    "train furuta --steps 0k": "0k is not above 0",
    "train furuta --seed -1": "-1 is not between 0 and 4294967295",
    "train furuta --seed x": "'x' is not a whole number",
    f"transfer {POLICY} --target combined_a --seed 99999999999": "is not between 0 and 4294967295",
    f"transfer {POLICY} --target combined_a --episodes 0": "0 is not above 0",
    f"transfer {POLICY} --target combined_a --seconds nan": "seconds = nan is out of reach",
    f"evaluate {POLICY} --episodes 0": "0 is not above 0",
    "audit furuta --episodes -1": "-1 is not above 0",
    "parity furuta --seconds nan": "nan s are no physics step",
    "parity furuta --seconds inf": "inf s are no physics step",
    "parity furuta --seconds -1": "-1.0 s are no physics step",
    "identify so101 --recordings logs --top-speed nan": "nan is not a finite number above 0",
    "identify so101 --recordings logs --seed -1": "-1 is not between 0",
    "close furuta --target combined_a --rounds 0": "0 is not above 0",
    "close furuta --target combined_a --budget-episodes -3": "-3 is not above 0",
    # worlds
    "train empty": "has no physics.toml",
    "train noscene": "has no scene.xml",
    "train file": "unknown world",
    "worlds file": "unknown world",
    "worlds empty": "has no physics.toml",
    "audit furutta": "did you mean 'furuta'",
    "parity ''": "has no physics.toml",
    # recordings, which a gymnasium env can't replay
    **{
        f"{command} gym:Hopper-v5 --recordings logs": "identified from; make a world of its model"
        for command in ("gap", "identify", "close")
    },
    "identify gym:Pendulum-v1 --recordings logs --check": "as an MJCF and make a world of that (sim2real new",
    "close gym:Hopper-v5 --target heavy": "in which no recording can be replayed",
    "parity gym:Hopper-v5": "in which no other engine can run; make a world of its model (sim2real new",
    # policies and what they fit
    f"transfer {POLICY}": "required: --target",
    "transfer file --target combined_a": "file is a file, and a policy a folder; of other libraries",
    "evaluate file --world furuta": "weights without a network (checkpoints of rl_games",
    "transfer empty --target combined_a": "has no policy.toml",
    "transfer sb3:their.zip --target combined_a": "sim2real import sb3:FILE.zip --world WORLD",
    "train furuta --start onnx:their.onnx": "which can be evaluated as it is",
    f"transfer {POLICY} --target combined_a --world hopper": "does not fit",
    "audit furuta --policy hopper-nominal-0": "does not fit",
    f"evaluate {POLICY} hopper-nominal-0 --variants combined_a": "does not fit",
    "train furuta --start nobody": "unknown policy to start from",
    "train furuta --start hopper-nominal-0": "does not fit",
    "close furuta --target combined_a --policy empty": "has no policy.toml",
    # engines, variants and parameters
    "train furuta --simulator bulet": "did you mean 'bullet'",
    "parity furuta --simulator nix": "unknown simulator 'nix'",
    f"evaluate {POLICY} --variants nix": "unknown variant of furuta 'nix'",
    f"transfer {POLICY} --target empty": "unknown variant of furuta 'empty'",
    f"transfer {POLICY} --target combined_a --method fine-tune:normalizer=x": "unknown normalizer handling",
    f"transfer {POLICY} --target combined_a --method fine-tune:rate=1": "unknown setting of",
    f"transfer {POLICY} --target combined_a --method fine-tune:top": "write it as NAME=VALUE",
    f"transfer {POLICY} --target combined_a --method tune": "unknown method 'tune'",
    "close furuta --target combined_a --free nix": "nix",
    "compare furuta --targets combined_a --methods tune": "unknown method 'tune'",
    "compare furuta --targets nix --methods fine-tune": "unknown variant of furuta 'nix'",
    "compare furuta --targets nominal --methods fine-tune": "'nominal' is the source",
    "compare furuta --targets combined_a --methods fine-tune --seeds 99": "lower --seeds",
    "compare furuta --targets combined_a --methods fine-tune --policies empty": "has no policy.toml",
    # files of a domain
    "train furuta --domain empty": "no domain 'empty'",
    "train furuta --domain nan.toml": "pole.mass = nan",
    "train furuta --domain broken.toml": "broken.toml is not a TOML file",
    "train furuta --domain bytes.toml": "bytes.toml",
    "gap so101 --recordings logs --physics empty": "no file empty",
    "close furuta --target nan.toml": "pole.mass = nan",
    # recordings
    "gap so101": "required: --recordings",
    "gap so101 --recordings nowhere": "no such file or folder",
    "gap so101 --recordings empty": "no recordings",
    "gap so101 --recordings file": "file",
    "recordings file": "file",
    "identify so101 --recordings file": "file",
    "close furuta --recordings nowhere": "no such file or folder",
    "close furuta --recordings logs --target combined_a": "not allowed with",
    # folders of results
    **{f"{command} --out file": "file is not a folder" for command in OUT},
    **{f"{command} --out file/below": "file is not a folder" for command in OUT},
    **{f"{command} --out /proc/nowhere": "nothing can be written into /proc" for command in OUT},
    "train furuta --steps 1 --out dangling": "dangling is not a folder",
    f"evaluate {POLICY} --require 'success at 9'": "can't be read; write METRIC >= NUMBER",
    f"evaluate {POLICY} --require 'success >= 0.9'": "names no variant; end it with 'on all'",
    f"evaluate {POLICY} --require 'worst >= 60 on combned'": "did you mean 'combined'",
    f"evaluate {POLICY} --variants combined_a --require 'worst >= 60 on structural'": "unknown variant or",
    f"evaluate {POLICY} --require 'worst >= 60 for randomized'": "unknown method",
    f"evaluate {POLICY} --baseline nominl": "did you mean 'nominal'",
    f"evaluate {POLICY} --summary gate.md": "give one of these",
    f"evaluate {POLICY} --require 'worst >= 60' --junit logs": "logs is a folder",
    f"evaluate {POLICY} --require 'worst >= 60' --junit file/gate.xml": "not a folder",
    f"evaluate {POLICY} --require 'worst >= 60' --summary /proc/nowhere/gate.md": "nothing can be written",
    "predict results.csv --simulated a --real b --json /proc/nowhere/x": "nothing can be written into /proc",
    "predict results.csv --simulated a --real b --json logs": "logs is a folder, and a file is to be written",
    f"evaluate {POLICY} --compare nix": "there is no nix to compare with",
    f"evaluate {POLICY} --compare empty": "there is no empty/episodes.parquet",
    f"evaluate {POLICY} --compare file": "not a readable Parquet",
    f"evaluate {POLICY} --out {'x' * 300}": "File name too long",
    "train furuta --steps 1 --out mine": "mine holds notes.txt, which would be lost",
    "train furuta --steps 1 --out .": "would be replaced while work goes on in it",
    "train furuta --steps 1 --out ''": "would be replaced while work goes on in it",
    f"transfer {POLICY} --target combined_a --out mine": "mine holds notes.txt, which would be lost",
}


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """A folder of things that are none of what a command asks for."""
    folder = tmp_path_factory.mktemp("things")
    for name in ("empty", "noscene", "mine", "logs"):
        (folder / name).mkdir()
    (folder / "file").write_text("precious")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "mine" / "notes.txt").write_text("precious")
    (folder / "noscene" / "physics.toml").write_text('title = "x"\ntask = "cartpole"\n')
    (folder / "nan.toml").write_text('[parameters]\n"pole.mass" = nan\n')
    (folder / "broken.toml").write_text("[[[")
    (folder / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    time = np.arange(200) * 0.02
    wave = np.sin(time)[:, None]
    arrays = {"time_us": (time * 1e6).astype(np.int64), "joints": np.array(["a"])}
    np.savez(folder / "logs" / "wave.npz", command=wave, position=wave, **arrays)
    return folder


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize(("command", "said"), WRONG.items(), ids=list(WRONG))
def test_a_mistake_costs_one_sentence_and_nothing_else(command, said, things, capsys, monkeypatch):
    monkeypatch.chdir(things)
    before = contents(things)
    try:
        status = main(shlex.split(command))
    except SystemExit as end:  # argparse's own way
        status = end.code
    told = capsys.readouterr()
    assert status == 2, told
    assert told.err.startswith("sim2real")
    assert len(told.err.splitlines()) == 1
    assert said in told.err
    assert contents(things) == before


@pytest.mark.slow
def test_a_reader_that_has_gone_is_no_mistake():
    """As in ``sim2real worlds furuta | head -1``."""
    command = [sys.executable, "-m", "sim2real", "worlds", "furuta"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.slow
def test_a_terminal_without_our_letters_gets_what_it_can_show():
    command = [sys.executable, "-m", "sim2real", "worlds", "furuta"]
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=plain, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"0.0144 \u2026" in done.stdout


@pytest.mark.slow
def test_an_interrupted_command_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "sim2real", "train", "furuta", "--out", "policy"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's background ignores it
    )
    while not list(tmp_path.rglob("events.out.tfevents*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.startswith("sim2real: interrupted; start the same command again")
    assert len(told.splitlines()) == 1
