"""Drift and redraws against closed forms; every episode begins with its own values."""

import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName


def physics_of(env, name):
    return np.array([env.physics(row)[name] for row in range(env.num_envs)])


def still(env):
    return env.step(np.zeros(env.action_space.shape))


ROWS = [
    ("motor.strength", 1, "1", None, [0.5, 1.5]),
    ("motor.strength.drift", 0, "1/s"),
    ("pole.mass.drift", 0, "kg/s"),
    ("pole.mass.redraw", 0, "s"),
    ("motor.latency.drift", 0, "physics steps/s"),
    ("cart_velocity.noise", 0, "m/s", None, [0, 1]),
    ("cart_velocity.noise.drift", 0, "m/s²"),
    ("cart_velocity.sensor_latency", 0, "control steps", None, [0, 4]),
    ("cart_velocity.sensor_latency.redraw", 0, "s"),
]


@pytest.fixture
def world(make_world, tools):
    return make_world(*(tools[0](*row) for row in ROWS))


def test_drift_is_linear_in_time_from_the_own_value(world):
    env = Sim2RealVectorEnv(world, 3, max_episode_steps=50)
    names = ("motor.strength", "motor.strength.drift", "pole.mass.drift", "motor.latency.drift")
    values = np.array([[1.0, -0.5, 0.2, 3.0], [0.8, 0.0, 0.0, 0.0], [1.2, -4.0, 0.0, 0.0]])
    env.set_physics(names, values)
    env.reset(seed=0)
    for k in range(120):
        still(env)
        t = 0.02 * (k % 50)  # what acted in this step was written at its start
        if k % 50 == 49:  # a new episode has begun
            t = 0.0
        strength = np.maximum(values[:, 0] + values[:, 1] * t, 0.0)
        np.testing.assert_allclose(physics_of(env, "motor.strength"), strength, atol=1e-12)
        gain = env.simulator._batch.expanded("actuator_gainprm")[:, 0, 0]
        np.testing.assert_allclose(gain, strength, atol=1e-12)
        np.testing.assert_allclose(physics_of(env, "pole.mass"), 0.1 + values[:, 2] * t, atol=1e-12)
        np.testing.assert_array_equal(physics_of(env, "motor.latency"), np.round(values[:, 3] * t))


def test_drift_begins_again_from_what_each_episode_draws(world):
    domain = {"parameters": {"motor.strength": {"uniform": [0.6, 1.4]}, "motor.strength.drift": -0.5}}
    env = Sim2RealVectorEnv(world, 4, domain, max_episode_steps=10)
    calm = Sim2RealVectorEnv(world, 4, {"parameters": {"motor.strength": {"uniform": [0.6, 1.4]}}}, 10)
    env.reset(seed=0), calm.reset(seed=0)
    for k in range(35):
        own = physics_of(calm, "motor.strength")
        still(calm)
        still(env)
        if k % 10 == 9:
            own = physics_of(calm, "motor.strength")
        t = 0.0 if k % 10 == 9 else 0.02 * (k % 10)
        np.testing.assert_allclose(physics_of(env, "motor.strength"), own - 0.5 * t, atol=1e-12)


def test_what_is_set_after_a_drift_stays(world):
    env = Sim2RealVectorEnv(world, 2, max_episode_steps=20)
    env.set_physics(("motor.strength.drift",), np.array([[-1.0], [0.0]]))
    env.reset(seed=0)
    for _ in range(10):
        still(env)
    assert physics_of(env, "motor.strength").tolist() == [pytest.approx(1 - 0.18), 1.0]
    env.set_physics(("motor.strength.drift",), np.zeros((2, 1)))
    still(env)
    assert physics_of(env, "motor.strength").tolist() == [1.0, 1.0]
    assert env._channels.schedule is None


def test_redraws_come_at_their_interval_from_the_training_range(world):
    env = Sim2RealVectorEnv(world, 200, max_episode_steps=40)
    env.set_physics(("pole.mass.redraw",), np.where(np.arange(200) < 150, 0.2, 0.0)[:, None])
    env.reset(seed=0)
    path = []
    for _ in range(45):
        still(env)
        path.append(physics_of(env, "pole.mass"))
    path = np.array(path)
    np.testing.assert_array_equal(path[:, 150:], 0.1)
    changed = np.flatnonzero((np.diff(path[:, :150], axis=0) != 0).all(axis=1)) + 1
    assert changed.tolist() == [10, 20, 30, 39]  # the last is a new episode
    np.testing.assert_array_equal(path[:10], 0.1)
    np.testing.assert_array_equal(path[39], 0.1)
    drawn = path[[10, 20, 30], :150]
    assert 0.05 <= drawn.min() < 0.06
    assert 0.19 < drawn.max() <= 0.2


def test_redraws_are_from_the_envs_domain_where_it_has_one(world):
    domain = {"parameters": {"pole.mass": {"uniform": [0.3, 0.4]}, "pole.mass.redraw": 0.1}}
    env = Sim2RealVectorEnv(world, 20, domain, max_episode_steps=40)
    env.reset(seed=0)
    for _ in range(30):
        still(env)
        assert ((physics_of(env, "pole.mass") >= 0.3) & (physics_of(env, "pole.mass") <= 0.4)).all()


ALL = {
    "parameters": {
        "motor.strength": {"uniform": [0.6, 1.4]},
        "motor.strength.drift": {"uniform": [-1, 1]},
        "pole.mass.redraw": 0.1,
        "cart_velocity.noise.drift": {"uniform": [0, 1]},
        "cart_velocity.sensor_latency.redraw": 0.06,
    }
}


def test_an_episode_changes_the_same_in_any_company_and_after_any_other(world):
    actions = np.random.default_rng(0).uniform(-1, 1, (20, 3, 1))
    batch = Sim2RealVectorEnv(world, 3, ALL, 12)
    batch.reset(seed=5)
    together = np.array([batch.step(a)[0] for a in actions])
    for row in range(3):
        alone = Sim2RealVectorEnv(world, 1, ALL, 12)
        alone.number_episodes(np.array([row + 3]), seed=5)
        seen = [alone.reset()[0], *(alone.step(a[row : row + 1])[0] for a in actions[12:])]
        np.testing.assert_array_equal(np.array(seen)[:, 0], together[11:, row])


def test_torch_changes_as_numpy_does(world, torch_env, tools):
    ours = tools[1](Sim2RealVectorEnv(world, 3, ALL, 12), 30)
    np.testing.assert_allclose(tools[1](torch_env(world, 3, ALL, 12), 30), ours, atol=1e-6)


def test_neutral_is_bit_identical_to_no_schedule(world, make_world, tools):
    bare = make_world(tools[0](*ROWS[0]), name="bare")
    ours, theirs = (tools[1](Sim2RealVectorEnv(w, 3, None, 9), 20) for w in (world, bare))
    np.testing.assert_array_equal(ours, theirs)


def test_redraw_from_nothing(make_world, tools):
    rows = [("cart_velocity.noise", 0), ("cart_velocity.noise.redraw", 0, "s")]
    world = make_world(*(tools[0](*row) for row in rows))
    said = r"cart_velocity\.noise should be drawn anew within episodes, but from nothing; give it a range"
    with pytest.raises(InvalidValue, match=said):
        Sim2RealVectorEnv(world)
    Sim2RealVectorEnv(world, 1, {"parameters": {"cart_velocity.noise": {"uniform": [0, 1]}}})


def test_drift_of_a_parameter_that_is_not_there(make_world, tools):
    with pytest.raises(UnknownName, match=r"'pole\.mas': did you mean 'pole\.mass'"):
        make_world(tools[0]("pole.mas.drift", 0, "kg/s"))


def together(make_world, tools):
    """A world with one interval for three parameters."""
    rows = [
        ("motor.strength", 1, "1", None, [0.5, 1.5]),
        ("motor.latency_jitter", 0, "physics steps", None, [0, 2]),
    ]
    both = tools[0]("all.redraw", 0, "s", ["motor.strength", "pole.mass", "motor.latency_jitter"])
    return make_world(*(tools[0](*row) for row in rows), both)


def redrawn(world, domain, rows=3000):
    """Values of all rows after one redraw."""
    domain = {
        "parameters": {**domain["parameters"], "all.redraw": 0.02},
        **{k: v for k, v in domain.items() if k != "parameters"},
    }
    env = Sim2RealVectorEnv(world, rows, domain, max_episode_steps=50)
    env.reset(seed=0)
    before = {name: physics_of(env, name) for name in domain["parameters"]}
    still(env), still(env)
    return before, {name: physics_of(env, name) for name in domain["parameters"]}


def test_both_ends_of_whole_numbers_are_drawn_as_often_as_the_others(make_world, tools):
    domain = {
        "parameters": {"motor.latency_jitter": {"uniform": [0, 2]}, "pole.mass": {"uniform": [0.1, 0.2]}}
    }
    _, after = redrawn(together(make_world, tools), domain)
    counts = np.unique(after["motor.latency_jitter"], return_counts=True)
    assert counts[0].tolist() == [0, 1, 2]
    np.testing.assert_allclose(counts[1] / 3000, 1 / 3, atol=0.04)  # 0.25 at the ends if they were rounded to


def test_correlated_parameters_are_redrawn_correlated(make_world, tools):
    domain = {
        "parameters": {"motor.strength": {"uniform": [0.5, 1.5]}, "pole.mass": {"uniform": [0.1, 0.2]}},
        "correlation": {"names": ["motor.strength", "pole.mass"], "matrix": [[1.0, -0.9], [-0.9, 1.0]]},
    }
    before, after = redrawn(together(make_world, tools), domain)
    assert (before["pole.mass"] != after["pole.mass"]).all()
    for values in (before, after):
        assert np.corrcoef(values["motor.strength"], values["pole.mass"])[0, 1] == pytest.approx(
            -0.89, abs=0.03
        )


def test_samples_are_redrawn_as_rows(make_world, tools):
    rows = {
        "motor.strength": {"samples": [0.6, 0.8, 1.0, 1.2]},
        "pole.mass": {"samples": [0.12, 0.14, 0.16, 0.18]},
    }
    _, after = redrawn(together(make_world, tools), {"parameters": rows}, 400)
    np.testing.assert_allclose(after["pole.mass"], after["motor.strength"] / 10 + 0.06, atol=1e-12)
    assert len(np.unique(after["pole.mass"])) == 4


def test_what_is_drawn_together_cannot_be_redrawn_alone(world):
    rows = {"motor.strength": {"samples": [0.6, 0.8]}, "pole.mass": {"samples": [0.12, 0.14]}}
    with pytest.raises(InvalidValue, match=r"pole.mass is drawn together with motor.strength.*'.redraw'"):
        Sim2RealVectorEnv(world, 1, {"parameters": {**rows, "pole.mass.redraw": 0.1}})
