"""Networks beside a frozen one: a bounded residual, and a column that reads the old one's features.

residual = add_residual(policy, width=64, limit=0.3)        # both act as the policy at first
column = add_column(policy, width=64)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim2real.errors import InvalidValue, PolicyError
from sim2real.policy.kinds import Rows
from sim2real.policy.network import Layer, Network, as_feedforward, num_layers
from sim2real.policy.policy import Policy
from sim2real.policy.surgery import layers_by_depth


def add_residual(policy: Policy, width: int, limit: float, seed: int = 0) -> Policy:
    """The policy with layers ``residual.…`` whose bounded output is added to its clipped action.

    Johannink et al. 2019, Silver et al. 2018: a = clip(base(x)) + limit · tanh(f(x)), where f has two hidden
    layers, sees what the base's first layer sees, and begins as 0.

    Args:
        policy: the base.
        width: of the hidden layers.
        limit: of the residual, in units of the action.
        seed: of the hidden layers.

    Raises:
        PolicyError: for a policy without weights, or with a residual.
        InvalidValue: for a width below 1 or a limit that isn't above 0.
    """
    if width < 1 or not limit > 0:
        raise InvalidValue(f"a residual of width {width} within ±{limit:g}; give at least 1, and above 0")
    network, head = policy.network, policy.network.outputs["action"]
    parts = layers_by_depth(network)
    if not parts:
        raise PolicyError(f"policy {policy.name!r} has no layer with weights, beside which a residual learns")
    (read, *_) = network.by_name[parts[0][0]].inputs
    inputs = {**policy.contract.inputs, **network.sizes(policy.weights, policy.contract.inputs)}[read]
    actions, rng = len(policy.contract.action), np.random.default_rng(seed)
    sizes, layers, weights = (inputs, width, width, actions), [], dict(policy.weights)
    for k in range(3):
        layers += [
            Layer(f"residual.{k}", "dense", (read,)),
            Layer(f"residual.{k}.tanh", "tanh", (f"residual.{k}",)),
        ]
        weights |= _dense(rng, f"residual.{k}", sizes[k + 1], sizes[k], zero=k == 2)
        read = layers[-1].name
    weights["residual.limit.scale"] = np.full(actions, limit, np.float32)
    weights["residual.limit.shift"] = np.zeros(actions, np.float32)
    network = network.inserted(
        head,
        Layer("residual.base", "clip", (head,), policy.contract.action_limit),
        *layers,
        Layer("residual.limit", "affine", (read,)),
        Layer("residual", "sum", ("residual.base", "residual.limit")),
    )
    return replace(policy, network=network, weights=weights)


def add_column(policy: Policy, width: int, seed: int = 0) -> Policy:
    """The policy with a second column ``column.…`` that acts in the place of the first.

    Progressive networks (Rusu et al. 2016): h'ₖ = f(Wₖ h'ₖ₋₁ + Uₖ hₖ₋₁) with the features h of the first
    column. Here the column's head begins with W = 0 and U the first one's head, so that it acts as before.

    Raises:
        PolicyError: for a policy that is no feedforward one with a hidden layer.
        InvalidValue: for a width below 1.
    """
    if width < 1:
        raise InvalidValue(f"a column of width {width}; give at least 1")
    activation, _ = as_feedforward(policy.network, policy.weights)
    head = num_layers(policy.weights, "actor") - 1
    if head < 1:
        raise PolicyError(f"policy {policy.name!r} has no hidden layer, whose features a column could read")
    rng, weights = np.random.default_rng(seed), dict(policy.weights)
    layers = [layer for layer in policy.network.layers if layer.name != f"actor.{head}"]
    (read,) = policy.network.by_name["actor.0"].inputs
    inputs = weights["actor.0.weight"].shape[1]
    for k in range(head + 1):
        name, outputs = f"column.{k}", len(policy.contract.action) if k == head else width
        layers.append(Layer(name, "dense", (read,)))
        weights |= _dense(rng, name, outputs, inputs, zero=k == head)
        if k:
            layers.append(Layer(f"{name}.lateral", "dense", (f"actor.{k - 1}.{activation}",)))
            layers.append(Layer(f"{name}.sum", "sum", (name, f"{name}.lateral")))
            weights |= _dense(rng, f"{name}.lateral", outputs, weights[f"actor.{k - 1}.bias"].size, zero=True)
        layers.append(Layer(f"{name}.{activation}", activation, (layers[-1].name,)))
        read, inputs = layers[-1].name, outputs
    layers.pop()  # the head has no activation
    for array in ("weight", "bias"):
        weights[f"column.{head}.lateral.{array}"] = weights.pop(f"actor.{head}.{array}")
    network = Network(tuple(layers), {**policy.network.outputs, "action": layers[-1].name})
    return replace(policy, network=network, weights=weights)


def _dense(rng: np.random.Generator, name: str, outputs: int, inputs: int, zero: bool) -> dict[str, Rows]:
    """Arrays of a dense layer, of variance 1 / in or 0."""
    drawn = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs)
    weight = np.zeros_like(drawn) if zero else drawn
    return {f"{name}.weight": weight.astype(np.float32), f"{name}.bias": np.zeros(outputs, np.float32)}
