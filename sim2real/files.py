"""Files are written whole or not at all.

``write_atomically`` writes to a temporary name beside the target, flushes it to the disk and renames it: a
full disk or a kill in the middle leaves the old file as it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from sim2real.errors import DiskFull, InvalidValue

Write = Callable[[Path], object] | str
"""What fills a file, given its path; or its text."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def room_in(folder: str | Path) -> Iterator[None]:
    """Make a folder for what is written in this block; what was made goes again if nothing came into it.

    Raises:
        DiskFull: in the place of the file system's error, if there is no room.
    """
    folder = Path(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        if isinstance(error, OSError) and error.errno in _FULL:
            raise DiskFull(
                f"nothing more can be written into {folder} ({os.strerror(error.errno)}), and what was there "
                "is as it was; make room, or choose another folder, and start again"
            ) from error
        raise


def write_atomically(path: str | Path, write: Write) -> None:
    """Fill a temporary file, then rename it to ``path``.

    Args:
        path: the file to create or replace; missing folders are made.
        write: its text, written as UTF-8; or what is called with the temporary path, of the same suffix.

    Raises:
        DiskFull: if there is no room; the old file is then still there.
        OSError: as raised by the file system; the same holds.
    """
    path = Path(path)
    write_together(path.parent, {path.name: write})


def write_together(folder: str | Path, writes: Mapping[str, Write]) -> None:
    """Fill temporary files, then rename them all: an interrupted run leaves no page beside another's numbers.

    Args:
        folder: made if missing.
        writes: the text of each file, or what fills it; see `write_atomically`.

    Raises:
        DiskFull: if there is no room; the old files are then still there.
        OSError: as raised by the file system; the same holds.
    """
    folder = Path(folder)
    filled: dict[Path, Path] = {}
    with room_in(folder), contextlib.ExitStack() as temporaries:
        for name, write in writes.items():
            path = folder / name
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.stem}-", suffix=path.suffix)
            os.close(handle)
            filled[path] = Path(temporary)
            temporaries.callback(filled[path].unlink, missing_ok=True)
            if isinstance(write, str):
                # a folder's name may hold bytes that are no letter in UTF-8; in JSON one is written like this
                filled[path].write_text(write, encoding="utf-8", errors="backslashreplace")
            else:
                write(filled[path])
            with filled[path].open("rb+") as file:
                os.fsync(file.fileno())
            filled[path].chmod(0o666 & ~_umask())
        for path, whole in filled.items():
            whole.replace(path)


def replace_folder(folder: str | Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary folder, then put it in the place of ``folder``.

    Both change places at once, where the system can do that; else the old folder is moved aside, and comes
    back on failure. It is deleted only after the new one stands.

    Raises:
        InvalidValue: if the old folder holds anything that the new one has not, or is a file; see
            `check_folder`, which finds that before any work is done.
        DiskFull: if there is no room.
    """
    folder = Path(folder)
    with room_in(folder.parent):
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        old = temporary.with_name(temporary.name + "-old")
        try:
            write(temporary)
            check_folder(folder, {path.name for path in temporary.iterdir()})
            temporary.chmod(0o777 & ~_umask())
            if folder.exists() and _exchange(temporary, folder):
                return
            if folder.exists():
                folder.rename(old)
            try:
                temporary.rename(folder)
            except OSError:
                old.rename(folder)
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places, in one step that no kill can fall into; whether the system can do that."""
    if os.name != "posix":
        return False
    library, paths = ctypes.CDLL(None, use_errno=True), (os.fsencode(one), os.fsencode(other))
    if hasattr(library, "renameat2"):  # Linux
        return bool(library.renameat2(_HERE, paths[0], _HERE, paths[1], _SWAP) == 0)
    return hasattr(library, "renamex_np") and bool(library.renamex_np(*paths, _SWAP) == 0)  # macOS


_HERE, _SWAP = -100, 2  # AT_FDCWD; RENAME_EXCHANGE, which is RENAME_SWAP on macOS


def check_folder(folder: str | Path, parts: Collection[str] | None = None) -> None:
    """Refuse a folder that results can't go to, before work is spent on them.

    Args:
        folder: to be made, or written into.
        parts: names of all that it will hold, where it is replaced as a whole.

    Raises:
        InvalidValue: if a file is in the way, if nothing can be written there, or if replacing the folder
            would delete something else.
        DiskFull: if there is no room.
    """
    folder = Path(folder)
    place = folder if parts is None else folder.parent
    there = next(path for path in (place, *place.parents) if os.path.lexists(path))
    in_the_way = next((p for p in (folder, there) if os.path.lexists(p) and not p.is_dir()), None)
    if in_the_way is not None:
        raise InvalidValue(
            f"{in_the_way} is not a folder, so nothing can go into {folder}; choose another one"
        )
    try:
        with contextlib.suppress(FileNotFoundError):
            folder.lstat()  # a name that is too long
        with room_in(there), tempfile.TemporaryDirectory(dir=there, prefix=".sim2real-"):
            pass
    except DiskFull:
        raise
    except OSError as error:
        raise InvalidValue(
            f"nothing can be written into {there} for {folder} ({error.strerror}); choose another folder"
        ) from error
    if parts is None or not folder.is_dir():
        return
    if Path.cwd().is_relative_to(folder.resolve()):
        raise InvalidValue(
            f"{folder.resolve()} would be replaced while work goes on in it; choose another folder"
        )
    strangers = sorted({path.name for path in folder.iterdir()} - set(parts))
    if strangers:
        raise InvalidValue(
            f"{folder} holds {', '.join(strangers[:3])}{' and more' * (len(strangers) > 3)}, which would be "
            "lost; choose another folder, or empty this one"
        )


def check_file(path: str | Path) -> None:
    """Refuse a file that can't be written, before work is spent on what goes into it.

    Raises:
        InvalidValue: if it is a folder, or if nothing can be written where it goes.
        DiskFull: if there is no room.
    """
    path = Path(path)
    if path.is_dir():
        raise InvalidValue(f"{path} is a folder, and a file is to be written; name a file")
    check_folder(path.parent)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
