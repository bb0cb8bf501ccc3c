"""A policy: a contract, a network and its weights, saved as a folder, which acts in batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real.catalog import entries, find
from sim2real.errors import PolicyError
from sim2real.files import check_folder
from sim2real.interface import Mask
from sim2real.policy import adapter as adapters
from sim2real.policy import folder as folders
from sim2real.policy.contract import Contract, HasTask, check, lineage
from sim2real.policy.history import History, Past
from sim2real.policy.kinds import Rows, Weights, clipped
from sim2real.policy.network import Network, NetworkFunction

_OTHERS = ("sb3:", "onnx:", "torchscript:")
"""How files of other libraries are named; see `sim2real.foreign`."""


@dataclass(frozen=True)
class Memory:
    """What a policy remembers of the episode of each row."""

    past: Past | None
    """If it sees more than one observation."""
    hidden: Mapping[str, Rows]
    """Of each recurrent layer, by name. Shape (rows, size)."""
    rows: int


@dataclass(frozen=True)
class Policy:
    """A network with its weights and its contract; acts deterministically.

    Raises:
        PolicyError: for weights that don't fit the network, or a network that doesn't fit the contract.
    """

    contract: Contract
    network: Network
    weights: Weights
    """The layers' arrays, ``<layer>.<array>``; ``log_std``, where it has learnt to explore, of each action;
    ``context``, if the contract names one."""
    name: str = "policy"

    def __post_init__(self) -> None:
        """Refuse what can't act."""
        _check_network(self.contract, self.network, self.weights)
        _check_weights(self.contract, self.network, self.weights)

    def __reduce__(self) -> tuple[object, ...]:
        """What it is made of, for copies and other processes."""
        return type(self), (self.contract, self.network, self.weights, self.name)

    @cached_property
    def remembers(self) -> bool:
        """Whether its actions depend on more than the observation."""
        return bool(self._run.memory) or self._sees_past

    def start(self, rows: int | Mask, state: Memory | None = None) -> Memory | None:
        """The state of rows whose episodes begin, see `sim2real.interface.Actor`; None without memory."""
        if not self.remembers:
            return None
        if state is None:
            count = int(rows)
            hidden = {name: np.zeros((count, n), dtype=np.float32) for name, n in self._run.memory.items()}
            return Memory(self._history.start(count) if self._sees_past else None, hidden, count)
        mask = np.asarray(rows, dtype=bool)
        hidden = {name: np.where(mask[:, None], np.float32(0), h) for name, h in state.hidden.items()}
        past = None if state.past is None else self._history.start(mask, state.past)
        return Memory(past, hidden, state.rows)

    def act(
        self, observation: Rows, state: Memory | None = None, privileged: Rows | None = None
    ) -> tuple[NDArray[np.float32], Memory | None]:
        """Mean actions, clipped to ± the contract's ``action_limit``, and the state for the next call.

        Args:
            observation: as the env gives it. Shape (n, num_observations) or (num_observations,).
            state: of `start`, or of the last call; without memory it may be left out.
            privileged: what a teacher sees besides. Shape (n, len(contract.privileged)).

        Raises:
            PolicyError: for an observation of another size, or without the state or the privileged signals
                that the policy needs.
        """
        shown = np.asarray(observation, dtype=np.float32)
        rows = shown.reshape(-1, shown.shape[-1]) if shown.ndim != 2 else shown
        self._check_given(rows, state)
        inputs = {"observation": rows}
        if privileged is not None:
            inputs["privileged"] = np.asarray(privileged, dtype=np.float32).reshape(len(rows), -1)
        elif "privileged" in self._run.inputs:
            raise PolicyError(f"policy {self.name!r} acts on privileged signals; give them, or distil it")
        if self.contract.context:
            inputs["context"] = np.broadcast_to(
                self.weights["context"], (len(rows), len(self.contract.context))
            )
        past = None
        if state is not None and state.past is not None:
            inputs["history"], past = self._history.seen(rows, state.past)
        given, hidden = self._run(inputs, None if state is None else state.hidden)
        action = clipped(given, self.contract.action_limit)
        if state is not None:
            past = None if past is None else self._history.after(rows, action, past)
            state = Memory(past, hidden, state.rows)
        return action.reshape(*shown.shape[:-1], action.shape[-1]), state

    def _check_given(self, rows: Rows, state: Memory | None) -> None:
        """Refuse an observation or a state that is not this policy's."""
        wanted = len(self.contract.observation)
        if rows.shape[1] != wanted:
            raise PolicyError(
                f"policy {self.name!r} sees {wanted} signals; the observation has {rows.shape[1]}"
            )
        if self.remembers and (state is None or state.rows != len(rows)):
            held = "no state" if state is None else f"the state of {state.rows} rows"
            raise PolicyError(
                f"policy {self.name!r} remembers: it was given {held} for {len(rows)} rows; begin with "
                "policy.start(rows), and pass on what act returns"
            )

    @cached_property
    def _run(self) -> NetworkFunction:
        return NetworkFunction(self.network, self.weights)

    @cached_property
    def _history(self) -> History:
        return History(self.contract.history, len(self.contract.observation), len(self.contract.action))

    @cached_property
    def _sees_past(self) -> bool:
        return "history" in self._run.inputs

    @property
    def label(self) -> str:
        """The method that made it, as plots name it."""
        return self.contract.label

    @property
    def seed(self) -> int:
        """Of its training."""
        return self.contract.seed

    @property
    def steps(self) -> tuple[int, ...]:
        """Control steps of every link of the chain that it comes from."""
        return tuple(step.steps for step in self.contract.provenance)

    @property
    def lineage(self) -> str:
        """Label and steps that it comes from: what two policies share if only their seeds differ."""
        return lineage(self.contract)

    def check(self, env: HasTask) -> None:
        """Refuse an env that is not what the policy expects.

        Raises:
            PolicyError: which lists everything that differs.
        """
        if "privileged" in self._run.inputs:
            names = ", ".join(signal.name for signal in self.contract.privileged)
            raise PolicyError(f"policy {self.name!r} acts on {names}, which no env shows; distil it")
        check(self.contract, env, self.name)

    def fitted(self, env: HasTask) -> Policy:
        """The policy itself, as its actions are those that the env takes.

        Raises:
            PolicyError: as `check`.
        """
        self.check(env)
        return self

    @staticmethod
    def check_folder(folder: str | Path) -> None:
        """Refuse a folder that a policy can't be saved to, before it is learnt; see `sim2real.files`."""
        check_folder(folder, {*folders.FILES, *adapters.FILES})

    def save(self, folder: str | Path) -> None:
        """Write the folder, whole or not at all; what else is in it is not deleted but refused."""
        folders.write(folder, self.contract, self.network, self.weights)

    def save_adapter(self, folder: str | Path, base: Policy) -> None:
        """Write what was added to a base and trained, without the base; see `sim2real.policy.adapter`.

        Raises:
            PolicyError: if no low-rank layer or bottleneck was added, or more of what acts has changed.
        """
        grown, of_base = (self.network, self.weights), (base.network, base.weights)
        adapters.write(Path(folder), self.contract, grown, of_base, base.name)

    @classmethod
    def load(cls, name_or_path: str | Path) -> Policy:
        """Load a policy of the catalogue or from a folder, with its adapter where it is BASE+ADAPTER.

        Of an adapter alone, the base is found by its hash; low-rank layers are merged, exactly.

        Raises:
            UnknownName: if there is no such policy.
            PolicyError: if the folder is damaged, foreign or edited, an adapter of another policy, or another
                library's file; the message says where, or what to do.
        """
        if str(name_or_path).startswith(_OTHERS):
            raise PolicyError(
                f"{name_or_path} is another library's file, which can be evaluated as it is; to adapt a zip "
                "of Stable-Baselines3, make a policy folder of it: sim2real import sb3:FILE.zip --world WORLD"
            )
        if Path(name_or_path).is_file():
            raise PolicyError(
                f"{name_or_path} is a file, and a policy a folder; of other libraries' files sb3:FILE.zip, "
                "onnx:FILE and torchscript:FILE can be evaluated, and weights without a network (checkpoints "
                "of rl_games, skrl, rsl_rl, robomimic) once they are exported as one of the latter"
            )
        base, plus, last = str(name_or_path).rpartition("+")
        if plus and not Path(name_or_path).exists():
            return cls._adapted(find("policies", last), cls.load(base))
        folder = find("policies", name_or_path)
        if adapters.is_adapter(folder):
            return cls._adapted(folder)
        return cls._of(folder, *folders.read(folder))

    @classmethod
    def _adapted(cls, folder: Path, base: Policy | None = None) -> Policy:
        """The policy of an adapter, on its base."""
        adapter = adapters.read(folder)
        base = base or cls.load(adapter.find_base())
        return cls._of(folder, adapter.contract, *adapter.on((base.network, base.weights), base.name))

    @classmethod
    def _of(cls, folder: Path, contract: Contract, network: Network, weights: Weights) -> Policy:
        try:
            return cls(contract, network, weights, folder.name)
        except PolicyError as error:
            raise PolicyError(f"{folder}: {error}") from error

    @classmethod
    def shipped(cls, world: str, label: str) -> list[Policy]:
        """The policies of the catalogue that a method made in a world, by seed."""
        names = [name for name in entries("policies") if name.startswith(f"{world}-{label}-")]
        return sorted(map(cls.load, names), key=lambda policy: policy.contract.seed)


def _check_network(contract: Contract, network: Network, weights: Weights) -> None:
    """Refuse a network that gives other actions than the contract names, or reads what it may not."""
    if contract.history < 1:
        raise PolicyError(f"the contract has a history of {contract.history} observations; 1 is the least")
    given = network.sizes(weights, contract.inputs)[network.outputs["action"]]
    if given != len(contract.action):
        raise PolicyError(
            f"the network gives {given} actions where the contract names {len(contract.action)}"
        )
    read = {output: network.reads(output) for output in network.outputs}
    if "action" in read["action"]:
        raise PolicyError("the network's action depends on the action itself; only a critic may read it")
    if contract.history > 1 and not any("history" in inputs for inputs in read.values()):
        raise PolicyError(
            f"the contract has a history of {contract.history} observations, but no layer reads 'history'"
        )


def _check_weights(contract: Contract, network: Network, weights: Weights) -> None:
    """Refuse arrays that are not finite, of no layer, or of another shape than the contract says."""
    for key, array in weights.items():
        if not np.isfinite(array).all():
            raise PolicyError(f"weights {key!r} are not finite; the training diverged or the file is damaged")
    lengths = {"context": len(contract.context)} if contract.context else {}
    if "log_std" in weights:
        lengths["log_std"] = len(contract.action)
    for key, length in lengths.items():
        if key not in weights:
            raise PolicyError(f"weights lack {key!r}, the values of {length} signals of the contract")
        if weights[key].shape != (length,):
            raise PolicyError(f"weights {key!r} have shape {weights[key].shape} where ({length},) is meant")
    known = {*network.arrays_of(*network.by_name), *lengths}
    idle = sorted(set(weights) - known)
    if idle:
        raise PolicyError(f"weights {', '.join(map(repr, idle))} belong to no layer of the network")
