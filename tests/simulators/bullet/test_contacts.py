"""Bullet's contacts: friction as in MuJoCo's rule, armature that resists, limits, exact resets."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from sim2real.errors import InvalidValue
from sim2real.simulators.bullet import BulletSimulator
from sim2real.simulators.bullet.contacts import touching
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World


def world_of(bodies, rest="", option='timestep="0.002" integrator="implicitfast" cone="elliptic"'):
    xml = (
        f'<mujoco><compiler angle="radian"/><option {option}/><worldbody>{bodies}</worldbody>{rest}</mujoco>'
    )
    return replace(World.load("cartpole"), model=mujoco.MjModel.from_xml_string(xml), parameters={})


def begin(simulator, qpos=None, qvel=None):
    model, n = simulator.world.model, simulator.num_envs
    start = [model.qpos0 if qpos is None else qpos, np.zeros(model.nv) if qvel is None else qvel]
    simulator.reset(np.arange(n), *(np.tile(part, (n, 1)) for part in start), np.zeros((n, model.nu)))


def slide(floor, box, direction=(1.0, 0.0)):
    """How far a box slides that begins at 1 m/s, m."""
    world = world_of(
        f"""<geom type="plane" size="5 5 1" {floor}/>
        <body pos="0 0 .05"><freejoint/><geom type="box" size=".1 .1 .05" mass="1" {box}/></body>"""
    )
    simulator = BulletSimulator(world, 1, 1)
    begin(simulator, qvel=[*direction, 0, 0, 0, 0])
    simulator.step(np.zeros((1, 0)), 700)
    assert np.abs(simulator.qvel).max() < 1e-3
    return float(np.hypot(*simulator.qpos[0, :2]))


@pytest.mark.parametrize(
    ("floor", "box", "friction"),
    [
        ('friction=".3"', 'friction=".5"', 0.5),
        ('friction=".5"', 'friction=".3"', 0.5),
        ('friction=".9" priority="1"', 'friction="1.4"', 0.9),
        ('friction=".9"', 'friction=".4" priority="2"', 0.4),
    ],
)
@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.6, 0.8)])
def test_a_box_slides_as_far_as_mujocos_friction_of_the_pair_says(floor, box, friction, direction):
    assert slide(floor, box, direction) == pytest.approx(1 / (2 * friction * 9.81), rel=0.03)


def test_a_frictionless_contact_does_not_brake():
    world = world_of(
        """<geom type="plane" size="5 5 1" condim="1"/>
        <body pos="0 0 .05"><freejoint/><geom type="box" size=".1 .1 .05" mass="1" condim="1"/></body>"""
    )
    simulator = BulletSimulator(world, 1, 1)
    begin(simulator, qvel=[1.0, 0, 0, 0, 0, 0])
    simulator.step(np.zeros((1, 0)), 200)
    assert simulator.qvel[0, 0] == pytest.approx(1.0, abs=1e-9)


RING = """<geom name="floor" type="plane" size="5 5 1" friction=".3 .01 0" condim="4"/>
  <body pos="0 0 1"><freejoint/>
    <geom name="a" type="box" size=".1 .1 .1" mass="1" friction=".5 .02 0" condim="4"/></body>
  <body pos="1 0 1"><freejoint/><geom name="b" size=".1" mass="1" friction=".4 .015 0" condim="4"/></body>
  <body pos="2 0 1"><freejoint/><geom name="c" size=".1" mass="1" friction="1.1 .05 0" condim="4"/></body>"""
STAR = RING.replace('type="plane"', 'type="plane" contype="2" conaffinity="2"').replace(
    'mass="1"', 'mass="1" contype="2" conaffinity="0"'
)


@pytest.mark.parametrize("scene", [RING, STAR], ids=["ring", "star"])
def test_the_numbers_of_two_shapes_combine_to_mujocos_friction(scene):
    """Bullet combines to ``slide · slide'`` and ``spin · slide' + spin' · slide``."""
    model = world_of(scene).model
    found = touching(model)
    assert (len(found.shapes) > len(found.geoms)) == (scene is RING)
    friction = found.friction(model.geom_friction)
    data = mujoco.MjData(model)
    for (a, b), meeting in zip(found.pairs, friction.meetings, strict=True):
        data.qpos[:] = model.qpos0
        for geom in (a, b):
            if body := model.geom_bodyid[geom]:
                data.qpos[7 * (body - 1) : 7 * body - 4] = [5.0, 0.0, 0.09]
        mujoco.mj_forward(model, data)
        touches = [c for c in data.contact if set(c.geom) == {a, b}]
        (sa, ta, _), (sb, tb, _) = (friction.values[shape] for shape in meeting)
        assert [sa * sb, ta * sb + tb * sa] == pytest.approx([touches[0].friction[0], touches[0].friction[2]])


def test_frictions_that_no_numbers_give_are_refused():
    scene = RING.replace('friction=".4 .015 0"', 'friction=".4 .03 0"')
    with pytest.raises(InvalidValue, match="one friction against"):
        BulletSimulator(world_of(scene), 1, 1)


def test_a_draw_of_friction_moves_the_slide_in_both_engines(bench):
    lengths = []
    for kind in (BulletSimulator, MujocoSimulator):
        simulator = kind(bench, 3, 1)
        simulator.set_physics(np.arange(3), ("shoe.friction",), np.array([[0.2], [0.4], [0.8]]))
        begin(simulator, qvel=[1.0, 0, 0, 0])
        simulator.step(np.zeros((3, 3)), 100)
        lengths.append(simulator.qpos[:, 0].copy())
    assert lengths[0][0] > 1.5 * lengths[0][1] > 2 * lengths[0][2]
    np.testing.assert_allclose(*lengths, rtol=0.1)


FINGER = """<geom name="floor" type="plane" size="5 5 1" condim="{condim}"/>
  <body name="arm" pos="0 0 .25"><joint name="a" axis="0 1 0" armature="{armature}" damping=".6"/>
    <geom type="capsule" fromto="0 0 0 .3 0 0" size=".02" mass=".1" contype="0" conaffinity="0"/>
    <body name="tip" pos=".3 0 0"><joint name="b" axis="0 1 0" armature="{armature}" damping=".6"/>
      <geom type="capsule" fromto="0 0 0 .2 0 0" size=".02" mass=".05" friction=".5" condim="{condim}"/>
    </body></body>"""
MOTORS = '<actuator><motor joint="a"/><motor joint="b"/></actuator>'


@pytest.mark.parametrize("armature", [0.0, 0.001, 0.028, 0.5])
def test_an_impact_stops_the_joints_with_their_armature(armature):
    """Inelastic, without friction: the impulse is along H⁻¹ n, H with armature and implicit damping."""
    world = world_of(FINGER.format(condim=1, armature=armature), MOTORS)
    model, simulator = world.model, BulletSimulator(world, 1, 1)
    begin(simulator, [0.30, 0.25], [0.8, 0.4])
    data, dt = mujoco.MjData(model), simulator.physics_dt
    for _ in range(200):
        data.qpos[:], data.qvel[:] = simulator.qpos[0], simulator.qvel[0]
        mujoco.mj_forward(model, data)
        simulator.step(np.zeros((1, 2)), 1)
        bare = MujocoSimulator(replace(world, model=_without_contacts(model)), 1, 1)
        begin(bare, data.qpos, data.qvel)
        bare.step(np.zeros((1, 2)), 1)
        free = bare.qvel[0]
        if np.abs(simulator.qvel[0] - free).max() > 1e-3:
            break
    else:
        pytest.fail("nothing touches")
    inertia = np.zeros((2, 2))
    mujoco.mj_fullM(model, data, inertia)
    inertia += dt * np.diag(model.dof_damping)
    end = data.body("tip").xpos + data.body("tip").xmat.reshape(3, 3) @ [0.2, 0.0, 0.0]
    jacobian = np.zeros((3, 2))
    mujoco.mj_jac(model, data, jacobian, None, end - [0.0, 0.0, 0.02], model.body("tip").id)
    normal, after = jacobian[2], simulator.qvel[0]
    along = np.linalg.solve(inertia, normal)
    expected = free + along * (normal @ (after - free)) / (normal @ along)
    np.testing.assert_allclose(after, expected, atol=2e-3 * np.abs(after - free).max())
    assert normal @ after > normal @ free + 0.02


def _without_contacts(model):
    bare = mujoco.MjModel.from_xml_string(FINGER_BARE)
    for field in ("dof_armature", "dof_damping"):
        getattr(bare, field)[:] = getattr(model, field)
    return bare


FINGER_BARE = (
    '<mujoco><compiler angle="radian"/><option timestep="0.002" integrator="implicitfast">'
    '<flag contact="disable"/></option>'
    f"<worldbody>{FINGER.format(condim=1, armature=0)}</worldbody>{MOTORS}</mujoco>"
)


@pytest.mark.slow
@pytest.mark.parametrize("armature", [0.0, 0.028, 0.2])
def test_a_finger_at_rest_presses_with_all_its_torque(armature):
    """Without friction the floor's force balances the torques of both joints, whatever the armature."""
    world = world_of(FINGER.format(condim=1, armature=armature), MOTORS)
    simulator = BulletSimulator(world, 1, 1)
    begin(simulator, [0.4, 0.2])
    servo = np.array([[0.5, 0.5]])
    for _ in range(1000):
        torque = servo + 20.0 * ([[0.42, 0.42]] - simulator.qpos) - 1.0 * simulator.qvel
        simulator.step(torque, 1)
    assert np.abs(simulator.qvel).max() < 1e-3
    data = mujoco.MjData(world.model)
    data.qpos[:] = simulator.qpos[0]
    mujoco.mj_forward(world.model, data)
    end = data.body("tip").xpos + data.body("tip").xmat.reshape(3, 3) @ [0.2, 0.0, 0.0]
    jacobian = np.zeros((3, 2))
    mujoco.mj_jac(world.model, data, jacobian, None, end - [0.0, 0.0, 0.02], world.model.body("tip").id)
    lack = data.qfrc_bias - torque[0]
    force = lack @ jacobian[2] / (jacobian[2] @ jacobian[2])
    assert force > 1.0
    np.testing.assert_allclose(lack, force * jacobian[2], atol=0.02)


def test_a_joint_stops_at_its_limit():
    world = world_of(
        '<body><joint axis="0 1 0" range="-.5 .2" limited="true" armature=".1" damping=".1"/>'
        '<geom size=".1" pos=".3 0 0"/></body>'
    )
    simulator = BulletSimulator(world, 1, 1)
    begin(simulator, [0.1], [-20.0])
    reached, dt = [], simulator.physics_dt
    for _ in range(600):
        simulator.step(np.zeros((1, 0)), 1)
        reached.append(simulator.qpos[0, 0])
    assert -0.5 - 20 * dt < min(reached) < -0.5
    assert max(reached) < 0.2 + 8 * dt
    assert reached[-1] == pytest.approx(0.2, abs=1e-6)


HEAP = """<geom type="plane" size="5 5 1" friction=".3"/>
  <body pos="0 0 .1"><freejoint/><geom type="box" size=".1 .1 .1" mass="1" friction=".5"/></body>
  <body pos=".5 0 .1"><freejoint/><geom type="cylinder" size=".1 .1" mass="1" friction=".4"/></body>
  <body pos=".5 .5 .3"><freejoint/><geom type="ellipsoid" size=".1 .15 .1" mass="1"/></body>
  <body pos="-.5 0 .1"><joint name="push" type="slide" axis="1 0 0" damping="1" armature=".1"/>
    <geom type="capsule" fromto="0 -.1 0 0 .1 0" size=".05" mass="1"/>
    <body pos="0 0 .3"><joint axis="0 1 0" damping=".1"/><geom size=".03" pos="0 0 0" contype="0" mass=".1"/>
      <body pos=".3 0 0"><joint axis="0 1 0"/>
        <geom type="capsule" fromto="0 0 0 -.2 0 -.25" size=".03" mass=".1"/>
    </body></body></body>"""


def heap(simulator, speed, drive, steps=60, ids=None):
    model, n = simulator.world.model, simulator.num_envs
    ids = np.arange(n) if ids is None else ids
    start = np.tile(model.qpos0, (len(ids), 1)), np.tile(speed, (len(ids), 1)), np.zeros((len(ids), 1))
    simulator.reset(ids, *start)
    path = []
    for _ in range(steps):
        simulator.step(np.full((n, 1), drive), 2, ids)
        path.append(np.concatenate((simulator.qpos, simulator.qvel), axis=1)[ids[0]])
    return np.array(path)


@pytest.mark.slow
def test_a_reset_starts_exactly_as_the_first_one():
    world = world_of(HEAP, '<actuator><motor joint="push" gear="5"/></actuator>')
    one, three = BulletSimulator(world, 1, 1), BulletSimulator(world, 3, 1)
    rng = np.random.default_rng(0)
    speed = np.zeros(world.model.nv)
    speed[[0, 6, 7]] = 0.3, 0.2, 0.2
    first = heap(one, speed, 0.5)
    for steps in (1, 8, 15):
        heap(one, 0.2 * rng.standard_normal(world.model.nv), rng.standard_normal(), steps)
        np.testing.assert_array_equal(heap(one, speed, 0.5), first)
    heap(three, 0.2 * rng.standard_normal(world.model.nv), 0.3, 9)
    np.testing.assert_array_equal(heap(three, speed, 0.5, ids=np.array([1])), first)


def test_a_simulation_that_blows_up_leaves_its_neighbours_alone_and_comes_back():
    world = World.load("hopper")
    simulator = BulletSimulator(world, 3, 1)
    ids, control = np.arange(3), np.tile([0.1, -0.1, 0.1], (3, 1))
    qpos, qvel = np.tile(world.model.qpos0, (3, 1)), np.zeros((3, 6))
    qpos[:, 1] = 1.25

    def run(broken):
        simulator.reset(ids, qpos, np.where(np.arange(3)[:, None] == broken, 1e200, qvel), np.zeros((3, 3)))
        for _ in range(40):
            simulator.step(control, 4)
        return simulator.qpos.copy()

    sane = run(None)
    assert not simulator.diverged().any()
    with np.errstate(all="ignore"):
        mad = run(1)
    np.testing.assert_array_equal(simulator.diverged(), [False, True, False])
    assert np.isfinite(mad).all()
    np.testing.assert_array_equal(mad[[0, 2]], sane[[0, 2]])
    np.testing.assert_array_equal(run(None), sane)


GRIPPER = """<geom name="wall" type="box" size=".01 .1 .1" pos=".1 0 0" contype="1" conaffinity="0"/>
  <body name="left" pos="-.05 0 0"><joint name="left" type="slide" axis="1 0 0" damping="5" armature=".1"/>
    <geom size=".01" pos="0 .3 0" mass=".1" contype="0" conaffinity="0"/></body>
  <body name="right" pos=".05 0 0"><joint name="right" type="slide" axis="1 0 0" damping="5" armature=".1"/>
    <geom size=".01" mass=".1" contype="0" conaffinity="1" solref="0.004 1"/></body>"""
COUPLINGS = {
    "mimic": '<equality><joint joint1="left" joint2="right" solref=".005 1"/></equality>',
    "soft mimic": '<equality><joint joint1="left" joint2="right"/></equality>',
    "connect": '<equality><connect body1="left" body2="right" anchor=".1 0 0"/></equality>',
}


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_an_equality_carries_a_force_to_what_touches(coupling):
    """A servo closes one finger; the other, which follows it, is stopped by a wall."""
    servo = '<actuator><position joint="left" kp="50" ctrlrange="-1 1"/></actuator>'
    world = world_of(GRIPPER, COUPLINGS[coupling] + servo)
    ends = []
    for make in (MujocoSimulator, BulletSimulator):
        simulator = make(world, 1, 1)
        force = simulator.actuator_force()
        command = np.full((1, 1), 0.1)
        simulator.reset(np.arange(1), world.model.qpos0[None], np.zeros((1, 2)), command)
        simulator.step(command, 500)
        ends.append([*simulator.qpos[0], *force[0]])
    assert ends[0][1] == pytest.approx(0.03, abs=2e-3)
    assert ends[1][1] == pytest.approx(0.03, abs=1e-4)
    gaps = [end[0] - end[1] for end in ends]
    assert gaps[1] == pytest.approx(gaps[0], rel=0.2)
    assert ends[1][2] == pytest.approx(ends[0][2], rel=0.05)


SHAPES = {
    "sphere": 'type="sphere" size=".1"',
    "capsule": 'type="capsule" size=".1 .2" euler="1.5707963 0 0"',
    "box": 'type="box" size=".2 .2 .1"',
    "cylinder": 'type="cylinder" size=".1 .1"',
    "ellipsoid": 'type="ellipsoid" size=".1 .1 .1"',
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("floor", ["plane", "box"])
def test_margins_keep_apart(shape, floor):
    """MuJoCo adds the margins of two geoms."""
    ground = {"plane": 'type="plane" size="5 5 1"', "box": 'type="box" size="1 1 .5" pos="0 0 -.5"'}[floor]
    stiff = 'solref="0.004 1" solimp=".99 .99 .001"'
    world = world_of(
        f"""<geom {ground} margin=".02" {stiff}/>
        <body pos="0 0 .15"><freejoint/><geom {SHAPES[shape]} mass="1" margin=".01" {stiff}/></body>"""
    )
    heights = []
    for make in (MujocoSimulator, BulletSimulator):
        simulator = make(world, 1, 1)
        begin(simulator)
        simulator.step(np.zeros((1, 0)), 1000)
        heights.append(float(simulator.qpos[0, 2]))
    assert heights == pytest.approx([0.13, 0.13], abs=1e-3)


def test_the_height_of_a_geom_is_followed(tmp_path):
    (tmp_path / "scene.xml").write_text(
        """<mujoco><option timestep="0.002" integrator="implicitfast"/><worldbody>
        <geom name="floor" type="plane" size="5 5 1"/>
        <body name="stone" pos="0 0 .2"><joint name="lift" type="slide" axis="0 0 1"/>
          <geom name="ball" size=".1" mass="1"/></body></worldbody></mujoco>"""
    )
    rows = ('"floor.height"', 0.0, -0.1, 0.1), ('"ball.height"', 0.0, -0.05, 0.05)
    (tmp_path / "physics.toml").write_text(
        "".join(
            f'[parameters.{name}]\nunit = "m"\nnominal = {nominal}\nrange = [{low}, {high}]\n'
            'source = "made up"\n'
            for name, nominal, low, high in rows
        )
    )
    simulator = BulletSimulator(World.load(tmp_path), 2, 1)
    simulator.set_physics(np.array([1]), ("floor.height", "ball.height"), np.array([[0.05, -0.03]]))
    begin(simulator)
    simulator.step(np.zeros((2, 0)), 1000)
    assert simulator.qpos[:, 0] == pytest.approx([-0.1, -0.02], abs=1e-3)


def test_a_quaternion_keeps_its_sign():
    world = world_of('<body><freejoint/><geom type="box" size=".1 .2 .3" mass="1"/></body>')
    paths = []
    for make in (MujocoSimulator, BulletSimulator):
        simulator = make(world, 1, 1)
        begin(simulator, qvel=[0, 0, 0, 9.0, 3.0, 5.0])
        steps = []
        for _ in range(500):
            simulator.step(np.zeros((1, 0)), 1)
            steps.append(simulator.qpos[0, 3:].copy())
        paths.append(np.array(steps))
    assert np.abs(np.diff(np.sign(paths[0][:, 0]))).max() == 2
    assert paths[1] == pytest.approx(paths[0], abs=1e-9)


def test_limits_are_inside_by_their_margin():
    world = world_of(
        """<body><joint type="slide" axis="0 0 1" range="-.1 .1" limited="true" margin=".03"/>
        <geom size=".1" mass="1"/></body>"""
    )
    simulator = BulletSimulator(world, 1, 1)
    begin(simulator)
    simulator.step(np.zeros((1, 0)), 1000)
    assert simulator.qpos[0, 0] == pytest.approx(-0.07, abs=1e-3)


def test_shapes_that_touch_all_round_need_two_roles_only_for_several_frictions():
    balls = "".join(f'<body pos="{k} 0 1"><freejoint/><geom size=".1" {{{k}}}/></body>' for k in range(3))
    floor = '<geom type="plane" size="5 5 1"/>'
    alike = world_of(floor + balls.format("", "", "")).model
    unlike = world_of(floor + balls.format(*['friction="1.5"'] * 2, "")).model
    assert len(touching(alike, varied=False).shapes) == 4
    assert len(touching(alike).shapes) == len(touching(unlike, varied=False).shapes) == 8
    found = touching(alike, varied=False)
    friction = found.friction(alike.geom_friction)
    for (one, other), mu in zip(friction.meetings, friction.sliding, strict=True):
        assert friction.values[one][0] * friction.values[other][0] == pytest.approx(mu, rel=1e-9)
