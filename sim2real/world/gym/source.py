"""How a gymnasium env is made: by an id of gymnasium's registry, or by a callable of the user's own."""

from __future__ import annotations

import difflib
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from sim2real.documents import Section
from sim2real.errors import InvalidValue, Sim2RealError, UnknownName, told
from sim2real.registry import load_module, pickled

SCHEME = "gym:"
"""What the name of a world begins with that is an env: ``gym:Hopper-v5``, ``gym:my_module:MyEnv-v0``."""

Env = gym.Env[Any, Any]
Setter = str | Callable[[Env, float], object]
"""How an env takes a parameter: the name of its attribute, or a function of the env and the value."""


@dataclass(frozen=True)
class Source:
    """An env that can be made again and again, here and in other processes."""

    name: str
    """What messages call it."""
    what: EnvSpec | Callable[[], Env]
    kwargs: Mapping[str, object] = field(default_factory=dict)
    """Of the env's constructor."""
    setters: Mapping[str, Setter] = field(default_factory=dict)
    """By parameter, where the env takes it by neither its name nor its engine's model."""
    control_dt: float | None = None
    """Control period, s; by default the env's ``dt``, or what its ``render_fps`` says."""
    max_episode_steps: int | None = None
    """By default what the env is registered with."""
    success: str | None = None
    """The key of ``info`` that says of an ended episode whether it was a success."""

    @classmethod
    def of_id(cls, text: str) -> Source:
        """An env by its id; ``module:id`` imports the module first, as gymnasium does.

        Raises:
            UnknownName: if no such env is registered.
            InvalidValue: if the module can't be imported.
        """
        module, _, name = text.rpartition(":")
        if module:
            load_module(module)
        return cls(text, _spec(name))

    @classmethod
    def of_table(cls, table: Section) -> Source:
        """An env by what ``[env]`` of a ``physics.toml`` says; nothing is imported that it names.

        Raises:
            UnknownName: if no such env is registered, or for a key that does not exist.
            InvalidValue: for an id with a module in it, or a value of another type.
        """
        module, _, name = table.text("id").rpartition(":")
        if module:
            raise InvalidValue(
                f"{table.path}: env.id names a module to import, which a file may not; write id = {name!r}, "
                f"and import it yourself (--import {module})"
            )
        return cls(name, _spec(name), table.section("kwargs").values, **_options(table, ("id", "kwargs")))

    @classmethod
    def of_callable(
        cls, make: Callable[[], Env], name: str, table: Section, setters: Mapping[str, Setter]
    ) -> Source:
        """An env that a callable makes, with what ``[env]`` says of it beside.

        Raises:
            UnknownName: for a key that does not exist.
            InvalidValue: for what can't be called, or a value of another type.
        """
        if not callable(make):
            raise InvalidValue(f"{make!r} makes no env; give a function without arguments that returns one")
        options = _options(table, ())
        return cls(name, make, **{**options, "setters": {**options["setters"], **setters}})

    def make(self) -> Env:
        """A new env, without a limit on its episodes.

        Raises:
            InvalidValue: if it can't be made, or is no env; the message says why.
        """
        try:
            if isinstance(self.what, EnvSpec):
                env: object = gym.make(
                    self.what, max_episode_steps=-1, disable_env_checker=True, **self.kwargs
                )
            else:
                env = self.what()
        except Sim2RealError:
            raise
        except (ImportError, gym.error.DependencyNotInstalled) as error:
            raise InvalidValue(
                f"{self.name} needs a package that is not installed: {' '.join(str(error).split())}"
            ) from error
        except (Exception, SystemExit) as error:  # whatever a stranger's code raises
            raise InvalidValue(f"{self.name} can't be made: it raises {told(error)}") from error
        if not isinstance(env, gym.Env):
            raise InvalidValue(f"{self.name} makes a {type(env).__name__} where a gymnasium.Env is meant")
        return env

    def drawn(self) -> Source:
        """The same envs, which draw themselves: ``render()`` gives a picture, as gymnasium's ``rgb_array``.

        Raises:
            InvalidValue: for envs that don't draw themselves.
        """
        source = self
        if isinstance(self.what, EnvSpec):
            source = replace(self, kwargs={**self.kwargs, "render_mode": "rgb_array"})
        env = self.make()
        modes = env.metadata.get("render_modes", ()) if source is not self else (env.render_mode,)
        env.close()
        if "rgb_array" not in modes:
            raise InvalidValue(
                f"{self.name} draws no pictures; give it a render() of the mode 'rgb_array', named in its "
                "metadata's render_modes, and let what makes it pass render_mode='rgb_array'"
            )
        return source

    @property
    def arguments(self) -> str:
        """What it is made with beside its id, as text."""
        return json.dumps(self.kwargs, sort_keys=True, default=repr)

    def __reduce__(self) -> tuple[object, ...]:
        """By value where another process can't import it: functions of a script, of a notebook, of a file."""
        try:
            content = pickled({entry.name: getattr(self, entry.name) for entry in fields(self)})
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise InvalidValue(
                f"{self.name} can't go to another process ({error}); make it by a function without open "
                'files or locks, or keep it in this one: simulator=Engine("gym", threads=1)'
            ) from error
        return _restored, (content,)


def _restored(content: bytes) -> Source:
    return Source(**pickle.loads(content))


def _spec(name: str) -> EnvSpec:
    found = gym.registry.get(name)
    if found is None:
        near = difflib.get_close_matches(name, gym.registry, 5, 0.5)
        raise UnknownName("gymnasium env (register it first: --import my_module)", name, near)
    return found


def _options(table: Section, others: tuple[str, ...]) -> dict[str, Any]:
    """What ``[env]`` says beside ``others``."""
    table.only(*others, "control_dt", "max_episode_steps", "success", "setters")
    names = table.section("setters")
    options: dict[str, Any] = {"setters": {parameter: names.text(parameter) for parameter in names.values}}
    for key, like in (("control_dt", 1.0), ("max_episode_steps", 1), ("success", "")):
        if key in table:
            options[key] = table.value_like(key, like)
    return options
