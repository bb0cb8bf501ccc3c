"""A method that cheats learns nothing, and gets nothing back that it spent."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import BudgetExhausted, InvalidValue, Sim2RealError, UnknownName
from sim2real.evaluate.rollouts import SEED
from sim2real.transfer.account import Account
from sim2real.transfer.remote import RemoteTarget
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, Spent, TargetEnv
from sim2real.world import World, closed


@pytest.fixture(scope="module")
def hopper():
    return World.load("hopper")


@pytest.fixture
def target(hopper):
    return TargetEnv(hopper, hopper.variant("combined_a"), Budget(steps=1000), 4)


def zeros(target):
    return np.zeros((target.num_envs, *target.single_action_space.shape), np.float32)


def test_evaluations_seed_does_not_begin_its_episodes(hopper, target):
    judge = Sim2RealVectorEnv(hopper, 4, hopper.variant("combined_a").domain)
    begun, judged = target.reset(seed=SEED)[0], judge.reset(seed=SEED)[0]
    assert not np.isclose(begun, judged).all(axis=1).any()


def test_two_targets_have_secrets_of_their_own(hopper):
    physics = hopper.variant("combined_a")
    one, two = (TargetEnv(hopper, physics, Budget(steps=100), 2).reset(seed=1)[0] for _ in range(2))
    assert not np.array_equal(one, two)
    known = [
        TargetEnv(hopper, physics, Budget(steps=100), 2, seal=Seal(7)).reset(seed=1)[0] for _ in range(2)
    ]
    np.testing.assert_array_equal(*known)


def test_fishing_for_starts_costs_steps_and_episodes(target):
    for _ in range(250):
        target.reset()
    with pytest.raises(BudgetExhausted):
        target.reset()
    assert target.spent.steps == target.spent.episodes == 1000


def test_counts_and_budget_can_not_be_written(target):
    target.reset(seed=0)
    target.step(zeros(target))
    before = target.spent
    for name in ("spent", "budget", "steps_left", "resting", "task"):
        with pytest.raises(AttributeError):
            setattr(target, name, Spent())
    for record in (target.spent, target.budget):
        with pytest.raises(AttributeError):
            record.steps = 0
    target.go_on_from(Spent())
    target.go_on_from(Spent(steps=1))
    assert target.spent == before


def test_worlds_have_no_held_out_variants_while_a_method_runs(hopper, target):
    source = Source(hopper)
    assert set(source.world.variants) == {"nominal"}
    with closed():
        assert set(World.load(target.world_name).variants) == {"nominal"}
        with pytest.raises(UnknownName, match="combined_a"):
            World.load(target.world_name).variant("combined_a")
        with closed():
            pass
        assert set(World.load(hopper.path).variants) == {"nominal"}
    assert "combined_a" in World.load("hopper").variants


def test_a_source_is_free_and_has_what_training_has(hopper):
    env = Source(hopper).env(3, "training")
    env.reset(seed=0)
    assert env.physics(0) != env.physics(1)


def test_ten_episodes_are_ten_whole_ones():
    world = World.load("quadruped")
    target = TargetEnv(world, Domain({}), Budget(episodes=10), 4, seal=Seal(1))
    target.reset(seed=0)
    rng, lengths, running, ended = np.random.default_rng(0), [], np.zeros(4, int), 0
    while not target.resting.all():
        awake = ~target.resting
        actions = rng.uniform(-1, 1, (4, 12)).astype(np.float32)
        _, reward, terminated, truncated, _ = target.step(actions)
        assert not reward[~awake].any()
        running += awake
        done = terminated | truncated
        lengths += running[done].tolist()
        running[done] = 0
        ended += int(done.sum())
    assert ended == len(lengths) == target.spent.episodes == 10
    assert sum(lengths) == target.spent.steps
    with pytest.raises(BudgetExhausted):
        target.step(zeros(target))
    with pytest.raises(BudgetExhausted):
        target.reset()


def test_a_target_in_another_process_steps_alike(hopper):
    physics = hopper.variant("combined_a")
    here = TargetEnv(hopper, physics, Budget(steps=120), 4, seal=Seal(3))
    with RemoteTarget("hopper", physics, Budget(steps=120), 4, seal=Seal(3)) as there:
        assert (there.num_envs, there.world_name, there.budget) == (4, "hopper", Budget(steps=120))
        assert there.task == here.task
        np.testing.assert_array_equal(there.reset(seed=1)[0], here.reset(seed=1)[0])
        actions = np.random.default_rng(0).uniform(-1, 1, (30, 4, 3)).astype(np.float32)
        for action in actions:
            for ours, theirs in zip(here.step(action)[:4], there.step(action)[:4], strict=True):
                np.testing.assert_array_equal(ours, theirs)
        assert there.spent == here.spent
        with pytest.raises(BudgetExhausted, match="does not allow another step"):
            there.step(actions[0])
        with pytest.raises(InvalidValue, match="without the options"):
            there.reset(options={"reset_mask": np.ones(4, bool)})
        for question in ("_TargetEnv__env", "__dict__", "__class__", "__init__"):
            with pytest.raises(UnknownName, match="question to a target"):
                there._ask(question)
        seen = [repr(value) for value in vars(there).values()]
        assert not any("torso.mass" in text or "combined_a" in text for text in seen)
    with pytest.raises(Sim2RealError, match="has ended"):
        there.reset()


def test_what_can_not_be_made_there_is_said_here():
    with pytest.raises(UnknownName, match="hoper"):
        RemoteTarget("hoper", Domain({}), Budget(steps=10))


def test_a_ledger_is_never_behind(tmp_path):
    ledger = tmp_path / "spent.json"
    account = Account(Budget(steps=5000), 0.01, 100, ledger)
    for _ in range(50):
        account.require(16, 0, 16)
        written = Account(Budget(steps=5000), 0.01, 100, ledger).spent
        account.charge(steps=16)
        assert written.steps >= account.spent.steps
        assert written.episodes >= account.spent.episodes + 16
    account.settle()
    assert Account(Budget(steps=5000), 0.01, 100, ledger).spent == account.spent


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"steps": -1}', '{"steps": "x"}', "\x00"])
def test_a_spoilt_ledger_is_refused(tmp_path, text):
    ledger = tmp_path / "spent.json"
    ledger.write_text(text)
    with pytest.raises(InvalidValue, match=r"no ledger|no counts"):
        Account(Budget(steps=10), 0.01, 100, ledger)


def test_what_was_spent_before_a_kill_stays_spent(tmp_path):
    ledger = tmp_path / "spent.json"
    script = f"""
        import os, signal
        import numpy as np
        from pathlib import Path
        from sim2real.domain import Domain
        from sim2real.transfer.target import Budget, Seal, TargetEnv
        seal = Seal(ledger=Path({str(ledger)!r}))
        target = TargetEnv("hopper", Domain({{}}), Budget(steps=4000), 4, seal=seal)
        target.reset(seed=0)
        for _ in range(300):
            target.step(np.zeros((4, 3), np.float32))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, timeout=60)
    again = TargetEnv("hopper", Domain({}), Budget(steps=4000), 4, seal=Seal(ledger=ledger))
    assert 1200 <= again.spent.steps <= 1200 + 1024
    assert again.steps_left == 4000 - again.spent.steps
