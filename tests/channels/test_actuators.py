"""Actuators: what arrives of each command, against plain loops over the commands that were given."""

import mujoco
import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.stats import chisquare, kstest

from sim2real.channels.laws import UNLIMITED, goal_law
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName

MOTOR = '<motor name="motor" joint="slider" ctrlrange="-10 10"/>'
SERVO = '<position name="motor" joint="slider" kp="40" kv="4" ctrlrange="-10 10"/>'


@pytest.fixture
def arrive(make_world, tools, pendulum_files):
    """Commands that were given and that arrived, with one parameter at a value. Each (steps, num_envs)."""
    table, _ = tools

    def run(rows, physics, steps=60, num_envs=4, actuator=MOTOR):
        scene = pendulum_files[0].replace(MOTOR, actuator)
        assert actuator in scene
        env = Sim2RealVectorEnv(make_world(*(table(*row) for row in rows), scene=scene), num_envs)
        env.set_physics(tuple(physics), np.tile(list(physics.values()), (num_envs, 1)))
        env.reset(seed=0)
        rng, given, arrived = np.random.default_rng(1), [], []
        for _ in range(steps):
            action = rng.uniform(-1, 1, (num_envs, 1))
            env.step(action)
            given.append(10.0 * action[:, 0])
            arrived.append(env.simulator._ctrl[:, 0].copy())
        return np.array(given), np.array(arrived)

    return run


def test_commands_are_rounded_to_the_nearest_multiple(arrive):
    given, arrived = arrive([("motor.command_resolution", 0)], {"motor.command_resolution": 0.8})
    np.testing.assert_allclose(arrived, 0.8 * np.round(given / 0.8), atol=1e-12)


def test_noise_of_commands_is_white(arrive):
    given, arrived = arrive([("motor.command_noise", 0)], {"motor.command_noise": 0.5}, 400, 8)
    assert kstest((arrived - given).ravel() / 0.5, "norm").pvalue > 1e-3


def test_rate_limit_follows_the_command_from_the_initial_one(arrive):
    given, arrived = arrive([("motor.rate_limit", 1e6)], {"motor.rate_limit": 100.0})
    last = np.zeros(given.shape[1])
    for u, v in zip(given, arrived, strict=True):
        last = last + np.clip(u - last, -2.0, 2.0)  # 100 N/s for 0.02 s
        np.testing.assert_allclose(v, last, atol=1e-12)


def test_a_braking_goal_is_that_of_the_replay(arrive):
    rows = [("motor.goal_braking", 1e6, "m/s²")]
    given, arrived = arrive(rows, {"motor.goal_braking": 400.0}, actuator=SERVO)
    np.testing.assert_allclose(arrived, means(UNLIMITED, 400.0, given), atol=1e-12)
    assert np.abs(arrived - given).max() > 1.0


def means(speed, braking, given):
    """Of the goal that a replay moves once a physics step, over each control step."""
    state, limits, found = (np.zeros(given.shape[1]),) * 2, (np.full(given.shape[1], speed), braking), []
    for u in given:
        goals = []
        for _ in range(4):
            state = goal_law(np, limits, 0.005)(state, u)
            goals.append(state[0])
        found.append(np.mean(goals, axis=0))
    return found


def test_a_servo_limited_in_speed_moves_its_goal_as_in_the_replay(arrive):
    rows = [("motor.rate_limit", 1e6, "m/s"), ("motor.goal_braking", 1e6, "m/s²")]
    values = {"motor.rate_limit": 20.0, "motor.goal_braking": 400.0}
    for count in (1, 2):
        chosen = dict(list(values.items())[:count])
        given, arrived = arrive(rows[:count], chosen, actuator=SERVO)
        braking = chosen.get("motor.goal_braking", UNLIMITED)
        np.testing.assert_allclose(arrived, means(20.0, braking, given), atol=1e-9)


def test_dead_zone_of_a_motor_swallows_the_same_of_every_command(arrive):
    given, arrived = arrive([("motor.deadband", 0)], {"motor.deadband": 3.0})
    np.testing.assert_allclose(arrived, np.sign(given) * np.maximum(np.abs(given) - 3.0, 0), atol=1e-12)
    assert (arrived == 0).mean() == pytest.approx(0.3, abs=0.1)


def test_a_servo_holds_its_goal_until_it_moves_by_more_than_the_deadband(arrive):
    given, arrived = arrive([("motor.deadband", 0)], {"motor.deadband": 3.0}, actuator=SERVO)
    goal = np.zeros(given.shape[1])  # the task's initial command
    for u, v in zip(given, arrived, strict=True):
        goal = np.where(np.abs(u - goal) > 3.0, u, goal)
        np.testing.assert_array_equal(v, goal)


def test_order_is_that_of_physics_toml(make_world, tools):
    rows = [tools[0]("motor.deadband", 0), tools[0]("motor.command_resolution", 0)]
    ends = []
    for order in ('["deadband", "command_resolution"]', '["command_resolution", "deadband"]'):
        world = make_world(f"[channels]\nactuators = {order}", *rows)
        env = Sim2RealVectorEnv(world, 1)
        env.set_physics(("motor.deadband", "motor.command_resolution"), np.array([[1.0, 4.0]]))
        env.reset(seed=0)
        env.step(np.array([[0.65]]))
        ends.append(env.simulator._ctrl[0, 0])
    assert ends == [4.0, 7.0]  # 6.5 - 1 = 5.5 becomes 4; 6.5 becomes 8, less 1


def test_jitter_is_a_uniform_number_of_physics_steps_on_top_of_the_latency(make_world, tools):
    """And does what a plain loop does whose delays are set before every control step."""
    world = make_world(tools[0]("motor.latency_jitter", 0, "physics steps", None, [0, 3]))
    env = Sim2RealVectorEnv(world, 6)
    env.set_physics(("motor.latency", "motor.latency_jitter"), np.tile([2.0, 3.0], (6, 1)))
    env.set_physics(("motor.latency_jitter",), np.array([[0.0]]), np.array([5]))
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    model = world.model
    data = mujoco.MjData(model)
    data.qpos[:] = env.simulator.qpos[1]
    delays = []
    for _ in range(150):
        action = rng.uniform(-1, 1, (6, 1))
        env.step(action)
        delays.append(env.simulator._batch.expanded("actuator_delay")[:, 0].copy())
        model.actuator_delay[0] = delays[-1][1]
        data.ctrl[0] = 10 * action[1, 0]
        for _ in range(4):
            mujoco.mj_step(model, data)
        np.testing.assert_allclose(env.simulator.qpos[1], data.qpos, atol=1e-10)
    steps = np.round(np.array(delays) / 0.005 + 0.5).astype(int)
    assert set(np.unique(steps[:, 5])) == {2}
    counts = np.bincount(steps[:, :5].ravel(), minlength=6)
    assert counts[:2].sum() == 0
    assert chisquare(counts[2:]).pvalue > 1e-3
    env.set_physics(("motor.latency_jitter",), np.zeros((6, 1)))
    env.step(np.zeros((6, 1)))
    np.testing.assert_allclose(env.simulator._batch.expanded("actuator_delay"), 1.5 * 0.005)


def test_latency_and_jitter_longer_than_the_buffer(make_world, tools):
    world = make_world(tools[0]("motor.latency_jitter", 0, "physics steps", None, [0, 3]))
    assert world.model.actuator_history[0, 0] == 9  # 6 of a variant, and 3
    said = r"of {} physics steps does not fit the buffer of {}; "
    with pytest.raises(InvalidValue, match=r"motor\.latency \+ motor\.latency_jitter " + said.format(10, 9)):
        world.domain({"parameters": {"motor.latency": 6, "motor.latency_jitter": {"uniform": [0, 4]}}})
    env = Sim2RealVectorEnv(world, 1)
    for name, value, room in (("motor.latency", 7, 6), ("motor.latency_jitter", 4, 3)):
        with pytest.raises(InvalidValue, match=name + " " + said.format(value, room) + "let its range"):
            env.set_physics((name,), np.array([[float(value)]]))


@pytest.fixture
def network(make_world, tools, tmp_path):
    """A world with a learned correction, and its layers."""
    rng = np.random.default_rng(0)
    layers = {
        "0.weight": rng.normal(size=(8, 3)),
        "0.bias": rng.normal(size=8),
        "1.weight": rng.normal(size=(1, 8)),
        "1.bias": rng.normal(size=1),
    }

    def make(changes=(), file="correction.safetensors", tables=()):
        kept = {**layers, **dict(changes)}
        (tmp_path / "pendulum").mkdir(exist_ok=True)
        save_file(
            {k: v for k, v in kept.items() if v is not None}, tmp_path / "pendulum" / "correction.safetensors"
        )
        return make_world(f'[channels]\ncorrection = "{file}"', tools[0]("motor.correction", 0, "1"), *tables)

    return make, layers


def test_correction_adds_its_share_of_what_the_network_says(network):
    make, layers = network
    env = Sim2RealVectorEnv(make(), 2)
    env.set_physics(("motor.correction",), np.array([[0.7], [0.0]]))
    env.reset(seed=0)
    rng = np.random.default_rng(1)
    for _ in range(10):
        action = rng.uniform(-1, 1, (2, 1))
        seen = np.array([10 * action[0, 0], env.simulator.qpos[0, 0], env.simulator.qvel[0, 0]])
        hidden = np.tanh(layers["0.weight"] @ seen + layers["0.bias"])
        said = layers["1.weight"] @ hidden + layers["1.bias"]
        env.step(action)
        assert env.simulator._ctrl[0, 0] == pytest.approx(10 * action[0, 0] + 0.7 * said[0], abs=1e-12)
        assert env.simulator._ctrl[1, 0] == 10 * action[1, 0]


def test_torch_moves_as_numpy_does(network, tools, torch_env):
    """Every filter, the correction and jittering latency at once."""
    table, roll = tools
    make, _ = network
    magnitudes = {
        "command_resolution": (0.5, 0),
        "rate_limit": (60.0, 1e6),
        "goal_braking": (300.0, 1e6),
        "deadband": (1.0, 0),
        "command_noise": (0.3, 0),
        "correction": (0.1, 0),
        "latency_jitter": (3, 0),
    }
    rows = []
    for quantity, (_, neutral) in magnitudes.items():
        unit = {"goal_braking": "m/s²", "latency_jitter": "physics steps"}.get(quantity)
        if quantity != "correction":
            rows.append(
                table(f"motor.{quantity}", neutral, unit, None, [0, 3] if unit == "physics steps" else None)
            )
    world = make(tables=rows)
    physics = {f"motor.{quantity}": float(magnitude) for quantity, (magnitude, _) in magnitudes.items()}
    ours = roll(Sim2RealVectorEnv(world, 4), 40, physics=physics)
    theirs = roll(torch_env(world, 4), 40, physics=physics)
    np.testing.assert_allclose(theirs, ours, atol=1e-6)
    for name, (_, neutral) in magnitudes.items():  # none of them is at rest
        without = physics | {f"motor.{name}": float(neutral)}
        assert np.abs(roll(Sim2RealVectorEnv(world, 4), 40, physics=without) - ours).max() > 1e-3, name


def test_networks_that_do_not_fit(network, make_world, tools, tmp_path):
    make, _ = network
    for change in ({"0.weight": np.zeros((8, 4))}, {"1.bias": None}, {"1.weight": np.zeros((2, 8))}):
        with pytest.raises(InvalidValue, match=r"needs 0\.weight, 0\.bias, \.\.\. from 3 inputs"):
            Sim2RealVectorEnv(make(change))
    with pytest.raises(InvalidValue, match="has weights that are not finite"):
        Sim2RealVectorEnv(make({"1.bias": np.array([np.nan])}))
    with pytest.raises(InvalidValue, match=r"missing\.safetensors is no network in safetensors format"):
        Sim2RealVectorEnv(make(file="missing.safetensors"))
    (tmp_path / "pendulum" / "pickle.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(InvalidValue, match=r"pickle\.safetensors is no network in safetensors format"):
        Sim2RealVectorEnv(make(file="pickle.safetensors"))
    with pytest.raises(InvalidValue, match=r"but no network; name its file in physics\.toml: \[channels\]"):
        Sim2RealVectorEnv(make_world(tools[0]("motor.correction", 0, "1"), name="none"))


def test_a_dead_motor_gives_nothing_and_a_stuck_joint_stays(make_world, tools):
    rows = [("motor.strength", 1, "1"), ("slider.stuck", 0, "1"), ("hinge.stuck", 0, "1")]
    world = make_world(*(tools[0](*row) for row in rows))
    env = Sim2RealVectorEnv(world, 3)
    env.set_physics(("motor.strength",), np.array([[0.0]]), np.array([0]))
    env.set_physics(("slider.stuck", "hinge.stuck"), np.ones((1, 2)), np.array([1]))
    env.reset(seed=0)
    start, force = env.simulator.qpos.copy(), env.simulator.actuator_force()
    for step in range(50):
        env.step(np.full((3, 1), (-1.0) ** (step // 10)))
        assert force[0, 0] == 0.0
        assert abs(force[1, 0]) == 10.0
    assert np.abs(env.simulator.qpos - start)[1].max() < 5e-3
    assert np.abs(env.simulator.qpos - start)[2].max() > 0.1


def test_a_misspelt_actuator(make_world, tools):
    with pytest.raises(UnknownName, match=r"actuator for parameter moter\.deadband: 'moter': did you mean"):
        Sim2RealVectorEnv(make_world(tools[0]("moter.deadband", 0, "N")))


def test_a_jitter_that_the_domain_alone_names_has_room():
    env = Sim2RealVectorEnv("hopper", 2, {"parameters": {"hip_motor.latency_jitter": 3}})
    env.reset(seed=0)
    assert env.physics(0)["hip_motor.latency_jitter"] == 3.0
    env.step(np.zeros((2, 3), dtype=np.float32))
