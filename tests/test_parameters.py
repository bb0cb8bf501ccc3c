"""Names, units and values of parameters, and what is said about wrong ones."""

import numpy as np
import pytest

from sim2real.errors import InvalidValue, UnknownName
from sim2real.parameters import QUANTITIES, Parameter, check_unit, check_value, quantity_of


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
def test_every_quantity_takes_its_units_and_a_fair_value(quantity):
    name = f"thing.{quantity.name}"
    assert quantity_of(name) is quantity
    assert [check_unit(name, unit) for unit in quantity.units] == list(quantity.units)
    fair = int(min(quantity.high, max(quantity.low, 2)))
    assert check_value(name, fair) == fair
    assert isinstance(check_value(name, fair), float)
    assert quantity.meaning


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.float64("nan")])
def test_every_quantity_refuses_what_is_not_finite(quantity, value):
    with pytest.raises(InvalidValue, match=r"thing\.\w+ = -?(nan|inf) is not a finite number; give one in "):
        check_value(f"thing.{quantity.name}", value)


@pytest.mark.parametrize("value", ["0.1", None, True, [0.1], np.array([0.1])])
def test_refuses_what_is_no_number(value):
    with pytest.raises(InvalidValue, match=r"pole\.mass = .* is not a number; give one in kg"):
        check_value("pole.mass", value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("pole.mass", 0.0, "pole.mass = 0 kg is impossible; it must be at least 1e-09"),
        ("hinge.damping", -1e-3, "hinge.damping = -0.001 N·m·s/rad is impossible; it must be at least 0"),
        ("motor.latency", -1, "motor.latency = -1 physics steps is impossible; it must be at least 0"),
        ("motor.latency", 2.5, "motor.latency = 2.5 must be a whole number of physics steps"),
    ],
)
def test_refuses_the_impossible(name, value, said):
    with pytest.raises(InvalidValue) as caught:
        check_value(name, value)
    assert str(caught.value) == said


def test_position_may_be_negative_and_motors_may_fail():
    assert check_value("pole.com_z", -0.1) == -0.1
    assert check_value("motor.strength", 0.0) == 0.0


def test_misspelt_quantity_is_suggested():
    with pytest.raises(UnknownName, match=r"quantity in parameter 'pole\.mas':.*did you mean 'mass'\?"):
        quantity_of("pole.mas")


@pytest.mark.parametrize("name", ["mass", ".mass", ""])
def test_name_without_element(name):
    with pytest.raises(InvalidValue, match=r"is not of the form <element>\.<quantity>, as in 'pole\.mass'"):
        quantity_of(name)


def test_element_names_may_hold_dots():
    assert quantity_of("left.arm.mass").name == "mass"


def test_wrong_unit():
    with pytest.raises(InvalidValue, match=r"is given in 'N·m'; possible: 'N·m·s/rad' or 'N·s/m'"):
        check_unit("hinge.damping", "N·m")


def test_parameter_knows_its_quantity():
    parameter = Parameter("pole.mass", "kg", 1.0, 0.5, 2.0, "made up")
    assert parameter.quantity is QUANTITIES["mass"]
    assert parameter.scale == "linear"
