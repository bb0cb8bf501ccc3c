"""A target in a process of its own: whoever has it can step it, and look at nothing.

    with RemoteTarget("furuta", world.variant("combined_a"), Budget(episodes=10)) as target:
        adapted = fine_tune(policy, target)

It steps like `sim2real.transfer.target.TargetEnv`, to the bit; a step costs a message there and back. The
physics goes to the other process once, and nothing on this side keeps it.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import weakref
from multiprocessing import Pipe
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
from sim2real.process import end, fresh_interpreter
from sim2real.registry import pickled
from sim2real.simulators import Engine
from sim2real.tasks import TASKS
from sim2real.transfer.target import Budget, Seal, Spent, TargetEnv, Uncopied
from sim2real.world import Variant, World

_CALLS = ("reset", "step", "stop", "go_on_from")
_COUNTS = ("budget", "spent", "steps_left", "resting")
_FACTS = (
    *("name", "num_envs", "single_observation_space", "single_action_space"),
    *("task", "engine", "world_name", "contents", "native_actions", "limited_joints"),
)
_ENDED = "the process of this target has ended; make the target again"
_PATIENCE = 10.0  # s for the process to end by itself

Begun: TypeAlias = tuple[NDArray[np.float32], dict[str, Any]]
Stepped: TypeAlias = tuple[
    NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
]


class RemoteTarget(Uncopied):
    """A `TargetEnv` that lives in another process."""

    name: str
    num_envs: int
    single_observation_space: spaces.Box
    single_action_space: spaces.Box
    task: TaskSpec
    engine: Engine
    world_name: str
    contents: Contents
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
            InvalidValue: for a task or an env of one's own that can't go to another process.
        """
        content = _packed((_with_own_task(world), physics, budget, num_envs, simulator, seal))
        self._pipe, theirs = Pipe()
        with theirs:
            pipe = theirs.fileno()
            process = fresh_interpreter(f"{__name__}:serve", str(pipe), files=(pipe,))
        self._end, self._asked = weakref.finalize(self, end, self._pipe, process, _PATIENCE), 0
        self._send(content)
        for name, value in cast(dict[str, object], self._answer()).items():
            setattr(self, name, value)

    @property
    def budget(self) -> Budget:
        """What may be spent."""
        return cast(Budget, self._ask("budget"))

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
        self._end()

    def __enter__(self) -> RemoteTarget:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, name: str, *arguments: object, **named: object) -> object:
        self._send((name, arguments, named))
        return self._answer()

    def _send(self, message: object) -> None:
        self._asked += 1
        try:
            self._pipe.send((self._asked, message))
        except OSError as error:
            raise Sim2RealError(_ENDED) from error

    def _answer(self) -> object:
        number = 0
        try:
            while number != self._asked:  # an interrupt may have left an earlier answer unread
                number, kind, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise Sim2RealError(_ENDED) from error
        if kind is not None:
            raise cast(type[Exception], kind).__new__(kind, value)
        return cast(object, value)


Target: TypeAlias = TargetEnv | RemoteTarget
"""What a method gets: a sealed target, wherever it is."""


def _with_own_task(world: str | World) -> World:
    """With a task of one's own itself: nothing is registered in another process."""
    loaded = world if isinstance(world, World) else World.load(world)
    factory = task_class(loaded)
    return loaded if TASKS.is_built_in(factory) else loaded.with_task(factory)


def _packed(
    arguments: tuple[World, Variant | Domain, Budget, int, str | Engine | None, Seal | None],
) -> bytes:
    try:
        return pickled(arguments)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        world = arguments[0]
        raise InvalidValue(
            f"task {world.task} can't go to another process ({error}); make it without open files or locks"
        ) from error


def serve(pipe: str) -> None:
    """Make the target and answer until the other side closes; nothing but what is public is answered."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    target: TargetEnv | None = None
    answer: tuple[type[Exception] | None, object]
    with contextlib.suppress(EOFError, ConnectionError), Connection(int(pipe)) as caller:
        while True:
            number, message = caller.recv()
            try:
                if target is None:
                    target = TargetEnv(*pickle.loads(message))
                    answer = None, {name: getattr(target, name) for name in _FACTS}
                else:
                    answer = None, _answered(target, *message)
            except (Sim2RealError, BudgetExhausted, MissingExtra) as error:
                answer = type(error), str(error)
            except Exception as error:  # its text and traceback may hold what the target is made of
                answer = Sim2RealError, f"the target failed with {type(error).__name__}"
            caller.send((number, *answer))
    if target is not None:
        target.stop()


def _answered(target: TargetEnv, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> object:
    if name in _CALLS:
        return getattr(target, name)(*arguments, **named)
    if name in _COUNTS:
        return getattr(target, name)
    raise UnknownName("question to a target", str(name), (*_CALLS, *_COUNTS))
