"""The mass, centre of mass and inertia of a body under some physics: what ten fitted numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.domain import Domain
from sim2real.parameters import INERTIA
from sim2real.simulators.inertia import inertia_tensor
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Inertial:
    """What moves like the body."""

    body: str
    mass: float
    """kg."""
    centre: FloatArray
    """Centre of mass in the body's frame, m. Shape (3,)."""
    tensor: FloatArray
    """Inertia about it in the body's axes, kg·m². Shape (3, 3)."""

    @property
    def text(self) -> str:
        """As MJCF would have it: ``fullinertia`` is xx, yy, zz, xy, xz, yz."""
        centre = " ".join(f"{x:.5g}" for x in self.centre)
        full = " ".join(f"{x:.5g}" for x in self.tensor[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]])
        return f'{self.body}: <inertial mass="{self.mass:.5g}" pos="{centre}" fullinertia="{full}"/>'


def inertial_of(world: World, physics: Mapping[str, float], body: str) -> Inertial:
    """What a body is under some physics.

    Args:
        world: as it is loaded.
        physics: values that differ from nominal.
        body: its name.

    Raises:
        UnknownName: for a parameter that does not exist.
    """
    world = world.for_domain(Domain.point(physics))
    simulator = MujocoSimulator(world, 1, 1)
    simulator.set_physics(np.zeros(1, dtype=np.intp), tuple(physics), np.array([list(physics.values())]))
    view = simulator.snapshot(0)[0].body(body)
    numbers = np.concatenate([view.mass, view.ipos, view.inertia, view.iquat])[None]
    return Inertial(body, float(view.mass[0]), view.ipos.copy(), inertia_tensor(numbers)[0])


def whole_bodies(physics: Mapping[str, float]) -> tuple[str, ...]:
    """Bodies whose whole inertia some physics changes."""
    split = [name.rpartition(".") for name in physics]
    return tuple(dict.fromkeys(body for body, _, quantity in split if quantity in INERTIA))
