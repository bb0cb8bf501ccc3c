"""A model with all its files in one folder, where it compiles alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from sim2real.errors import InvalidValue
from sim2real.files import write_text

SCENE = "scene.xml"


def copy_model(source: Path, folder: Path) -> str:
    """Copy a model and what it includes into ``folder``, as ``scene.xml``.

    Files that lie beside it or below keep their places and every byte. A model that reaches elsewhere
    (``meshdir="../assets"``), or a URDF, is written anew by MuJoCo, with its files in ``assets/``.

    Returns:
        How that was done, as a sentence.

    Raises:
        InvalidValue: for a file that is missing or does not compile, here or there.
    """
    if not source.is_file():
        raise InvalidValue(f"there is no model {source}; give the path of an MJCF or URDF file")
    try:
        model = mujoco.MjModel.from_xml_path(str(source))
        files = [Path(name).resolve() for name in mujoco.mju_getXMLDependencies(str(source))]
    except (ValueError, mujoco.FatalError) as error:
        raise InvalidValue(f"{source} does not compile: {' '.join(str(error).split())}") from error
    home, main = source.resolve().parent, source.resolve()
    beside = [file for file in files if file.is_relative_to(home)]
    taken = main.name != SCENE and home / SCENE in files
    if len(beside) == len(files) and not taken and _is_mjcf(source):
        for file in files:
            target = folder / (SCENE if file == main else file.relative_to(home))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        told = f"copied {source.name} and {len(set(files) - {main})} files that it needs"
    else:
        _write_anew(source, files, folder)
        told = f"let MuJoCo write {source.name} anew, with the {len(files) - 1} files that it needs"
    _compare(model, source, folder / SCENE)
    return told


def _is_mjcf(source: Path) -> bool:
    return "<robot" not in source.read_text(encoding="utf-8", errors="replace")


def _write_anew(source: Path, files: list[Path], folder: Path) -> None:
    spec = mujoco.MjSpec.from_file(str(source))
    spec.compile()
    taken: dict[str, Path] = {}
    for asset, field in _assets(spec):
        name = getattr(asset, field)
        found = _file_of(name, spec, source, files)
        new = name.replace("\\", "/").rpartition("/")[2]
        while taken.setdefault(new, found) != found:
            new = f"other_{new}"
        target = folder / "assets" / new
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, target)
        setattr(asset, field, new)
    spec.meshdir = spec.texturedir = "assets"
    spec.modelfiledir = f"{folder.resolve()}/"
    write_text(folder / SCENE, spec.to_xml())


def _assets(spec: mujoco.MjSpec) -> Iterator[tuple[Any, str]]:
    """Everything that is read from a file, and the field with the name."""
    for asset in (*spec.meshes, *spec.textures, *spec.hfields, *spec.skins):
        if asset.file:
            yield asset, "file"
    for texture in spec.textures:
        if any(texture.cubefiles):
            raise InvalidValue(
                f"texture {texture.name!r} has a file for each side of a cube outside the model's folder; "
                "put model and files into one folder first"
            )


def _file_of(name: str, spec: mujoco.MjSpec, source: Path, files: list[Path]) -> Path:
    """The file that an asset means: where the model says, else the only one of its name that is needed."""
    base = name.replace("\\", "/").rpartition("/")[2]
    places = (
        source.parent / folder / part
        for folder in (spec.meshdir, spec.texturedir, "")
        for part in (name, base)
    )
    known = set(files)
    found = next((place.resolve() for place in places if place.resolve() in known), None)
    found = found or next((file for file in files if file.name == base), None)
    if found is None:
        raise InvalidValue(f"{source} needs a file {name!r}, which isn't found; put it beside the model")
    return found


def _compare(model: mujoco.MjModel, source: Path, copy: Path) -> None:
    """Refuse a copy that compiles to another model, as of two meshes of one name."""
    try:
        mine = mujoco.MjModel.from_xml_path(str(copy))
    except ValueError as error:
        raise InvalidValue(f"a copy of {source} does not compile: {' '.join(str(error).split())}") from error
    for field in (
        "body_mass",
        "body_inertia",
        "body_pos",
        "geom_size",
        "jnt_range",
        "actuator_gainprm",
        "qpos0",
    ):
        one, other = getattr(model, field), getattr(mine, field)
        if one.shape != other.shape or not np.allclose(one, other, rtol=1e-4, atol=1e-6):
            raise InvalidValue(
                f"{source} reaches for files outside its folder, and a copy of it compiles to another "
                f"{field}; put model and files into one folder first"
            )
