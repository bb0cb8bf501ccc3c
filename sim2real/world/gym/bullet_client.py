"""The PyBullet client of a stranger's env: found by attribute, and its bodies, links and joints by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim2real.interface import Array

_ATTRIBUTES = (
    "_p", "p", "client", "_client", "client_id", "_client_id", "physics_client", "_physics_client",
    "physicsClient", "physicsClientId", "_physics_client_id", "physics_client_id", "bullet_client",
)  # fmt: skip


Answer = Any
"""Whatever a function of PyBullet returns."""


@dataclass(frozen=True)
class Link:
    """A link, or the joint above it."""

    body: int
    index: int
    """-1 for the base."""


@dataclass(frozen=True)
class Client:
    """One connection to the physics server."""

    number: int

    def __call__(self, function: str, *args: object, **kwargs: object) -> Answer:
        """Call a function of PyBullet on this connection; forgetting the number would reach client 0."""
        import pybullet

        return getattr(pybullet, function)(*args, physicsClientId=self.number, **kwargs)

    def links(self) -> dict[str, Link]:
        """Links by name; those of several bodies as ``<body>/<link>``, of bodies of one name numbered."""
        return _unique(self._named(lambda info: info[12], bases=True))

    def joints(self) -> dict[str, Link]:
        """Joints by name, likewise."""
        return _unique(self._named(lambda info: info[1], bases=False))

    def moves(self, link: Link) -> bool:
        """Whether a link can move against the world."""
        import pybullet

        body, index = link.body, link.index
        while index >= 0:
            info = self("getJointInfo", body, index)
            if info[2] != pybullet.JOINT_FIXED:
                return True
            index = info[16]
        return bool(self("getDynamicsInfo", body, -1)[0])  # a fixed base has no mass

    def gravity(self) -> Array:
        """In m/s²."""
        engine = self("getPhysicsEngineParameters")
        return np.array([engine[f"gravityAcceleration{axis}"] for axis in "XYZ"])

    def _named(self, name: Callable[[Any], bytes], bases: bool) -> Iterator[tuple[str, str, Link]]:
        """Names of bodies, names in them, and what they name."""
        for k in range(self("getNumBodies")):
            body = self("getBodyUniqueId", k)
            base, title = (text.decode() for text in self("getBodyInfo", body))
            if bases:
                yield title, base or title, Link(body, -1)
            for joint in range(self("getNumJoints", body)):
                yield title, name(self("getJointInfo", body, joint)).decode(), Link(body, joint)


def find_client(env: object) -> Client | None:
    """The client of an env, or of an object that it holds; None if there is none, or not yet."""
    if "pybullet" not in sys.modules:
        return None
    for owner in (env, *(value for value in vars(env).values() if hasattr(value, "__dict__"))):
        for attribute in _ATTRIBUTES:
            client = _as_client(getattr(owner, attribute, None))
            if client is not None:
                return client
    return None


def may_connect(env: object) -> bool:
    """Whether an env has such an attribute and its code knows PyBullet: it may connect when it is reset."""
    knows = any(
        "pybullet" in str(getattr(value, "__name__", ""))
        for cls in type(env).__mro__
        for value in vars(sys.modules.get(cls.__module__, object())).values()
        if type(value) is type(sys)
    ) if "pybullet" in sys.modules else False  # fmt: skip
    return knows and any(hasattr(env, attribute) for attribute in _ATTRIBUTES)


def _as_client(value: object) -> Client | None:
    import pybullet

    number = value
    if value is pybullet:
        number = 0
    elif hasattr(value, "getNumBodies"):  # pybullet_utils.bullet_client.BulletClient
        number = getattr(value, "_client", None)
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
        return None
    connected = pybullet.getConnectionInfo(physicsClientId=int(number))["isConnected"]
    return Client(int(number)) if connected else None


def _unique(named: Iterator[tuple[str, str, Link]]) -> dict[str, Link]:
    """By name; by body and name where several bodies have it; by a number too where those are alike."""
    found = [(name, f"{body or 'body'}/{name}", body or "body", link) for body, name, link in named]
    alike: dict[str, list[int]] = {}
    for _, _, body, link in found:
        numbers = alike.setdefault(body, [])
        if link.body not in numbers:
            numbers.append(link.body)
    names, full = ([row[k] for row in found] for k in (0, 1))
    out: dict[str, Link] = {}
    for name, longer, body, link in found:
        if names.count(name) == 1:
            out[name] = link
        elif full.count(longer) == 1:
            out[longer] = link
        else:
            out[f"{body} {alike[body].index(link.body)}/{name}"] = link
    return out
