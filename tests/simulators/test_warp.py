"""MuJoCo Warp against MuJoCo: the same worlds, physics and commands, as far as single precision goes."""

import copy
import sys

import mujoco
import numpy as np
import pytest
import torch

from sim2real.errors import InvalidValue, MissingExtra, UnknownName
from sim2real.simulators import Engine, make_simulator, warp_model
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.simulators.warp import WarpSimulator
from sim2real.simulators.warp_model import WarpModel, capacity
from sim2real.world import World
from sim2real.world.terms import Entry

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_kernels")]

ROWS = 6
ALL = np.arange(ROWS)


def tensors(*arrays):
    return tuple(torch.as_tensor(np.asarray(array), dtype=torch.float32) for array in arrays)


def hanging(world, rows=ROWS, seed=0):
    """Start states near the task's: every angle small but for the pole of the cart-pole, which hangs."""
    rng = np.random.default_rng(seed)
    qpos = world.model.qpos0 + rng.uniform(-0.1, 0.1, (rows, world.model.nq))
    qpos[:, -1] += np.pi * (world.name == "cartpole")
    return qpos, np.zeros((rows, world.model.nv)), np.zeros((rows, world.model.nu))


@pytest.fixture(scope="module")
def furuta():
    return World.load("furuta")


@pytest.fixture(scope="module")
def simulator(furuta):
    """Shared by tests that reset it."""
    return WarpSimulator(furuta, ROWS)


@pytest.fixture(scope="module")
def bench_pair(bench):
    """Simulations of the bench in both engines, two for each parameter: it is at its low and high end."""
    names = tuple(bench.parameters)
    physics = np.tile(list(bench.nominal.values()), (2 * len(names) + 1, 1))
    for k, parameter in enumerate(bench.parameters.values()):
        physics[2 * k, k], physics[2 * k + 1, k] = parameter.low, parameter.high
    rows = np.arange(len(physics))
    pair = MujocoSimulator(bench, len(rows)), WarpSimulator(bench, len(rows))
    for engine in pair:
        engine.set_physics(rows, names, physics)
    return pair


def drawn(world, seed=1):
    """Physics from the world's training domain."""
    domain = world.training_domain
    return domain.names, domain.sample(np.random.default_rng(seed), ROWS)


def both(world, names, physics):
    truth, warp = MujocoSimulator(world, ROWS), WarpSimulator(world, ROWS)
    truth.set_physics(ALL, names, physics)
    warp.set_physics(ALL, names, physics)
    return truth, warp


def rounded(truth):
    """Round the state of simulations to single precision: the least that Warp must lose."""
    truth.qpos[:], truth.qvel[:] = truth.qpos.astype(np.float32), truth.qvel.astype(np.float32)


@pytest.mark.parametrize(
    ("name", "steps", "substeps", "push"),
    [
        ("furuta", 100, 4, 6.0),
        ("cartpole", 100, 4, 3.0),
        ("quadrotor", 100, 4, 0.05),
        ("so101", 20, 8, 0.5),  # stiff servos shake at their limits; errors grow a hundredfold in 0.5 s
    ],
)
def test_an_episode_is_that_of_mujoco_within_single_precision(name, steps, substeps, push):
    world = World.load(name)
    names, physics = drawn(world)
    truth, warp = both(world, names, physics)
    shadow = MujocoSimulator(world, ROWS)
    shadow.set_physics(ALL, names, physics)
    start, rng = hanging(world), np.random.default_rng(2)
    hover = 9.81 * world.model.body_mass.sum() / 4 if name == "quadrotor" else 0.0
    warp.reset(ALL, *tensors(*start))
    truth.reset(ALL, *start)
    shadow.reset(ALL, *start)
    loss = 0.0
    for k in range(steps):
        if k % 10 == 0:
            command = hover + rng.uniform(-push, push, (ROWS, world.model.nu))
        truth.step(command, substeps)
        warp.step(*tensors(command), substeps)
        for _ in range(substeps):
            rounded(shadow)
            shadow.step(command, 1)
        loss = max(loss, np.abs(shadow.qpos - truth.qpos).max())
        assert np.abs(warp.qpos.numpy() - truth.qpos).max() < 1e-4 + 20 * loss
    assert np.abs(warp.qpos.numpy() - truth.qpos).max() < 2e-3
    assert np.abs(truth.qpos - start[0]).max() > 0.3
    assert not warp.diverged().any()


def test_every_parameter_has_the_effect_that_it_has_in_mujoco(bench, bench_pair):
    truth, warp = bench_pair
    rows = np.arange(truth.num_envs)
    qpos = np.tile([0.0, 0.0, 0.4, -0.3], (len(rows), 1))
    qvel, ctrl = np.full((len(rows), 4), 0.2), np.tile([1.0, -0.5, 0.9], (len(rows), 1))
    truth.reset(rows, qpos, qvel, 0 * ctrl)
    warp.reset(rows, *tensors(qpos, qvel, 0 * ctrl))
    truth.step(ctrl, 80)
    warp.step(*tensors(ctrl), 80)
    moved, seen = truth.qpos - truth.qpos[-1], warp.qpos.numpy() - warp.qpos.numpy()[-1]
    for k, name in enumerate(bench.parameters):
        for row in (2 * k, 2 * k + 1):
            if warp.physics(row)[name] != bench.nominal[name]:
                effect = np.abs(moved[row]).max()
                assert effect > 1e-5, name
                assert np.abs(seen[row] - moved[row]).max() < 0.01 * effect + 2e-6, name
    assert np.abs(warp.qpos.numpy() - truth.qpos).max() < 2e-4  # 1e-6 but for the joint stuck with 10 kN·m


def test_derived_constants_are_those_of_each_simulations_own_model(bench_pair):
    """The `set_const` trap: a shared field would hold one simulation's constants for all."""
    truth, warp = bench_pair
    fields = ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0", "body_inertia")
    models = [truth.snapshot(row)[0] for row in range(truth.num_envs)]
    for field in fields:
        wanted = np.array([getattr(model, field).ravel() for model in models])
        found = warp._engine.field(field)
        assert found is not None, field
        assert np.ptp(wanted, axis=0).max() > 0, field
        # for what cannot turn, C says 0 where Warp says the weight of its shifts; no contact here asks for it
        given = wanted > 0
        np.testing.assert_allclose(found.numpy()[given], wanted[given], rtol=2e-4, err_msg=field)


def test_latency_is_exact_in_steps_for_a_long_time():
    """20 s of physics steps; a delay written as k·dt, in the last row, is a step late from 16 s on."""
    latencies, steps, first = [0, 1, 2, 4, 5, 10, 12, 4], 4000, 0.5
    warp = WarpSimulator(World.load("cartpole"), len(latencies))
    rows = np.arange(len(latencies))
    warp.set_physics(rows, ("motor.latency",), np.array(latencies, dtype=float)[:, None])
    warp._own("actuator_delay")[-1] = latencies[-1] * warp.physics_dt
    still = torch.zeros(len(rows), 2)
    warp.reset(rows, still, still, torch.full((len(rows), 1), first))
    commands = torch.as_tensor(np.random.default_rng(0).uniform(-0.1, 0.1, steps), dtype=torch.float32)
    given, forces = torch.cat((torch.full((20,), first), commands)), warp.actuator_force()
    seen = torch.empty(steps, len(rows))
    for k, command in enumerate(commands):
        warp.step(command.expand(len(rows), 1), 1)
        seen[k] = forces[:, 0]
    for row, latency in enumerate(latencies):
        late = torch.nonzero(seen[:, row] != given[20 - latency : 20 - latency + steps])
        assert (len(late) > 0) == (row == len(latencies) - 1), latency


def test_commands_delayed_until_physics_is_set_again():
    warp = WarpSimulator(World.load("cartpole"), ROWS)
    still, delays = torch.zeros(ROWS, 2), torch.tensor([[0.0], [1], [2], [3], [5], [12]])

    def first_nonzero():
        warp.reset(ALL, still, still, still[:, :1])
        forces = []
        for _ in range(13):
            warp.step(torch.ones(ROWS, 1), 1)
            forces.append(warp.actuator_force()[:, 0] != 0)
        return torch.stack(forces).int().argmax(dim=0).tolist()

    warp.delay_commands(delays)
    assert first_nonzero() == [0, 1, 2, 3, 5, 12]
    warp.set_physics(ALL, ("motor.latency",), np.full((ROWS, 1), 4.0))
    assert first_nonzero() == [4] * ROWS


def test_play_is_shown_on_the_loads_side(write_world, pendulum_files):
    scene, physics = pendulum_files
    physics += """
[parameters."slider.backlash"]
unit = "m"
nominal = 0
range = [0, 0.02]
source = "made up"
"""
    # the motor's side needs inertia of its own
    scene = scene.replace('damping="0.1"/>', 'damping="0.1" armature="0.2"/>')
    world = World.load(write_world(scene, physics))
    truth, warp = (make_simulator(Engine(name, play=True), world, 2) for name in ("mujoco", "warp"))
    start = np.array([[0.1, 0.2], [0.1, 0.2]]), np.zeros((2, 2)), np.zeros((2, 1))
    for simulator, values in ((truth, start), (warp, tensors(*start))):
        simulator.set_physics(np.arange(2), ("slider.backlash",), np.array([[0.02], [0.0001]]))
        simulator.reset(np.arange(2), *values)
    assert warp.qpos.shape == (2, 2)
    assert warp.joints(["hinge"])[0].tolist() == [1]
    for command in (5.0, -5.0, 5.0):
        truth.step(np.full((2, 1), command), 10)
        warp.step(torch.full((2, 1), command), 10)
        np.testing.assert_allclose(warp.qpos.numpy(), truth.qpos, atol=2e-4)
        np.testing.assert_allclose(warp.qvel.numpy(), truth.qvel, atol=2e-2)
    assert np.abs(truth.qpos[0] - truth.qpos[1]).max() > 2e-3


def test_a_reset_leaves_the_neighbours_bit_for_bit(simulator, furuta):
    start, rng = tensors(*hanging(furuta)), np.random.default_rng(4)
    commands = tensors(*rng.uniform(-6, 6, (20, ROWS, 1)))
    simulator.set_physics(ALL, *drawn(furuta))
    paths = []
    for resets in (False, True):
        simulator.reset(ALL, *start)
        for k, command in enumerate(commands):
            if resets and k in (7, 8):
                some = np.array([1, 4])
                simulator.reset(some, *(values[some] for values in start))
            simulator.step(command, 4)
        paths.append((simulator.qpos.clone(), simulator.qvel.clone()))
    others = np.array([0, 2, 3, 5])
    for alone, with_resets in zip(*paths, strict=True):
        assert torch.equal(alone[others], with_resets[others])
        assert not torch.equal(alone, with_resets)


def test_a_nan_is_reported_and_stays_in_its_simulation(simulator, furuta):
    start = tensors(*hanging(furuta))
    commands = tensors(*np.random.default_rng(5).uniform(-6, 6, (10, ROWS, 1)))

    def roll(poison):
        simulator.reset(ALL, *start)
        assert not simulator.diverged().any()
        for k, command in enumerate(commands):
            if poison and k == 3:
                simulator.qvel[2, 0] = float("nan")
            simulator.step(command, 4)
        return simulator.qpos.clone(), simulator.diverged()

    sane, none = roll(poison=False)
    poisoned, found = roll(poison=True)
    others = ALL != 2
    assert not none.any()
    assert found.tolist() == [row == 2 for row in range(ROWS)]
    assert torch.isfinite(poisoned).all()
    assert torch.equal(poisoned[others], sane[others])
    again, healed = roll(poison=False)
    assert torch.equal(again, sane)
    assert not healed.any()


def test_rows_that_rest_keep_their_state(simulator, furuta):
    simulator.reset(ALL, *tensors(*hanging(furuta)))
    before = simulator.qpos.clone(), simulator.qvel.clone()
    simulator.step(torch.full((ROWS, 1), 3.0), 4, np.array([0, 3]))
    rest = np.array([1, 2, 4, 5])
    assert torch.equal(simulator.qpos[rest], before[0][rest])
    assert torch.equal(simulator.qvel[rest], before[1][rest])
    assert (simulator.qvel[[0, 3]] != before[1][[0, 3]]).any(dim=1).all()


def test_tensors_are_the_engines_own_memory(simulator, furuta):
    data, qpos, qvel = simulator._engine.data, simulator.qpos, simulator.qvel
    simulator.reset(ALL, *tensors(*hanging(furuta)))
    simulator.step(torch.zeros(ROWS, 1), 4)
    assert simulator.qpos is qpos
    assert simulator.qvel is qvel
    assert qpos.data_ptr() == data.qpos.ptr
    assert qvel.data_ptr() == data.qvel.ptr
    qpos[0, 0] = 0.25
    assert data.qpos.numpy()[0, 0] == 0.25
    assert simulator.force("pole").data_ptr() == data.xfrc_applied.ptr + 2 * 6 * 4
    assert simulator.actuator_force().data_ptr() == data.actuator_force.ptr


def test_values_are_set_from_nominal_and_never_compound(simulator, furuta):
    names, physics = drawn(furuta)
    for _ in range(2):
        simulator.set_physics(ALL, names, physics)
        simulator.set_physics(np.array([1]), names[:1], physics[1:2, :1])
    drawn_values = dict(zip(names, physics[3], strict=True))
    assert simulator.physics(3) == {**furuta.nominal, **drawn_values}
    masses = simulator._engine.field("body_mass")[:, 2].numpy()
    np.testing.assert_allclose(masses, physics[:, names.index("pole.mass")], rtol=1e-6)
    with pytest.raises(UnknownName, match="pole\\.mass"):
        simulator.set_physics(ALL, ("pole.mas",), physics[:, :1])


def test_a_wrench_and_laws_of_the_actuators_act_as_in_mujoco(bench):
    """Force, dry friction and force limit are written while it runs, before each physics step."""
    warp = WarpSimulator(bench, 2)
    qpos, qvel, ctrl = [0.0, 0.3, 0.4, -0.3], [0.2] * 4, [1.0, -0.5, 2.0]
    warp.reset(np.arange(2), *tensors([qpos] * 2, [qvel] * 2, np.zeros((2, 3))))
    warp.force("link")[1] = torch.tensor([0.5, -1.0, 2.0, 0.1, 0.2, -0.3])
    friction, limit = warp.dry_friction(), warp.force_limit()
    steps = iter(range(12))

    def between():
        k = next(steps)
        most = torch.tensor([5.0, 0.15, 0.2]) + 0.01 * k
        friction[1, 2], limit[1] = 0.01 * k, torch.stack((-most, most), dim=1)

    warp.step(*tensors([ctrl] * 2), 12, between=between)
    model = bench.model
    ends = []
    for row in range(2):
        own, data = copy.copy(model), mujoco.MjData(model)
        data.qpos[:], data.qvel[:], data.ctrl[:] = qpos, qvel, ctrl
        for k in range(12):
            if row:
                data.body("link").xfrc_applied[:] = [0.5, -1.0, 2.0, 0.1, 0.2, -0.3]
                own.dof_frictionloss[2] = 0.01 * k
                own.actuator_forcerange[:] = np.outer(np.array([5.0, 0.15, 0.2]) + 0.01 * k, [-1, 1])
            mujoco.mj_step(own, data)
        ends.append((data.qpos.copy(), data.actuator_force.copy()))
    for row, (wanted, forces) in enumerate(ends):
        np.testing.assert_allclose(warp.qpos[row].numpy(), wanted, atol=2e-5)
        np.testing.assert_allclose(warp.actuator_force()[row].numpy(), forces, rtol=2e-3)
    assert np.abs(ends[0][0] - ends[1][0]).max() > 0.01


def test_sites_follow_resets_and_steps(bench):
    truth, warp = MujocoSimulator(bench, 2), WarpSimulator(bench, 2)
    tip, wanted = warp.site("end"), truth.site("end")
    start = np.array([[0.0, 0.3, 0.4, -0.3], [0.1, 0.3, -0.4, 0.3]]), np.zeros((2, 4)), np.zeros((2, 3))
    truth.reset(np.arange(2), *start)
    warp.reset(np.arange(2), *tensors(*start))
    np.testing.assert_allclose(tip.numpy(), wanted, atol=1e-6)
    truth.step(np.ones((2, 3)), 5)
    warp.step(torch.ones(2, 3), 5)
    np.testing.assert_allclose(tip.numpy(), wanted, atol=1e-5)


def test_joints_and_limits(simulator, furuta):
    truth = MujocoSimulator(furuta, 1)
    for found, wanted in zip(simulator.joints(["pole_hinge"]), truth.joints(["pole_hinge"]), strict=True):
        assert found.tolist() == wanted.tolist()
    assert simulator.limits("pole_hinge") == truth.limits("pole_hinge") == (-np.inf, np.inf)


def test_room_for_every_contact_and_constraint(bench):
    """The sled's box has 8 contacts with the floor at most, of three rows each; any dof may have friction."""
    pairs = np.array([[0, 1]])
    assert capacity(bench.model, pairs) == (8, 8 * 3 + bench.model.nv)
    assert capacity(World.load("cartpole").model, pairs[:0]) == (1, 2 + 1)


def test_an_overflow_is_a_divergence_that_says_why(bench, monkeypatch, caplog):
    monkeypatch.setattr(warp_model, "capacity", lambda model, pairs: (8, 5))
    warp = WarpSimulator(bench, 2)
    air = np.array([[0.0, 2.0, 0.4, -0.3], [0.0, 0.0, 0.4, -0.3]])  # the first one is above the floor
    warp.reset(np.arange(2), *tensors(air, np.zeros((2, 4)), np.zeros((2, 3))))
    warp.step(torch.zeros(2, 3), 5)
    assert warp.diverged().tolist() == [False, True]
    assert "NEFC) in simulations [1]: each has room for 8 contacts and 5 rows" in caplog.text
    warp.reset(np.array([1]), *tensors(air[:1], np.zeros((1, 4)), np.zeros((1, 3))))
    assert not warp.diverged().any()


def test_what_warp_cannot_run_is_refused_by_name(write_world, pendulum_files):
    scene, physics = pendulum_files
    world = World.load(write_world(scene.replace("<option ", '<option solver="PGS" '), physics))
    with pytest.raises(InvalidValue, match=r"mjSOL_PGS is unsupported.*simulator 'mujoco'"):
        WarpSimulator(world, 1)


def test_a_number_that_simulations_share_is_refused_by_name(furuta, monkeypatch):
    def shared(world, parameter):
        return [Entry("jnt_limited", 0, 1.0, (parameter.name,))] if parameter.name == "pole.mass" else []

    monkeypatch.setattr("sim2real.simulators.physics_table.entries", shared)
    simulator = WarpSimulator(furuta, 1)
    simulator.set_physics(np.array([0]), ("pole.com_z",), np.array([[0.01]]))
    with pytest.raises(InvalidValue, match=r"pole\.mass: MuJoCo Warp shares jnt_limited between simulations"):
        simulator.set_physics(np.array([0]), ("pole.mass",), np.array([[0.01]]))


def test_air_acts_in_a_world_that_has_none_nominally(furuta):
    """The engine decides from nominal values whether there is a fluid; a parameter may bring one."""
    assert not WarpModel(furuta.model, 1, []).model.has_fluid
    engine = WarpModel(furuta.model, 2, ["opt.density", "opt.wind"])
    assert engine.model.has_fluid
    assert engine.field("opt.wind").shape == (2, 3)


def test_a_missing_package_is_one_line_away(furuta, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco_warp", None)
    with pytest.raises(
        MissingExtra, match=r'mujoco-warp is not installed; run `pip install "sim2real\[warp\]"`'
    ):
        WarpSimulator(furuta, 1)


def test_nothing_is_imported_early_or_printed(python):
    program = """
import sys
from sim2real.simulators.warp import WarpSimulator
from sim2real.world import World
assert not {"warp", "mujoco_warp"} & set(sys.modules)
import warp
warp.config.optimization_level = 0  # as the other tests, whose kernels are compiled already
simulator = WarpSimulator(World.load("furuta"), 2)
simulator.step(simulator.qpos[:, :1], 1)
assert warp.config.log_level == warp.LOG_INFO
"""
    assert python(program) == ""
