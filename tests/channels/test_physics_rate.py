"""Laws at the physics rate against plain `mj_step` loops that obey the same law, and closed forms."""

import mujoco
import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue
from sim2real.simulators import Engine

MOTOR = '<motor name="motor" joint="slider" ctrlrange="-10 10"/>'
GEARED = '<motor name="motor" joint="hinge" gear="0.2" ctrlrange="-10 10" forcerange="-10 10"/>'
LAW = {
    "stribeck": 0.15,
    "stribeck_velocity": 0.4,
    "stribeck_exponent": 1.5,
    "load_friction_motor": 0.1,
    "load_friction_external": 0.2,
    "load_stribeck_motor": 0.05,
    "load_stribeck_external": 0.3,
    "load_quadratic_motor": 0.02,
    "load_quadratic_external": 0.04,
}
UNITS = {"stribeck": "N·m", "stribeck_velocity": "rad/s", "speed_loss": "s/rad"}
MODELS = {
    "M2": ["stribeck"],
    "M3": ["load_friction_motor", "load_friction_external"],
    "M4": ["stribeck", "load_friction_motor", "load_friction_external", "load_stribeck_motor"],
    "M6": list(LAW),
}


def rows_of(names):
    shapes = {"stribeck_velocity": 0.4, "stribeck_exponent": 1.5}
    return [(f"hinge.{name}", shapes.get(name, 0), UNITS.get(name, "1")) for name in names]


@pytest.fixture
def geared_world(make_world, tools, pendulum_files):
    """The pole driven by a geared motor at its own joint, with the law's parameters."""

    def make(rows):
        scene = pendulum_files[0].replace(MOTOR, GEARED)
        units = {"load_quadratic_motor": "1/(N·m)", "load_quadratic_external": "1/(N·m)"}
        rows = [(name, value, units.get(name.split(".")[1], unit)) for name, value, unit in rows]
        dry = ("hinge.frictionloss", 0, "N·m", None, [0, 1])
        return make_world(*(tools[0](*row) for row in (*rows, dry)), scene=scene)

    return make


def friction(law, speed, motor, load):
    """Dry friction of the hinge beyond Coulomb's, after Duclusaud et al. 2024."""
    k = {name: law.get(name, 0.0) for name in LAW}
    at_rest = np.exp(-((abs(speed) / LAW["stribeck_velocity"]) ** LAW["stribeck_exponent"]))
    total = abs(load * k["load_friction_external"] - motor * k["load_friction_motor"])
    total += at_rest * k["stribeck"]
    total += at_rest * abs(load * k["load_stribeck_external"] - motor * k["load_stribeck_motor"])
    if np.sign(load) != np.sign(motor):
        if abs(load) < abs(motor):
            total += at_rest * k["load_quadratic_external"] * load**2
        if abs(load) > abs(motor):
            total += at_rest * k["load_quadratic_motor"] * motor**2
    return total


def obey(model, data, law):
    """Write the friction of the next step, as the authors' own MuJoCo loop does."""
    rubbing = data.efc_type == mujoco.mjtConstraint.mjCNSTR_FRICTION_DOF
    rubbed = data.efc_force[rubbing & (data.efc_id == 1)].sum()
    load = data.qfrc_constraint[1] - rubbed - data.qfrc_bias[1]
    motor = data.qfrc_actuator[1]
    model.dof_frictionloss[1] = 0.02 + friction(law, data.qvel[1], motor, load)


@pytest.mark.parametrize("model_name", MODELS)
def test_friction_is_that_of_a_plain_loop_with_the_same_law(geared_world, model_name):
    law = {name: LAW[name] for name in MODELS[model_name]}
    names = list(dict.fromkeys([*law, "stribeck_velocity", "stribeck_exponent"]))
    world = geared_world(rows_of(names))
    env = Sim2RealVectorEnv(world, 3)
    physics = {"hinge.frictionloss": 0.02, **{f"hinge.{name}": value for name, value in law.items()}}
    env.set_physics(tuple(physics), np.array([list(physics.values())]), np.array([1]))
    env.reset(seed=0)
    bare = Sim2RealVectorEnv(world, 3)
    bare.reset(seed=0)
    model, rng = world.model, np.random.default_rng(0)
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = env.simulator.qpos[1], env.simulator.qvel[1]
    for step in range(60):
        if step % 5 == 0:
            action = rng.uniform(-1, 1, (3, 1))
        env.step(action), bare.step(action)
        data.ctrl[0] = 10 * action[1, 0]
        for _ in range(4):
            obey(model, data, law)
            mujoco.mj_step(model, data)
        np.testing.assert_allclose(env.simulator.qpos[1], data.qpos, atol=1e-9)
    assert np.abs(env.simulator.qpos - bare.simulator.qpos)[1].max() > 0.05
    np.testing.assert_array_equal(env.simulator.qpos[[0, 2]], bare.simulator.qpos[[0, 2]])


def test_stribeck_curve(geared_world):
    """Written before a physics step: F_c + F_s exp(-|v/v_s|^α), at any speed."""
    world = geared_world(rows_of(["stribeck", "stribeck_velocity", "stribeck_exponent"]))
    env = Sim2RealVectorEnv(world, 5)
    env.set_physics(("hinge.frictionloss", "hinge.stribeck"), np.tile([0.3, 0.2], (5, 1)))
    env.reset(seed=0)
    env.simulator.qvel[:, 1] = speed = np.array([0.0, 0.2, 0.4, 2.0, -0.4])
    env._channels.command(np.zeros((5, 1)))
    env._channels.between()
    expected = 0.3 + 0.2 * np.exp(-((np.abs(speed) / 0.4) ** 1.5))
    np.testing.assert_allclose(env.simulator.dry_friction()[:, 1], expected, rtol=1e-12)
    env._channels.observe(np.zeros((5, 5)))
    np.testing.assert_array_equal(env.simulator.dry_friction()[:, 1], 0.3)


def test_a_load_holds_itself_by_the_friction_it_makes(geared_world):
    """Worm gears: with a load friction above 1 the load can't drive the motor back; without it falls."""
    world = geared_world(rows_of(["load_friction_external"]))
    env = Sim2RealVectorEnv(world, 2)
    env.set_physics(("hinge.load_friction_external",), np.array([[1.2], [0.0]]))
    env.reset(seed=0)
    env.simulator.qpos[:], env.simulator.qvel[:] = [0.0, 0.5], 0.0
    for _ in range(15):
        env.step(np.zeros((2, 1)))
    assert abs(env.simulator.qpos[0, 1] - 0.5) < 0.05
    assert env.simulator.qpos[1, 1] > 0.8


def test_torque_falls_with_speed_to_none_at_no_load_speed(make_world, tools, pendulum_files):
    """A cart under full command approaches 1 / speed_loss as a first-order lag: m v' = F (1 - v/v0)."""
    limited = MOTOR.replace("/>", ' forcerange="-10 10"/>')
    scene = pendulum_files[0].replace(MOTOR, limited).replace('range="-1.8 1.8" damping="0.1"', "")
    world = make_world(tools[0]("motor.speed_loss", 0, "s/m"), scene=scene)
    env = Sim2RealVectorEnv(world, 3)
    env.set_physics(("motor.speed_loss",), np.array([[0.5], [0.5], [0.0]]))
    env.reset(seed=0)
    env.simulator.qpos[:], env.simulator.qvel[:] = [0.0, np.pi], 0.0
    action, forces = np.array([[1.0], [-1.0], [1.0]]), []
    env.simulator.actuator_force()  # read from the next step on
    for _ in range(120):
        speed = env.simulator.qvel[:, 0].copy()
        env._channels.command(10 * action)
        env.simulator.step(10 * action, 1, None, env._channels.between)
        forces.append((speed, env.simulator.actuator_force()[:, 0].copy()))
    for speed, force in forces:
        np.testing.assert_allclose(force[0], 10 * np.clip(1 - 0.5 * speed[0], 0, 1), atol=1e-9)
        np.testing.assert_allclose(force[1], -10 * np.clip(1 + 0.5 * speed[1], 0, 1), atol=1e-9)
        assert force[2] == 10.0
    assert speed[0] == pytest.approx(2.0, abs=0.3)
    # against its speed a motor gives all it can
    env.simulator.qvel[0, 0] = -1.5
    env.simulator.step(10 * action, 1, None, env._channels.between)
    assert env.simulator.actuator_force()[0, 0] == 10.0


def test_speed_loss_needs_a_force_limit(make_world, tools):
    with pytest.raises(
        InvalidValue, match=r"actuator 'motor' can't .* it does not have; give it a forcerange in scene\.xml"
    ):
        Sim2RealVectorEnv(make_world(tools[0]("motor.speed_loss", 0, "s/m")))


def test_stribeck_needs_a_speed(geared_world):
    with pytest.raises(InvalidValue, match=r"has no stribeck_velocity for 'hinge'; give it a parameter"):
        Sim2RealVectorEnv(geared_world(rows_of(["stribeck"])))


FULL = {
    **{f"hinge.{name}": {"uniform": [0.0, value]} for name, value in LAW.items() if value < 0.39},
    "motor.speed_loss": {"uniform": [0.0, 0.2]},
    "hinge.frictionloss": {"uniform": [0.0, 0.1]},
}


@pytest.fixture
def full(geared_world):
    return geared_world([*rows_of(LAW), ("motor.speed_loss", 0, "s/rad")])


@pytest.mark.parametrize("threads", [1, 2])
def test_an_episode_is_the_same_in_any_company_and_after_any_other(full, threads):
    domain, actions = {"parameters": FULL}, np.random.default_rng(0).uniform(-1, 1, (20, 3, 1))
    batch = Sim2RealVectorEnv(full, 3, domain, 10, simulator=Engine("mujoco", threads))
    batch.reset(seed=5)
    together = np.array([batch.step(a)[0] for a in actions])
    for row in range(3):
        alone = Sim2RealVectorEnv(full, 1, domain, 10)
        alone.number_episodes(np.array([row + 3]), seed=5)
        seen = [alone.reset()[0], *(alone.step(a[row : row + 1])[0] for a in actions[10:19])]
        np.testing.assert_array_equal(np.array(seen)[:, 0], together[9:19, row])


def test_physics_set_while_a_law_acts_is_the_laws_new_base(full):
    """Setting another parameter takes no written friction for the engine's own."""
    env = Sim2RealVectorEnv(full, 2)
    env.set_physics(("hinge.stribeck", "hinge.frictionloss"), np.tile([0.2, 0.1], (2, 1)))
    env.reset(seed=0)
    env.step(np.ones((2, 1)))
    env.set_physics(("pole.mass",), np.array([[0.2]]), np.array([0]))
    env.set_physics(("hinge.frictionloss",), np.array([[0.05]]), np.array([1]))
    env.step(np.ones((2, 1)))
    np.testing.assert_array_equal(env.simulator.dry_friction()[:, 1], [0.1, 0.05])
    env.set_physics(("hinge.stribeck",), np.zeros((2, 1)))
    env.step(np.ones((2, 1)))
    assert env._channels.between is None
    np.testing.assert_array_equal(env.simulator.dry_friction()[:, 1], [0.1, 0.05])


def test_torch_obeys_as_numpy_does(full, torch_env, tools):
    domain = {"parameters": FULL}
    ours = tools[1](Sim2RealVectorEnv(full, 3, domain, 12), 30)
    theirs = tools[1](torch_env(full, 3, domain, 12), 30)
    np.testing.assert_allclose(theirs, ours, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("engine", [Engine("bullet", 1), Engine("bullet", 2), Engine("mujoco", 1, play=True)])
def test_laws_act_in_bullet_and_with_play_as_in_mujoco(full, engine, tools):
    domain = {"parameters": FULL}
    ours = tools[1](Sim2RealVectorEnv(full, 4, domain, 12, simulator=engine), 30)
    np.testing.assert_allclose(ours, tools[1](Sim2RealVectorEnv(full, 4, domain, 12), 30), atol=1e-6)


@pytest.mark.slow
def test_laws_act_in_warp_as_in_mujoco(full, tools):
    domain = {"parameters": FULL}
    ours = tools[1](Sim2RealVectorEnv(full, 4, domain, 12, simulator="warp"), 24)
    np.testing.assert_allclose(ours, tools[1](Sim2RealVectorEnv(full, 4, domain, 12), 24), atol=2e-3)


def test_neutral_laws_are_bit_identical_to_none(full, geared_world, tools):
    ours, theirs = (tools[1](Sim2RealVectorEnv(w, 3, None, 9), 20) for w in (full, geared_world([])))
    np.testing.assert_array_equal(ours, theirs)
