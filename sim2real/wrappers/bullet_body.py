"""PyBullet under a gymnasium env: links and joints by their URDF names, written with ``changeDynamics``.

Quantities of the model: ``<link>.mass`` (the inertia scales with it), ``<link>.friction`` (Bullet multiplies
the two of a contact), ``<joint>.damping``, ``world.gravity`` (its direction kept). Many such envs load their
model anew at every reset, so physics is written after it. Commands are the entries of the action,
``action_0`` and so on; one lasts the env's ``dt``, else ``1 / render_fps`` of its metadata, else 1/240 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import gymnasium as gym
import mujoco
import numpy as np

from sim2real.domain import Domain
from sim2real.errors import InvalidValue, Sim2RealError, UnknownName
from sim2real.interface import Array, Simulator
from sim2real.parameters import ACTUATOR, MODEL, QUANTITIES, SCHEDULE, SENSOR, Quantity, quantity_of
from sim2real.world import World
from sim2real.wrappers.body import Drive
from sim2real.wrappers.bullet_client import Client, Link, find_client, may_connect
from sim2real.wrappers.elements import Naming, as_world

WRITTEN = ("mass", "friction", "damping", "gravity")
"""What is written into the model."""


def has_bullet(env: object) -> bool:
    """Whether an env holds a PyBullet client, or may once it is reset."""
    return find_client(env) is not None or may_connect(env)


class BulletBody:
    """The client of a PyBullet env; see `sim2real.wrappers.body.Body`."""

    writes_after_reset = True

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Nothing is read before a domain asks for it."""
        self._env = env
        self._nominal: dict[str, float] = {}
        self._inertia: dict[str, Array] = {}
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

    def simulator(self, world: World) -> Simulator:
        """Channels see no more of this engine than that it is one simulation."""
        return cast(Simulator, SimpleNamespace(num_envs=1, qpos=np.zeros((1, 0)), qvel=np.zeros((1, 0))))

    def write(self, world: World, names: tuple[str, ...], values: Array) -> None:
        """Write physics; bodies are looked up by name, since a reset may have loaded new ones."""
        client = self._connect()
        places: Mapping[str, Mapping[str, Link]] = {
            "body": client.links(), "geom": client.links(), "joint": client.joints()
        }  # fmt: skip
        for name, value in zip(names, map(float, values[0]), strict=True):
            quantity = quantity_of(name)
            if quantity.name == "gravity":
                gravity = self._direction * value
                client("setGravity", *map(float, gravity))
            elif quantity.acts == MODEL:
                for element in world.parameters[name].elements:
                    link = places[quantity.element][element]
                    self._change(client, link, (quantity.name, element), value)

    def drive(self, drive: Drive | None) -> bool:
        """Commands can't be reached; actions can."""
        return False

    def begin(self) -> Array:
        """Nothing is commanded yet. Shape (1, number of actions)."""
        return np.zeros((1, self._actions))

    def _change(self, client: Client, link: Link, what: tuple[str, str], value: float) -> None:
        quantity, element = what
        place = (link.body, link.index)
        if quantity == "mass":
            # given a mass alone, Bullet takes the inertia of the collision shape instead of the model's
            inertia = self._inertia[element] * value / self._value("mass", element)
            client("changeDynamics", *place, mass=value, localInertiaDiagonal=inertia.tolist())
        elif quantity == "friction":
            client("changeDynamics", *place, lateralFriction=value)
        else:
            client("changeDynamics", *place, jointDamping=value)

    def _connect(self) -> Client:
        """The client; an env that has none yet is reset once."""
        client = find_client(self._env.unwrapped)
        if client is None:
            self._env.reset()
            client = find_client(self._env.unwrapped)
        if client is None:
            raise Sim2RealError(f"{self._env} has no PyBullet client, also after a reset")
        if not self._nominal:
            self._read(client)
        return client

    def _read(self, client: Client) -> None:
        """Remember what is nominal, once: a later look might see a draw."""
        for name, link in client.links().items():
            info = client("getDynamicsInfo", link.body, link.index)
            self._nominal[f"{name}.mass"], self._nominal[f"{name}.friction"] = info[0], info[1]
            self._inertia[name] = np.array(info[2])
        for name, link in client.joints().items():
            self._nominal[f"{name}.damping"] = client("getJointInfo", link.body, link.index)[6]
        gravity = client.gravity()
        size = float(np.linalg.norm(gravity))
        self._nominal["world.gravity"] = size
        self._direction = gravity / size if size else np.array([0.0, 0.0, -1.0])

    def _value(self, quantity: str, element: str) -> float:
        neutral = QUANTITIES[quantity].neutral
        return self._nominal[f"{element}.{quantity}"] if neutral is None else neutral

    def _check(self, name: str, naming: Naming) -> None:
        quantity = quantity_of(name)
        if not _possible(quantity):
            raise InvalidValue(
                f"{name} can't be set on a PyBullet env; possible: {', '.join(WRITTEN)}, and channels for "
                "commands and readings"
            )
        ending = f".{quantity.name}"
        known = [key.removesuffix(ending) for key in self._nominal if key.endswith(ending)]
        for element in naming.elements(name):
            if quantity.acts == MODEL and element not in known:
                raise UnknownName(f"element for parameter {name}:", element, known)
            if quantity.name == "mass" and not self._nominal[f"{element}.mass"]:
                raise InvalidValue(f"{name}: {element!r} is fixed to the world, with a mass of 0")


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
