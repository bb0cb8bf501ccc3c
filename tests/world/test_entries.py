"""The numbers that a parameter decides: at nominal they are the model's own, and no two entries quarrel."""

import mujoco
import numpy as np
import pytest

from sim2real.catalog import entries as catalogue
from sim2real.parameters import MODEL
from sim2real.world import World
from sim2real.world.entries import entries


def field_of(model, name):
    owner = model.opt if name.startswith("opt.") else model
    return np.ravel(getattr(owner, name.removeprefix("opt.")))


def number(entry, values):
    factors = []
    for name in entry.parameters:
        function, _, parameter = name.rpartition(" ")
        factors.append({"": float, "sin": np.sin, "cos": np.cos}[function](values[parameter]))
    return entry.factor * np.prod(factors)


def terms(world):
    """Terms of every number, each once."""
    found = {}
    for parameter in world.parameters.values():
        for entry in entries(world, parameter):
            found.setdefault((entry.field, entry.address), {})[entry.parameters] = entry
    return found


@pytest.mark.parametrize("name", [*catalogue("envs"), "bench"])
def test_nominal_values_give_the_compiled_model(name, bench):
    world = bench if name == "bench" else World.load(name)
    for parameter in world.parameters.values():
        if parameter.quantity.acts == MODEL and parameter.quantity.name != "backlash":
            found = list(entries(world, parameter))
            named = " ".join(" ".join(entry.parameters) for entry in found).split()
            assert parameter.name in named, f"{parameter.name} decides nothing"
    for (field, address), group in terms(world).items():
        assert all(len(entry.parameters) <= 3 for entry in group.values())
        compiled = field_of(world.model, field)[address]
        total = sum(number(entry, world.nominal) for entry in group.values())
        np.testing.assert_allclose(total, compiled, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", [*catalogue("envs"), "bench"])
def test_whoever_names_a_term_names_the_same(name, bench):
    world = bench if name == "bench" else World.load(name)
    known = {}
    for parameter in world.parameters.values():
        for entry in entries(world, parameter):
            key = entry.field, entry.address, entry.parameters
            assert known.setdefault(key, entry).factor == pytest.approx(entry.factor)


def fields(world, name):
    return {(e.field, e.address, e.parameters): e.parameters for e in entries(world, world.parameters[name])}


def test_strength_of_a_dc_motor_leaves_its_back_emf(bench):
    assert {field for field, *_ in fields(bench, "dc.strength")} == {"actuator_gainprm"}


def test_strength_of_a_servo_is_a_factor_on_gain_bias_and_limit(bench):
    found = fields(bench, "servo.strength")
    assert sorted(field for field, *_ in found) == [
        "actuator_biasprm",
        "actuator_biasprm",
        "actuator_biasprm",
        "actuator_biasprm",
        "actuator_forcerange",
        "actuator_forcerange",
        "actuator_gainprm",
    ]
    assert {"servo.kp", "servo.strength"} in map(set, found.values())


def test_mass_takes_the_inertia_along(bench):
    assert sorted(field for field, *_ in fields(bench, "link.mass")) == [
        "body_inertia",
        "body_inertia",
        "body_inertia",
        "body_mass",
    ]


def test_what_the_engine_derives_is_on_its_list():
    """Fields that need `set_const` are asked for by name; this is where they would go missing."""
    derived = mujoco.MjModel._setconst_inputs
    assert {"body_mass", "body_inertia", "body_ipos", "dof_armature"} <= set(derived)
    assert not {"geom_friction", "dof_damping", "actuator_gainprm", "actuator_delay"} & set(derived)
