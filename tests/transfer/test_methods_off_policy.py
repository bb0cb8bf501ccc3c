"""SAC as a transfer method: it spends what it is given, moves the actor after its critics, and says so."""

import numpy as np
import pytest

from sim2real.errors import InvalidValue
from sim2real.policy import Policy
from sim2real.transfer.methods.off_policy import OffPolicy
from sim2real.transfer.source import Source
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.transfer.transfer import transfer
from sim2real.world import World

WORLD = World.load("cartpole")
POLICY = Policy.load("cartpole-nominal-0")


def adapted(method, steps=1_200):
    target = TargetEnv(WORLD, WORLD.variant("combined_a"), Budget(steps=steps), 4)
    return transfer(POLICY, target, method, Source(WORLD)), target


def strayed(policy):
    observation = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    return np.abs(policy.act(observation)[0] - POLICY.act(observation)[0]).mean()


@pytest.mark.slow
def test_it_spends_its_budget_and_an_anchor_holds_it():
    free, target = adapted(OffPolicy(anchor=0.0, learning_rate=1e-2))
    assert target.spent.steps == free.contract.provenance[-1].steps == 1_200
    assert (free.contract.label, free.contract.provenance[-1].settings["anchor"]) == ("off-policy", 0.0)
    assert {k for k, a in free.weights.items() if not np.array_equal(a, POLICY.weights[k])} == {
        *(key for key in POLICY.weights if key.startswith("actor")),
        "log_std",
    }
    held, _ = adapted(OffPolicy(anchor=1000.0, learning_rate=1e-2))
    assert strayed(free) > 2 * strayed(held) > 0


def test_critics_alone_learn_at_first():
    late, _ = adapted(OffPolicy(critic_warmup=0.999), 403)  # whole steps of four rows end before
    assert strayed(late) == 0


@pytest.mark.parametrize("bad", [{"updates": 0.0}, {"critic_warmup": 1.0}, {"anchor": -1.0}])
def test_settings_that_teach_nothing_are_refused(bad):
    with pytest.raises(InvalidValue, match="give"):
        OffPolicy(**bad)
