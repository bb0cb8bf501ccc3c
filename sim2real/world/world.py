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
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import mujoco

from sim2real.catalog import find
from sim2real.contents import Contents
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import Parameter
from sim2real.world.checks import canonical, check_nominal, check_parameters, check_values
from sim2real.world.fingerprint import contents
from sim2real.world.physics_file import JointMapping, PhysicsFile
from sim2real.world.scene import compile_scene
from sim2real.world.variant import CONTROL, Variant, are_closed


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
        parameters = {name: canonical(model, parameter) for name, parameter in given.parameters.items()}
        for parameter in parameters.values():
            check_nominal(model, path, parameter)
        world = cls(name=path.name, path=path, model=model, **{**vars(given), "parameters": parameters})
        check_parameters(world)
        for domain in (world.training_domain, *(variant.domain for variant in given.variants.values())):
            world.check(domain)
        return world.without_variants() if are_closed() else world

    def without_variants(self) -> World:
        """The same without its held-out variants."""
        return replace(self, variants={name: v for name, v in self.variants.items() if name == CONTROL})

    @cached_property
    def nominal(self) -> Mapping[str, float]:
        """Nominal value of every parameter."""
        return {name: parameter.nominal for name, parameter in self.parameters.items()}

    @cached_property
    def contents(self) -> Contents:
        """What the world consists of, by name, to tell it from another of the same name."""
        return contents(self.model, self.parameters, self.channels, self.path)

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
            InvalidValue: for a value that can't act as it says, as a latency that the command buffer can't
                hold or a friction without effect.
        """
        for name in domain.parameters:
            if name not in self.parameters:
                raise UnknownName(f"parameter of {self.name}", name, self.parameters)
        check_values(self, self.path, domain)
        return domain
