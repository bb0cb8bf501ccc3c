"""Batched evaluation against one env per variant: same starts, same numbers, and a control arm always."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor, run_episodes
from sim2real.errors import InvalidValue, PolicyError, UnknownName
from sim2real.evaluate import batches
from sim2real.evaluate.batches import VariantBatch
from sim2real.evaluate.episode_table import COLUMNS, LATER, checked, fold
from sim2real.evaluate.rollouts import SEED, Trials, mean_returns, references, run_policies, steps_of
from sim2real.evaluate.scores import Reference
from sim2real.learn.train import MEASURE_SEED
from sim2real.policy import Contract, Policy, ProvenanceStep, feedforward
from sim2real.tasks import TASKS
from sim2real.world import CONTROL, Variant, World


@pytest.fixture
def pendulum(write_world):
    return World.load(write_world())


@pytest.fixture
def random_policy():
    """A policy with random weights for a world."""

    def make(world, seed, label="nominal"):
        spec = TASKS[world.task].spec
        rng = np.random.default_rng(seed)
        n, m = len(spec.observation), len(spec.action)
        weights = {
            "actor.0.weight": rng.normal(size=(m, n)),
            "actor.0.bias": rng.normal(size=m),
            "log_std": np.zeros(m),
            "normalizer.mean": np.zeros(n),
            "normalizer.std": np.ones(n),
        }
        contract = Contract(
            world=world.name,
            task=spec.name,
            task_version=spec.version,
            label=label,
            observation=spec.observation,
            action=spec.action,
            control_dt=spec.control_dt,
            seed=seed,
            provenance=(),
            measured={},
        )
        weights = {k: v.astype(np.float32) for k, v in weights.items()}
        return Policy(contract, feedforward(weights, "tanh"), weights, f"{label}-{seed}")

    return make


def rows(table, **values):
    return np.logical_and.reduce([table[name] == value for name, value in values.items()])


@pytest.mark.slow
def test_table_against_one_env_per_variant_and_policy(random_policy):
    world = World.load("hopper")
    policies = [random_policy(world, 0), random_policy(world, 1), random_policy(world, 0, "other")]
    variants = [variant for variant in world.variants.values() if variant.simulator == "mujoco"]
    table = run_policies(world, policies, [variant.name for variant in variants], Trials(3, seed=7))
    assert set(table) == {*COLUMNS, *LATER}
    assert len(table["return"]) == len(policies) * len(variants) * 3
    checked(table)
    for policy in policies:
        for variant in variants:
            env = Sim2RealVectorEnv(world, 3, variant.domain, autoreset=False)
            alone = run_episodes(policy, env, seed=7)
            mine = rows(table, policy=policy.name, variant=variant.name)
            assert table["episode"][mine].tolist() == [0, 1, 2]
            np.testing.assert_array_equal(table["return"][mine], alone.returns)
            np.testing.assert_array_equal(table["length"][mine], alone.lengths)
            np.testing.assert_array_equal(table["success"][mine], alone.success)
            np.testing.assert_array_equal(table["diverged"][mine], alone.diverged)
            assert set(table["group"][mine]) == {variant.group}
            assert set(table["label"][mine]) == {policy.contract.label}
            assert set(table["seed"][mine]) == {policy.contract.seed}
    assert len(set(table["length"].tolist())) > 5, "episodes should end at different times"


def test_episodes_against_a_plain_loop(random_policy):
    """Return, length and success of one row, added up step by step."""
    world = World.load("hopper")
    policy = random_policy(world, 3)
    env = Sim2RealVectorEnv(world, 4, autoreset=False)
    outcomes = run_episodes(policy, env, seed=2, episodes=np.array([5, 0, 5, 9]))
    for row, episode in enumerate((5, 0, 5, 9)):
        single = Sim2RealVectorEnv(world, 1, autoreset=False)
        single.number_episodes(np.array([episode]), seed=2)
        observation, _ = single.reset()
        total, steps, over = 0.0, 0, False
        while not over:
            observation, reward, terminated, truncated, info = single.step(policy.act(observation)[0])
            total, steps, over = total + reward[0], steps + 1, bool(terminated[0] or truncated[0])
        assert outcomes.lengths[row] == steps
        assert outcomes.returns[row] == pytest.approx(total, rel=1e-5)
        assert outcomes.success[row] == info["success"][0]


def test_common_random_numbers(pendulum):
    """Episode k starts alike in every variant and for every policy."""
    variants = list(pendulum.variants.values())
    env = VariantBatch(pendulum, variants, 4).env
    env.number_episodes(np.tile(np.arange(4), len(variants)), SEED)
    observation = env.reset()[0].reshape(len(variants), 4, -1)
    np.testing.assert_array_equal(observation, np.broadcast_to(observation[:1], observation.shape))
    assert len(np.unique(observation[0], axis=0)) == 4


def test_rows_have_the_physics_of_their_variant(pendulum):
    env = VariantBatch(pendulum, list(pendulum.variants.values()), 2).env
    expected = [{**pendulum.nominal, **variant.physics} for variant in pendulum.variants.values()]
    assert [env.physics(row) for row in range(6)] == [physics for physics in expected for _ in range(2)]
    env.reset(seed=0)
    assert [env.physics(row) for row in range(6)] == [physics for physics in expected for _ in range(2)]


def test_control_arm_is_always_there(pendulum, random_policy):
    for variants in (None, ["heavy"], ["heavy", "heavy"], [CONTROL, "heavy"], []):
        table = run_policies(pendulum, [random_policy(pendulum, 0)], variants, trials=Trials(2))
        assert table["variant"][0] == CONTROL
        assert (table["group"] == "control").sum() == 2
        wanted = set(pendulum.variants) if variants is None else {CONTROL, *variants}
        assert set(table["variant"]) == wanted
        assert len(table["return"]) == 2 * len(wanted)


def test_a_policy_does_not_depend_on_the_others(pendulum, random_policy):
    a, b = random_policy(pendulum, 0), random_policy(pendulum, 1)
    seen = []
    both = run_policies(pendulum, [a, b], trials=Trials(3), done=seen.append)
    assert seen == [a, b]
    alone = run_policies(pendulum, [b], trials=Trials(3))
    np.testing.assert_array_equal(both["return"][rows(both, policy=b.name)], alone["return"])
    again = run_policies(pendulum, [a, b], trials=Trials(3))
    for name in COLUMNS:
        np.testing.assert_array_equal(both[name], again[name])
    other = run_policies(pendulum, [b], trials=Trials(3, SEED + 1))
    assert not np.array_equal(other["return"], alone["return"])


def test_more_episodes_keep_the_first_ones(pendulum, random_policy):
    policy = random_policy(pendulum, 0)
    few, many = (run_policies(pendulum, [policy], trials=Trials(n)) for n in (2, 5))
    for variant in pendulum.variants:
        longer = many["return"][rows(many, variant=variant)]
        np.testing.assert_array_equal(longer[:2], few["return"][rows(few, variant=variant)])


def test_a_diverged_episode_is_a_failure_with_a_finite_return(random_policy):
    world = World.load("so101")
    env = Sim2RealVectorEnv(world, 3, autoreset=False)
    env.set_physics(("world.gravity",), np.array([[1e18]]), np.array([1]))
    outcomes = run_episodes(random_policy(world, 0), env, seed=0)
    assert outcomes.diverged.tolist() == [False, True, False]
    assert not outcomes.success[1]
    assert np.isfinite(outcomes.returns).all()
    assert outcomes.lengths[1] < outcomes.lengths[0]


def test_table_folds_into_seeds(pendulum, random_policy):
    policies = [random_policy(pendulum, seed) for seed in range(3)]
    table = run_policies(pendulum, policies, trials=Trials(4))
    folded = fold(table)
    assert folded.variants == (CONTROL, "heavy", "heavy_late")
    assert folded.returns.shape == (1, 3, 3, 4)
    for seed in range(3):
        mean = table["return"][rows(table, seed=seed, variant="heavy")].mean()
        assert folded.returns[0, 1, seed].mean() == pytest.approx(mean)


def test_mean_returns_of_any_actor(pendulum, random_policy):
    variants = list(pendulum.variants.values())
    policy = random_policy(pendulum, 0)
    table = run_policies(pendulum, [policy], trials=Trials(4))
    means = mean_returns(pendulum, policy, variants, Trials(4))
    for variant in pendulum.variants:
        assert means[variant] == pytest.approx(table["return"][rows(table, variant=variant)].mean())
    chance = mean_returns(pendulum, RandomActor(1, 0), variants, Trials(4))
    assert set(chance) == set(pendulum.variants)
    assert chance == mean_returns(pendulum, RandomActor(1, 0), variants, Trials(4))


def test_what_can_not_be_evaluated(pendulum, random_policy):
    policy = random_policy(pendulum, 0)
    with pytest.raises(InvalidValue, match="no policies to evaluate; name at least one"):
        run_policies(pendulum, [])
    with pytest.raises(InvalidValue, match="episodes = 0 is out of reach"):
        run_policies(pendulum, [policy], trials=Trials(0))
    with pytest.raises(UnknownName, match="unknown variant of pendulum 'hevy': did you mean 'heavy'"):
        run_policies(pendulum, [policy], ["hevy"])
    with pytest.raises(PolicyError, match="world: 'furuta' against 'pendulum'"):
        run_policies(pendulum, [policy, random_policy(World.load("furuta"), 1)])


def test_references(pendulum):
    assert references(pendulum) == {}
    (pendulum.path / "references.toml").write_text("[variants.heavy]\nrandom = 3\noracle = 200.5\n")
    (reference,) = references(pendulum).values()
    assert reference == Reference(3.0, 200.5, picked=True)  # of before there were errors
    errors = "random_error = 0.5\noracle_error = 1.5\n"
    (pendulum.path / "references.toml").write_text(f"[variants.heavy]\nrandom = 3\noracle = 9\n{errors}")
    assert references(pendulum) == {"heavy": Reference(3.0, 9.0, 0.5, 1.5)}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("random = 3", "there is no variants.heavy.oracle"),
        ("random = 3\noracle = 9\noracle_error = -1", "variants.heavy.oracle_error is -1, not at least 0"),
        ("random = 3\noracle = 9\nrandom_error = nan", "random_error is nan, not a finite number"),
        ("random = 3\noracle = [9]", "variants.heavy.oracle is"),
    ],
)
def test_references_that_are_spoilt_get_a_sentence(pendulum, text, sentence):
    (pendulum.path / "references.toml").write_text(f"[variants.heavy]\n{text}\n")
    with pytest.raises(InvalidValue, match=sentence):
        references(pendulum)


def test_references_of_other_variants_are_no_scores_of_these(pendulum):
    """As those of another world, whose variants may have the same names."""
    (pendulum.path / "references.toml").write_text(
        "[variants.nominal]\nrandom = 3\noracle = 9\n[variants.hevy]\nrandom = 3\noracle = 9\n"
    )
    with pytest.raises(UnknownName, match=r"variant in .*references\.toml 'hevy': did you mean 'heavy'"):
        references(pendulum)


@pytest.mark.parametrize("name", ["cartpole", "furuta", "hopper", "so101"])
def test_stored_references_are_of_these_variants(name):
    world = World.load(name)
    stored = references(world)
    assert set(stored) <= set(world.variants)
    assert all(reference.oracle > reference.random for reference in stored.values())


def test_steps_of_every_label(pendulum, random_policy):
    policy = random_policy(pendulum, 0)
    stages = tuple(ProvenanceStep("train", {}, steps, 0, {}) for steps in (901_120, 50_000))
    tuned = replace(policy, contract=replace(policy.contract, label="tuned", provenance=stages))
    once = replace(policy, contract=replace(policy.contract, provenance=stages[:1]))
    assert steps_of([once, once, tuned]) == "nominal 901,120; tuned 901,120 + 50,000"


def test_evaluation_draws_no_episode_of_training():
    """Seeds of training are small, those of measurements and of evaluation are not."""
    assert len({SEED, MEASURE_SEED, *range(1000)}) == 1002


def test_domain_of_the_env_stays_out_of_the_way(pendulum):
    env = Sim2RealVectorEnv(pendulum, 2, Domain({"pole.mass": Uniform(0.05, 0.2)}), autoreset=False)
    first = run_episodes(RandomActor(1, 0), env, seed=0)
    again = run_episodes(RandomActor(1, 0), env, seed=0)
    np.testing.assert_array_equal(first.returns, again.returns)


def test_few_rows_at_a_time_go_as_all_at_once(pendulum, random_policy, monkeypatch):
    policy, variants = random_policy(pendulum, 0), list(pendulum.variants.values())
    whole = VariantBatch(pendulum, variants, 3).run(policy, 1)
    monkeypatch.setitem(batches._MOST_ROWS, "mujoco", 4)
    parts = VariantBatch(pendulum, variants, 3)
    assert parts.env.num_envs == 4
    some = parts.run(policy, 1)
    for field in ("returns", "lengths", "success", "diverged"):
        assert np.array_equal(getattr(whole, field), getattr(some, field)), field


@pytest.mark.slow
def test_variants_of_other_engines_stand_in_the_same_table(pendulum, random_policy):
    pytest.importorskip("pybullet")
    there = {"in_bullet": Variant("in_bullet", "simulator", {"pole.mass": 0.3}, "bullet")}
    world = replace(pendulum, variants={**pendulum.variants, **there})
    table = run_policies(world, [random_policy(world, 0)], trials=Trials(2))
    assert list(dict.fromkeys(table["variant"].tolist())) == list(world.variants)
    everywhere = run_policies(world, [random_policy(world, 0)], trials=Trials(2, simulator="bullet"))
    same = table["variant"] == "in_bullet"
    assert np.array_equal(table["return"][same], everywhere["return"][same])
    moved = np.abs(table["return"] - everywhere["return"])[~same]
    assert 0 < moved.max() < 0.1  # a cart at the soft end of its rail in MuJoCo, at Bullet's in the other
