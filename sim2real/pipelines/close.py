"""The whole road from a robot to a policy that suits it: doctor, identify, go on training, evaluate, report.

    closing = close("so101", recordings=folder)
    closing.report      # nominal, randomized, point and posterior policies side by side

From recordings, policies are compared in the unperturbed world and in what was identified: its best physics
(``recorded``) and draws from the identified domain (``recorded_1``, ...), since nobody knows which of them
the robot is. From a sealed target (`close_on_target`) the road gathers its own data under a budget, and only
the evaluation at its end opens the target.

Every stage that is done is kept in the folder; a call that is repeated goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sim2real.catalog import entries
from sim2real.doctor.screening import ScreenedRecordings
from sim2real.documents import read_text
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.episode_table import Episodes
from sim2real.evaluate.episodes_file import read_episodes, write_episodes
from sim2real.evaluate.gap import GapOptions, GapReport, gap_report
from sim2real.evaluate.rollouts import Trials, references, run_policies
from sim2real.files import write_atomically
from sim2real.fingerprint import fingerprint
from sim2real.identify.options import Options
from sim2real.identify.rollout_fit import FitSettings
from sim2real.pipelines.given import given_policies, given_world
from sim2real.pipelines.identify import identify
from sim2real.pipelines.recordings import RecordingSettings, screened
from sim2real.policy import Policy
from sim2real.reach import check_reach
from sim2real.replay.rollouts import tells_state
from sim2real.report.close import write_closing
from sim2real.transfer.identified import RECORDED, Identified, with_identified
from sim2real.transfer.identify_and_train import RoadSettings, Training, identify_and_train, trained
from sim2real.transfer.stages import Stages, Watch
from sim2real.transfer.target import Budget, TargetEnv
from sim2real.world import Variant, World

POINT, POSTERIOR = "point", "posterior"
"""Labels of the policies that went on in the best physics, and in the identified domain."""


@dataclass(frozen=True)
class CloseSettings:
    """Settings of both roads.

    Raises:
        InvalidValue: for no training, or a negative count of draws.
    """

    train_steps: int = 300_000
    """Control steps of continued training, for the point and for the posterior; in each round."""
    draws: int = 4
    """Draws from the identified domain that policies are evaluated in."""
    variants: tuple[str, ...] = ()
    """Held-out variants of the world to evaluate in as well, as where a twin's truth is known."""
    trials: Trials = field(default_factory=Trials)
    options: Options = field(default_factory=Options)
    """Of the fit to recordings."""
    allow_bad: bool = False
    """Whether to fit what can be read of what the log doctor calls bad."""
    unwrap: bool = False
    """Whether to take jumps by a whole turn out of the recordings' angles."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Lines of provenance for the report, such as the command."""
    watch: Watch = field(default_factory=Watch, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what leads nowhere."""
        check_reach(self, "whole [1, inf)", "train_steps")
        check_reach(self, "whole [0, inf)", "draws")


@dataclass(frozen=True)
class Sealed:
    """A target that the road gathers its own data in.

    Raises:
        InvalidValue: for a budget that does not give every round its two episodes.
    """

    variant: Variant
    """What it is; the evaluation alone opens it."""
    episodes: int = 10
    """Budget, for every policy that starts: all rounds share it evenly."""
    rounds: int = 1
    """Alternations of recording, identifying and training."""
    steps: int = 160
    """Control steps of each excitation episode, at most."""
    bounds: Domain | None = None
    """Parameters to identify and their ranges; by default the world's training domain."""
    fit: FitSettings = field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        """Refuse a budget that leaves nothing to fit or to hold out."""
        check_reach(self, "whole [1, inf)", "episodes", "rounds", "steps")
        if self.episodes // self.rounds < 2:
            raise InvalidValue(
                f"{self.episodes} episodes in {self.rounds} rounds: a round needs at least 2, one to fit and "
                "one to hold out; raise the budget or lower the rounds"
            )

    @classmethod
    def named(
        cls, world: World, target: str | Path, episodes: int = 10, rounds: int = 1, free: Sequence[str] = ()
    ) -> Sealed:
        """A target by what a user types.

        Args:
            world: the simulator's side.
            target: a held-out variant's name, or the path of a TOML file of one physics.
            episodes: budget.
            rounds: of recording, identifying and training.
            free: parameters to identify, each in its training range; by default all that have one.

        Raises:
            InvalidValue: for a distribution, or a budget that doesn't pay for the rounds.
            UnknownName: for a variant that does not exist, or a parameter without a training range.
        """
        world.check_has_scene()
        path = Path(target)
        if path.is_file():
            domain = world.domain(str(path))
            if not domain.is_point:
                raise InvalidValue(
                    f"{path} is a distribution; a target is one physics, each parameter a value"
                )
            variant = Variant(path.stem, "combined", domain.median())
        else:
            variant = world.variant(str(target))
        box = world.training_domain.parameters
        for name in free:
            if name not in box:
                raise UnknownName(f"parameter with a training range in {world.name}", name, box)
        bounds = Domain({name: box[name] for name in free}) if free else None
        return cls(variant, episodes, rounds, bounds=bounds)


@dataclass(frozen=True, eq=False)
class Closing:
    """Everything from the road."""

    world: World
    """With what policies were compared in among its variants."""
    identified: Mapping[str, Identified]
    """By the policy that the data are of; from recordings a single one, under the folder's name."""
    policies: tuple[Policy, ...]
    """Those that were given, the shipped ones beside them, then ``point`` and ``posterior``."""
    table: Episodes
    report: GapReport
    page: Path
    """That tells it all and links what was written."""

    @property
    def exit_code(self) -> int:
        """0, or the code of the worst verdict."""
        return max(found.exit_code for found in self.identified.values())


def close(
    world: str | Path | World,
    recordings: str | Path | None = None,
    target: str | Path | Sealed | None = None,
    policies: Sequence[str | Path | Policy] = (),
    out: str | Path | None = None,
    settings: CloseSettings | None = None,
) -> Closing:
    """Take the whole road, from recordings of a robot or in a sealed target: `close_gap`, `close_on_target`.

    Args:
        world: the simulator's side, or its name or folder.
        recordings: folder of recordings of the robot.
        target: in their place, a held-out variant's name, or the path of a TOML file of one physics.
        policies: where training goes on from, the seeds of one label; by default ``WORLD-nominal-0``.
        out: gets the page and all that is made; by default ``runs/close-WORLD``, with ``-TARGET``.
        settings: how.

    Raises:
        InvalidValue: if not one of recordings and target is given; and as both roads raise.
    """
    world = given_world(world)
    if (recordings is None) == (target is None):
        raise InvalidValue("give recordings of the robot, or a target that records by itself: one of both")
    world.check_has_scene()
    named = given_policies(policies or [f"{world.name}-nominal-0"])
    if recordings is not None:
        place = Path(out or Path("runs") / f"close-{world.name}")
        return close_gap(world, Path(recordings), named, place, settings)
    assert target is not None
    sealed = target if isinstance(target, Sealed) else Sealed.named(world, target)
    place = Path(out or Path("runs") / f"close-{world.name}-{sealed.variant.name}")
    return close_on_target(world, sealed, named, place, settings)


def close_gap(
    world: World, folder: Path, policies: Sequence[Policy], out: Path, settings: CloseSettings | None = None
) -> Closing:
    """Take the road from recordings; see the module.

    Args:
        world: the simulator's side.
        folder: recordings of the robot.
        policies: where training goes on from, of one label; the seed of each is used.
        out: gets the doctor's page, the identification, the policies and the report.
        settings: how.

    Raises:
        InvalidValue: for no policy, or several of one seed.
        PolicyError: if a policy does not fit the world.
        BadData: if the doctor finds data that nothing should be fitted to.
        RecordingError: if there are none, or none that fit the world.
    """
    settings = settings or CloseSettings()
    _check(world, policies)
    stages = Stages(out, settings.watch)
    settings.watch.stage("doctor", False)
    how = RecordingSettings(settings.allow_bad, settings.unwrap, settings.facts)
    taken = screened(world, folder, out, how)
    identified = _identified(world, taken, settings, stages)
    wide = with_identified(world, identified, settings.draws)
    made = _trained(world, identified, policies, settings, stages)
    names = [*settings.variants, *(name for name in wide.variants if name.startswith(RECORDED))]
    return _arrive(wide, (policies, made), names, {folder.name: identified}, settings, stages)


def close_on_target(
    world: World, sealed: Sealed, policies: Sequence[Policy], out: Path, settings: CloseSettings | None = None
) -> Closing:
    """Take the road in a sealed target, which every policy has for itself; see the module.

    Args:
        world: the simulator's side.
        sealed: the target, and what may be spent in it.
        policies: where the road starts, of one label; each records with its own, shaken actions.
        out: gets the recordings, fits and policies of every round, and the report.
        settings: how; recordings' options and draws are not used.

    Raises:
        InvalidValue: for no policy, several of one seed, a folder with recordings of another target, or a
            world whose observations don't tell the state.
        PolicyError: if a policy does not fit the world.
        BudgetExhausted: if the budget does not pay for the recordings.
    """
    settings = settings or CloseSettings()
    _check(world, policies)
    _same_target(world, sealed, out)
    stages = Stages(out, settings.watch)
    identified, made = {}, []
    for policy in policies:
        found, adapted = _learnt_in(world, sealed, policy, settings, stages)
        identified[policy.name] = found
        alone = dataclasses.replace(settings, train_steps=settings.train_steps * sealed.rounds)
        made += [*_trained(world, found, [policy], alone, stages, (POINT,)), adapted]
    wide = dataclasses.replace(world, variants={**world.variants, sealed.variant.name: sealed.variant})
    names = list(dict.fromkeys([sealed.variant.name, *settings.variants]))
    return _arrive(wide, (policies, made), names, identified, settings, stages)


def _identified(
    world: World, taken: ScreenedRecordings, settings: CloseSettings, stages: Stages
) -> Identified:
    options = dataclasses.replace(settings.options, complaints=taken.complaints)
    out, watch, recordings = stages.folder, stages.watch, taken.recordings

    def said(what: str, number: int, cost: float) -> None:
        (watch.told(what) if math.isnan(cost) else watch.fit(what, number, cost))

    def fit() -> None:
        identify(world, recordings, options, said, out, settings.facts)

    stages.once("identify", fingerprint(world, recordings, options), fit)
    return Identified.load(out)


def _trained(
    world: World,
    identified: Identified,
    policies: Sequence[Policy],
    settings: CloseSettings,
    stages: Stages,
    labels: Sequence[str] = (POINT, POSTERIOR),
) -> list[Policy]:
    """Each policy after going on in the best physics, and in the identified domain."""
    domains = {POINT: identified.point, POSTERIOR: identified.posterior}
    made = []
    for label in labels:
        training = Training(settings.train_steps, label, stages.watch.progress)
        for policy in policies:
            place = stages.folder / f"{policy.name}-{label}"
            made.append(trained(policy, world, domains[label], place, training, stages))
    return made


def _learnt_in(
    world: World, sealed: Sealed, policy: Policy, settings: CloseSettings, stages: Stages
) -> tuple[Identified, Policy]:
    """What a policy's own excitation in the target teaches, and the policy after the last round."""
    each = sealed.episodes // sealed.rounds
    target = TargetEnv(world, sealed.variant, Budget(episodes=sealed.episodes), num_envs=each)
    bounds = sealed.bounds or world.training_domain
    road = RoadSettings(
        sealed.steps,
        rounds=sealed.rounds,
        train_steps=settings.train_steps,
        label=POSTERIOR,
        fit=sealed.fit,
        watch=stages.watch,
    )
    folder = stages.folder / f"{policy.name}-{POSTERIOR}"
    closed = identify_and_train(policy, target, world, folder, bounds, road)
    return dataclasses.replace(closed.fits[-1], spent=target.spent), closed.policy


def _arrive(
    world: World,
    groups: tuple[Sequence[Policy], Sequence[Policy]],
    names: Sequence[str],
    identified: Mapping[str, Identified],
    settings: CloseSettings,
    stages: Stages,
) -> Closing:
    """Evaluate all policies side by side, and tell it."""
    out, given = stages.folder, groups[0]
    everyone = (*given, *_shipped(world, given), *groups[1])
    # what was identified may be an effect of nothing, which its verdict says already
    trials = dataclasses.replace(settings.trials, allow_dead=True)

    path = out / "episodes.parquet"
    physics = [world.variant(name).physics for name in names]
    stages.once(
        "evaluate",
        fingerprint(world, everyone, list(names), physics, trials),
        lambda: write_episodes(run_policies(world, everyone, names, trials, stages.watch.evaluated), path),
    )
    table = read_episodes(path)
    met = set(map(str, table["variant"]))
    known = {name: reference for name, reference in references(world).items() if name in met}
    report = gap_report(table, known, GapOptions(title=world.title, baseline=given[0].contract.label))
    page = write_closing(world, identified, report, table, out, settings.facts)
    return Closing(world, identified, everyone, table, report, page)


def _shipped(world: World, policies: Sequence[Policy]) -> list[Policy]:
    """Shipped policies of the same seeds and of the labels that are not among these."""
    names = [
        f"{world.name}-{label}-{policy.contract.seed}"
        for label in ("nominal", "randomized")
        if label != policies[0].contract.label
        for policy in policies
    ]
    known = entries("policies")
    return [Policy.load(name) for name in names if name in known]


def _check(world: World, policies: Sequence[Policy]) -> None:
    """Refuse policies that can't be compared, before anything is spent."""
    if not policies:
        raise InvalidValue("no policy to go on from; name at least one")
    labels = {policy.contract.label for policy in policies}
    if len(labels) > 1 or len({policy.contract.seed for policy in policies}) < len(policies):
        told = ", ".join(f"{p.name} ({p.contract.label}, seed {p.contract.seed})" for p in policies)
        raise InvalidValue(f"{told} are no seeds of one method; give policies of one label, one a seed")
    env = Sim2RealVectorEnv(world)
    for policy in policies:
        policy.check(env)


def _same_target(world: World, sealed: Sealed, out: Path) -> None:
    """Refuse a world that can't be replayed from what a policy sees, or a folder of another target."""
    if not tells_state(world):
        raise InvalidValue(
            f"the observations of task {world.task} don't tell the state that replays begin at; record the "
            f"robot and use --recordings"
        )
    path, key = out / "target.json", fingerprint(sealed.variant.physics, sealed.variant.simulator)
    if path.is_file() and read_text(path).strip() != json.dumps(key):
        raise InvalidValue(f"{out} holds what was recorded in another target; choose another folder")
    write_atomically(path, json.dumps(key))
