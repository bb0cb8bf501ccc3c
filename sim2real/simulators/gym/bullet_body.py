"""PyBullet under a gymnasium env: links and joints by their URDF names, written with ``changeDynamics``.

Quantities of the model: ``<link>.mass`` (the inertia scales with it), ``<link>.friction`` (Bullet multiplies
the two of a contact), ``<joint>.damping``, ``world.gravity`` (its direction kept). Many such envs load their
model anew at every reset, so physics is written after it. Commands are the entries of the action,
``action_0`` and so on; one lasts the env's ``dt``, else ``1 / render_fps`` of its metadata, else 1/240 s.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, cast

import gymnasium as gym
import mujoco
import numpy as np

from sim2real.domain import Domain
from sim2real.errors import InvalidValue, Sim2RealError, UnknownName
from sim2real.interface import Array, Simulator
from sim2real.parameters import (
    ACTUATOR,
    MODEL,
    SCHEDULE,
    SENSOR,
    Parameter,
    Quantity,
    quantity_named,
    quantity_of,
)
from sim2real.simulators.gym.body import Drive, Start
from sim2real.simulators.gym.elements import Naming, as_world
from sim2real.world import World
from sim2real.world.gym.bullet_bodies import WRITTEN, Bodies
from sim2real.world.gym.bullet_client import Client, find_client


class BulletBody:
    """The client of a PyBullet env; see `sim2real.simulators.gym.body.Body`."""

    writes_after_reset = True

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Nothing is read before a domain asks for it."""
        self._env = env
        self._nominal: dict[tuple[str, str], float] = {}
        self._written: dict[tuple[str, str], float] = {}
        self._vectors: dict[tuple[str, str], Array] = {}
        box = env.action_space if isinstance(env.action_space, gym.spaces.Box) else None
        self._actions = 0 if box is None else int(np.prod(box.shape))
        self._model = _actuators(self._actions)
        fps = env.metadata.get("render_fps")
        self.control_dt = float(getattr(env.unwrapped, "dt", 0.0) or (1 / fps if fps else 1 / 240))

    def world(self, domain: Domain, naming: Naming) -> World:
        """The env as a world with the domain's parameters; see `Body.world`."""
        if domain.parameters:
            self._connect()
        for name in domain.parameters:
            self._check(name, naming)
        return as_world(self._model, domain, naming, self._value)

    def kept(self) -> tuple[int, int] | None:
        """The process and the number of the client, if there is one yet."""
        client = find_client(self._env.unwrapped)
        return None if client is None else (os.getpid(), client.number)

    def take(self, kept: object) -> None:
        """Refuse an env's copy that is in the same engine as the original.

        Raises:
            Sim2RealError: if it is.
        """
        mine = self.kept()
        if mine is not None and kept == mine:
            raise Sim2RealError(
                f"a copy of {self._env} moves the same bodies as the original, in PyBullet's client "
                f"{mine[1]}; make another env instead"
            )

    def renewed(self) -> bool:
        """Never: bodies are looked up by name at every write."""
        return False

    def holds(self) -> bool:
        """Whatever it has: physics is written after every reset."""
        return True

    def restore(self) -> None:
        """Put back what was read."""
        client = find_client(self._env.unwrapped)
        if client is not None and self._written:
            bodies = Bodies(client)
            for what in self._written:
                bodies.write(what, self._nominal[what], self._vectors.get(what))
        self._written = {}

    def start(self, world: World, domain: Domain) -> Start:
        """A joint under the commands alone; the engine's own bodies can't be copied, only asked."""
        channels = {n: d for n, d in domain.parameters.items() if not _of_model(world.parameters[n])}
        return Start(
            self._model, np.zeros(0), self.control_dt, f"{self._actions} actions", Domain(channels),
            self._dead(world, domain),
        )  # fmt: skip

    def _dead(self, world: World, domain: Domain) -> dict[str, str]:
        found = {}
        named = [world.parameters[n] for n in domain.names if quantity_of(n).acts == MODEL]
        if named:
            bodies = Bodies(self._connect())
            for parameter in named:
                quantity = parameter.quantity.name
                why = [bodies.why_dead(quantity, element) for element in parameter.elements or ("world",)]
                if all(why):
                    found[parameter.name] = "; ".join(why)
        return found

    def simulator(self, world: World) -> Simulator:
        """Channels see no more of this engine than that it is one simulation."""
        return cast(Simulator, SimpleNamespace(num_envs=1, qpos=np.zeros((1, 0)), qvel=np.zeros((1, 0))))

    def write(self, world: World, names: tuple[str, ...], values: Array) -> None:
        """Write physics; bodies are looked up by name, since a reset may have loaded new ones.

        Raises:
            UnknownName: for an element that is there no longer.
            InvalidValue: for a value that the engine does not take.
        """
        bodies = Bodies(self._connect())
        for name, value in zip(names, map(float, values[0]), strict=True):
            quantity = quantity_of(name)
            if quantity.acts != MODEL:
                continue
            for element in world.parameters[name].elements or ("world",):
                what = quantity.name, element
                if bodies.read(what) != self._written.get(what):
                    self._note(bodies, what)  # the env has loaded it anew, or set it itself
                bodies.write(what, value, self._vector(what, value))
                took = self._written[what] = bodies.read(what)
                if quantity.name != "damping" and not np.isclose(took, value, rtol=1e-6, atol=1e-12):
                    raise InvalidValue(
                        f"{name} = {value:g} was given to Bullet, which has {took:g}: it can't have that here"
                    )

    def drive(self, drive: Drive | None) -> bool:
        """Commands can't be reached; actions can."""
        return False

    def took(self, action: Array) -> bool:
        """Whatever the env makes of it: commands are the actions here."""
        return True

    def time(self) -> None:
        """The engine keeps none."""

    def begin(self) -> Array:
        """Nothing is commanded yet. Shape (1, number of actions)."""
        return np.zeros((1, self._actions))

    def _connect(self) -> Client:
        """The client; an env that has none yet, or no bodies, is reset once. What is nominal is read then."""
        client = find_client(self._env.unwrapped)
        if client is None or not client("getNumBodies"):
            self._env.reset()
            client = find_client(self._env.unwrapped)
        if client is None:
            raise Sim2RealError(f"{self._env} has no PyBullet client, also after a reset")
        if not self._nominal:
            bodies = Bodies(client)
            for what in bodies.all():
                self._note(bodies, what)
        return client

    def _look_again(self) -> None:
        """After a reset, which may load what the env's constructor did not."""
        self._env.reset()
        bodies = Bodies(self._connect())
        for what in bodies.all():
            if what not in self._nominal:
                self._note(bodies, what)

    def _note(self, bodies: Bodies, what: tuple[str, str]) -> None:
        """Remember what is nominal; a later look might see a draw."""
        self._nominal[what] = bodies.read(what)
        if what[0] in ("mass", "gravity"):
            self._vectors[what] = bodies.vector(what)

    def _vector(self, what: tuple[str, str], value: float) -> Array | None:
        """The inertia that goes with a mass, or the vector of a gravity; downwards where there was none."""
        if what not in self._vectors or value == self._nominal[what]:
            return self._vectors.get(what)
        if not self._nominal[what]:
            return np.array([0.0, 0.0, -value])
        return self._vectors[what] * value / self._nominal[what]

    def _value(self, quantity: str, element: str) -> float:
        neutral = quantity_named(quantity).neutral
        return self._nominal[quantity, element] if neutral is None else neutral

    def _check(self, name: str, naming: Naming) -> None:
        quantity = quantity_of(name)
        if not _possible(quantity):
            raise InvalidValue(
                f"{name} can't be set on a PyBullet env; possible: {', '.join(WRITTEN)}, and channels for "
                "commands and readings"
            )
        if quantity.element == "parameter":
            self._check(name.rpartition(".")[0], naming)
            return
        for element in naming.elements(name) if quantity.acts == MODEL else ():
            if (quantity.name, element) not in self._nominal:
                self._look_again()
            if (quantity.name, element) not in self._nominal:
                known = [other for kind, other in self._nominal if kind == quantity.name]
                raise UnknownName(f"element for parameter {name}:", element, known)
            if quantity.name == "mass" and not self._nominal["mass", element]:
                raise InvalidValue(f"{name}: {element!r} is fixed to the world, with a mass of 0")


def _of_model(parameter: Parameter) -> bool:
    """Whether the engine's model decides it, or over time changes it."""
    names = parameter.elements if parameter.quantity.element == "parameter" else (parameter.name,)
    return any(quantity_of(name).acts == MODEL for name in names)


def _possible(quantity: Quantity) -> bool:
    if quantity.acts == MODEL:
        return quantity.name in WRITTEN
    return quantity.acts in (ACTUATOR, SENSOR, SCHEDULE) and quantity.name != "latency_jitter"


def _actuators(count: int) -> mujoco.MjModel:
    """A model without a body of its own, whose actuators give the entries of an action their names."""
    motors = "".join(f'<motor name="action_{k}" joint="none"/>' for k in range(count))
    body = '<body><joint name="none"/><geom size="1"/></body>'
    return mujoco.MjModel.from_xml_string(
        f"<mujoco><worldbody>{body}</worldbody><actuator>{motors}</actuator></mujoco>"
    )
