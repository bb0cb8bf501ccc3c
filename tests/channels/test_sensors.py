"""Sensors against the clean reading of a twin that takes the same actions, and closed forms."""

import numpy as np
import pytest
from scipy.stats import kstest

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName
from sim2real.simulators import Engine
from sim2real.world import World

SIGNALS = ("cart_position", "pole_cos", "pole_sin", "cart_velocity", "pole_velocity")
SCALES = np.array([1.8, 1.0, 1.0, 4.0, 10.0])


@pytest.fixture
def read(make_world, tools):
    """Readings of a world with one sensor parameter at a value, and of its clean twin, in units."""
    table, roll = tools

    def run(tables, physics, steps=200, num_envs=8):
        world = make_world(*(table(*row) for row in tables))
        clean = roll(Sim2RealVectorEnv(world, num_envs), steps)
        return roll(Sim2RealVectorEnv(world, num_envs), steps, physics=physics) * SCALES, clean * SCALES

    return run


def test_white_noise_has_its_standard_deviation_and_no_memory(read):
    noisy, clean = read([("cart_velocity.noise", 0)], {"cart_velocity.noise": 0.2}, 600, 16)
    error = (noisy - clean)[:, :, 3]
    np.testing.assert_array_equal(noisy[..., [0, 1, 2, 4]], clean[..., [0, 1, 2, 4]])
    assert kstest(error.ravel() / 0.2, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(error[1:].ravel(), error[:-1].ravel())[0, 1]) < 0.04
    assert abs(np.corrcoef(error[:, 0], error[:, 1])[0, 1]) < 0.15


def test_signals_have_noise_of_their_own(read):
    rows = [("pole.noise", 0, "1", ("pole_cos", "pole_sin"))]
    noisy, clean = read(rows, {"pole.noise": 0.1}, 300)
    error = (noisy - clean)[..., 1:3].reshape(-1, 2)
    np.testing.assert_allclose(error.std(axis=0), 0.1, rtol=0.1)
    assert abs(np.corrcoef(error.T)[0, 1]) < 0.1


def test_bias_and_gain_are_an_affine_reading(read):
    rows = [("cart_position.bias", 0), ("cart_position.sensor_gain", 1, "1")]
    biased, clean = read(rows, {"cart_position.bias": 0.3, "cart_position.sensor_gain": 1.2}, 30)
    np.testing.assert_allclose(biased[..., 0], 1.2 * clean[..., 0] + 0.3, atol=1e-6)


@pytest.mark.slow
def test_drifting_bias_is_a_random_walk_from_zero(read):
    """Its variance grows as time: σ² t, with independent increments (Wiener process)."""
    drifting, clean = read([("pole_cos.bias_drift", 0)], {"pole_cos.bias_drift": 0.5}, 200, 200)
    bias = (drifting - clean)[..., 1]
    np.testing.assert_array_equal(bias[0], 0.0)
    for step in (50, 200):
        assert bias[step].std() == pytest.approx(0.5 * np.sqrt(step * 0.02), rel=0.15)
    increments = np.diff(bias, axis=0)
    assert abs(np.corrcoef(increments[1:].ravel(), increments[:-1].ravel())[0, 1]) < 0.03


def test_rounding_is_to_the_nearest_multiple(read):
    coarse, clean = read([("cart_velocity.resolution", 0)], {"cart_velocity.resolution": 0.25}, 60)
    np.testing.assert_allclose(coarse[..., 3], 0.25 * np.round(clean[..., 3] / 0.25), atol=1e-6)
    assert len(np.unique(coarse[..., 3].round(6))) < 40


@pytest.mark.parametrize("latency", [1, 3])
def test_latency_is_the_signal_shifted_by_whole_steps(read, latency):
    late, clean = read(
        [("cart_velocity.sensor_latency", 0, "control steps", None, [0, 5])],
        {"cart_velocity.sensor_latency": latency},
        60,
    )
    np.testing.assert_array_equal(late[latency:, :, 3], clean[:-latency, :, 3])
    np.testing.assert_array_equal(late[:latency, :, 3], clean[:1, :, 3].repeat(latency, axis=0))
    np.testing.assert_array_equal(late[..., :3], clean[..., :3])


def test_rows_have_latencies_of_their_own_across_episodes(make_world, tools):
    """After an autoreset nothing of the last episode is read."""
    table, roll = tools
    world = make_world(table("cart_velocity.sensor_latency", 0, "control steps", None, [0, 5]))
    clean = roll(Sim2RealVectorEnv(world, 4, max_episode_steps=7), 20)
    env = Sim2RealVectorEnv(world, 4, max_episode_steps=7)
    env.set_physics(("cart_velocity.sensor_latency",), np.array([[0.0], [1.0], [2.0], [5.0]]))
    late = roll(env, 20)
    for row, latency in enumerate((0, 1, 2, 5)):
        for step in range(21):
            age = min(latency, step % 7)
            assert late[step, row, 3] == clean[step - age, row, 3]


def test_a_slow_sensor_is_stale_between_its_samples(read):
    slow, clean = read(
        [("cart_velocity.sensor_period", 1, "control steps")], {"cart_velocity.sensor_period": 4}, 41
    )
    steps = np.arange(42)
    np.testing.assert_array_equal(slow[..., 3], clean[steps - steps % 4, :, 3])


def test_dropout_repeats_the_last_reading_with_its_chance(read):
    holed, clean = read([("cart_velocity.dropout", 0, "1")], {"cart_velocity.dropout": 0.3}, 400)
    fresh = holed[..., 3] == clean[..., 3]
    assert fresh[0].all()
    assert 1 - fresh[1:].mean() == pytest.approx(0.3, abs=0.03)
    np.testing.assert_array_equal(holed[1:, :, 3][~fresh[1:]], holed[:-1, :, 3][~fresh[1:]])


def test_spikes_have_their_size_and_share_either_way(read):
    rows = [("cart_velocity.spike", 0, "1"), ("cart_velocity.spike_size", 1.0)]
    spiky, clean = read(rows, {"cart_velocity.spike": 0.1, "cart_velocity.spike_size": 2.0}, 400)
    error = (spiky - clean)[..., 3].round(5)
    assert set(np.unique(error)) == {-2.0, 0.0, 2.0}
    for size in (-2.0, 2.0):
        assert (error == size).mean() == pytest.approx(0.05, abs=0.015)


def test_order_is_that_of_physics_toml(make_world, tools):
    """Rounded before the noise, a reading is no multiple; after it, it is."""
    table, roll = tools
    rows = [table("pole_cos.noise", 0), table("pole_cos.resolution", 0)]
    physics = {"pole_cos.noise": 0.1, "pole_cos.resolution": 0.25}
    default = roll(Sim2RealVectorEnv(make_world(*rows), 2), 50, physics=physics)[..., 1]
    np.testing.assert_allclose(default, 0.25 * np.round(default / 0.25), atol=1e-6)
    turned = make_world('[channels]\nsensors = ["resolution", "noise"]', *rows)
    other = roll(Sim2RealVectorEnv(turned, 2), 50, physics=physics)[..., 1]
    assert np.abs(other - 0.25 * np.round(other / 0.25)).max() > 0.05


def test_an_encoders_offset_is_read_by_the_servo_and_by_the_sensor(write_world, tools):
    """The servo holds what it reads: the arm stands off by the offset, and its goal error reads none."""
    catalogued = World.load("so101")
    physics = (catalogued.path / "physics.toml").read_text()
    offset = tools[0]("elbow_flex.encoder_offset", 0, "rad")
    world = World.load(write_world((catalogued.path / "scene.xml").read_text(), physics + offset, "so101"))
    env = Sim2RealVectorEnv(world, 2)
    env.set_physics(("elbow_flex.encoder_offset",), np.array([[0.1], [0.0]]))
    observation, _ = env.reset(seed=0)
    names = [signal.name for signal in env.task.observation]
    angle, error = names.index("elbow_flex_angle"), names.index("elbow_flex_goal_error")
    truth = env.simulator.qpos[:, 2].copy()
    np.testing.assert_allclose(observation[:, angle] - truth, [0.1, 0.0], atol=1e-6)
    np.testing.assert_allclose(observation[:, error], [-0.1 / 0.3, 0.0], atol=1e-6)
    for _ in range(30):
        observation, *_ = env.step(np.zeros((2, 6)))
    moved = env.simulator.qpos[:, 2] - truth
    assert moved[0] - moved[1] == pytest.approx(-0.1, abs=0.005)
    np.testing.assert_allclose(observation[:, error], 0.0, atol=0.02)
    np.testing.assert_allclose(observation[0, angle] - env.simulator.qpos[0, 2], 0.1, atol=1e-6)


SOME_OF_ALL = [
    ("pole.noise", 0, "1", ("pole_cos", "pole_sin")),
    ("speeds.bias_drift", 0, "m/s", ("cart_velocity",)),
    ("cart_position.bias", 0),
    ("cart_position.sensor_gain", 1, "1"),
    ("all.sensor_latency", 0, "control steps", SIGNALS, [0, 4]),
    ("all.sensor_period", 1, "control steps", SIGNALS, [1, 4]),
    ("all.dropout", 0, "1", SIGNALS, [0, 0.3]),
    ("pole_velocity.spike", 0, "1"),
    ("pole_velocity.spike_size", 1.0),
    ("pole_velocity.resolution", 0),
]
ALL_ON = {
    "pole.noise": {"uniform": [0.0, 0.1]},
    "speeds.bias_drift": {"uniform": [0.0, 0.3]},
    "cart_position.bias": {"uniform": [-0.1, 0.1]},
    "cart_position.sensor_gain": {"uniform": [0.9, 1.1]},
    "all.sensor_latency": {"uniform": [0, 3]},
    "all.sensor_period": {"uniform": [1, 3]},
    "all.dropout": {"uniform": [0, 0.2]},
    "pole_velocity.spike": {"uniform": [0, 0.2]},
    "pole_velocity.spike_size": {"uniform": [0.1, 0.2]},
    "pole_velocity.resolution": {"uniform": [0, 0.2]},
}


@pytest.fixture
def world(make_world, tools):
    return make_world(*(tools[0](*row) for row in SOME_OF_ALL))


def test_neutral_is_bit_identical_to_no_channels(world, make_world, tools):
    bare = make_world(name="bare")
    ours, theirs = (tools[1](Sim2RealVectorEnv(w, 4, max_episode_steps=9), 30) for w in (world, bare))
    np.testing.assert_array_equal(ours, theirs)


def test_neutral_rows_beside_others_are_bit_identical_to_no_channels(world, make_world, tools):
    env = Sim2RealVectorEnv(world, 4, max_episode_steps=9)
    values = [0.1, 0.1, 0.1, 1.1, 2, 2, 0.2, 0.1, 1.0, 0.1]
    env.set_physics(tuple(ALL_ON), np.tile(values, (2, 1)), np.array([0, 2]))
    ours = tools[1](env, 30)
    bare = tools[1](Sim2RealVectorEnv(make_world(name="bare"), 4, max_episode_steps=9), 30)
    np.testing.assert_array_equal(ours[:, [1, 3]], bare[:, [1, 3]])
    assert (ours[:, [0, 2]] != bare[:, [0, 2]]).mean() > 0.3


@pytest.mark.parametrize("threads", [1, 2])
def test_an_episode_reads_the_same_in_any_company(world, threads):
    """Row by row alone, and in a batch with other episodes."""
    domain, episodes = {"parameters": ALL_ON}, np.array([4, 9, 2])
    actions = np.random.default_rng(0).uniform(-1, 1, (25, 3, 1))
    batch = Sim2RealVectorEnv(world, 3, domain, 30, autoreset=False, simulator=Engine("mujoco", threads))
    batch.number_episodes(episodes, seed=5)
    together = [batch.reset()[0], *(batch.step(a)[0] for a in actions)]
    for row, episode in enumerate(episodes):
        alone = Sim2RealVectorEnv(world, 1, domain, 30, autoreset=False)
        alone.number_episodes(np.array([episode]), seed=5)
        seen = [alone.reset()[0], *(alone.step(a[row : row + 1])[0] for a in actions)]
        np.testing.assert_array_equal(np.array(seen)[:, 0], np.array(together)[:, row])


def test_an_episode_reads_the_same_after_another_one(world):
    """What an autoreset begins is what a reset begins."""
    domain = {"parameters": ALL_ON}
    actions = np.random.default_rng(0).uniform(-1, 1, (20, 2, 1))
    env = Sim2RealVectorEnv(world, 2, domain, max_episode_steps=10)
    env.reset(seed=5)
    rolled = np.array([env.step(a)[0] for a in actions])
    later = Sim2RealVectorEnv(world, 2, domain, max_episode_steps=10)
    later.number_episodes(np.array([2, 3]), seed=5)
    again = [later.reset()[0], *(later.step(a)[0] for a in actions[10:19])]
    np.testing.assert_array_equal(np.array(again), rolled[9:19])


def test_torch_reads_what_numpy_reads(world, torch_env, tools):
    domain = {"parameters": ALL_ON}
    ours = tools[1](Sim2RealVectorEnv(world, 4, domain, 12), 40)
    theirs = tools[1](torch_env(world, 4, domain, 12), 40)
    np.testing.assert_allclose(theirs, ours, atol=1e-6)


def test_misspelt_sensor_is_suggested(make_world, tools):
    world = make_world(tools[0]("encoders.noise", 0, "1", ("pole_coz",)))
    with pytest.raises(
        UnknownName, match=r"signal for parameter encoders\.noise: 'pole_coz': did you mean 'pole_cos'"
    ):
        Sim2RealVectorEnv(world)


def test_a_parameter_in_another_unit_than_its_signal(make_world, tools):
    world = make_world(tools[0]("speeds.noise", 0, "m/s", ("cart_velocity", "pole_velocity")))
    with pytest.raises(
        InvalidValue, match=r"speeds\.noise is given in 'm/s', but 'pole_velocity' is read in 'rad/s'; give"
    ):
        Sim2RealVectorEnv(world)


def test_spikes_need_a_size(make_world, tools):
    world = make_world(tools[0]("pole_cos.spike", 0, "1"))
    with pytest.raises(InvalidValue, match=r"has no spike_size for 'pole_cos'; give it a parameter"):
        Sim2RealVectorEnv(world)


def test_a_latency_longer_than_the_buffer(make_world, tools):
    world = make_world(tools[0]("pole_cos.sensor_latency", 0, "control steps", None, [0, 3]))
    env = Sim2RealVectorEnv(world, 2)
    with pytest.raises(
        InvalidValue,
        match=r"pole_cos\.sensor_latency of 4 control steps does not fit the buffer of 3; let its range",
    ):
        env.set_physics(("pole_cos.sensor_latency",), np.array([[1.0], [4.0]]))
    longer = Sim2RealVectorEnv(world, 2, {"parameters": {"pole_cos.sensor_latency": 9}})
    assert longer.physics(0)["pole_cos.sensor_latency"] == 9


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ('sensors = ["nois", "resolution"]', "sensors of .* 'nois': did you mean 'noise'"),
        ('sensors = ["noise", "noise"]', "sensors of .* where a list of different names is meant"),
        ('sensors = "noise"', "sensors of .* leave out 'resolution', which the world has a parameter of"),
        ("actuators = 3", "actuators of .* are 3 where a list of different names is meant"),
        ('sensor = ["noise"]', "unknown channels in pendulum: 'sensor': did you mean 'sensors'"),
    ],
)
def test_wrong_order(make_world, tools, channels, said):
    rows = [tools[0]("pole_cos.noise", 0), tools[0]("pole_cos.resolution", 0)]
    with pytest.raises((UnknownName, InvalidValue), match=said):
        make_world(f"[channels]\n{channels}", *rows)
