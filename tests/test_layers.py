"""Who may import whom: the layer table of the house, checked by parsing every import of `sim2real`.

A room is a module or package directly under ``sim2real/``. It may import rooms of higher rows,
and its own modules; not its neighbours in the row, nor what stands below.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

PACKAGE = Path(__file__).resolve().parents[1] / "sim2real"

ROWS = (
    ("errors",),
    (
        "interface",
        "files",
        "documents",
        "pages",
        "contents",
        "draws",
        "distributions",
        "process",
        "registry",
        "reach",
    ),
    ("parameters", "catalog", "arrays", "io_table", "plain"),
    ("domain", "policy", "recordings", "kept"),
    ("world",),
    ("simulators", "tasks", "channels", "doctor"),
    ("env",),
    ("checker", "single_env", "episodes", "gather", "replay", "foreign", "fingerprint"),
    ("audit",),
    ("randomize", "wrappers", "identify", "learn", "scaffold"),
    ("evaluate", "parity"),
    ("transfer", "playback"),
    ("report",),
    ("pipelines",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
ROW_OF = {room: number for number, row in enumerate(ROWS) for room in row}

# Learning draws its physics from the randomization, which stands in the same row.
ALLOWED_NEIGHBOURS = {("learn", "randomize")}

# Evaluation takes anything that acts and knows no method, though methods stand above it.
FORBIDDEN_ABOVE = {("evaluate", "learn"), ("evaluate", "identify")}

ENGINES = {"mujoco", "pybullet", "mujoco_warp", "warp"}
LEARNERS = {"torch", "stable_baselines3", "rsl_rl"}
FORBIDDEN_LIBRARIES = {
    "interface": ENGINES | LEARNERS,
    "tasks": ENGINES | LEARNERS,  # a task runs on any simulator, on numpy and on torch arrays
    "channels": ENGINES | LEARNERS,
    "policy": ENGINES | LEARNERS,  # a policy runs on a robot, without torch
    "recordings": ENGINES | LEARNERS,
    "doctor": ENGINES | LEARNERS,
    "audit": LEARNERS,
    "evaluate": LEARNERS,
}

# What `import sim2real` and `sim2real --help` must not wait for.
HEAVY = {"torch", "stable_baselines3", "mujoco", "matplotlib", "scipy.stats", "pyarrow"}


def imported_names(module: ast.Module) -> Iterator[str]:
    """Dotted names that a module imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import: write it out, `from sim2real.x import y`"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    """Room of a file, given relative to the package."""
    return path.parts[0].removesuffix(".py")


def imported_room(name: str) -> str | None:
    """Room that a dotted name leads to, or None when it is somebody else's."""
    parts = name.split(".")
    if parts[0] != "sim2real":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in ROW_OF else "__init__"


def may_import(room: str, other: str) -> bool:
    """Whether the table lets ``room`` import ``other``."""
    if room == other or (room, other) in ALLOWED_NEIGHBOURS:
        return True
    return ROW_OF[other] < ROW_OF[room] and (room, other) not in FORBIDDEN_ABOVE


def violations(path: Path, source: str) -> list[str]:
    """What a file imports against the table; ``path`` is relative to the package."""
    room = room_of(path)
    if room not in ROW_OF:
        return [f"{path}: '{room}' has no layer: add it to ROWS in tests/test_layers.py"]
    found = []
    for name in imported_names(ast.parse(source)):
        other = imported_room(name)
        if other is not None and not may_import(room, other):
            found.append(f"{path}: {room} may not import {other} ({name})")
        elif name.split(".")[0] in FORBIDDEN_LIBRARIES.get(room, set()):
            found.append(f"{path}: {room} must do without {name.split('.')[0]}")
    return found


def test_layers() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    found = [
        violation
        for file in files
        for violation in violations(file.relative_to(PACKAGE), file.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("errors.py", "from sim2real.parameters import Parameter", "may not import parameters"),
        ("tasks/hopper.py", "from sim2real.simulators import mujoco", "may not import simulators"),
        ("tasks/hopper.py", "def f():\n    import mujoco.batch", "must do without mujoco"),
        ("evaluate/gap.py", "import sim2real.learn.lean_ppo", "may not import learn"),
        ("evaluate/gap.py", "from sim2real import transfer", "may not import transfer"),
        ("domain.py", "from sim2real import policy", "may not import policy"),
        ("policy/network.py", "from torch import nn", "must do without torch"),
        ("env.py", "from sim2real import __version__", "may not import __init__"),
        ("env.py", "if TYPE_CHECKING:\n    import sim2real.cli", "may not import cli"),
        ("utils/misc.py", "import numpy", "add it to ROWS in tests/test_layers.py"),
    ],
)
def test_planted_violation_is_found(file: str, line: str, complaint: str) -> None:
    (found,) = violations(Path(file), line)
    assert complaint in found


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("tasks/hopper.py", "from sim2real.tasks.rewards import tolerance"),
        ("learn/lean_ppo.py", "from sim2real.randomize import uniform"),
        ("transfer/finetune.py", "from sim2real.evaluate.rollouts import run_policies"),
        ("cli.py", "def main():\n    import torch, sim2real.transfer"),
        ("__main__.py", "from sim2real.cli import main"),
        ("policy/network.py", "from sim2realistic import torch_like"),
    ],
)
def test_rightful_import_passes(file: str, line: str) -> None:
    assert violations(Path(file), line) == []


def module_of(file: Path) -> str:
    """Dotted name of a file of the package; a folder's is its ``__init__``."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def run_time(source: str) -> ast.Module:
    """A module without its ``if TYPE_CHECKING:`` blocks."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return tree


def circles(sources: Mapping[str, str]) -> list[list[str]]:
    """Modules that import each other, directly or through others, also inside functions.

    What only a type checker imports never runs, and makes no circle.
    """
    number = {name: k for k, name in enumerate(sources)}
    graph = np.zeros((len(number), len(number)), dtype=bool)
    for name, source in sources.items():
        for imported in imported_names(run_time(source)):
            parent = imported.rpartition(".")[0]
            target = imported if imported in number else parent
            if target in number and target != name:
                graph[number[name], number[target]] = True
    _, labels = connected_components(graph, directed=True, connection="strong")
    groups = [[name for name, label in zip(number, labels, strict=True) if label == k] for k in set(labels)]
    return [group for group in groups if len(group) > 1]


def test_no_module_imports_itself_by_way_of_others() -> None:
    sources = {module_of(f): f.read_text(encoding="utf-8") for f in sorted(PACKAGE.rglob("*.py"))}
    assert circles(sources) == []


def test_planted_circle_is_found() -> None:
    sources = {
        "sim2real.a": "from sim2real.b import x",
        "sim2real.b": "def f():\n    from sim2real import c",
        "sim2real.c": "import sim2real.a",
        "sim2real.d": "from sim2real.a import y",
    }
    assert circles(sources) == [["sim2real.a", "sim2real.b", "sim2real.c"]]


@pytest.mark.parametrize("module", ["sim2real", "sim2real.cli"])
def test_import_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
