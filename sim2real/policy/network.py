"""A network as plain data, a graph of named layers, and how numpy runs it.

    network = Network(
        (
            Layer("normalizer", "normalize", ("observation",)),
            Layer("actor.0", "dense", ("normalizer",)),
            Layer("actor.0.tanh", "tanh", ("actor.0",)),
            Layer("actor.1", "dense", ("actor.0.tanh",)),
        ),
        {"action": "actor.1"},
    )

`sim2real.policy.kinds` tells what each kind of layer gives and what its arrays are.
"""

from __future__ import annotations

import graphlib
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import PolicyError, UnknownName
from sim2real.policy.kinds import ACTIVATIONS, KINDS, Function, Rows, Weights

INPUTS = ("observation", "history", "privileged", "context", "action")
"""What a network may read, as `Contract.inputs` says; ``action`` is for a critic of actions."""

_BLOCK = 8
"""Rows that a network acts on at a time; in larger ones kernels may round by a row's place."""


@dataclass(frozen=True)
class Layer:
    """A node of the graph."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    """Names of layers, or of `INPUTS`."""
    number: float | None = None
    """The limit of a clip, the factor of a low_rank; no other kind has one."""


@dataclass(frozen=True)
class Network:
    """Layers, in any order, and which of them is what.

    Raises:
        PolicyError: for names that are taken twice or unknown, a circle, or a layer that leads nowhere.
    """

    layers: tuple[Layer, ...]
    outputs: Mapping[str, str]
    """Layers by what they give: ``action``, before it is clipped, and for learners ``value``, …"""

    def __post_init__(self) -> None:
        """Refuse what is no graph."""
        names = Counter(layer.name for layer in self.layers)
        twice = [name for name, times in names.items() if times > 1 or name in INPUTS]
        if twice:
            raise PolicyError(f"the network has several {twice[0]!r}; give each layer a name of its own")
        for name in names:
            if not name.isprintable() or not name.strip():
                raise PolicyError(f"layer {name!r} has no name that can be shown; give it one")
        for layer in self.layers:
            _check_layer(layer, names)
        for output, name in self.outputs.items():
            if name not in names:
                raise PolicyError(f"the network's {output}: {UnknownName('layer', name, names)}")
        if "action" not in self.outputs:
            raise PolicyError("the network gives no action; name the layer that does in its outputs")
        used = {layer.name for output in self.outputs for layer in self.order(output)}
        if used != set(names):
            idle = next(name for name in names if name not in used)
            raise PolicyError(f"layer {idle!r} leads to no output of the network; leave it out")

    @cached_property
    def by_name(self) -> Mapping[str, Layer]:
        """Layers by name."""
        return {layer.name: layer for layer in self.layers}

    def order(self, output: str = "action") -> tuple[Layer, ...]:
        """The layers that an output comes from, each after those that it reads.

        Raises:
            PolicyError: for layers that read each other in a circle.
        """
        todo, graph = [self.outputs[output]], {}
        while todo:
            name = todo.pop()
            if name in self.by_name and name not in graph:
                graph[name] = self.by_name[name].inputs
                todo += graph[name]
        try:
            names = tuple(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            circle = " → ".join(map(repr, reversed(error.args[1])))
            raise PolicyError(f"the network's layers read each other in a circle: {circle}") from error
        return tuple(self.by_name[name] for name in names if name in self.by_name)

    def inserted(self, after: str, *layers: Layer) -> Network:
        """The network with layers more: whatever read ``after`` reads the last of them.

        Raises:
            PolicyError: as the network itself.
        """
        moved, outputs = self._rewired({after: layers[-1].name})
        at = 1 + [layer.name for layer in moved].index(after)
        return Network((*moved[:at], *layers, *moved[at:]), outputs)

    def without(self, *names: str, instead: str) -> Network:
        """The network with layers less: whatever read one of them reads ``instead``.

        Raises:
            PolicyError: as the network itself.
        """
        moved, outputs = self._rewired(dict.fromkeys(names, instead))
        return Network(tuple(layer for layer in moved if layer.name not in names), outputs)

    def _rewired(self, names: Mapping[str, str]) -> tuple[tuple[Layer, ...], dict[str, str]]:
        """Layers and outputs, with others in the place of some."""
        layers = tuple(
            replace(layer, inputs=tuple(names.get(name, name) for name in layer.inputs))
            for layer in self.layers
        )
        return layers, {output: names.get(name, name) for output, name in self.outputs.items()}

    def reads(self, output: str = "action") -> frozenset[str]:
        """Which of `INPUTS` an output depends on."""
        return frozenset(name for layer in self.order(output) for name in layer.inputs if name in INPUTS)

    def sizes(self, weights: Weights, inputs: Mapping[str, int]) -> dict[str, int]:
        """How many numbers each layer gives.

        Args:
            weights: arrays of the layers, ``<layer>.<array>``.
            inputs: how many numbers each of `INPUTS` has; 0 for none.

        Raises:
            PolicyError: for arrays that are missing, or of shapes that don't fit.
        """
        found = dict(inputs)
        for output in self.outputs:
            for layer in self.order(output):
                if layer.name not in found:
                    found[layer.name] = _size(layer, weights, found)
        return {layer.name: found[layer.name] for layer in self.layers}

    def arrays_of(self, *layers: str) -> tuple[str, ...]:
        """Names of the arrays of some layers in the weights, to free or to freeze them.

        Raises:
            UnknownName: for a layer that the network lacks.
        """
        for name in layers:
            if name not in self.by_name:
                raise UnknownName("layer", name, self.by_name)
        kinds = {name: KINDS[self.by_name[name].kind] for name in layers}
        return tuple(f"{name}.{array}" for name, kind in kinds.items() for array in kind.shapes)


class NetworkFunction:
    """One output of a network, as a function that numpy runs: each row the same bits in any company."""

    def __init__(self, network: Network, weights: Weights, output: str = "action") -> None:
        """Bind the layers that it comes from to their arrays."""
        layers = network.order(output)
        self._output = network.outputs[output]
        self._steps = [
            (layer.name, _bound(layer, weights), layer.inputs, _done(layers[k:], self._output))
            for k, layer in enumerate(layers)
        ]
        remembering = {layer.name: KINDS[layer.kind].memory for layer in layers if KINDS[layer.kind].memory}
        self._given = {name: weights[f"{name}.weight_hh"].shape[1] for name in remembering}
        self.inputs = network.reads(output)
        """Which of `INPUTS` it is given."""
        self.memory = {name: times * self._given[name] for name, times in remembering.items()}
        """Layers that remember, and how many numbers of each row."""

    def __call__(
        self, inputs: Mapping[str, Rows], memory: Mapping[str, Rows] | None = None
    ) -> tuple[Rows, dict[str, Rows]]:
        """What comes out, shape (rows, n), and what is remembered of each row.

        Args:
            inputs: each of ``self.inputs``. Shape (rows, size).
            memory: of each layer in ``self.memory``; at first 0. Shape (rows, size).
        """
        rows, memory = len(next(iter(inputs.values()))), memory or {}
        values, after = {name: _in_blocks(inputs[name]) for name in self.inputs}, {}
        for name, function, sources, done in self._steps:
            taken = [values[source] for source in sources]
            if name in self.memory:
                kept = function(*taken, _in_blocks(memory[name]))
                after[name], values[name] = _flat(kept, rows), kept[..., : self._given[name]]
            else:
                values[name] = function(*taken)
            for source in done:
                del values[source]
        return _flat(values[self._output], rows), after


def feedforward(weights: Weights, activation: str, clip: float = math.inf) -> Network:
    """The network of the arrays ``actor.<k>.…``, ``critic.<k>.…`` and ``normalizer.…``.

    Args:
        weights: the arrays.
        activation: between layers; see `sim2real.policy.kinds`.
        clip: what normalized observations are clipped to; infinite for not at all.
    """
    if activation not in ACTIVATIONS:
        raise UnknownName("activation", activation, ACTIVATIONS)
    layers = [Layer("normalizer", "normalize", ("observation",))]
    if math.isfinite(clip):
        layers.append(Layer("clip", "clip", ("normalizer",), clip))
    seen, outputs = layers[-1].name, {}
    for head, output in (("actor", "action"), ("critic", "value")):
        before, count = seen, num_layers(weights, head)
        for k in range(count):
            layers.append(Layer(f"{head}.{k}", "dense", (before,)))
            if k < count - 1:
                layers.append(Layer(f"{head}.{k}.{activation}", activation, (f"{head}.{k}",)))
            before = layers[-1].name
        if count:
            outputs[output] = before
    return Network(tuple(layers), outputs)


def as_feedforward(network: Network, weights: Weights) -> tuple[str, float]:
    """The activation and the clip with which `feedforward` makes this network.

    Raises:
        PolicyError: for a network of another form.
    """
    kinds = [layer.kind for layer in network.layers]
    activation = next((kind for kind in kinds if kind in ACTIVATIONS), "tanh")
    clip = next((layer.number for layer in network.layers if layer.name == "clip"), None)
    found = (activation, math.inf if clip is None else clip)
    if network != feedforward(weights, *found):
        raise PolicyError(
            f"the network is no plain feedforward one, of a normalizer, an actor and a critic: it has the "
            f"layers {', '.join(layer.name for layer in network.layers)}"
        )
    return found


def num_layers(weights: Weights, head: str) -> int:
    """Layers of a head, ``"actor"`` or ``"critic"``, of a feedforward network."""
    return sum(1 for key in weights if key.startswith(f"{head}.") and key.endswith(".weight"))


def _check_layer(layer: Layer, names: Collection[str]) -> None:
    """Refuse a name, a kind, inputs or a number that a layer can't have."""
    where = f"layer {layer.name!r}"
    if layer.kind not in KINDS:
        raise PolicyError(f"{where}: {UnknownName('kind', layer.kind, KINDS)}")
    for name in layer.inputs:
        if name not in names and name not in INPUTS:
            raise PolicyError(f"{where}: {UnknownName('input', name, [*names, *INPUTS])}")
    kind, count = KINDS[layer.kind], len(layer.inputs)
    if count < 1 or (count > 1 and not kind.several):
        meant = "at least one" if kind.several else "one"
        raise PolicyError(f"{where} of kind {layer.kind} has {count} inputs; it takes {meant}")
    number = layer.number
    if kind.number and (number is None or not math.isfinite(number) or number <= 0):
        raise PolicyError(f"{where} of kind {layer.kind} has the {kind.number} {number}; give one above 0")
    if number is not None and not kind.number:
        raise PolicyError(f"{where} of kind {layer.kind} has the number {number:g}; leave it out")


def _size(layer: Layer, weights: Weights, sizes: Mapping[str, int]) -> int:
    """How many numbers a layer gives, its arrays checked."""
    kind, taken = KINDS[layer.kind], [sizes[name] for name in layer.inputs]
    for name, size in zip(layer.inputs, taken, strict=True):
        if size == 0:
            raise PolicyError(f"layer {layer.name!r} reads {name!r}, of which the contract names no signal")
    if layer.kind == "sum" and len(set(taken)) > 1:
        told = ", ".join(f"{name!r} of {size}" for name, size in zip(layer.inputs, taken, strict=True))
        raise PolicyError(f"layer {layer.name!r} adds up what differs in size: {told}")
    known = {"in": sum(taken) if layer.kind == "concat" else taken[0]}
    for array, words in kind.shapes.items():
        key = f"{layer.name}.{array}"
        if key not in weights:
            raise PolicyError(f"weights lack {key!r}, of the layer {layer.name!r} of kind {layer.kind}")
        shape = weights[key].shape
        if not _fits(shape, words, known):
            raise PolicyError(f"weights {key!r} have shape {shape} where {_meant(words, known)} is meant")
        if array in kind.positive and not (weights[key] > 0).all():
            raise PolicyError(f"weights {key!r} must be above 0")
    return known[kind.out]


def _fits(shape: tuple[int, ...], words: str, known: dict[str, int]) -> bool:
    """Whether a shape is what words say; sizes that are not known yet become so."""
    dimensions = list(_dimensions(words))
    if len(shape) != len(dimensions):
        return False
    for size, (times, word) in zip(shape, dimensions, strict=True):
        if size < 1 or size % times or known.setdefault(word, size // times) != size // times:
            return False
    return True


def _dimensions(words: str) -> Iterator[tuple[int, str]]:
    """``"3out in"`` as (3, "out"), (1, "in")."""
    for word in words.split():
        yield (int(word[0]), word[1:]) if word[0].isdigit() else (1, word)


def _meant(words: str, known: Mapping[str, int]) -> str:
    told = [
        str(times * known[word]) if word in known else f"{times}·{word}".removeprefix("1·")
        for times, word in _dimensions(words)
    ]
    return f"({', '.join(told)}{',' if len(told) == 1 else ''})"


def _done(layers: Sequence[Layer], output: str) -> list[str]:
    """What the first of some layers reads and no other one does: memory that the next can use."""
    later = {output, *(name for layer in layers[1:] for name in layer.inputs)}
    return [name for name in dict.fromkeys(layers[0].inputs) if name not in later]


def _bound(layer: Layer, weights: Weights) -> Function:
    kind = KINDS[layer.kind]
    arrays = {name: np.asarray(weights[f"{layer.name}.{name}"], dtype=np.float32) for name in kind.shapes}
    return kind.bind(arrays, 0.0 if layer.number is None else layer.number)


def _in_blocks(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows in blocks of one size, the last one filled up: BLAS rounds a product by how many rows it has.

    Shape (blocks, _BLOCK, n).
    """
    filled = np.zeros((-(-len(rows) // _BLOCK) * _BLOCK, rows.shape[1]), dtype=np.float32)
    filled[: len(rows)] = rows
    return filled.reshape(len(filled) // _BLOCK, _BLOCK, rows.shape[1])


def _flat(blocks: Rows, rows: int) -> Rows:
    """What `_in_blocks` was given."""
    return blocks.reshape(blocks.shape[0] * _BLOCK, blocks.shape[-1])[:rows]
