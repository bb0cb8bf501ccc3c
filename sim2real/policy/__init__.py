"""A policy: weights plus a contract that says what they expect to see and to drive.

    >>> import numpy as np
    >>> policy = Policy.load("furuta-nominal-0")
    >>> action, state = policy.act(np.zeros((1, 6), dtype=np.float32))
    >>> action.shape
    (1, 1)

On disk it is a folder: ``policy.toml`` (the contract, to read), ``weights.safetensors`` (arrays, and the
contract once more, to notice an edit) and ``README.md`` (a card). Nothing in it can run code, and acting
needs numpy alone. ``check`` compares the contract with an env and says everything that differs.
"""

from sim2real.policy.actors import as_actor
from sim2real.policy.contract import Contract, HasTask, ProvenanceStep
from sim2real.policy.history import History
from sim2real.policy.kinds import Weights
from sim2real.policy.network import Layer, Network, as_feedforward, feedforward, num_layers
from sim2real.policy.policy import Policy

__all__ = [
    "Contract",
    "HasTask",
    "History",
    "Layer",
    "Network",
    "Policy",
    "ProvenanceStep",
    "Weights",
    "as_actor",
    "as_feedforward",
    "feedforward",
    "num_layers",
]
