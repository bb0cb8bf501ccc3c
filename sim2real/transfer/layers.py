"""Which layers of a policy hold the physics, and which the task (Yosinski et al. 2014).

    found = layer_transfer(world, policies, Design(("combined_a",)), folder)
    found.sentences
    found.row("A", "lower", 1, frozen=True).score["target"]

A is a policy of the source, B one that was trained in the target's physics. *AnB* keeps n layers of A,
frozen or tuned with the rest (*AnB+*), and learns the others anew in the target; *BnB* keeps those of B, the
control: what it lacks to B is lost by cutting a network in two and by the budget, not by transfer. Layers are
kept from the input on (``lower``) or from the head on (``upper``); statistics of observations go with the
policy, and the critic is new in every arm.

An analysis, no method: B learns in physics that no method may see, free of any budget. What is learnt anew
learns in a sealed target under one, as methods do.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, PolicyError
from sim2real.evaluate.metrics import mean
from sim2real.evaluate.rollouts import references
from sim2real.evaluate.statistics import Estimate, spread
from sim2real.evaluate.verdict import number
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy, shaped_like
from sim2real.learn.train import train
from sim2real.policy import Network, Policy, as_feedforward
from sim2real.policy.surgery import layers_by_depth
from sim2real.transfer.compare import SCRATCH, ZERO_SHOT, Compared, Design, Row, compare
from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
from sim2real.transfer.methods import Card, Case, Method
from sim2real.world import World

SIDES = ("lower", "upper")
"""Layers that are kept: from the input on, or from the head on."""


@dataclass(frozen=True)
class Anew(FineTuneSettings):
    """Learning as from scratch, but for layers that stay as they are."""

    learning_rate: float = 1.0
    final_learning_rate: float = 0.1
    initial_std: float = 0.6
    frozen: tuple[str, ...] = ()

    def free(self, network: Network) -> Callable[[float], Sequence[str]]:
        """All layers but those."""
        free = super().free(network)
        return lambda done: [name for name in free(done) if name not in self.frozen]


@dataclass(frozen=True)
class Transplant:
    """Some layers of a policy are kept, and the others learnt anew."""

    card: ClassVar[Card] = Card(
        "keeps some layers and learns the others anew", "Yosinski et al. 2014", needs=("critic",)
    )
    kept: tuple[int, ...] = ()
    """Layers, counted from the input on."""
    frozen: bool = True
    donors: tuple[Policy, ...] = ()
    """Whose layers, by seed; by default those of the policy itself."""

    def __call__(self, case: Case) -> Policy:
        """Spend the budget on learning the others; nothing where all are kept as they are.

        Raises:
            PolicyError: for a network that is not a plain one.
        """
        policy = next((donor for donor in self.donors if donor.seed == case.policy.seed), case.policy)
        parts = layers_by_depth(policy.network)
        kept = [name for depth in self.kept for name in parts[depth]]
        if self.frozen and len(self.kept) == len(parts):
            return policy
        as_feedforward(policy.network, policy.weights)
        settings = Anew(frozen=tuple(kept) if self.frozen else ())
        shape = shaped_like(policy, PPOSettings(initial_std=settings.initial_std))
        fresh = fresh_policy(case.target, shape, case.seed)
        own = [*kept, "normalizer"]
        weights = {
            key: policy.weights[key] if key.rpartition(".")[0] in own else array
            for key, array in fresh.weights.items()
        }
        start = dataclasses.replace(policy, weights=weights)
        return fine_tune(start, case.target, settings, case.seed, case.progress)


@dataclass(frozen=True, eq=False)
class LayerTransfer:
    """What was found of each layer."""

    target: str
    layers: tuple[str, ...]
    """From the input on."""
    compared: Compared
    differences: Mapping[tuple[str, int], Estimate]
    """AnB less BnB, both frozen, in the target, by side and number of layers."""

    def row(self, donor: str, side: str, kept: int, frozen: bool) -> Row:
        """What an arm reached.

        Raises:
            InvalidValue: if its cells failed.
        """
        return self.compared.row(self.target, label(donor, side, kept, len(self.layers), frozen))

    @property
    def sentences(self) -> list[str]:
        """What holds the physics, by number of layers that were kept."""
        unit = " points" if self.compared.normalized else ""
        told = []
        for (side, kept), difference in self.differences.items():
            which = f"{side} {kept} ({', '.join(_names(self.layers, side, kept))})"
            change = number(difference, unit=unit)
            interval = difference.interval
            if interval is None or interval[0] <= 0 <= interval[1]:
                held = f"is not told from that policy's in the target ({change})"
            elif interval[1] < 0:
                held = f"holds the source's physics: in the target it reaches less ({change})"
            else:
                held = f"serves the target better ({change})"
            told.append(f"The source's {which}, frozen, against that of a policy of the target, {held}.")
        return told


def layer_transfer(
    world: World,
    policies: Sequence[Policy],
    design: Design,
    out: Path,
    donors: Sequence[Policy] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> LayerTransfer:
    """Keep layers of source's and target's policies, learn the others anew in a target, and compare.

    Args:
        world: where.
        policies: of the source, seeds of one method.
        design: its one target, the budget of each learning, and the rest; see `compare`.
        out: folder in which policies of the target, and cells that are done, are kept.
        donors: policies of the target, one for each seed; trained by default as the world's nominal ones.
        tell: is given a line for each policy and cell.

    Raises:
        InvalidValue: for several targets, one of another engine, or donors of other seeds.
        PolicyError: for policies of other networks.
    """
    if len(design.targets) != 1:
        raise InvalidValue(f"layers are told of one target, not of {', '.join(design.targets)}; name one")
    (target,) = design.targets
    donors = donors or [_trained(world, target, p.seed, out, tell) for p in policies]
    if {p.seed for p in donors} != {p.seed for p in policies}:
        seeds = ", ".join(str(p.seed) for p in policies)
        raise InvalidValue(f"policies of the target need the seeds of those of the source: {seeds}")
    depths = {layers_by_depth(policy.network) for policy in (*policies, *donors)}
    if len(depths) > 1:
        raise PolicyError(f"the layers of {policies[0].name!r} and {donors[0].name!r} are not alike")
    layers = tuple(part[0] for part in depths.pop())
    found = compare(world, policies, _arms(len(layers), tuple(donors)), design, out, tell)
    differences = {
        (side, kept): _difference(found, world, target, side, kept, len(layers))
        for side, kept in itertools.product(SIDES, range(1, len(layers)))
    }
    return LayerTransfer(target, layers, found, differences)


def label(donor: str, side: str, kept: int, of: int, frozen: bool) -> str:
    """What an arm is called: ``A lower 1 frozen``."""
    if kept == 0:
        return SCRATCH
    if kept == of:
        whole = f"{donor} whole {'frozen' if frozen else 'tuned'}"
        return ZERO_SHOT if (donor, frozen) == ("A", True) else whole
    return f"{donor} {side} {kept} {'frozen' if frozen else 'tuned'}"


def _arms(depth: int, donors: tuple[Policy, ...]) -> dict[str, Method]:
    arms: dict[str, Method] = {SCRATCH: Transplant()}
    for kept, side, donor, frozen in itertools.product(range(1, depth + 1), SIDES, "AB", (True, False)):
        which = tuple(range(kept)) if side == "lower" else tuple(range(depth - kept, depth))
        name = label(donor, side, kept, depth, frozen)
        if name != ZERO_SHOT:
            arms[name] = Transplant(which, frozen, donors if donor == "B" else ())
    return arms


def _trained(world: World, target: str, seed: int, out: Path, tell: Callable[[str], None]) -> Policy:
    """A policy that learnt in the target's physics, as nominal ones do in nominal physics, now or before."""
    variant, folder = world.variant(target), out / "donors" / f"{world.name}-{target}-{seed}"
    if variant.simulator != "mujoco":
        raise InvalidValue(f"{target!r} runs in {variant.simulator}, where no policy is trained; give donors")
    if (folder / "policy.toml").is_file():
        return Policy.load(folder)
    tell(f"train a policy in {target}, seed {seed}")
    return train(world, folder, variant.domain, seed, progress=True)


def _names(layers: Sequence[str], side: str, kept: int) -> Sequence[str]:
    return layers[:kept] if side == "lower" else layers[-kept:]


def _difference(found: Compared, world: World, target: str, side: str, kept: int, depth: int) -> Estimate:
    """A's layers less B's, in the target; episodes begin alike in both."""
    known, factor = references(world).get(target), 1.0
    if found.normalized and known is not None:
        factor = 100 / (known.oracle - known.random)
    returns = partial(_returns, found, target)
    a, b = (returns(label(donor, side, kept, depth, True)) for donor in "AB")
    shared = sorted(set(a) & set(b))
    if not shared:
        raise InvalidValue(f"no cell of {side} {kept} came to an end in {target}")
    apart = np.stack([a[seed] - b[seed] for seed in shared])[:, None, :]
    return spread(mean, factor * apart).estimate


def _returns(found: Compared, target: str, name: str) -> dict[int, NDArray[np.float64]]:
    """Return of every start in the target, by seed."""
    return {
        cell.policy.seed: np.asarray(done.episodes["return"], dtype=np.float64)[
            np.asarray(done.episodes["variant"]) == target
        ]
        for cell, done in found.done
        if cell.label == name
    }
