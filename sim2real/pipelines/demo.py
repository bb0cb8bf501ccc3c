"""The whole way once, on the rotary pendulum: meet other physics, adapt in two ways, evaluate.

Several seeds are shipped of two methods (``scripts/make_policies.py`` makes them) that went on from the same
nominal policies for equally many steps: *continued* in nominal physics, *randomized* in randomized ones.
Live, three nominal policies adapt to a sealed *combined A* twice: *identified* records ten episodes there,
identifies its physics from them and goes on in a simulator that has it; *fine-tuned* goes on in the target
itself, for 50,000 control steps.
"""

from __future__ import annotations

from pathlib import Path

from sim2real.pipelines.evaluate import EvaluateSettings, Evaluation, evaluate
from sim2real.pipelines.reporting import Progress, silent
from sim2real.policy import Policy
from sim2real.transfer.fine_tune import fine_tune
from sim2real.transfer.identify_and_train import RoadSettings, identify_and_train
from sim2real.transfer.stages import Watch
from sim2real.transfer.target import Budget, Seal, TargetEnv
from sim2real.world import World

BASELINE = "continued"
"""What the others are compared with: as many steps as *randomized*, and no other physics."""
_WORLD, _TARGET = "furuta", "combined_a"
_SECRET = 0  # the same demo for everybody
_EPISODES, _STEPS = 10, 160
_LIVE = 3
"""Seeds that adapt live; more of the shipped methods decide more."""


class _Shown(Watch):
    progress = True


def demo(out: str | Path = "runs/demo", command: str = "", progress: Progress = silent) -> Evaluation:
    """The whole way once: policies are made where they are not shipped, and all are evaluated side by side.

    Args:
        out: folder of the report and of the policies that are made.
        command: what the report says that made it.
        progress: as in `EvaluateSettings`.
    """
    world, policies = _policies(Path(out))
    at_home = [variant.name for variant in world.variants.values() if variant.simulator == "mujoco"]
    settings = EvaluateSettings(BASELINE, facts={"command": command} if command else {}, progress=progress)
    return evaluate(world, policies, at_home, out=out, settings=settings)


def _policies(folder: Path) -> tuple[World, list[Policy]]:
    """The world, and shipped, identified and fine-tuned policies; what is made is saved in ``folder``."""
    world = World.load(_WORLD)
    nominal, *arms = (Policy.shipped(_WORLD, label) for label in ("nominal", BASELINE, "randomized"))
    live = nominal[:_LIVE]
    closed = [_identified(world, policy, folder) for policy in live]
    tuned = [_fine_tuned(world, policy, folder) for policy in live]
    return world, [*(policy for arm in arms for policy in arm), *closed, *tuned]


def _identified(world: World, policy: Policy, folder: Path) -> Policy:
    target = _target(world, Budget(steps=_EPISODES * _STEPS), _EPISODES)
    place = folder / "policies" / f"{policy.name}-identified"
    road = RoadSettings(steps=_STEPS, train_steps=200_000, watch=_Shown())
    return identify_and_train(policy, target, world, place, settings=road).policy


def _fine_tuned(world: World, policy: Policy, folder: Path) -> Policy:
    place = folder / "policies" / f"{policy.name}-fine-tuned"
    fine_tune(policy, _target(world, Budget(steps=50_000), 16), progress=True).save(place)
    return Policy.load(place)


def _target(world: World, budget: Budget, rows: int) -> TargetEnv:
    return TargetEnv(world, world.variant(_TARGET), budget, rows, seal=Seal(secret=_SECRET))
