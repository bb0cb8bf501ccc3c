"""A target in a process of its own: whoever has it can step it, and look at nothing.

    with RemoteTarget("furuta", world.variant("combined_a"), Budget(episodes=10)) as target:
        adapted = fine_tune(policy, target)

It steps like `sim2real.transfer.target.TargetEnv`, to the bit; a step costs a message there and back. The
physics goes to the other process once, and nothing on this side keeps it.
"""

from __future__ import annotations

import multiprocessing
import pickle
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, TypeAlias, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim2real.contents import Contents
from sim2real.domain import Domain
from sim2real.env import task_class
from sim2real.errors import BudgetExhausted, InvalidValue, MissingExtra, Sim2RealError, UnknownName
from sim2real.interface import TaskSpec
from sim2real.simulators import Engine
from sim2real.tasks import TASKS
from sim2real.transfer.target import Budget, Seal, Spent, TargetEnv
from sim2real.world import Variant, World

_CALLS = ("reset", "step", "stop", "go_on_from")
_COUNTS = ("spent", "steps_left", "resting")
_FACTS = (
    *("name", "num_envs", "single_observation_space", "single_action_space"),
    *("task", "engine", "world_name", "contents", "budget", "native_actions", "limited_joints"),
)
_ENDED = "the process of this target has ended; make the target again"

Begun: TypeAlias = tuple[NDArray[np.float32], dict[str, Any]]
Stepped: TypeAlias = tuple[
    NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
]


class RemoteTarget:
    """A `TargetEnv` that lives in another process."""

    name: str
    num_envs: int
    single_observation_space: spaces.Box
    single_action_space: spaces.Box
    task: TaskSpec
    engine: Engine
    world_name: str
    contents: Contents
    budget: Budget
    native_actions: tuple[NDArray[np.float64], NDArray[np.float64]]
    limited_joints: int

    def __init__(
        self,
        world: str | World,
        physics: Variant | Domain,
        budget: Budget,
        num_envs: int = 16,
        simulator: str | Engine | None = None,
        seal: Seal | None = None,
    ) -> None:
        """Start the process; arguments and errors are those of `TargetEnv`.

        Raises:
            InvalidValue: for a task of one's own that the other process can't import.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (_with_own_task(world), physics, budget, num_envs, simulator, seal)
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.send(arguments)
        for name, value in cast(dict[str, object], self._answer()).items():
            setattr(self, name, value)

    @property
    def spent(self) -> Spent:
        """What was spent so far."""
        return cast(Spent, self._ask("spent"))

    @property
    def steps_left(self) -> int:
        """The most control steps, of all rows together, that the budget still allows."""
        return cast(int, self._ask("steps_left"))

    @property
    def resting(self) -> NDArray[np.bool_]:
        """Rows that wait for a reset. Shape (num_envs,)."""
        return cast(NDArray[np.bool_], self._ask("resting"))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Begun:
        """Begin all rows; see `TargetEnv.reset`."""
        return cast(Begun, self._ask("reset", seed=seed, options=options))

    def step(self, actions: NDArray[np.float32]) -> Stepped:
        """Advance all rows one control period; see `TargetEnv.step`."""
        return cast(Stepped, self._ask("step", np.asarray(actions)))

    def stop(self) -> None:
        """Give up the episodes in progress; see `TargetEnv.stop`."""
        self._ask("stop")

    def go_on_from(self, spent: Spent) -> None:
        """Count what an earlier process spent; see `TargetEnv.go_on_from`."""
        self._ask("go_on_from", spent)

    def close(self) -> None:
        """End the process, with what was spent written down."""
        if self._process.is_alive():
            self._pipe.close()
            self._process.join(10)

    def __enter__(self) -> RemoteTarget:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, name: str, *arguments: object, **named: object) -> object:
        try:
            self._pipe.send((name, arguments, named))
        except OSError as error:
            raise Sim2RealError(_ENDED) from error
        return self._answer()

    def _answer(self) -> object:
        try:
            kind, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise Sim2RealError(_ENDED) from error
        if kind is not None:
            raise cast(type[Exception], kind).__new__(kind, value)
        return cast(object, value)


def _with_own_task(world: str | World) -> str | World:
    """What names a task of one's own, with the task itself: nothing is registered in another process."""
    loaded = world if isinstance(world, World) else World.load(world)
    factory = task_class(loaded)
    if TASKS.is_built_in(factory):
        return world
    try:
        pickle.dumps(factory)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InvalidValue(
            f"task {factory.spec.name} can't go to another process; import it from a module, by its name "
            f"({error})"
        ) from error
    return loaded.with_task(factory)


def _serve(pipe: Connection) -> None:
    """Make the target and answer until the other side closes; nothing but what is public is answered."""
    target: TargetEnv | None = None
    answer: object
    while True:
        try:
            message = pipe.recv()
        except EOFError:
            break
        try:
            if target is None:
                target = TargetEnv(*message)
                answer = {name: getattr(target, name) for name in _FACTS}
            elif message[0] in _CALLS:
                answer = getattr(target, message[0])(*message[1], **message[2])
            elif message[0] in _COUNTS:
                answer = getattr(target, message[0])
            else:
                raise UnknownName("question to a target", str(message[0]), (*_CALLS, *_COUNTS))
        except (Sim2RealError, BudgetExhausted, MissingExtra) as error:
            pipe.send((type(error), str(error)))
        except Exception as error:  # its text and traceback may hold what the target is made of
            pipe.send((Sim2RealError, f"the target failed with {type(error).__name__}"))
        else:
            pipe.send((None, answer))
    if target is not None:
        target.stop()
