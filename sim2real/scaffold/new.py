"""Write a world folder for a model."""

from __future__ import annotations

import re
import types
from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np
import tomli_w

from sim2real.catalog import entries
from sim2real.errors import InvalidValue
from sim2real.files import replace_folder, write_atomically
from sim2real.interface import TaskFactory
from sim2real.io_table import IO_FILE
from sim2real.scaffold.described import Robot as DescribedRobot
from sim2real.scaffold.example import example_task, robot_of
from sim2real.scaffold.gym_world import write_env
from sim2real.scaffold.io_sources import describe
from sim2real.scaffold.io_text import io_text
from sim2real.scaffold.model import copy_model
from sim2real.scaffold.parameters import with_common_parameters
from sim2real.scaffold.physics_text import physics_text, varied, without_dead
from sim2real.scaffold.variants import pushed, structure_of, variants_of
from sim2real.tasks import TASKS, check_factory
from sim2real.tasks.io_task import IO
from sim2real.world import SCHEME, World
from sim2real.world.contacts import possible_partners


@dataclass(frozen=True)
class Scaffold:
    """What was written."""

    world: World
    notes: tuple[str, ...]
    """How the model was copied, and what was left out, a sentence each."""


def new_world(
    folder: str | Path,
    model: str | Path,
    task: bool = False,
    io: str | Path | None = None,
    env: str | Path | None = None,
) -> Scaffold:
    """Write a world folder from an MJCF or a gymnasium env: parameters with assumed ranges, variants, README.

    Parameters that change nothing in a fixed motion of the task are left out.

    Args:
        folder: to be made; its name is the world's.
        model: an MJCF file, a URDF that MuJoCo loads, or ``gym:ID`` for a gymnasium env.
        task: whether to write ``task.py`` too, an example to edit. Nothing imports it by itself.
        io: what says the inputs and outputs of a policy, for an ``io.toml`` and so a task without code:
            Isaac Lab's ``IO_descriptors.yaml``, a ``policy.onnx`` with mjlab's metadata, or a ``config.yaml``
            of unitree_rl_gym.
        env: Isaac Lab's ``env.yaml`` of the same run, which has the gains.

    Raises:
        UnknownName: for a term that can't be read, a joint that the model lacks, or an id that nothing
            registers.
        InvalidValue: for a folder that is there, a name that a world of the catalogue has, a model that is
            missing or does not compile, a task for one that nothing moves, or an env that can't be a world
            or has no physics. Nothing is left behind.
    """
    folder, source = Path(folder), Path(model)
    of_env = str(model).startswith(SCHEME)
    if folder.exists() or folder.is_symlink():
        raise InvalidValue(f"{folder} is there already; give another name, or move it away")
    if str(folder) in entries("envs"):
        raise InvalidValue(f"{folder} is the name of a world that comes with sim2real; give another one")
    if not re.fullmatch(r"[\w .+-]*\w[\w .+-]*", folder.name):
        raise InvalidValue(
            f"{folder.name!r} is no name for a world; take letters, digits, '_', '-' and '.', as in my_robot"
        )
    if of_env and (task or io is not None):
        raise InvalidValue(
            f"{model} is a gymnasium env, which brings its own task; leave out --task and --io"
        )
    if io is not None and task:
        raise InvalidValue("io.toml is a task already; leave out --task, or --io")
    if env is not None and io is None:
        raise InvalidValue("--env goes with --io IO_descriptors.yaml; give both")
    asked = _Asked(folder, source, task, *(None if given is None else Path(given) for given in (io, env)))
    notes: list[str] = []

    def write(place: Path) -> None:
        notes.extend(write_env(place, folder, str(model)) if of_env else _write(place, asked))

    replace_folder(folder, write)
    return Scaffold(World.load(folder.resolve()), tuple(notes))


@dataclass(frozen=True)
class _Asked:
    """What is asked of `new_world`."""

    folder: Path
    source: Path
    task: bool
    io: Path | None
    env: Path | None


def _write(place: Path, asked: _Asked) -> list[str]:
    notes = [copy_model(asked.source, place)]
    name, source = asked.folder.name, asked.source.name
    title = f"{name}: {source}"
    write_atomically(place / "physics.toml", tomli_w.dumps({"title": title}))
    bare = _load(place, name)
    if asked.io is not None:
        notes += _write_io(place, asked, bare)
        bare = _load(place, name)
    world = replace(with_common_parameters(bare), variants={})
    try:
        robot = robot_of(bare)
    except InvalidValue:
        if asked.task:
            raise
        robot = None
    if robot is None:
        world, dead = without_dead(world)
        notes += dead
    else:
        text = example_task(name, robot)
        world, dead = without_dead(world if asked.io else world.with_task(_class_of(text, name)))
        notes += dead
        base, push = pushed(bare.model)
        structure = structure_of(base if robot.base else "")
        world = varied(world, structure, lambda parameters: variants_of(parameters, push))
        if robot.base and not _has_ground(bare.model):
            notes.append(
                "nothing to stand on: scene.xml has no floor; add one, such as "
                '<geom name="floor" type="plane" size="0 0 1"/> in its worldbody'
            )
        if asked.task:
            write_atomically(place / "task.py", text)
    tasks = {"task": IO} if asked.io else {"task": name} if asked.task else {}
    write_atomically(place / "physics.toml", physics_text(source, {"title": title, **tasks}, world))
    write_atomically(place / "README.md", _readme(asked, notes))
    World.load(place)
    return notes


def _load(place: Path, name: str) -> World:
    """A world in the making, by the name that it will have."""
    world = World.load(place)
    return replace(world, name=name, task=name if world.task == world.name else world.task)


def _write_io(place: Path, asked: _Asked, bare: World) -> list[str]:
    """Write ``io.toml``, and say what was assumed."""
    assert asked.io is not None
    robot = DescribedRobot(bare.model, asked.source.name)
    found = describe(asked.io, asked.env, robot)
    table = found.table(robot)
    sources = " and ".join(path.name for path in (asked.io, asked.env) if path is not None)
    write_atomically(place / IO_FILE, io_text(table, sources))
    return found.notes


def _has_ground(model: mujoco.MjModel) -> bool:
    """Whether something that never moves can be touched."""
    static = model.body_weldid[model.geom_bodyid] == 0
    return any(possible_partners(model, int(geom)) for geom in np.flatnonzero(static))


def _class_of(text: str, name: str) -> TaskFactory:
    """The example's class, which is registered only while it is made."""
    module = types.ModuleType(f"example of {name}")
    with TASKS.aside():
        exec(compile(text, "task.py", "exec"), module.__dict__)
    return check_factory(module.__dict__["HoldPose"])


def _readme(asked: _Asked, notes: list[str]) -> str:
    name, folder = asked.folder.name, str(asked.folder)
    own = f" --import {folder}/task.py" if asked.task else ""
    trained = own if asked.task or asked.io else " --task TASK --import MODULE"
    left = "".join(f"- {note}\n" for note in notes)
    last = f"sim2real train {folder} --domain training{trained}"
    example = "The world names no task yet: `sim2real new` writes an example with `--task`.\n"
    if asked.task:
        example = "`task.py` is an example to edit: it holds a pose. Nothing imports it but `--import`.\n"
    if asked.io:
        example = "`io.toml` says what the policy sees and drives, in its own order and units: check it.\n"
        policy = f"onnx:{asked.io}" if asked.io.suffix == ".onnx" else "torchscript:POLICY.pt --trust"
        last = f"sim2real evaluate {policy} --world {folder}"
    return f"""# {name}

Made by `sim2real new` from `{asked.source.name}`. `scene.xml` is the model; `physics.toml` has its
parameters with assumed ranges, and held-out variants. {example}
```sh
sim2real worlds {folder}
sim2real audit {folder}{own}
{last}
```

{left}"""
