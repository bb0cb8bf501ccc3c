"""The vector env: episodes are numbered, physics is redrawn in place, and a blow-up stays in its row."""

import json
import logging
import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import sim2real
import sim2real.single_env
from sim2real import draws
from sim2real.catalog import entries
from sim2real.checker import check_vector_env
from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.env import Divergence, Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName
from sim2real.simulators import Engine
from sim2real.world import World

WORLDS = entries("envs")
WIDE = Domain({"pole.mass": Uniform(0.05, 0.2), "motor.latency": Uniform(0, 4)})


@pytest.fixture
def pendulum(write_world):
    return World.load(write_world())


@pytest.mark.parametrize("seed", [-1, 0.5, "7"])
def test_a_seed_that_is_none_is_refused(pendulum, seed):
    for env in (Sim2RealVectorEnv(pendulum, 2), sim2real.single_env.Sim2RealEnv(pendulum)):
        with pytest.raises(InvalidValue, match="must be a whole number of at least 0"):
            env.reset(seed=seed)


def test_seeds_of_numpy_and_huge_ones_are_seeds(pendulum):
    env = Sim2RealVectorEnv(pendulum, 2)
    assert np.array_equal(env.reset(seed=np.int64(3))[0], env.reset(seed=3)[0])
    env.reset(seed=2**70)


def run(env, steps, seed=0, disturb=None):
    """Everything that a run returns, after random actions. List of tuples of arrays."""
    rng = np.random.default_rng(seed)
    trace = []
    for step in range(steps):
        if disturb:
            disturb(step)
        observation, reward, terminated, truncated, info = env.step(
            rng.uniform(-1, 1, env.action_space.shape)
        )
        final = info.get("final_obs", observation)
        trace.append((observation, reward, terminated, truncated, final))
    return trace


def same(a, b, rows=slice(None)):
    return all(
        np.array_equal(x[rows], y[rows])
        for one, two in zip(a, b, strict=True)
        for x, y in zip(one, two, strict=True)
    )


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("domain", ["nominal", "training"])
@pytest.mark.parametrize("autoreset", [True, False])
def test_keeps_the_promises_of_a_vector_env(name, domain, autoreset):
    world = World.load(name)
    check_vector_env(
        lambda threads: Sim2RealVectorEnv(
            world, 5, domain, 20, autoreset, simulator=Engine("mujoco", threads)
        ),
        steps=50,
    )


@pytest.mark.parametrize("name", WORLDS)
def test_batch_against_single_rows_to_the_bit(name):
    """Row k of a batch is what an env with one row does in the same episode.

    Rewards may differ in their last bit: on older processors a dot product depends on where a row lies in
    memory, and nothing that comes later depends on a reward.
    """
    world = World.load(name)
    batch = Sim2RealVectorEnv(world, 4, "training", 25, autoreset=False)
    batch.number_episodes(np.array([3, 8, 8, 5]), seed=6)
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 4, *batch.single_action_space.shape))
    first, _ = batch.reset()
    together = [batch.step(a)[:2] for a in actions]
    np.testing.assert_array_equal(first[1], first[2])
    for row, episode in enumerate([3, 8, 8, 5]):
        alone = Sim2RealVectorEnv(world, 1, "training", 25, autoreset=False)
        alone.number_episodes(np.array([episode]), seed=6)
        np.testing.assert_array_equal(alone.reset()[0][0], first[row])
        assert alone.physics(0) == batch.physics(row)
        for (observation, reward), a in zip(together, actions, strict=True):
            ours = alone.step(a[row : row + 1])
            np.testing.assert_array_equal(ours[0][0], observation[row])
            assert ours[1][0] == pytest.approx(reward[row], rel=1e-13)


def starts(env, rounds, seed):
    """First observation and physics of every episode by its number, over some rounds of all rows."""
    seen = {}
    observation, _ = env.reset(seed=seed)
    for k in range(rounds):
        for row in range(env.num_envs):
            seen[k * env.num_envs + row] = (tuple(observation[row]), tuple(env.physics(row).values()))
        for _ in range(env.task.max_steps):
            observation, *_ = env.step(np.zeros(env.action_space.shape))
    return seen


def test_an_episode_starts_the_same_in_any_batch(pendulum):
    """An episode's number decides its start and its physics; how many rows there are doesn't."""
    few = starts(Sim2RealVectorEnv(pendulum, 2, WIDE, 5), 6, seed=4)
    many = starts(Sim2RealVectorEnv(pendulum, 6, WIDE, 5), 2, seed=4)
    assert few == many
    assert len({start for start, _ in few.values()}) == 12
    assert len({physics for _, physics in few.values()}) == 12
    assert starts(Sim2RealVectorEnv(pendulum, 6, WIDE, 5), 1, seed=5)[0] != few[0]


def test_draws_are_those_of_the_episode(pendulum):
    env = Sim2RealVectorEnv(pendulum, 3, WIDE)
    env.number_episodes(np.array([7, 0, 7]), seed=9)
    env.reset()
    u = draws.uniforms(9, np.array([7, 0, 7]), 2, draws.PHYSICS)
    for row, values in enumerate(WIDE.quantile(u)):
        assert env.physics(row) == dict(zip(WIDE.names, values, strict=True))


def test_autoreset_redraws_physics_in_place(pendulum):
    env = Sim2RealVectorEnv(pendulum, 3, WIDE, 4)
    env.reset(seed=0)
    before = [env.physics(row) for row in range(3)]
    run(env, 3)
    assert [env.physics(row) for row in range(3)] == before
    (_, _, _, truncated, _) = run(env, 1)[0]
    assert truncated.all()
    after = [env.physics(row) for row in range(3)]
    assert all(a != b for a, b in zip(after, before, strict=True))
    model = env.simulator.snapshot(1)[0]
    assert model.body("pole").mass[0] == after[1]["pole.mass"]
    assert all(0.05 <= physics["pole.mass"] <= 0.2 for physics in after)


@pytest.mark.slow
def test_physics_of_a_row_never_compounds(pendulum):
    env = Sim2RealVectorEnv(pendulum, 2, WIDE, 2)
    env.reset(seed=0)
    for _ in range(200):
        env.step(np.zeros((2, 1)))
        for row in range(2):
            model = env.simulator.snapshot(row)[0]
            body, nominal = model.body("pole"), pendulum.model.body("pole")
            assert body.mass[0] == env.physics(row)["pole.mass"]
            np.testing.assert_allclose(body.inertia / body.mass, nominal.inertia / nominal.mass, rtol=1e-12)


def test_set_physics_stays_until_it_is_set_again(pendulum):
    env = Sim2RealVectorEnv(pendulum, 3, max_episode_steps=2)
    env.set_physics(("pole.mass",), np.array([[0.15]]), np.array([1]))
    env.reset(seed=0)
    run(env, 5)
    assert [env.physics(row)["pole.mass"] for row in range(3)] == [0.1, 0.15, 0.1]


def test_point_domain_is_set_from_the_start(pendulum):
    env = Sim2RealVectorEnv(pendulum, 2, Domain.point({"pole.mass": 0.15}), 2)
    env.reset(seed=0)
    run(env, 3)
    assert [env.physics(row)["pole.mass"] for row in range(2)] == [0.15, 0.15]


def test_final_observation_is_that_of_the_ended_episode(pendulum):
    with_reset = Sim2RealVectorEnv(pendulum, 3, WIDE, 6)
    without = Sim2RealVectorEnv(pendulum, 3, WIDE, 6, autoreset=False)
    with_reset.reset(seed=1), without.reset(seed=1)
    a, b = run(with_reset, 6), run(without, 6)
    np.testing.assert_array_equal(a[-1][4], b[-1][0])
    assert not np.array_equal(a[-1][0], b[-1][0])
    assert same(a[:-1], b[:-1])


def test_rows_at_rest_cost_nothing_and_change_nothing():
    """Hoppers fall at different times; the others go on as if the fallen were not there."""
    world = World.load("hopper")
    env = Sim2RealVectorEnv(world, 6, "training", 80, autoreset=False)
    observation, _ = env.reset(seed=0)
    rng = np.random.default_rng(3)
    over = np.zeros(6, dtype=bool)
    for _ in range(90):
        last = observation
        observation, reward, terminated, truncated, info = env.step(rng.uniform(-1, 1, (6, 3)))
        np.testing.assert_array_equal(observation[over], last[over])
        assert not reward[over].any()
        assert not (terminated | truncated)[over].any()
        ended = terminated | truncated
        if ended.any():
            np.testing.assert_array_equal(info["_success"], ended)
            assert "final_obs" not in info
        over |= ended
        np.testing.assert_array_equal(env.resting, over)
    assert over.all()


def test_reset_mask_begins_only_its_rows(pendulum):
    env = Sim2RealVectorEnv(pendulum, 4, WIDE, 5, autoreset=False)
    env.reset(seed=2)
    run(env, 5)
    assert env.resting.all()
    before, physics = env._observation.copy(), [env.physics(row) for row in range(4)]
    mask = np.array([True, False, True, False])
    observation, _ = env.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(env.resting, ~mask)
    np.testing.assert_array_equal(observation[~mask], before[~mask])
    assert [env.physics(row) == physics[row] for row in range(4)] == [False, True, False, True]
    # the rows that began are in the next round of episodes: numbers 4 and 6
    expected = Sim2RealVectorEnv(pendulum, 4, WIDE, 5)
    expected.number_episodes(np.arange(4, 8), seed=2)
    np.testing.assert_array_equal(observation[mask], expected.reset()[0][mask])
    nothing, _ = env.reset(options={"reset_mask": np.zeros(4, dtype=bool)})
    np.testing.assert_array_equal(nothing, observation)


@pytest.mark.parametrize("mask", [[1, 0], np.ones(3, dtype=bool), np.ones(2)])
def test_wrong_reset_mask(pendulum, mask):
    env = Sim2RealVectorEnv(pendulum, 2)
    with pytest.raises(InvalidValue, match=r"reset_mask must be boolean of shape \(2,\), not "):
        env.reset(seed=0, options={"reset_mask": mask})


def test_reset_without_a_seed_goes_on_to_new_episodes(pendulum):
    """Also when every row has ended: then, too, the next episode is a new one."""
    for steps in (0, 3, 5, 7):
        for autoreset in (True, False):
            env = Sim2RealVectorEnv(pendulum, 2, WIDE, 5, autoreset)
            first, _ = env.reset(seed=0)
            run(env, steps)
            second, _ = env.reset()
            run(env, steps)
            third, _ = env.reset()
            assert len(np.unique(np.concatenate((first, second, third)), axis=0)) == 6
            np.testing.assert_array_equal(env.reset(seed=0)[0], first)


def test_first_reset_without_a_seed_is_random(pendulum):
    first, second = (Sim2RealVectorEnv(pendulum, 2).reset()[0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_returned_arrays_are_the_callers_own(pendulum):
    untouched, scribbled = (Sim2RealVectorEnv(pendulum, 3, WIDE, 5) for _ in range(2))
    for observation in (untouched.reset(seed=0)[0], scribbled.reset(seed=0)[0]):
        observation[:] = 0
    trace, rng = run(untouched, 12), np.random.default_rng(0)
    for expected in trace:
        action = rng.uniform(-1, 1, (3, 1))
        *arrays, info = scribbled.step(action)
        for ours, theirs in zip(arrays, expected, strict=False):
            np.testing.assert_array_equal(ours, theirs)
        for array in (*arrays, action, *(v for v in info.values() if isinstance(v, np.ndarray))):
            array[:] = 1


def test_actions_are_clipped_and_checked(pendulum):
    a, b = (Sim2RealVectorEnv(pendulum, 2) for _ in range(2))
    a.reset(seed=0), b.reset(seed=0)
    np.testing.assert_array_equal(a.step(np.array([[7.0], [-3.0]]))[0], b.step(np.array([[1.0], [-1.0]]))[0])
    with pytest.raises(InvalidValue, match=r"actions of shape \(2,\) given where \(2, 1\) is meant"):
        a.step(np.zeros(2))
    with pytest.raises(
        InvalidValue, match=r"actions of rows \[1\] are not finite; check the policy's weights"
    ):
        a.step(np.array([[0.0], [np.nan]]))
    with pytest.raises(InvalidValue, match=r"actions of rows \[0, 1\] are not finite"):
        a.step(np.array([[np.inf], [np.nan]]))
    np.testing.assert_array_equal(a.step(np.zeros((2, 1)))[0], b.step(np.zeros((2, 1)))[0])


def test_a_blow_up_ends_its_own_episode_and_no_other(pendulum, caplog):
    calm, broken = (Sim2RealVectorEnv(pendulum, 4, WIDE, 8) for _ in range(2))
    first, again = calm.reset(seed=0)[0], broken.reset(seed=0)[0]
    np.testing.assert_array_equal(first, again)
    physics, planted = [], {3: 1, 10: 1, 13: 2}  # step: row; 3 in episode 1, 10 in its next one

    def plant(step):
        physics.append([broken.physics(row) for row in range(4)])
        if step in planted:
            broken.simulator.qvel[planted[step]] = 1e30

    with caplog.at_level(logging.WARNING):
        a, b = run(calm, 24), run(broken, 24, disturb=plant)
    assert same(a, b, [0, 3])
    assert all(np.isfinite(x).all() for arrays in b for x in arrays)
    for step, (observation, reward, terminated, truncated, final) in enumerate(b):
        row = planted.get(step)
        assert terminated.nonzero()[0].tolist() == ([] if row is None else [row])
        if row is not None:
            assert not truncated[row]
            assert reward[row] == 0.0
            np.testing.assert_array_equal(final[row], b[step - 1][0][row])  # the last sane one
            assert not np.array_equal(observation[row], final[row])
    assert broken.events == [
        Divergence(env_id=1, episode=1, step=4, physics=physics[3][1]),
        Divergence(env_id=1, episode=5, step=7, physics=physics[10][1]),
        Divergence(env_id=2, episode=6, step=6, physics=physics[13][2]),
    ]
    assert [r.getMessage() for r in caplog.records] == [
        "simulation 1 diverged at step 4 of episode 1",
        "simulation 1 diverged at step 7 of episode 5",
        "simulation 2 diverged at step 6 of episode 6",
    ]
    assert calm.events == []


def test_a_blow_up_is_never_a_success(pendulum):
    env = Sim2RealVectorEnv(pendulum, 2, max_episode_steps=3, autoreset=False)
    env.reset(seed=0)
    env.simulator.qpos[:, 1] = 0.0  # upright
    env.step(np.zeros((2, 1)))
    env.step(np.zeros((2, 1)))
    env.simulator.qvel[1] = np.nan
    *_, terminated, truncated, info = env.step(np.zeros((2, 1)))
    assert terminated.tolist() == [False, True]
    assert truncated.tolist() == [True, False]
    assert info["success"].tolist() == [True, False]
    assert info["diverged"].tolist() == [False, True]
    quiet = env.step(np.zeros((2, 1)))
    assert not quiet[2].any()
    assert len(env.events) == 1


def test_absurd_physics_blows_up_alone():
    """Physics, not a planted number; the row blows up again in each of its episodes."""
    world = World.load("so101")
    calm, absurd = (Sim2RealVectorEnv(world, 4, max_episode_steps=30) for _ in range(2))
    absurd.set_physics(("world.gravity",), np.array([[1e18]]), np.array([2]))
    calm.reset(seed=0), absurd.reset(seed=0)
    a, b = run(calm, 40), run(absurd, 40)
    assert same(a, b, [0, 1, 3])
    assert all(np.isfinite(x).all() for arrays in b for x in arrays)
    assert [event.episode for event in absurd.events] == [2 + 4 * k for k in range(len(absurd.events))]
    assert len(absurd.events) > 10
    assert {(event.env_id, event.physics["world.gravity"]) for event in absurd.events} == {(2, 1e18)}


def test_wrong_arguments(pendulum, write_world):
    with pytest.raises(UnknownName, match=r"unknown world .* 'furuuta': did you mean 'furuta'"):
        Sim2RealVectorEnv("furuuta")
    with pytest.raises(UnknownName, match=r"'poll\.mass': did you mean 'pole\.mass'"):
        Sim2RealVectorEnv(pendulum, domain={"parameters": {"poll.mass": 1.0}})
    with pytest.raises(InvalidValue, match="held-out variants are for evaluation"):
        Sim2RealVectorEnv(pendulum, domain="heavy")
    with pytest.raises(InvalidValue, match=r"no domain 3: give 'nominal', 'training' or the path"):
        Sim2RealVectorEnv(pendulum, domain=3)
    with pytest.raises(InvalidValue, match="seed = -1 must be a whole number of at least 0"):
        Sim2RealVectorEnv(pendulum).reset(seed=-1)
    for name in ("num_envs", "max_episode_steps"):
        for value in (0, -1, 2.5):
            with pytest.raises(
                InvalidValue, match=re.escape(f"{name} = {value} must be a whole number of at")
            ):
                Sim2RealVectorEnv(pendulum, **{name: value})


def test_world_whose_task_or_step_does_not_fit(write_world, pendulum_files):
    scene, physics = pendulum_files
    with pytest.raises(
        UnknownName, match="unknown task of world pendulum 'cartpol': did you mean 'cartpole'"
    ):
        Sim2RealVectorEnv(World.load(write_world(physics=physics.replace('"cartpole"', '"cartpol"'))))
    none = World.load(write_world(physics=physics.replace('task = "cartpole"', "")))
    with pytest.raises(InvalidValue, match="world pendulum names no task, which this needs"):
        Sim2RealVectorEnv(none)
    odd = World.load(write_world(scene.replace("0.005", "0.003")))
    with pytest.raises(
        InvalidValue, match=r"0\.02 s is no multiple of the physics step of 0\.003 s; change timestep"
    ):
        Sim2RealVectorEnv(odd)


@pytest.mark.parametrize("name", sim2real.IDS)
def test_made_by_gymnasium_from_a_spec_in_json(name, tmp_path):
    domain = {"parameters": {"world.gravity": {"uniform": [9.0, 10.0]}}}
    env = gym.make_vec(name, num_envs=3, domain=domain, max_episode_steps=7)
    assert isinstance(env, Sim2RealVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.task.max_steps == 7
    text = env.spec.to_json()
    json.loads(text)
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(text))
    assert again.num_envs == 3
    assert again.domain == env.domain
    np.testing.assert_array_equal(again.reset(seed=5)[0], env.reset(seed=5)[0])
    assert same(run(again, 10), run(env, 10))


def test_statistics_wrapper_of_gymnasium(pendulum):
    env = gym.wrappers.vector.RecordEpisodeStatistics(Sim2RealVectorEnv(pendulum, 2, WIDE, 5))
    env.reset(seed=0)
    total = np.zeros(2)
    for _ in range(5):
        _, reward, _, truncated, info = env.step(np.zeros((2, 1)))
        total += reward
    assert truncated.all()
    np.testing.assert_allclose(info["episode"]["r"], total, rtol=1e-6)
    assert info["episode"]["l"].tolist() == [5, 5]
