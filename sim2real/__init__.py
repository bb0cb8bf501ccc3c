"""sim2real: how big is the gap, what closes it, and did it work?

Importing the package registers its gymnasium ids and nothing else; the public names below load on first use.

    import gymnasium as gym
    import sim2real

    env = gym.make("sim2real/Furuta-v0", domain="training")
    envs = gym.make_vec("sim2real/Furuta-v0", num_envs=64)

`sim2real.transfer`, `evaluate`, `identify` and `parity` are packages and the functions that these are about:
such a package can be called, and has its function's signature and documentation.
"""

from __future__ import annotations

import importlib
import os
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inspect

    from sim2real.channels import register_channel as register_channel
    from sim2real.checker import check_task as check_task
    from sim2real.domain import Domain as Domain
    from sim2real.env import Sim2RealVectorEnv as Sim2RealVectorEnv
    from sim2real.evaluate.rollouts import Trials as Trials
    from sim2real.foreign import import_policy as import_policy
    from sim2real.foreign import load_policy as load_policy
    from sim2real.foreign.export import export_policy as export_policy
    from sim2real.interface import Channel as Channel
    from sim2real.interface import Drive as Drive
    from sim2real.interface import Joint as Joint
    from sim2real.interface import Signal as Signal
    from sim2real.interface import TaskSpec as TaskSpec
    from sim2real.learn.train import train as train
    from sim2real.pipelines.agreement import matrix as matrix
    from sim2real.pipelines.agreement import parity as measure_parity
    from sim2real.pipelines.agreement import predict as predict
    from sim2real.pipelines.audit import audit_world as audit_world
    from sim2real.pipelines.causes import attribute as attribute
    from sim2real.pipelines.causes import sensitivity as sensitivity
    from sim2real.pipelines.close import close as close
    from sim2real.pipelines.compare import compare as compare
    from sim2real.pipelines.demo import demo as demo
    from sim2real.pipelines.evaluate import evaluate as evaluate
    from sim2real.pipelines.gap import gap as gap
    from sim2real.pipelines.identify import identify as identify
    from sim2real.pipelines.recordings import diagnose as diagnose
    from sim2real.pipelines.transfer_studies import layer_transfer as layer_transfer
    from sim2real.pipelines.transfer_studies import read_curves as read_curves
    from sim2real.pipelines.transfer_studies import worth_of_knowing as worth_of_knowing
    from sim2real.pipelines.worst import worst as worst
    from sim2real.playback import play as play
    from sim2real.policy import Policy as Policy
    from sim2real.report.runs import write_runs as write_runs
    from sim2real.scaffold import new_world as new_world
    from sim2real.simulators import register_simulator as register_simulator
    from sim2real.single_env import Sim2RealEnv as Sim2RealEnv
    from sim2real.tasks import register_task as register_task
    from sim2real.transfer.methods import METHODS as METHODS
    from sim2real.transfer.methods import register_method as register_method
    from sim2real.transfer.source import Source as Source
    from sim2real.transfer.target import Budget as Budget
    from sim2real.transfer.target import TargetEnv as TargetEnv
    from sim2real.transfer.transfer import transfer as transfer
    from sim2real.world import World as World

    parity = measure_parity
    make, make_vec = Sim2RealEnv, Sim2RealVectorEnv
    __version__: str

IDS = {
    "sim2real/CartPole-v0": "cartpole",
    "sim2real/Furuta-v0": "furuta",
    "sim2real/Hopper-v0": "hopper",
    "sim2real/Push-v0": "push",
    "sim2real/Quadrotor-v0": "quadrotor",
    "sim2real/Quadruped-v0": "quadruped",
    "sim2real/So101Reach-v0": "so101",
}
"""Gymnasium ids and the worlds that they stand for."""

_NAMES = {
    "Budget": "sim2real.transfer.target",
    "Channel": "sim2real.interface",
    "Domain": "sim2real.domain",
    "Drive": "sim2real.interface",
    "METHODS": "sim2real.transfer.methods",
    "Joint": "sim2real.interface",
    "Policy": "sim2real.policy",
    "Signal": "sim2real.interface",
    "Sim2RealEnv": "sim2real.single_env",
    "Sim2RealVectorEnv": "sim2real.env",
    "Source": "sim2real.transfer.source",
    "TargetEnv": "sim2real.transfer.target",
    "TaskSpec": "sim2real.interface",
    "Trials": "sim2real.evaluate.rollouts",
    "World": "sim2real.world",
    "attribute": "sim2real.pipelines.causes",
    "audit_world": "sim2real.pipelines.audit",
    "check_task": "sim2real.checker",
    "close": "sim2real.pipelines.close",
    "compare": "sim2real.pipelines.compare",
    "demo": "sim2real.pipelines.demo",
    "diagnose": "sim2real.pipelines.recordings",
    "evaluate": "sim2real.pipelines.evaluate",
    "export_policy": "sim2real.foreign.export",
    "gap": "sim2real.pipelines.gap",
    "identify": "sim2real.pipelines.identify",
    "import_policy": "sim2real.foreign",
    "layer_transfer": "sim2real.pipelines.transfer_studies",
    "load_policy": "sim2real.foreign",
    "make": "sim2real.single_env:Sim2RealEnv",
    "make_vec": "sim2real.env:Sim2RealVectorEnv",
    "matrix": "sim2real.pipelines.agreement",
    "new_world": "sim2real.scaffold",
    "parity": "sim2real.pipelines.agreement",
    "play": "sim2real.playback",
    "predict": "sim2real.pipelines.agreement",
    "read_curves": "sim2real.pipelines.transfer_studies",
    "register_channel": "sim2real.channels",
    "register_method": "sim2real.transfer.methods",
    "register_simulator": "sim2real.simulators",
    "register_task": "sim2real.tasks",
    "sensitivity": "sim2real.pipelines.causes",
    "train": "sim2real.learn.train",
    "transfer": "sim2real.transfer.transfer",
    "worst": "sim2real.pipelines.worst",
    "worth_of_knowing": "sim2real.pipelines.transfer_studies",
    "write_runs": "sim2real.report.runs",
}
"""Public names and the modules that have them, or the object where it has another name there."""

_CALLABLE = ("evaluate", "identify", "parity", "transfer")
"""Packages that have the name of a public function."""


def register_env(world: str | World, id: str, **options: object) -> None:
    """Register a gymnasium id for a world: ``sim2real.register_env("my_robot", id="mine/Walk-v0")``.

    Args:
        world: a world, or its name or folder.
        id: what `gymnasium.make` and `gymnasium.make_vec` take.
        **options: of the env, such as ``task`` and ``domain``; `gymnasium.make` may give others.

    Raises:
        UnknownName: if there is no such world.
        InvalidValue: for an id that gymnasium doesn't take.
    """
    import gymnasium

    from sim2real.catalog import find
    from sim2real.errors import InvalidValue
    from sim2real.world import SCHEME

    place: object = world
    if isinstance(world, str | os.PathLike) and not str(world).startswith(SCHEME):
        place = find("envs", world)
    try:
        _register(id, {"world": str(place) if isinstance(place, os.PathLike) else place, **options})
    except gymnasium.error.Error as error:
        raise InvalidValue(f"gymnasium takes no id {id!r}: {error}") from error


def _register(env_id: str, options: dict[str, object]) -> None:
    import gymnasium

    gymnasium.register(
        id=env_id,
        entry_point="sim2real.single_env:Sim2RealEnv",
        vector_entry_point="sim2real.env:Sim2RealVectorEnv",
        kwargs=options,
    )


def _load(name: str) -> object:
    module, _, attribute = _NAMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)


class _CallablePackage(ModuleType):
    """A package that is also the public function of its name, which loads on first use."""

    def _function(self) -> FunctionType:
        function = _load(self.__name__.rpartition(".")[2])
        assert isinstance(function, FunctionType)
        return function

    def __call__(self, *arguments: object, **options: object) -> object:
        return self._function()(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        import inspect

        return inspect.signature(self._function())

    def __reduce__(self) -> tuple[object, ...]:
        return importlib.import_module, (self.__name__,)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        import inspect

        function = self._function()
        return f"{function.__name__}{inspect.signature(function)}\n\n{inspect.getdoc(function)}"


for _package in _CALLABLE:
    importlib.import_module(f"sim2real.{_package}").__class__ = _CallablePackage
for _id, _world in IDS.items():
    _register(_id, {"world": _world})


if not TYPE_CHECKING:  # to a type checker a name that is not above is a mistake

    def __getattr__(name: str) -> object:
        """Load a public name on first use, so that importing the package stays cheap."""
        if name == "__version__":
            from importlib.metadata import version

            return version("sim2real")
        if name not in _NAMES:
            known = ", ".join((*_NAMES, "register_env"))
            raise AttributeError(f"module 'sim2real' has no attribute {name!r}; it has {known}")
        return _load(name)


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(
        {*_NAMES, "IDS", "register_env", "__version__", *(name for name in globals() if name[:2] == "__")}
    )
