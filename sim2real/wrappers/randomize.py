"""The wrapper: draws physics at every reset, and puts channels between the policy and the env."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.channels import Channels
from sim2real.domain import Domain
from sim2real.draws import StepDraws
from sim2real.errors import Sim2RealError
from sim2real.interface import Signal, TaskSpec
from sim2real.parameters import ACTUATOR, DISTURBANCE, LAW, SENSOR, Quantity, quantity_of
from sim2real.wrappers.body import Body, Drive, name_of
from sim2real.wrappers.bullet_body import BulletBody, has_bullet
from sim2real.wrappers.elements import UNIT, Naming
from sim2real.wrappers.mujoco_body import MujocoBody
from sim2real.wrappers.signals import Observation, Signals

Action = Any
"""Whatever an env takes."""
_ONE = np.zeros(1, dtype=np.intp)


class Randomize(gym.Wrapper[Any, Any, Any, Any]):
    """Draws the physics of a gymnasium env at every reset, and perturbs what it observes and is told.

    The elements of a MuJoCo env are those of its model; unnamed actuators go by the joint that they drive.
    Signals are ``obs_0``, ``obs_1``, ...; see `sim2real.wrappers.signals`. A PyBullet env's links and joints
    are found by name, and commands are ``action_0``, ...; see `sim2real.wrappers.bullet_body`.
    """

    def __init__(
        self, env: gym.Env[Any, Any], domain: Domain, groups: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Wrap ``env``.

        Args:
            env: any env whose unwrapped ``model`` is a MuJoCo model, or that holds a PyBullet client.
            domain: over the env's own elements, by their names.
            groups: elements that share a parameter, by the name that the domain gives them together.

        Raises:
            Sim2RealError: for an env that is neither.
            UnknownName: for an element that the model does not have.
            InvalidValue: for a quantity that it can't take.
        """
        super().__init__(env)
        self._naming = Naming(name_of(env), dict(groups or {}))
        self._body = _body(env)
        self._signals = Signals(env)
        self._rng = np.random.default_rng()
        self._episodes, self._steps = np.zeros((2, 1), dtype=np.int64)
        self._draws = StepDraws(self._episodes, self._steps)
        self._draws.seed = int(self._rng.integers(2**63))
        self._values: dict[str, float] = {}
        self._next: Domain | None = None
        self._bind(domain)

    def set_domain(self, domain: Domain) -> None:
        """Draw from another domain from the next reset on; what it does not name is nominal again.

        Raises:
            UnknownName: for an element that the model does not have.
            InvalidValue: for a quantity that it can't take.
        """
        self._body.world(domain, self._naming)
        self._next = domain

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw and write physics, and reset the env; ``seed`` is the env's and the draw's."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
            self._draws.seed, self._episodes[:] = seed, -1
        self._episodes += 1
        self._steps[:] = 0
        self._body.drive(None)
        if self._next is not None:
            self._restore()
            self._bind(self._next)
            self._next = None
        values = self.domain.sample(self._rng, 1) if self.domain.names else None
        if not self._body.writes_after_reset:
            self._write(values)
        observation, info = super().reset(seed=seed, options=options)
        if self._body.writes_after_reset:
            self._write(values)
        return self._begin(observation), info

    def step(self, action: Action) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step of the env, through the channels."""
        channels = self._channels
        if channels is None:
            return super().step(action)
        self._wear(channels)
        if not self._driven:
            action = self._commanded(action, channels)
        observation, reward, terminated, truncated, info = super().step(action)
        self._steps += 1
        seen = self._signals.apart(observation)
        measured = channels.observe(seen)
        if measured is not seen:
            observation = self._signals.together(measured, observation)
        return observation, reward, terminated, truncated, info

    def physics(self) -> dict[str, float]:
        """Value of every parameter of the domain in this episode, in the parameters' units."""
        return dict(self._values)

    def _bind(self, domain: Domain) -> None:
        self._world = self._body.world(domain, self._naming)
        self.domain = domain
        self._values = dict(self._world.nominal)
        acts = {quantity_of(name) for name in self._world.parameters}
        self._channels = self._make_channels() if any(map(_is_channel, acts)) else None
        self._drives = any(q.acts in (ACTUATOR, LAW) or q.name == "latency" for q in acts)
        self._driven = False

    def _make_channels(self) -> Channels:
        names = self._signals.names
        task = TaskSpec(
            name=self._world.name, version=0, control_dt=self._body.control_dt, max_steps=0,
            observation=tuple(Signal(name, UNIT) for name in names), action=(), num_draws=0, success="",
        )  # fmt: skip
        return Channels(self._world, self._body.simulator(self._world), task, self._draws, self.domain)

    def _begin(self, observation: Observation) -> Observation:
        command = self._body.begin()
        channels = self._channels
        if channels is None:
            return observation
        channels.begin(_ONE, command)
        self._wear(channels)
        if self._drives:
            self._driven = self._body.drive(Drive(channels.command, lambda: channels.between))
        seen = self._signals.apart(observation)
        measured = channels.first(seen, _ONE)
        if np.array_equal(measured, seen):
            return observation
        return self._signals.together(measured, observation)

    def _wear(self, channels: Channels) -> None:
        """Write what changes within the episode, or was changed in the last one."""
        for ids, names, values in channels.schedule.due() if channels.schedule else ():
            self._body.write(self._world, names, values)
            channels.change(ids, names, values)

    def _commanded(self, action: Action, channels: Channels) -> Action:
        """The action after the channels, where the commands themselves can't be reached."""
        if not isinstance(self.action_space, gym.spaces.Box):
            return action
        given = np.asarray(action, dtype=float).reshape(1, -1)
        passed = channels.command(given)
        if passed is given:
            return action
        space = self.action_space
        clipped = np.clip(passed.reshape(space.shape), space.low, space.high)
        return clipped.astype(space.dtype)

    def _restore(self) -> None:
        """Write nominal physics, before a domain that may not name all of it."""
        nominal = self._world.nominal
        if nominal:
            self._body.write(self._world, tuple(nominal), np.array([list(nominal.values())]))

    def _write(self, values: NDArray[np.float64] | None) -> None:
        if values is None:
            return
        names = self.domain.names
        self._values |= dict(zip(names, map(float, values[0]), strict=True))
        self._body.write(self._world, names, values)
        if self._channels is not None:
            self._channels.set_physics(_ONE, names, values)


def _is_channel(quantity: Quantity) -> bool:
    """Whether a channel acts on it, or commands have to pass for it."""
    return quantity.acts in (ACTUATOR, LAW, SENSOR, DISTURBANCE, "schedule") or quantity.name == "latency"


def _body(env: gym.Env[Any, Any]) -> Body:
    model = getattr(env.unwrapped, "model", None)
    if isinstance(model, mujoco.MjModel):
        return MujocoBody(env, model)
    if has_bullet(env.unwrapped):
        return BulletBody(env)
    raise Sim2RealError(
        f"{env} has no MuJoCo model and no PyBullet client; Randomize takes envs whose unwrapped .model is a "
        "mujoco.MjModel, as gymnasium's and gymnasium-robotics' are, or that hold a PyBullet client"
    )
