"""The wrapper: draws physics at every reset, and puts channels between the policy and the env."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from sim2real.channels import Channels
from sim2real.domain import Domain
from sim2real.draws import StepDraws, checked_seed
from sim2real.errors import DeadParameter, InvalidValue, Sim2RealError
from sim2real.interface import Signal, TaskSpec
from sim2real.parameters import ACTUATOR, CHANNELS, DISTURBANCE, LAW, SENSOR, Quantity, quantity_of
from sim2real.simulators.gym.bodies import body_of
from sim2real.simulators.gym.body import Drive, name_of
from sim2real.simulators.gym.elements import Naming
from sim2real.world import UNIT
from sim2real.world.gym.signals import Observation, Signals
from sim2real.wrappers.effects import AUDITS, Excitation, Rig, Wrapped, key_of, remember

Action = Any
"""Whatever an env takes."""
_ONE = np.zeros(1, dtype=np.intp)
_TIMED = ("push", "drift", "redraw", "bias_drift", "rate_limit", "goal_braking")
"""Quantities that count seconds from step to step."""
_MEMORYLESS = ("command_resolution", "deadband")
"""Quantities of commands that may be asked for several commands a step."""


class Randomize(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Draws the physics of a gymnasium env at every reset, and perturbs what it observes and is told.

    The elements of a MuJoCo env are those of its model; unnamed actuators go by the joint that they drive.
    Signals are ``obs_0``, ``obs_1``, ...; see `sim2real.world.gym.signals`. A PyBullet env's links and joints
    are found by name, and commands are ``action_0``, ...; see `sim2real.simulators.gym.bullet_body`.

    The first reset moves every parameter to both ends (`sim2real.wrappers.effects`), on a copy of the model;
    a domain that has passed on a model passes on all such envs of the process. An env that loads another
    model, or makes new data, in its reset is written to after it. Copies and pickles draw on from where the
    original is; ``gym.make(env.spec)`` wraps a new env in the same domain.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        domain: Domain | Mapping[str, object] | str | Path,
        groups: Mapping[str, Sequence[str]] | None = None,
        allow_dead: bool = False,
    ) -> None:
        """Wrap ``env``.

        Args:
            env: any env whose unwrapped ``model`` is a MuJoCo model, or that holds a PyBullet client.
            domain: over the env's own elements, by their names; the table that `Domain.to_toml` makes and
                the path of a TOML file do as well.
            groups: elements that share a parameter, by the name that the domain gives them together.
            allow_dead: take parameters that change nothing, which the first reset refuses otherwise.

        Raises:
            Sim2RealError: for an env that is neither, is randomized already, or resets without being told.
            UnknownName: for an element that the model does not have.
            InvalidValue: for a quantity that it can't take.
        """
        check_stack(env)
        domain = _as_domain(domain)
        self._record(domain, groups or {}, allow_dead)
        super().__init__(env)
        self._allow_dead, self._audited, self._fresh = allow_dead, False, True
        self._naming = Naming(name_of(env), dict(groups or {})).check()
        self._body = body_of(env)
        self._signals = Signals(env)
        self._rng = np.random.default_rng()
        self._episodes, self._steps = np.zeros((2, 1), dtype=np.int64)
        self._draws = StepDraws(self._episodes, self._steps)
        self._draws.seed = int(self._rng.integers(2**63))
        self._values: dict[str, float] = {}
        self._told = 0
        self._next: Domain | None = None
        self._bind(domain)

    @property
    def domain(self) -> Domain:
        """What the next reset draws from; another one may be assigned, as `set_domain` takes it."""
        return self._domain if self._next is None else self._next

    @domain.setter
    def domain(self, domain: Domain | Mapping[str, object] | str | Path) -> None:
        self.set_domain(domain)

    def set_domain(self, domain: Domain | Mapping[str, object] | str | Path) -> None:
        """Draw from another domain from the next reset on; what it does not name is nominal again.

        Raises:
            UnknownName: for an element that the model does not have.
            InvalidValue: for a quantity that it can't take.
        """
        domain = _as_domain(domain)
        self._body.world(domain, self._naming)
        self._next = domain
        self._record(domain, self._naming.groups, self._allow_dead)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw and write physics, and reset the env; ``seed`` is the env's and the draw's."""
        if seed is not None:
            seed = checked_seed(seed)
            self._rng = np.random.default_rng(seed)
            self._draws.seed, self._episodes[:] = seed, -1
        self._episodes += 1
        self._steps[:] = 0
        self._body.drive(None)
        if self._body.renewed():
            self._renew()
        if self._next is not None:
            self._body.restore()
            self._bind(self._next)
            self._next, self._audited = None, False
        values = self._domain.sample(self._rng, 1) if self._domain.names else None
        observation, info = self._reset(values, seed, options)
        if not self._audited:
            self._audit()
        return self._begin(observation), info

    def _reset(
        self, values: NDArray[np.float64] | None, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Observation, dict[str, Any]]:
        """Reset the env under some physics, whatever it does with its model."""
        if not self._body.writes_after_reset:
            self._write(values)
        observation, info = super().reset(seed=seed, options=options)
        if self._body.renewed():
            self._renew()
            self._write(values)
        elif self._body.writes_after_reset or not self._body.holds():
            self._write(values)
        return observation, info

    def step(self, action: Action) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step of the env, through the channels."""
        if self._body.renewed():
            self._follow()
        channels = self._channels
        if channels is None:
            return super().step(action)
        if self._fresh:
            raise Sim2RealError(
                f"reset() this {self._naming.title} before its first step; what delays, sensors and pushes "
                "hold begins there, in a copy as well"
            )
        self._wear(channels)
        if not self._driven:
            action = self._commanded(action, channels)
        before, self._told = None if self._checked else self._body.time(), 0
        observation, reward, terminated, truncated, info = super().step(action)
        if not self._checked:
            self._check_step(action, before)
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
        self._domain = domain
        self._values = dict(self._world.nominal)
        acts = {quantity_of(name) for name in self._world.parameters}
        self._channels = self._make_channels() if any(map(_is_channel, acts)) else None
        self._drives = any(map(_is_driven, acts))
        self._driven = self._checked = False

    def _make_channels(self) -> Channels:
        names = self._signals.names
        task = TaskSpec(
            name=self._world.name, version=0, control_dt=self._body.control_dt, max_steps=0,
            observation=tuple(Signal(name, UNIT) for name in names), action=(), num_draws=0, success="",
        )  # fmt: skip
        return Channels(self._world, self._body.simulator(self._world), task, self._draws, self._domain)

    def _record(self, domain: Domain, groups: Mapping[str, Sequence[str]], allow_dead: bool) -> None:
        """Note what ``gym.make(env.spec)`` makes this wrapper of; plain values, so that the spec is JSON."""
        plain = {name: list(elements) for name, elements in groups.items()}
        self._saved_kwargs = {"domain": domain.to_toml(), "groups": plain, "allow_dead": allow_dead}
        self._cached_spec = None

    def _renew(self) -> None:
        """Bind to the model and data that the env has by now."""
        try:
            self._body = body_of(self.env)
            self._bind(self._domain)
        except Sim2RealError as error:
            raise Sim2RealError(
                f"{self._naming.title} has loaded another model, which its domain does not fit: {error}"
            ) from error

    def _follow(self) -> None:
        """The same within an episode, whose physics goes on."""
        if self._channels is not None:
            raise Sim2RealError(
                f"{self._naming.title} has replaced its model or its data within an episode; reset() it, for "
                "what delays, sensors and pushes hold belongs to the old one"
            )
        values = self._values
        self._renew()
        self._set(values)

    def _set(self, physics: dict[str, float]) -> None:
        """Write physics that was drawn before."""
        names = self._domain.names
        if names:
            self._write(np.array([[physics[name] for name in names]]))

    def _audit(self) -> None:
        """Refuse a domain of which a parameter changes nothing; done once for a model and a domain."""
        self._audited = True
        if self._allow_dead or not self._domain.names:
            return
        start = self._body.start(self._world, self._domain)
        key = key_of(start, self._domain, self._naming, self._signals.names)
        if key not in AUDITS:
            rig = Rig(start, self._signals.names)
            wrapped = Randomize(rig, start.domain, self._naming.groups, allow_dead=True)
            way = Wrapped(wrapped._replay, wrapped.step)
            remember(key, Excitation(rig, way, self._world, start.domain).audit(start.dead))
        try:
            AUDITS[key].refuse(", or insist with allow_dead=True")
        except DeadParameter:
            self._audited = False
            raise

    def _replay(self, values: NDArray[np.float64], start: int) -> None:
        """Begin an episode of given physics and of a given number, for the audit."""
        self._draws.seed, self._episodes[:], self._steps[:] = 0, start, 0
        self._body.drive(None)
        self._begin(self._reset(values, None, {"start": start})[0])

    def __getstate__(self) -> dict[str, Any]:
        """Without what is bound to the model; a copy binds anew."""
        bound = ("_body", "_channels", "_world")
        state = {name: value for name, value in self.__dict__.items() if name not in bound}
        return state | {"_kept": self._body.kept()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Bind to the env's copy, with the physics that the original has."""
        kept = state.pop("_kept")
        self.__dict__.update(state)
        values, began = self._values, not self._fresh
        self._body = body_of(self.env)
        self._body.take(kept)
        self._bind(self._domain)
        self._fresh = True
        if began:
            self._set(values)

    def _begin(self, observation: Observation) -> Observation:
        channels, self._fresh = self._channels, False
        if channels is None:
            return observation
        channels.begin(_ONE, self._body.begin())
        self._wear(channels)
        if self._drives:
            self._driven = self._body.drive(Drive(self._pass, lambda: channels.between))
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

    def _pass(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        """A command of the env after the channels, and that there was one in this step."""
        assert self._channels is not None
        self._told += 1
        return self._channels.command(command)

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

    def _check_step(self, action: Action, before: float | None) -> None:
        """Refuse, after a first step, an env that was not what the channels took it for."""
        after, period = self._body.time(), self._body.control_dt
        timed = [name for name in self._domain.names if quantity_of(name).name in (*_TIMED, *CHANNELS)]
        took = 0.0 if before is None or after is None else after - before
        if timed and took > 0.0 and not np.isclose(took, period, rtol=1e-6):
            raise Sim2RealError(
                f"a step of {self._naming.title} takes {took:g} s and was taken for {period:g} s, by which "
                f"{', '.join(timed)} would be wrong; give the env an attribute dt of {took:g}"
            )
        commands = [name for name in self._domain.names if quantity_of(name).acts == ACTUATOR]
        if commands and not self._driven and not self._body.took(np.ravel(action)):
            raise Sim2RealError(
                f"{self._naming.title} steps by code of its own, and what its actuators got is not its "
                f"action; {', '.join(commands)} can't act there: take them out"
            )
        if self._driven:
            self._check_commands()
        self._checked = True

    def _check_commands(self) -> None:
        """Refuse an env whose step does not command its actuators once."""
        told, names = self._told, self._domain.names
        if told:
            acts = [n for n in names if quantity_of(n).acts == ACTUATOR]
            wrong = [n for n in acts if told > 1 and quantity_of(n).name not in _MEMORYLESS]
        else:
            wrong = [n for n in names if _is_driven(quantity_of(n))]
        if wrong:
            how = f"its actuators {told} times" if told else "none of its actuators through do_simulation"
            raise Sim2RealError(
                f"a step of {self._naming.title} commands {how}, by code of its own, where once is meant; "
                f"{', '.join(wrong)} can't act there: take them out"
            )

    def _write(self, values: NDArray[np.float64] | None) -> None:
        if values is None:
            return
        names = self._domain.names
        self._values |= dict(zip(names, map(float, values[0]), strict=True))
        self._body.write(self._world, names, values)
        if self._channels is not None:
            self._channels.set_physics(_ONE, names, values)


def _is_channel(quantity: Quantity) -> bool:
    """Whether a channel acts on it, or commands have to pass for it."""
    return _is_driven(quantity) or quantity.acts in (SENSOR, DISTURBANCE, "schedule")


def _is_driven(quantity: Quantity) -> bool:
    """Whether commands have to pass for it, or what is between them."""
    return quantity.acts in (ACTUATOR, LAW) or quantity.name == "latency"


def check_stack(env: gym.Env[Any, Any]) -> None:
    """Refuse envs that `Randomize` can't stand above.

    Raises:
        Sim2RealError: for a vector of envs, an env that is randomized already, or one that resets unasked.
    """
    if isinstance(env, gym.vector.VectorEnv):
        raise Sim2RealError(
            "Randomize wraps one env, not a vector of them; wrap each: "
            "gym.make_vec(id, num_envs, wrappers=[lambda env: Randomize(env, domain)])"
        )
    while isinstance(env, gym.Wrapper):
        if isinstance(env, Randomize):
            raise Sim2RealError(
                "this env is in Randomize already, and two draws would overwrite each other; name all "
                "parameters in one domain, or give it another with set_domain"
            )
        if isinstance(env, gym.wrappers.Autoreset):
            raise Sim2RealError(
                "this env is in Autoreset, whose resets would draw no physics; put Randomize on first"
            )
        env = env.env


def _as_domain(given: Domain | Mapping[str, object] | str | Path) -> Domain:
    if isinstance(given, Domain):
        return given
    if isinstance(given, Mapping):
        return Domain.from_toml(given)
    if not isinstance(given, str | Path) or not Path(given).is_file():
        raise InvalidValue(
            f"no domain {given!r}: give a Domain, its table or the path of a TOML file; Domain({{}}) is none"
        )
    return Domain.load(given)
