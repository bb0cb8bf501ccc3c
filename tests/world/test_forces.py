"""What actuators give in the engine: strength, constants and limits mean what their names say."""

import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

sys.path.insert(0, str(Path(__file__).parent))
from generator import ACTUATORS, NO_RANGE, PID

BODIES = """
<body pos="0 0 1"><joint name="h" type="TYPE" axis="0 1 0" JOINT/><geom size="0.1" pos="0.1 0 0"/></body>
"""


def world_of(write_world, what, more="", joint=""):
    shortcut, attributes = ACTUATORS[what]
    body = BODIES.replace("TYPE", "ball" if what == "orientation" else "hinge").replace("JOINT", joint)
    plugin = PID if what == "plugin" else ""
    xml = f"""<mujoco>{plugin}<worldbody>{body}</worldbody>
      <actuator><{shortcut} name="a" joint="h" {attributes} {more}/></actuator></mujoco>"""
    return World.load(write_world(xml, 'title = "one"\n', "one"))


def force(world, physics, speed=0.0, at="actuator_force"):
    """Of an actuator with a command, away from its zero."""
    domain = Domain.point(physics)
    wide = world.for_domain(domain)
    simulator = MujocoSimulator(wide, 1, 1)
    simulator.set_physics(np.array([0]), domain.names, np.array([list(physics.values())], dtype=float))
    model, data = simulator.snapshot(0)
    data.qpos[-1], data.qvel[:] = 0.2, speed
    data.ctrl[:], data.act[:] = 0.5, 0.5
    mujoco.mj_forward(model, data)
    return getattr(data, at).copy()


STRONG = [what for what in ACTUATORS if not what.startswith(("DC motor", "passive", "plugin", "adhesion"))]
STRONG = [*STRONG, "DC motor as general"]
STRONG.remove("pid with feedforward")


@pytest.mark.parametrize("what", STRONG)
def test_strength_is_a_factor_on_what_an_actuator_gives(write_world, what):
    world = world_of(write_world, what, 'forcerange="0 0.6"' if what == "orientation" else "")
    speed = 0.7 if what == "damper" else 0.0  # which gives nothing else
    own, weak = force(world, {}, speed), force(world, {"a.strength": 0.5}, speed)
    # what strength leaves: springs, which no command drives
    spring = {"cylinder": -0.2, "spring": 0.6, "affine": -0.6}.get(what, 0.0)
    np.testing.assert_allclose(weak - spring, 0.5 * (own - spring), rtol=1e-9)
    assert np.abs(own).max() > 0.01


@pytest.mark.parametrize("joint", ["", 'actuatorfrcrange="-0.1 0.1"'])
@pytest.mark.parametrize("what", ["motor", "position", "velocity", "muscle", "damped position", "pid"])
def test_what_stalls_is_halved_wherever_the_limit_is(write_world, what, joint):
    world = world_of(write_world, what, "" if joint else 'forcerange="-0.1 0.1"', joint)
    own, weak = (force(world, {"a.strength": s}, at="qfrc_actuator") for s in (1.0, 0.5))
    np.testing.assert_allclose([np.abs(own), np.abs(weak)], [[0.1], [0.05]], rtol=1e-9)
    limited = force(world, {"a.torque_limit": 0.03, "a.strength": 0.5}, at="qfrc_actuator")
    np.testing.assert_allclose(np.abs(limited), 0.015, rtol=1e-9)


@pytest.mark.parametrize("what", [w for w in ACTUATORS if w not in ("orientation", "adhesion", "plugin")])
def test_a_constant_is_added_where_there_can_be_one(write_world, what):
    world = world_of(write_world, what)
    if world.can_have("a.bias_torque"):
        more = force(world, {"a.bias_torque": 0.3}) - force(world, {})
        np.testing.assert_allclose(more, 0.3, atol=1e-12)
    else:
        assert "muscle" in what or what in NO_RANGE


@pytest.mark.parametrize(
    "what", ["motor", "motor with ignored bias", "cylinder", "affine", "DC motor as general"]
)
def test_back_emf_costs_torque_by_speed_and_strength_leaves_it(write_world, what):
    world = world_of(write_world, what, 'gear="3"')
    for strength in (1.0, 0.5):
        still, fast = (
            force(world, {"a.back_emf": 0.4, "a.strength": strength}, speed) for speed in (0.0, 0.7)
        )
        grows = 0.4 * strength * 0.5 * 3 * 0.7 if what == "affine" else 0.0  # its gain does so too
        np.testing.assert_allclose(fast - still, -0.4 * 3 * 0.7 + grows, atol=1e-12)


@pytest.mark.parametrize("what", ["position", "percent", "intvelocity", "pid", "DC motor with controller"])
def test_gains_are_those_of_the_servo(write_world, what):
    world = world_of(write_world, what, 'gear="2"')
    rest, fast = (force(world, {"a.kp": 7.0, "a.kd": 0.3}, speed) for speed in (0.0, 1.0))
    goal = {"percent": 0.5 * 0.2 / 10}.get(what, 0.5)
    constant = 0.3 if what == "percent" else 3 * 0.5 if what == "pid" else 0.0  # and the integral
    setpoint = 0.3 * 0.5 if what in ("pid", "DC motor with controller") else 0.0
    np.testing.assert_allclose(rest, 7.0 * (goal - 2 * 0.2) + constant + setpoint, rtol=1e-9)
    np.testing.assert_allclose(fast - rest, -0.3 * 2, rtol=1e-9)


@pytest.mark.parametrize("what", ["position", "percent", "pid"])
def test_a_servo_whose_encoder_reads_too_much_stops_short_by_that(write_world, what):
    world = world_of(write_world, what, 'gear="2"')
    off = force(world, {"h.encoder_offset": 0.15})
    kp = 10.0 if what == "percent" else 20.0
    np.testing.assert_allclose(off, force(world, {}) - kp * 2 * 0.15, rtol=1e-9)


def test_an_encoder_offset_goes_through_a_fixed_tendon(write_world):
    xml = """<mujoco><worldbody>
      <body><joint name="one" axis="0 1 0"/><geom size="0.1"/>
        <body><joint name="two" axis="0 1 0"/><geom size="0.1"/></body></body></worldbody>
      <tendon><fixed name="t"><joint joint="one" coef="0.5"/><joint joint="two" coef="-2"/></fixed></tendon>
      <actuator><position name="a" tendon="t" kp="20" gear="3"/></actuator></mujoco>"""
    world = World.load(write_world(xml, 'title = "two"\n', "two"))
    more = force(world, {"one.encoder_offset": 0.1, "two.encoder_offset": 0.2}) - force(world, {})
    np.testing.assert_allclose(more, -20 * 3 * (0.5 * 0.1 - 2 * 0.2), rtol=1e-9)
