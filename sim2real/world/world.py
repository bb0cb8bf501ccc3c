"""A world: a robot and its surroundings as data, a folder of ``scene.xml``, ``physics.toml``, ``README.md``.

    >>> world = World.load("furuta")
    >>> world.parameters["pole.mass"].unit
    'kg'

``physics.toml`` names every parameter with unit, nominal value, training range and source, and the
held-out variants. Loading compiles the MJCF once and refuses a world that contradicts itself: a nominal value
that the model does not have, a geom friction that a grippier partner makes ineffective, a misspelt variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import mujoco

from sim2real.catalog import find
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import Parameter, quantity_of
from sim2real.world.elements import actuator_of, check_backlash, check_friction, check_parameter
from sim2real.world.physics_file import JointMapping, PhysicsFile
from sim2real.world.scene import compile_scene
from sim2real.world.variant import Variant


@dataclass(frozen=True)
class World:
    """A robot and its surroundings."""

    name: str
    path: Path
    title: str
    task: str
    model: mujoco.MjModel
    """The compiled MJCF at nominal physics."""
    parameters: Mapping[str, Parameter]
    variants: Mapping[str, Variant]
    """The control arm and the held-out variants, by name."""
    recordings: Mapping[str, JointMapping]
    """Joints of recordings, by their name there; empty if the world has none."""
    training: Mapping[str, object]
    """What training overrides of its defaults on this world."""
    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Order of what happens to readings (``sensors``) and to commands (``actuators``), where ``physics.toml``
    gives one, else that of `sim2real.parameters`; and the file of the learned ``correction``."""

    @classmethod
    def load(cls, name_or_path: str | Path) -> World:
        """Load a world of the catalogue, or from a folder of the same form.

        Raises:
            UnknownName: if there is no such world, or for a misspelt name inside it.
            InvalidValue: if the folder contradicts itself.
        """
        path = find("envs", name_or_path)
        given = PhysicsFile.read(path)
        model = compile_scene(path / "scene.xml", given.parameters, given.variants)
        for parameter in given.parameters.values():
            check_parameter(model, path, parameter)
            if parameter.quantity.element == "parameter":
                for element in parameter.elements:
                    if element not in given.parameters:
                        raise UnknownName(f"parameter for {parameter.name}:", element, given.parameters)
        world = cls(name=path.name, path=path, model=model, **vars(given))
        for domain in (world.training_domain, *(variant.domain for variant in given.variants.values())):
            world.check(domain)
        return world

    @cached_property
    def nominal(self) -> Mapping[str, float]:
        """Nominal value of every parameter."""
        return {name: parameter.nominal for name, parameter in self.parameters.items()}

    @cached_property
    def training_domain(self) -> Domain:
        """Independent draws from every parameter's training range."""
        return Domain.box([p for p in self.parameters.values() if p.low < p.high])

    def domain(self, given: str | Domain | Mapping[str, object] | None) -> Domain:
        """The domain that ``given`` stands for, checked against this world.

        Args:
            given: ``"nominal"`` or None, ``"training"``, the path of a TOML file, a `Domain`, or the table
                that `Domain.to_toml` makes.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for a value that it can't take.
        """
        if given is None or given == "nominal":
            return Domain({})
        if isinstance(given, Domain):
            return self.check(given)
        if isinstance(given, Mapping):
            return self.check(Domain.from_toml(given))
        if given == "training":
            return self.training_domain
        path = Path(given)
        if not path.is_file():
            held_out = "; held-out variants are for evaluation" if given in self.variants else ""
            raise InvalidValue(
                f"no domain {given!r}: give 'nominal', 'training' or the path of a TOML file{held_out}"
            )
        return self.check(Domain.load(path))

    def variant(self, name: str) -> Variant:
        """The control arm or a held-out variant.

        Raises:
            UnknownName: if there is no such variant.
        """
        if name not in self.variants:
            raise UnknownName(f"variant of {self.name}", name, self.variants)
        return self.variants[name]

    def check(self, domain: Domain) -> Domain:
        """Return ``domain`` if this world has all its parameters.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for a latency that the command buffer can't hold, a friction or wind without effect,
                or a backlash wider than its joint's range.
        """
        for name, distribution in domain.parameters.items():
            if name not in self.parameters:
                raise UnknownName(f"parameter of {self.name}", name, self.parameters)
            low, high = distribution.support()
            if name.rpartition(".")[2].startswith("wind_"):
                self._check_air(name)
            for element in self.parameters[name].elements:
                if quantity_of(name).name in _DELAYS:
                    self._check_latency(domain, element)
                if quantity_of(name).name == "friction":
                    check_friction(self.model, self.path, (name, low), element)
                if quantity_of(name).name == "backlash":
                    check_backlash(self.model, (name, high), element)
        return domain

    def _check_air(self, name: str) -> None:
        if self.model.opt.density == 0 and "world.air_density" not in self.parameters:
            raise InvalidValue(
                f"{name} has no effect without air; give the world a parameter 'world.air_density', or "
                f"{self.path / 'scene.xml'} a density"
            )

    def _check_latency(self, domain: Domain, element: str) -> None:
        """Refuse a latency that, with its jitter, does not fit the actuator's buffer of commands."""
        delays = [p for p in self.parameters.values() if p.quantity.name in _DELAYS and element in p.elements]
        given = domain.parameters
        steps = {p.name: given[p.name].support()[1] if p.name in given else p.nominal for p in delays}
        buffer = int(self.model.actuator_history[actuator_of(self.model, element).id, 0])
        if sum(steps.values()) > buffer:
            names = " + ".join(name for name in steps if steps[name])
            raise InvalidValue(
                f"{names} of {sum(steps.values()):g} physics steps does not fit the buffer of {buffer}; "
                f"raise nsample of actuator {element!r} in {self.path / 'scene.xml'}"
            )


_DELAYS = ("latency", "latency_jitter")
