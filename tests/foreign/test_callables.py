import numpy as np
import pytest
from stable_baselines3 import PPO

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, PolicyError
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.foreign import load_policy
from sim2real.policy import Policy
from sim2real.world import World

MODULE = '''
import numpy as np

def push(observation):
    return 0.1 * np.ones((len(observation), 1))

class Counter:
    """Pushes harder by the step; its episodes begin at 0."""

    def start(self, rows, state=None):
        return np.zeros(rows) if state is None else np.where(rows, 0.0, state)

    def act(self, observation, state=None):
        return 0.01 * state[:, None], state + 1

class Needy:
    def __init__(self, gain):
        pass

text = "no policy"
'''


@pytest.fixture
def module(tmp_path):
    (tmp_path / "my_policies.py").write_text(MODULE)
    return str(tmp_path / "my_policies.py")


def test_a_function_of_a_module_acts(module):
    policy = load_policy(f"{module}:push")
    action, _ = policy.act(np.zeros((3, 6), np.float32), policy.start(3))
    np.testing.assert_array_equal(action, np.full((3, 1), 0.1, np.float32))
    assert (policy.name, policy.label, policy.kind) == ("push", "push", "Python")


def test_a_class_of_a_module_keeps_its_memory_by_row(module):
    policy = load_policy(f"mine={module}:Counter")
    state = policy.start(2)
    for _ in range(3):
        _, state = policy.act(np.zeros((2, 6), np.float32), state)
    action, _ = policy.act(np.zeros((2, 6), np.float32), policy.start(np.array([True, False]), state))
    np.testing.assert_allclose(action, [[0.0], [0.03]], rtol=1e-6)
    assert policy.label == "mine"


def test_a_model_predicts_without_exploring():
    model = PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8)
    policy = load_policy(model)
    seen = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    action, _ = policy.act(seen, policy.start(4))
    np.testing.assert_allclose(action, model.predict(seen, deterministic=True)[0])


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("pull", "no 'pull' to act with; it has Counter, Needy, push"),
        ("Needy", "can't be made without arguments"),
        ("text", "does not act"),
    ],
)
def test_a_name_that_does_not_act_is_refused(module, name, complaint):
    with pytest.raises(InvalidValue, match=complaint):
        load_policy(f"{module}:{name}")


def test_a_module_that_raises_or_is_not_there_is_told(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(InvalidValue, match="ZeroDivisionError"):
        load_policy(f"{tmp_path / 'broken.py'}:act")
    with pytest.raises(InvalidValue, match="there is no module"):
        load_policy("no_such_module:act")


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        (lambda seen: np.full((len(seen), 1), np.nan), "not finite, in rows 0, 1"),
        (lambda seen: np.full((len(seen), 1), 1 + 2j), "actions are complex numbers"),
        (lambda seen: np.zeros(1), r"actions of shape \(1,\) for observations of shape \(2, 6\)"),
        (lambda seen: np.zeros((1, 1)), r"actions of shape \(1, 1\)"),
        (lambda seen: np.zeros((len(seen), 3)), "gives 3 actions where the env takes 1"),
        (lambda seen: 1 / 0, "ZeroDivisionError"),
        (lambda seen: None, r"actions of shape \(\)"),
        (lambda seen: "left", "ValueError"),
    ],
    ids=["nan", "complex", "flat", "few", "wide", "raises", "none", "text"],
)
def test_a_function_that_does_not_give_actions_is_told(act, complaint):
    env = Sim2RealVectorEnv("furuta", 2)
    seen, _ = env.reset(seed=0)
    with pytest.raises(PolicyError, match=complaint):
        load_policy(act).fitted(env).act(seen)


def test_what_is_ours_is_ours():
    policy = load_policy("mine=furuta-nominal-0")
    assert isinstance(policy, Policy)
    assert policy.label == policy.contract.label == "mine"
    assert load_policy("furuta-nominal-0").label == "nominal"
    assert load_policy(policy) is policy


def test_it_is_evaluated_beside_ours(module):
    ours = Policy.load("furuta-nominal-0")

    def same(seen):
        return ours.act(seen)[0]

    same.__name__ = "copy"
    policies = [ours, load_policy(same), load_policy(same), load_policy(f"{module}:Counter")]
    table = run_policies(World.load("furuta"), policies, ["nominal"], Trials(4))
    returns = table["return"].reshape(4, 4)
    np.testing.assert_array_equal(returns[0], returns[1])
    assert (returns[3] < returns[0]).all()
    labels, seeds = table["label"].reshape(4, 4)[:, 0], table["seed"].reshape(4, 4)[:, 0]
    assert labels.tolist() == ["nominal", "copy", "copy", "Counter"]
    assert seeds.tolist() == [0, 0, 1, 0]
