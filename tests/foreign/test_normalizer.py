import pickle

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sim2real.errors import PolicyError
from sim2real.foreign.normalizer import read_normalizer


@pytest.fixture
def saved(tmp_path):
    """Statistics as Stable-Baselines3 saves them, of some steps."""
    env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]), clip_obs=5.0)
    env.seed(0)
    env.reset()
    for _ in range(20):
        env.step(np.array([[1.0]]))
    path = tmp_path / "vec.pkl"
    env.save(path)
    return env, path


def test_it_normalizes_as_vec_normalize_does(saved):
    env, path = saved
    found = read_normalizer(path)
    seen = np.array([[0.3, -0.2, 4.0], [1.0, 0.0, 90.0]])
    np.testing.assert_allclose(
        np.clip((seen - found.mean) / found.std, -found.clip, found.clip), env.normalize_obs(seen), atol=1e-6
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle_gives_the_same(saved, protocol):
    env, path = saved
    again = path.with_name("again.pkl")
    again.write_bytes(pickle.dumps(env, protocol))
    if protocol == 2:
        with pytest.raises(PolicyError, match=r"_codecs\.encode"):
            read_normalizer(again)
        return
    for name in ("mean", "std"):
        np.testing.assert_array_equal(
            getattr(read_normalizer(again), name), getattr(read_normalizer(path), name)
        )


def test_files_of_years_ago_open(strangers):
    for name, size in (("ppo_hopper", 11), ("a2c_pendulum", 3)):
        found = read_normalizer(strangers / "sb3" / f"{name}_vecnormalize.pkl")
        assert found.mean.shape == found.std.shape == (size,)
        assert found.clip == 10.0


def test_a_normalizer_of_rewards_alone_is_none(tmp_path):
    env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]), norm_obs=False)
    env.save(tmp_path / "vec.pkl")
    assert read_normalizer(tmp_path / "vec.pkl") is None


def test_a_hostile_pickle_does_not_run(tmp_path, hostile):
    path = tmp_path / "vec.pkl"
    path.write_bytes(hostile)
    with pytest.raises(PolicyError, match=r"asks for pathlib.*nothing of it was run"):
        read_normalizer(path)


def test_a_hostile_pickle_inside_a_rightful_one_does_not_run(saved, hostile):
    env, path = saved
    env.clip_obs = pickle.loads  # a name that is refused wherever it stands
    path.write_bytes(pickle.dumps(env))
    with pytest.raises(PolicyError, match="loads"):
        read_normalizer(path)


def test_arrays_of_objects_and_structures_are_no_statistics(saved):
    env, path = saved
    for spoilt in (np.array([object], dtype=object), np.zeros(3, dtype=[("a", "f8")]), np.array(["1"])):
        env.obs_rms.mean = spoilt
        path.write_bytes(pickle.dumps(env))
        with pytest.raises(PolicyError):
            read_normalizer(path)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda raw: raw[: len(raw) // 2], "cut off"),
        (lambda raw: b"", "cut off"),
        (lambda raw: pickle.dumps({"mean": 1}), "holds no VecNormalize"),
    ],
    ids=["truncated", "empty", "another"],
)
def test_a_spoilt_file_is_refused(saved, spoil, complaint):
    _, path = saved
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(PolicyError, match=complaint):
        read_normalizer(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"var": np.array([-1.0, 1.0, 1.0])}, "positive variances"),
        ({"mean": np.array([0.0, np.nan, 0.0])}, "finite means"),
        ({"mean": np.zeros(2)}, "shape"),
    ],
    ids=["variance", "nan", "sizes"],
)
def test_statistics_that_cannot_be_are_refused(saved, change, complaint):
    env, path = saved
    vars(env.obs_rms).update(change)
    path.write_bytes(pickle.dumps(env))
    with pytest.raises(PolicyError, match=complaint):
        read_normalizer(path)
