"""MuJoCo under a gymnasium env.

Commands are reached where the env steps through gymnasium's ``MujocoEnv.do_simulation``, as gymnasium's own
envs, Adroit and the mazes do: there they are delayed by whole physics steps, although the model has no delay
buffers, by stepping in pieces. Envs that step by code of their own can have everything else.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.utils import EzPickle

from sim2real.domain import Domain
from sim2real.errors import InvalidValue, Sim2RealError
from sim2real.interface import Array, Ids, Simulator
from sim2real.parameters import ACTUATOR, LAW, MODEL, Parameter, quantity_of
from sim2real.simulators.gym.body import Drive, Start
from sim2real.simulators.gym.delay import DelayLine
from sim2real.simulators.gym.elements import Naming, as_world
from sim2real.simulators.gym.mujoco_view import View
from sim2real.simulators.gym.nominal import Nominal, field_of
from sim2real.simulators.physics_table import FieldNumbers, PhysicsTable
from sim2real.world import World, commanded, nominal_value
from sim2real.world.checks import canonical, check_parameters
from sim2real.world.entries import elements_of, entries
from sim2real.world.gym.inspection import stepper_of
from sim2real.world.refusals import out_of_reach
from sim2real.world.scene import less_delay

if TYPE_CHECKING:
    from gymnasium.envs.mujoco import MujocoEnv

_ONE = np.zeros(1, dtype=np.intp)
_DELAYS = ("latency", "latency_jitter")


class _Simulated(Protocol):
    """An env as it is taken here."""

    model: mujoco.MjModel


@dataclass(frozen=True)
class _Place:
    """Where some of a plan's numbers go."""

    addresses: Ids
    numbers: slice
    """Which of the plan's they are."""
    flat: Array | None = None
    """The model's field, live and flattened."""
    option: str = ""
    """The model's option, where it is one plain number; if it is neither, they are delays in seconds."""


class MujocoBody:
    """The model and data of a gymnasium MuJoCo env; see `sim2real.simulators.gym.body.Body`."""

    writes_after_reset = False

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Remember the nominal model, which is written from ever after."""
        self._env = cast(_Simulated, env.unwrapped)
        self._model: mujoco.MjModel = self._env.model
        self._data = _data_of(self._env)
        self.nominal = Nominal.of(self._model)
        self._scratch = mujoco.MjData(self._model)
        self._stepper = stepper_of(self._env, self._model)
        self.control_dt = float(getattr(self._stepper or self._env, "dt", self._model.opt.timestep))
        self._commands = np.array(commanded(self._model), dtype=np.intp)  # the actuator of each
        self._takes_commands = env.action_space.shape == (self._model.nu,)
        self._delay: DelayLine | None = None
        self._world: World | None = None
        self._held: list[tuple[Array, Ids, Array]] = []
        self._options: dict[str, float] = {}

    def kept(self) -> tuple[mujoco.MjModel, Nominal] | None:
        """The model, which is the copied env's unless the env is made anew, and what is nominal."""
        return None if isinstance(self._env, EzPickle) else (self._model, self.nominal)

    def take(self, kept: object) -> None:
        """Take what is nominal from the original's."""
        if isinstance(kept, tuple) and kept[0] is self._model:
            self.nominal = kept[1]
            self.nominal.follow(self._model)

    def renewed(self) -> bool:
        """Whether the env has another model or other data by now."""
        return self._env.model is not self._model or _data_of(self._env) is not self._data

    def world(self, domain: Domain, naming: Naming) -> World:
        """The env as a world with the domain's parameters; see `Body.world`."""
        late = any(quantity_of(name).name in _DELAYS for name in domain.parameters)
        noted = copy.deepcopy(self.nominal.model) if late else self.nominal.model
        for name in domain.parameters:  # whoever is unknown is named with the parameter
            list(elements_of(noted, Parameter(name, "", 0.0, 0.0, 0.0, "", naming.elements(name))))
        world = as_world(noted, domain, naming, partial(nominal_value, self.nominal.model))
        parameters = {name: canonical(noted, parameter) for name, parameter in world.parameters.items()}
        world = replace(world, parameters=parameters)
        for parameter in parameters.values():
            self._check(parameter, naming)
            if parameter.quantity.name in _DELAYS and parameter.name in domain.parameters:
                self._note_room(noted, parameter, int(domain.parameters[parameter.name].support()[1]))
        check_parameters(world)
        for parameter in parameters.values():
            if parameter.quantity.name == "encoder_offset":
                raise InvalidValue(out_of_reach(parameter.name, naming.title))
            if parameter.quantity.acts == MODEL and not list(entries(world, parameter)):
                raise InvalidValue(f"{parameter.name} decides no number of the model of {naming.title}")
        world.check(domain)
        return world

    def _note_room(self, noted: mujoco.MjModel, parameter: Parameter, steps: int) -> None:
        """Note buffers where the model has none, so that a world with it passes for one that has."""
        for _, actuator, _ in elements_of(noted, parameter):
            if not self.nominal.model.actuator_history[actuator, 0]:
                noted.actuator_history[actuator, 0] += steps

    def simulator(self, world: World) -> Simulator:
        """Live views of one simulation, whose commands can be as late as the world asks."""
        longest = int(
            (world.model.actuator_history - self.nominal.model.actuator_history)[:, 0].max(initial=0)
        )
        self._delay = DelayLine(self._model.nu, longest) if longest else None
        if self._data is None:
            raise Sim2RealError(
                f"{world.title} has no mujoco.MjData yet, which sensors, commands and pushes need; reset() "
                "it before it is wrapped"
            )
        return cast(Simulator, View(self._model, self._data, self.delay_commands))

    def write(self, world: World, names: tuple[str, ...], values: Array) -> None:
        """Write physics into the env's model; what the engine derives from it follows."""
        if self._world is not world:
            self._world, self._table = world, PhysicsTable(world, 1)
            self._places: dict[tuple[str, ...], list[_Place]] = {}
        plan = self._table.set(_ONE, names, values)
        if names not in self._places:
            self._places[names] = [self._place(part) for part in plan.fields]
        found = self._table.numbers(plan, _ONE)[0]
        self._held, self._options = [], {}
        held = self._held
        for place in self._places[names]:
            numbers = found[place.numbers]
            if place.flat is not None:
                place.flat[place.addresses] = numbers
                held.append((place.flat, place.addresses, numbers))
            elif place.option:
                self._options[place.option] = float(numbers[0])
                setattr(self._model.opt, place.option, float(numbers[0]))
            else:
                self._write_delays(place.addresses, numbers)
        if plan.derive:
            mujoco.mj_setConst(self._model, self._scratch)

    def _place(self, part: FieldNumbers) -> _Place:
        """Where numbers go; that they are written is noted."""
        self.nominal.note(part.field, part.addresses)
        if part.field == "actuator_delay":
            return _Place(part.addresses, part.numbers)
        value = field_of(self._model, part.field)
        if isinstance(value, float):
            return _Place(part.addresses, part.numbers, option=part.field.removeprefix("opt."))
        return _Place(part.addresses, part.numbers, np.reshape(value, -1, copy=False))

    def holds(self) -> bool:
        """Whether the model still has the numbers that were written last."""
        options = all(getattr(self._model.opt, name) == number for name, number in self._options.items())
        return options and all((flat[where] == numbers).all() for flat, where, numbers in self._held)

    def restore(self) -> None:
        """Put back what was written."""
        self.nominal.restore(self._model)
        self._held, self._options = [], {}

    def start(self, world: World, domain: Domain) -> Start:
        """The nominal model, and the state that the env is in."""
        spec, state = mujoco.mjtState.mjSTATE_INTEGRATION, np.zeros(0)
        if self._data is not None:
            state = np.zeros(mujoco.mj_stateSize(self._model, spec))
            mujoco.mj_getState(self._model, self._data, state, spec)
        return Start(copy.deepcopy(self.nominal.model), state, self.control_dt, self.nominal.digest(), domain)

    def _write_delays(self, actuators: Ids, seconds: Array) -> None:
        """Natively where the model has buffers; see `sim2real.simulators.mujoco` for how."""
        dt = self._model.opt.timestep
        native = self.nominal.model.actuator_history[actuators, 0] > 0
        self._model.actuator_delay[actuators[native]] = np.maximum(
            seconds[native] - less_delay(self._model), 0.0
        )
        if self._delay is not None:
            for actuator, steps in zip(actuators[~native], np.round(seconds[~native] / dt), strict=True):
                self._delay.steps[self._commands == actuator] = int(steps)

    def drive(self, drive: Drive | None) -> bool:
        """Step in pieces through ``drive``, or as the env does; whether commands can be reached."""
        if self._stepper is None:
            return False
        own = vars(self._stepper).get("do_simulation")
        if isinstance(own, _Driven):
            own.give_back()
        if drive is not None:
            self._stepper.do_simulation = _Driven(self._stepper, drive, self._delay)  # type: ignore[method-assign]
        return True

    def took(self, action: Array) -> bool:
        """Whether the commands are the action."""
        ctrl = np.zeros(0) if self._data is None else self._data.ctrl
        return action.shape == ctrl.shape and np.allclose(action, ctrl, 1e-6, 1e-9)

    def time(self) -> float | None:
        """Of the simulation, s."""
        return None if self._data is None else float(self._data.time)

    def begin(self) -> Array:
        """Forget commands that are on their way."""
        assert self._data is not None, "without data there is no simulator for channels"
        command = np.array(self._data.ctrl, dtype=float)
        if self._delay is not None:
            self._delay.begin(command)
        return command[None]

    def delay_commands(self, steps: Array) -> None:
        """Delay each actuator's commands by whole physics steps. Shape (nactuator,)."""
        self._write_delays(np.arange(self._model.nactuator), steps * self._model.opt.timestep)

    def _check(self, parameter: Parameter, naming: Naming) -> None:
        """Refuse what a compiled model, or an env that steps by code of its own, can't have."""
        quantity, name = parameter.quantity, parameter.name
        if quantity.name == "backlash":
            raise InvalidValue(f"{name} needs a second joint, which a compiled model can't get")
        if self._stepper is not None:
            return
        buffers = self.nominal.model.actuator_history
        natively = quantity.name == "latency" and all(
            buffers[k, 0] for _, k, _ in elements_of(self._model, parameter)
        )
        late = quantity.name in _DELAYS and not natively
        if late or quantity.acts == LAW:
            raise InvalidValue(
                f"{name} acts within a control period, and {naming.title} steps by code of its own; only "
                "envs that step through gymnasium's MujocoEnv.do_simulation can have it"
            )
        if quantity.acts == ACTUATOR and not self._takes_commands:
            raise InvalidValue(
                f"{name}: {naming.title} steps by code of its own, and its actions are not the "
                f"{self._model.nu} commands of its model"
            )


class _Driven:
    """Takes the place of an env's ``do_simulation``: commands pass a drive, and arrive late."""

    def __init__(self, stepper: MujocoEnv, drive: Drive, delay: DelayLine | None) -> None:
        self._stepper, self._drive, self._delay = stepper, drive, delay
        self._own = vars(stepper).get("do_simulation")
        self._original = stepper.do_simulation

    def __call__(self, ctrl: Array, n_frames: int) -> None:
        command = self._drive.command(np.asarray(ctrl, dtype=float)[None])[0]
        hook = self._drive.between()
        pieces = self._delay.pieces(command, n_frames) if self._delay else [(command, n_frames)]
        for arrived, count in pieces:
            for _ in range(count if hook else 1):
                if hook:
                    hook()
                self._original(arrived, 1 if hook else count)

    def give_back(self) -> None:
        """Let the env step as it did before."""
        if self._own is None:
            del self._stepper.do_simulation
        else:
            self._stepper.do_simulation = self._own  # type: ignore[method-assign]

    def __reduce__(self) -> tuple[object, ...]:
        """A copy of the env is nobody's: it steps as its class does, until a wrapper drives it."""
        return getattr, (self._stepper, "do_simulation")


def _data_of(env: object) -> mujoco.MjData | None:
    """The env's simulation: its ``data``, or what else it keeps of that kind; perhaps none yet."""
    data = getattr(env, "data", None)
    if isinstance(data, mujoco.MjData):
        return data
    return next((value for value in vars(env).values() if isinstance(value, mujoco.MjData)), None)
