"""The public names: what they are, what they cost, and what a user's type checker makes of them."""

import copy
import functools
import importlib.metadata
import inspect
import pickle
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import sim2real
from sim2real.cli import _parser, main
from sim2real.errors import UnknownName

OWN = [name for name in dir(sim2real) if not name.startswith("_")]


@pytest.mark.parametrize("name", OWN)
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(sim2real, name)
    if name not in ("IDS", "METHODS"):
        assert callable(found)
        assert (inspect.getdoc(found) or "").strip()


def test_the_version_is_that_of_the_package() -> None:
    assert sim2real.__version__ == importlib.metadata.version("sim2real")


@pytest.mark.parametrize("name", sim2real._CALLABLE)
def test_a_package_is_also_the_function_of_its_name(name: str) -> None:
    package = vars(sim2real)[name]
    assert isinstance(package, ModuleType)
    function = sim2real._load(name)
    assert inspect.signature(package) == inspect.signature(function)
    assert inspect.getdoc(function) in inspect.getdoc(package)
    assert str(inspect.signature(function)) in pydoc.render_doc(package)
    assert pickle.loads(pickle.dumps(package)) is package
    assert copy.deepcopy(package) is package
    assert package.__path__, "its modules can be imported as ever"


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", "import sim2real.transfer.target", "from sim2real import transfer"])
def test_a_package_can_be_called_whatever_was_imported_before(before: str) -> None:
    code = f"{before}\nimport sim2real\ntry: sim2real.transfer()\nexcept TypeError as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "transfer() missing 2 required positional arguments: 'policy' and 'target'\n"


def test_a_call_reaches_the_function() -> None:
    world = sim2real.World.load("cartpole")
    target = sim2real.TargetEnv(world, world.variant("combined_a"), sim2real.Budget(steps=64))
    with pytest.raises(UnknownName, match="did you mean 'fine-tune'"):
        sim2real.transfer(sim2real.Policy.load("cartpole-nominal-0"), target, "fine-tun")


@pytest.mark.parametrize("command", sorted(_parser()._subparsers._group_actions[0].choices))
def test_every_command_names_the_public_function_that_does_it(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    (path,) = re.findall(r"In Python: sim2real\.([\w.]+)", capsys.readouterr().out)
    name, *rest = path.split(".")
    assert name in OWN
    found = functools.reduce(getattr, rest, getattr(sim2real, name))
    assert callable(found) or name == "METHODS"


PROGRAM = """
import sim2real
from sim2real.transfer.transfer import TransferSettings

world = sim2real.World.load("cartpole")
policy = sim2real.Policy.load("cartpole-nominal-0")
target = sim2real.TargetEnv(world, world.variant("combined_a"), sim2real.Budget(steps=64))
reveal_type(sim2real.transfer(policy, target, "rehearsal", sim2real.Source(world), TransferSettings(seed=1)))
reveal_type(sim2real.identify(world, "recordings"))
reveal_type(sim2real.evaluate("cartpole", [policy], ["combined_a"]))
reveal_type(sim2real.close("cartpole", target="combined_a"))
reveal_type(sim2real.train("cartpole", "runs/one", steps=1))
reveal_type(sim2real.make("cartpole"))
reveal_type(sim2real.make_vec("cartpole", 4))
reveal_type(sim2real.__version__)
sim2real.transfer("cartpole-nominal-0", target)
sim2real.nothing()
"""
SAID = [
    ('"sim2real.policy.policy.Policy"', "note"),
    ('"sim2real.identify.result.Identification"', "note"),
    ('"sim2real.pipelines.evaluate.Evaluation"', "note"),
    ('"sim2real.pipelines.close.Closing"', "note"),
    ('Unexpected keyword argument "steps" for "train"', "error"),
    ('"sim2real.policy.policy.Policy"', "note"),
    ('"sim2real.single_env.Sim2RealEnv"', "note"),
    ('"sim2real.env.Sim2RealVectorEnv"', "note"),
    ('str"', "note"),
    ('Argument 1 to "transfer" has incompatible type "str"; expected "Policy"', "error"),
    ('Module has no attribute "nothing"', "error"),
]


@pytest.mark.slow
def test_a_users_program_is_typed(tmp_path: Path, root: Path) -> None:
    """Checked with what `make lint` has kept of the package, where it has: seconds instead of a minute."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    kept = root / ".mypy_cache"
    cache = kept if kept.exists() else tmp_path / "cache"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", program, "--cache-dir", cache],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    said = [line for line in done.stdout.splitlines() if "program.py:" in line and "defined in" not in line]
    for line, (what, kind) in zip(said, SAID, strict=True):
        assert what in line
        assert f" {kind}: " in line
