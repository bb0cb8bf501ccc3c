"""Find and read every recording under a folder, whatever its format."""

from __future__ import annotations

from pathlib import Path

from sim2real.errors import RecordingError
from sim2real.recordings.npz import read_npz
from sim2real.recordings.recording import Recording
from sim2real.recordings.sage import SAGE_FILES, read_sage


def load_recordings(path: str | Path) -> list[Recording]:
    """Read all recordings under a folder and its subfolders, sorted by name.

    Args:
        path: a folder of ``.npz`` files and SAGE motion folders (see `sim2real.recordings.sage`),
            or one of those.

    Returns:
        list[Recording]: at least one, named by their path under the folder:
            ``"test/circular_motion"``.

    Raises:
        RecordingError: if there is none, or for the first that can't be read or trusted.
    """
    root = Path(path)
    if root.is_file():
        if root.suffix != ".npz":
            raise RecordingError(f"{root}: not a recording; give a .npz file or a folder of recordings")
        return [read_npz(root, root.stem)]
    if not root.is_dir():
        raise RecordingError(f"{root}: no such file or folder; give a folder of recordings")
    found = {_name(root, file): read_npz(file, _name(root, file)) for file in root.rglob("*.npz")}
    for folder in _motions(root):
        name = _name(root, folder)
        if name in found:
            raise RecordingError(f"{root}: {name} is there as .npz and as a folder; remove one of them")
        found[name] = read_sage(folder, name)
    if not found:
        raise RecordingError(f"{root}: no recordings: {_inventory(root)}")
    return [found[name] for name in sorted(found)]


def _motions(root: Path) -> set[Path]:
    """Folders that hold at least one of SAGE's own files, so that an incomplete one is reported."""
    return {file.parent for marker in SAGE_FILES for file in root.rglob(marker)}


def _name(root: Path, path: Path) -> str:
    if path == root:
        return root.resolve().name
    relative = path.relative_to(root)
    return (relative.with_suffix("") if path.suffix == ".npz" else relative).as_posix()


def _inventory(root: Path) -> str:
    files = sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
    expected = f"looked for *.npz and for folders with {', '.join(SAGE_FILES)}"
    if not files:
        return f"the folder is empty; {expected}"
    return f"{expected}; found {len(files)} other file(s), such as {files[0]}"
