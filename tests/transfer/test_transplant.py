"""Layers kept and learnt anew: what moves and what does not, whose layers they are, and what is said."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.errors import InvalidValue, PolicyError
from sim2real.evaluate.rollouts import Trials
from sim2real.policy import Policy, feedforward
from sim2real.policy.surgery import add_adapter, layers_by_depth
from sim2real.transfer.compare import Design
from sim2real.transfer.layers import Transplant, layer_transfer
from sim2real.transfer.methods import Case
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.world import World

WORLD = World.load("cartpole")
POLICIES = Policy.shipped("cartpole", "nominal")
DESIGN = Design(("heavy_pole",), Budget(steps=1024), (), Trials(4))


def other(policy, factor=1.5):
    """A policy of other weights, of the same seed."""
    weights = {k: a * np.float32(factor) if "actor" in k else a for k, a in policy.weights.items()}
    return replace(policy, weights=weights, name=f"other-{policy.seed}")


def learnt(tmp_path, method, policy=POLICIES[0]):
    target = TargetEnv(WORLD, WORLD.variant("heavy_pole"), Budget(steps=1024), 8, seal=Seal(3))
    return method(Case(policy, target, None, policy.seed, tmp_path)), target


def moved(policy, before):
    parts = layers_by_depth(before.network)
    return [
        not np.array_equal(policy.weights[f"{n}.weight"], before.weights[f"{n}.weight"]) for (n,) in parts
    ]


@pytest.mark.parametrize("kept", [(), (0,), (0, 1), (2,), (1, 2)])
def test_frozen_layers_stay_to_the_bit_and_the_others_begin_anew(kept, tmp_path):
    policy, target = learnt(tmp_path, Transplant(kept))
    assert moved(policy, POLICIES[0]) == [depth not in kept for depth in range(3)]
    assert target.spent.steps == 1024
    # what is learnt anew is no neighbour of what was there
    for depth in set(range(3)) - set(kept):
        before, after = (p.weights[f"actor.{depth}.weight"].ravel() for p in (POLICIES[0], policy))
        assert abs(np.corrcoef(before, after)[0, 1]) < 0.4
    np.testing.assert_array_equal(policy.weights["normalizer.mean"], POLICIES[0].weights["normalizer.mean"])


def test_clip_of_observations_stays(tmp_path):
    """As furuta's and hopper's policies have it, and new networks without a normalizer don't."""
    clipped = feedforward(POLICIES[0].weights, "tanh", 10.0)
    policy, _ = learnt(tmp_path, Transplant((0,)), replace(POLICIES[0], network=clipped))
    assert policy.network == clipped
    assert moved(policy, POLICIES[0]) == [False, True, True]


def test_tuned_layers_begin_where_they_were_and_move(tmp_path):
    policy, _ = learnt(tmp_path, Transplant((0, 1), frozen=False))
    assert moved(policy, POLICIES[0]) == [True, True, True]
    for depth, near in ((0, True), (1, True), (2, False)):
        before, after = (p.weights[f"actor.{depth}.weight"].ravel() for p in (POLICIES[0], policy))
        assert (np.corrcoef(before, after)[0, 1] > 0.9) == near


def test_layers_of_another_policy_are_that_of_the_same_seed(tmp_path):
    donors = tuple(other(policy) for policy in POLICIES)
    policy, _ = learnt(tmp_path, Transplant((0,), donors=donors), POLICIES[1])
    assert moved(policy, donors[1]) == [False, True, True]
    whole, target = learnt(tmp_path, Transplant((0, 1, 2), donors=donors), POLICIES[1])
    assert whole is donors[1]
    assert target.spent.steps == 0


def test_network_of_another_form_is_refused_before_anything_is_spent(tmp_path):
    with pytest.raises(PolicyError, match="no plain feedforward one"):
        learnt(tmp_path, Transplant((0,)), add_adapter(POLICIES[0], "actor.0", 2))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, pendulum_files):
    """A world and a policy of two layers, as every set of layers is a cell with a process of its own."""
    folder = tmp_path_factory.mktemp("tiny") / "pendulum"
    folder.mkdir()
    training = "total_steps = 1024\nnum_envs = 8\nrollout_steps = 16\nbatch_size = 64\nhidden = [8]\n"
    for name, text in zip(("scene.xml", "physics.toml"), pendulum_files, strict=True):
        (folder / name).write_text(text + f"\n[training]\n{training}" * (name == "physics.toml"))
    policy = folder.with_name("pendulum-nominal-0")
    assert main(["train", str(folder), "--seed", "0", "--out", str(policy)]) == 0
    return folder, policy


@pytest.fixture(scope="module")
def command(tiny, tmp_path_factory):
    """The command that takes them apart, and its folder."""
    world, mine = map(str, tiny)
    out = tmp_path_factory.mktemp("out")
    command = ["layers", mine, "--world", world, "--target", "heavy", "--budget", "1024", "--tries", "4"]
    return [*command, "--jobs", "1", "--out", str(out)], out


@pytest.mark.slow
def test_command_trains_a_policy_of_the_target(command, capsys):
    (command, out) = command
    for _ in range(2):  # the second time all is there
        assert main(command) == 0
        said = capsys.readouterr().out
        assert "The source's lower 1 (actor.0), frozen, against that of a policy of the target" in said
    assert said.count("kept from before") == 1 + 1 + 2 * 2 * 2 + 3
    told = json.loads((out / "layers.json").read_text("utf-8"))
    assert told["layers"] == ["actor.0", "actor.1"]
    assert (out / "layers.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "donors" / "pendulum-heavy-0" / "policy.toml").is_file()


@pytest.mark.slow
def test_equal_policies_are_not_told_apart(tiny, command):
    """In the folder of the command, where the source's own cells are kept."""
    world, policy = World.load(tiny[0]), Policy.load(str(tiny[1]))
    design = replace(DESIGN, targets=("heavy",))
    found = layer_transfer(world, [policy], design, command[1], [policy])
    assert found.layers == ("actor.0", "actor.1")
    assert len(found.differences) == 2
    assert all(difference.value == 0 for difference in found.differences.values())
    assert all("is not told from" in sentence for sentence in found.sentences)
    assert found.row("A", "lower", 2, frozen=True).method == "zero-shot"
    assert found.row("A", "lower", 0, frozen=True).method == "from-scratch"
    assert found.row("A", "lower", 1, frozen=True).cost["steps"] == 1024
    assert found.row("B", "upper", 2, frozen=True).cost["steps"] == 0


def test_what_can_not_be_analysed_is_refused(tmp_path):
    for design, donors, error, says in (
        (replace(DESIGN, targets=("heavy_pole", "combined_a")), POLICIES, InvalidValue, "name one"),
        (replace(DESIGN, targets=("bullet",)), (), InvalidValue, "give donors"),
        (DESIGN, POLICIES[:2], InvalidValue, "need the seeds of those of the source: 0, 1, 2"),
        (DESIGN, [add_adapter(p, "actor.0", 2) for p in POLICIES], PolicyError, "are not alike"),
    ):
        with pytest.raises(error, match=says):
            layer_transfer(WORLD, POLICIES, design, tmp_path, donors)
    assert not list(tmp_path.iterdir())
