"""The single env is one row of the vector env, and passes the checkers of gymnasium and Stable-Baselines3."""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

import sim2real
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName
from sim2real.single_env import Sim2RealEnv
from sim2real.world import World


def play(env, actions):
    """Observation, reward and ends of an episode, action by action."""
    return [env.step(action)[:4] for action in actions]


@pytest.mark.filterwarnings("ignore:.*observation space (minimum|maximum) value is -?infinity")  # ours are
@pytest.mark.parametrize("name", sim2real.IDS)
def test_checkers_of_gymnasium_and_sb3(name):
    env = gym.make(name, domain="training").unwrapped
    check_env(env, skip_render_check=True)
    check_env_of_sb3(env, skip_render_check=True)


@pytest.mark.parametrize("name", sim2real.IDS)
def test_spec_goes_through_json(name):
    domain = sim2real.World.load(sim2real.IDS[name]).training_domain.to_toml()
    env = gym.make(name, domain=domain)
    text = env.spec.to_json()
    json.loads(text)
    again = gym.make(EnvSpec.from_json(text))
    actions = np.random.default_rng(0).uniform(-1, 1, (20, *env.action_space.shape)).astype(np.float32)
    np.testing.assert_array_equal(env.reset(seed=3)[0], again.reset(seed=3)[0])
    assert env.unwrapped.physics() == again.unwrapped.physics()
    for ours, theirs in zip(play(env, actions), play(again, actions), strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]


@pytest.mark.parametrize("name", sim2real.IDS)
def test_is_a_row_of_the_vector_env(name):
    world = World.load(sim2real.IDS[name])
    single = Sim2RealEnv(world, "training", max_episode_steps=15)
    vector = Sim2RealVectorEnv(world, 1, "training", 15, autoreset=False)
    assert single.task == vector.task
    assert single.world_name == vector.world_name == world.name
    rng = np.random.default_rng(1)
    for seed in (4, None, None):
        observation, info = single.reset(seed=seed)
        np.testing.assert_array_equal(observation, vector.reset(seed=seed)[0][0])
        assert info == {}
        over = False
        while not over:
            action = rng.uniform(-1, 1, single.action_space.shape).astype(np.float32)
            observation, reward, terminated, truncated, info = single.step(action)
            expected = vector.step(action[None])
            np.testing.assert_array_equal(observation, expected[0][0])
            assert (reward, terminated, truncated) == tuple(x[0] for x in expected[1:4])
            assert type(reward) is float
            assert type(terminated) is type(truncated) is bool
            over = terminated or truncated
        assert set(info) == {"success", "diverged"}


def test_every_episode_is_a_new_one():
    env = Sim2RealEnv("cartpole", "training", max_episode_steps=3)
    starts, physics = [tuple(env.reset(seed=0)[0])], [env.physics()]
    for _ in range(5):
        play(env, np.zeros((3, 1), np.float32))
        starts.append(tuple(env.reset()[0]))
        physics.append(env.physics())
    assert len(set(starts)) == 6
    assert len({tuple(p.values()) for p in physics}) == 6
    assert tuple(env.reset(seed=0)[0]) == starts[0]


def test_no_step_before_a_reset_or_after_the_end():
    env = Sim2RealEnv("cartpole", max_episode_steps=2)
    with pytest.raises(InvalidValue, match=r"the episode is over; call reset\(\) before step\(\)"):
        env.step(np.zeros(1, np.float32))
    env.reset(seed=0)
    play(env, np.zeros((2, 1), np.float32))
    with pytest.raises(InvalidValue, match="the episode is over"):
        env.step(np.zeros(1, np.float32))


def test_nan_action():
    env = Sim2RealEnv("cartpole")
    env.reset(seed=0)
    with pytest.raises(InvalidValue, match=r"actions of rows \[0\] are not finite"):
        env.step(np.array([np.nan], np.float32))


def test_divergence_ends_the_episode():
    env = Sim2RealEnv("cartpole")
    env.reset(seed=0)
    env.vector.simulator.qvel[0] = 1e30
    observation, reward, terminated, truncated, info = env.step(np.zeros(1, np.float32))
    assert np.isfinite(observation).all()
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert info == {"success": False, "diverged": True}


def test_render_mode():
    with pytest.raises(UnknownName, match="unknown render mode 'human': known: rgb_array"):
        Sim2RealEnv("cartpole", render_mode="human")
    env = Sim2RealEnv("cartpole")
    env.reset(seed=0)
    assert env.render() is None
    env.close()


def test_picture_or_a_clear_word_about_opengl():
    env = Sim2RealEnv("furuta", render_mode="rgb_array")
    env.reset(seed=0)
    try:
        first, problem = env.render(), ""
    except RuntimeError as error:
        first, problem = None, str(error)
    if first is None:
        assert "no picture without OpenGL" in problem
        assert "MUJOCO_GL" in problem
        other = Sim2RealEnv("cartpole", render_mode="rgb_array")  # which another try would abort
        other.reset(seed=0)
        with pytest.raises(RuntimeError, match="no picture without OpenGL"):
            other.render()
        return
    for _ in range(20):
        env.step(np.ones(1, np.float32))
    second = env.render()
    assert first.shape == second.shape == (480, 640, 3)
    assert first.dtype == np.uint8
    assert first.std() > 5
    assert not np.array_equal(first, second)
    env.close()
    env.close()
