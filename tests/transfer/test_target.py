"""The target counts what a real robot would pay for, stops at the budget, and keeps its physics to itself."""

import numpy as np
import pytest

from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import BudgetExhausted, InvalidValue
from sim2real.transfer.target import Budget, Seal, Spent, TargetEnv, salted
from sim2real.world import World

HEAVY = Domain.point({"torso.mass": 4.4321})


@pytest.fixture(scope="module")
def hopper():
    return World.load("hopper")


def spend(target, limit=10_000, seed=0):
    """Step with random actions until the budget ends it; the control steps done."""
    rng = np.random.default_rng(seed)
    actions = (target.num_envs, *target.single_action_space.shape)
    for step in range(limit):
        before = target.spent
        try:
            target.step(rng.uniform(-1, 1, actions).astype(np.float32))
        except BudgetExhausted:
            assert target.spent == before, "a refused step costs nothing"
            return step
    raise AssertionError("the budget never ended")


@pytest.mark.parametrize("num_envs", [1, 3, 16])
@pytest.mark.parametrize("steps", [1, 47, 48, 1000])
def test_steps(hopper, num_envs, steps):
    target = TargetEnv(hopper, HEAVY, Budget(steps=steps), num_envs)
    assert target.steps_left == steps
    if steps < num_envs:
        with pytest.raises(BudgetExhausted, match="does not allow another step of"):
            target.reset(seed=0)
        return
    target.reset(seed=0)
    assert spend(target) == steps // num_envs
    assert target.spent.steps == steps // num_envs * num_envs <= steps
    assert target.steps_left == steps % num_envs


@pytest.mark.parametrize("num_envs", [1, 3, 16])
@pytest.mark.parametrize("periods", [16, 333, 7_999])
def test_seconds_to_the_last_step(hopper, num_envs, periods):
    target = TargetEnv(hopper, HEAVY, Budget(seconds=periods * 0.01), num_envs)
    assert target.steps_left == periods
    target.reset(seed=0)
    assert spend(target, 40_000) == periods // num_envs
    assert target.spent.seconds == pytest.approx(target.spent.steps * 0.01, abs=1e-9)
    assert target.spent.seconds <= target.budget.seconds + 1e-9


@pytest.mark.parametrize("num_envs", [1, 3, 16])
@pytest.mark.parametrize("episodes", [1, 16, 20])
def test_all_episodes_of_a_budget_are_whole(hopper, num_envs, episodes):
    """Rows in progress count: each will have to be paid for."""
    target = TargetEnv(hopper, HEAVY, Budget(episodes=episodes), num_envs)
    if episodes < num_envs:
        with pytest.raises(BudgetExhausted):
            target.reset(seed=0)
        return
    target.reset(seed=0)
    spend(target)
    assert target.spent.episodes == episodes
    assert target.resting.all()


def test_episodes_of_one_row_are_spent_exactly(hopper):
    target = TargetEnv(hopper, HEAVY, Budget(episodes=7), 1)
    target.reset(seed=0)
    spend(target)
    assert target.spent.episodes == 7


def test_episodes_that_end_together(write_world):
    """All rows end in the same step, as in tasks without falls; the budget holds there too."""
    target = TargetEnv(World.load(write_world()), Domain({}), Budget(episodes=50), 16)
    target.reset(seed=0)
    spend(target)
    assert target.spent.episodes == 50
    assert target.spent.steps == 50 * target.task.max_steps


def test_resets_that_give_up_are_counted(hopper):
    target = TargetEnv(hopper, HEAVY, Budget(episodes=6), 2)
    target.reset(seed=0)
    target.step(np.zeros((2, 3), np.float32))
    target.reset()
    assert target.spent.episodes == 2
    target.reset()
    assert target.spent.episodes == 4
    with pytest.raises(BudgetExhausted, match=r"the budget episodes 6 does not allow another .*episodes 6"):
        target.reset()


def test_tightest_limit_counts(hopper):
    target = TargetEnv(hopper, HEAVY, Budget(steps=100, seconds=0.5, episodes=1000), 4)
    target.reset(seed=0)
    assert spend(target) == 12


@pytest.mark.parametrize(
    "limits", [{"steps": 0}, {"episodes": -1}, {"seconds": 0.0}, {"seconds": float("nan")}]
)
def test_budget_of_nothing(limits):
    with pytest.raises(InvalidValue, match="is out of reach; give"):
        Budget(**limits)


def test_counts_against_a_count_by_hand(hopper):
    """Falls, ends and joint limits, counted on an open env without autoreset."""
    rows, steps = 5, 400
    target = TargetEnv(hopper, HEAVY, Budget(steps=10**6), rows, seal=Seal(secret=5))
    open_env = Sim2RealVectorEnv(hopper, rows, HEAVY, autoreset=False)
    np.testing.assert_array_equal(target.reset(seed=3)[0], open_env.reset(seed=salted(5, 3))[0])
    ranges = {name: hopper.model.joint(name).range for name in ("hip", "knee", "ankle")}
    columns = {name: int(hopper.model.joint(name).qposadr[0]) for name in ranges}
    falls = ends = hits = 0
    rng = np.random.default_rng(4)
    for _ in range(steps):
        actions = rng.uniform(-1, 1, (rows, 3)).astype(np.float32)
        observation, reward, terminated, truncated, info = target.step(actions)
        expected = open_env.step(actions)
        np.testing.assert_array_equal(reward, expected[1])
        for row in range(rows):
            at = {name: open_env.simulator.qpos[row, column] for name, column in columns.items()}
            hits += any(not ranges[name][0] < at[name] < ranges[name][1] for name in ranges)
        done = terminated | truncated
        falls, ends = falls + terminated.sum(), ends + done.sum()
        if done.any():
            np.testing.assert_array_equal(info["final_obs"][done], expected[0][done])
            expected = open_env.reset(options={"reset_mask": done})
        np.testing.assert_array_equal(observation, expected[0])
    assert target.spent == Spent(
        steps=rows * steps,
        episodes=ends,
        seconds=pytest.approx(rows * steps * 0.01),
        falls=falls,
        limit_hits=hits,
    )
    assert falls > 20
    assert hits > 20


def test_steps_as_the_env_does(hopper):
    """Same seed, same numbers as a vector env with same-step autoreset."""
    target = TargetEnv(hopper, HEAVY, Budget(steps=10**6), 4, seal=Seal(secret=5))
    env = Sim2RealVectorEnv(hopper, 4, HEAVY)
    np.testing.assert_array_equal(target.reset(seed=1)[0], env.reset(seed=salted(5, 1))[0])
    rng = np.random.default_rng(0)
    for _ in range(200):
        actions = rng.uniform(-1, 1, (4, 3)).astype(np.float32)
        ours, theirs = target.step(actions), env.step(actions)
        for a, b in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        assert set(ours[4]) == set(theirs[4]) - {"diverged", "_diverged", "final_info", "_final_info"}
        for key in ("final_obs", "_final_obs", "success"):
            if key in ours[4]:
                np.testing.assert_array_equal(ours[4][key], theirs[4][key])


def reachable(value, depth=4):
    """Everything public below an object, as texts."""
    yield repr(value)
    if depth == 0 or isinstance(
        value, (str, bytes, int, float, np.generic, np.ndarray, np.random.Generator, type(None))
    ):
        return
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, (list, tuple)):
        parts = value
    else:
        parts = [getattr(value, name) for name in dir(value) if not name.startswith("_")]
    for part in parts:
        if not callable(part):
            yield from reachable(part, depth - 1)


def test_physics_can_not_be_read(hopper, caplog):
    """Not from a public attribute, not from info, an error, a repr or the log."""
    target = TargetEnv(hopper, HEAVY, Budget(steps=50), 2)
    texts = [*reachable(target.reset(seed=0)), *reachable(target)]
    for _ in range(25):
        texts += reachable(target.step(np.ones((2, 3), np.float32))[4])
    with pytest.raises(BudgetExhausted) as caught:
        target.step(np.ones((2, 3), np.float32))
    texts += [str(caught.value), caplog.text, *reachable(target)]
    assert [text for text in texts if "4.432" in text or "torso.mass" in text] == []
    assert not {"domain", "physics", "simulator", "world", "events", "set_physics", "env"} & set(dir(target))


def test_a_drawn_target_is_sealed_too(hopper):
    target = TargetEnv(hopper, Domain({"torso.mass": Uniform(4.4321, 4.5321)}), Budget(steps=50), 2)
    assert not any("4.5321" in text for text in reachable(target))


def test_variant_or_domain(hopper):
    variant = hopper.variant("combined_a")
    one, two = (
        TargetEnv(hopper, physics, Budget(steps=100), 2, seal=Seal(secret=1))
        for physics in (variant, variant.domain)
    )
    one.reset(seed=0), two.reset(seed=0)
    actions = np.ones((2, 3), np.float32)
    for _ in range(20):
        np.testing.assert_array_equal(one.step(actions)[0], two.step(actions)[0])
    assert one.world_name == "hopper"
    assert one.task.name == "hopper"


def test_a_target_begins_all_rows_at_once(hopper):
    target = TargetEnv(hopper, HEAVY, Budget(steps=100), num_envs=2)
    with pytest.raises(InvalidValue, match="begins all rows at once"):
        target.reset(options={"reset_mask": np.array([True, False])})


def test_what_was_spent_before_counts(hopper):
    target = TargetEnv(hopper, HEAVY, Budget(steps=100), 4)
    target.go_on_from(Spent(steps=92, episodes=3, seconds=0.92))
    target.reset(seed=0)
    assert spend(target) == 2
    assert target.spent.steps == 100
    target.go_on_from(Spent(steps=92))
    assert target.spent.steps == 100


@pytest.mark.parametrize(
    ("limits", "rows"),
    [({"steps": 50_000}, 16), ({"episodes": 50}, 10), ({"episodes": 10}, 10), ({"episodes": 48}, 16)],
)
def test_rows_leave_few_episodes_over(limits, rows):
    assert Budget(**limits).rows == rows


def test_staggered_rows_cost_no_step_more_and_are_whole_where_episodes_are_counted():
    target = TargetEnv("cartpole", Domain({}), Budget(steps=4 * 500), 4)
    target.reset(seed=0, options={"staggered": True})
    most, ends = target.task.max_steps, []
    for step in range(1, 2 * most + 1):
        _, _, terminated, truncated, info = target.step(np.zeros((4, 1), np.float32))
        assert ("final_obs" in info) == truncated.any()
        ends += [(step, row) for row in np.flatnonzero(terminated | truncated)]
    assert ends == sorted((-(-most * (row + 1) // 4) + k * most, row) for k in (0, 1) for row in range(4))
    assert (target.spent.steps, target.spent.episodes) == (4 * 2 * most, 8)
    counted = TargetEnv("cartpole", Domain({}), Budget(episodes=4), 4)
    counted.reset(seed=0, options={"staggered": True})
    for _ in range(most - 1):
        counted.step(np.zeros((4, 1), np.float32))
    assert counted.spent.episodes == 0
