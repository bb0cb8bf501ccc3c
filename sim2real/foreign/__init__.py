"""Policies that were made elsewhere: read, run, checked against an env, made ours, and ours exported.

    policy = load_policy("sb3:ppo_hopper.zip")
    policy = load_policy("torchscript:motion.pt", trust=True)

Nothing of a file runs, but for TorchScript, which needs to be trusted by name.
"""

from sim2real.foreign.policy import ForeignPolicy
from sim2real.foreign.specs import import_policy, load_policy

__all__ = ["ForeignPolicy", "import_policy", "load_policy"]
