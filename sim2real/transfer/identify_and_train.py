"""Learn the target's physics from a few recordings, then go on training in the simulator that has them.

    target = TargetEnv(world, variant, Budget(steps=1600), num_envs=10)
    closed = identify_and_train(Policy.load("furuta-nominal-0"), target, world, Path("runs/closed"))

Excitation episodes are the policy's own with shaken actions, one in each row of the target, all counted by
its budget. With several rounds the new policy records again and the fit sees all recordings so far: the
alternation of SimOpt (Chebotar et al. 2019) with a likelihood in the place of its trajectory discrepancy.
Recordings are kept in the folder as soon as they are made, with what they cost, and so is every fit and every
training; a call that is repeated goes on from them.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real.distributions import Distribution, LogUniform, Point, Uniform
from sim2real.documents import Section
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, PolicyError, UnknownName
from sim2real.files import write_atomically
from sim2real.fingerprint import fingerprint
from sim2real.gather import Excited, gather
from sim2real.identify.rollout_fit import FitSettings, fit_rollouts
from sim2real.learn.settings import settings_for
from sim2real.learn.train import train
from sim2real.parameters import quantity_of
from sim2real.policy import Policy
from sim2real.reach import check_reach
from sim2real.recordings.rollouts import Rollouts
from sim2real.transfer.identified import Identified
from sim2real.transfer.remote import Target
from sim2real.transfer.stages import Stages, Watch
from sim2real.transfer.target import Spent
from sim2real.world import World, closed

LABEL = "identified"
"""What a policy from here is called in reports."""


@dataclass(frozen=True)
class Training:
    """How training goes on in a domain."""

    steps: int
    """Control steps."""
    label: str = LABEL
    """Of the new policy."""
    progress: bool = False
    """Whether to show a progress bar."""
    rehearsal: float = 0.0
    """Share of the envs that keep nominal physics."""
    target: str = ""
    """Name of the target that the domain was learnt from, for the provenance: seeds of one method learn
    domains that differ a little, and are told to be of one kind by it."""


@dataclass(frozen=True)
class RoadSettings:
    """Settings of `identify_and_train`.

    Raises:
        InvalidValue: for less than one step, round or training step, or a negative noise or widening.
    """

    steps: int = 160
    """Control steps of every recording."""
    noise: float = 0.2
    """Standard deviation of the shaking, in units of a full action."""
    rounds: int = 1
    """Alternations of recording, identifying and training."""
    train_steps: int = 300_000
    """Control steps of training in each round."""
    widen: float = 0.0
    """Share of each parameter's range, to both sides of what was found, that training draws from uniformly; 0
    for what was found, as sure as it is."""
    rehearsal: float = 0.0
    """Share of training that keeps nominal physics, so that the policy does not forget them."""
    label: str = LABEL
    """Of the policies."""
    fit: FitSettings = dataclasses.field(default_factory=FitSettings)
    watch: Watch = dataclasses.field(default_factory=Watch, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a road that leads nowhere."""
        check_reach(self, "whole [1, inf)", "steps", "rounds", "train_steps")
        check_reach(self, "[0, inf)", "noise", "widen")
        check_reach(self, "[0, 1)", "rehearsal")


@dataclass(frozen=True, eq=False)
class Closed:
    """Where the road led."""

    policy: Policy
    """Labelled as the settings say."""
    domain: Domain
    """What was learnt of the target, as far as the last round tells."""
    fits: tuple[Identified, ...]
    """One a round."""
    rollouts: Rollouts
    """Everything that was recorded."""


@closed()
def identify_and_train(
    policy: Policy,
    target: Target,
    world: World,
    folder: Path,
    bounds: Domain | None = None,
    settings: RoadSettings | None = None,
) -> Closed:
    """Record, identify and train; see the module.

    Args:
        policy: where to start; its seed is that of the shaking, the fit and the training.
        target: where to record; what is spent there, also by an earlier call, stands in its ``spent``.
        world: the simulator's side; its held-out variants are not looked at.
        folder: gets the recordings, fit, domain and policy of every round, and the last policy itself.
        bounds: parameters to identify and their ranges; by default the world's training domain.
        settings: how.

    Raises:
        PolicyError: if the policy does not fit the target.
        BudgetExhausted: if the budget does not pay for the recordings.
        RecordingError: for a target of a single row, whose only recording leaves none to hold out.
        InvalidValue: if the folder holds recordings that another policy made, or other settings.
    """
    settings, world = settings or RoadSettings(), world.without_variants()
    bounds = bounds or world.training_domain
    policy.check(target)
    stages = Stages(folder, settings.watch)
    fits: list[Identified] = []
    rollouts: Rollouts | None = None
    for number in range(settings.rounds):
        place = folder / f"round-{number}"
        rollouts = _joined(rollouts, _recorded(policy, target, place, settings))
        fits.append(_fitted(world, rollouts, bounds, settings.fit, place, stages))
        how = (settings.train_steps, settings.label, settings.watch.progress, settings.rehearsal)
        training = Training(*how, target.name)
        domain = fits[-1].posterior
        if settings.widen:
            domain = _widened(domain, fits[-1].values, bounds, settings.widen)
        policy = trained(policy, world, domain, place / "policy", training, stages)
    assert rollouts is not None
    policy = dataclasses.replace(policy, name=folder.name)
    policy.save(folder / "policy")
    return Closed(policy, fits[-1].posterior, tuple(fits), rollouts)


def _widened(domain: Domain, physics: Mapping[str, float], bounds: Domain, share: float) -> Domain:
    """The domain with a range around the best physics, a share of that of the bounds to each side."""
    parameters: dict[str, Distribution] = dict(domain.parameters)
    for name, allowed in bounds.parameters.items():
        low, high = allowed.support()
        if low == high or name not in parameters:
            continue
        log = isinstance(allowed, LogUniform)
        at, *ends = np.log([physics[name], low, high]) if log else (physics[name], low, high)
        reach = share * (ends[1] - ends[0])
        around = np.array([max(ends[0], at - reach), min(ends[1], at + reach)])
        if log:
            around = np.exp(around)
        if quantity_of(name).integer:
            around = np.round(around)
        first, last = map(float, around)
        kind = LogUniform if log else Uniform
        parameters[name] = Point(first) if first == last else kind(first, last)
    return Domain(parameters)


def trained(
    policy: Policy, world: World, domain: Domain, folder: Path, training: Training, stages: Stages
) -> Policy:
    """As `continue_training`, once: a training that is done is kept, one that was interrupted goes on."""
    key = fingerprint(
        world, policy, domain, training.steps, training.label, training.rehearsal, training.target
    )
    name = f"train {folder.relative_to(stages.folder).as_posix()}"
    stages.once(name, key, lambda: continue_training(policy, world, domain, folder, training))
    return Policy.load(folder)


def continue_training(
    policy: Policy, world: World, domain: Domain, folder: Path, training: Training
) -> Policy:
    """Go on training a policy in a domain, with what the world says of randomized training.

    Parameters of the domain that change nothing are left to the identification's verdict: it found them.

    Args:
        policy: where to start; its seed is used.
        world: where.
        domain: what physics is drawn from; may name single elements of the world's groups.
        folder: gets the policy.
        training: how long, and what the policy is called.
    """
    start = folder.with_name(folder.name + ".start")
    if not _is(start, policy):
        # a checkpoint beside it went on from another policy
        shutil.rmtree(folder.with_name(folder.name + ".training"), ignore_errors=True)
        policy.save(start)
    given = {"start": str(start), "total_steps": training.steps, "rehearsal": training.rehearsal}
    settings = settings_for(world, True, **given, allow_dead=True)
    result = train(world, folder, domain, policy.contract.seed, settings, training.progress)
    *past, last = result.contract.provenance
    told = {"start": policy.name, **({"target": training.target} if training.target else {})}
    last = dataclasses.replace(last, settings={**last.settings, **told})
    contract = dataclasses.replace(result.contract, label=training.label, provenance=(*past, last))
    result = dataclasses.replace(result, contract=contract)
    result.save(folder)
    return result


def _is(folder: Path, policy: Policy) -> bool:
    """Whether a folder holds this very policy."""
    try:
        return fingerprint(Policy.load(folder)) == fingerprint(policy)
    except (UnknownName, PolicyError):
        return False


def _recorded(policy: Policy, target: Target, place: Path, settings: RoadSettings) -> Rollouts:
    path, cost = place / "rollouts.npz", place / "spent.json"
    key = fingerprint(policy, settings.steps, settings.noise, target.num_envs, target.name)
    settings.watch.stage(f"record {place.name}", path.is_file())
    if path.is_file():
        table = Section.read_json(cost)
        if table.text("key") != key:
            raise InvalidValue(
                f"{path} was recorded in another target, by another policy or with other settings; choose "
                "another folder, or remove it to record again"
            )
        target.go_on_from(_spent(table))
        return Rollouts.load(path)
    seed = policy.contract.seed
    excited = Excited(policy, settings.noise, seed, limit=policy.contract.action_limit)
    # a budget of episodes pays for one in each row of a round
    rollouts = gather(target, excited, settings.steps, seed, anew=target.budget.episodes is None)
    target.stop()
    # the cost first: a recording that is there has it
    write_atomically(cost, json.dumps({"key": key, **dataclasses.asdict(target.spent)}, indent=1))
    rollouts.save(path)
    return rollouts


def _spent(table: Section) -> Spent:
    return Spent(
        table.whole("steps"),
        table.whole("episodes"),
        table.number("seconds"),
        table.whole("falls"),
        table.whole("limit_hits"),
    )


def _fitted(
    world: World, rollouts: Rollouts, bounds: Domain, settings: FitSettings, place: Path, stages: Stages
) -> Identified:
    key = fingerprint(world, rollouts, bounds, settings)
    name = f"identify {place.name}"
    stages.once(name, key, lambda: fit_rollouts(world, rollouts, bounds, settings).save(place))
    return Identified.load(place)


def _joined(first: Rollouts | None, second: Rollouts) -> Rollouts:
    if first is None:
        return second
    return dataclasses.replace(first, episodes=(*first.episodes, *second.episodes))
