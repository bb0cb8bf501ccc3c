"""The whole road from a robot's recordings: doctor, identify, go on training, evaluate side by side.

    closing = close_gap(World.load("so101"), folder, Policy.load("so101-nominal-0"), out)
    closing.table       # episodes of the nominal, randomized, point and posterior policies

Policies are compared in the unperturbed world and in what was identified: its best physics (``recorded``) and
draws from the identified domain (``recorded_1``, ...), since nobody knows which of them the robot is.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real.catalog import entries
from sim2real.doctor import BAD_DATA, Diagnosis, diagnose, expected_of, verdict_sentence, write_diagnosis
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, RecordingError
from sim2real.evaluate.rollouts import Trials, evaluate
from sim2real.evaluate.table import Episodes
from sim2real.identify.identify import Options, identify
from sim2real.identify.result import Identification
from sim2real.opening import opened_for
from sim2real.policy import Policy
from sim2real.recordings import load_recordings, read_raw
from sim2real.transfer.identify_and_train import continue_training
from sim2real.world import Variant, World

RECORDED = "recorded"
"""Variant of the best identified physics."""


@dataclass(frozen=True)
class CloseSettings:
    """Settings of `close_gap`.

    Raises:
        InvalidValue: for no training, or a negative count of draws.
    """

    train_steps: int = 300_000
    """Control steps of continued training, for the point and for the posterior."""
    draws: int = 4
    """Draws from the identified domain that policies are evaluated in."""
    trials: Trials = dataclasses.field(default_factory=Trials)
    options: Options = dataclasses.field(default_factory=Options)

    def __post_init__(self) -> None:
        """Refuse what leads nowhere."""
        if self.train_steps < 1 or self.draws < 0:
            raise InvalidValue(
                f"{self.train_steps} steps of training and {self.draws} draws: at least 1 and 0 are possible"
            )


@dataclass(frozen=True, eq=False)
class Closing:
    """Everything from the road."""

    world: World
    """With the identified physics among its variants."""
    diagnosis: Diagnosis
    found: Identification
    policies: tuple[Policy, ...]
    """Labelled ``nominal``, ``randomized`` (where one is shipped), ``point`` and ``posterior``."""
    table: Episodes


def close_gap(
    world: World, folder: Path, policy: Policy, out: Path, settings: CloseSettings | None = None
) -> Closing:
    """Take the road; see the module. A fit that was interrupted goes on where it was.

    Args:
        world: the simulator's side.
        folder: recordings of the robot.
        policy: where training goes on from; its seed is used.
        out: gets the doctor's page, the domains and the policies.
        settings: how.

    Raises:
        RecordingError: if the doctor finds data that nothing should be fitted to, or if they don't fit.
        PolicyError: if the policy does not fit the world.
    """
    settings = settings or CloseSettings()
    diagnosis = diagnose(read_raw(folder), expected_of(world))
    write_diagnosis(diagnosis, out / "doctor", str(folder))
    if diagnosis.verdict == BAD_DATA:
        raise RecordingError(f"{folder}: {verdict_sentence(diagnosis)}; see {out / 'doctor'}")
    options = dataclasses.replace(settings.options, checkpoint=out / "fit.json")
    found = identify(world, load_recordings(folder), options)
    found.save(out)
    domains = {"point": Domain.point(found.point), "posterior": found.domain}
    trained = [
        continue_training(policy, world, domain, out / label, settings.train_steps, label)
        for label, domain in domains.items()
    ]
    policies = (policy, *_randomized(world, policy), *trained)
    target = with_identified(world, found, settings.draws)
    names = [name for name in target.variants if name.startswith(RECORDED)]
    return Closing(target, diagnosis, found, policies, evaluate(target, policies, names, settings.trials))


def with_identified(world: World, found: Identification, draws: int) -> World:
    """The world with what was identified as held-out variants: the best physics, and draws.

    Args:
        world: left as it is.
        found: what was identified.
        draws: from the identified domain.
    """
    wide = opened_for(opened_for(world, found.domain), Domain.point(found.point))
    physics = {RECORDED: dict(found.point)}
    for k, row in enumerate(found.domain.sample(np.random.default_rng(0), draws)):
        drawn = dict(zip(found.domain.names, map(float, row), strict=True))
        physics[f"{RECORDED}_{k + 1}"] = {**found.point, **drawn}
    variants = {name: Variant(name, "combined", values) for name, values in physics.items()}
    return dataclasses.replace(wide, variants={**wide.variants, **variants})


def _randomized(world: World, policy: Policy) -> list[Policy]:
    """The shipped randomized policy of the same seed, if there is one."""
    name = f"{world.name}-randomized-{policy.contract.seed}"
    return [Policy.load(name)] if name in entries("policies") else []
