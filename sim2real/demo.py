"""The whole way once, on the rotary pendulum: pre-train, meet other physics, adapt; the CLI then evaluates.

Three seeds of nominal and of randomized training are shipped (``scripts/make_policies.py`` makes them). The
first nominal one is trained again, live, and takes the place of the shipped one. Each nominal policy is then
fine-tuned in *combined A*, under a budget of 50,000 control steps.
"""

from __future__ import annotations

from pathlib import Path

from sim2real.policy import Policy
from sim2real.train.ppo import train
from sim2real.transfer.fine_tune import fine_tune
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.world import World

_WORLD, _TARGET, _SEEDS = "furuta", "combined_a", (0, 1, 2)
_SECRET = 0  # the same demo for everybody


def demo_policies(folder: Path) -> tuple[World, list[Policy]]:
    """The world, and shipped, live and fine-tuned policies; what is made is saved in ``folder``."""
    world = World.load(_WORLD)
    first, *others = _SEEDS
    live = train(world, folder / "policies" / f"{_WORLD}-nominal-{first}", seed=first, progress=True)
    nominal = [live, *(Policy.load(f"{_WORLD}-nominal-{seed}") for seed in others)]
    randomized = [Policy.load(f"{_WORLD}-randomized-{seed}") for seed in _SEEDS]
    adapted = [_adapted(world, policy, folder) for policy in nominal]
    return world, [*nominal, *randomized, *adapted]


def _adapted(world: World, policy: Policy, folder: Path) -> Policy:
    target = TargetEnv(world, world.variant(_TARGET), Budget(steps=50_000), seal=Seal(secret=_SECRET))
    adapted = fine_tune(policy, target, progress=True)
    adapted.save(folder / "policies" / f"{policy.name}-{_TARGET}")
    return adapted
