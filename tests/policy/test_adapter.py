"""An adapter on disk: small, in peft's names, exact on its base, and refused on any other."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sim2real.cli import main
from sim2real.errors import PolicyError
from sim2real.policy import Policy
from sim2real.policy.surgery import add_adapter, add_low_rank, merge_low_rank

BASE = Policy.load("hopper-nominal-0")
TRUNK = ("actor.0", "actor.1")


def trained(policy, seed=0):
    """The policy with what was added to it moved."""
    rng, weights = np.random.default_rng(seed), dict(policy.weights)
    for key in weights:
        if ".lora." in key or ".adapter." in key:
            weights[key] = (weights[key] + 0.1 * rng.normal(size=weights[key].shape)).astype(np.float32)
    return replace(policy, weights=weights)


@pytest.fixture(scope="module")
def low_rank():
    return trained(add_low_rank(BASE, TRUNK, 3, factor=2.0))


@pytest.fixture
def states():
    rng = np.random.default_rng(3)
    return rng.normal(size=(50, len(BASE.contract.observation))).astype(np.float32)


def test_names_and_shapes_are_those_of_peft(low_rank, tmp_path):
    low_rank.save_adapter(tmp_path / "mine", BASE)
    arrays = load_file(tmp_path / "mine" / "adapter_model.safetensors")
    inputs = {name: BASE.weights[f"{name}.weight"].shape[1] for name in TRUNK}
    outputs = {name: BASE.weights[f"{name}.weight"].shape[0] for name in TRUNK}
    expected = {f"base_model.model.{name}.lora_A.weight": (3, inputs[name]) for name in TRUNK}
    expected |= {f"base_model.model.{name}.lora_B.weight": (outputs[name], 3) for name in TRUNK}
    assert {key: array.shape for key, array in arrays.items()} == expected
    config = json.loads((tmp_path / "mine" / "adapter_config.json").read_text("utf-8"))
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 3, 6.0)
    assert config["target_modules"] == list(TRUNK)
    assert config["base_model_name_or_path"] == "hopper-nominal-0"
    # what peft would add to a weight: lora_alpha / r · B A
    change = 2.0 * arrays["base_model.model.actor.0.lora_B.weight"].astype(np.float64)
    change = change @ arrays["base_model.model.actor.0.lora_A.weight"]
    loaded = Policy.load(f"hopper-nominal-0+{tmp_path / 'mine'}")
    moved = loaded.weights["actor.0.weight"] - BASE.weights["actor.0.weight"]
    np.testing.assert_allclose(moved, change, atol=1e-6)


def test_loaded_on_its_base_it_is_the_merged_policy_to_the_bit(low_rank, states, tmp_path):
    low_rank.save_adapter(tmp_path / "mine", BASE)
    merged = merge_low_rank(low_rank)
    for name in (f"hopper-nominal-0+{tmp_path / 'mine'}", tmp_path / "mine"):
        loaded = Policy.load(name)
        assert loaded.network == BASE.network
        assert loaded.contract == low_rank.contract
        np.testing.assert_array_equal(loaded.act(states)[0], merged.act(states)[0])
    assert np.abs(merged.act(states)[0] - BASE.act(states)[0]).max() > 0.01
    np.testing.assert_allclose(merged.act(states)[0], low_rank.act(states)[0], atol=1e-5)


def test_bottlenecks_come_back_as_they_were(states, tmp_path):
    grown = BASE
    for name in TRUNK:
        grown = add_adapter(grown, name, 4, "tanh")
    grown = trained(grown)
    grown.save_adapter(tmp_path / "mine", BASE)
    loaded = Policy.load(tmp_path / "mine")
    assert loaded.network == grown.network
    np.testing.assert_array_equal(loaded.act(states)[0], grown.act(states)[0])


def test_many_adapters_sit_on_one_base_and_are_small(states, tmp_path):
    BASE.save(tmp_path / "base")
    whole = sum(path.stat().st_size for path in (tmp_path / "base").iterdir())
    grown = [trained(add_low_rank(BASE, TRUNK, 3), seed) for seed in range(3)]
    for seed, policy in enumerate(grown):
        policy.save_adapter(tmp_path / f"target-{seed}", BASE)
        arrays = tmp_path / f"target-{seed}" / "adapter_model.safetensors"
        assert arrays.stat().st_size < whole / 2
    for seed, policy in enumerate(grown):
        expected = merge_low_rank(policy).act(states)[0]
        np.testing.assert_array_equal(Policy.load(tmp_path / f"target-{seed}").act(states)[0], expected)
    # one that was trained on top of another names both
    below = Policy.load(tmp_path / "target-0")
    above = trained(add_low_rank(below, TRUNK, 2), 9)
    above.save_adapter(tmp_path / "above", below)
    stack = Policy.load(f"{tmp_path / 'base'}+{tmp_path / 'target-0'}+{tmp_path / 'above'}")
    np.testing.assert_array_equal(stack.act(states)[0], merge_low_rank(above).act(states)[0])


def test_base_beside_it_is_found_by_its_hash_not_its_name(low_rank, states, tmp_path):
    other = replace(BASE, weights={key: array * np.float32(1.01) for key, array in BASE.weights.items()})
    trained(add_low_rank(other, TRUNK, 2)).save_adapter(tmp_path / "mine", replace(other, name="renamed"))
    with pytest.raises(PolicyError, match=r"belongs to 'renamed'.*neither beside it nor among the shipped"):
        Policy.load(tmp_path / "mine")
    other.save(tmp_path / "under_another_name")
    Policy.load(tmp_path / "mine").act(states)


def test_another_base_is_refused_by_name(low_rank, tmp_path, capsys):
    low_rank.save_adapter(tmp_path / "mine", BASE)
    with pytest.raises(PolicyError, match=r"was trained on 'hopper-nominal-0' .*; 'hopper-nominal-1' has"):
        Policy.load(f"hopper-nominal-1+{tmp_path / 'mine'}")
    assert main(["evaluate", f"hopper-nominal-1+{tmp_path / 'mine'}", "--variants", "nominal"]) == 2
    error = capsys.readouterr().err
    assert "'hopper-nominal-1' has" in error
    assert error.count("\n") == 1


def test_what_an_adapter_can_not_hold_is_refused(low_rank, tmp_path):
    weights = {**low_rank.weights, "actor.2.bias": low_rank.weights["actor.2.bias"] + np.float32(1)}
    for policy, says in (
        (BASE, "none was added"),
        (replace(low_rank, weights=weights), r"actor\.2\.bias changed too"),
        (merge_low_rank(low_rank), "changed too|none was added"),
    ):
        with pytest.raises(PolicyError, match=says):
            policy.save_adapter(tmp_path / "mine", BASE)
    assert not list(tmp_path.iterdir())


def test_spoilt_files_cost_one_sentence(low_rank, tmp_path):
    folder = tmp_path / "mine"
    low_rank.save_adapter(folder, BASE)
    config, arrays = (folder / name for name in ("adapter_config.json", "adapter_model.safetensors"))
    text, raw = config.read_text("utf-8"), arrays.read_bytes()
    for spoilt, says in (
        (text.replace("6.0", "7.0"), "was edited"),
        (text[:50], "adapter_config.json"),
        ("[]", "adapter_config.json"),
        ("{}", "base_model_name_or_path"),
    ):
        config.write_text(spoilt, "utf-8")
        with pytest.raises(PolicyError, match=says):
            Policy.load(folder)
    config.write_text(text, "utf-8")
    arrays.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(PolicyError, match="truncated"):
        Policy.load(folder)
    save_file(load_file_of(raw, tmp_path), arrays)  # as peft would write it: no contract
    with pytest.raises(PolicyError, match="carries no contract"):
        Policy.load(folder)
    arrays.unlink()
    with pytest.raises(PolicyError, match="adapter_model"):
        Policy.load(folder)


def load_file_of(raw, folder):
    path = folder / "copy.safetensors"
    path.write_bytes(raw)
    return load_file(path)


@pytest.mark.parametrize("method", ["low-rank:rank=2", "adapters:width=2"])
def test_transfer_saves_what_was_trained_alone(method, states, tmp_path, capsys):
    command = ["transfer", "hopper-nominal-0", "--target", "combined_a", "--steps", "1024", "--secret", "1"]
    assert main([*command, "--method", method, "--adapter", str(tmp_path / "mine")]) == 0
    assert main([*command, "--method", method, "--out", str(tmp_path / "whole")]) == 0
    alone, whole = Policy.load(tmp_path / "mine"), Policy.load(tmp_path / "whole")
    np.testing.assert_array_equal(alone.act(states)[0], whole.act(states)[0])
    assert alone.contract.provenance[-1].settings["target"] == "combined_a"
    sizes = [sum(path.stat().st_size for path in (tmp_path / name).iterdir()) for name in ("mine", "whole")]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize(
    "method", ["fine-tune", "zero-shot", "low-rank:normalizer=fresh", "low-rank:new_head=true"]
)
def test_method_that_trains_more_is_refused_before_anything_is_spent(method, tmp_path, capsys):
    command = ["transfer", "hopper-nominal-0", "--target", "combined_a", "--adapter", str(tmp_path / "mine")]
    assert main([*command, "--method", method]) == 2
    assert "trains more than an adapter holds" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
