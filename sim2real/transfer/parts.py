"""Which parts of a policy learn in a target, from when on, and how fast.

    parts = Parts(learns="low_rank", rank=4)
    start = parts.added_to(policy, seed)                 # acts as the policy
    hooks = Hooks(parts.free(start.network), parts.rates(start.network))

Parts are counted from the head: the head is the layer that actions come from, everything before it is the
trunk. What leads to the value alone always learns: a critic of the source knows nothing of the target.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.errors import PolicyError, UnknownName
from sim2real.learn.hooks import critic_first
from sim2real.policy import Network, Policy
from sim2real.policy.columns import add_column, add_residual
from sim2real.policy.surgery import add_adapter, add_low_rank, layers_by_depth, merge_low_rank
from sim2real.reach import check_reach

LEARNS = ("all", "biases", "low_rank", "adapters", "residual", "column")
"""What of the chosen layers learns: everything, biases alone, or what is added beside or behind them."""

_HEAD_GAIN = 0.01


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Settings that say which parts learn.

    Raises:
        UnknownName: for another kind of part.
        InvalidValue: for a share outside [0, 1), or a decay or count that makes no sense.
    """

    critic_warmup: float = 0.04
    """Share of the budget in which the critic alone learns."""
    learns: str = "all"
    """What of the layers: ``all``, ``biases``, ``low_rank`` (LoRA, Hu et al. 2022), ``adapters`` (Houlsby
    et al. 2019), or what stands beside all of them: ``residual`` (Johannink et al. 2019), ``column`` (Rusu
    et al. 2016)."""
    top: int = 0
    """Layers that learn, counted from the head; 0 for all."""
    new_head: bool = False
    """Whether the head begins anew."""
    unfreeze: float = 0.0
    """Share of the training after which all chosen layers learn, one more at a time from the head on."""
    layer_decay: float = 1.0
    """Learning rate of a layer, as a share of that of the layer above it."""
    rank: int = 4
    """Of low-rank layers."""
    merge: bool = True
    """Whether low-rank layers are made part of those beside them at the end; if not, they stay an adapter."""
    width: int = 16
    """Of adapters, and of the layers of a residual or a column."""
    limit: float = 0.3
    """Of a residual, as a share of a full action."""

    def __post_init__(self) -> None:
        """Refuse parts that there are not."""
        if self.learns not in LEARNS:
            raise UnknownName("part that learns", self.learns, LEARNS)
        check_reach(self, "[0, 1)", "critic_warmup", "unfreeze")
        check_reach(self, "(0, 1]", "layer_decay", "limit")
        check_reach(self, "whole [0, inf)", "top")
        check_reach(self, "whole [1, inf)", "rank", "width")

    def idle_parts(self) -> set[str]:
        """Settings of parts that change nothing beside the others."""
        used = {
            "rank": ("low_rank",),
            "merge": ("low_rank",),
            "width": ("adapters", "residual", "column"),
            "limit": ("residual",),
            "top": ("all", "biases", "low_rank", "adapters"),
        }
        return {name for name, kinds in used.items() if self.learns not in kinds}

    def added_to(self, policy: Policy, seed: int) -> Policy:
        """The policy with the layers that learn, which change nothing at first, and with a new head if asked.

        Raises:
            PolicyError: for a policy without a dense layer to add to.
            InvalidValue: for a rank above a layer's width.
        """
        if self.new_head:
            policy = _with_new_head(policy, layers_by_depth(policy.network)[-1], seed)
        if self.learns == "low_rank":
            return add_low_rank(policy, _trunk(policy)[-self.top :], self.rank, seed=seed)
        if self.learns == "adapters":
            for name in _trunk(policy)[-self.top :]:
                policy = add_adapter(policy, name, self.width, "tanh", seed)
        if self.learns == "residual":
            return add_residual(policy, self.width, self.limit * policy.contract.action_limit, seed)
        return add_column(policy, self.width, seed) if self.learns == "column" else policy

    def merged(self, policy: Policy) -> Policy:
        """The policy with low-rank layers made part of those beside them, if they are to be."""
        return merge_low_rank(policy) if self.learns == "low_rank" and self.merge else policy

    def adds_alone(self) -> bool:
        """Whether of what acts nothing but what was added, and an adapter can hold, learns."""
        return self.learns in ("low_rank", "adapters") and not self.new_head

    def free(self, network: Network) -> Callable[[float], Sequence[str]]:
        """For `Hooks.free`: the critic alone, then parts from the head on."""
        critic = list(critic_first(network, 1.0)(0.0))
        depths = layers_by_depth(network)
        chosen = depths[-self.top :] if self.learns in ("all", "biases") else depths
        begins = [self.unfreeze * number / max(len(chosen) - 1, 1) for number in range(len(chosen))]

        def free(done: float) -> Sequence[str]:
            if done <= self.critic_warmup:
                return critic
            begun = [part for part, begin in zip(reversed(chosen), begins, strict=True) if done >= begin]
            layers = [name for part in begun for name in part]
            arrays = [array for name in layers for array in _arrays(network, name, self.learns)]
            return [*critic, *arrays, "log_std"]

        return free

    def rates(self, network: Network) -> dict[str, float]:
        """For `Hooks.rates`: discriminative rates, decay ** (layers above) of each layer."""
        if self.layer_decay == 1:
            return {}
        depths = reversed(layers_by_depth(network))
        return {name: self.layer_decay**above for above, part in enumerate(depths) for name in part}

    def count(self, policy: Policy) -> int:
        """How many weights of what acts learn."""
        network = policy.network
        layers = [name for part in layers_by_depth(network) for name in part]
        free = set(self.free(network)(1.0))
        arrays = [array for name in layers for array in network.arrays_of(name) if {name, array} & free]
        return sum(policy.weights[array].size for array in arrays)


def _arrays(network: Network, name: str, kind: str) -> list[str]:
    """Names of what learns of a layer."""
    layer = network.by_name[name]
    if kind == "low_rank":
        return [name] if layer.kind == "low_rank" else []
    if kind == "adapters":
        return [name] if ".adapter" in name else []
    if kind in ("residual", "column"):
        return [name] if name.startswith(f"{kind}.") and layer.kind == "dense" else []
    if kind == "biases":
        return [array for array in network.arrays_of(name) if array.endswith(".bias")]
    return [name]


def _trunk(policy: Policy) -> list[str]:
    """Dense layers before the head, from the input on."""
    names = [name for part in layers_by_depth(policy.network)[:-1] for name in part]
    dense = [name for name in names if policy.network.by_name[name].kind == "dense"]
    if not dense:
        raise PolicyError(f"policy {policy.name!r} has no dense layer before its head; fine-tune all of it")
    return dense


def _with_new_head(policy: Policy, head: Sequence[str], seed: int) -> Policy:
    """The policy with small random numbers for a head, so that it begins close to no action."""
    weights, rng = dict(policy.weights), np.random.default_rng(seed)
    for key in [array for name in head for array in policy.network.arrays_of(name)]:
        shape = weights[key].shape
        drawn = rng.normal(size=shape) * _HEAD_GAIN / np.sqrt(shape[-1])
        weights[key] = drawn.astype(np.float32) if len(shape) > 1 else np.zeros(shape, np.float32)
    return dataclasses.replace(policy, weights=weights)
