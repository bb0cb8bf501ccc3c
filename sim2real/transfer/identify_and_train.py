"""Learn the target's physics from a few recordings, then go on training in the simulator that has them.

    target = TargetEnv(world, variant, Budget(steps=1600), num_envs=10)
    closed = identify_and_train(Policy.load("furuta-nominal-0"), target, world, Path("runs/closed"))

Excitation episodes are the policy's own with shaken actions, one in each row of the target, all counted by
its budget. With several rounds the new policy records again and the fit sees all recordings so far: the
alternation of SimOpt (Chebotar et al. 2019) with a likelihood in the place of its trajectory discrepancy.
Recordings are kept in the folder as soon as they are made, and a call that is repeated goes on from them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.identify.fit import FitSettings, WindowFit, fit_windows
from sim2real.identify.gather import Excited, gather
from sim2real.identify.transitions import Rollouts
from sim2real.policy import Policy
from sim2real.train.ppo import settings_for, train
from sim2real.transfer.target import TargetEnv
from sim2real.world import World

LABEL = "identified"
"""What a policy from here is called in reports."""


@dataclass(frozen=True)
class RoadSettings:
    """Settings of `identify_and_train`.

    Raises:
        InvalidValue: for less than one step, round or training step, or a negative noise.
    """

    steps: int = 160
    """Control steps of every recording."""
    noise: float = 0.2
    """Standard deviation of the shaking, in units of a full action."""
    rounds: int = 1
    """Alternations of recording, identifying and training."""
    train_steps: int = 300_000
    """Control steps of training in each round."""
    fit: FitSettings = dataclasses.field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        """Refuse a road that leads nowhere."""
        if min(self.steps, self.rounds, self.train_steps) < 1 or self.noise < 0:
            raise InvalidValue(
                f"{self.rounds} rounds of {self.steps} recorded and {self.train_steps} trained steps, "
                f"noise {self.noise:g}: the counts must be at least 1, the noise not negative"
            )


@dataclass(frozen=True, eq=False)
class Closed:
    """Where the road led."""

    policy: Policy
    """Labelled ``identified``."""
    domain: Domain
    """What was learnt of the target, as far as the last round tells."""
    fits: tuple[WindowFit, ...]
    """One a round."""
    rollouts: Rollouts
    """Everything that was recorded."""


def identify_and_train(
    policy: Policy,
    target: TargetEnv,
    world: World,
    folder: Path,
    bounds: Domain | None = None,
    settings: RoadSettings | None = None,
) -> Closed:
    """Record, identify and train; see the module.

    Args:
        policy: where to start; its seed is that of the shaking, the fit and the training.
        target: where to record; what is spent there stands in its ``spent``.
        world: the simulator's side.
        folder: gets the recordings, domain and policy of every round, and the last policy itself.
        bounds: parameters to identify and their ranges; by default the world's training domain.
        settings: how.

    Raises:
        PolicyError: if the policy does not fit the target.
        BudgetExhausted: if the budget does not pay for the recordings.
        RecordingError: for a target of a single row, whose only recording leaves none to hold out.
    """
    settings = settings or RoadSettings()
    bounds = bounds or world.training_domain
    policy.check(target)
    fits: list[WindowFit] = []
    rollouts: Rollouts | None = None
    for number in range(settings.rounds):
        place = folder / f"round-{number}"
        rollouts = _joined(rollouts, _recorded(policy, target, place / "rollouts.npz", settings))
        fits.append(fit_windows(world, rollouts, bounds, settings.fit))
        fits[-1].domain.save(place / "domain.toml")
        policy = continue_training(policy, world, fits[-1].domain, place / "policy", settings.train_steps)
    assert rollouts is not None
    policy = dataclasses.replace(policy, name=folder.name)
    policy.save(folder / "policy")
    return Closed(policy, fits[-1].domain, tuple(fits), rollouts)


def continue_training(
    policy: Policy, world: World, domain: Domain, folder: Path, steps: int, label: str = LABEL
) -> Policy:
    """Go on training a policy in a domain, with what the world says of randomized training.

    Args:
        policy: where to start; its seed is used.
        world: where.
        domain: what physics is drawn from.
        folder: gets the policy.
        steps: control steps.
        label: of the new policy.
    """
    start = folder.with_name(folder.name + ".start")
    policy.save(start)
    settings = settings_for(world, True, start=str(start), total_steps=steps)
    trained = train(world, folder, domain, policy.contract.seed, settings)
    trained = dataclasses.replace(trained, contract=dataclasses.replace(trained.contract, label=label))
    trained.save(folder)
    return trained


def _recorded(policy: Policy, target: TargetEnv, path: Path, settings: RoadSettings) -> Rollouts:
    if path.is_file():
        return Rollouts.load(path)
    seed = policy.contract.seed
    rollouts = gather(target, Excited(policy, settings.noise, seed), settings.steps, seed=seed)
    target.stop()
    rollouts.save(path)
    return rollouts


def _joined(first: Rollouts | None, second: Rollouts) -> Rollouts:
    if first is None:
        return second
    return dataclasses.replace(first, episodes=(*first.episodes, *second.episodes))
