"""The README's own code works, its files exist, and its domain is one."""

import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from sim2real.audit import AuditSettings
from sim2real.cli import main
from sim2real.domain import Domain
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.worst_case import Search
from sim2real.identify.options import Options
from sim2real.learn.settings import settings_for
from sim2real.parameters import CHANNELS
from sim2real.pipelines.close import CloseSettings
from sim2real.pipelines.worst import WorstSettings
from sim2real.recordings import Recording, write_npz
from sim2real.tasks import TASKS
from sim2real.world import World

Twin = Callable[..., list[Recording]]
ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


LONG = [code for code in blocks("python") if "sim2real.close(" in code or "sim2real.train(" in code]


@pytest.mark.slow
@pytest.mark.parametrize("code", [code for code in blocks("python") if code not in LONG])
def test_python_blocks_run_in_an_empty_folder(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    with TASKS.aside(), CHANNELS.aside():
        exec(compile(code, "README.md", "exec"), namespace)
    assert len(namespace) > 1


@pytest.mark.slow
@pytest.mark.parametrize("code", LONG)
def test_long_python_blocks_run_with_shorter_training(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twin: Twin
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["sim2real"])
    monkeypatch.delenv("DISPLAY", raising=False)
    logs = tmp_path / "path" / "to" / "recordings"
    for recording in twin("furuta", {"pole.mass": 0.03}, count=4, seconds=2.0):
        write_npz(recording, logs / f"{recording.name}.npz")
    short = {
        "seed=0)": "seed=0, settings=settings_for(world, True, total_steps=2048))",
        'out="runs/identified")': 'out="runs/identified", options=few)',
        'out="runs/closed")': 'out="runs/closed", settings=CloseSettings(2048, 1, (), Trials(4), few))',
        "audit_world(world)": "audit_world(world, AuditSettings(policies=[policy], episodes=1))",
        '"training").case': '"training", settings=WorstSettings(Search(1, 4, episodes=4, fresh=16))).case',
        '"combined_a").causes': '"combined_a", sim2real.Trials(2)).causes',
    }
    kinds = (AuditSettings, CloseSettings, Search, Trials, WorstSettings, settings_for)
    names = {each.__name__: each for each in kinds}
    names["few"] = Options(free=("pole.mass",), generations=3)
    for whole, part in short.items():
        code = code.replace(whole, part)
    exec(compile(code, "README.md", "exec"), names)
    assert "runs" in {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_a_robot_of_ones_own_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (shell,) = [block for block in blocks("sh") if "sim2real new my_robot" in block and "python -c" in block]
    first, *commands = map(shlex.split, shell.splitlines())
    assert first[:2] == ["python", "-c"]
    exec(first[2])
    with TASKS.aside():
        for _, command, *words in commands:
            few = ["--steps", "256"] if command == "train" else []
            assert main([command, *words, *few]) == 0


@pytest.mark.slow
def test_an_env_of_others_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (shell,) = [block for block in blocks("sh") if "--gym" in block]
    few = {"evaluate": ["--episodes", "2"], "train": ["--steps", "4096"]}
    for _, command, *words in map(shlex.split, shell.splitlines()):
        assert main([command, *words, *few.get(command, [])]) == 0


@pytest.mark.slow
def test_a_policy_of_others_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    (python,) = [block for block in blocks("python") if "theirs.zip" in block]
    exec(compile(python, "README.md", "exec"), {})
    (shell,) = [block for block in blocks("sh") if "theirs.zip" in block]
    few = {"evaluate": ["--episodes", "2"], "transfer": ["--steps", "2000"], "play": ["--seconds", "0.1"]}
    for _, command, *words in map(shlex.split, shell.splitlines()):
        fine = (0, 1) if command == "play" else (0,)  # 1 where nothing can be drawn
        assert main([command, *words, *few.get(command, [])]) in fine
    assert {"tuned.onnx", "tuned.npz"} <= {path.name for path in tmp_path.iterdir()}


def test_the_env_in_the_readme_is_a_world(tmp_path: Path) -> None:
    (text,) = [block for block in blocks("toml") if "[env]" in block]
    (tmp_path / "physics.toml").write_text(text)
    world = World.load(tmp_path)
    assert list(world.variants) == ["nominal", "heavy", "late"]
    assert world.training_domain.names == ("torso.mass", "foot_joint.latency", "obs_1.noise")


def test_the_domain_in_the_readme_fits_furuta_and_survives_a_round_trip() -> None:
    (text,) = [block for block in blocks("toml") if "[correlation]" in block]
    domain = World.load("furuta").domain(tomllib.loads(text))
    assert Domain.from_toml(domain.to_toml()) == domain


@pytest.mark.slow
def test_the_gate_for_ci_is_read_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As GitHub would: the steps of the job, with fewer episodes."""
    (text,) = [block for block in blocks("yaml") if "sim2real evaluate" in block]
    workflow = yaml.safe_load(text)
    assert workflow[True] == ["push"]  # YAML 1.1 reads `on` as true, and so does GitHub's own schema
    steps = workflow["jobs"]["gate"]["steps"]
    assert [step["uses"].partition("@")[0] for step in steps if "uses" in step] == [
        "actions/checkout",
        "actions/setup-python",
    ]
    install, gate, tell = (step["run"] for step in steps if "run" in step)
    assert install == "pip install sim2real"
    assert steps[-1]["if"] == "always()"  # the summary also of a gate that is not met
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(gate)
    assert program == "sim2real"
    assert main([*words, "--episodes", "8"]) in (0, 1, 3)
    junit = ElementTree.parse("gate.xml").getroot()
    assert len(junit.findall(".//testcase")) == words.count("--require")
    assert shlex.split(tell)[1] == "gate.md"
    assert "success >= 0.8 on combined" in Path("gate.md").read_text("utf-8").replace("\\", "")


def test_links_lead_to_files() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("envs/*/README.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page}: {link}"


def test_commands_in_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    shell = next(block for block in blocks("sh") if "sim2real worlds" in block)
    for command in re.findall(r"^sim2real (\w+)", shell, flags=re.MULTILINE):
        with pytest.raises(SystemExit) as end:
            main([command, "--help"])
        assert end.value.code == 0
        assert command in capsys.readouterr().out
