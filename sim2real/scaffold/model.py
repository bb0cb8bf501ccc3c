"""A model with all its files in one folder, where it compiles alone."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mujoco

from sim2real.audit.written import written
from sim2real.errors import InvalidValue
from sim2real.files import write_atomically

SCENE = "scene.xml"
_UP = "above"
"""The folder that stands for the one above the model's own."""

_ROUNDED = 1e-4
"""Share of a field's largest number by which what is written in six digits may differ."""

_ELEMENT = re.compile(r"<(\w+)\b[^<>]*>")
_PLACE = re.compile(
    r"\b(?P<name>file\w*|meshdir|texturedir|assetdir)(?P<is>\s*=\s*(?P<quote>[\"']))(?P<value>.*?)(?P=quote)"
)


def copy_model(source: Path, folder: Path) -> str:
    """Copy a model and what it includes into ``folder``, as ``scene.xml``.

    Files that lie beside it or below keep their places and every byte. What it reaches elsewhere
    (``meshdir="../assets"``) goes below ``above/``, and nothing of the model but such places is changed. A
    URDF is written anew by MuJoCo, in six digits.

    Returns:
        How that was done, as a sentence.

    Raises:
        InvalidValue: for a file that is missing or does not compile, here or there.
    """
    if not source.is_file():
        raise InvalidValue(f"there is no model {source}; give the path of an MJCF or URDF file")
    try:
        model = mujoco.MjModel.from_xml_path(str(source))
    except (ValueError, mujoco.FatalError) as error:
        raise InvalidValue(f"{source} does not compile: {' '.join(str(error).split())}") from error
    if "<robot" in _read(source):
        told = _write_anew(source, folder)
        _compare(model, source, folder / SCENE, _ROUNDED)
        return told
    tree = _Tree(source.resolve())
    documents = dict(tree.documents())
    for file in tree.files:
        target = folder / tree.place(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file in documents:
            target.write_bytes(documents[file].encode("utf-8", "surrogateescape"))
        else:
            shutil.copyfile(file, target)
    _compare(model, source, folder / SCENE, 0.0)
    outside = sum(not file.is_relative_to(tree.home) for file in tree.files)
    told = f"copied {source.name} and {len(tree.files) - 1} files that it needs"
    return told + (f", {outside} of them from elsewhere, now below {_UP}/" if outside else "")


def _write_anew(source: Path, folder: Path) -> str:
    """Let MuJoCo write a URDF as MJCF, with its meshes in ``assets/``."""
    spec = mujoco.MjSpec.from_file(str(source))
    spec.compile()
    taken: dict[str, Path] = {}
    for mesh in (mesh for mesh in spec.meshes if mesh.file):
        found = _mesh(mesh.file, spec, source)
        new = found.name
        while taken.setdefault(new, found) != found:
            new = f"other_{new}"
        target = folder / "assets" / new
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, target)
        mesh.file = new
    spec.meshdir = "assets"
    spec.modelfiledir = f"{folder.resolve()}/"
    write_atomically(folder / SCENE, spec.to_xml())
    return f"let MuJoCo write {source.name} anew, with the {len(taken)} meshes that it needs"


def _mesh(name: str, spec: mujoco.MjSpec, source: Path) -> Path:
    """The file that a mesh means; MuJoCo, which found it, does not list those of a URDF."""
    names = (name, name.replace("\\", "/").rpartition("/")[2])
    places = (source.parent / folder / part for folder in (spec.meshdir, "") for part in names)
    found = next((place.resolve() for place in places if place.is_file()), None)
    if found is None:
        raise InvalidValue(f"{source} needs a file {name!r}, which isn't found; put it beside the model")
    return found


def _compare(model: mujoco.MjModel, source: Path, copy: Path, rounded: float) -> None:
    """Refuse a copy that compiles to another model, as of two meshes of one name."""
    try:
        mine = mujoco.MjModel.from_xml_path(str(copy))
    except ValueError as error:
        raise InvalidValue(f"a copy of {source} does not compile: {' '.join(str(error).split())}") from error
    sizes = [name for name in dir(model) if name[0] == "n" and isinstance(getattr(model, name), int)]
    other = [name for name in sizes if getattr(model, name) != getattr(mine, name) and name not in _OF_NAMES]
    if not other:
        fields = [f.name for f in written(model, mine) if f.relative > rounded]
        other = [name for name in fields if name not in _OF_NAMES and not name.startswith("name_")]
    if other:
        raise InvalidValue(
            f"a copy of {source} with the files that it needs compiles to another {other[0]}; put model and "
            "files into one folder first"
        )


_PATHS = ("npaths", "mesh_pathadr", "tex_pathadr", "hfield_pathadr", "skin_pathadr")
_OF_NAMES = {*_PATHS, "nnames", "nnames_map", "nbuffer"}


@dataclass(frozen=True)
class _Model:
    """A model or one that it attaches: the documents that it includes, and where it looks for files."""

    home: Path
    documents: list[Path]
    meshes: list[Path] = field(default_factory=list)
    textures: list[Path] = field(default_factory=list)

    def bases(self, element: str, document: Path) -> list[Path]:
        """Folders from which a place may be meant, the likeliest first."""
        folders = [*self.meshes, *self.textures]
        if element == "texture":
            folders = [*self.textures, *self.meshes]
        own = [self.home, document.parent]
        return own if element in ("include", "model") else [*folders, *own]


class _Tree:
    """Where the files of a model go, and what its documents call them there."""

    def __init__(self, main: Path) -> None:
        self.main, self.home = main, main.parent
        self.files = {main}
        """All that was found so far; MuJoCo's own list lacks some and has others in wrong places."""

    def place(self, path: Path) -> Path:
        """Where a file or a folder goes, as seen from the new folder."""
        if path == self.main:
            return Path(SCENE)
        parts = Path(os.path.relpath(path, self.home)).parts
        new = Path(*(_UP if part == os.pardir else part for part in parts))
        return Path(f"included_{SCENE}") if new == Path(SCENE) else new

    def documents(self) -> Iterator[tuple[Path, str]]:
        """Each MJCF file of it, and its text with the places of files as they are there."""
        models = [_Model(self.home, [self.main])]
        for model in models:
            for document in model.documents:
                for element, name, value in _places(_read(document)):
                    if element == "compiler":
                        for folders in self._named(model, name):
                            folders.append(_normal(model.home / value))
                        continue
                    found = self._find(model, document, element, value)
                    if found and element == "include" and found[1] not in model.documents:
                        model.documents.append(found[1])
                    if found and element == "model" and all(found[1] != m.documents[0] for m in models):
                        models.append(_Model(found[1].parent, [found[1]]))
            for document in model.documents:
                yield document, self._moved(model, document)

    def _named(self, model: _Model, attribute: str) -> list[list[Path]]:
        """What an attribute of ``<compiler>`` says the folder of."""
        kinds = {"meshdir": [model.meshes], "texturedir": [model.textures]}
        return kinds.get(attribute, [model.meshes, model.textures])

    def _find(self, model: _Model, document: Path, element: str, value: str) -> tuple[Path, Path] | None:
        """The folder from which a place is meant, and the file."""
        value = value.replace("\\", "/")
        for base in model.bases(element, document):
            for name in (value, Path(value).name):  # a compiler may strip paths
                path = (base / name).resolve()
                if path.is_file():
                    self.files.add(path)
                    return base, path
        return None

    def _moved(self, model: _Model, document: Path) -> str:
        """The text of a document, in which nothing but places of files changes."""

        def element(found: re.Match[str]) -> str:
            return _PLACE.sub(lambda place: attribute(found[1], place), found[0])

        def attribute(element: str, place: re.Match[str]) -> str:
            value = place["value"]
            if element == "compiler":
                base, path = model.home, _normal(model.home / value)
            else:
                found = self._find(model, document, element, value)
                if found is None:
                    return place[0]
                base, path = found
            new = Path(os.path.relpath(self.place(path), self.place(base))).as_posix()
            if new == os.path.normpath(value):
                return place[0]
            return f"{place['name']}{place['is']}{new}{place['quote']}"

        return _ELEMENT.sub(element, _read(document))


def _places(text: str) -> Iterator[tuple[str, str, str]]:
    """Element, attribute and value of whatever names a file or a folder."""
    for element in _ELEMENT.finditer(text):
        for place in _PLACE.finditer(element[0]):
            yield element[1], place["name"], place["value"]


def _read(document: Path) -> str:
    return document.read_bytes().decode("utf-8", "surrogateescape")


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))
