"""Policies that are conditioned on physics: made from a plain one, and trained where physics is known.

    policy = conditioned(Policy.load("furuta-nominal-0"), source, steps=1_200_000, seed=0)
    policy.weights["context"]           # each parameter of the training domain, from -1 to 1; at first 0

For training, physics stands behind the observation (a universal policy, Yu et al. 2017); what is learnt of it
becomes a layer of its own, which reads ``context``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim2real.distributions import LogUniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue
from sim2real.interface import Signal
from sim2real.learn.learn import Monitor, learn
from sim2real.learn.settings import settings_for
from sim2real.policy import Contract, Layer, Policy, ProvenanceStep, as_feedforward
from sim2real.transfer.source import Source

Floats = NDArray[np.float32]
_HEADS = ("actor", "critic")


class ShowsPhysics:
    """A vector env with same-step autoreset whose observations end with the physics of each row.

    Parameters of the domain are scaled to ±1 at the ends of their ranges, in the logarithm where they are
    drawn so.
    """

    def __init__(self, env: Sim2RealVectorEnv) -> None:
        """Wrap an env of ours, whose domain counts."""
        self.env, self.num_envs, self.names = env, env.num_envs, env.domain.names
        self._ends, self._logs = _ranges(env.domain)
        size = (env.single_observation_space.shape or (0,))[0] + len(self.names)
        self.single_observation_space: spaces.Box = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.single_action_space: spaces.Box = env.single_action_space
        self._physics = np.zeros((env.num_envs, len(self.names)), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Begin all rows."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._read_physics(np.arange(self.num_envs))
        return self._with_physics(observation), info

    def step(
        self, actions: Floats
    ) -> tuple[Floats, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Advance all rows; what a row saw last ends with the physics that it had."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        if "final_obs" in info:
            info["final_obs"] = self._with_physics(info["final_obs"])
            self._read_physics(np.flatnonzero(info["_final_obs"]))
        return self._with_physics(observation), reward, terminated, truncated, info

    def _read_physics(self, rows: NDArray[np.intp]) -> None:
        low, high = self._ends
        for row in rows:
            physics = self.env.physics(int(row))
            values = np.array([physics[name] for name in self.names])
            values[self._logs] = np.log(values[self._logs])
            self._physics[row] = 2 * (values - low) / (high - low) - 1

    def _with_physics(self, observation: Floats) -> Floats:
        return np.concatenate([observation, self._physics], axis=1, dtype=np.float32)


def conditioned(policy: Policy, source: Source, steps: int, seed: int, title: str | None = None) -> Policy:
    """A policy that goes on learning in the training domain, conditioned on its parameters.

    Args:
        policy: where to start: a feedforward one with a critic.
        source: where.
        steps: control steps.
        seed: of exploration and episodes.
        title: of a progress bar; None for none.

    Raises:
        PolicyError: for a policy of another form.
        InvalidValue: for a world whose parameters have no ranges to train in.
    """
    as_feedforward(policy.network, policy.weights)
    domain = source.world.training_domain
    if not domain.names:
        raise InvalidValue(
            f"the world {source.world.name!r} has no training ranges, which physics is drawn from"
        )
    signals = tuple(Signal(name, "1") for name in domain.names)
    settings = settings_for(source.world, True, total_steps=steps, allow_dead=True)
    env = ShowsPhysics(source.env(settings.num_envs, domain, settings.simulator))
    result = learn(env, _shown(policy, signals), settings, seed, monitor=Monitor(title=title))
    told = {**dataclasses.asdict(settings), "hidden": list(settings.hidden), "context": list(domain.names)}
    step = ProvenanceStep("condition", domain.to_toml(), result.steps[0], seed, told)
    contract = replace(policy.contract, context=signals, provenance=(*policy.contract.provenance, step))
    return _split(result.policy, contract)


def _ranges(domain: Domain) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Ends of each parameter, shape (2, k), logarithms where they are drawn so; and which are."""
    drawn = list(domain.parameters.values())
    logs = np.array([isinstance(one, LogUniform) for one in drawn])
    ends = np.array([one.support() for one in drawn]).T
    ends[:, logs] = np.log(ends[:, logs])
    return ends, logs


def _shown(policy: Policy, signals: tuple[Signal, ...]) -> Policy:
    """The policy with more signals in its observation, to which it is blind."""
    weights, count = dict(policy.weights), len(signals)
    for array, value in (("mean", 0.0), ("std", 1.0)):
        weights[f"normalizer.{array}"] = np.append(
            weights[f"normalizer.{array}"], np.full(count, value, np.float32)
        )
    for name in _first(policy):
        weight = weights[f"{name}.weight"]
        weights[f"{name}.weight"] = np.hstack([weight, np.zeros((len(weight), count), np.float32)])
    contract = replace(policy.contract, observation=(*policy.contract.observation, *signals))
    return replace(policy, contract=contract, weights=weights)


def _split(policy: Policy, contract: Contract) -> Policy:
    """What was learnt, with its last inputs as a context, at first 0, beside the observation."""
    weights, network, count = dict(policy.weights), policy.network, len(contract.context)
    for array in ("mean", "std"):
        weights[f"normalizer.{array}"] = weights[f"normalizer.{array}"][:-count]
    for name in _first(policy):
        weight = weights[f"{name}.weight"]
        weights[f"{name}.weight"], weights[f"{name}.context.weight"] = weight[:, :-count], weight[:, -count:]
        weights[f"{name}.context.bias"] = np.zeros(len(weight), np.float32)
        context = Layer(f"{name}.context", "dense", ("context",))
        network = network.inserted(name, context, Layer(f"{name}.sum", "sum", (name, context.name)))
    weights["context"] = np.zeros(count, np.float32)
    return Policy(contract, network, weights)


def _first(policy: Policy) -> list[str]:
    """First layers of actor and critic."""
    return [f"{head}.0" for head in _HEADS if f"{head}.0" in policy.network.by_name]
