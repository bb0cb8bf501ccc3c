"""Every quantity there is, in one small world: the audit sees each of them act, and what they need to act."""

import numpy as np
import pytest

from sim2real.audit import AuditSettings, audit_world, check_domain
from sim2real.audit.reasons import what_is_left_out
from sim2real.audit.written import written
from sim2real.catalog import entries
from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.errors import DeadParameter, InvalidValue, UnknownName
from sim2real.parameters import INERTIA, QUANTITIES
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

SCENE = """
<mujoco model="cartpole">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.005" cone="elliptic" integrator="implicitfast"/>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 1" pos="0 0 -.8" friction="0.1"/>
    <body name="cart">
      <joint name="slider" type="slide" axis="1 0 0" range="-1.8 1.8" damping="0.1" frictionloss="0.1"
             armature="0.01" stiffness="0.1"/>
      <geom name="box" type="box" size="0.1 0.1 0.1" mass="1" contype="0" conaffinity="0"/>
      <body name="pole">
        <joint name="hinge" type="hinge" axis="0 1 0" damping="0.001" armature="0.002"/>
        <geom name="rod" type="capsule" fromto="0 0 0 0 0 1" size="0.04" mass="0.1" friction="0.5"/>
      </body>
    </body>
  </worldbody>
  <actuator>ACTUATOR</actuator>
</mujoco>
"""
MOTOR = (
    '<general name="motor" joint="slider" gainprm="1" biasprm="0 0 0" biastype="affine" ctrlrange="-10 10" \
forcerange="-20 20"/>'
)
SERVO = '<position name="motor" joint="slider" kp="30" kv="3" ctrlrange="-10 10" forcerange="-20 20"/>'

# element, nominal value and range of every quantity of a motor
WHAT = {
    "mass": ("pole", 0.1, 0.05, 0.2),
    "payload": ("pole", 0, 0, 0.2),
    "com_x": ("pole", 0, 0, 0.1),
    "com_y": ("pole", 0, 0, 0.1),
    "com_z": ("pole", 0.5, 0.4, 0.6),
    "friction": ("rod", 0.5, 0.2, 1.0),
    "damping": ("slider", 0.1, 0, 1),
    "frictionloss": ("slider", 0.1, 0, 1),
    "armature": ("slider", 0.01, 0.01, 0.5),
    "stiffness": ("slider", 0.1, 0.1, 5),
    "backlash": ("hinge", 0, 0, 0.1),
    "stuck": ("hinge", 0, 0, 1),
    "gravity": ("world", 9.81, 9, 11),
    "slope_x": ("world", 0, 0, 0.1),
    "slope_y": ("world", 0, 0, 0.1),
    "wind_x": ("world", 0, 0, 5),
    "wind_z": ("world", 0, 0, 5),
    "air_density": ("world", 0, 0, 1.2),
    "strength": ("motor", 1, 0.5, 1.5),
    "back_emf": ("motor", 0, 0, 1),
    "torque_limit": ("motor", 20, 2, 20),
    "latency": ("motor", 0, 0, 4),
    "latency_jitter": ("motor", 0, 0, 4),
    "command_resolution": ("motor", 0, 0, 1),
    "rate_limit": ("motor", 1e6, 10, 1e6),
    "goal_braking": ("motor", 1e6, 10, 1e6),
    "deadband": ("motor", 0, 0, 1),
    "command_noise": ("motor", 0, 0, 1),
    "speed_loss": ("motor", 0, 0, 0.5),
    "stribeck": ("slider", 0, 0, 0.5),
    "load_friction_motor": ("slider", 0, 0, 0.1),
    "load_friction_external": ("slider", 0, 0, 0.1),
    "load_stribeck_motor": ("slider", 0, 0, 0.1),
    "load_stribeck_external": ("slider", 0, 0, 0.1),
    "load_quadratic_motor": ("slider", 0, 0, 0.1),
    "load_quadratic_external": ("slider", 0, 0, 0.1),
    "stribeck_velocity": ("slider", 0.1, 0.05, 0.2),
    "stribeck_exponent": ("slider", 2, 1, 3),
    "sensor_gain": ("cart_velocity", 1, 0.9, 1.1),
    "bias": ("cart_velocity", 0, 0, 0.1),
    "bias_drift": ("cart_velocity", 0, 0, 0.1),
    "noise": ("cart_velocity", 0, 0, 0.1),
    "spike": ("cart_velocity", 0, 0, 0.1),
    "spike_size": ("cart_velocity", 1, 0.5, 2),
    "resolution": ("cart_velocity", 0, 0, 0.1),
    "sensor_period": ("cart_velocity", 1, 1, 4),
    "dropout": ("cart_velocity", 0, 0, 0.5),
    "sensor_latency": ("cart_velocity", 0, 0, 2),
    "push": ("cart", 0, 0, 5),
    "push_interval": ("cart", 2, 1, 4),
    "push_duration": ("cart", 0.1, 0.05, 0.2),
    "drift": ("motor.strength", 0, 0, 0.1),
    "redraw": ("pole.mass", 0, 0, 3),
}
ASIDE = {"inertia_shift_y", "inertia_stretch_y", "inertia_shear_yz"}  # nothing to a motion in the plane
WHAT |= {name: ("pole", 0, -0.2, 0.2) for name in INERTIA if name not in ASIDE}
SERVO_ONLY = {
    "kp": ("motor", 30, 15, 60),
    "kd": ("motor", 3, 1, 6),
    "encoder_offset": ("slider", 0, 0, 0.1),
    "bias_torque": ("motor", 0, 0, 2),
}
UNITS = {"cart_velocity": "m/s", "motor": "of its own", "motor.strength": "1/s"}
SLIDE = {
    "damping": 1,
    "frictionloss": 1,
    "armature": 1,
    "stiffness": 1,
    "back_emf": 1,
    "torque_limit": 1,
    "bias_torque": 1,
}


def physics(what):
    lines = ['title = "Everything"\ntask = "cartpole"\n']
    for quantity, (element, nominal, low, high) in what.items():
        units = QUANTITIES[quantity].units or (UNITS[element],)
        unit = units[-1] if element == "slider" or quantity in SLIDE else units[0]
        lines.append(
            f'[parameters."{element}.{quantity}"]\nunit = "{unit}"\nnominal = {nominal}\n'
            f'range = [{low}, {high}]\nsource = "made up"\n'
        )
    return "\n".join(lines)


@pytest.fixture
def everything(write_world):
    """A world with each quantity that a motor's world can have."""
    return World.load(write_world(SCENE.replace("ACTUATOR", MOTOR), physics(WHAT), "cartpole"))


def test_no_quantity_is_left_out():
    missing = set(QUANTITIES) - set(WHAT) - set(SERVO_ONLY)
    # wind along y goes as the others, a correction needs a network, a height something that touches
    assert missing == {"wind_y", "correction", "height"} | ASIDE


def test_every_quantity_acts(everything):
    audit = audit_world(everything, AuditSettings(policies=()))
    # a sideways centre of mass does nothing to a motion in the plane
    planar = {"pole.com_y"}
    assert {finding.name for finding in audit.findings if finding.verdict != "alive"} == planar, audit.faults
    assert {finding.verdict for finding in audit.findings} == {"alive", "dead"}
    assert len(audit.findings) == len(WHAT)


def test_a_servos_gains_act(write_world, of_any_cart):
    world = World.load(write_world(SCENE.replace("ACTUATOR", SERVO), physics(SERVO_ONLY), "cartpole"))
    check_domain(world, world.training_domain)


def test_a_world_cannot_have_what_public_projects_shipped(write_world):
    """Two of the four are refused when a world is loaded; the other two our parameters can't leave out."""
    scene = SCENE.replace("ACTUATOR", SERVO)
    floor = {"friction": ("floor", 0.1, 0.05, 0.4)}
    with pytest.raises(InvalidValue, match=r"floor.friction has no effect below 0.5 against geom 'rod'"):
        World.load(write_world(scene, physics(floor), "cartpole"))
    copied = physics({"friction": ("ground", 0.1, 0.05, 0.4)})
    with pytest.raises(
        UnknownName, match=r"geom for parameter ground.friction: 'ground'.* known: box, floor"
    ):
        World.load(write_world(scene, copied, "cartpole"))
    both = {"mass": ("pole", 0.1, 0.05, 0.2), "kp": ("motor", 30, 15, 60), "strength": ("motor", 1, 0.5, 1.5)}
    world = World.load(write_world(scene, physics(both), "cartpole"))
    simulator = MujocoSimulator(world, 2)
    ends = np.array([[parameter.high for parameter in world.parameters.values()]])
    simulator.set_physics(np.array([1]), tuple(world.parameters), ends)
    nominal, moved = (simulator.snapshot(row)[0] for row in range(2))
    assert {field.name for field in written(nominal, moved)} >= {
        "body_mass",
        "body_inertia",
        "actuator_biasprm",
    }
    assert what_is_left_out(nominal, moved) == []


@pytest.mark.parametrize(
    ("quantity", "needs"),
    [
        ("slider.stribeck_exponent", "slider.stribeck, slider.load_stribeck_motor"),
        ("cart_velocity.spike_size", "cart_velocity.spike"),
        ("cart.push_interval", "cart.push"),
        ("world.wind_x", "world.air_density"),
    ],
)
def test_what_shapes_an_effect_needs_it(everything, quantity, needs):
    own = everything.training_domain.parameters
    alone = Domain({quantity: own[quantity]})
    with pytest.raises(DeadParameter, match=f"{quantity} changes nothing.*it only shapes {needs}"):
        check_domain(everything, alone)
    first = needs.split(", ")[0]
    check_domain(everything, Domain({quantity: own[quantity], first: own[first]}))


def test_what_comes_late_gets_a_longer_look(everything):
    """The short motion ends before the first new draw; an episode does not."""
    check_domain(everything, Domain({"pole.mass.redraw": Uniform(2.0, 3.0), "pole.mass": Uniform(0.05, 0.2)}))
    with pytest.raises(DeadParameter, match=r"pole.mass.redraw changes nothing at 900 and 1000"):
        check_domain(
            everything, Domain({"pole.mass.redraw": Uniform(900, 1000), "pole.mass": Uniform(0.05, 0.2)})
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", entries("envs"))
def test_the_whole_audit_of_the_catalogue_has_no_fault(name):
    audit = audit_world(World.load(name), AuditSettings(episodes=2))
    assert audit.faults == ()
    assert audit.noise == 0.0
