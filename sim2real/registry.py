"""What others add to the suite by name, from outside the package: tasks, methods, simulators, channels.

Four ways, the same for every kind: a decorator (``@sim2real.register_task("h1-walk")``), the object itself
where a name is taken (``task=H1Walk``), an entry point of an installed package (group ``sim2real.tasks``),
and ``--import my_module`` on the command line. No folder is searched, and nothing of a package is imported
before something of its name is asked for.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import cloudpickle

from sim2real.errors import InvalidValue, UnknownName

T = TypeVar("T")
U = TypeVar("U")


class Registry(Mapping[str, T], Generic[T]):
    """Things of one kind by name: built in, registered, or offered by installed packages.

    >>> SHAPES = Registry("shape", "my_package.shapes", {"round": "circle"}, lambda name, shape: shape)
    >>> SHAPES["round"]
    'circle'
    """

    def __init__(
        self, kind: str, group: str, built_in: Mapping[str, T], check: Callable[[str, object], T]
    ) -> None:
        """Begin with what is built in.

        Args:
            kind: what one of them is called in messages.
            group: the entry-point group of installed packages that offer more.
            built_in: by name.
            check: returns what is registered under a name if it is one of the kind; raises `InvalidValue`.
        """
        self.kind, self.group = kind, group
        self._built_in, self._check = dict(built_in), check
        self._registered: dict[str, T] = {}
        _ALL.append(self)

    def register(self, name: str) -> Callable[[U], U]:
        """A decorator that adds something under a name; the same one again, edited, takes its own place.

        Raises:
            InvalidValue: for a name that something else has, or what is none of the kind.
        """
        if not isinstance(name, str) or not name.strip():
            raise InvalidValue(
                f"a {self.kind} is registered with its name, as in register_{self.kind}('my-own')"
            )

        def add(given: U) -> U:
            found = self._check(name, given)
            here = {**self._built_in, **self._registered}
            if name in here and not _same(here[name], given):
                raise self._taken(name, _home(here[name]), _home(given))
            self._registered[name] = found
            return given

        return add

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Forget afterwards what is registered meanwhile."""
        before = dict(self._registered)
        try:
            yield
        finally:
            self._registered = before

    def is_built_in(self, found: T) -> bool:
        """Whether something came with this package."""
        return any(found is one for one in self._built_in.values())

    def __getitem__(self, name: str) -> T:
        """What has this name.

        Raises:
            UnknownName: if nothing has.
            InvalidValue: if two things have, or a package's own can't be loaded.
        """
        mine = {**self._built_in, **self._registered}
        found = [self._load(point) for point in self._points if point.name == name]
        if name in mine:
            found.insert(0, mine[name])
        if not found:
            raise UnknownName(self.kind, name, self)
        for other in found[1:]:
            if other is not found[0]:
                raise self._taken(name, _home(found[0]), _home(other))
        return found[0]

    def __contains__(self, name: object) -> bool:
        """Whether something has this name; loads nothing."""
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(dict.fromkeys((*self._built_in, *self._registered, *(p.name for p in self._points))))

    def __len__(self) -> int:
        """How many names there are."""
        return len(list(iter(self)))

    @cached_property
    def _points(self) -> tuple[EntryPoint, ...]:
        return tuple(entry_points(group=self.group))

    def _load(self, point: EntryPoint) -> T:
        package = point.dist.name if point.dist else point.value
        try:
            return self._check(point.name, point.load())
        except Exception as error:
            raise InvalidValue(
                f"{self.kind} {point.name!r} of the package {package} can't be loaded ({_what(error)}); mend "
                f"its entry point {point.value!r}, or uninstall it"
            ) from error

    def _taken(self, name: str, one: str, other: str) -> InvalidValue:
        return InvalidValue(f"two {self.kind}s are named {name!r}, {one} and {other}; give one another name")


_ALL: list[Registry[Any]] = []
_USEFUL: set[str] = set()
"""Modules that have registered something when they were imported."""
_PICKLING = threading.RLock()
"""cloudpickle's list of modules to be pickled by value is one for the process, whichever thread asks."""


def import_module(name: str) -> ModuleType:
    """Import what registers something: a module in the current folder or on ``sys.path``, or a ``.py`` file.

    Raises:
        InvalidValue: if it isn't there, raises, or registers nothing.
    """
    before, kept = _registered(), [(registry, dict(registry._registered)) for registry in _ALL]
    try:
        module = load_module(name)
    except InvalidValue:
        for registry, registered in kept:
            registry._registered = registered
        raise
    known = _registered()
    if known != before or any(home.startswith((f"{name}.", f"{module.__name__}.")) for _, _, home in known):
        _USEFUL.add(module.__name__)
    if module.__name__ not in _USEFUL:
        raise InvalidValue(
            f"importing {name} registers nothing; a task in it needs @sim2real.register_task('its-name') "
            "above its class, and an env gymnasium.register(id=..., entry_point=...)"
        )
    return module


def load_module(name: str) -> ModuleType:
    """Import a module in the current folder or on ``sys.path``, or a ``.py`` file.

    Raises:
        InvalidValue: if it isn't there, or raises.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does, and for what the module imports later
    importlib.invalidate_caches()
    try:
        return _import_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise InvalidValue(_why_not(name, error)) from error


def pickled(thing: object) -> bytes:
    """A thing for another process, with what ``.py`` files and notebooks define, which no import finds.

    Raises:
        pickle.PicklingError, TypeError, AttributeError: for open files, locks and the like.
    """
    with _PICKLING:
        by_value = cloudpickle.list_registry_pickle_by_value()
        files = {
            module.__name__: module for name, module in list(sys.modules.items()) if name.endswith(".py")
        }
        ours = [module for name, module in files.items() if name in sys.modules and name not in by_value]
        for module in ours:
            cloudpickle.register_pickle_by_value(module)
        try:
            return bytes(cloudpickle.dumps(thing))
        finally:
            for module in ours:
                cloudpickle.unregister_pickle_by_value(module)


def _registered() -> set[tuple[str, str, str]]:
    ours = {(r.kind, name, _home(found)) for r in _ALL for name, found in r._registered.items()}
    gymnasium = sys.modules.get("gymnasium")
    return ours | {("env", name, "") for name in (gymnasium.registry if gymnasium else ())}


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    name = str(path.resolve())
    spec = importlib.util.spec_from_file_location(name, path)
    if name in sys.modules or spec is None or spec.loader is None:
        return sys.modules[name]
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _why_not(name: str, error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and name.endswith(".py"):
        return f"can't import {name}: {error}"
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and (name == missing or name.startswith(f"{missing}.")):
        return (
            f"there is no module {name} in {Path.cwd()} or on Python's path; give the name of a module as "
            "`import` takes it, or the path of a .py file"
        )
    return f"{name} can't be imported: {_what(error)}"


def _what(error: BaseException) -> str:
    """An exception as one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _same(one: object, other: object) -> bool:
    """Whether both are one definition, be it run again: a notebook's cell, or a module that is reloaded."""
    home = _home(one)
    return one is other or (hasattr(one, "__qualname__") and "<locals>" not in home and home == _home(other))


def _home(thing: object) -> str:
    """Where something was defined, to tell one definition from another."""
    owner = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{getattr(owner, '__module__', '')}.{getattr(owner, '__qualname__', '')}"
