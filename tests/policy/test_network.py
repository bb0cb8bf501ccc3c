"""A graph of layers gives what torch's modules and plain loops give, and says what is wrong with it."""

import copy
import dataclasses
import itertools
import json
import pickle
import re

import numpy as np
import pytest
import tomli_w
import torch
from safetensors.numpy import save_file

from sim2real.catalog import entries
from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import run_episodes
from sim2real.errors import PolicyError
from sim2real.interface import Signal
from sim2real.policy import Contract, Layer, Network, Policy, as_feedforward
from sim2real.policy.kinds import ACTIVATIONS, KINDS
from sim2real.policy.network import NetworkFunction
from sim2real.tasks import Quadrotor


def contract_of(observations=5, actions=2, **changes):
    observation, action = (
        tuple(Signal(f"{what}{k}", "1") for k in range(n))
        for what, n in (("o", observations), ("a", actions))
    )
    return Contract("furuta", "furuta", 0, "made", observation, action, 0.01, 0, (), {}, **changes)


def arrays(seed=0, **shapes):
    """Random weights, smaller where more of them are added up."""
    rng = np.random.default_rng(seed)
    drawn = {name: rng.normal(size=n) / np.sqrt(n[-1] if len(n) > 1 else 10) for name, n in shapes.items()}
    return {name.replace("__", "."): array.astype(np.float32) for name, array in drawn.items()}


def made(*layers, outputs=None, weights=(), **contract):
    described = [Layer(name, kind, tuple(inputs.split()), *number) for name, kind, inputs, *number in layers]
    outputs = outputs or {"action": described[-1].name}
    return Policy(contract_of(**contract), Network(tuple(described), outputs), dict(weights))


def gru_policy(**contract):
    """GRU → dense with a LoRA → tanh → dense, and a bounded residual beside it."""
    return made(
        ("memory", "gru", "observation"),
        ("trunk", "dense", "memory"),
        ("trunk.lora", "low_rank", "memory", 0.5),
        ("trunk.sum", "sum", "trunk trunk.lora"),
        ("trunk.tanh", "tanh", "trunk.sum"),
        ("head", "dense", "trunk.tanh"),
        ("residual", "dense", "observation"),
        ("residual.tanh", "tanh", "residual"),
        ("residual.scale", "affine", "residual.tanh"),
        ("both", "sum", "head residual.scale"),
        weights=arrays(
            memory__weight_ih=(21, 5), memory__weight_hh=(21, 7), memory__bias_ih=(21,),
            memory__bias_hh=(21,), trunk__weight=(6, 7), trunk__bias=(6,), trunk__lora__A=(2, 7),
            trunk__lora__B=(6, 2),
            head__weight=(2, 6), head__bias=(2,), residual__weight=(2, 5), residual__bias=(2,),
            residual__scale__scale=(2,), residual__scale__shift=(2,),
        ),
        **contract,
    )  # fmt: skip


def linear(weights, name):
    module = torch.nn.Linear(*weights[f"{name}.weight"].shape[::-1])
    module.load_state_dict({key: torch.tensor(weights[f"{name}.{key}"]) for key in ("weight", "bias")})
    return module


def played(policy, observations, resets):
    """Actions of a policy, shape (steps, rows, n), with rows that begin anew before a step."""
    state, actions = policy.start(observations.shape[1]), []
    for observation, mask in zip(observations, resets, strict=True):
        if mask.any():
            state = policy.start(mask, state)
        action, state = policy.act(observation, state)
        actions.append(action)
    return np.array(actions)


def test_a_policy_that_has_acted_goes_to_other_processes(motion):
    policy = gru_policy()
    wanted = played(policy, *motion)
    for again in (pickle.loads(pickle.dumps(policy)), copy.deepcopy(policy)):
        assert (again.contract, again.network, again.name) == (policy.contract, policy.network, policy.name)
        np.testing.assert_array_equal(played(again, *motion), wanted)


@pytest.fixture
def motion():
    rng = np.random.default_rng(1)
    resets = rng.random((12, 11)) < 0.15
    resets[0] = False
    return rng.normal(size=(12, 11, 5)).astype(np.float32), resets


def test_gru_and_lora_against_torch(motion):
    policy = gru_policy()
    weights = policy.weights
    gru = torch.nn.GRU(5, 7)
    names = {f"{key}_l0": f"memory.{key}" for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    gru.load_state_dict({key: torch.tensor(weights[name]) for key, name in names.items()})
    trunk, head, residual = (linear(weights, name) for name in ("trunk", "head", "residual"))
    a, b, scale, shift = (
        torch.tensor(weights[name])
        for name in ("trunk.lora.A", "trunk.lora.B", "residual.scale.scale", "residual.scale.shift")
    )
    hidden, wanted = torch.zeros(1, 11, 7), []
    with torch.no_grad():
        trunk.weight += 0.5 * b @ a
        for observation, mask in zip(*map(torch.tensor, motion), strict=True):
            hidden[:, mask] = 0
            given, hidden = gru(observation[None], hidden)
            x = head(torch.tanh(trunk(given[0])))
            wanted.append((x + scale * torch.tanh(residual(observation)) + shift).clamp(-1, 1).numpy())
    np.testing.assert_allclose(played(policy, *motion), wanted, atol=1e-6)
    assert 0.1 < np.mean(np.abs(wanted) < 1) < 1, "the example needs actions inside their range"


@pytest.mark.parametrize(("kind", "layer"), [("gru", torch.nn.GRU), ("lstm", torch.nn.LSTM)])
def test_two_layers_that_remember_against_torch_over_many_steps(kind, layer):
    torch.manual_seed(0)
    truth = layer(5, 7, num_layers=2)
    arrays = {name: 1.5 * value.detach() for name, value in truth.named_parameters()}
    truth.load_state_dict(arrays)
    weights = {}
    for key, value in arrays.items():
        name, k = key.rsplit("_l", 1)
        weights[f"memory.{k}.{name}"] = value.numpy()
    layers = (Layer("memory.0", kind, ("observation",)), Layer("memory.1", kind, ("memory.0",)))
    network = Network(layers, {"action": "memory.1"})
    rng = np.random.default_rng(2)
    seen, resets = rng.normal(size=(200, 11, 5)).astype(np.float32), rng.random((200, 11)) < 0.05
    run, worst, state = NetworkFunction(network, weights), 0.0, None
    memory = {name: np.zeros((11, size), np.float32) for name, size in run.memory.items()}
    for rows, begins in zip(seen, resets, strict=True):
        memory = {name: np.where(begins[:, None], np.float32(0), array) for name, array in memory.items()}
        if state is not None:
            kept = torch.from_numpy(~begins).float()[None, :, None]
            state = kept * state if kind == "gru" else tuple(kept * part for part in state)
        with torch.no_grad():
            wanted, state = truth(torch.from_numpy(rows)[None], state)
        found, memory = run({"observation": rows}, memory)
        worst = max(worst, float(np.abs(found - wanted[0].numpy()).max()))
    assert worst < 1e-6
    assert np.std(found) > 0.1


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_activations_against_torch(name):
    x = np.concatenate((np.linspace(-8, 8, 1001), [-200, -50, 50, 200])).astype(np.float32)
    wanted = getattr(torch.nn.functional, name)(torch.tensor(x)).numpy()
    found = ACTIVATIONS[name](x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=2e-6, rtol=1e-6)  # torch's gelu is right to 9e-7


@pytest.mark.parametrize("length", [2, 4])
def test_history_against_a_plain_loop_that_stacks(motion, length):
    size = length * 5 + (length - 1) * 2
    policy = made(
        ("0", "dense", "history"), ("0.elu", "elu", "0"), ("1", "dense", "0.elu"),
        weights=arrays(**{"0__weight": (8, size), "0__bias": (8,), "1__weight": (2, 8), "1__bias": (2,)}),
        history=length,
    )  # fmt: skip
    observations, resets = 0.3 * motion[0], motion[1]
    found = played(policy, observations, resets)
    for row in range(observations.shape[1]):
        begun = 0
        for step in range(len(observations)):
            begun = step if resets[step, row] else begun
            before = range(step - length + 1, step + 1)
            seen = [observations[max(k, begun), row] for k in before]
            done = [found[k, row] if k >= begun else np.zeros(2) for k in before[:-1]]
            x = np.concatenate((*seen, *done))
            x = policy.weights["0.weight"] @ x + policy.weights["0.bias"]
            x = policy.weights["1.weight"] @ np.where(x > 0, x, np.expm1(x)) + policy.weights["1.bias"]
            np.testing.assert_allclose(found[step, row], np.clip(x, -1, 1), atol=1e-6)
    assert len(np.unique(found)) > 100


def test_company_does_not_change_a_bit_of_what_is_remembered(motion):
    observations, resets = motion
    policy = gru_policy()
    together = played(policy, observations, resets)
    for rows in (1, 3, 8):
        np.testing.assert_array_equal(
            played(policy, observations[:, -rows:], resets[:, -rows:]), together[:, -rows:]
        )


@pytest.mark.parametrize("kind", ["gru", "history"])
def test_episodes_of_a_policy_that_remembers_against_single_envs(kind):
    """Rows of a batch, in which episodes end at different times, and an env and a state for each."""
    spec = Quadrotor.spec
    n, m = len(spec.observation), len(spec.action)
    first = ("in", "gru", "observation") if kind == "gru" else ("in", "dense", "history")
    shapes = {"in.weight": (8, 3 * n + 2 * m), "in.bias": (8,)}
    if kind == "gru":
        shapes = {"in.weight_ih": (24, n), "in.weight_hh": (24, 8), "in.bias_ih": (24,), "in.bias_hh": (24,)}
    shapes |= {"out.weight": (m, 8), "out.bias": (m,)}
    policy = made(
        first, ("in.tanh", "tanh", "in"), ("out", "dense", "in.tanh"), weights=arrays(**shapes),
        observations=n, actions=m, history=1 if kind == "gru" else 3,
    )  # fmt: skip
    found = run_episodes(policy, Sim2RealVectorEnv("quadrotor", 5, autoreset=False), seed=3)
    assert len(set(found.lengths)) > 1
    for row in range(5):
        env = Sim2RealVectorEnv("quadrotor", 1, autoreset=False)
        env.number_episodes(np.array([row]), seed=3)
        (observation, _), state, total = env.reset(), policy.start(1), 0.0
        while not env.resting.all():
            action, state = policy.act(observation, state)
            observation, reward, *_ = env.step(action)
            total += reward[0]
        assert found.returns[row] == pytest.approx(total, rel=1e-12)


def old_formula(policy, observation):
    """How policies acted when there was one kind of network, blocks of 8 rows and all."""
    weights, clip = policy.weights, as_feedforward(policy.network, policy.weights)[1]
    normal = np.clip((observation - weights["normalizer.mean"]) / weights["normalizer.std"], -clip, clip)
    x = np.zeros((-(-len(normal) // 8) * 8, normal.shape[1]), dtype=np.float32)
    x[: len(normal)] = normal
    x = x.reshape(-1, 8, normal.shape[1])
    for k in itertools.count():
        x = x @ weights[f"actor.{k}.weight"].T + weights[f"actor.{k}.bias"]
        if f"actor.{k + 1}.weight" not in weights:
            return np.clip(x.reshape(-1, x.shape[-1])[: len(normal)], -1, 1)
        x = np.tanh(x)


@pytest.mark.parametrize("name", entries("policies"))
def test_shipped_policies_act_bit_for_bit_as_before(name, tmp_path):
    policy = Policy.load(name)
    assert {layer.kind for layer in policy.network.layers} - {"clip"} == {"normalize", "dense", "tanh"}
    assert not policy.remembers
    rng = np.random.default_rng(0)
    observation = (3 * rng.normal(size=(133, len(policy.contract.observation)))).astype(np.float32)
    policy.save(tmp_path / name)
    again = Policy.load(tmp_path / name)
    assert (again.contract, again.network) == (policy.contract, policy.network)
    for rows in (1, 9, 133):
        wanted = old_formula(policy, observation[:rows])
        np.testing.assert_array_equal(policy.act(observation[:rows])[0], wanted)
        np.testing.assert_array_equal(again.act(observation[:rows])[0], wanted)


def test_everything_survives_the_disk(motion, tmp_path):
    one = gru_policy()
    seen = {"privileged": (Signal("mass", "kg", 2.0),), "context": (Signal("drag", "N"),) * 2}
    contract = contract_of(history=3, **seen)
    layers = (
        *one.network.layers,
        Layer("all", "concat", ("history", "context", "both", "privileged", "action")),
        Layer("critic", "dense", ("all",)),
    )
    size = 3 * 5 + 2 * 2 + 2 + 2 + 1 + 2
    policy = Policy(
        contract,
        Network(layers, {"action": "both", "value": "critic"}),
        {**one.weights, **arrays(context=(2,), critic__weight=(1, size), critic__bias=(1,), log_std=(2,))},
    )
    policy.save(tmp_path / "mine")
    again = Policy.load(tmp_path / "mine")
    assert (again.contract, again.network, again.name) == (policy.contract, policy.network, "mine")
    np.testing.assert_array_equal(played(again, *motion), played(policy, *motion))
    np.testing.assert_array_equal(played(policy, *motion), played(one, *motion))
    assert "[[network.layer]]" in (tmp_path / "mine" / "policy.toml").read_text()


def test_a_context_is_what_the_policy_is_conditioned_on():
    weights = arrays(head__weight=(2, 8), head__bias=(2,), context=(3,))
    policy = made(
        ("both", "concat", "observation context"), ("head", "dense", "both"),
        weights=weights, context=(Signal("mass", "kg"),) * 3,
    )  # fmt: skip
    observation = arrays(1, observation=(4, 5))["observation"]
    wanted = (
        np.concatenate((observation, np.tile(weights["context"], (4, 1))), axis=1) @ weights["head.weight"].T
    )
    np.testing.assert_allclose(
        policy.act(observation)[0], np.clip(wanted + weights["head.bias"], -1, 1), atol=1e-6
    )
    other = dataclasses.replace(policy, weights={**weights, "context": weights["context"] + 1})
    assert not np.allclose(other.act(observation)[0], policy.act(observation)[0])


def test_a_teacher_is_shown_what_no_env_shows():
    teacher = made(
        ("both", "concat", "observation privileged"), ("head", "dense", "both"),
        weights=arrays(head__weight=(2, 6), head__bias=(2,)), privileged=(Signal("pole.mass", "kg"),),
    )  # fmt: skip
    observation = np.zeros((3, 5), dtype=np.float32)
    light, heavy = (teacher.act(observation, None, np.full((3, 1), mass))[0] for mass in (0.0, 0.3))
    bias, weight = teacher.weights["head.bias"], teacher.weights["head.weight"][:, 5]
    np.testing.assert_allclose(light, [np.clip(bias, -1, 1)] * 3, atol=1e-6)
    np.testing.assert_allclose(heavy, [np.clip(bias + 0.3 * weight, -1, 1)] * 3, atol=1e-6)
    with pytest.raises(PolicyError, match="acts on privileged signals; give them, or distil it"):
        teacher.act(observation)
    with pytest.raises(PolicyError, match=r"acts on pole\.mass, which no env shows; distil it"):
        teacher.check(None)


def test_actions_are_clipped_to_the_limit_of_the_contract(tmp_path):
    weights = {"head.weight": np.eye(2, 5, dtype=np.float32), "head.bias": np.zeros(2, np.float32)}
    policy = made(("head", "dense", "observation"), weights=weights, action_limit=3.0)
    policy.save(tmp_path / "mine")
    for one in (policy, Policy.load(tmp_path / "mine")):
        np.testing.assert_array_equal(one.act(np.array([2.5, -9, 0, 0, 0]))[0], [2.5, -3])


def test_other_outputs_run_alike():
    weights = arrays(trunk__weight=(4, 5), trunk__bias=(4,), head__weight=(2, 4), head__bias=(2,))
    weights |= arrays(2, q__weight=(1, 6), q__bias=(1,))
    policy = made(
        ("trunk", "dense", "observation"), ("head", "dense", "trunk"),
        ("pair", "concat", "trunk action"), ("q", "dense", "pair"),
        outputs={"action": "head", "value": "q"}, weights=weights,
    )  # fmt: skip
    given = arrays(3, observation=(4, 5), action=(4, 2))
    value, _ = NetworkFunction(policy.network, weights, "value")(given)
    trunk = given["observation"] @ weights["trunk.weight"].T + weights["trunk.bias"]
    wanted = np.concatenate((trunk, given["action"]), axis=1) @ weights["q.weight"].T + weights["q.bias"]
    np.testing.assert_allclose(value, wanted, atol=1e-6)


DENSE = ("a", "dense", "observation")


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([("a", "dens", "observation")], "layer 'a': unknown kind 'dens': did you mean 'dense'?"),
        (
            [("a", "dense", "observatio")],
            "layer 'a': unknown input 'observatio': did you mean 'observ",
        ),
        ([("a\nb", "dense", "observation")], "layer 'a\\nb' has no name that can be shown; give it one"),
        ([DENSE, ("a", "tanh", "a")], "the network has several 'a'; give each layer a name of its own"),
        ([("context", "dense", "observation")], "the network has several 'context'"),
        ([("a", "dense", "b"), ("b", "dense", "c"), ("c", "tanh", "a")], "read each other in a circle: "),
        ([("a", "sum", "a observation")], "read each other in a circle: 'a' → 'a'"),
        ([("a", "dense", "observation context")], "layer 'a' of kind dense has 2 inputs; it takes one"),
        ([("a", "sum", "")], "layer 'a' of kind sum has 0 inputs; it takes at least one"),
        ([("a", "clip", "observation")], "layer 'a' of kind clip has the limit None; give one above 0"),
        ([("a", "clip", "observation", -1.0)], "layer 'a' of kind clip has the limit -1.0; give one above 0"),
        ([("a", "tanh", "observation", 2.0)], "layer 'a' of kind tanh has the number 2; leave it out"),
        ([("b", "dense", "observation"), DENSE], "layer 'b' leads to no output of the network; leave it out"),
    ],
)
def test_what_is_no_graph(layers, said):
    with pytest.raises(PolicyError, match=re.escape(said)):
        made(*layers)


def test_outputs_that_are_not_there():
    layer = Layer("a", "dense", ("observation",))
    with pytest.raises(PolicyError, match="the network's action: unknown layer 'b': known: a"):
        Network((layer,), {"action": "b"})
    with pytest.raises(PolicyError, match="the network gives no action; name the layer that does"):
        Network((layer,), {"value": "a"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"memory.weight_hh": (20, 7)}, "'memory.weight_hh' have shape (20, 7) where (21, 7) is meant"),
        ({"memory.weight_ih": (22, 5)}, "'memory.weight_ih' have shape (22, 5) where (3·out, 5) is meant"),
        ({"trunk.lora.B": (6, 3)}, "weights 'trunk.lora.B' have shape (6, 3) where (6, 2) is meant"),
        ({"trunk.lora.B": (5, 2)}, "differs in size: 'trunk' of 6, 'trunk.lora' of 5"),
        ({"trunk.bias": (6, 1)}, "weights 'trunk.bias' have shape (6, 1) where (6,) is meant"),
        ({"head.weight": (3, 6), "head.bias": (3,)}, "layer 'both' adds up what differs in size"),
        ({"head.bias": None}, "weights lack 'head.bias', of the layer 'head' of kind dense"),
        ({"extra": (2,), "trunk.0": (1,)}, "weights 'extra', 'trunk.0' belong to no layer of the network"),
        ({"log_std": (3,)}, "weights 'log_std' have shape (3,) where (2,) is meant"),
        ({"context": (3,)}, "weights 'context' belong to no layer of the network"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(changes, said):
    policy = gru_policy()
    weights = {**policy.weights, **{k: v and np.ones(v, np.float32) for k, v in changes.items()}}
    weights = {key: array for key, array in weights.items() if array is not None}
    with pytest.raises(PolicyError, match=re.escape(said)):
        dataclasses.replace(policy, weights=weights)


@pytest.mark.parametrize(
    ("layers", "contract", "said"),
    [
        ([("a", "tanh", "observation")], {}, "the network gives 5 actions where the contract names 2"),
        ([("a", "tanh", "context")], {}, "layer 'a' reads 'context', of which the contract names no signal"),
        ([("a", "tanh", "action")], {}, "the network's action depends on the action itself"),
        ([("a", "tanh", "context")], {"context": (Signal("x", "1"),) * 2}, "weights lack 'context', the v"),
    ],
)  # fmt: skip
def test_networks_that_do_not_fit_their_contract(layers, contract, said):
    with pytest.raises(PolicyError, match=re.escape(said)):
        made(*layers, **contract)


def test_observations_and_states_of_somebody_else():
    policy, observation = gru_policy(), np.zeros((3, 5), dtype=np.float32)
    with pytest.raises(PolicyError, match="sees 5 signals; the observation has 4"):
        policy.act(observation[:, :4], policy.start(3))
    with pytest.raises(PolicyError, match="remembers: it was given no state for 3 rows; begin with"):
        policy.act(observation)
    with pytest.raises(PolicyError, match="remembers: it was given the state of 2 rows for 3 rows"):
        policy.act(observation, policy.start(2))
    alone, _ = policy.act(observation[0], policy.start(1))
    np.testing.assert_array_equal(alone, policy.act(observation, policy.start(3))[0][0])


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda t: t["layer"][0].update(inputs=["head"]), "layers read each other in a circle: "),
        (lambda t: t["layer"][0].update(kind="__import__"), "layer 'memory': unknown kind '__import__'"),
        (lambda t: t["layer"][0].update(kind=["gru"]), "network.layer[0].kind is ['gru'], not a text"),
        (
            lambda t: t["layer"][0].update(inputs="observation"),
            "inputs is 'observation', not a list of texts",
        ),
        (lambda t: t["layer"][0].pop("name"), "there is no network.layer[0].name; there is kind, inputs"),
        (lambda t: t["layer"][0].update(limit=3), "unknown key 'network.layer[0].limit'"),
        (lambda t: t["layer"][2].update(factor="inf"), "network.layer[2].factor is 'inf', not a number"),
        (lambda t: t["layer"][2].pop("factor"), "there is no network.layer[2].factor"),
        (lambda t: t.update(layer=3), "network.layer is 3, not a list of tables"),
        (lambda t: t.update(outputs={"action": 3}), "network.outputs.action is 3, not a text"),
        (lambda t: t.update(outputs={}), "the network gives no action"),
        (lambda t: t["layer"].pop(), "the network's action: unknown layer 'both'"),
        (lambda t: t.update(colour="red"), "unknown key 'network.colour'"),
    ],
)
def test_networks_that_were_tampered_with(edit, said, tmp_path):
    """Both files agree, but on no network."""
    from sim2real.policy.folder import to_table

    policy = gru_policy()
    policy.save(tmp_path / "mine")
    table = to_table(policy.contract, policy.network)
    edit(table["network"])
    (tmp_path / "mine" / "policy.toml").write_text(tomli_w.dumps(table))
    weights = tmp_path / "mine" / "weights.safetensors"
    save_file(dict(policy.weights), weights, metadata={"contract": json.dumps(table)})
    with pytest.raises(PolicyError, match=re.escape(said)) as caught:
        Policy.load(tmp_path / "mine")
    assert "\n" not in str(caught.value)


def test_arrays_of_another_type_on_disk(tmp_path):
    policy = gru_policy()
    policy.save(tmp_path / "mine")
    from sim2real.policy.folder import to_table

    wide = {key: array.astype(np.float64) for key, array in policy.weights.items()}
    metadata = {"contract": json.dumps(to_table(policy.contract, policy.network))}
    save_file(wide, tmp_path / "mine" / "weights.safetensors", metadata=metadata)
    with pytest.raises(PolicyError, match="are F64, not F32; save the policy anew"):
        Policy.load(tmp_path / "mine")


def test_every_kind_is_in_the_table_of_its_module():
    import sim2real.policy.kinds as module

    for name in set(KINDS) - set(ACTIVATIONS):
        assert re.search(rf"^{name}\b", module.__doc__, flags=re.MULTILINE), name
