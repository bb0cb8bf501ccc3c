"""The command line: quick to answer, clear about mistakes, and the whole way on a small world."""

import contextlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import sim2real
from sim2real.catalog import entries
from sim2real.cli import main
from sim2real.cli.arguments import positive
from sim2real.evaluate.episodes_file import read_episodes
from sim2real.policy import Policy

HEAVY = ("torch", "mujoco", "scipy.stats", "matplotlib", "stable_baselines3", "pyarrow", "tensorboard")


@pytest.mark.parametrize(
    "program",
    [
        "import sim2real",
        "import sim2real; sim2real.IDS; import gymnasium; gymnasium.spec('sim2real/Furuta-v0')",
        "import sim2real.cli",
        "from sim2real.cli import main\ntry: main(['--help'])\nexcept SystemExit as end: assert not end.code",
        "from sim2real.cli import IN_PYTHON, main\n"
        "for command in IN_PYTHON:\n"
        "    try: main([command, '--help'])\n"
        "    except SystemExit as end: assert not end.code",
        "from sim2real.cli import main\ntry: main(['nonsense'])\nexcept SystemExit as e: assert e.code == 2",
    ],
)
def test_loads_nothing_heavy(python, program):
    told = python(
        f"{program}\nimport sys\nprint('loaded:', [name for name in {HEAVY} if name in sys.modules])"
    )
    assert told.strip().endswith("loaded: []")


@pytest.mark.slow
def test_the_module_is_the_command():
    told = subprocess.run(
        [sys.executable, "-m", "sim2real", "worlds"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0
    assert "furuta" in told.stdout
    wrong = subprocess.run(
        [sys.executable, "-m", "sim2real", "nonsense"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2


@pytest.mark.slow
def test_lazy_names(python):
    told = python(
        "import sim2real\n"
        "print(sim2real.World.load('furuta').name, sim2real.Domain({}).names, sim2real.Policy.__name__)\n"
        "print(sim2real.Sim2RealVectorEnv.__name__)\n"
        "try: sim2real.Wold\n"
        "except AttributeError as error: print(error)"
    )
    assert told.splitlines() == [
        "furuta () Policy",
        "Sim2RealVectorEnv",
        f"module 'sim2real' has no attribute 'Wold'; it has {', '.join((*sim2real._NAMES, 'register_env'))}",
    ]


def test_installed_command_and_help(root):
    command = os.path.join(os.path.dirname(sys.executable), "sim2real")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    for name in ("worlds", "train", "transfer", "evaluate", "gap", "demo"):
        assert re.search(rf"^ +{name} ", done.stdout, re.MULTILINE)
    assert done.stderr == ""


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_worlds(capsys):
    assert run("worlds") == 0
    listed = capsys.readouterr().out
    for name in ("cartpole", "furuta", "hopper", "so101"):
        assert name in listed


def test_parameters_and_variants_of_a_world(capsys, write_world):
    assert run("worlds", write_world()) == 0
    told = capsys.readouterr().out
    for word in ("pole.mass", "0.05 … 0.2", "kg", "heavy_late", "combined", "nominal"):
        assert word in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("worlds", "furutta"),
            "sim2real: unknown world (a name, or the path of a folder) 'furutta': did you mean",
        ),
        (("train", "furutta"), "did you mean 'furuta'"),
        (
            ("train", "furuta", "--domain", "trainign"),
            "no domain 'trainign': give 'nominal', 'training' or the",
        ),
        (("train", "furuta", "--domain", "combined_a"), "held-out variants are for evaluation"),
        (("transfer", "nobody-0", "--target", "combined_a"), "unknown policy"),
        (("evaluate", "nobody-0"), "unknown policy"),
        (("gap", "so101", "--recordings", "missing"), "missing"),
        (("gap", "furuta", "--recordings", "."), ""),
    ],
)
def test_mistakes_cost_one_sentence_and_status_2(capsys, tmp_path, arguments, said):
    with contextlib.chdir(tmp_path):
        assert run(*arguments) == 2
    told = capsys.readouterr()
    assert told.err.startswith("sim2real: ")
    assert said in told.err
    assert "Traceback" not in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_thousands_and_millions_are_counted():
    assert [positive(text) for text in ("50k", "2M", "50000")] == [50_000, 2_000_000, 50_000]


@pytest.mark.parametrize("steps", ["0", "-5", "many", "1.5"])
def test_counts_are_above_zero(capsys, steps):
    with pytest.raises(SystemExit) as caught:
        run("train", "furuta", "--steps", steps)
    assert caught.value.code == 2
    assert "--steps" in capsys.readouterr().err


def test_a_domain_with_a_misspelt_parameter(capsys, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[parameters]\n"pole.mas" = 0.1\n')
    assert run("train", "furuta", "--domain", path, "--out", tmp_path / "out") == 2
    assert "did you mean 'mass'" in capsys.readouterr().err
    path.write_text('[parameters]\n"poll.mass" = { uniform = [0.1, 0.2] }\n')
    assert run("train", "furuta", "--domain", path, "--out", tmp_path / "out") == 2
    assert "did you mean 'pole.mass'" in capsys.readouterr().err
    path.write_text('[parameters]\n"pole.mass" = { uniform = [0.2, 0.1] }\n')
    assert run("train", "furuta", "--domain", path, "--out", tmp_path / "out") == 2
    assert "reversed" in capsys.readouterr().err
    path.write_text('[parameters]\n"pole.mass" = { value = 20, unit = "g" }\n')
    assert run("train", "furuta", "--domain", path, "--out", tmp_path / "out") == 2
    assert "pole.mass is given in 'g'; possible: 'kg'" in capsys.readouterr().err


@pytest.fixture
def small(write_world, pendulum_files):
    """A world that trains in a moment."""
    scene, physics = pendulum_files
    training = "[training]\nnum_envs = 8\nrollout_steps = 16\nbatch_size = 64\nepochs = 2\nhidden = [8]\n"
    return write_world(scene, physics + training)


@pytest.mark.slow
def test_the_whole_way(small, tmp_path, capsys):
    """Train, transfer, evaluate; each says what it wrote, and it is there."""
    with contextlib.chdir(tmp_path):
        for seed in (0, 1, 2):
            assert run("train", small, "--steps", "256", "--seed", seed) == 0
            assert f"wrote runs/pendulum-nominal-{seed}" in " ".join(capsys.readouterr().out.split())
        policy = Policy.load(tmp_path / "runs/pendulum-nominal-0")
        assert policy.contract.provenance[0].steps == 256
        sources = [f"runs/pendulum-nominal-{seed}" for seed in (0, 1, 2)]
        adapted = []
        for source in sources:
            given = (
                "--world",
                small,
                "--target",
                "heavy",
                "--steps",
                "4_096",
                "--method",
                "fine-tune",
                "--label",
                "tuned",
                "--remote",
            )
            assert run("transfer", source, *given) == 0
            told = " ".join(capsys.readouterr().out.split())
            assert "spent 4,096 steps = 82 s in" in told
            adapted.append(f"{source}-heavy")
            assert f"wrote {adapted[-1]}" in told
        assert (
            run("evaluate", *sources, *adapted, "--world", small, "--episodes", "3", "--out", "report") == 0
        )
        told = " ".join(capsys.readouterr().out.split())
        assert "evaluate: 0 of 6 done evaluate: 1 of 6 done, pendulum-nominal-0 evaluate: 2 of 6" in told
        assert "wrote report/report.html" in told
    report = tmp_path / "report"
    table = read_episodes(report / "episodes.parquet")
    of_tuned = table["label"] == "tuned"
    assert set(table["label"].tolist()) == {"nominal", "tuned"}
    assert set(table["seed"][of_tuned].tolist()) == {0, 1, 2}
    assert len(set(table["lineage"][of_tuned].tolist())) == 1
    assert "heavy" in table["lineage"][of_tuned][0]
    assert {"report.html", "episodes.parquet", "summary.json"} <= {path.name for path in report.iterdir()}
    assert json.loads((report / "summary.json").read_text())
    assert "heavy_late" in (report / "report.html").read_text()
    assert list(report.glob("*.png"))


def test_long_work_says_what_it_is_doing_where_no_terminal_is(tmp_path, capsys):
    assert run("audit", "cartpole", "--policy", "--episodes", "1", "--out", tmp_path / "[red]") == 0
    assert re.match(r"moving \d+ parameters to both ends …\n", capsys.readouterr().out)


def test_names_with_brackets_are_shown_as_they_are(write_world, pendulum_files, capsys):
    """To rich, [bench] and [/x] are markup: one vanishes, the other ends in an error."""
    scene, physics = pendulum_files
    odd = physics.replace('"made up"', '"a datasheet [bench] :smile: [/x]"', 1)
    assert run("worlds", write_world(scene, odd.replace("A pendulum", "A [red]pendulum[/]"))) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for text in ("[bench]", ":smile:", "[/x]", "A [red]pendulum[/]"):
        assert text in told


def test_what_no_memory_holds_gets_a_sentence(capsys, tmp_path):
    assert run("parity", "cartpole", "--seconds", "1e15", "--out", tmp_path) == 1
    assert "sim2real: not enough memory (Unable to allocate" in capsys.readouterr().err


def test_budgets_that_buy_nothing(small, tmp_path, capsys):
    assert run("train", small, "--steps", "128", "--out", tmp_path / "p") == 0
    capsys.readouterr()
    command = ("transfer", tmp_path / "p", "--world", small, "--target", "heavy", "--out", tmp_path / "q")
    assert run(*command, "--seconds", "-1") == 2
    assert "seconds = -1 is out of reach; give more than 0" in capsys.readouterr().err
    assert run(*command, "--steps", "100") == 1
    assert "100 steps don't pay for 2560: 1 rounds of 16 rows" in capsys.readouterr().err
    assert run(*command, "--method", "fine-tune", "--steps", "100") == 1
    assert "100 steps don't pay for one update" in capsys.readouterr().err
    assert run(*command, "--method", "fine-tune:normalizer=forzen") == 2
    assert "did you mean 'frozen'" in capsys.readouterr().err
    command = ("transfer", tmp_path / "p", "--world", small, "--out", tmp_path / "q")
    assert run(*command, "--target", "hevy") == 2
    assert "did you mean 'heavy'" in capsys.readouterr().err
    assert not (tmp_path / "q").exists()


def test_the_log_doctor_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    time = np.arange(400) * 0.02
    motion = np.sin(np.outer(time, [1.0, 1.7]))
    arrays = {"time_us": (time * 1e6).astype(np.int64), "joints": np.array(["a", "b"])}
    (tmp_path / "logs").mkdir()
    late = np.concatenate([motion[:1]] * 4 + [motion[:-4]])
    np.savez(tmp_path / "logs" / "wave.npz", command=motion, position=late, **arrays)
    assert main(["recordings", "logs", "--out", "seen"]) == 0
    assert (tmp_path / "seen" / "recordings.html").is_file()
    motion[100] = np.nan
    np.savez(tmp_path / "logs" / "wave.npz", command=motion, position=motion, **arrays)
    assert main(["recordings", "logs", "--out", "seen"]) == 1
    assert "BAD_DATA" in capsys.readouterr().out
    assert main(["recordings", "nowhere"]) == 2


@pytest.mark.slow
def test_policies_are_listed_by_kind_and_shown_by_name(capsys):
    assert main(["policies"]) == 0
    told = capsys.readouterr().out
    for name in entries("policies"):
        assert f"{name.rpartition('-')[0]}-SEED" in told
    assert main(["policies", "hopper"]) == 0
    told = capsys.readouterr().out
    assert "hopper-nominal-SEED" in told
    assert "furuta" not in told
    assert main(["policies", "furuta-nominal-0"]) == 0
    assert "sim2real evaluate furuta-nominal-0" in capsys.readouterr().out
    assert main(["policies", "nobody-0"]) == 2
    assert "unknown policy" in capsys.readouterr().err
