"""Oracles of the test pendulum, hardly trained: what they are measured on, kept from and repeated by."""

import dataclasses
import shutil

import numpy as np
import pytest

from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor, run_episodes
from sim2real.errors import InvalidValue
from sim2real.evaluate.rollouts import SEED
from sim2real.learn.settings import settings_for as settings
from sim2real.learn.train import MEASURE_SEED, train
from sim2real.policy import Policy
from sim2real.transfer import oracle
from sim2real.transfer.oracle import OracleSettings, measure_oracle
from sim2real.world import Variant, World

QUICK = OracleSettings(steps=4096, evaluations=2, selection=2, episodes=4, seeds=2)


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory, pendulum_files):
    folder = tmp_path_factory.mktemp("world") / "pendulum"
    folder.mkdir()
    for name, text in zip(("scene.xml", "physics.toml"), pendulum_files, strict=True):
        (folder / name).write_text(text)
    return World.load(folder)


@pytest.fixture(scope="module")
def contestants(pendulum, tmp_path_factory):
    """Two policies of each of two seeds, hardly trained."""
    tmp_path = tmp_path_factory.mktemp("contestants")

    def make(label, seed):
        tiny = settings(pendulum, total_steps=512, num_envs=8)
        policy = train(pendulum, tmp_path / f"{label}-{seed}", seed=seed + 10 * (label == "b"), settings=tiny)
        contract = dataclasses.replace(policy.contract, label=label, seed=seed)
        return dataclasses.replace(policy, contract=contract, name=f"{label}-{seed}")

    return [make(label, seed) for label in "ab" for seed in (0, 1)]


@pytest.fixture(scope="module")
def made(pendulum, contestants, tmp_path_factory):
    """What was measured in the heavy variant, and the folder of what was trained for it."""
    kept = tmp_path_factory.mktemp("oracles") / "kept"
    return measure_oracle(pendulum, pendulum.variant("heavy"), contestants, kept, QUICK), kept


def returns(world, policy, variant, seed, episodes):
    env = Sim2RealVectorEnv(world, episodes, variant.domain, autoreset=False)
    return run_episodes(policy, env, seed).returns


@pytest.mark.slow
def test_an_oracle_is_trained_in_its_variant_and_measured_on_fresh_episodes(pendulum, contestants, made):
    heavy, (found, kept) = pendulum.variant("heavy"), made
    trained = [Policy.load(path) for path in sorted((kept / "heavy").iterdir())]
    for seed, policy in enumerate(trained):
        last = policy.contract.provenance[-1]
        assert (policy.contract.label, policy.contract.seed) == ("oracle", seed)
        assert last.domain == heavy.domain.to_toml()
        assert 2048 <= last.steps <= 4096
        starts = [p for p in contestants if p.contract.seed == seed]
        scores = [returns(pendulum, p, heavy, oracle._SELECTION, 2).mean() for p in starts]
        assert last.settings["start"] == starts[int(np.argmax(scores))].name

    # against the plain jackknife over seeds and over starts
    table = np.stack([returns(pendulum, p, heavy, oracle._MEASUREMENT, 4) for p in trained])
    assert found.reference.oracle == pytest.approx(table.mean())
    by_seed = (2 - 1) * np.var([table[1].mean(), table[0].mean()])
    by_start = (4 - 1) * np.var([np.delete(table, k, axis=1).mean() for k in range(4)])
    assert found.reference.oracle_error == pytest.approx((by_seed + by_start) ** 0.5)
    chance = [returns(pendulum, RandomActor(1, k), heavy, oracle._MEASUREMENT, 4) for k in (0, 1)]
    assert found.reference.random == pytest.approx(np.mean(chance))
    assert found.reference.random_error > 0
    for label in "ab":
        own = [p for p in contestants if p.contract.label == label]
        mean = np.mean([returns(pendulum, p, heavy, oracle._MEASUREMENT, 4) for p in own])
        assert found.shipped[label] == pytest.approx(mean)
    entry = found.entry()
    assert entry["best_shipped_return"] == max(found.shipped.values())
    assert entry["beats_shipped"] == (entry["oracle"] > entry["best_shipped_return"])


@pytest.mark.slow
def test_an_oracle_that_is_made_twice_goes_on_and_is_the_same(pendulum, contestants, made, tmp_path):
    heavy, (first, kept) = pendulum.variant("heavy"), made
    shutil.copytree(kept, tmp_path / "kept")
    files = sorted((tmp_path / "kept").rglob("*.safetensors"))
    times = [path.stat().st_mtime_ns for path in files]
    assert measure_oracle(pendulum, heavy, contestants, tmp_path / "kept", QUICK) == first
    assert [path.stat().st_mtime_ns for path in files] == times
    shutil.rmtree(files[1].parent)  # as if killed before the second was there
    assert measure_oracle(pendulum, heavy, contestants, tmp_path / "kept", QUICK) == first
    assert files[0].stat().st_mtime_ns == times[0]
    assert files[1].stat().st_mtime_ns > times[1]
    longer = dataclasses.replace(QUICK, steps=8192)
    assert measure_oracle(pendulum, heavy, contestants, tmp_path / "kept", longer) != first


@pytest.mark.slow
def test_the_oracle_of_another_engine_was_trained_in_mujoco(pendulum, contestants, tmp_path):
    there = Variant("there", "simulator", pendulum.variant("heavy").physics, "bullet")
    world = dataclasses.replace(pendulum, variants={**pendulum.variants, "there": there})
    few = dataclasses.replace(QUICK, elsewhere=1, seeds=1)
    found = measure_oracle(world, there, contestants, tmp_path / "kept", few)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["heavy"]
    assert np.isfinite(found.reference.oracle_error)


@pytest.mark.slow
def test_what_can_not_be_measured(pendulum, contestants, tmp_path):
    heavy = pendulum.variant("heavy")
    with pytest.raises(InvalidValue, match="of 3 seeds goes on from shipped policies of the seeds 0 to 2"):
        measure_oracle(pendulum, heavy, contestants, tmp_path, dataclasses.replace(QUICK, seeds=3))
    with pytest.raises(InvalidValue, match="evaluations = 0 is out of reach"):
        OracleSettings(evaluations=0)


def test_no_episode_of_an_oracle_is_one_of_evaluation_or_training():
    assert len({SEED, MEASURE_SEED, oracle._SELECTION, oracle._MEASUREMENT, *range(1000)}) == 1004
