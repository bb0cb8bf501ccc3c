"""MuJoCo under a gymnasium env.

Commands are reached where the env steps through gymnasium's ``MujocoEnv.do_simulation``, as gymnasium's own
envs, Adroit and the mazes do: there they are delayed by whole physics steps, although the model has no delay
buffers, by stepping in pieces. Envs that step by code of their own can have everything else.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv

from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array, Ids, Simulator
from sim2real.parameters import ACTUATOR, LAW, MODEL, QUANTITIES, quantity_of
from sim2real.simulators.fields import entries
from sim2real.simulators.table import PhysicsTable
from sim2real.world import World, actuator_of, nominal_value
from sim2real.wrappers.body import Drive
from sim2real.wrappers.delay import DelayLine
from sim2real.wrappers.elements import Naming, as_world


class MujocoBody:
    """The model and data of a gymnasium MuJoCo env; see `sim2real.wrappers.body.Body`."""

    writes_after_reset = False

    def __init__(self, env: gym.Env[Any, Any], model: mujoco.MjModel) -> None:
        """Remember the nominal model, which is written from ever after."""
        self._env, self._model, self._nominal = env.unwrapped, model, copy.deepcopy(model)
        self._scratch = mujoco.MjData(model)
        self._stepper = _stepper(env.unwrapped, model)
        self.control_dt = float(getattr(self._stepper or env.unwrapped, "dt", model.opt.timestep))
        self._takes_commands = env.action_space.shape == (model.nu,)
        self._delay: DelayLine | None = None
        self._world: World | None = None

    @property
    def data(self) -> mujoco.MjData:
        """The env's simulation."""
        data: mujoco.MjData = self._env.data  # type: ignore[attr-defined]
        return data

    def world(self, domain: Domain, naming: Naming) -> World:
        """The env as a world with the domain's parameters; see `Body.world`."""
        noted = copy.deepcopy(self._nominal)
        for name in domain.parameters:
            self._check(name, naming)
        for name, distribution in domain.parameters.items():
            if quantity_of(name).name in ("latency", "latency_jitter"):
                self._note_room(noted, naming.elements(name), int(distribution.support()[1]))
        nominal = self._nominal
        world = as_world(noted, domain, naming, lambda quantity, element: _value(nominal, quantity, element))
        for parameter in world.parameters.values():
            if parameter.quantity.acts == MODEL and not list(entries(world, parameter)):
                raise InvalidValue(f"{parameter.name} decides no number of the model of {naming.title}")
        world.check(domain)
        return world

    def _note_room(self, noted: mujoco.MjModel, elements: Sequence[str], steps: int) -> None:
        """Note buffers where the model has none, so that a world with it passes for one that has."""
        for element in elements:
            actuator = actuator_of(noted, element).id
            if not self._nominal.actuator_history[actuator, 0]:
                noted.actuator_history[actuator, 0] += steps

    def simulator(self, world: World) -> Simulator:
        """Live views of one simulation, whose commands can be as late as the world asks."""
        longest = int((world.model.actuator_history - self._nominal.actuator_history)[:, 0].max(initial=0))
        self._delay = DelayLine(self._model.nu, longest) if longest else None
        return cast(Simulator, _View(self._model, self.data, self))

    def write(self, world: World, names: tuple[str, ...], values: Array) -> None:
        """Write physics into the env's model; what the engine derives from it follows."""
        if self._world is not world:
            self._world, self._table = world, PhysicsTable(world, 1)
        one = np.zeros(1, dtype=np.intp)
        plan = self._table.set(one, names, values)
        numbers = self._table.numbers(plan, one)[0]
        for part in plan.fields:
            if part.field == "actuator_delay":
                self._write_delays(part.addresses, numbers[part.numbers])
            else:
                _assign(self._model, part.field, part.addresses, numbers[part.numbers])
        if plan.derive:
            mujoco.mj_setConst(self._model, self._scratch)

    def _write_delays(self, actuators: Ids, seconds: Array) -> None:
        """Natively where the model has buffers; see `sim2real.simulators.mujoco` for the half step."""
        dt = self._model.opt.timestep
        native = self._nominal.actuator_history[actuators, 0] > 0
        self._model.actuator_delay[actuators[native]] = np.maximum(seconds[native] - dt / 2, 0.0)
        if self._delay is not None:
            self._delay.steps[actuators[~native]] = np.round(seconds[~native] / dt).astype(np.intp)

    def drive(self, drive: Drive | None) -> bool:
        """Step in pieces through ``drive``, or as the env does; whether commands can be reached."""
        if self._stepper is None:
            return False
        vars(self._stepper).pop("do_simulation", None)
        if drive is not None:
            original = self._stepper.do_simulation

            def do_simulation(ctrl: Array, n_frames: int) -> None:
                command = drive.command(np.asarray(ctrl, dtype=float)[None])[0]
                hook = drive.between()
                pieces = self._delay.pieces(command, n_frames) if self._delay else [(command, n_frames)]
                for arrived, count in pieces:
                    for _ in range(count if hook else 1):
                        if hook:
                            hook()
                        original(arrived, 1 if hook else count)

            self._stepper.do_simulation = do_simulation  # type: ignore[method-assign]
        return True

    def begin(self) -> Array:
        """Forget commands that are on their way."""
        command = np.array(self.data.ctrl, dtype=float)
        if self._delay is not None:
            self._delay.begin(command)
        return command[None]

    def delay_commands(self, steps: Array) -> None:
        """Delay commands by whole physics steps. Shape (nu,)."""
        self._write_delays(np.arange(self._model.nu), steps * self._model.opt.timestep)

    def _check(self, name: str, naming: Naming) -> None:
        quantity = quantity_of(name)
        for element in naming.elements(name):
            _check_element(self._nominal, name, element)
        if quantity.name == "backlash":
            raise InvalidValue(f"{name} needs a second joint, which a compiled model can't get")
        late = quantity.name in ("latency", "latency_jitter")
        if self._stepper is None and (late or quantity.acts == LAW):
            raise InvalidValue(
                f"{name} acts within a control period, and {naming.title} steps by code of its own; only "
                "envs that step through gymnasium's MujocoEnv.do_simulation can have it"
            )
        if self._stepper is None and quantity.acts == ACTUATOR and not self._takes_commands:
            raise InvalidValue(
                f"{name}: {naming.title} steps by code of its own, and its actions are not the commands of "
                f"its {self._nominal.nu} actuators"
            )


class _View:
    """One simulation as channels see it; see `sim2real.interface.Simulator` for the shapes."""

    num_envs = 1

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, body: MujocoBody) -> None:
        self._model, self._data, self._body = model, data, body
        self.physics_dt = float(model.opt.timestep)
        self.qpos, self.qvel = data.qpos[None], data.qvel[None]

    def force(self, body: str) -> Array:
        """Live."""
        return cast(Array, self._data.xfrc_applied[None, self._model.body(body).id])

    def actuator_force(self) -> Array:
        """Live."""
        return cast(Array, self._data.actuator_force[None])

    def dofs(self, joints: Sequence[str]) -> Ids:
        """Columns of one-dof joints."""
        return np.array([self._model.joint(name).dofadr[0] for name in joints], dtype=np.intp)

    def speed(self) -> Array:
        """Live."""
        speed: Array = self.qvel
        return speed

    def load_force(self) -> Array:
        """Of the last physics step."""
        data, friction = self._data, self._model.dof_frictionloss
        smooth = data.qfrc_smooth - data.qfrc_actuator - data.qfrc_damper
        load = smooth + data.qfrc_constraint - np.clip(data.qfrc_constraint, -friction, friction)
        row: Array = load[None]
        return row

    def dry_friction(self) -> Array:
        """Live, to write."""
        return cast(Array, self._model.dof_frictionloss[None])

    def force_limit(self) -> Array:
        """Live, to write."""
        return cast(Array, self._model.actuator_forcerange[None])

    def delay_commands(self, steps: Array) -> None:
        """Until physics is set again."""
        self._body.delay_commands(np.asarray(steps)[0])


def _stepper(env: object, model: mujoco.MjModel) -> MujocoEnv | None:
    """The env, or one inside it, whose ``do_simulation`` steps the model."""
    for candidate in (env, *vars(env).values()):
        if isinstance(candidate, MujocoEnv) and candidate.model is model:
            return candidate
    return None


def _value(model: mujoco.MjModel, quantity: str, element: str) -> float:
    neutral = QUANTITIES[quantity].neutral
    return nominal_value(model, quantity, element) if neutral is None else neutral


def _check_element(model: mujoco.MjModel, parameter: str, element: str) -> None:
    kind = quantity_of(parameter).element
    if kind == "actuator":
        actuator_of(model, element)
    count = {"body": model.nbody, "joint": model.njnt, "geom": model.ngeom}
    if kind in count:
        known = [getattr(model, kind)(i).name for i in range(count[kind])]
        if element not in known:
            raise UnknownName(f"{kind} for parameter {parameter}:", element, known)
    if ".com_" in parameter and model.body(element).simple[0]:
        raise InvalidValue(
            f'{parameter}: body {element!r} was compiled as a simple one; give it simple="false" in the '
            "MJCF, so that its centre of mass can move"
        )


def _assign(model: mujoco.MjModel, name: str, addresses: Ids, numbers: Array) -> None:
    """Write into a flattened field of the model, or of its options, where some are plain numbers."""
    prefix, _, field = name.rpartition(".")
    owner = model.opt if prefix else model
    value = getattr(owner, field)
    if isinstance(value, float):
        setattr(owner, field, float(numbers[0]))
    else:
        np.reshape(value, -1, copy=False)[addresses] = numbers
