"""The README's own code works, its files exist, and its domain is one."""

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from sim2real.cli import main
from sim2real.domain import Domain
from sim2real.tasks import TASKS
from sim2real.world import World

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run_in_an_empty_folder(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    with TASKS.aside():
        exec(compile(code, "README.md", "exec"), namespace)
    assert len(namespace) > 1


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
