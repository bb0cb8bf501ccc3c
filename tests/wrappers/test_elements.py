"""Kinds of elements that other projects' randomization got wrong: as if compiled so, or refused by name."""

import mujoco
import numpy as np
import pytest

from sim2real.audit.written import written
from sim2real.distributions import Point
from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.wrappers import Randomize

SCENE = """
<mujoco>
  <option timestep="0.002" integrator="implicitfast" {option}/>
  <worldbody>
    <geom name="floor" type="plane" size="3 3 1" friction="0.3"/>
    <body name="link" pos="0 0 1">
      <joint name="hinge" axis="0 1 0" damping="0.1" armature="0.01" {joint}/>
      <geom name="rod" type="capsule" fromto="0 0 0 .3 0 0" size=".02" mass=".5" contype="0"/>
      <body name="tip" pos=".3 0 0">
        <joint name="wrist" axis="0 0 1" damping="0.2"/>
        <geom type="sphere" size=".03" mass=".2" contype="0"/>
        <body name="mount"><site name="eye"/></body>
      </body>
    </body>
    <body name="bob" pos="1 0 1">
      <joint name="ball" type="ball" damping="0.1"/>
      <geom name="rope" type="capsule" fromto="0 0 0 0 0 -.3" size=".02" contype="0"/>
    </body>
    <body name="box" pos="1 1 .1">
      <freejoint name="loose"/>
      <geom name="cube" type="box" size=".1 .1 .1" friction="0.6"/>
    </body>
  </worldbody>
  <tendon><fixed name="cable" damping="0.1"><joint joint="hinge" coef="1"/><joint joint="wrist" coef="2"/></fixed>
  </tendon>
  <actuator>{actuator}</actuator>
  {rest}
</mujoco>
"""  # noqa: E501
EMPTY = {"option": "", "joint": "", "actuator": '<motor name="motor" joint="hinge"/>', "rest": ""}


def factor(name, by, limits=True):
    """What half the strength is in a file: gain, bias and force limit of an actuator."""

    def edit(spec):
        actuator = spec.actuator(name)
        actuator.gainprm[0] *= by
        actuator.biasprm[:3] *= by
        if limits and actuator.forcelimited:
            actuator.forcerange *= by

    return edit


def set_to(kind, name, field, value):
    def edit(spec):
        setattr(getattr(spec, kind)(name), field, value)

    return edit


def bias(name, constant):
    def edit(spec):
        spec.actuator(name).biastype = mujoco.mjtBias.mjBIAS_AFFINE
        spec.actuator(name).biasprm[0] += constant

    return edit


def gravity(spec):
    spec.option.gravity = [0, 0, -4.0]


def weak_muscle(spec):
    spec.actuator("flexor").gainprm[2] *= 0.5  # its peak force
    spec.actuator("flexor").biasprm[2] *= 0.5


def second_halved(spec):
    spec.actuators[1].gainprm[0] *= 0.5


TWO = '<motor name="motor" joint="hinge" gear="2"/><position name="servo" joint="hinge" kp="5" kv="0.5"/>'
SERVO = '<position name="servo" joint="hinge" kp="5" kv="0.5" gear="3" ctrlrange="-2 2" forcerange="-4 4"/>'
VELOCITY = '<velocity name="servo" joint="hinge" kv="5" forcerange="-4 4"/>'
CONSTANT = '<general name="servo" joint="hinge" biastype="affine" gainprm="3" biasprm="0.7 -5 -0.4"/>'
UNNAMED = '<motor joint="wrist"/><motor joint="hinge"/>'
MUSCLE = '<muscle name="flexor" tendon="cable" force="20" range="0.5 1" lengthrange="-2 2"/>'
PLUGIN = {
    "actuator": '<plugin name="pid" joint="hinge" plugin="mujoco.pid" instance="p" actdim="1"/>',
    "rest": '<extension><plugin plugin="mujoco.pid"><instance name="p"><config key="kp" value="4"/>'
    '<config key="ki" value="1"/></instance></plugin></extension>',
}
PAIR = '<contact><pair geom1="cube" geom2="floor" {}/></contact>'

ACTS = {
    "one of two actuators": ({"actuator": TWO}, "servo.strength", 0.5, factor("servo", 0.5)),
    "the other of the two": ({"actuator": TWO}, "motor.strength", 0.5, factor("motor", 0.5)),
    "a servo with a gear": ({"actuator": SERVO}, "servo.strength", 0.5, factor("servo", 0.5)),
    "a velocity servo": ({"actuator": VELOCITY}, "servo.strength", 0.5, factor("servo", 0.5)),
    "its gain": ({"actuator": VELOCITY}, "servo.kd", 2.0, factor("servo", 0.4, limits=False)),
    "a constant in the bias": ({"actuator": CONSTANT}, "servo.strength", 0.5, factor("servo", 0.5)),
    "one more constant": ({"actuator": CONSTANT}, "servo.bias_torque", 0.5, bias("servo", 0.5)),
    "a constant of a motor": ({}, "motor.bias_torque", 0.5, bias("motor", 0.5)),
    "a tendon's motor": (
        {"actuator": '<motor name="motor" tendon="cable"/>'}, "motor.strength", 0.5, factor("motor", 0.5),
    ),
    "a muscle": ({"actuator": MUSCLE}, "flexor.strength", 0.5, weak_muscle),
    "damping of a ball": ({}, "ball.damping", 0.5, set_to("joint", "ball", "damping", [0.5, 0, 0])),
    "friction of a free one": ({}, "loose.frictionloss", 0.5, set_to("joint", "loose", "frictionloss", 0.5)),
    "armature of a free one": ({}, "loose.armature", 0.5, set_to("joint", "loose", "armature", 0.5)),
    "damping of a tendon": ({}, "cable.damping", 0.5, set_to("tendon", "cable", "damping", [0.5, 0, 0])),
    "friction of a tendon": ({}, "cable.frictionloss", 0.5, set_to("tendon", "cable", "frictionloss", 0.5)),
    "gravity where there is none": ({"option": 'gravity="0 0 0"'}, "world.gravity", 4.0, gravity),
    "an unnamed actuator": ({"actuator": UNNAMED}, "hinge.strength", 0.5, second_halved),
}  # fmt: skip


@pytest.mark.parametrize("case", ACTS)
def test_the_model_is_as_if_compiled_with_the_value(inline, case):
    change, parameter, value, edit = ACTS[case]
    scene = SCENE.format(**(EMPTY | change))
    env = Randomize(inline(scene), Domain({parameter: Point(value)}))
    env.reset(seed=0)
    model = mujoco.MjModel.from_xml_string(scene)
    spec = mujoco.MjSpec.from_string(scene)
    edit(spec)
    truth = spec.compile()
    assert written(model, truth), "the edit does something"
    differs = {
        field.name: field.relative for field in written(env.unwrapped.model, truth) if field.relative > 1e-9
    }
    assert not differs.keys() - {"vis.global_.offwidth", "vis.global_.offheight", "stat.meaninertia"}, differs


REFUSED = {
    "a pair": ({"rest": PAIR.format('friction="0.7 0.7"')}, "cube.friction", 0.9, "a <pair> of it and geom"),
    "a pair as it comes": ({"rest": PAIR.format("")}, "cube.friction", 0.9, "a <pair> of it and geom"),
    "one that equals its geoms'": (
        {"rest": PAIR.format('friction="0.6 0.6"')}, "cube.friction", 0.9, "a <pair> of it and geom",
    ),
    "a slope without gravity": ({"option": 'gravity="0 0 0"'}, "world.slope_x", 0.1, "without gravity"),
    "a gain of a motor": ({}, "motor.kp", 3.0, "it is a motor, and no position servo"),
    "kp of a velocity servo": ({"actuator": VELOCITY}, "servo.kp", 3.0, "its gain is its kd"),
    "the mass of a mount": ({}, "mount.mass", 0.3, "it has no mass and so no inertia to follow"),
    "backlash": ({}, "hinge.backlash", 0.1, "needs a second joint"),
    "an encoder of a ball": ({}, "ball.encoder_offset", 0.1, "it is a ball joint: it needs one axis"),
    "a law of a free joint": ({}, "loose.stribeck", 0.1, "follows one speed, and a free joint has six"),
    "a torque limit that a joint shares": (
        {"actuator": TWO, "joint": 'actuatorfrcrange="-3 3"'}, "motor.torque_limit", 1.0, "shares",
    ),
    "strength of a DC motor": (
        {"actuator": '<dcmotor name="motor" joint="hinge" motorconst="0.1" resistance="1"/>'},
        "motor.strength", 0.5, "its torque follows from its resistance",
    ),
    "strength of a plugin": (PLUGIN, "pid.strength", 0.5, "what it gives is decided by the plugin"),
    "two parameters for one number": (
        {"actuator": '<motor joint="hinge"/>'}, "actuator 0.strength", 0.5, "both the strength of 'hinge'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_element_cannot_have_is_refused_when_wrapped(inline, case):
    change, parameter, value, says = REFUSED[case]
    domain = {parameter: Point(value)}
    if says.startswith("both"):
        domain["hinge.strength"] = Point(0.7)
    with pytest.raises(InvalidValue, match=says):
        Randomize(inline(SCENE.format(**(EMPTY | change))), Domain(domain))


def test_half_the_strength_is_half_the_torque_at_a_joint_that_limits_it(inline):
    change = {"joint": 'actuatorfrcrange="-3 3"', "actuator": '<motor name="motor" joint="hinge" gear="10"/>'}
    scene = SCENE.format(**(EMPTY | change))
    torques = []
    for strength in (1.0, 0.5):
        env = Randomize(inline(scene), Domain({"motor.strength": Point(strength)}))
        env.reset(seed=0)
        env.step(np.ones(1))
        torques.append(env.unwrapped.data.qfrc_actuator[0])
    assert torques == [3.0, 1.5]


def test_strength_of_a_filtered_servo_is_a_factor_on_what_it_gives(inline):
    """Against a plain loop, in which the servo's force is halved outside the engine."""
    actuator = '<position name="servo" joint="hinge" kp="8" timeconst="0.05"/>'
    scene = SCENE.format(**(EMPTY | {"actuator": actuator}))
    env = Randomize(inline(scene), Domain({"servo.strength": Point(0.5)}))
    env.reset(seed=0)
    model = mujoco.MjModel.from_xml_string(scene)
    model.actuator_gainprm[0], model.actuator_biasprm[0] = 0.0, 0.0  # it filters, and gives nothing
    data = mujoco.MjData(model)
    for step in range(60):
        command = np.array([np.sin(0.1 * step)])
        env.step(command)
        for _ in range(env.unwrapped.frame_skip):
            data.ctrl[:] = command
            data.qfrc_applied[0] = 0.5 * 8 * (data.act[0] - data.qpos[0])
            mujoco.mj_step(model, data)
        assert np.allclose(env.unwrapped.data.qpos, data.qpos, rtol=1e-9, atol=1e-12)
    assert np.abs(data.qpos[0]) > 0.01


def test_a_plugin_reads_past_the_engines_delay(inline):
    """So that a latency would do nothing, where the engine has it; another quantity acts as in any model."""
    scene = SCENE.format(**(EMPTY | PLUGIN))
    spec = mujoco.MjSpec.from_string(scene)
    spec.geom("rod").mass, spec.actuators[0].nsample = 1.0, 8
    model = spec.compile()
    model.actuator_delay[:] = 5 * model.opt.timestep
    with pytest.raises(InvalidValue, match="it reads the command as it is given, past the engine's delay"):
        Randomize(inline(scene), Domain({"pid.latency": Point(5)}))
    env = Randomize(inline(scene), Domain({"link.mass": Point(1.0)}))
    env.reset(seed=0)
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    for _ in range(40):
        command = rng.uniform(-1, 1, 1)
        env.step(command)
        data.ctrl[:] = command
        mujoco.mj_step(model, data, nstep=2)
        assert np.allclose(env.unwrapped.data.qpos, data.qpos, rtol=0, atol=1e-9), "not delayed"


def test_each_command_of_a_controller_with_three_is_late(inline):
    """A PID takes position, velocity and torque; against the engine's own delay."""
    actuator = '<pid name="pid" joint="hinge" kp="5" kv="0.4" input="pos vel ff"/>'
    actuator += '<motor name="motor" joint="wrist"/>'
    scene = SCENE.format(**(EMPTY | {"actuator": actuator}))
    env = Randomize(inline(scene), Domain({"pid.latency": Point(3), "motor.latency": Point(5)}))
    spec = mujoco.MjSpec.from_string(scene)
    for actuator in spec.actuators:
        actuator.nsample = 8
    model = spec.compile()
    model.actuator_delay[:] = (np.array([3, 5]) - 0.5) * model.opt.timestep
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(40):
        command = rng.uniform(-1, 1, model.nu)
        env.step(command)
        data.ctrl[:] = command
        mujoco.mj_step(model, data, nstep=2)
        assert np.allclose(env.unwrapped.data.qpos, data.qpos, rtol=0, atol=1e-12)


def test_unnamed_elements_go_by_mujocos_names(inline):
    scene = (
        SCENE.format(**EMPTY).replace('name="ball"', "").replace('name="bob"', "").replace('name="rope"', "")
    )
    domain = {"joint 2.damping": Point(0.4), "geom 4.friction": Point(1.2), "body 4.mass": Point(0.3)}
    env = Randomize(inline(scene), Domain(domain | {"body 4.push": Point(1.0)}))
    env.reset(seed=0)
    model = env.unwrapped.model
    assert model.dof_damping[2:5].tolist() == [0.4] * 3
    assert (model.geom_friction[4, 0], model.body_mass[4]) == (1.2, 0.3)
