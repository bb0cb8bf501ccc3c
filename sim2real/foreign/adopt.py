"""Make policies of ours of those that Stable-Baselines3 trained, to be read, run and fine-tuned."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.foreign.normalizer import Normalizer
from sim2real.foreign.policy import ForeignPolicy
from sim2real.foreign.sb3 import Layers, Sb3Policy
from sim2real.interface import Mask, Signal, State
from sim2real.policy import Contract, HasTask, Layer, Network, Policy, ProvenanceStep, feedforward

Floats = NDArray[np.float32]


def to_policy(saved: Sb3Policy, normalizer: Normalizer | None, limit: float = 1.0) -> Policy:
    """The same network with ``± limit`` for its bounds, and signals that have no names yet.

    The bounds of a network that clips to them go into its last layer.
    """
    size = len(saved.observation.low)
    middle = (saved.action.high + saved.action.low) / 2
    factor = 2 * limit / (saved.action.high - saved.action.low)
    *hidden, (weight, bias) = saved.actor
    if not saved.squashed:
        weight = (factor[:, None] * weight).astype(np.float32)
        bias = (factor * (bias - middle)).astype(np.float32)
    mean, std, clip = np.zeros(size), np.ones(size), math.inf
    if normalizer is not None:
        mean, std, clip = normalizer.mean, normalizer.std, normalizer.clip
    weights = {
        "normalizer.mean": mean,
        "normalizer.std": std,
        **_named("actor", (*hidden, (weight, bias))),
        **_named("critic", saved.critic),
    }
    settings = {"with": "Stable-Baselines3", "gamma": saved.gamma}
    step = ProvenanceStep(saved.algorithm, {}, saved.steps, saved.seed or 0, settings)
    if saved.log_std is not None:
        weights["log_std"] = saved.log_std + np.log(factor)
    contract = Contract(
        world="",
        task="",
        task_version=0,
        label=saved.algorithm,
        observation=tuple(Signal(f"observation_{k}", "1") for k in range(size)),
        action=tuple(Signal(f"action_{k}", "1") for k in range(len(factor))),
        control_dt=math.nan,
        action_limit=limit,
        seed=saved.seed or 0,
        provenance=(step,),
        measured={},
        code_version=version("sim2real"),
    )
    network = feedforward(weights, saved.activation, clip)
    for k, own in enumerate(saved.memory):
        (read,) = network.by_name["actor.0"].inputs
        network = network.inserted(read, Layer(f"actor.lstm.{k}", "lstm", (read,)))
        weights |= {f"actor.lstm.{k}.{name}": array for name, array in own.items()}
    if saved.squashed:
        network = _squashed(network, saved.mean_clip)
        weights |= {"actor.bounds.scale": np.full(len(factor), limit), "actor.bounds.shift": 0.0 * factor}
    arrays = {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}
    return Policy(contract, network, arrays)


def _squashed(network: Network, mean_clip: float) -> Network:
    """The network with a tanh at its end, before which the means of a state-dependent noise are clipped."""
    mean, ends = network.outputs["action"], []
    if math.isfinite(mean_clip):
        ends.append(Layer("actor.clip", "clip", (mean,), mean_clip))
        mean = "actor.clip"
    ends.append(Layer("actor.squash", "tanh", (mean,)))
    ends.append(Layer("actor.bounds", "affine", ("actor.squash",)))
    return Network((*network.layers, *ends), {**network.outputs, "action": "actor.bounds"})


def adopt(saved: Sb3Policy, normalizer: Normalizer | None, env: HasTask, name: str) -> Policy:
    """A policy of ours for an env: signals named as there, bounds compared, the critic taken along.

    Critics of SAC, TQC and TD3 value actions, which PPO has no use for: a new one of states begins at 0. What
    stands behind an LSTM acts, but doesn't learn here, and gets none.

    Raises:
        PolicyError: if observations or actions are not those that the policy was trained with.
    """
    foreign_policy(saved, normalizer, name).check(env)
    task = env.task
    whole = saved if saved.critic or saved.memory else replace(saved, critic=_new_critic(saved.actor))
    policy = to_policy(whole, normalizer, task.action_limit)
    step = policy.contract.provenance[0]
    critic = "its critic" if saved.critic else "no critic" if saved.memory else "a new critic"
    contract = replace(
        policy.contract,
        provenance=(replace(step, settings={**step.settings, "critic": critic}),),
        world=env.world_name,
        task=task.name,
        task_version=task.version,
        observation=task.observation,
        action=task.action,
        control_dt=task.control_dt,
        contents=env.contents,
        simulator=env.engine.name,
    )
    return replace(policy, contract=contract, name=name)


def foreign_policy(saved: Sb3Policy, normalizer: Normalizer | None, name: str) -> ForeignPolicy:
    """The policy as it acts in its own units."""
    return ForeignPolicy(
        name=name,
        label=name,
        kind=f"{saved.algorithm} of Stable-Baselines3",
        actor=_InOwnUnits(to_policy(saved, normalizer), saved),
        steps=(saved.steps,),
        num_observations=len(saved.observation.low),
        num_actions=len(saved.action.low),
        action_bounds=saved.action,
    )


class _InOwnUnits:
    """A policy of ours with actions between the bounds of its zip."""

    def __init__(self, policy: Policy, saved: Sb3Policy) -> None:
        self._policy = policy
        self._middle = ((saved.action.high + saved.action.low) / 2).astype(np.float32)
        self._half = ((saved.action.high - saved.action.low) / 2).astype(np.float32)

    def start(self, rows: int | Mask, state: State = None) -> State:
        """Begin episodes."""
        return self._policy.start(rows, state)

    def act(self, observation: Floats, state: State = None) -> tuple[Floats, State]:
        """Actions between the bounds. Shape (n, num_actions)."""
        action, state = self._policy.act(observation, state)
        return self._middle + self._half * action, state


def _new_critic(actor: Layers) -> Layers:
    """A value network as wide as the actor, which gives 0."""
    rng, layers = np.random.default_rng(0), []
    for weight, bias in actor[:-1]:
        drawn = rng.standard_normal(weight.shape, dtype=np.float32) / np.float32(math.sqrt(weight.shape[1]))
        layers.append((drawn, np.zeros_like(bias)))
    last = actor[-1][0].shape[1]
    return (*layers, (np.zeros((1, last), dtype=np.float32), np.zeros(1, dtype=np.float32)))


def _named(head: str, layers: Layers) -> dict[str, NDArray[Any]]:
    return {
        f"{head}.{k}.{part}": array
        for k, layer in enumerate(layers)
        for part, array in zip(("weight", "bias"), layer, strict=True)
    }
