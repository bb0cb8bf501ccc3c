"""One gymnasium env under a simulator: its physics, its episodes, and what it tells of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, Sim2RealError, told
from sim2real.interface import Array
from sim2real.process import seeded
from sim2real.simulators.gym.bodies import body_of
from sim2real.simulators.gym.body import Body, Drive
from sim2real.simulators.gym.delay import DelayLine
from sim2real.simulators.gym.mujoco_body import MujocoBody
from sim2real.world import World
from sim2real.world.gym.rules import Sets, who_sets
from sim2real.world.gym.signals import Observation, Signals
from sim2real.world.names import element_id

_BAD = [
    int(kind)
    for kind in (
        mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC,
    )
]  # fmt: skip
"""Warnings after which MuJoCo has begun a simulation anew, unasked."""


class SubEnv:
    """An env of a world, which tells what it observes and gives in its row of some arrays."""

    def __init__(self, world: World, board: Mapping[str, Array]) -> None:
        """Make the env.

        Args:
            world: which is a gymnasium env.
            board: live arrays by name, of this env alone.
        """
        assert world.env is not None
        self._title, self._board, self._success = world.env.source.name, board, world.env.success
        self._setters = world.env.source.setters
        who = {n: who_sets(world.env, n, p.elements) for n, p in world.parameters.items()}
        self._env = world.env.source.make()
        self._signals, self._bare = Signals(self._env), cast(Any, self._env.unwrapped)
        self._space = cast(Any, self._env.action_space)
        self._own: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._who, self._over = who, True
        written = {n: p for n, p in world.parameters.items() if who[n] is not Sets.ENV}
        self._world = dataclasses.replace(world, parameters=written)
        longest = int(world.model.actuator_history[:, 0].max(initial=0))
        elsewhere = world.env.engine != "mujoco"
        self._line = DelayLine(world.model.nu, longest) if elsewhere and longest else None
        self._pushed = any(p.quantity.name == "push" for p in world.parameters.values())
        self._late = any(p.quantity.name in ("latency", "latency_jitter") for p in world.parameters.values())
        self._body: Body | None = None
        self._bind()

    def close(self) -> None:
        """Close the env."""
        self._env.close()

    def set_physics(self, names: tuple[str, ...], values: Array) -> None:
        """Take values of parameters, shape (len(names),); they stay through resets."""
        physics = dict(zip(names, map(float, values), strict=True))
        self._own |= {name: value for name, value in physics.items() if self._who[name] is Sets.ENV}
        for name in names:
            if self._who[name] is Sets.DELAY and self._line is not None:
                for element in self._world.parameters[name].elements:
                    self._line.steps[element_id(self._world.model, "actuator", element)] = physics[name]
        changed = {n: v for n, v in physics.items() if self._who[n] in (Sets.MODEL, Sets.BODIES)}
        if changed:
            self._written |= changed
            if self._body is not None and not (self._over and self._body.writes_after_reset):
                self._write(changed)
        if any(self._who[name] is Sets.ENV for name in names) and not self._over:
            self._set_own()

    def delay_commands(self, steps: Array) -> None:
        """Delay commands by whole physics steps until physics is set again. Shape (nu,)."""
        if self._line is not None:
            self._line.steps[:] = np.round(steps)
        elif isinstance(self._body, MujocoBody):
            self._body.delay_commands(steps)

    def reset(self, seed: int) -> None:
        """Begin an episode.

        Raises:
            InvalidValue: for an env that fails, or begins with what is no number.
        """
        body = self._renewed()
        if body is not None:
            body.drive(None)
            if not body.writes_after_reset:
                self._write(self._written)
        self._set_own()
        with seeded(seed):  # of which the resets of many envs draw, whatever seed they are given
            observation, _ = self._asked("reset", lambda: self._env.reset(seed=seed))
        before, body = body, self._renewed()
        if body is not None and (body is not before or body.writes_after_reset or not body.holds()):
            self._write(self._written)
        self._set_own(only_attributes=True)
        self._begin_commands()
        seen = self._numbers(observation)
        if not np.isfinite(seen).all():
            name = self._signals.names[int(np.argmin(np.isfinite(seen)))]
            raise InvalidValue(f"{self._title} begins with {name} that is no number; mend its reset()")
        self._warned = self._warnings()
        for name in ("reward", "terminated", "truncated", "success", "diverged"):
            self._board[name][()] = 0.0
        self._board["observation"][:] = seen
        self._over = False
        self._show()

    def step(self) -> None:
        """Take the command on the board; an env whose episode is over rests until its reset."""
        if self._over:
            self._board["reward"][()] = 0.0
            return
        command = self._board["ctrl"]
        if self._line is not None:
            command = next(self._line.pieces(command, 1))[0]
        space = self._space
        action = np.clip(command.reshape(space.shape), space.low, space.high).astype(space.dtype)
        if self._pushed:
            self._data().xfrc_applied[:] = self._board["force"]
        observation, given, terminated, truncated, info = self._asked("step", lambda: self._env.step(action))
        seen = self._numbers(observation)
        reward = self._asked("step", lambda: float(np.asarray(given).item()))
        with np.errstate(over="ignore"):  # policies see float32
            finite = np.isfinite(seen.astype(np.float32)).all() and np.isfinite(reward)
        blown = not finite or self._warnings() != self._warned
        if not blown:
            self._board["observation"][:] = seen
            self._show()
        self._board["reward"][()] = 0.0 if blown else reward
        self._board["diverged"][()] = blown
        self._board["terminated"][()], self._board["truncated"][()] = bool(terminated), bool(truncated)
        self._board["success"][()] = bool(self._success) and self._succeeded(info)
        self._over = bool(blown or terminated or truncated)

    def picture(self) -> NDArray[np.uint8]:
        """What an env draws that was made by `Source.drawn`. Shape (height, width, 3).

        Raises:
            InvalidValue: for an env that fails, or draws something else.
        """
        drawn = np.asarray(self._asked("render", self._env.render))
        if drawn.dtype != np.uint8 or drawn.ndim != 3 or drawn.shape[2] != 3:
            raise InvalidValue(
                f"{self._title} draws {drawn.dtype} of shape {drawn.shape} where a picture is meant: uint8 "
                "of shape (height, width, 3)"
            )
        return drawn

    def _numbers(self, observation: Observation) -> Array:
        """What is observed, in a row.

        Raises:
            InvalidValue: for more or fewer numbers than the env's space has.
        """
        seen: Array = self._asked("observation", lambda: self._signals.apart(observation)[0])
        if seen.shape != self._board["observation"].shape:
            raise InvalidValue(
                f"{self._title} observes {seen.size} numbers, and its observation_space has "
                f"{self._board['observation'].size}; make the two agree"
            )
        return seen

    def _succeeded(self, info: Mapping[str, Any]) -> bool:
        """Whether a step is a success by the env's own account.

        Raises:
            InvalidValue: for what is neither true nor false, as a text or NaN, that Python takes for true.
        """
        told_of = self._asked("step", lambda: np.asarray(info.get(self._success)).item())
        if told_of not in (0, 1, None):
            raise InvalidValue(
                f"{self._title} says info[{self._success!r}] = {told_of!r}, which is neither true nor false; "
                "let it say one of both"
            )
        return bool(told_of)

    def _asked(self, method: str, call: Any) -> Any:  # noqa: ANN401 - whatever a stranger's env answers
        try:
            return call()
        except Sim2RealError:
            raise
        except (Exception, SystemExit) as error:  # whatever a stranger's code raises
            raise InvalidValue(f"{self._title} fails in {method}(): it raises {told(error)}") from error

    def _bind(self) -> None:
        """Take the model and data that the env has now."""
        assert self._world.env is not None
        if self._world.env.engine:
            self._body = body_of(self._env)
            if self._late and isinstance(self._body, MujocoBody):
                self._body.simulator(self._world)

    def _renewed(self) -> Body | None:
        """The body, bound anew where the env has another model or other data."""
        if self._body is not None and self._body.renewed():
            self._bind()
        return self._body

    def _write(self, physics: Mapping[str, float]) -> None:
        if physics and self._body is not None:
            self._body.write(self._world, tuple(physics), np.array([list(physics.values())]))

    def _set_own(self, only_attributes: bool = False) -> None:
        """Give the env what it sets itself: by setters, in a table, or as attributes."""
        left = {}
        for name, value in self._own.items():
            setter = self._setters.get(name)
            if callable(setter) and not only_attributes:
                self._asked(f"the setter of {name}", lambda s=setter, v=value: s(self._bare, v))
            if isinstance(setter, str):
                self._set(setter, value)
            if setter is None:
                left[name] = value
        if left and callable(getattr(self._bare, "set_physics", None)):
            if not only_attributes:
                self._asked("set_physics", lambda: self._bare.set_physics(left))
            return
        for name, value in left.items():
            self._set(name.rpartition(".")[2], value)

    def _set(self, attribute: str, value: float) -> None:
        """Give the env a number as an attribute; a whole one where it had a whole one."""
        whole = isinstance(getattr(self._bare, attribute, None), int) and value == int(value)
        setattr(self._bare, attribute, int(value) if whole else value)

    def _begin_commands(self) -> None:
        if self._line is not None:
            self._line.begin(np.zeros(self._line.steps.size))
        elif self._late and isinstance(self._body, MujocoBody):
            self._body.begin()
            self._body.drive(Drive(lambda command: command, lambda: None))

    def _data(self) -> mujoco.MjData:
        return cast(mujoco.MjData, self._bare.data)

    def _warnings(self) -> int:
        data = getattr(self._bare, "data", None)
        return sum(int(data.warning[k].number) for k in _BAD) if isinstance(data, mujoco.MjData) else 0

    def _show(self) -> None:
        """Where a MuJoCo model is."""
        if self._board["qpos"].size:
            self._board["qpos"][:], self._board["qvel"][:] = self._data().qpos, self._data().qvel
