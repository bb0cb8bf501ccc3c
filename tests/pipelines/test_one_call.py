"""What a command does is one call: the same numbers, and the same files in a folder if one is given."""

import json

import pytest

import sim2real
from sim2real.audit import AuditSettings
from sim2real.catalog import catalog
from sim2real.cli import main
from sim2real.errors import InvalidValue
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.worst_case import Search
from sim2real.pipelines.agreement import MatrixSettings
from sim2real.pipelines.causes import SensitivitySettings
from sim2real.pipelines.worst import WorstSettings
from sim2real.transfer.compare import Design
from sim2real.transfer.target import Budget

POLICY, WORLD = "cartpole-nominal-0", "cartpole"
RANGES = {"parameters": {"pole.mass": {"uniform": [0.1, 0.4]}, "cart.mass": {"uniform": [0.5, 2.0]}}}
SEARCH = Search(1, episodes=2, fresh=4)
CALLS = {
    "audit": lambda out: sim2real.audit_world(WORLD, AuditSettings(episodes=2, policies=()), out),
    "attribute": lambda out: sim2real.attribute(WORLD, [POLICY], "combined_a", Trials(2), out),
    "sensitivity": lambda out: sim2real.sensitivity(
        WORLD, [POLICY], "ranges.toml", out, SensitivitySettings(8, Trials(2))
    ),
    "worst": lambda out: sim2real.worst(
        WORLD, [POLICY], "ranges.toml", out, WorstSettings(SEARCH, grid={"pole.mass": 2, "cart.mass": 2})
    ),
    "matrix": lambda out: sim2real.matrix(
        [WORLD], [POLICY], [], ["nominal", "combined_a"], out, MatrixSettings(Trials(2))
    ),
    "compare": lambda out: sim2real.compare(
        WORLD, [POLICY], ["zero-shot"], Design(("combined_a",), Budget(64), (), Trials(2)), out
    ),
}
COMMANDS = {
    "audit": f"audit {WORLD} --episodes 2 --policy",
    "attribute": f"attribute {POLICY} --target combined_a --episodes 2",
    "sensitivity": f"attribute {POLICY} --domain ranges.toml --samples 8 --episodes 2",
    "worst": f"worst {POLICY} --domain ranges.toml --generations 1 --episodes 2 --fresh 4 "
    "--map pole.mass:2 cart.mass:2",
    "matrix": f"matrix {WORLD} --policies {POLICY} --domains nominal combined_a --episodes 2",
    "compare": f"compare {WORLD} --policies {POLICY} --targets combined_a --methods zero-shot --budget 64 "
    "--tries 2 --jobs 1 --variants",
}
FILES = {
    "audit": {"audit.json", "audit.png"},
    "attribute": {"attribution.json", "waterfall.png"},
    "sensitivity": {"sensitivity.json", "sensitivity.png"},
    "worst": {"worst.json", "worst.toml", "map.json", "map.png"},
    "matrix": {"matrix.parquet", "matrix.png"},
    "compare": {"compare.html", "compare.json", "compare.parquet", "compare.png"},
}


def numbers(folder):
    """All that its JSON files tell but who asked, and how long it took."""
    told = {path.name: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}
    for row in told.get("compare.json", {}).get("rows", ()):
        row["cost"].pop("cpu_seconds")
    told.get("compare.json", {}).pop("facts", None)
    return told


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_call_is_the_command(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sim2real.Domain.from_toml(RANGES).save(tmp_path / "ranges.toml")
    assert main([*COMMANDS[name].split(), "--out", "typed"]) == 0
    assert "typed" in capsys.readouterr().out
    CALLS[name](tmp_path / "called")
    for folder in ("typed", "called"):
        assert {path.name for path in (tmp_path / folder).iterdir() if path.is_file()} == FILES[name]
    assert numbers(tmp_path / "typed") == numbers(tmp_path / "called")
    assert not capsys.readouterr().out


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sim2real.Domain.from_toml(RANGES).save(tmp_path / "ranges.toml")
    for name in ("audit", "attribute"):
        CALLS[name](None)
    assert [path.name for path in tmp_path.iterdir()] == ["ranges.toml"]


@pytest.mark.parametrize("call", [sim2real.attribute, sim2real.sensitivity, sim2real.worst])
def test_no_policies_are_refused(call):
    with pytest.raises(InvalidValue, match="name at least one"):
        call(WORLD, [], "combined_a")


def test_a_prediction_is_the_commands(tmp_path):
    rows = ["policy,simulated,real", *(f"p{k},0.{k}5,0.{9 - k}" for k in range(1, 9))]
    (tmp_path / "results.csv").write_text("\n".join(rows))
    words = ["predict", str(tmp_path / "results.csv"), "--simulated", "simulated", "--real", "real"]
    assert main([*words, "--json", str(tmp_path / "typed.json")]) == 0
    sim2real.predict(tmp_path / "results.csv", ["simulated"], "real", out=tmp_path / "called.json")
    assert (tmp_path / "typed.json").read_text() == (tmp_path / "called.json").read_text()


@pytest.mark.slow
def test_worlds_and_policies_may_be_folders(tmp_path):
    """As paths, which are what `Path.glob` and a training's own folder give."""
    world, policy = catalog("envs") / WORLD, catalog("policies") / POLICY
    trials = Trials(1)
    assert len(sim2real.evaluate(world, [policy], ["combined_a"], trials).table["return"]) == 2
    assert sim2real.attribute(world, [policy], "combined_a", trials).causes
    assert sim2real.matrix([world], [policy], [], ["nominal", "combined_a"], None, MatrixSettings(trials))
    design = Design(("combined_a",), Budget(64), (), trials)
    assert [row.method for row in sim2real.compare(world, [policy], ["zero-shot"], design).rows] == [
        "zero-shot"
    ]
