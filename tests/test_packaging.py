"""What a user gets: the sdist, the wheel built from it, and that wheel in a fresh environment."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CATALOGUES = ("envs", "policies")


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command that must succeed, without the checkout on its path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist as an index would, with the build tools of this venv."""
    dist = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, ROOT, cwd=dist)
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def fresh_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment that has the wheel, and shares only the requirements."""
    place = tmp_path_factory.mktemp("fresh")
    # pip is not needed inside: the one of this venv installs from outside.
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    (site,) = place.glob("lib/python*/site-packages")
    # A path named in a .pth file does not have its own .pth files read, so the editable install of
    # this checkout stays out while the installed requirements are seen.
    (site / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--python", python, "install")
    run(*pip, "--quiet", "--no-index", "--no-deps", wheel, cwd=place)
    return python


def project_files(*folders: str) -> list[str]:
    """Files that git tracks or would track in some folders; every file where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:
        paths = (path for folder in folders for path in (ROOT / folder).rglob("*"))
        names = [path.relative_to(ROOT).as_posix() for path in paths]
    return sorted(name for name in names if (ROOT / name).is_file())


@pytest.mark.slow
def test_one_top_level_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    (metadata,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops == {"sim2real", metadata}
    assert "sim2real/py.typed" in names
    assert f"{metadata}/licenses/LICENSE" in names


@pytest.mark.slow
def test_catalogues_are_complete(wheel: Path) -> None:
    expected = project_files(*CATALOGUES)
    assert any(name.endswith("physics.toml") for name in expected)
    with zipfile.ZipFile(wheel) as archive:
        for name in expected:
            assert archive.read(f"sim2real/_catalog/{name}") == (ROOT / name).read_bytes(), name


@pytest.mark.slow
def test_nothing_else_is_shipped(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    catalogue = {f"sim2real/_catalog/{name}" for name in project_files(*CATALOGUES)}
    assert shipped == catalogue | set(project_files("sim2real"))


@pytest.mark.slow
def test_import_elsewhere(fresh_python: Path, tmp_path: Path) -> None:
    where = run(fresh_python, "-c", "import sim2real; print(sim2real.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(fresh_python.parents[1])


@pytest.mark.slow
def test_command_finds_its_worlds(fresh_python: Path, tmp_path: Path) -> None:
    listed = run(fresh_python.parent / "sim2real", "worlds", cwd=tmp_path)
    worlds = [path.parent.name for path in ROOT.glob("envs/*/physics.toml")]
    assert worlds
    assert [world for world in worlds if world not in listed] == []
