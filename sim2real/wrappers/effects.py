"""The effect audit of a wrapped env: a parameter of its domain that changes nothing is an error.

The env is left alone. What moves is a copy of its nominal model, from the state that the env was in, under
random commands and with made-up readings, through the wrapper itself: what is audited is what will run. An
end of a parameter is given up as alive at the first number that differs; what seems dead gets a longer look.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv

from sim2real.audit.distance import Paths
from sim2real.audit.finding import DEAD, Audit, End, Finding, distinct, ranked, verdict_of
from sim2real.audit.models import random_commands
from sim2real.audit.moves import Move, Physics, domain_moves, why_idle
from sim2real.audit.reasons import Pairs, why_dead
from sim2real.domain import Domain
from sim2real.interface import Array
from sim2real.parameters import CHANNELS, MODEL, quantity_of
from sim2real.simulators.gym.body import Start
from sim2real.simulators.quiet import quiet
from sim2real.world import World

_HOLD = 5  # control steps with the same command
_SPEED = 0.5  # standard deviation of the velocities that all starts but the first begin with, rad/s and m/s


@dataclass(frozen=True)
class _Length:
    """How long, and from how many starts."""

    steps: int
    starts: int


_FIRST = _Length(60, 2)
_LONG = 20.0  # s of a second look, in 100 to 1000 control steps


class Rig(MujocoEnv):
    """A model alone, whose actions are its commands and whose readings are sines."""

    def __init__(self, start: Start, names: Sequence[str]) -> None:
        """Of what the audit starts from; readings are called ``names``."""
        self.model, self._state = start.model, start.state
        self.data = mujoco.MjData(start.model)
        self.frame_skip = max(round(start.control_dt / start.model.opt.timestep), 1)
        self.observation_names = names
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (len(names),), np.float64)
        self.action_space = gym.spaces.Box(-np.inf, np.inf, (start.model.nu,), np.float64)
        self.touched: Pairs = set()
        """Geoms that touched so far."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin at the start of a number."""
        number = (options or {}).get("start", 0)
        mujoco.mj_resetData(self.model, self.data)
        if self._state.size:
            mujoco.mj_setState(self.model, self.data, self._state, mujoco.mjtState.mjSTATE_INTEGRATION)
        if number:
            self.data.qvel[:] += np.random.default_rng(number).normal(0.0, _SPEED, self.model.nv)
        mujoco.mj_forward(self.model, self.data)
        self._time, self._phase = 0, float(number)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:  # noqa: ANN401 - gymnasium's
        """One control step."""
        self.do_simulation(action, self.frame_skip)
        self._time += 1
        self.touched |= {(min(pair), max(pair)) for pair in self.data.contact.geom.tolist()}
        return self._seen(), 0.0, False, False, {}

    def _seen(self) -> Array:
        columns = 1 + np.arange(len(self.observation_names))
        seen: Array = np.sin(0.1 * self._time * np.sqrt(columns) + columns + self._phase)
        return seen


@dataclass(frozen=True)
class Wrapped:
    """What the audit asks of the wrapper around a rig."""

    begin: Callable[[Array, int], object]
    """Begins an episode with a row of values of the domain's parameters, from a start."""
    step: Callable[[Array], tuple[Any, ...]]


class Excitation:
    """Moves a wrapped rig, under every physics by the same commands."""

    def __init__(self, rig: Rig, wrapped: Wrapped, world: World, domain: Domain) -> None:
        """Of a rig, the wrapper around it, and what the domain is over."""
        self._rig, self._wrapped, self._world, self._domain = rig, wrapped, world, domain
        self._second = _Length(int(np.clip(_LONG / rig.dt, 100, 1000)), 3)
        self._bases: dict[tuple[_Length, frozenset[tuple[str, float]]], Paths] = {}

    def audit(self, dead: Mapping[str, str]) -> Audit:
        """What each parameter changes; some are known to be dead, and why."""
        ends: dict[str, list[Move]] = {}
        for move in domain_moves(self._world, self._domain):
            ends.setdefault(move.parameter, []).append(move)
        with quiet():
            findings = [self._finding(name, moves) for name, moves in ends.items()]
        for name, why in dead.items():
            parameter = self._world.parameters[name]
            findings.append(Finding(name, parameter.unit, parameter.nominal, (), DEAD, (why,)))
        words = f"{_FIRST.starts} starts, each {_FIRST.steps} control steps of random commands"
        return Audit(self._world.title, "Randomize", ranked(findings), words, {}, 0.0)

    def _finding(self, name: str, moves: Sequence[Move]) -> Finding:
        ends, why = [], list[str]()
        for move in moves:
            far = self._furthest(move, _FIRST) or self._furthest(move, self._second)
            ends.append(End(move.value, far, far > 0.0, {}))
            if not far:
                why += self._reasons(move)
        parameter, reasons = self._world.parameters[name], distinct(why)
        verdict = verdict_of(ends, reasons)
        return Finding(name, parameter.unit, parameter.nominal, tuple(ends), verdict, reasons)

    def _furthest(self, move: Move, length: _Length) -> float:
        """How far a move leads from its base where it first does so, scaled; 0 if it never does."""
        base = self._base(move.base, length)
        for start in range(length.starts):
            for time, numbers in enumerate(self._play(move.physics, start, length)):
                far = base.beyond(numbers, time, start)
                if far:
                    return far
        return 0.0

    def _base(self, physics: Physics, length: _Length) -> Paths:
        key = length, frozenset(physics.items())
        if key not in self._bases:
            played = [list(self._play(physics, start, length)) for start in range(length.starts)]
            values = np.array(played).swapaxes(0, 1)[:, None]
            nq, nv = self._rig.model.nq, self._rig.model.nv
            groups = [nq, nv, values.shape[-1] - nq - nv]
            self._bases[key] = Paths.of(values, groups, np.zeros(length.starts, dtype=bool))
        return self._bases[key]

    def _play(self, physics: Physics, start: int, length: _Length) -> Iterator[Array]:
        """Positions, velocities and readings after each control step of an episode."""
        nominal, data, rng = self._world.nominal, self._rig.data, np.random.default_rng(start)
        row = np.array([[physics.get(name, nominal[name]) for name in self._domain.names]])
        self._wrapped.begin(row, start)
        for time in range(length.steps):
            if time % _HOLD == 0:
                command = random_commands(self._rig.model, rng, 1)[0]
            seen, *_ = self._wrapped.step(command)
            yield np.concatenate((data.qpos, data.qvel, seen))

    def _reasons(self, move: Move) -> Iterator[str]:
        """Why a move changes nothing, as far as it is known."""
        parameter = self._world.parameters[move.parameter]
        yield from why_idle(self._world, move)
        if parameter.quantity.acts == MODEL:
            base, moved = map(self._model, (move.base, move.physics))
            yield from why_dead(base, moved, self._rig.touched)

    def _model(self, physics: Physics) -> mujoco.MjModel:
        next(self._play(physics, 0, _FIRST))
        return copy.deepcopy(self._rig.model)


AUDITS: dict[tuple[str, ...], Audit] = {}
"""Of this process, by model, domain and what else decides them; the last thousand."""
_MOST_AUDITS = 1000  # a curriculum may widen its domain for ever


def remember(key: tuple[str, ...], audit: Audit) -> None:
    """Keep an audit, and forget the oldest one where there are too many."""
    AUDITS[key] = audit
    if len(AUDITS) > _MOST_AUDITS:
        del AUDITS[next(iter(AUDITS))]


def key_of(start: Start, domain: Domain, *others: object) -> tuple[str, ...]:
    """What an audit is kept under; a channel of a user's own that is defined again is another one."""
    own = [id(CHANNELS[name]) for name in (quantity_of(n).name for n in domain.names) if name in CHANNELS]
    return start.digest, json.dumps(domain.to_toml()), repr((start.control_dt, start.dead, own, *others))
