"""A method that cheats learns nothing, and gets nothing back that it spent."""

import contextlib
import copy
import dataclasses
import pickle
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import BudgetExhausted, InvalidValue, Sim2RealError, UnknownName
from sim2real.evaluate.rollouts import SEED, Trials
from sim2real.policy import Policy
from sim2real.transfer.budget import Account
from sim2real.transfer.compare import Design, compare
from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
from sim2real.transfer.identify_and_train import identify_and_train
from sim2real.transfer.methods import Card
from sim2real.transfer.remote import RemoteTarget
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, Seal, Spent, TargetEnv
from sim2real.transfer.transfer import transfer
from sim2real.world import World, closed
from sim2real.world.variant import are_closed


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


class Spying(TargetEnv):
    """Notes which variants a world has while the target is stepped."""

    seen: ClassVar[set[str]] = set()

    def step(self, actions):
        self.seen.update(World.load("hopper").variants)
        return super().step(actions)


@pytest.mark.slow
def test_they_have_none_either_where_a_method_is_called_by_itself(hopper, tmp_path):
    policy, physics = Policy.load("hopper-nominal-0"), hopper.variant("combined_a")
    fine_tune(policy, Spying(hopper, physics, Budget(steps=512), 4), FineTuneSettings(rollout_steps=128))
    assert Spying.seen == {"nominal"}
    target = Spying(hopper, physics, Budget(steps=8), 2)
    with pytest.raises(BudgetExhausted):
        identify_and_train(policy, target, hopper, tmp_path)
    assert Spying.seen == {"nominal"}
    assert not are_closed()


@dataclass(frozen=True)
class Cheat:
    """Tries what no method should be able to, and notes what came of it."""

    card: ClassVar[Card] = Card("cheats")
    known: list = field(default_factory=list)
    """Names and values of the target's physics that were come by."""
    episodes: list = field(default_factory=list)
    """Starts of evaluation that were come by."""

    def __call__(self, case):
        target, world = case.target, case.source.world
        for loaded in (world, World.load(target.world_name), World.load(world.path)):
            self.known.extend(set(loaded.variants) - {"nominal"})
        for name, value in (("steps", 10**9), ("episodes", None), ("seconds", 1e9)):
            for record in (target.budget, target.spent):
                with contextlib.suppress(AttributeError):
                    object.__setattr__(record, name, value)
        for name in ("spent", "budget", "steps_left"):
            with contextlib.suppress(AttributeError):
                setattr(target, name, Spent())
        for twin in (copy.copy, copy.deepcopy, pickle.dumps):
            with contextlib.suppress(InvalidValue):
                self.known.append(twin(target))
        target.go_on_from(Spent())
        with contextlib.suppress(InvalidValue):
            target.reset(options={"domain": Domain({})})
        begun, told = target.reset(seed=SEED)
        self.episodes.append(begun)
        told = [told, target.step(zeros(target))[4], target.contents, target.name]
        told += [str(value) for name, value in vars(target).items() if not name.startswith("_")]
        self.known.extend(name for name in PHYSICS if name in repr(told))
        target.stop()
        before = target.steps_left
        with contextlib.suppress(BudgetExhausted):
            while True:
                target.reset()
        assert target.steps_left <= before - 4
        return case.policy


PHYSICS = ("torso.mass", "foot.friction", "latency", "combined_a")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TargetEnv, RemoteTarget])
def test_a_cheating_method_learns_nothing_and_pays_for_it(hopper, kind):
    physics, cheat = hopper.variant("combined_a"), Cheat()
    target = kind(hopper, physics, Budget(steps=200, episodes=40), 4, seal=Seal(name="sealed"))
    transfer(Policy.load("hopper-nominal-0"), target, cheat, Source(hopper))
    assert cheat.known == []
    judge = Sim2RealVectorEnv(hopper, 4, physics.domain)
    assert not np.isclose(cheat.episodes[0], judge.reset(seed=SEED)[0]).all(axis=1).any()
    assert target.budget == Budget(steps=200, episodes=40)
    assert target.spent.episodes == 40
    with pytest.raises(BudgetExhausted):
        target.reset()


@pytest.mark.slow
def test_a_method_of_a_comparison_has_a_target_in_another_process(hopper):
    policies, found = [Policy.load("hopper-nominal-0")], []

    @dataclass(frozen=True)
    class Look:
        card: ClassVar[Card] = Card("looks where its target is")

        def __call__(self, case):
            kind = type(case.target).__name__
            contract = dataclasses.replace(case.policy.contract, measured={kind: 1.0})
            return dataclasses.replace(case.policy, contract=contract)

    design = Design(("combined_a",), Budget(steps=200), (), Trials(2))
    done = compare(hopper, policies, {"look": Look()}, design).done
    found = [its.policy.contract.measured for cell, its in done if cell.label == "look"]
    assert found == [{"RemoteTarget": 1.0}]


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


@pytest.mark.slow
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
        there._send(("stop", (), {}))  # as an interrupt leaves it, its answer unread
        here.stop()
        assert there.spent == here.spent
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TargetEnv, RemoteTarget])
def test_what_was_spent_before_a_kill_stays_spent(tmp_path, kind):
    ledger = tmp_path / "spent.json"
    script = f"""
        import os, signal
        import numpy as np
        from pathlib import Path
        from sim2real.domain import Domain
        from {kind.__module__} import Budget, Seal, {kind.__name__}
        seal = Seal(ledger=Path({str(ledger)!r}))
        target = {kind.__name__}("hopper", Domain({{}}), Budget(steps=4000), 4, seal=seal)
        target.reset(seed=0)
        for _ in range(300):
            target.step(np.zeros((4, 3), np.float32))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, timeout=60)
    again = TargetEnv("hopper", Domain({}), Budget(steps=4000), 4, seal=Seal(ledger=ledger))
    assert 1200 <= again.spent.steps <= 1200 + 1024
    assert again.steps_left == 4000 - again.spent.steps
