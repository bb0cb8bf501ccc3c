"""Links and joints of a PyBullet client as bodies whose physics can be read and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from sim2real.errors import UnknownName
from sim2real.interface import Array
from sim2real.world.gym.bullet_client import Client, Link, find_client, may_connect

WRITTEN = ("mass", "friction", "damping", "gravity")
"""Quantities that can be written."""
_FIXED = 4  # pybullet.JOINT_FIXED


def has_bullet(env: object) -> bool:
    """Whether an env holds a PyBullet client, or may once it is reset."""
    return find_client(env) is not None or may_connect(env)


class Bodies:
    """Links and joints of a client by their names, as they are now."""

    def __init__(self, client: Client) -> None:
        self._client = client
        links = client.links()
        self._places: Mapping[str, Mapping[str, Link]] = {
            "mass": links, "friction": links, "damping": client.joints()
        }  # fmt: skip

    def all(self) -> Iterator[tuple[str, str]]:
        """Every quantity of every element."""
        for quantity, places in self._places.items():
            yield from ((quantity, element) for element in places)
        yield "gravity", "world"

    def read(self, what: tuple[str, str]) -> float:
        """Its value now; of a damping that in the URDF, the engine tells no other."""
        quantity, element = what
        if quantity == "gravity":
            return float(np.linalg.norm(self._client.gravity()))
        link = self._at(quantity, element)
        if quantity == "damping":
            return float(self._client("getJointInfo", link.body, link.index)[6])
        return float(self._client("getDynamicsInfo", link.body, link.index)[quantity == "friction"])

    def vector(self, what: tuple[str, str]) -> Array:
        """Gravity, m/s², or the inertia of a link about its own axes, kg·m²."""
        if what[0] == "gravity":
            return self._client.gravity()
        link = self._at(*what)
        return np.array(self._client("getDynamicsInfo", link.body, link.index)[2])

    def write(self, what: tuple[str, str], value: float, vector: Array | None) -> None:
        """Write it; a mass with its inertia, else Bullet would take that of the collision shape."""
        quantity, element = what
        if quantity == "gravity" and vector is not None:
            self._client("setGravity", *vector.tolist())
            return
        link = self._at(quantity, element)
        keys = {"mass": "mass", "friction": "lateralFriction", "damping": "jointDamping"}
        more = {} if vector is None else {"localInertiaDiagonal": vector.tolist()}
        self._client("changeDynamics", link.body, link.index, **{keys[quantity]: value}, **more)

    def why_dead(self, quantity: str, element: str) -> str:
        """Why a quantity can't change any motion here; empty if it may."""
        if quantity == "gravity":
            return ""
        link = self._at(quantity, element)
        if quantity == "damping":
            fixed = self._client("getJointInfo", link.body, link.index)[2] == _FIXED
            return f"joint {element!r} is fixed" if fixed else ""
        if quantity == "friction" and not self._client("getCollisionShapeData", link.body, link.index):
            return f"link {element!r} has no collision shape"
        if quantity == "mass" and not self._client.moves(link):
            return f"link {element!r} is fixed to the world"
        return ""

    def _at(self, quantity: str, element: str) -> Link:
        places = self._places[quantity]
        if element not in places:
            raise UnknownName("element, which the env has loaded no more:", element, places)
        return places[element]
