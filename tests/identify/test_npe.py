"""Summaries see physics, the checks tell right posteriors from wrong ones, sbi finds what was planted."""

import numpy as np
import pytest

from sim2real.distributions import Samples
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue
from sim2real.gather import Excited, Imitator, gather
from sim2real.identify.npe import NpeSettings, compress, npe, summarize
from sim2real.identify.posterior_checks import calibration, predictive
from sim2real.policy import Policy
from sim2real.recordings.rollouts import Episode
from sim2real.world import World

NAMES = ("pole.mass", "motor.strength")


@pytest.fixture(scope="module")
def furuta():
    return World.load("furuta")


@pytest.fixture(scope="module")
def policy():
    return Policy.load("furuta-nominal-0")


def recording(world, policy, physics, seed=5):
    env = Sim2RealVectorEnv(world, 4, Domain.point(physics), autoreset=False)
    return gather(env, Excited(policy, 0.3, seed=99), 60, seed=seed)


def bounds(world):
    return Domain({name: world.training_domain.parameters[name] for name in NAMES})


def test_a_summary_of_a_linear_system_is_the_system():
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (400, 1))
    seen = np.zeros((401, 2))
    for t in range(400):
        late = actions[t - 2, 0] if t >= 2 else 0.0
        seen[t + 1] = seen[t] + [0.1 * seen[t, 1], -0.2 * seen[t, 1] + 0.5 * late]
    summary = summarize([Episode(seen, actions)])
    assert summary.shape == (2 * (2 + 4 + 2),)
    weights = summary[: 2 * 7].reshape(7, 2)  # observation 2, actions now to three steps ago, constant
    assert weights[1] == pytest.approx([0.1, -0.2], abs=0.01)
    assert weights[4, 1] == pytest.approx(0.5, abs=0.01)
    assert abs(weights[[2, 3, 5], 1]).max() < 0.01


def test_imitated_recordings_are_those_of_the_env(furuta, policy):
    physics = {"pole.mass": 0.02, "motor.strength": 1.1}
    like = recording(furuta, policy, physics)
    imitator = Imitator(furuta, like, lambda seed: Excited(policy, 0.0, seed), rows=12)
    made = list(imitator(NAMES, np.array([[physics[name] for name in NAMES]] * 5), seed=1))
    assert [len(episodes) for episodes in made] == [4] * 5
    env = Sim2RealVectorEnv(furuta, 12, Domain.point(physics), autoreset=False)
    truth = gather(env, policy, 60, seed=100_003).episodes
    # a policy that is not shaken gives the very episodes; rows 0-3, 4-7 and 8-11 are three recordings
    for k, episode in enumerate([episode for episodes in made[:3] for episode in episodes]):
        assert np.array_equal(episode.observation, truth[k].observation)


@pytest.mark.parametrize("count", [1, 2])
def test_compression_guesses_what_is_linear(count):
    rng = np.random.default_rng(0)
    points = rng.random((300, count))
    summaries = points @ rng.normal(size=(count, 10)) + 0.05 * rng.normal(size=(300, 10))
    guess, guesses = compress(summaries[:200], points[:200])
    assert guesses.shape == (200, count)
    assert np.abs(guesses - points[:200]).std() < 0.05
    fresh = guess(summaries[200:])
    assert fresh.shape == (100, count)
    assert np.abs(fresh - points[200:]).std() < 0.05


def posteriors(width, shift=0.0, count=300):
    """Truths from a uniform prior and samples of a normal posterior around a noisy guess."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(count, 1))
    guess = truth + 0.5 * rng.normal(size=(count, 1))
    mean, std = guess / 1.25 + shift, np.sqrt(0.2)
    return truth, mean[:, None] + width * std * rng.normal(size=(count, 200, 1))


def test_calibration_tells_right_from_wrong():
    right = calibration(("pole.mass",), *posteriors(1.0))
    assert right.passed
    assert right.coverage["pole.mass"][2] == pytest.approx(0.95, abs=0.03)
    narrow = calibration(("pole.mass",), *posteriors(0.4))
    assert not narrow.passed
    assert "pole.mass (overconfident: its 80 % intervals hold" in narrow.verdict
    wide = calibration(("pole.mass",), *posteriors(3.0))
    assert "too wide" in wide.verdict
    assert "NOT CALIBRATED" in calibration(("pole.mass",), *posteriors(1.0, shift=0.2)).verdict


def test_whole_numbers_are_ranked_at_random_among_their_equals():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (300, 1)).astype(float)
    samples = rng.integers(0, 3, (300, 100, 1)).astype(float)
    assert calibration(("motor.latency",), truth, samples).passed


def test_predictive_tells_an_outlier():
    rng = np.random.default_rng(0)
    simulated = rng.normal(size=(200, 20))
    assert predictive(simulated, rng.normal(size=20)).passed
    outside = predictive(simulated, 4 * np.ones(20))
    assert not outside.passed
    assert "lacks an effect" in outside.verdict


def test_too_few_simulations_are_refused():
    with pytest.raises(
        InvalidValue, match="simulations = 10 is out of reach; give a whole number of at least 50"
    ):
        NpeSettings(simulations=10)


@pytest.mark.slow
def test_a_single_parameter_is_learnt_too(furuta, policy):
    truth, box = 0.0312, bounds(furuta).parameters["pole.mass"]
    settings = NpeSettings(simulations=100, checks=20, samples=100, max_epochs=30)
    like, only = recording(furuta, policy, {"pole.mass": truth}), Domain({"pole.mass": box})
    result = npe(furuta, like, only, lambda seed: Excited(policy, 0.3, seed), settings)
    samples = np.array(result.domain.parameters["pole.mass"].values)
    assert abs(samples.mean() - truth) < 4 * samples.std()


@pytest.mark.slow
def test_a_planted_truth_is_found_and_an_effect_that_is_missing_is_noticed(furuta, policy):
    truth = {"pole.mass": 0.0312, "motor.strength": 0.8}
    settings = NpeSettings(simulations=200, checks=60, max_epochs=50, samples=200)

    def actor(seed):
        return Excited(policy, 0.3, seed)

    result = npe(furuta, recording(furuta, policy, truth), bounds(furuta), actor, settings)
    for name, value in truth.items():
        samples = np.array(result.domain.parameters[name].values)
        assert abs(samples.mean() - value) < 3 * samples.std()
        prior = furuta.parameters[name]
        assert samples.std() < 0.3 * (prior.high - prior.low)
    assert result.passed, (result.calibration.verdict, result.predictive.verdict)
    assert all(isinstance(d, Samples) for d in result.domain.parameters.values())
    assert Domain.from_toml(result.domain.to_toml()) == result.domain
    stuck = recording(furuta, policy, {**truth, "arm_hinge.frictionloss": 0.008})
    unaware = npe(furuta, stuck, bounds(furuta), actor, settings)
    assert not unaware.predictive.passed
