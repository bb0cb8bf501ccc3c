"""Find an entry of the two catalogues, ``envs/`` and ``policies/``, by name or by path.

The wheel carries both inside the package as ``_catalog/``; a checkout has them beside it.
"""

from __future__ import annotations

from pathlib import Path

from sim2real.errors import UnknownName

_PACKAGE = Path(__file__).resolve().parent


def catalog(kind: str) -> Path:
    """Folder of a catalogue; ``kind`` is ``"envs"`` or ``"policies"``."""
    shipped = _PACKAGE / "_catalog" / kind
    return shipped if shipped.is_dir() else _PACKAGE.parent / kind


def entries(kind: str) -> list[str]:
    """Names in a catalogue, sorted: the folders that hold the file every entry has."""
    marker = {"envs": "physics.toml", "policies": "policy.toml"}[kind]
    return sorted(path.parent.name for path in catalog(kind).glob(f"*/{marker}"))


def find(kind: str, name_or_path: str | Path) -> Path:
    """Folder of an entry.

    Args:
        kind: ``"envs"`` or ``"policies"``.
        name_or_path: a name in the catalogue, or a path to a folder of the same form.

    Raises:
        UnknownName: if neither exists.
    """
    path = Path(name_or_path)
    if path.is_dir() and (len(path.parts) > 1 or path.is_absolute() or str(path) == "."):
        return path.resolve()
    if str(name_or_path) in entries(kind):
        return catalog(kind) / str(name_or_path)
    if path.is_dir():
        return path.resolve()
    singular = {"envs": "world", "policies": "policy"}[kind]
    raise UnknownName(f"{singular} (a name, or the path of a folder)", str(name_or_path), entries(kind))
