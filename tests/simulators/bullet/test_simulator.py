"""Bullet's bodies against MuJoCo's, without contacts: the same to rounding."""

import copy
import gc
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from sim2real.simulators import Engine, make_simulator
from sim2real.simulators.bullet import BulletSimulator
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

pybullet = pytest.importorskip("pybullet")

OPTION = '<option timestep="0.002" integrator="{}" cone="elliptic"/>'
TENSOR = 'quat="1 .2 .3 .4" mass="1" diaginertia=".1 .2 .25"'
BODIES = {
    "free": f'<body quat="1 .3 .2 .1"><freejoint/><inertial pos="0 0 0" {TENSOR}/></body>',
    "free, held off its centre of mass": f'<body><freejoint/><inertial pos=".1 .2 -.1" {TENSOR}/></body>',
    "ball": f"""<body quat="1 .3 .2 .1"><joint type="ball" pos=".1 0 0" damping=".05" armature=".02"/>
        <inertial pos=".1 .2 -.1" {TENSOR}/></body>""",
    "several joints a body": f"""<body quat="1 .3 .2 .1" pos="0 0 1">
        <joint axis="1 1 0" pos=".1 0 0" damping=".05" ref=".3"/>
        <joint type="slide" axis="0 1 1" armature=".2"/>
        <joint axis="0 0 1" pos="0 .2 .1" frictionloss=".1" armature="3"/>
        <inertial pos=".1 .2 -.1" {TENSOR}/>
        <body pos=".3 .1 0" quat="1 0 1 0"><inertial pos=".1 .1 .1" mass=".5" diaginertia=".1 .1 .1"/>
          <body pos=".1 .2 .3" quat="1 2 -1 0">
            <joint axis="0 1 0" pos="0 .1 0" armature="1"/><joint axis="1 0 0" stiffness="3" springref=".2"/>
            <inertial pos=".1 .2 -.1" {TENSOR}/></body></body></body>""",
    "an arm on a free body": f"""<body quat="1 .3 .2 .1"><freejoint/><inertial pos="0 0 0" {TENSOR}/>
        <body pos=".3 .1 0" quat="1 0 1 0"><joint axis="0 1 1" pos=".1 .1 0" armature=".1"/>
          <inertial pos=".1 .1 .1" mass=".5" diaginertia=".1 .1 .1"/></body></body>""",
    "two trees": f"""<body><joint type="slide" axis="0 1 0"/><inertial pos="0 0 0" {TENSOR}/></body>
        <body pos="1 0 0"><joint axis="1 0 0"/><inertial pos="0 .3 0" {TENSOR}/></body>""",
}


def world_of(bodies, integrator="implicitfast", rest=""):
    head = f'<mujoco><compiler angle="radian"/>{OPTION.format(integrator)}'
    xml = f"{head}<worldbody>{bodies}</worldbody>{rest}</mujoco>"
    return replace(World.load("cartpole"), model=mujoco.MjModel.from_xml_string(xml), parameters={})


def untouched(name):
    """A world of the catalogue without contacts and joint limits."""
    world = World.load(name)
    model = copy.copy(world.model)
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_LIMIT)
    return replace(world, model=model)


def roll(simulator, start, controls, substeps=1):
    """Positions after every step. Shape (steps, num_envs, nq)."""
    n = simulator.num_envs
    qpos, qvel = start
    simulator.reset(
        np.arange(n), np.tile(qpos, (n, 1)), np.tile(qvel, (n, 1)), np.zeros((n, controls.shape[-1]))
    )
    path = []
    for control in controls:
        simulator.step(np.tile(control, (n, 1)), substeps)
        path.append(simulator.qpos.copy())
    return np.array(path)


def random_start(model, seed=0):
    rng = np.random.default_rng(seed)
    data = mujoco.MjData(model)
    mujoco.mj_integratePos(model, data.qpos, 0.3 * rng.standard_normal(model.nv), 1.0)
    return data.qpos.copy(), rng.standard_normal(model.nv)


def random_controls(model, steps, seed=1, share=0.3):
    low, high = model.actuator_ctrlrange.T
    held = np.random.default_rng(seed).uniform(low, high, (steps // 10 + 1, model.nu))
    return share * np.repeat(held, 10, axis=0)[:steps]


@pytest.mark.parametrize("name", ["cartpole", "furuta", "hopper", "so101"])
def test_a_world_in_the_air_follows_mujoco(name):
    world = untouched(name)
    start, controls = random_start(world.model), random_controls(world.model, 150)
    ours, truth = (roll(kind(world, 1, 1), start, controls) for kind in (BulletSimulator, MujocoSimulator))
    assert np.ptp(truth, axis=0).max() > 0.3, "nothing moves"
    np.testing.assert_allclose(ours, truth, atol=1e-9, rtol=0)


@pytest.mark.parametrize("integrator", ["Euler", "implicit"])
@pytest.mark.parametrize("bodies", BODIES.values(), ids=BODIES)
def test_bodies_of_every_kind_follow_mujoco(bodies, integrator):
    world = world_of(bodies, integrator)
    start = world.model.qpos0, random_start(world.model)[1]
    ours, truth = (
        roll(kind(world, 1, 1), start, np.zeros((200, 0))) for kind in (BulletSimulator, MujocoSimulator)
    )
    np.testing.assert_allclose(ours, truth, atol=1e-11, rtol=0)


ROTORS = """<actuator><motor joint="one" gear="3" armature=".02" damping=".1"/>
    <position jointinparent="two" gear="-2" kp="5" armature=".01"/><motor joint="two" armature=".1"/>
    </actuator>"""


@pytest.mark.parametrize("integrator", ["Euler", "implicitfast", "discrete"])
def test_the_armature_of_actuators_is_felt_at_their_joints(integrator):
    """Times their squared gear, also where links carry a part of it as inertia of their own."""
    bodies = f"""<body><joint name="one" axis="0 1 0"/><inertial pos=".1 0 0" {TENSOR}/>
        <body pos=".3 .1 0"><joint name="two" type="slide" axis="0 0 1"/><inertial pos="0 0 .1" {TENSOR}/>
        <body pos=".1 0 0"><joint name="three" axis="1 0 0" armature=".1"/><inertial pos="0 .1 0" {TENSOR}/>
        </body></body></body>"""
    world = world_of(bodies, integrator, ROTORS)
    start = world.model.qpos0, random_start(world.model)[1]
    controls = np.random.default_rng(2).uniform(-3, 3, (150, 3))
    ours, truth = (roll(kind(world, 1, 1), start, controls) for kind in (BulletSimulator, MujocoSimulator))
    np.testing.assert_allclose(ours, truth, atol=1e-11, rtol=0)
    without = world_of(bodies, integrator, ROTORS.replace(".02", "0"))
    assert np.abs(roll(MujocoSimulator(without, 1, 1), start, controls) - truth).max() > 0.01


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
def test_a_servo_with_an_armature_far_above_the_links_inertia_is_stable(scale):
    world = untouched("so101")
    world.model.dof_armature[:] = 0.028 * scale
    start, controls = random_start(world.model), random_controls(world.model, 100, share=0.9)
    ours, truth = (roll(kind(world, 1, 1), start, controls) for kind in (BulletSimulator, MujocoSimulator))
    np.testing.assert_allclose(ours, truth, atol=1e-9, rtol=0)


VALUES = {
    "sled.mass": 3.3,
    "link.mass": 0.7,
    "tip.com_x": 0.08,
    "link.com_z": 0.19,
    "tip.com_y": -0.07,
    "slide.damping": 2.0,
    "elbow.damping": 0.09,
    "elbow.frictionloss": 0.08,
    "slide.armature": 0.9,
    "elbow.armature": 0.0095,
    "elbow.stiffness": 1.7,
    "world.gravity": 8.2,
    "push.strength": 1.4,
    "dc.strength": 0.6,
    "servo.strength": 0.3,
    "servo.kp": 5.5,
    "servo.kd": 0.15,
    "motors.latency": 7,
}


@pytest.fixture(scope="module")
def air(bench):
    """The bench without its floor."""
    model = copy.copy(bench.model)
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    return replace(bench, model=model)


@pytest.fixture(scope="module")
def both(air):
    return BulletSimulator(air, 2, 1), MujocoSimulator(air, 2, 1)


START = np.array([0.0, 0.0, 0.4, -0.3]), 0.2 * np.ones(4)


def bench_commands(steps=150):
    return np.repeat(np.random.default_rng(11).uniform(-1, 1, (steps // 10, 3)), 10, axis=0) * [1.0, 1.0, 1.5]


@pytest.mark.parametrize(("name", "value"), VALUES.items())
def test_a_parameter_does_what_it_does_in_mujoco(air, both, name, value):
    ids = np.array([1])
    for simulator in both:
        simulator.set_physics(ids, (name,), np.array([[value]]))
    ours, truth = (roll(simulator, START, bench_commands()) for simulator in both)
    assert both[0].physics(1) == {**air.nominal, name: value}
    for simulator in both:
        simulator.set_physics(ids, (name,), np.array([[air.nominal[name]]]))
    assert np.abs(truth[:, 1] - truth[:, 0]).max() > 1e-4, "the excitation does not show the parameter"
    np.testing.assert_allclose(ours, truth, atol=1e-9, rtol=0)


def test_forces_friction_and_limits_written_between_physics_steps(both):
    paths = []
    for simulator in both:
        push, dry, most = simulator.force("tip"), simulator.dry_friction(), simulator.force_limit()
        felt = simulator.actuator_force()
        seen = []

        def between(push=push, dry=dry, most=most, seen=seen, simulator=simulator):
            seen.append(np.concatenate((simulator.speed(), simulator.load_force())))
            push[:, 1:5] = 0.3 * np.cos(len(seen))
            dry[:, 2] = 0.01 + 0.02 * np.abs(simulator.qvel[:, 2])
            most[:, 2] = -0.1, 0.1

        simulator.reset(np.arange(2), *(np.tile(part, (2, 1)) for part in (*START, np.zeros(3))))
        for control in bench_commands(50):
            simulator.step(np.tile(control, (2, 1)), 2, None, between)
            seen.append(felt.copy())
        paths.append(np.concatenate([part.ravel() for part in seen]))
        for array, value in ((dry, [0.0, 0.0, 0.01, 0.0]), (most[:, 2], [-0.3, 0.3])):
            array[:] = value
        assert np.abs(felt[:, 2]).max() <= 0.1
        simulator.reset(np.array([0]), START[0][None], START[1][None], np.zeros((1, 3)))
        assert not push[0].any()
        assert push[1].any()
    np.testing.assert_allclose(*paths, atol=1e-9, rtol=0)


@pytest.mark.parametrize("play", [0.0, 0.05])
def test_free_play_is_that_of_mujoco(bench_files, tmp_path, play):
    scene, rows, physics_toml = bench_files
    rows = {name: row for name, row in rows.items() if row[-1] != "shoe"}  # which touches nothing here
    rows["elbow.backlash"] = ("rad", 0.0, 0.0, 0.1, "elbow")
    (tmp_path / "scene.xml").write_text(scene.replace('contype="1"', 'contype="0"'))
    (tmp_path / "physics.toml").write_text(physics_toml(rows))
    world, paths = World.load(tmp_path), []
    for name in ("bullet", "mujoco"):
        simulator = make_simulator(Engine(name, 1, play=True), world, 1)
        simulator.set_physics(np.array([0]), ("elbow.backlash",), np.array([[play]]))
        paths.append(roll(simulator, START, bench_commands()))
    np.testing.assert_allclose(*paths, atol=1e-9, rtol=0)


def test_sites_are_where_the_links_are(both):
    for simulator in both:
        simulator.end = simulator.site("end")
    roll(both[0], START, bench_commands(20)), roll(both[1], START, bench_commands(20))
    np.testing.assert_allclose(both[0].end, both[1].end, atol=1e-10, rtol=0)
    client = both[0]._side._clients[0]
    body = client._bodies[0]
    frame = client._call("getLinkState")(body.unique, body.links["body3"], computeForwardKinematics=1)
    link, turn = np.array(frame[4]), np.array(client._bullet.getMatrixFromQuaternion(frame[5])).reshape(3, 3)
    # Bullet hands out link poses in single precision
    np.testing.assert_allclose(both[0].end[0], link + turn @ [0.0, 0.0, 0.1], atol=1e-6, rtol=0)


def test_an_untouched_world_keeps_its_energy_in_both():
    world = untouched("hopper")
    world.model.dof_damping[:] = 0.0
    world.model.opt.timestep = 2e-4
    energies = []
    for kind in (BulletSimulator, MujocoSimulator):
        simulator = kind(world, 1, 1)
        start = random_start(world.model)
        data = mujoco.MjData(world.model)
        levels = []
        roll(simulator, start, np.zeros((0, 3)))
        for _ in range(8):
            data.qpos[:], data.qvel[:] = simulator.qpos[0], simulator.qvel[0]
            mujoco.mj_forward(world.model, data)
            mujoco.mj_energyPos(world.model, data)
            mujoco.mj_energyVel(world.model, data)
            levels.append(data.energy.sum())
            simulator.step(np.zeros((1, 3)), 50)
        energies.append(levels)
    np.testing.assert_allclose(*energies, atol=1e-6)
    assert np.ptp(energies[0]) < 0.05 * abs(energies[0][0])


@pytest.mark.slow
def test_a_forgotten_simulator_gives_its_clients_back():
    world = World.load("cartpole")
    gc.collect()  # what other tests have left
    connected = []
    for _ in range(2):
        simulator = BulletSimulator(world, 2, 1)
        connected.append([client._client for client in simulator._side._clients])
        del simulator
        gc.collect()
        assert not any(pybullet.isConnected(client) for client in connected[-1])
    assert connected[0] == connected[1], "the same places are taken again"
