"""A world: a robot and its surroundings as data, a folder of ``scene.xml``, ``physics.toml``, ``README.md``.

    >>> world = World.load("furuta")
    >>> world.parameters["pole.mass"].unit
    'kg'

A gymnasium env is a world too: by its id (``gym:Hopper-v5``), by a folder whose ``physics.toml`` has a table
``[env]`` in place of a scene, or by a callable that makes it (`World.of_env`).

``physics.toml`` names every parameter with unit, nominal value, training range and source, and the
held-out variants. Loading compiles the MJCF once and refuses a world that contradicts itself: a nominal value
that the model does not have, a geom friction that a grippier partner makes ineffective, a misspelt variant.
An ``io.toml`` beside it says what somebody's policy sees and drives: `sim2real.io_table`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium
import mujoco

from sim2real.catalog import find
from sim2real.contents import Contents
from sim2real.documents import Section
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import TaskFactory
from sim2real.io_table import IoTable
from sim2real.parameters import ENV, MODEL, Parameter, quantity_of
from sim2real.world.checks import canonical, check_nominal, check_parameters, check_values
from sim2real.world.drives import drives
from sim2real.world.entries import elements_of, locate
from sim2real.world.fingerprint import contents
from sim2real.world.gym.inspection import UNIT, GymEnv
from sim2real.world.gym.rules import Sets, check, own_value, who_sets, with_room
from sim2real.world.gym.source import SCHEME, Setter, Source
from sim2real.world.names import element_name, element_names
from sim2real.world.physics_file import JointMapping, PhysicsFile
from sim2real.world.refusals import refusal
from sim2real.world.scene import compile_scene, lacks_room
from sim2real.world.values import nominal_value, unit_of
from sim2real.world.variant import CONTROL, Variant, are_closed, split_of


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
    own_task: TaskFactory | None = None
    """A task of the user's that is given as a class, where its name alone isn't enough."""
    io: IoTable | None = None
    """What somebody's policy sees and drives, where ``io.toml`` says it; the task ``io`` is read from it."""
    env: GymEnv | None = None
    """What stands for the scene, of a world that is a gymnasium env."""
    split: str = ""
    """Digest of the held-out variants, which a world keeps while they are shut; empty if there is none."""

    @classmethod
    def load(cls, name_or_path: str | Path) -> World:
        """Load a world of the catalogue, from a folder of the same form, or an env as ``gym:ID``.

        An id is one of gymnasium's registry; ``gym:my_module:ID`` imports the module first. A folder names
        no modules.

        Raises:
            UnknownName: if there is no such world, or for a misspelt name inside it.
            InvalidValue: if the folder contradicts itself, or for an env that can't be a world.
        """
        name = str(name_or_path)
        if name.startswith(SCHEME):
            place = Path(name.replace(":", "-").replace("/", "-"))
            return cls._made(name, place, None, GymEnv.inspect(Source.of_id(name.removeprefix(SCHEME))))
        try:
            path = find("envs", name_or_path)
        except UnknownName as error:
            if name in gymnasium.registry:
                raise InvalidValue(
                    f"{name} is a gymnasium env; as a world it is called {SCHEME}{name}"
                ) from error
            raise
        given, table = PhysicsFile.read(path)
        env = GymEnv.inspect(Source.of_table(table)) if table.values else None
        return cls._made(path.name, path, given, env)

    @classmethod
    def of_env(
        cls,
        make: Callable[[], gymnasium.Env[Any, Any]],
        physics: str | Path | Mapping[str, object] | None = None,
        name: str | None = None,
        setters: Mapping[str, Setter] | None = None,
    ) -> World:
        """A world of any gymnasium env that a callable makes.

        Args:
            make: makes a new env, here and in other processes.
            physics: parameters and variants: a folder's ``physics.toml`` or a table of the same form.
            name: what policies and reports call the world; by default the callable's.
            setters: by parameter, an attribute of the env or a function of the unwrapped env and a value,
                where the env takes the parameter by neither ``set_physics``, its name nor a model.

        Raises:
            UnknownName: for a parameter that the env does not have.
            InvalidValue: for an env that can't be made, or can't be a world.
        """
        name = name or str(getattr(make, "__name__", type(make).__name__))
        path, table = Path(name), dict(physics) if isinstance(physics, Mapping) else {}
        if physics is not None and not isinstance(physics, Mapping):
            file = Path(physics)
            path = file.parent if file.suffix == ".toml" else file
            file = file / "physics.toml" if file.is_dir() else file
            if not file.is_file():
                raise InvalidValue(
                    f"there is no file {file} with the physics of {name}; give its path, or a table"
                )
            table = dict(Section.read_toml(file).values)
        section = Section(str(path / "physics.toml"), table).section("env")
        source = Source.of_callable(make, name, section, setters or {})
        return cls._made(name, path, PhysicsFile.of(table, path), GymEnv.inspect(source))

    @classmethod
    def _made(cls, name: str, path: Path, given: PhysicsFile | None, env: GymEnv | None) -> World:
        """The world of a scene or an env and what its physics file says, if neither contradicts the other."""
        given = given or PhysicsFile.of({}, path)
        parts: dict[str, Any] = {**vars(given), "name": name, "path": path, "env": env}
        if env is None:
            model = compile_scene(path / "scene.xml", given.parameters, given.variants)
            parts["io"] = IoTable.beside(path / "scene.xml")
        else:
            model = with_room(env, given.parameters, given.variants)
            spec, training = env.task.spec, {"normalize_observations": True, **given.training}
            title = given.title if given.title != path.name else name
            parts |= {"title": title, "task": spec.name, "own_task": env.task, "training": training}
        world = cls(model=model, split=split_of(given.variants.values()), **parts)
        world = replace(world, parameters={n: world._canonical(p) for n, p in given.parameters.items()})
        for parameter in world._of_scene(world.parameters).values():
            check_nominal(model, path, parameter)
        world._check_parameters(world.parameters)
        for domain in (world.training_domain, *(variant.domain for variant in given.variants.values())):
            world.check(domain)
        return world.without_variants() if are_closed() else world

    def without_variants(self) -> World:
        """The same without its held-out variants."""
        return replace(self, variants={name: v for name, v in self.variants.items() if name == CONTROL})

    def check_has_scene(self, but: str = "no recording can be replayed, compared or identified from") -> None:
        """Refuse what has no scene, in which a recording could be replayed, or another engine run.

        Args:
            but: what can't be done without one.

        Raises:
            InvalidValue: for a gymnasium env; the message names the next step.
        """
        if self.env is not None:
            new = "sim2real new NAME --model FILE.xml"
            if self.env.engine == "mujoco":
                step = f"make a world of its model ({new})"
            else:
                step = f"write its robot as an MJCF and make a world of that ({new}), or adapt in the env "
                step += "itself (sim2real transfer --method fine-tune)"
            raise InvalidValue(f"{self.name} is a gymnasium env, in which {but}; {step}")

    def with_variants(self, variants: Mapping[str, Variant]) -> World:
        """The same with other variants, and with room for what they ask."""
        wide = replace(self, variants=variants)
        return replace(wide, model=wide._compiled(wide.parameters))

    def with_task(self, task: str | TaskFactory) -> World:
        """The same world with another task: a name, or the class itself.

        Raises:
            InvalidValue: for a gymnasium env, which brings its own.
        """
        if self.env is not None:
            if task is self.own_task:
                return self
            raise InvalidValue(
                f"{self.name} is a gymnasium env, which brings its own task; leave the other out"
            )
        if isinstance(task, str):
            return replace(self, task=task, own_task=None)
        return replace(self, task=task.spec.name, own_task=task)

    @cached_property
    def nominal(self) -> Mapping[str, float]:
        """Nominal value of every parameter."""
        return {name: parameter.nominal for name, parameter in self.parameters.items()}

    @property
    def source(self) -> list[object]:
        """What it is made from: its name, its files, and its parameters as they are in memory."""
        files = [(self.path / name).read_bytes() for name in ("scene.xml", "physics.toml")]
        return [self.name, *files, *[(p.name, p.nominal, p.low, p.high) for p in self.parameters.values()]]

    @cached_property
    def contents(self) -> Contents:
        """What the world consists of, by name, to tell it from another of the same name."""
        found = contents(self.model, self.parameters, self.channels, self.path)
        if self.split:
            found = {**found, "held_out": {"split": self.split}}
        if self.env is None:
            return found
        of_env = {"env": self.env.source.name, "arguments of the env": self.env.source.arguments}
        return {**found, "effects": {**found["effects"], **of_env}}

    @cached_property
    def training_domain(self) -> Domain:
        """Independent draws from every parameter's training range."""
        return Domain.box([p for p in self.parameters.values() if p.low < p.high])

    def domain(self, given: str | Domain | Mapping[str, object] | None) -> Domain:
        """The domain that ``given`` stands for, checked against this world.

        It may name parameters that the world's files don't, such as a single joint of a group: `for_domain`
        is the world that has them.

        Args:
            given: ``"nominal"`` or None, ``"training"``, the path of a TOML file, a `Domain`, or the table
                that `Domain.to_toml` makes.

        Raises:
            UnknownName: for a parameter of an element that the world does not have.
            InvalidValue: for a value or a quantity that it can't take.
        """
        if given is None or given == "nominal":
            return Domain({})
        if isinstance(given, Domain):
            return self.for_domain(given).check(given)
        if isinstance(given, Mapping):
            return self.domain(Domain.from_toml(given))
        if given == "training":
            if not self.training_domain.names:
                raise InvalidValue(
                    f"{self.name} has no parameter with a range to train in; give the path of a TOML file "
                    "with a domain, or a folder whose physics.toml has ranges"
                )
            return self.training_domain
        if not isinstance(given, str | Path) or not Path(given).is_file():
            held_out = "; held-out variants are for evaluation" if given in [*self.variants] else ""
            raise InvalidValue(
                f"no domain {given!r}: give 'nominal', 'training' or the path of a TOML file{held_out}"
            )
        return self.domain(Domain.load(given))

    def for_domain(self, domain: Domain) -> World:
        """The world with every parameter that a domain names; the same world if it has them all.

        Raises:
            UnknownName: for an element or a quantity that does not exist.
            InvalidValue: for a quantity that its element can't have.
        """
        missing = [name for name in domain.names if name not in self.parameters]
        if not missing:
            return self
        plain = [name for name in missing if quantity_of(name).element != "parameter"]
        if 0 < len(plain) < len(missing):  # what only drifts needs what drifts
            return self.for_domain(Domain({name: domain.parameters[name] for name in plain})).for_domain(
                domain
            )
        most = {name: domain.parameters[name].support()[1] for name in missing}
        return self.with_parameters({name: self.elements_of(name) for name in missing}, most=most)

    def with_parameters(
        self,
        elements: Mapping[str, tuple[str, ...]],
        fixed: Mapping[str, float] | None = None,
        most: Mapping[str, float] | None = None,
    ) -> World:
        """The world with a parameter for every name; groups lose the elements that are split from them.

        Everything happens in memory; the scene is compiled again only where it lacks room for a parameter.

        Args:
            elements: by the parameter's name.
            fixed: nominal values that differ from the world's, by name; these become parameters as well.
            most: the largest values that there should be room for, by name; by default the nominal ones.

        Raises:
            UnknownName: for an element or a quantity that does not exist.
            InvalidValue: for a quantity that its element can't have.
        """
        fixed, most = fixed or {}, most or {}
        parameters = dict(self.parameters)
        chosen = dict(elements) | {name: self.elements_of(name) for name in fixed if name not in elements}
        for name, its in chosen.items():
            quantity = quantity_of(name)
            nominal = fixed[name] if name in fixed else self.own_value(name, its)
            for other in [p for p in parameters.values() if p.quantity == quantity and p.name != name]:
                rest = tuple(element for element in other.elements if element not in its)
                parameters[other.name] = replace(other, elements=rest)
            if name in parameters:
                parameters[name] = replace(parameters[name], nominal=nominal, elements=its)
                continue
            unknown = self.env is not None and (self._is_own(name, its) or not quantity.units)
            unit = UNIT if unknown else unit_of(self.model, name, its)
            given = Parameter(name, unit, nominal, nominal, nominal, "identification", its)
            parameters[name] = self._canonical(given)
        kept = {n: p for n, p in parameters.items() if p.elements or p.quantity.element == "world"}
        wide = replace(self, parameters=kept)
        asked = {n: replace(p, high=max(p.high, most.get(n, p.high))) for n, p in kept.items()}
        of_scene = self._of_scene({name: asked[name] for name in chosen if name in asked})
        if any(lacks_room(self.model, parameter) for parameter in of_scene.values()):
            wide = replace(wide, model=self._compiled(asked))
        wide._check_parameters([name for name in chosen if name in kept])
        return wide

    def with_parameter(self, given: Parameter) -> World:
        """The world with one parameter more, with its range, as if its file named it.

        Raises:
            UnknownName: for an element that does not exist.
            InvalidValue: for a quantity, a nominal value or a range that it can't have.
        """
        parameter = self._canonical(given)
        wide = replace(self, parameters={**self.parameters, parameter.name: parameter})
        for of_scene in self._of_scene({parameter.name: parameter}).values():
            if lacks_room(self.model, of_scene):
                wide = replace(wide, model=self._compiled(wide.parameters))
            check_nominal(wide.model, self.path, of_scene)
        wide._check_parameters(wide.parameters)
        wide.check(wide.training_domain)
        return wide

    def elements_of(self, name: str) -> tuple[str, ...]:
        """Elements that a parameter is about: those of the world's parameter, or the one that it names.

        Raises:
            UnknownName: for an element or a quantity that does not exist.
        """
        if name in self.parameters:
            return self.parameters[name].elements
        element, _, quantity = name.rpartition(".")
        kind = quantity_of(name).element
        if kind == "world":
            return ()
        known = list(self.parameters) if kind == "parameter" else []
        if kind == "signal" and self.env is not None:
            known = [signal.name for signal in self.env.task.spec.observation]
        if self._is_own(name, (element,)):
            return (element,)
        if kind in ("body", "geom", "joint", "actuator"):
            with suppress(UnknownName):
                return (element_name(self.model, *locate(self.model, kind, element, kind)),)
            known = element_names(self.model, kind)
        if element not in known:
            possible = {*self.parameters, *(f"{other}.{quantity}" for other in known)}
            raise UnknownName(f"parameter of {self.name}", name, possible)
        return (element,)

    def can_have(self, name: str) -> bool:
        """Whether this world has the parameter's element, and that can have the quantity."""
        try:
            elements = self.elements_of(name)
        except UnknownName:
            return False
        parameter = Parameter(name, "", 0.0, 0.0, 0.0, "", elements)
        places = elements_of(self.model, parameter)
        return not any(refusal(self.model, parameter.quantity, kind, k) for kind, k, _ in places)

    def own_value(self, name: str, elements: Sequence[str]) -> float:
        """Nominal value: the world's, that of the group that the elements are split from, or the model's."""
        if name in self.parameters:
            return self.parameters[name].nominal
        quantity = quantity_of(name)
        for parameter in self.parameters.values():
            if parameter.quantity == quantity and set(elements) <= set(parameter.elements):
                return parameter.nominal
        if quantity.acts != MODEL and quantity.neutral is None:
            return _SHAPE
        if self.env is not None and self._is_own(name, tuple(elements)):
            value = own_value(self.env, name, tuple(elements))
            if value is None:
                raise InvalidValue(
                    f"{self.env.source.name} does not tell its own {name}; say what it is nominally: name it "
                    f"in {self.path / 'physics.toml'}"
                )
            return value
        return nominal_value(self.model, quantity.name, elements[0] if elements else "world")

    def of_joint(self, joint: str, quantity: str) -> str:
        """Name of a quantity of a joint, or of the actuator that drives it where actuators have the quantity.

        Raises:
            UnknownName: for a quantity that does not exist, or a joint that no actuator drives alone.
        """
        name = f"{joint}.{quantity}"
        if quantity_of(name).element != "actuator":
            return name
        driven, actuators = drives(self.model)
        if joint not in driven:
            raise UnknownName(f"joint with an actuator, for {name}:", joint, filter(None, driven))
        return f"{actuators[driven.index(joint)]}.{quantity}"

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
        given = {
            name: d
            for name, d in domain.parameters.items()
            if not self._is_own(name, self.parameters[name].elements)
        }
        check_values(self, self.path, domain if len(given) == len(domain.names) else Domain(given))
        return domain

    def _is_own(self, name: str, elements: tuple[str, ...]) -> bool:
        """Whether an env or its PyBullet bodies have a parameter, and no model of MuJoCo's."""
        return self.env is not None and who_sets(self.env, name, elements) in (Sets.ENV, Sets.BODIES)

    def _of_scene(self, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
        """Those that are about elements of the MuJoCo model."""
        return {n: p for n, p in parameters.items() if not self._is_own(n, p.elements)}

    def _canonical(self, parameter: Parameter) -> Parameter:
        own = self._is_own(parameter.name, parameter.elements)
        return parameter if own else canonical(self.model, parameter)

    def _compiled(self, parameters: Mapping[str, Parameter]) -> mujoco.MjModel:
        """The model with room for what parameters and variants ask."""
        if self.env is not None:
            return with_room(self.env, parameters, self.variants)
        return compile_scene(self.path / "scene.xml", parameters, self.variants)

    def _check_parameters(self, names: Iterable[str]) -> None:
        """Refuse what an element, or an env, can't have, and two parameters for the same number."""
        chosen = {name: self.parameters[name] for name in names}
        for parameter in chosen.values():
            if self.env is not None:
                check(self.env, parameter)
            elif parameter.quantity.element == ENV:
                raise InvalidValue(
                    f"{parameter.name} is an attribute of a gymnasium env, and {self.name} is none; leave "
                    "it out"
                )
        check_parameters(self, self._of_scene(chosen))


_SHAPE = 0.05
"""Nominal value of what only shapes an effect that is not there, as the speed at which friction falls."""
