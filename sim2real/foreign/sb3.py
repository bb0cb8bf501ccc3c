"""Policies of Stable-Baselines3, from a zip's weights and plain text: nothing of it is ever unpickled.

    saved = read_sb3(Path("ppo_hopper.zip"))

A zip holds ``policy.pth`` (arrays, which ``torch.load(weights_only=True)`` reads) and ``data``, a JSON text
in which objects stand twice, pickled and in words. The words say all that acting needs, so zips open here
that Stable-Baselines3 itself no longer opens, as they pickle classes of packages that are gone.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sim2real.errors import PolicyError, UnknownName
from sim2real.foreign.policy import Bounds
from sim2real.policy.kinds import KINDS

Floats = NDArray[np.float32]
Layers = tuple[tuple[Floats, Floats], ...]
"""Weight (out, in) and bias (out,) of each dense layer."""
Memory = tuple[Mapping[str, Floats], ...]
"""The arrays of each layer of an LSTM, by their names in `sim2real.policy.kinds`."""

ACTIVATIONS = {
    "ELU": "elu",
    "GELU": "gelu",
    "LeakyReLU": "leaky_relu",
    "ReLU": "relu",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Tanh": "tanh",
}
"""What can stand between the layers, in torch's words and in ours."""

_MOST_BYTES = 2**30
_ON_POLICY, _SOFT, _DETERMINISTIC = "PPO, A2C or TRPO", "SAC or TQC", "TD3 or DDPG"


@dataclass(frozen=True)
class Sb3Policy:
    """What a zip says, and its weights."""

    algorithm: str
    """``PPO``, ``RecurrentPPO``, ``A2C``, ``TRPO``, ``SAC``, ``TQC``, ``TD3`` or ``DDPG``."""
    memory: Memory
    """The LSTM before the actor; empty for none."""
    actor: Layers
    activation: str
    """Between the layers, one of `ACTIVATIONS`."""
    squashed: bool
    """Whether a tanh of the last layer is the action as a share of its bounds; else it is clipped to them."""
    mean_clip: float
    """What the last layer is clipped to before it is squashed; infinite where it isn't."""
    critic: Layers
    """The value network; empty where there are critics of actions instead, or beside an LSTM."""
    log_std: Floats | None
    """Of the exploration; None where the network gives it, or where it is none of each action."""
    observation: Bounds
    action: Bounds
    gamma: float
    steps: int
    """Control steps of its training."""
    seed: int | None
    normalized: bool
    """Whether `VecNormalize` stood between env and policy."""


def read_sb3(path: Path) -> Sb3Policy:
    """Read a zip of any algorithm of `Sb3Policy`, with an MLP policy, also behind an LSTM.

    Raises:
        PolicyError: for a file that is damaged or of another kind; the message says what can be read.
    """
    data, arrays = _members(path)
    _refuse(path, data, arrays)
    kwargs = _table(data.get("policy_kwargs"))
    family = _family(arrays)
    if family is None:
        raise PolicyError(
            f"{path} has none of the networks that can be read here (MLP policies of PPO, RecurrentPPO, A2C, "
            f"TRPO, SAC, TQC, TD3); its weights are {', '.join(list(arrays)[:4])}"
        )
    actor, critic = _layers(path, arrays, family)
    memory = _memory(path, arrays)
    sde = bool(data.get("use_sde"))
    own = arrays.get("log_std")
    found = Sb3Policy(
        algorithm="RecurrentPPO" if memory else _algorithm(data, family),
        memory=memory,
        actor=actor,
        activation=_activation(path, kwargs, "Tanh" if family == _ON_POLICY else "ReLU"),
        squashed=family != _ON_POLICY or bool(sde and kwargs.get("squash_output")),
        mean_clip=_mean_clip(kwargs, arrays),
        critic=() if memory else critic,
        log_std=own if own is not None and family == _ON_POLICY and not sde else None,
        observation=_box(path, data, "observation_space"),
        action=_box(path, data, "action_space"),
        gamma=float(data.get("gamma", 0.99)),
        steps=int(data.get("num_timesteps", 0)),
        seed=data["seed"] if isinstance(data.get("seed"), int) else None,
        normalized=data.get("_last_original_obs") is not None,
    )
    _check(path, found)
    return found


def _members(path: Path) -> tuple[dict[str, Any], dict[str, Floats]]:
    """The text and the weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            held = {entry.filename: entry.file_size for entry in archive.infolist()}
            missing = {"data", "policy.pth"} - set(held)
            if missing:
                raise PolicyError(
                    f"{path} is no zip of Stable-Baselines3: it lacks {' and '.join(sorted(missing))}"
                )
            if held["data"] + held["policy.pth"] > _MOST_BYTES:
                raise PolicyError(f"{path} unpacks to more than 1 GiB, which no policy for a vector needs")
            text, weights = archive.read("data"), archive.read("policy.pth")
    except FileNotFoundError as error:
        raise PolicyError(f"there is no file {path}") from error
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise PolicyError(
            f"{path} is no zip that can be read ({error}); is it cut off? Copy it again"
        ) from error
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{path}: its data is no JSON text ({error}); save the model again") from error
    if not isinstance(data, dict):
        raise PolicyError(f"{path}: its data is no table; save the model again")
    return data, _arrays(path, weights)


def _arrays(path: Path, raw: bytes) -> dict[str, Floats]:
    try:
        held = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
        return {str(name): tensor.detach().numpy().astype(np.float32) for name, tensor in held.items()}
    except Exception as error:  # torch has no class of its own for this
        reason = " ".join(str(error).split())[:200]
        raise PolicyError(
            f"{path}: policy.pth holds something other than arrays, or is damaged, and none of it was run "
            f"({reason})"
        ) from error


def _refuse(path: Path, data: Mapping[str, Any], arrays: Mapping[str, Floats]) -> None:
    """Say what the network has that can't be run here."""
    home = str(_table(data.get("policy_class")).get("__module__", "stable_baselines3"))
    reasons = {
        f"a policy class of its own (in {home})": not home.startswith(("stable_baselines3", "sb3_contrib")),
        "an LSTM that reads both ways, or projects": any(
            name.startswith("lstm_actor.") and name.endswith(("_reverse", "weight_hr_l0")) for name in arrays
        ),
        "a features extractor with weights": any("features_extractor." in name for name in arrays),
        "layers that are not dense": any(
            a.ndim > 2 or name.endswith("running_mean") for name, a in arrays.items()
        ),
        "a discrete action": "Discrete" in str(_table(data.get("action_space")).get(":type:", "")),
        "a dictionary of observations": "spaces.dict"
        in str(_table(data.get("observation_space")).get(":type:", "")),
    }
    extractor = str(_table(data.get("policy_kwargs")).get("features_extractor_class", "FlattenExtractor"))
    reasons[f"a features extractor of its own ({extractor})"] = "FlattenExtractor" not in extractor
    for reason, true in reasons.items():
        if true:
            raise PolicyError(
                f"{path} has {reason}; dense networks from one vector to continuous actions can be read "
                "here: export the policy to ONNX or TorchScript, and give onnx:FILE or torchscript:FILE"
            )


def _family(arrays: Mapping[str, Floats]) -> str | None:
    if "action_net.weight" in arrays:
        return _ON_POLICY
    if any(name.startswith("actor.latent_pi.") or name.startswith("actor.log_std") for name in arrays):
        return _SOFT
    return _DETERMINISTIC if "actor.mu.0.weight" in arrays else None


def _algorithm(data: Mapping[str, Any], family: str) -> str:
    """Told apart by the settings that only one has."""
    if family == _SOFT:
        return "TQC" if "top_quantiles_to_drop_per_net" in data else "SAC"
    if family == _DETERMINISTIC:
        return "DDPG" if data.get("policy_delay") == 1 and data.get("target_noise_clip") == 0 else "TD3"
    return "PPO" if "clip_range" in data else "TRPO" if "cg_max_steps" in data else "A2C"


def _layers(path: Path, arrays: Mapping[str, Floats], family: str) -> tuple[Layers, Layers]:
    if family == _ON_POLICY:
        shared = _sequence(path, arrays, "mlp_extractor.shared_net")
        actor = _sequence(path, arrays, "mlp_extractor.policy_net")
        critic = _sequence(path, arrays, "mlp_extractor.value_net")
        return (
            (*shared, *actor, _dense(path, arrays, "action_net")),
            (*shared, *critic, _dense(path, arrays, "value_net")),
        )
    if family == _DETERMINISTIC:
        return _sequence(path, arrays, "actor.mu"), ()
    last = "actor.mu.0" if "actor.mu.0.weight" in arrays else "actor.mu"
    return (*_sequence(path, arrays, "actor.latent_pi"), _dense(path, arrays, last)), ()


def _sequence(path: Path, arrays: Mapping[str, Floats], prefix: str) -> Layers:
    """The dense layers of an ``nn.Sequential``, between which one activation stands."""
    places = {
        int(m[1]) for name in arrays if (m := re.fullmatch(rf"{re.escape(prefix)}\.(\d+)\.weight", name))
    }
    if sorted(places) != list(range(0, 2 * len(places), 2)):
        raise PolicyError(
            f"{path}: the layers of {prefix} are numbered {sorted(places)}, so that other layers than one "
            "activation stand between them; export the policy to ONNX or TorchScript instead"
        )
    return tuple(_dense(path, arrays, f"{prefix}.{place}") for place in sorted(places))


def _memory(path: Path, arrays: Mapping[str, Floats]) -> Memory:
    """The layers of sb3-contrib's ``lstm_actor``; the critic has one of its own, or shares it."""
    count = sum(name.startswith("lstm_actor.weight_ih_l") for name in arrays)
    layers = [
        {
            name: arrays[f"lstm_actor.{name}_l{k}"]
            for name in KINDS["lstm"].shapes
            if f"lstm_actor.{name}_l{k}" in arrays
        }
        for k in range(count)
    ]
    if any(len(layer) < len(KINDS["lstm"].shapes) for layer in layers):
        raise PolicyError(f"{path} lacks arrays of its lstm_actor; it is damaged, or has no biases")
    return tuple(layers)


def _dense(path: Path, arrays: Mapping[str, Floats], name: str) -> tuple[Floats, Floats]:
    weight, bias = arrays.get(f"{name}.weight"), arrays.get(f"{name}.bias")
    if weight is None or weight.ndim != 2:
        raise PolicyError(
            f"{path} has no dense layer {name}; it is damaged, or of a network that is not known here"
        )
    bias = np.zeros(len(weight), dtype=np.float32) if bias is None else bias
    if bias.shape != weight.shape[:1]:
        raise PolicyError(
            f"{path}: layer {name} has weights of shape {weight.shape} and biases of {bias.shape}"
        )
    return weight, bias


def _activation(path: Path, kwargs: Mapping[str, Any], usual: str) -> str:
    text = str(kwargs.get("activation_fn", usual))
    name = text.strip("<>'").rpartition(".")[2].strip("'>")
    if name not in ACTIVATIONS:
        raise UnknownName(f"activation of {path}", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def _mean_clip(kwargs: Mapping[str, Any], arrays: Mapping[str, Floats]) -> float:
    """Where a state-dependent noise makes SAC clip its means."""
    nested = "actor.mu.0.weight" in arrays and any(name.startswith("actor.latent_pi.") for name in arrays)
    return float(kwargs.get("clip_mean", 2.0)) if nested else np.inf


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _box(path: Path, data: Mapping[str, Any], key: str) -> Bounds:
    table = _table(data.get(key))
    shape = table.get("_shape", table.get("shape"))
    size = [int(n) for n in re.findall(r"\d+", str(shape))]
    if "spaces.box.Box" not in str(table.get(":type:")) or len(size) != 1:
        raise PolicyError(
            f"{path}: the {key} is {table.get(':type:', 'not told')} of shape {shape}; a Box of one vector "
            "is meant"
        )
    return Bounds(*(_numbers(path, table, bound, size[0]) for bound in ("low", "high")))


def _numbers(path: Path, table: Mapping[str, Any], bound: str, size: int) -> NDArray[np.float64]:
    """A bound as numpy prints it: ``[-1. -1.  inf]``, with an ellipsis if there are more than a thousand."""
    text = str(table.get(bound))
    try:
        if "..." in text:
            text = str(table.get(f"{bound}_repr"))
        numbers = np.array([float(word) for word in re.sub(r"[\[\],]", " ", text).split()])
        return np.broadcast_to(numbers, (size,)).copy()
    except ValueError as error:
        raise PolicyError(
            f"{path}: the bounds {bound} of a space can't be read from {text[:60]!r}; save the model again"
        ) from error


def _check(path: Path, found: Sb3Policy) -> None:
    """Refuse layers that don't follow each other, or numbers that can't act."""
    for what, layers, end in (("actor", found.actor, len(found.action.low)), ("critic", found.critic, 1)):
        size = found.memory[-1]["weight_hh"].shape[-1] if found.memory else len(found.observation.low)
        for k, (weight, bias) in enumerate(layers):
            if weight.shape[1] != size:
                raise PolicyError(
                    f"{path}: layer {k} of the {what} takes {weight.shape[1]} numbers, not {size}"
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise PolicyError(f"{path}: layer {k} of the {what} is not finite; its training diverged")
            size = len(weight)
        if layers and size != end:
            raise PolicyError(f"{path}: the {what} gives {size} numbers where {end} are meant")
    low, high = found.action.low, found.action.high
    if not (np.isfinite([low, high]).all() and (low < high).all()):
        raise PolicyError(f"{path}: actions between {low.tolist()} and {high.tolist()} have no finite range")
