"""Episodes survive the disk to the bit, and what can't be replayed is refused with the row or the file."""

import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor
from sim2real.errors import InvalidValue, RecordingError
from sim2real.gather import Excited, gather
from sim2real.recordings.rollouts import Episode, Rollouts
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.world import World


def recorded(steps=(3, 5), states=True, seed=0):
    rng = np.random.default_rng(seed)
    episodes = tuple(
        Episode(
            rng.normal(size=(n + 1, 6)),
            rng.uniform(-1, 1, (n, 1)),
            rng.normal(size=(n + 1, 2)) if states else None,
            rng.normal(size=(n + 1, 2)) if states else None,
        )
        for n in steps
    )
    return Rollouts("furuta", "furuta", 0, 0.01, episodes)


@pytest.mark.parametrize("states", [True, False])
def test_a_file_gives_back_every_bit(tmp_path, states):
    rollouts = recorded(states=states)
    rollouts.save(tmp_path / "rollouts.npz")
    loaded = Rollouts.load(tmp_path / "rollouts.npz")
    assert (loaded.world, loaded.task, loaded.task_version, loaded.control_dt) == (
        "furuta",
        "furuta",
        0,
        0.01,
    )
    assert loaded.has_states == states
    assert loaded.steps == 8
    for before, after in zip(rollouts.episodes, loaded.episodes, strict=True):
        assert np.array_equal(before.observation, after.observation)
        assert np.array_equal(before.action, after.action)
        assert not states or np.array_equal(before.qvel, after.qvel)


def test_a_foreign_or_damaged_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(RecordingError, match=r"other\.npz: not a file of rollouts, it lacks about"):
        Rollouts.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(RecordingError, match=r"text\.npz: not a readable \.npz file"):
        Rollouts.load(tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", about=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RecordingError, match=r"objects\.npz: not a readable"):
        Rollouts.load(tmp_path / "objects.npz")


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(RecordingError, match="it must have 4 rows"):
        Episode(np.zeros((3, 6)), np.zeros((3, 1)))
    spoilt = np.zeros((4, 6))
    spoilt[2, 1] = np.nan
    with pytest.raises(RecordingError, match="not finite in row 2"):
        Episode(spoilt, np.zeros((3, 1)))
    with pytest.raises(RecordingError, match="qpos or qvel without the other"):
        Episode(np.zeros((4, 6)), np.zeros((3, 1)), qpos=np.zeros((4, 2)))
    with pytest.raises(RecordingError, match="record at least one"):
        Rollouts("furuta", "furuta", 0, 0.01, ())
    short, wide = recorded((2,)), Episode(np.zeros((3, 7)), np.zeros((2, 1)))
    with pytest.raises(RecordingError, match="differ in the widths"):
        Rollouts("furuta", "furuta", 0, 0.01, (*short.episodes, wide))


def test_a_split_is_by_episode():
    first, second = recorded((2,) * 10).split(0.2)
    assert (len(first.episodes), len(second.episodes)) == (8, 2)
    with pytest.raises(RecordingError, match="one episode can't be split"):
        recorded((5,)).split(0.2)


def test_rollouts_of_another_task_are_refused():
    with pytest.raises(RecordingError, match="don't fit task hopper"):
        recorded().check(Sim2RealVectorEnv("hopper").task)


def test_gathering_records_what_the_env_shows_and_where_it_was():
    env = Sim2RealVectorEnv("furuta", 3, autoreset=False)
    rollouts = gather(env, RandomActor(1, seed=0), 20, seed=4)
    again = Sim2RealVectorEnv("furuta", 3, autoreset=False)
    observation, _ = again.reset(seed=4)
    for step in range(20):
        actions = np.array([e.action[step] for e in rollouts.episodes], dtype=np.float32)
        assert np.array_equal(
            observation, [e.observation[step].astype(np.float32) for e in rollouts.episodes]
        )
        assert np.array_equal(again.simulator.qpos, [e.qpos[step] for e in rollouts.episodes])
        observation, *_ = again.step(actions)
    with pytest.raises(InvalidValue, match="autoreset=False"):
        gather(Sim2RealVectorEnv("furuta", 2), RandomActor(1, seed=0), 5)


def test_a_sealed_target_counts_what_is_recorded_and_shows_no_states():
    world = World.load("hopper")
    target = TargetEnv(world, world.variant("combined_a"), Budget(steps=400), num_envs=4)
    rollouts = gather(target, RandomActor(3, seed=0), 100, seed=0)
    assert target.spent.steps == rollouts.steps == 400
    assert not rollouts.has_states
    assert target.spent.falls > 0, "the example needs falls"
    # a row ends amid an episode, unless it fell in the last step; what a target draws is secret
    assert target.spent.falls <= len(rollouts.episodes) <= 4 + target.spent.falls
    ends = [e.observation[-1] for e in rollouts.episodes if e.steps < 100]
    starts = [e.observation[0] for e in rollouts.episodes]
    assert max(abs(start[1]) for start in starts) < 0.02, "every episode begins upright"
    assert any(end[0] < 0.8 or abs(end[1]) > 0.4 for end in ends), "and a fall is the end of one"


def test_a_budget_of_episodes_pays_for_one_in_each_row():
    """Each is whole: a row that fell rests while the others go on, and no other episode is begun."""
    world = World.load("hopper")
    target = TargetEnv(world, world.variant("combined_a"), Budget(episodes=12), num_envs=6)
    rollouts = gather(target, RandomActor(3, seed=0), 400, seed=0, anew=False)
    assert target.spent.falls == 6, "the example falls in every row"
    assert len({episode.steps for episode in rollouts.episodes}) > 1
    assert target.spent.episodes == len(rollouts.episodes) == 6
    target.stop()
    assert target.spent.episodes == 6
    assert target.spent.steps == rollouts.steps
    gather(target, RandomActor(3, seed=1), 400, anew=False)
    assert target.spent.episodes == 12


def test_shaking_has_the_given_size_and_memory():
    shaken = Excited(lambda observation: np.zeros((len(observation), 2)), noise=0.2, seed=0, memory=0.7)
    state, found = shaken.start(50), []
    for _ in range(400):
        action, state = shaken.act(np.zeros((50, 6)), state)
        found.append(action)
    actions = np.array(found)
    assert actions.std() == pytest.approx(0.2, rel=0.03)
    lagged = np.mean(actions[1:] * actions[:-1]) / np.mean(actions**2)
    assert lagged == pytest.approx(0.7, abs=0.03)
