"""How long, wide and deep the code may grow; run as a script, it prints where the code stands.

The numbers are those of the best code in this field. Who needs more room says why in the commit
that changes `BUDGETS`, the only place where they stand.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]

BUDGETS = {
    "file lines, median": 200,
    "file lines, max": 500,
    "function lines, median": 8,
    "function lines, p95": 40,
    "function lines, max": 60,
    "parameters, max": 6,
    "public names, max": 6,
    "folder depth, max": 2,
    "silencers per 1000 lines": 1,
    "prints outside cli": 0,
    "repeats between neighbours": 0,
}
MANY_NAMES = (
    "errors.py",
    "interface.py",
    "transfer/methods/fine_tuning.py",
)  # one class per mistake, seam, preset
# the envs' constructors, whose arguments are the options of `gymnasium.make`
MANY_PARAMETERS = ("env.py __init__",)
REPEAT = 6  # lines that two tasks, or two simulators, may not have in common
SILENCER = re.compile(r"#\s*(type:\s*ignore|noqa|pyright:|mypy:|ruff:)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A parsed source file; ``name`` is its path below the package, with slashes."""

    name: str
    source: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        return self.source.splitlines()


@dataclass(frozen=True)
class Reading:
    """A measured value and the place that has it, where one place is to blame."""

    value: float
    place: str = ""


def module(name: str, source: str) -> Module:
    return Module(name, source, ast.parse(source))


def read_package() -> list[Module]:
    package = ROOT / "sim2real"
    return [
        module(path.relative_to(package).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(package.rglob("*.py"))
    ]


def functions(modules: list[Module]) -> Iterator[tuple[str, Function]]:
    for mod in modules:
        for node in ast.walk(mod.tree):
            if isinstance(node, Function):
                yield f"{mod.name}:{node.lineno} {node.name}", node


def function_lines(node: Function) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is None:
        return total
    docstring = node.body[0]
    return total - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def parameter_count(node: Function) -> int:
    args = node.args
    named = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    extra = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return len([arg for arg in named if arg.arg not in ("self", "cls")]) + len(extra)


def public_names(mod: Module) -> int:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return sum(isinstance(node, definitions) and node.name[0] != "_" for node in mod.tree.body)


def comments(mod: Module) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(mod.source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def prints(mod: Module) -> int:
    calls = (node for node in ast.walk(mod.tree) if isinstance(node, ast.Call))
    return sum(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)


def repeats(modules: list[Module]) -> Iterator[str]:
    """Pairs of neighbours, two tasks or two simulators, that share a run of code lines."""
    for room in ("tasks/", "simulators/"):
        neighbours = [mod for mod in modules if mod.name.startswith(room)]
        runs = {mod.name: code_runs(mod) for mod in neighbours}
        for one, other in combinations(runs, 2):
            if shared := runs[one] & runs[other]:
                yield f"{one} and {other} at {min(shared)[0]!r}"


def code_runs(mod: Module) -> set[tuple[str, ...]]:
    """Every run of REPEAT code lines; signatures are left out, since the protocol dictates them."""
    docstrings = {
        line
        for node in ast.walk(mod.tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = (line.strip() for n, line in enumerate(mod.lines, 1) if n not in docstrings)
    idle = ("#", "import ", "from ", "def ")
    code = [line for line in lines if re.search(r"\w", line) and not line.startswith(idle)]
    return {tuple(code[i : i + REPEAT]) for i in range(len(code) - REPEAT + 1)}


def largest(sizes: Iterable[tuple[int, str]]) -> Reading:
    return Reading(*max(sizes))


def measure(modules: list[Module]) -> dict[str, Reading]:
    """Readings under the keys of BUDGETS, and the two that are only printed."""
    total = sum(len(mod.lines) for mod in modules)
    files = [mod for mod in modules if not mod.name.endswith("__init__.py")] or modules
    file_sizes = [len(mod.lines) for mod in files]
    defs = list(functions(modules))
    sizes = [function_lines(node) for _, node in defs]
    notes = [(mod.name, comment) for mod in modules for comment in comments(mod)]
    silencers = [name for name, comment in notes if SILENCER.match(comment)]
    printing = [mod.name for mod in modules if not mod.name.startswith("cli/") and prints(mod)]
    repeated = list(repeats(modules))
    return {
        "file lines, median": Reading(float(np.median(file_sizes))),
        "file lines, max": largest((len(mod.lines), mod.name) for mod in files),
        "function lines, median": Reading(float(np.median(sizes))),
        "function lines, p95": Reading(float(np.percentile(sizes, 95))),
        "function lines, max": largest((function_lines(node), name) for name, node in defs),
        "parameters, max": largest(
            (parameter_count(node), name)
            for name, node in defs
            if re.sub(r":\d+", "", name) not in MANY_PARAMETERS
        ),
        "public names, max": largest(
            (public_names(mod), mod.name) for mod in files if mod.name not in MANY_NAMES
        ),
        "folder depth, max": largest((mod.name.count("/"), mod.name) for mod in modules),
        "silencers per 1000 lines": Reading(1000 * len(silencers) / total, ", ".join(silencers)),
        "prints outside cli": Reading(len(printing), ", ".join(printing)),
        "repeats between neighbours": Reading(len(repeated), ", ".join(repeated)),
        "comments per 100 lines": Reading(100 * len(notes) / total),
        "test lines per line": Reading(test_lines() / total),
    }


def test_lines() -> int:
    return sum(len(path.read_text("utf-8").splitlines()) for path in ROOT.glob("tests/**/*.py"))


test_lines.__test__ = False  # a measurement, not a test


def over_budget(readings: dict[str, Reading]) -> list[str]:
    return [
        f"{name}: {readings[name].value:.1f} (budget {limit}) {readings[name].place}"
        for name, limit in BUDGETS.items()
        if readings[name].value > limit
    ]


def test_budgets() -> None:
    assert over_budget(measure(read_package())) == []


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 60
BLOCK = "\n".join(f"value_{i} = {i}" for i in range(REPEAT))


@pytest.mark.parametrize(
    ("broken", "sources"),
    [
        ("file lines, max", {"a.py": "x = 1\n" * 501 + "def f(): ..."}),
        ("function lines, max", {"a.py": LONG_FUNCTION}),
        ("parameters, max", {"a.py": "def f(a, b, c, d, *, e, f, **g): ..."}),
        ("public names, max", {"a.py": "\n".join(f"def f{i}(): ..." for i in range(7))}),
        ("folder depth, max", {"tasks/a/b/c.py": "def f(): ..."}),
        ("silencers per 1000 lines", {"a.py": "def f(): ...  # type: ignore[misc]"}),
        ("prints outside cli", {"a.py": "def f():\n    print('loud')"}),
        (
            "repeats between neighbours",
            {"tasks/a.py": f"def f(): ...\n{BLOCK}", "tasks/b.py": f"def g(): ...\n{BLOCK}"},
        ),
    ],
)
def test_planted_excess_is_found(broken: str, sources: dict[str, str]) -> None:
    readings = measure([module(name, source) for name, source in sources.items()])
    assert any(complaint.startswith(broken) for complaint in over_budget(readings))


def test_code_within_budget_passes() -> None:
    source = '"""Says "# noqa" in a text."""\n\n\nclass A:\n    def f(self, a, b, c, d, e, f): ...'
    assert over_budget(measure([module("cli/a.py", f"{source}\nprint(A)")])) == []


def main() -> None:
    for name, reading in measure(read_package()).items():
        limit = f"<= {BUDGETS[name]}" if name in BUDGETS else "(not asserted)"
        print(f"{name:28} {reading.value:7.1f}  {limit:14} {reading.place}")


if __name__ == "__main__":
    main()
