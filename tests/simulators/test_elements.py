"""Every kind of MJCF element moves in Bullet and in MuJoCo Warp as in MuJoCo, or is refused by name.

Small legal models, each with one more element; the first second of free motion is compared. Random mixtures
of elements, with random physics, follow.
"""

import re
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from sim2real.arrays import Arrays
from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.parameters import MODEL, QUANTITIES, Parameter
from sim2real.simulators import Engine, make_simulator
from sim2real.world import World
from sim2real.world.entries import entries
from sim2real.world.names import element_names
from sim2real.world.values import nominal_value

SCENE = """
<mujoco model="made">
  <compiler angle="radian" autolimits="true"/>
  {top}
  <option timestep="0.002" {option}><flag contact="disable" {flag}/></option>
  <asset><mesh name="wedge" vertex="0 0 0 .1 0 0 0 .1 0 0 0 .1 .1 .1 .1"/></asset>
  <worldbody>
    {world}
    <body name="sled" pos="0 0 1">
      <joint name="slide" type="slide" axis="1 0 .2" damping=".5" {slide}/>
      <geom type="box" size=".1 .1 .05" mass="1" {geom}/><site name="base" pos=".1 0 0"/>
      <body name="arm" pos="0 0 .1" {arm}>
        <joint name="hip" axis="0 1 .3" damping=".02" {hip}/>
        <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03" mass=".5"/><site name="mid" pos=".15 0 .02"/>
        <body name="fore" pos=".3 0 0">
          <joint name="knee" axis="0 1 0" pos="0 .01 0" damping=".01" {knee}/>
          <geom name="bar" type="cylinder" fromto="0 0 0 0 0 .2" size=".02" mass=".3"/>
          <site name="end" pos="0 0 .2"/>
          {leaf}
        </body>
      </body>
    </body>
    <body name="twin" pos="1 0 1">
      <joint name="swing" axis="1 0 0" damping=".05"/><geom size=".05" pos="0 .1 .1" mass=".4"/>
      <site name="there" pos="0 .1 .1"/>
    </body>
    <body name="pendulum" pos="-1 0 1">
      <joint name="ball" type="ball" damping=".02" {ball}/>
      <geom type="box" size=".02 .05 .1" pos="0.02 0.01 -.1" mass=".3"/>
    </body>
    <body name="stone" pos="0 2 1">
      <joint name="free" type="free" {free}/>
      <geom type="ellipsoid" size=".05 .1 .2" pos=".02 0 0" mass=".7"/>
    </body>
  </worldbody>
  <tendon>{tendon}</tendon><equality>{equality}</equality><actuator>{actuator}</actuator>
</mujoco>"""
SLOW = pytest.mark.slow  # the other elements, which take half a minute together
SLOTS = set(re.findall(r"{(\w+)}", SCENE))

TENDON = '<fixed name="t" {}><joint joint="hip" coef=".7"/><joint joint="knee" coef="-.4"/></fixed>'
STRING = '<spatial name="t" {}><site site="base"/><site site="end"/></spatial>'
WRAPPED = """<spatial name="t" {}><site site="base"/><geom geom="bar"/><site site="end"/><pulley divisor="2"/>
  <site site="mid"/><site site="there"/></spatial>"""
HUB = """<body name="hub" pos="0 0 .2" euler="1 1 0"><joint type="slide" axis="0 0 1" pos=".1 0 0"/>
  <joint axis="1 0 0" pos="0 .1 0"/><joint type="ball" pos="0 0 .1" stiffness=".2" armature=".1"/>
  <geom type="box" size=".02 .03 .04" pos=".01 .02 .03" euler=".1 .2 .3"/></body>"""
STATIC = """<body name="wall" pos="0 0 3" euler=".1 .2 .3"><geom size=".1"/>
  <body name="shelf" pos="1 0 0"><geom size=".1"/><body name="lamp"><joint axis="0 1 0"/>
  <geom size=".1" pos=".1 0 0"/></body></body></body>"""
PID = """<extension><plugin plugin="mujoco.pid"><instance name="p"><config key="kp" value="4"/>
  <config key="ki" value="1"/><config key="kd" value=".1"/></instance></plugin></extension>"""
RUBBER = '<flexcomp name="f" type="grid" count="3 3 1" spacing=".1 .1 .1" pos="0 0 4" mass=".1" dim="2"/>'

ELEMENTS = {
    "nothing": {},
    **{f"integrator {kind}": {"option": f'integrator="{kind}"'} for kind in ("implicit", "implicitfast")},
    "motor with gear": {"actuator": '<motor joint="hip" gear="-3"/>'},
    "servo with gear": {"actuator": '<position joint="knee" kp="5" gear="2"/>'},
    "two servos": {
        "actuator": '<position joint="hip" kp="9" kv=".3" forcerange="-.5 .5"/><position joint="hip" kp="3"/>'
    },
    "stiff servo": {
        "actuator": '<position joint="hip" kp="200" kv="5"/>',
        "option": 'integrator="implicitfast"',
    },
    "affine": {
        "actuator": """<general joint="hip" gainprm="7" biastype="affine" biasprm=".3 -4 -.2"/>
          <general joint="knee" gaintype="affine" gainprm="1 .5 .1" biastype="affine" biasprm=".1 -1 -.1"/>"""
    },
    "velocity": {"actuator": '<velocity joint="hip" kv="2"/>'},
    "intvelocity": {"actuator": '<intvelocity joint="knee" kp="3" actrange="-1 1"/>'},
    "damper": {"actuator": '<damper joint="slide" kv="3" ctrlrange="0 1"/>'},
    "cylinder": {"actuator": '<cylinder joint="slide" timeconst=".1" area=".3" bias="0 -.1 -.1"/>'},
    "muscle": {"actuator": '<muscle joint="hip" lengthrange="-1 1" force="3"/>'},
    "muscle of a tendon": {
        "tendon": STRING.format(""),
        "actuator": '<muscle tendon="t" lengthrange=".1 1" force="5"/>',
    },
    "DC motor": {"actuator": '<dcmotor joint="hip" motorconst=".1 .1" resistance="1"/>'},
    "filtered servo": {"actuator": '<position joint="hip" kp="5" timeconst=".05"/>'},
    "exact filter": {"actuator": '<general joint="knee" dyntype="filterexact" dynprm=".1" gainprm="2"/>'},
    "early filter": {"actuator": '<general joint="swing" dyntype="filter" dynprm=".1" actearly="true"/>'},
    "integrator": {
        "actuator": '<general joint="slide" dyntype="integrator" gainprm="2" actrange="0 1"/>',
    },
    "delay": {"actuator": '<motor joint="hip" delay=".01" nsample="8"/>'},
    "motors of a ball": {
        "actuator": '<motor jointinparent="ball" gear="1 .5 .2"/><motor joint="ball" gear="0 1 0"/>'
    },
    "motors of a free body": {
        "actuator": """<motor joint="free" gear="1 0 0 0 .1 0"/>
          <motor jointinparent="free" gear="0 1 0 0 0 .1"/>"""
    },
    "site": {
        "actuator": """<motor site="end" gear="1 0 0 0 .1 0"/>
          <motor site="end" refsite="base" gear="0 1 0 0 0 .1"/>"""
    },
    "slider-crank": {"actuator": '<motor cranksite="mid" slidersite="base" cranklength=".4"/>'},
    "tendon's motor": {"tendon": TENDON.format(""), "actuator": '<motor tendon="t" gear="2"/>'},
    "tendon's servo": {"tendon": WRAPPED.format(""), "actuator": '<position tendon="t" kp="9" kv=".1"/>'},
    "tendon's spring": {"tendon": STRING.format('stiffness="20" damping=".5" springlength=".1 .2"')},
    "tendon's damper": {
        "tendon": TENDON.format('damping="5" stiffness="9"'),
        "option": 'integrator="implicitfast"',
    },
    "tendon's friction": {"tendon": TENDON.format('frictionloss=".1"')},
    "tendon's limit": {"tendon": TENDON.format('range="-.05 .05"')},
    "tendon's force limit": {
        "tendon": TENDON.format('actuatorfrcrange="-.1 .1"'),
        "actuator": '<motor tendon="t" gear="2"/>',
    },
    "mimic joint": {"equality": '<joint joint1="hip" joint2="knee" polycoef="0 .5 .1 0 0"/>'},
    "fixed joint": {"equality": '<joint joint1="hip" polycoef=".3 0 0 0 0"/>'},
    "connect": {"equality": '<connect body1="fore" body2="twin" anchor="0 0 .2"/>'},
    "weld": {"equality": '<weld body1="stone" body2="fore"/>'},
    "weld to the world": {"equality": '<weld body1="stone"/><connect body1="twin" anchor="0 0 0"/>'},
    "idle equality": {"equality": '<connect body1="pendulum" anchor="0 0 -.3" active="false"/>'},
    "tendon equality": {
        "tendon": TENDON.format(""),
        "equality": '<tendon tendon1="t" polycoef=".1 0 0 0 0"/>',
    },
    "springs": {"hip": 'stiffness="3" springref=".4" ref="0.2"', "knee": 'springdamper=".3 .7"'},
    "polynomial spring": {"hip": 'stiffness="3 1 .5"'},
    "friction": {"hip": 'frictionloss=".2"', "ball": 'frictionloss=".05"', "free": 'frictionloss=".1"'},
    "armature": {"hip": 'armature=".2"', "slide": 'armature=".5"', "ball": 'armature=".03"'},
    "armature of a free body": {"free": 'armature=".3" damping=".3"'},
    "joint's force limit": {
        "hip": 'actuatorfrcrange="-.1 .1"',
        "actuator": '<motor joint="hip" gear="2"/><motor joint="hip"/>',
    },
    "limit of a ball": {"ball": 'range="0 .3"'},
    "gravcomp": {
        "arm": 'gravcomp=".7"',
        "hip": 'actuatorgravcomp="true"',
        "actuator": '<motor joint="hip"/>',
    },
    "drag": {"option": 'density="20" viscosity=".3" wind="3 1 0"'},
    "ellipsoid drag": {
        "option": 'density="20" viscosity=".3" wind="3 1 0"',
        "geom": 'fluidshape="ellipsoid"',
    },
    **{
        f"no {flag}": {
            "flag": f'{flag}="disable"',
            "hip": 'frictionloss=".1" stiffness="2"',
            "actuator": '<motor joint="hip" ctrlrange="-.1 .1"/>',
            "equality": '<joint joint1="slide" joint2="swing"/>',
        }
        for flag in (
            *("constraint", "equality", "frictionloss", "limit", "spring", "damper", "gravity"),
            *("clampctrl", "warmstart", "actuation", "refsafe", "eulerdamp"),
        )
    },
    "static bodies": {"world": STATIC},
    "several joints": {"leaf": HUB},
    "mesh": {"leaf": '<geom type="mesh" mesh="wedge" mass=".1"/>'},
    "oblique gravity": {"option": 'gravity="1 2 -3"'},
    "no gravity": {"option": 'gravity="0 0 0"'},
    "disabled actuators": {
        "option": 'actuatorgroupdisable="2"',
        "actuator": '<motor joint="hip" group="2"/><motor joint="knee"/>',
    },
    "PID plugin": {
        "top": PID,
        "actuator": '<plugin joint="hip" plugin="mujoco.pid" instance="p" actdim="1"/>',
    },
}

REFUSED = {
    "the integrator RK4": {"option": 'integrator="RK4"'},
    "the armature of tendon 't'": {"tendon": TENDON.format('armature=".1"')},
    "the adhesion 'pad'": {"actuator": '<adhesion name="pad" body="arm" ctrlrange="0 1"/>'},
    "contacts between parent and child": {"flag": 'filterparent="disable"'},
    "contact override": {"flag": 'override="enable"'},
    "mocap body 'hand'": {"world": '<body name="hand" mocap="true"><geom size=".1"/></body>'},
    "flex 'f'": {"world": RUBBER},
}


def model_of(*elements):
    """The scene with all of the elements."""
    parts = {slot: " ".join(element.get(slot, "") for element in elements) for slot in SLOTS}
    return mujoco.MjModel.from_xml_string(SCENE.format(**parts))


def world_of(model, name="made"):
    return replace(World.load("cartpole"), name=name, model=model, parameters={}, variants={})


def path(engine, world, seed=3, steps=150, physics=None):
    """Positions of every step, from random velocities under random commands. Shape (steps, nq)."""
    model, draw = world.model, np.random.default_rng(seed)
    low, high = np.where(model.actuator_ctrllimited[:, None] == 1, model.actuator_ctrlrange, [-1.0, 1.0]).T
    commands = np.repeat(draw.uniform(low, high, (steps // 20 + 1, model.nu)), 20, axis=0)
    simulator = make_simulator(Engine(engine, 1), world, 1)
    if physics:
        simulator.set_physics(np.arange(1), tuple(physics), np.array([list(physics.values())]))
    arrays, speeds = Arrays(simulator.qpos), 0.5 * draw.normal(size=(1, model.nv))
    simulator.reset(np.arange(1), *map(arrays.put, (model.qpos0[None].copy(), speeds, commands[:1])))
    found = []
    for command in commands[:steps]:
        simulator.step(arrays.put(command[None]), 1)
        found.append(np.array(arrays.host(simulator.qpos)[0]))
    return np.array(found)


@pytest.mark.parametrize("name", ELEMENTS)
def test_bullet_moves_as_mujoco(name):
    world = world_of(model_of(ELEMENTS[name]))
    right = path("mujoco", world)
    assert np.ptp(right, axis=0).max() > 0.1
    assert path("bullet", world) == pytest.approx(right, abs=1e-6)


WARP_REFUSES = {
    "PID plugin": "Actuator plugins not supported",
    "disabled actuators": "doesn't heed that the group of actuator 'hip' is disabled",
}


@pytest.mark.slow
@pytest.mark.usefixtures("quick_kernels")
def test_warp_moves_as_mujoco():
    """In single precision; one test, since kernels are compiled once for many elements."""
    differences = {}
    for name, element in ELEMENTS.items():
        if name not in WARP_REFUSES:
            world = world_of(model_of(element))
            paths = [path(engine, world, steps=100) for engine in ("mujoco", "warp")]
            differences[name] = float(np.abs(paths[1] - paths[0]).max())
    assert not {name: size for name, size in differences.items() if not size < 1e-3}


@pytest.mark.slow
@pytest.mark.usefixtures("quick_kernels")
@pytest.mark.parametrize("name", WARP_REFUSES)
def test_warp_refuses_what_it_lacks(name):
    with pytest.raises(InvalidValue, match=re.escape(WARP_REFUSES[name])):
        make_simulator("warp", world_of(model_of(ELEMENTS[name])), 1)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_kernels")
def test_warp_refuses_a_margin_wider_than_half_the_range():
    hip = {"hip": 'range="-.1 .1" margin=".15"'}
    with pytest.raises(InvalidValue, match="both limits of joint 'hip' at once"):
        make_simulator("warp", world_of(model_of(hip)), 1)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_kernels")
def test_rows_that_rest_in_warp_keep_activation_and_delay():
    elements = ELEMENTS["exact filter"]["actuator"] + ELEMENTS["delay"]["actuator"]
    world = world_of(model_of({"actuator": elements}))
    ends = []
    for engine in ("mujoco", "warp"):
        simulator = make_simulator(Engine(engine, 1), world, 2)
        arrays = Arrays(simulator.qpos)
        start = world.model.qpos0[None].repeat(2, axis=0), np.zeros((2, world.model.nv)), np.zeros((2, 2))
        simulator.reset(np.arange(2), *map(arrays.put, start))
        for command, rows in ((1.0, [0]), (-1.0, [1]), (0.5, [0, 1])):
            simulator.step(arrays.put(np.full((2, 2), command)), 30, np.array(rows))
        ends.append(np.array(arrays.host(simulator.qpos)))
    assert ends[1] == pytest.approx(ends[0], abs=1e-4)
    assert np.abs(ends[0][0] - ends[0][1]).max() > 1e-2


def test_sleep_is_refused():
    world = world_of(model_of({"flag": 'sleep="enable"'}))
    with pytest.raises(InvalidValue, match="lets bodies fall asleep"):
        make_simulator("mujoco", world, 1)
    with pytest.raises(InvalidValue, match="bullet can't express sleep"):
        make_simulator("bullet", world, 1)


@pytest.mark.parametrize("fault", REFUSED)
def test_bullet_refuses_what_it_lacks(fault):
    with pytest.raises(InvalidValue, match=re.escape(f"bullet can't express {fault} of world 'made'")):
        make_simulator("bullet", world_of(model_of(REFUSED[fault])), 1)


ROWS = {
    "arm.mass": ("kg", 0.5, 0.2, 2.0),
    "arm.com_x": ("m", 0.15, 0.1, 0.3),
    "stone.mass": ("kg", 0.7, 0.3, 2.0),
    "slide.damping": ("N·s/m", 0.5, 0.0, 3.0),
    "swing.stiffness": ("N·m/rad", 0.0, 0.0, 3.0),
    "swing.frictionloss": ("N·m", 0.0, 0.0, 0.3),
    "hip.armature": ("kg·m²", 0.0, 0.0, 0.3),
    "knee.armature": ("kg·m²", 0.0, 0.0, 0.3),
    "world.gravity": ("m/s²", 9.81, 5.0, 12.0),
    "world.slope_x": ("rad", 0.0, -0.3, 0.3),
}
TRAITS = ("option", "flag", "world", "top", "slide", "geom", "arm", "hip", "knee", "ball", "free")


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=SLOW) for seed in range(3, 30))])
def test_bullet_moves_mixtures_as_mujoco(seed, tmp_path):
    """Several elements at once, at physics drawn anew."""
    draw = np.random.default_rng(seed)
    mixture, taken = [], set()
    for name in draw.permutation([n for n in ELEMENTS if n != "idle equality"]):
        slots = {*ELEMENTS[name]} & {*TRAITS, "tendon"}  # one element has an attribute
        if len(mixture) < 5 and not slots & taken and name != "no gravity":
            mixture.append(ELEMENTS[name])
            taken |= slots
    parts = {slot: " ".join(element.get(slot, "") for element in mixture) for slot in SLOTS}
    (tmp_path / "scene.xml").write_text(SCENE.format(**parts))
    rows = ROWS if "hip" not in taken and "option" not in taken else {}
    (tmp_path / "physics.toml").write_text(
        "".join(
            f'[parameters."{name}"]\nunit = "{unit}"\nnominal = {nominal}\nrange = [{low}, {high}]\n'
            'source = "made up"\n'
            for name, (unit, nominal, low, high) in rows.items()
        )
    )
    world = World.load(tmp_path)
    physics = {name: draw.uniform(low, high) for name, (_, _, low, high) in rows.items()}
    right = path("mujoco", world, seed, physics=physics)
    assert np.isfinite(right).all()
    assert path("bullet", world, seed, physics=physics) == pytest.approx(right, abs=1e-6)


SPREAD = {"inertia": 0.05, "slope": 0.2, "bias_torque": 0.05, "encoder_offset": 0.05, "payload": 0.2}
LEFT_OUT = {"latency", "backlash", "stuck"}  # buffers, joints and forces that a model must be made for


def with_everything(model, draw):
    """A world of the model with every parameter that an element can have, and values drawn for all."""
    world, values = world_of(model), {}
    parameters = {}
    for quantity in QUANTITIES.values():
        if quantity.acts != MODEL or quantity.name in LEFT_OUT:
            continue
        kinds = {"world": [], "joint": ["joint", "tendon"]}.get(quantity.element, [quantity.element])
        names = [name for kind in kinds for name in element_names(model, kind)]
        for element in names if kinds else ["world"]:
            parameter = Parameter(f"{element}.{quantity.name}", "1", 0.0, 0.0, 0.0, "made up", (element,))
            one = replace(world, parameters={parameter.name: parameter})
            try:
                list(entries(one, parameter))
                nominal = nominal_value(model, quantity.name, element)
            except InvalidValue:
                continue
            parameters[parameter.name] = replace(parameter, nominal=nominal)
            spread = next((s for name, s in SPREAD.items() if quantity.name.startswith(name)), 0.05)
            low, high = (-spread, spread) if quantity.low < 0 else (0.0, spread)
            values[parameter.name] = nominal * draw.uniform(0.8, 1.2) if nominal else draw.uniform(low, high)
    return replace(world, parameters=parameters), values


QUICK = ("affine", "tendon's servo", "mimic joint", "several joints", "joint's force limit", "DC motor")


@pytest.mark.slow
@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=SLOW) for n in ELEMENTS])
def test_every_quantity_of_every_element_acts_in_bullet_as_in_mujoco(name):
    """All parameters at once, moved away from nominal; the table refuses the others for both."""
    world, values = with_everything(model_of(ELEMENTS[name]), np.random.default_rng(len(name)))
    assert len(values) > 30
    for parameter in [p for p in values if p == "t.armature"]:
        with pytest.raises(InvalidValue, match=r"t\.armature: bullet's bodies don't follow tendon_armature"):
            path("bullet", world, steps=0, physics={parameter: 0.1})
        del values[parameter]
    right = path("mujoco", world, steps=150, physics=values)
    nominal = path("mujoco", world, steps=150)
    assert np.abs(right - nominal).max() > 1e-3
    assert path("bullet", world, steps=150, physics=values) == pytest.approx(right, abs=1e-6)


def test_armature_of_a_wrapped_tendon_is_refused():
    """The engine itself raises in the first step."""
    parameter = Parameter("t.armature", "kg", 0.0, 0.0, 1.0, "made up", ("t",))
    world = replace(world_of(model_of({"tendon": WRAPPED.format("")})), parameters={"t.armature": parameter})
    with pytest.raises(InvalidValue, match="wraps around a geom"):
        path("mujoco", world, steps=1, physics={"t.armature": 0.1})


@pytest.mark.parametrize("latency", [1, 2, 3, 6])
@pytest.mark.parametrize("integrator", ["Euler", "RK4", "implicitfast"])
def test_a_command_arrives_after_its_latency_whatever_integrates(write_world, integrator, latency):
    """RK4 looks for commands between steps too, and a late one came 5/6 of a step early; 1/6 at an end."""
    scene = f"""<mujoco><option timestep="0.002" integrator="{integrator}" gravity="0 0 0"/>
      <worldbody><body name="cart">
      <joint name="rail" type="slide"/><geom size="0.1" mass="1"/></body></worldbody>
      <actuator><motor name="m" joint="rail" nsample="8" DELAY/></actuator></mujoco>"""
    domain = Domain.point({"m.latency": latency})
    asked = World.load(write_world(scene.replace("DELAY", ""), "", "asked")).for_domain(domain)
    written = scene.replace("DELAY", f'delay="{0.002 * (latency - 0.2)}"')
    for world in (asked, World.load(write_world(written, "", "written"))):
        simulator, speeds = make_simulator(Engine(), world, 1), [0.0]
        if world is asked:
            simulator.set_physics(np.array([0]), domain.names, np.array([[float(latency)]]))
        simulator.reset(np.array([0]), *(np.zeros((1, 1)) for _ in range(3)))
        for _ in range(10):
            simulator.step(np.ones((1, 1)), 1)
            speeds.append(float(simulator.qvel[0, 0]))
        arrived = np.diff(speeds) / 0.002
        assert np.abs(arrived[: latency - 1]).max(initial=0.0) < 1e-9
        assert arrived[latency - 1] < 1 / 6 + 1e-9
        assert np.allclose(arrived[latency:], 1.0)


LEASH = """<mujoco><option timestep="0.002" integrator="implicitfast"/><worldbody>
  <body name="hand"><freejoint/><geom size="0.1" contype="0" conaffinity="0"/></body>
  <body name="leash" mocap="true"/></worldbody><equality><weld body1="hand" body2="leash"/></equality>
  <keyframe><key name="home" mpos="0.3 0.1 0.2" mquat="0.9 0 0.43589 0"/></keyframe></mujoco>"""


@pytest.mark.parametrize("engine", ["mujoco", pytest.param("warp", marks=pytest.mark.slow)])
def test_what_mocap_moves_rests_where_the_keyframe_has_it(write_world, engine):
    """As the rest of the scene does; a loop over `mj_step` from that keyframe is the truth."""
    if engine == "warp":
        pytest.importorskip("mujoco_warp")
    world = World.load(write_world(LEASH, "", "leash"))
    data = mujoco.MjData(world.model)
    mujoco.mj_resetDataKeyframe(world.model, data, 0)
    mujoco.mj_step(world.model, data, nstep=100)
    simulator = make_simulator(engine, world, 2)
    arrays = Arrays(simulator.qpos)
    for _ in range(2):
        simulator.reset(np.arange(2), *(arrays.put(np.tile(part, (2, 1))) for part in simulator.rest()))
        simulator.step(arrays.put(np.zeros((2, 0))), 100)
        np.testing.assert_allclose(arrays.host(simulator.qpos)[1], data.qpos, atol=1e-4)
