"""The same parameters and domains for anyone's gymnasium MuJoCo env.

    env = RandomizeDynamics(gym.make("Hopper-v5"), Domain({"torso.mass": Uniform(2.0, 6.0)}))
    env.reset(seed=0)
    env.physics()["torso.mass"]

Physics is drawn at every reset and written from the env's own nominal model, never from the last draw. With
an empty domain the wrapped env is bit-identical to the bare one. Unnamed actuators go by the joint that they
drive: ``thigh_joint.strength``. Works inside ``SyncVectorEnv`` and ``AsyncVectorEnv`` like any wrapper.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real.domain import Domain
from sim2real.errors import InvalidValue, Sim2RealError, UnknownName
from sim2real.parameters import Parameter, quantity_of
from sim2real.simulators.fields import entries
from sim2real.world import World, actuator_of, nominal_value


class RandomizeDynamics(gym.Wrapper[Any, Any, Any, Any]):
    """Draws the physics of a gymnasium MuJoCo env at every reset."""

    def __init__(self, env: gym.Env[Any, Any], domain: Domain) -> None:
        """Wrap ``env``.

        Args:
            env: any env whose unwrapped ``model`` and ``data`` are MuJoCo's.
            domain: over the env's own elements, by the names in its MJCF.

        Raises:
            Sim2RealError: for an env that is not MuJoCo.
            UnknownName: for an element that the model does not have.
            InvalidValue: for a quantity that a compiled model can't take, as a latency without a buffer.
        """
        super().__init__(env)
        model = getattr(env.unwrapped, "model", None)
        if not isinstance(model, mujoco.MjModel):
            raise Sim2RealError(
                f"{env} has no MuJoCo model; RandomizeDynamics takes envs whose unwrapped .model is a "
                "mujoco.MjModel, as gymnasium's and gymnasium-robotics' are"
            )
        world = _world(env, model, domain)
        self.domain = world.check(domain)
        self._model, self._data = model, getattr(env.unwrapped, "data", None)
        self._values = dict(world.nominal)
        self._entries = [entry for p in world.parameters.values() for entry in entries(world, p)]
        self._derive = any(e.field in mujoco.MjModel._setconst_inputs for e in self._entries)
        self._rng = np.random.default_rng()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw and write physics, then reset the env; ``seed`` is the env's and the draw's."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        if self.domain.names:
            self._write(self.domain.sample(self._rng, 1)[0])
        return super().reset(seed=seed, options=options)

    def physics(self) -> dict[str, float]:
        """Current value of every parameter of the domain, in the parameters' units."""
        return dict(self._values)

    def _write(self, values: NDArray[np.float64]) -> None:
        self._values = dict(zip(self.domain.names, map(float, values), strict=True))
        for entry in self._entries:
            number = entry.factor * math.prod(self._values[name] for name in entry.parameters)
            _field(self._model, entry.field)[entry.address] = number
        if self._derive:
            mujoco.mj_setConst(self._model, self._data)


def _world(env: gym.Env[Any, Any], model: mujoco.MjModel, domain: Domain) -> World:
    """The env's model as a world with the domain's parameters."""
    name = env.spec.id if env.spec else type(env.unwrapped).__name__
    parameters = {}
    for parameter, distribution in domain.parameters.items():
        element, _, quantity = parameter.rpartition(".")
        kind, low_high = quantity_of(parameter), distribution.support()
        _check_element(model, parameter, element)
        nominal = nominal_value(model, quantity, element)
        source = f"the model of {name}"
        elements = () if kind.element == "world" else (element,)
        parameters[parameter] = Parameter(parameter, kind.units[0], nominal, *low_high, source, elements)
    return World(name, Path(), name, "", model, parameters, {}, {}, {})


def _check_element(model: mujoco.MjModel, parameter: str, element: str) -> None:
    kind = quantity_of(parameter).element
    if kind == "actuator":
        actuator_of(model, element)
        return
    count = {"body": model.nbody, "joint": model.njnt, "geom": model.ngeom}
    known = ["world"] if kind == "world" else [getattr(model, kind)(i).name for i in range(count[kind])]
    if element not in known:
        raise UnknownName(f"{kind} for parameter {parameter}:", element, known)
    if ".com_" in parameter and model.body(element).simple[0]:
        raise InvalidValue(
            f'{parameter}: body {element!r} was compiled as a simple one; give it simple="false" in the '
            "MJCF, so that its centre of mass can move"
        )


def _field(model: mujoco.MjModel, name: str) -> NDArray[np.float64]:
    """A live, flat view of a field."""
    owner, _, field = name.rpartition(".")
    array: NDArray[np.float64] = getattr(model.opt if owner else model, field)
    return np.reshape(array, -1, copy=False)
