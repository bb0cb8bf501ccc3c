"""The batch against plain `mj_step` loops, one model compiled and edited by hand for each physics."""

import os
from collections import deque

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

STEPS = 150
DT = 0.004

MOTOR, DC, SERVO = range(3)


def mass(name):
    def edit(m, value):
        body = m.body(name)
        body.inertia[:] *= value / body.mass
        body.mass[:] = value

    return edit


def servo_strength(m, value):
    m.actuator_gainprm[SERVO, 0] *= value
    m.actuator_biasprm[SERVO] *= value
    m.actuator_forcerange[SERVO] *= value


def servo_kp(m, value):
    m.actuator_gainprm[SERVO, 0], m.actuator_biasprm[SERVO, 1] = value, -value


def gravity(m, value):
    m.opt.gravity *= value / np.linalg.norm(m.opt.gravity)


def setter(field, index):
    def edit(m, value):
        getattr(m, field)[index] = value

    return edit


# name, value, the same by hand, largest difference allowed after 150 steps
EDITS = [
    ("sled.mass", 3.3, mass("sled")),
    ("link.mass", 0.7, mass("link")),
    ("tip.com_x", 0.08, setter("body_ipos", (3, 0))),
    ("link.com_z", 0.19, setter("body_ipos", (2, 2))),
    ("tip.com_y", -0.07, setter("body_ipos", (3, 1))),
    ("shoe.friction", 0.15, setter("geom_friction", (1, 0))),
    ("slide.damping", 2.0, setter("dof_damping", 0)),
    ("elbow.damping", 0.09, setter("dof_damping", 2)),
    ("elbow.frictionloss", 0.08, setter("dof_frictionloss", 2)),
    ("slide.armature", 0.9, setter("dof_armature", 0)),
    ("elbow.armature", 0.0095, setter("dof_armature", 2)),
    ("elbow.stiffness", 1.7, setter("jnt_stiffness", 2)),
    ("world.gravity", 8.2, gravity),
    ("push.strength", 1.4, setter("actuator_gainprm", (MOTOR, 0))),
    ("dc.strength", 0.6, lambda m, value: setter("actuator_gainprm", (DC, 0))(m, 0.4 * value)),
    ("servo.strength", 0.3, servo_strength),
    ("servo.kp", 5.5, servo_kp),
    ("servo.kd", 0.15, lambda m, value: setter("actuator_biasprm", (SERVO, 2))(m, -value)),
]


def start(n):
    qpos = np.tile([0.0, 0.0, 0.4, -0.3], (n, 1))
    return qpos, 0.2 * np.ones((n, 4)), np.zeros((n, 3))


def commands(steps=STEPS):
    """Random commands held for ten physics steps. Shape (steps, 3)."""
    rng = np.random.default_rng(11)
    return np.repeat(rng.uniform(-1, 1, (steps // 10 + 1, 3)), 10, axis=0)[:steps] * [1.0, 1.0, 1.5]


def roll(simulator, controls, ids=None):
    """Positions after every physics step. Shape (steps, num_envs, nq)."""
    n = simulator.num_envs
    simulator.reset(np.arange(n), *start(n))
    path = []
    for control in controls:
        simulator.step(np.tile(control, (n, 1)), 1, ids)
        path.append(simulator.qpos.copy())
    return np.array(path)


def loop(model, controls):
    """The slower truth. Shape (steps, nq)."""
    data = mujoco.MjData(model)
    qpos, qvel, _ = start(1)
    data.qpos[:], data.qvel[:] = qpos[0], qvel[0]
    path = []
    for control in controls:
        data.ctrl[:] = control
        mujoco.mj_step(model, data)
        path.append(data.qpos.copy())
    return np.array(path)


@pytest.fixture
def by_hand(bench_files):
    """A model compiled anew, edited and made consistent by hand."""

    def compiled(*edits):
        spec = mujoco.MjSpec.from_string(bench_files[0])
        for body in spec.bodies:
            body.simple = 0  # centres of mass move
        model = spec.compile()
        for edit, value in edits:
            edit(model, value)
        mujoco.mj_setConst(model, mujoco.MjData(model))
        return model

    return compiled


@pytest.mark.parametrize(("name", "value", "edit"), EDITS, ids=[edit[0] for edit in EDITS])
def test_a_parameter_does_what_an_edit_by_hand_does(bench, by_hand, name, value, edit):
    simulator = MujocoSimulator(bench, 3)
    simulator.set_physics(np.array([1]), (name,), np.array([[value]]))
    ours, controls = roll(simulator, commands()), commands()
    edited, nominal = loop(by_hand((edit, value)), controls), loop(by_hand(), controls)
    assert np.abs(edited - nominal).max() > 1e-4, "the excitation does not show the parameter"
    np.testing.assert_allclose(ours[:, 1], edited, atol=1e-12, rtol=0)
    np.testing.assert_array_equal(ours[:, 0], ours[:, 2])
    np.testing.assert_allclose(ours[:, 0], nominal, atol=1e-12, rtol=0)
    assert simulator.physics(1) == {**bench.nominal, name: value}
    assert simulator.physics(0) == bench.nominal


def test_all_parameters_at_once(bench, by_hand):
    names = tuple(name for name, _, _ in EDITS)
    values = np.array([[value for _, value, _ in EDITS]])
    simulator = MujocoSimulator(bench, 2)
    simulator.set_physics(np.array([1]), names, values)
    # strength and gains multiply, so the gains come first
    edits = sorted(((edit, value) for _, value, edit in EDITS), key=lambda pair: pair[0] is servo_strength)
    ours, truth = roll(simulator, commands())[:, 1], loop(by_hand(*edits), commands())
    np.testing.assert_allclose(ours, truth, atol=1e-11, rtol=0)


def test_a_moved_centre_of_mass_is_that_of_a_model_written_so(bench, bench_files):
    """Written in the file, where the engine chooses its own shortcuts."""
    simulator = MujocoSimulator(bench, 2)
    simulator.set_physics(np.array([1]), ("link.com_z", "link.mass"), np.array([[0.11, 0.8]]))
    text = bench_files[0].replace(
        '<inertial pos="0.01 0 0.15" mass="0.4" diaginertia="0.004 0.005 0.001"/>',
        '<inertial pos="0.01 0 0.11" mass="0.8" diaginertia="0.008 0.010 0.002"/>',
    )
    truth = loop(mujoco.MjModel.from_xml_string(text), commands())
    np.testing.assert_allclose(roll(simulator, commands())[:, 1], truth, atol=1e-10, rtol=0)


def test_a_centred_body_that_is_no_longer_centred(bench, bench_files):
    simulator = MujocoSimulator(bench, 1)
    simulator.set_physics(np.array([0]), ("tip.com_x",), np.array([[0.09]]))
    model = simulator.snapshot(0)[0]
    inertia = " ".join(map(str, bench.model.body("tip").inertia))
    text = bench_files[0].replace(
        '<geom name="ball"', f'<inertial pos="0.09 0 0" mass="0.2" diaginertia="{inertia}"/><geom name="ball"'
    )
    written = mujoco.MjModel.from_xml_string(text)
    np.testing.assert_allclose(model.body_invweight0, written.body_invweight0, rtol=1e-9)
    np.testing.assert_allclose(
        roll(simulator, commands())[:, 0], loop(written, commands()), atol=1e-10, rtol=0
    )


def test_one_parameter_for_several_elements(bench):
    simulator = MujocoSimulator(bench, 2)
    simulator.set_physics(np.array([0]), ("motors.latency",), np.array([[3.0]]))
    delays = simulator.snapshot(0)[0].actuator_delay
    np.testing.assert_allclose(delays, 2.5 * DT)
    np.testing.assert_array_equal(simulator.snapshot(1)[0].actuator_delay, 0.0)


def shifted(controls, latency, first):
    """The commands that arrive when each comes ``latency`` steps late."""
    line = deque([first] * latency)
    for control in controls:
        line.append(control)
        yield line.popleft()


@pytest.mark.parametrize("latency", [0, 1, 2, 4, 5, 7, 10, 13, 20])
def test_latency_is_a_queue_of_commands(bench, by_hand, latency):
    simulator = MujocoSimulator(bench, 2)
    simulator.set_physics(np.array([1]), ("motors.latency",), np.array([[float(latency)]]))
    ours = roll(simulator, commands(600))
    truth = loop(by_hand(), shifted(commands(600), latency, np.zeros(3)))
    np.testing.assert_array_equal(ours[:, 1], truth)
    np.testing.assert_array_equal(ours[:, 0], loop(by_hand(), commands(600)))


def lags(simulator, steps):
    """How many physics steps ago the command was given that acts now. Shape (steps, num_envs)."""
    n = simulator.num_envs
    simulator.reset(np.arange(n), *start(n))
    force = simulator._batch.bind("actuator_force")
    seen = []
    for step in range(steps):
        simulator.step(np.tile([1e-6 * step, 0.0, 0.0], (n, 1)), 1)
        seen.append(step - force[:, MOTOR] / 1e-6)
    return np.array(seen)


@pytest.mark.slow
def test_latency_does_not_drift(bench):
    latencies = np.array([1.0, 2.0, 4.0, 5.0, 10.0])
    simulator = MujocoSimulator(bench, len(latencies))
    simulator.set_physics(np.arange(5), ("motors.latency",), latencies[:, None])
    seen = lags(simulator, 16_000)  # 64 s; k · dt drifts after 1 to 16 s (see the module)
    np.testing.assert_allclose(seen[20:], np.broadcast_to(latencies, seen[20:].shape), atol=1e-5)


def test_nominal_latency_does_not_drift_either(bench_files, write_world):
    scene, rows, physics_toml = bench_files
    scene = scene.replace('<motor name="push"', '<motor name="push" nsample="8" delay="0.02"')
    rows = {"push.latency": ("physics steps", 5, 0, 8, "push")}
    simulator = MujocoSimulator(World.load(write_world(scene, physics_toml(rows), "late")), 1)
    np.testing.assert_allclose(lags(simulator, 16_000)[20:], 5.0, atol=1e-5)


def test_delay_lines_begin_full(bench):
    """A delayed servo holds its start pose; a line of zeros would pull it to 0 at first."""
    simulator = MujocoSimulator(bench, 3)
    simulator.set_physics(
        np.arange(3), ("motors.latency", "world.gravity"), np.array([[0.0, 1e-6], [7, 1e-6], [20, 1e-6]])
    )
    pose = np.array([[0.0, 0.0, 0.0, 0.8]] * 3)
    ctrl = np.tile([0.0, 0.0, 0.8], (3, 1))
    for _ in range(2):  # also after the lines have held other commands
        simulator.step(np.ones((3, 3)), 40)
        simulator.reset(np.arange(3), pose, np.zeros((3, 4)), ctrl)
        simulator.step(ctrl, 60)
        np.testing.assert_allclose(simulator.qpos[:, 3], 0.8, atol=1e-6)
        np.testing.assert_array_equal(simulator.qpos[1], simulator.qpos[0])
        np.testing.assert_array_equal(simulator.qpos[2], simulator.qpos[0])


def random_physics(bench, n, seed=0):
    names = tuple(bench.parameters)
    u = np.random.default_rng(seed).random((n, len(names)))
    return names, bench.training_domain.quantile(u)


def test_bit_identical_at_one_and_two_threads(bench):
    names, values = random_physics(bench, 7)
    paths = []
    for threads in (1, 2, 0):
        simulator = MujocoSimulator(bench, 7, threads)
        simulator.set_physics(np.arange(7), names, values)
        paths.append(roll(simulator, commands()))
    np.testing.assert_array_equal(paths[0], paths[1])
    np.testing.assert_array_equal(paths[0], paths[2])


def test_a_row_does_not_depend_on_its_neighbours(bench):
    names, values = random_physics(bench, 5)
    simulator = MujocoSimulator(bench, 5)
    simulator.set_physics(np.arange(5), names, values)
    together = roll(simulator, commands())
    for row in range(5):
        alone = MujocoSimulator(bench, 1)
        alone.set_physics(np.array([0]), names, values[row : row + 1])
        np.testing.assert_array_equal(roll(alone, commands())[:, 0], together[:, row])


def test_values_are_set_from_nominal_and_never_compound(bench):
    """After any history of draws, the same values give the same bits."""
    names, values = random_physics(bench, 4, seed=1)
    fresh, used = MujocoSimulator(bench, 4), MujocoSimulator(bench, 4)
    fresh.set_physics(np.arange(4), names, values)
    rng = np.random.default_rng(3)
    for seed in range(30):
        _, other = random_physics(bench, 4, seed + 10)
        some = np.sort(rng.choice(len(names), size=rng.integers(1, len(names)), replace=False))
        used.set_physics(np.array([0, 2]), tuple(names[k] for k in some), other[:2][:, some])
    used.set_physics(np.arange(4), names, values)
    np.testing.assert_array_equal(roll(used, commands()), roll(fresh, commands()))
    used.set_physics(np.arange(4), names, np.tile(list(bench.nominal.values()), (4, 1)))
    np.testing.assert_array_equal(roll(used, commands()), roll(MujocoSimulator(bench, 4), commands()))


def test_parameters_not_named_keep_their_values(bench):
    together, apart = MujocoSimulator(bench, 2), MujocoSimulator(bench, 2)
    names, values = random_physics(bench, 2, seed=5)
    together.set_physics(np.arange(2), names, values)
    for k in np.random.default_rng(0).permutation(len(names)):  # one by one, in any order
        apart.set_physics(np.arange(2), (names[k],), values[:, [k]])
    np.testing.assert_array_equal(roll(apart, commands()), roll(together, commands()))
    assert apart.physics(1) == together.physics(1) == dict(zip(names, values[1], strict=True))


def test_nothing_to_set(bench):
    simulator = MujocoSimulator(bench, 2)
    simulator.set_physics(np.arange(2), (), np.zeros((2, 0)))
    simulator.set_physics(np.arange(0), ("sled.mass",), np.zeros((0, 1)))
    assert simulator.physics(0) == bench.nominal


def test_names_that_do_not_exist(bench):
    simulator = MujocoSimulator(bench, 1)
    with pytest.raises(UnknownName, match=r"parameter of bench 'sled\.mas': did you mean 'sled\.mass'"):
        simulator.set_physics(np.array([0]), ("sled.mas",), np.ones((1, 1)))
    assert tuple(simulator.physics(0)) == tuple(bench.parameters)


def test_some_rows_step_and_the_others_rest(bench):
    simulator = MujocoSimulator(bench, 3)
    path = roll(simulator, commands(20), np.array([0, 2]))
    np.testing.assert_array_equal(path[:, 1], np.tile(start(1)[0][0], (20, 1)))
    np.testing.assert_array_equal(path[:, 0], roll(MujocoSimulator(bench, 1), commands(20))[:, 0])
    np.testing.assert_array_equal(path[:, 0], path[:, 2])


def test_a_reset_leaves_what_the_engines_own_reset_leaves(bench):
    rng = np.random.default_rng(4)
    simulator = MujocoSimulator(bench, 4)
    rows = np.arange(4)
    domain = bench.training_domain
    simulator.set_physics(rows, domain.names, domain.sample(rng, 4))
    simulator.qvel[1] = 1e20  # so that there is a warning to forget
    for _ in range(20):
        simulator.step(rng.uniform(-1, 1, (4, 3)), 3)
    assert simulator.diverged()[1]
    engine = simulator._batch
    engine.reset(stage=0)
    truth, warnings = engine.state.copy(), engine.warning.copy()
    simulator.step(rng.uniform(-1, 1, (4, 3)), 3)
    simulator.reset(rows, bench.model.qpos0, np.zeros(simulator.qvel.shape[1]), np.zeros((4, 3)))
    np.testing.assert_array_equal(engine.state, truth)
    np.testing.assert_array_equal(engine.warning, warnings)


def test_reset_of_some_rows_leaves_the_others(bench):
    whole, parts = MujocoSimulator(bench, 3), MujocoSimulator(bench, 3)
    roll(whole, commands(30)), roll(parts, commands(30))
    parts.reset(np.array([1]), *start(1))
    for control in commands(20):
        whole.step(np.tile(control, (3, 1)), 1)
        parts.step(np.tile(control, (3, 1)), 1)
    np.testing.assert_array_equal(parts.qpos[[0, 2]], whole.qpos[[0, 2]])
    np.testing.assert_array_equal(parts.qpos[1], roll(MujocoSimulator(bench, 1), commands(20))[-1, 0])


def test_substeps_hold_the_command(bench):
    coarse, fine = MujocoSimulator(bench, 1), MujocoSimulator(bench, 1)
    path = roll(fine, commands(30))
    coarse.reset(np.array([0]), *start(1))
    for control in commands(30)[::10]:
        coarse.step(control[None], 10)
    np.testing.assert_array_equal(coarse.qpos, path[-1])


def test_sites_are_live_and_belong_to_the_positions(bench):
    simulator = MujocoSimulator(bench, 2)
    end = simulator.site("end")
    simulator.reset(np.arange(2), *start(2))
    for control in [None, *commands(15)]:
        if control is not None:
            simulator.step(np.tile(control, (2, 1)), 1)
        data = mujoco.MjData(bench.model)
        data.qpos[:] = simulator.qpos[1]
        mujoco.mj_kinematics(bench.model, data)
        np.testing.assert_allclose(end[1], data.site("end").xpos, atol=1e-12)


def test_asking_for_a_site_does_not_change_the_motion(bench):
    asked = MujocoSimulator(bench, 1)
    asked.site("end")
    np.testing.assert_array_equal(roll(asked, commands()), roll(MujocoSimulator(bench, 1), commands()))


def test_joints_and_limits(write_world):
    simulator = MujocoSimulator(World.load(write_world()), 1)
    assert simulator.limits("slider") == (-1.8, 1.8)
    assert simulator.limits("hinge") == (-np.inf, np.inf)
    positions, velocities = simulator.joints(["hinge", "slider"])
    assert positions.tolist() == velocities.tolist() == [1, 0]


def test_snapshot_is_one_simulation(bench):
    simulator = MujocoSimulator(bench, 2)
    simulator.set_physics(np.array([1]), ("sled.mass",), np.array([[3.0]]))
    roll(simulator, commands(10))
    model, data = simulator.snapshot(1)
    np.testing.assert_array_equal(data.qpos, simulator.qpos[1])
    assert model.body("sled").mass[0] == 3.0
    data.qpos[:] = 0.0
    assert simulator.qpos[1].any()


def test_divergence_is_seen_stays_until_reset_and_touches_nobody(bench):
    calm, broken = MujocoSimulator(bench, 3), MujocoSimulator(bench, 3)
    roll(calm, commands(10)), roll(broken, commands(10))
    assert not broken.diverged().any()
    broken.qvel[1] = 1e30
    for control in commands(20):
        calm.step(np.tile(control, (3, 1)), 1)
        broken.step(np.tile(control, (3, 1)), 1)
        assert broken.diverged().tolist() == [False, True, False]
    assert np.isfinite(broken.qpos).all()
    np.testing.assert_array_equal(broken.qpos[[0, 2]], calm.qpos[[0, 2]])
    broken.reset(np.array([1]), *start(1))
    assert not broken.diverged().any()


def test_training_domain_never_diverges(bench):
    names, values = random_physics(bench, 64, seed=9)
    simulator = MujocoSimulator(bench, 64)
    simulator.set_physics(np.arange(64), names, values)
    assert np.isfinite(roll(simulator, commands(300))).all()
    assert not simulator.diverged().any()


@pytest.mark.parametrize(
    ("actuator", "name", "unit", "said"),
    [
        (
            '<motor name="m" joint="j"/>',
            "m.kp",
            "N·m/rad",
            "m.kp: actuator 'm' can't have it, because it is a motor, and no position servo, which has gains",
        ),
        (
            '<dcmotor name="m" joint="j" resistance="1" motorconst="1"/>',
            "m.strength",
            "1",
            "m.strength: actuator 'm' can't have it, because it is a DC motor, and its torque follows from",
        ),
    ],
)
def test_quantities_that_an_actuator_does_not_have(write_world, actuator, name, unit, said):
    scene = f"""<mujoco><worldbody><body name="b"><joint name="j" range="-1 1" limited="true"/>
      <geom size="0.1" mass="1"/></body></worldbody><actuator>{actuator}</actuator></mujoco>"""
    nominal = 1.0 if name.endswith("strength") else 0.0
    physics = (
        f'[parameters."{name}"]\nunit = "{unit}"\nnominal = {nominal}\nrange = [0, 1]\nsource = "made up"\n'
    )
    with pytest.raises(InvalidValue, match=said):
        World.load(write_world(scene, physics, "odd"))


def test_domain_of_the_bench_covers_every_quantity(bench):
    from sim2real.parameters import INERTIA, MODEL, QUANTITIES

    assert isinstance(bench.training_domain, Domain)
    engines = {name for name, quantity in QUANTITIES.items() if quantity.acts == MODEL}
    # play and whole inertias have files of their own
    assert {p.quantity.name for p in bench.parameters.values()} == engines - {"backlash", *INERTIA}


def test_threads_are_chosen_by_the_work():
    """One for a few cheap rows, all cores for many; a number that is given counts."""
    world, cores = World.load("furuta"), len(os.sched_getaffinity(0))
    assert [MujocoSimulator(world, n)._batch.nthread for n in (1, 2, 4096)] == [1, 1, cores]
    assert MujocoSimulator(world, 4, 3)._batch.nthread == 3
    with pytest.raises(InvalidValue, match=r"num_threads = -1 must be 0 \(as many"):
        MujocoSimulator(world, 4, -1)
