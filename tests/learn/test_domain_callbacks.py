"""Logging and scheduling the domain, on our env and on a stranger's."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from sim2real.distributions import LogUniform, Normal, Point, Samples, Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.learn.domain_callbacks import LogDomain, ScheduleDomain, widening
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.wrappers import Randomize


class Kept(KVWriter):
    """Keeps what is logged."""

    def __init__(self):
        self.rows = []

    def write(self, key_values, key_excluded, step=0):
        self.rows.append(dict(key_values))

    def close(self): ...


def ours():
    return SB3VecEnv(
        Sim2RealVectorEnv("cartpole", 4, {"parameters": {"pole.mass": {"uniform": [0.06, 0.3]}}}, 8)
    )


def strangers():
    domain = Domain({"pole.mass": Uniform(4.0, 6.0)})
    return DummyVecEnv([lambda: Randomize(gym.make("InvertedPendulum-v5"), domain)] * 4)


def learnt(envs, callbacks, rollouts=3):
    kept = Kept()
    model = PPO("MlpPolicy", VecMonitor(envs), n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.set_logger(Logger(None, [kept]))
    model.learn(rollouts * 64, callbacks, log_interval=1)
    return [row for row in kept.rows if any(key.startswith("domain/") for key in row)]


@pytest.mark.parametrize(("make", "low", "high"), [(ours, 0.06, 0.3), (strangers, 4.0, 6.0)])
def test_mean_and_spread_of_the_draws_are_logged(make, low, high):
    rows = learnt(make(), [LogDomain()])
    assert len(rows) == 3
    for row in rows:
        assert low < row["domain/pole.mass/mean"] < high
        assert 0 < row["domain/pole.mass/std"] < (high - low) / 2


def test_a_domain_widens_while_training_goes_on():
    envs = ours()
    full = envs.env.domain
    seen = []

    def at(share):
        seen.append(widening(full, {"pole.mass": 0.1})(share))
        return seen[-1]

    rows = learnt(envs, [ScheduleDomain(at), LogDomain()], rollouts=4)
    spreads = [domain.parameters["pole.mass"].support() for domain in seen]
    assert spreads[0] == (0.1, 0.1)
    assert spreads[1] == pytest.approx((0.08, 0.2))
    assert spreads[2] == (0.06, 0.3)
    assert rows[0]["domain/pole.mass/std"] == pytest.approx(0.0, abs=1e-12), (
        "eight steps end before the rollout"
    )
    assert rows[-1]["domain/pole.mass/std"] > 0.01


def test_a_strangers_domain_can_be_scheduled():
    envs = strangers()
    learnt(envs, [ScheduleDomain(lambda share: Domain({"pole.mass": Point(5.0 + share)}))], rollouts=2)
    envs.reset()
    assert envs.env_method("physics") == [{"pole.mass": 5.5}] * 4


@pytest.mark.parametrize(
    ("widest", "start", "half"),
    [
        (Uniform(0.0, 4.0), 1.0, Uniform(0.5, 2.5)),
        (LogUniform(0.25, 4.0), 1.0, LogUniform(0.5, 2.0)),
        (Normal(2.0, 1.0, 0.0, 9.0), 1.0, Normal(1.5, 0.5, 0.0, 9.0)),
        (Samples((0.0, 4.0)), 1.0, Samples((0.5, 2.5))),
        (Point(4.0), 1.0, Point(2.5)),
    ],
)
def test_half_way(widest, start, half):
    at = widening(Domain({"pole.mass": widest} if widest.support()[0] else {"joint.damping": widest}),
                  {"pole.mass": start, "joint.damping": start}, until=0.8)  # fmt: skip
    (grown,) = at(0.4).parameters.values()
    if isinstance(half, LogUniform):
        assert grown.support() == pytest.approx(half.support())
    else:
        assert grown == half
    assert at(0.8).parameters[next(iter(at(0.8).parameters))] == widest


def test_whole_numbers_stay_whole():
    at = widening(Domain({"motor.latency": Uniform(0, 8)}), {"motor.latency": 0}, until=1.0)
    assert [at(k / 16).parameters["motor.latency"].support()[1] for k in (0, 1, 8, 16)] == [0, 0, 4, 8]


# --- what they stand on ---


def test_our_env_takes_a_new_domain_at_the_next_start():
    env = Sim2RealVectorEnv("cartpole", 3, {"parameters": {"pole.mass": 0.2, "cart.mass": 0.8}}, 5)
    env.reset(seed=0)
    env.set_domain({"parameters": {"pole.mass": {"uniform": [0.25, 0.3]}}})
    assert [env.physics(k)["pole.mass"] for k in range(3)] == [0.2] * 3, "running episodes stay as they are"
    for _ in range(5):
        env.step(np.zeros((3, 1), np.float32))
    drawn = [env.physics(k)["pole.mass"] for k in range(3)]
    assert len(set(drawn)) == 3
    assert all(0.25 <= mass <= 0.3 for mass in drawn)
    assert [env.physics(k)["cart.mass"] for k in range(3)] == [env.world.nominal["cart.mass"]] * 3


def test_a_new_domain_draws_as_an_env_that_was_made_with_it():
    table = {"parameters": {"pole.mass": {"uniform": [0.1, 0.3]}}}
    env = Sim2RealVectorEnv("cartpole", 3)
    env.reset(seed=0)
    env.set_domain(table)
    made = Sim2RealVectorEnv("cartpole", 3, table)
    assert np.array_equal(env.reset(seed=4)[0], made.reset(seed=4)[0])
    assert env.physics(1) == made.physics(1)
    with pytest.raises(ValueError, match=r"did you mean 'pole\.mass'"):
        env.set_domain({"parameters": {"pol.mass": 0.1}})
