"""A policy folder keeps every bit, and says exactly what does not fit."""

import copy
import dataclasses
import itertools
import json
import re

import numpy as np
import pytest
import tomli_w
from safetensors.numpy import save_file

from sim2real.catalog import entries
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, PolicyError, UnknownName
from sim2real.interface import Signal
from sim2real.policy import Contract, Policy, ProvenanceStep, feedforward
from sim2real.single_env import Sim2RealEnv
from sim2real.tasks import Furuta
from sim2real.world import World


@pytest.fixture
def contract():
    spec = Furuta.spec
    return Contract(
        world="furuta",
        task=spec.name,
        task_version=spec.version,
        label="nominal",
        observation=spec.observation,
        action=spec.action,
        control_dt=spec.control_dt,
        seed=3,
        provenance=(
            ProvenanceStep("train", {"parameters": {"pole.mass": {"value": 0.1}}}, 1000, 3, {"gamma": 0.99}),
        ),
        measured={"source_return": 1 / 3},
        code_version="0.1.0",
    )


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    sizes = (6, 16, 16, 1)
    arrays = {
        "normalizer.mean": rng.normal(size=6),
        "normalizer.std": rng.uniform(0.5, 2, 6),
        "log_std": np.zeros(1),
    }
    for head in ("actor", "critic"):
        for k, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            arrays[f"{head}.{k}.weight"] = rng.normal(size=(outputs, inputs)) / 3
            arrays[f"{head}.{k}.bias"] = rng.normal(size=outputs) / 3
    return {key: array.astype(np.float32) for key, array in arrays.items()}


@pytest.fixture
def policy(contract, weights):
    return Policy(contract, feedforward(weights, "tanh", 10.0), weights)


@pytest.fixture
def folder(policy, tmp_path):
    policy.save(str(tmp_path / "mine"))
    return tmp_path / "mine"


def test_the_shipped_seeds_of_a_method():
    found = Policy.shipped("furuta", "randomized")
    assert [policy.name for policy in found[:3]] == [f"furuta-randomized-{seed}" for seed in range(3)]
    assert Policy.shipped("furuta", "no such method") == []


def test_folder_keeps_every_bit(policy, folder):
    loaded = Policy.load(folder)
    assert loaded.contract == policy.contract
    assert loaded.name == "mine"
    assert set(loaded.weights) == set(policy.weights)
    for key, array in policy.weights.items():
        np.testing.assert_array_equal(loaded.weights[key], array)
        assert loaded.weights[key].dtype == np.float32
    observation = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_array_equal(loaded.act(observation)[0], policy.act(observation)[0])
    loaded.save(folder.with_name("copy"))
    for name in ("policy.toml", "weights.safetensors"):
        assert (folder.with_name("copy") / name).read_bytes() == (folder / name).read_bytes()


def test_card_tells_the_story(folder):
    card = (folder / "README.md").read_text()
    assert "A *nominal* policy for the world `furuta` at 100 Hz" in card
    assert "1. train: 1,000 control steps, seed 3" in card
    assert "- source_return: 0.333333" in card
    assert f"sim2real evaluate {folder.name}" in card


@pytest.mark.parametrize("activation", ["tanh", "relu", "elu"])
def test_acts_like_the_formula_written_out(contract, weights, activation):
    policy = Policy(contract, feedforward(weights, activation, 1.5), weights)
    squash = {
        "tanh": np.tanh,
        "relu": lambda x: np.maximum(x, 0),
        "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    }[activation]
    observation = 4 * np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)
    w = {key: array.astype(np.float64) for key, array in weights.items()}
    for row, action in zip(observation, policy.act(observation)[0], strict=True):
        x = np.clip((row - w["normalizer.mean"]) / w["normalizer.std"], -1.5, 1.5)
        for k in range(2):
            x = squash(w[f"actor.{k}.weight"] @ x + w[f"actor.{k}.bias"])
        x = np.clip(w["actor.2.weight"] @ x + w["actor.2.bias"], -1, 1)
        np.testing.assert_allclose(action, x, atol=1e-6)
    assert policy.act(observation)[0].dtype == np.float32
    np.testing.assert_array_equal(policy.act(observation[0])[0], policy.act(observation)[0][0])


@pytest.mark.parametrize("name", ["furuta-nominal-0", "quadruped-nominal-0"])
def test_company_does_not_change_a_bit(name):
    """BLAS rounds the products of many rows otherwise than those of few, on some processors."""
    policy = Policy.load(name)
    wide = len(policy.contract.observation)
    observation = np.random.default_rng(2).normal(size=(300, wide)).astype(np.float32)
    together = policy.act(observation)[0]
    for rows in (1, 2, 3, 7, 16, 63, 64, 65, 129, 200):
        np.testing.assert_array_equal(policy.act(observation[:rows])[0], together[:rows])
        np.testing.assert_array_equal(policy.act(observation[-rows:])[0], together[-rows:])
    assert policy.act(observation[:0])[0].shape == (0, len(policy.contract.action))


def test_fits_its_world_alone(policy):
    policy.check(Sim2RealVectorEnv("furuta"))
    policy.check(Sim2RealEnv("furuta"))
    with pytest.raises(PolicyError) as caught:
        policy.check(Sim2RealVectorEnv("hopper"))
    said = str(caught.value)
    assert (
        "policy 'policy' does not fit this env (policy against env): world: 'furuta' against 'hopper'" in said
    )
    assert "task: 'furuta' against 'hopper'" in said
    assert "observation: ['arm_cos'," in said
    assert "action: ['voltage'] against ['hip_torque'," in said


def changed(spec, **changes):
    """What `Policy.check` looks at, with a changed task."""

    class Env:
        task = dataclasses.replace(spec, **changes)
        world_name = "furuta"
        contents = {}  # noqa: RUF012

    return Env()


def test_another_physics_is_a_warning_in_words(policy_in, caplog):
    world, policy = policy_in("furuta")
    heavier = dataclasses.replace(world, parameters=world.parameters, model=copy.copy(world.model))
    heavier.model.body("pole").mass *= 2
    policy.check(Sim2RealVectorEnv(world))
    assert not caplog.text
    policy.check(Sim2RealVectorEnv(heavier))
    assert "was made in another furuta: another body pole in scene.xml" in caplog.text


def test_the_same_world_may_have_another_name(policy_in):
    world, policy = policy_in("furuta")
    policy.check(Sim2RealVectorEnv(dataclasses.replace(world, name="mine")))
    heavier = dataclasses.replace(world, name="mine", model=copy.copy(world.model))
    heavier.model.body("pole").mass *= 2
    with pytest.raises(PolicyError, match="world: 'furuta' against 'mine'"):
        policy.check(Sim2RealVectorEnv(heavier))


@pytest.fixture
def policy_in():
    """A world, and a shipped policy as if it had been made there now."""

    def make(name):
        world, policy = World.load(name), Policy.load(f"{name}-nominal-0")
        return world, dataclasses.replace(
            policy, contract=dataclasses.replace(policy.contract, contents=world.contents)
        )

    return make


def test_contents_survive_the_disk_and_older_policies_have_none(policy_in, tmp_path):
    world, policy = policy_in("furuta")
    policy.save(tmp_path / "mine")
    assert Policy.load(tmp_path / "mine").contract.contents == world.contents
    older = dataclasses.replace(policy, contract=dataclasses.replace(policy.contract, contents={}))
    older.save(tmp_path / "old")
    text = (tmp_path / "old" / "policy.toml").read_text()
    assert "contents" in text
    assert Policy.load(tmp_path / "old").contract.contents == {}


OBSERVATION = Furuta.spec.observation


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"control_dt": 0.02}, "control period (s): 0.01 against 0.02"),
        ({"version": 1}, "task version: 0 against 1"),
        ({"action_limit": 3.0}, "limit of actions: 1.0 against 3.0"),
        (
            {"observation": (OBSERVATION[1], OBSERVATION[0], *OBSERVATION[2:])},
            "order of the observation: entry 0 is 'arm_cos' against 'arm_sin'",
        ),
        (
            {"observation": (*OBSERVATION[:5], Signal("pole_velocity", "rad/s", 10.0))},
            "observation 'pole_velocity': rad/s scaled by 20 against rad/s scaled by 10",
        ),
        (
            {"observation": (*OBSERVATION[:5], Signal("pole_velocity", "deg/s", 20.0))},
            "observation 'pole_velocity': rad/s scaled by 20 against deg/s scaled by 20",
        ),
        (
            {"observation": OBSERVATION[:5]},
            "observation: ['arm_cos', 'arm_sin', 'pole_cos', 'pole_sin', 'arm_",
        ),
        (
            {"action": (Signal("voltage", "V", 12.0),)},
            "action 'voltage': V scaled by 6 against V scaled by 12",
        ),
    ],
)
def test_names_the_one_difference(policy, changes, said):
    with pytest.raises(PolicyError) as caught:
        policy.check(changed(Furuta.spec, **changes))
    assert said in str(caught.value)
    assert str(caught.value).count(" against ") == 2  # the sentence's own, and one difference


def test_truncated_weights(folder):
    path = folder / "weights.safetensors"
    whole = path.read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(PolicyError, match=r"weights\.safetensors is truncated or no safetensors file \("):
            Policy.load(folder)
    path.write_bytes(b"PK\x03\x04" + whole)
    with pytest.raises(PolicyError, match="copy it again from its source"):
        Policy.load(folder)


def test_weights_of_somebody_else(folder, weights):
    path = folder / "weights.safetensors"
    save_file(weights, path)
    with pytest.raises(PolicyError, match="was not written by sim2real: it carries no contract"):
        Policy.load(folder)
    save_file(weights, path, metadata={"contract": "{not json"})
    with pytest.raises(PolicyError, match="carries no contract that can be read"):
        Policy.load(folder)
    path.unlink()
    with pytest.raises(PolicyError, match=r"mine is no policy: it has no weights\.safetensors"):
        Policy.load(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("control_dt = 0.01", "control_dt = 0.02", "control_dt is 0.02, was 0.01"),
        ('world = "furuta"', 'world = "hopper"', "world is 'hopper', was 'furuta'"),
        ("seed = 3\n", "", "seed is None, was 3"),
        ("history = 1", "history = 1\nclap = 1", "clap is 1, was None"),
        ("limit = 10.0", "limit = 1.0", "network is {"),
        ('kind = "tanh"', 'kind = "relu"', "network is {"),
        ("scale = 20.0", "scale = 2.0", "observation is "),
    ],
)
def test_contract_edited_by_hand(folder, old, new, said):
    path = folder / "policy.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(PolicyError, match=re.escape(said)) as caught:
        Policy.load(folder)
    assert "was edited after its weights were saved" in str(caught.value)
    assert "save the policy anew with Policy.save" in str(caught.value)


def test_contract_that_is_no_contract(folder):
    path = folder / "policy.toml"
    text = path.read_text()
    path.write_text("world = furuta")
    with pytest.raises(PolicyError, match=r"policy\.toml is not a TOML file"):
        Policy.load(folder)
    path.write_text(text.replace("format = 2", "format = 3"))
    with pytest.raises(PolicyError, match="has format 3; this version reads the formats 1 and 2"):
        Policy.load(folder)
    path.unlink()
    with pytest.raises(PolicyError, match=r"mine is no policy: it has no policy\.toml"):
        Policy.load(folder)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda t: t.pop("network"), "lacks ['network'] and has the unknown keys none"),
        (lambda t: t.update(colour="red"), "lacks nothing and has the unknown keys ['colour']"),
        (lambda t: t["action"][0].pop("unit"), "there is no action[0].unit; there is name, scale"),
        (lambda t: t.update(provenance=3), "provenance is 3, not a list of tables"),
        (lambda t: t.update(control_dt=0), "control_dt is 0, not above 0"),
        (lambda t: t.update(action_limit=-1.0), "action_limit is -1, not above 0"),
        (lambda t: t.update(history=0), "the contract has a history of 0 observations; 1 is the least"),
        (lambda t: t.update(history=2), "has a history of 2 observations, but no layer reads 'history'"),
        (lambda t: t.update(seed="3"), "seed is '3', not a whole number"),
    ],
)
def test_contract_of_another_version(folder, policy, edit, said):
    """Both files agree, but not with this version of the code."""
    from sim2real.policy.folder import to_table

    table = to_table(policy.contract, policy.network)
    edit(table)
    (folder / "policy.toml").write_text(tomli_w.dumps(table))
    metadata = {"contract": json.dumps(table)}
    save_file(dict(policy.weights), folder / "weights.safetensors", metadata=metadata)
    with pytest.raises(PolicyError, match=re.escape(said)):
        Policy.load(folder)


@pytest.mark.parametrize(
    ("key", "array", "said"),
    [
        (
            "actor.1.weight",
            np.full((16, 16), np.nan),
            "weights 'actor.1.weight' are not finite; the training div",
        ),
        (
            "actor.0.weight",
            np.ones((16, 5)),
            "'actor.0.weight' have shape (16, 5) where (16, 6) is meant",
        ),
        (
            "actor.1.weight",
            np.ones((16, 15)),
            "'actor.1.weight' have shape (16, 15) where (16, 16) is",
        ),
        ("actor.2.weight", np.ones((2, 16)), "weights 'actor.2.bias' have shape (1,) where (2,) is meant"),
        ("actor.1.bias", np.ones(3), "weights 'actor.1.bias' have shape (3,) where (16,) is meant"),
        ("normalizer.mean", np.ones(1), "weights 'normalizer.mean' have shape (1,) where (6,) is meant"),
        ("normalizer.std", np.zeros(6), "weights 'normalizer.std' must be above 0"),
        ("actor.1.bias", None, "weights lack 'actor.1.bias', of the layer 'actor.1' of kind dense"),
        ("normalizer.mean", None, "weights lack 'normalizer.mean'"),
    ],
)
def test_weights_that_cannot_act(contract, weights, key, array, said):
    weights = {**weights, key: array}
    if array is None:
        del weights[key]
    with pytest.raises(PolicyError, match=re.escape(said)):
        Policy(contract, feedforward(weights, "tanh"), weights)


def test_no_actor_and_no_such_activation(weights):
    with pytest.raises(PolicyError, match="the network gives no action; name the layer that does"):
        feedforward({key: array for key, array in weights.items() if not key.startswith("actor")}, "tanh")
    with pytest.raises(UnknownName, match="unknown activation 'tahn': did you mean 'tanh'"):
        feedforward(weights, "tahn")


def test_policy_that_does_not_exist(tmp_path):
    with pytest.raises(UnknownName, match=r"unknown policy \(a name, or the path of a folder\) 'nobody-0'"):
        Policy.load("nobody-0")
    with pytest.raises(PolicyError, match=r"is no policy: it has no policy\.toml"):
        Policy.load(tmp_path)


@pytest.mark.parametrize(
    "name", entries("policies") or [pytest.param("none", marks=pytest.mark.skip("none yet"))]
)
def test_every_shipped_policy_loads_fits_and_acts(name):
    policy = Policy.load(name)
    env = Sim2RealVectorEnv(policy.contract.world, 4, max_episode_steps=20)
    policy.check(env)
    assert policy.name == name
    assert name.endswith(f"-{policy.contract.seed}")
    assert policy.contract.provenance[0].method == "train"
    observation, _ = env.reset(seed=0)
    for _ in range(20):
        action = policy.act(observation)[0]
        assert np.abs(action).max() <= 1
        observation, *_ = env.step(action)


def test_acting_needs_no_torch(folder, python):
    told = python(
        "import sys, numpy as np\n"
        "from sim2real.policy import Policy\n"
        "print(Policy.load(sys.argv[1]).act(np.zeros((2, 6), np.float32))[0].shape)\n"
        "print(sorted({'torch', 'mujoco', 'stable_baselines3', 'matplotlib'} & set(sys.modules)))\n",
        folder,
    )
    assert told.split("\n")[:2] == ["(2, 1)", "[]"]


def test_saving_over_a_policy_replaces_it_whole(policy, folder, contract):
    other = dataclasses.replace(policy, contract=dataclasses.replace(contract, seed=4))
    other.save(folder)
    assert Policy.load(folder).contract.seed == 4
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "policy.toml", "weights.safetensors"]
    (folder / "notes.txt").write_text("somebody's own")
    with pytest.raises(InvalidValue, match=r"holds notes\.txt, which would be lost"):
        policy.save(folder)
    assert Policy.load(folder).contract.seed == 4
