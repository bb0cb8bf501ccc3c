"""What recordings can tell of a robot, before anything is fitted to them.

    found = check(World.load("furuta"), load_recordings(folder))
    [e.name for e in found.expected if not e.identifiable]      # these recordings can't tell

The widths are the least that a fit can hope for: those of a model that lacks nothing, with the noise of the
sensors alone (`sim2real.identify.identifiability`). What can't be told even so, no fit will tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim2real.doctor.commands import echo
from sim2real.doctor.noise import STRIDE, speeds
from sim2real.identify.defaults import (
    cut,
    fixed_values,
    masses_of,
    motions_of,
    problem_of,
    trained_parameters,
)
from sim2real.identify.estimates import ParameterEstimate
from sim2real.identify.identifiability import combinations, information
from sim2real.identify.model_selection import candidate_models
from sim2real.identify.options import Options
from sim2real.identify.search import SearchSettings, search
from sim2real.identify.verdicts import BAD_DATA, Verdict, exit_code
from sim2real.plain import plain
from sim2real.recordings import Recording
from sim2real.replay import Motion, is_servo_robot
from sim2real.replay.commands import joint_controls
from sim2real.world import World, element_names

_GLANCE = 3  # generations of the search for a point at which a far-off servo's gain shows at all
_MOVES = 0.01  # rad or m; a command that ranges over less excites nothing


@dataclass(frozen=True)
class Excitation:
    """How much one joint moves in the recordings."""

    joint: str
    commanded: float
    """Span of its commands, rad or m; NaN where nothing drives it."""
    span: float
    """Largest span of its positions in a recording, rad or m."""
    speed: float
    """Speed that it exceeds one per cent of the time, rad/s or m/s."""
    moving: float
    """Share of the time that it moves."""
    noise: float
    """Standard deviation of its white noise, rad or m."""


@dataclass(frozen=True, eq=False)
class Check:
    """What recordings can tell of a world's parameters."""

    world: str
    excitation: tuple[Excitation, ...]
    expected: tuple[ParameterEstimate, ...]
    """What a fit will know of each parameter at best, about the point where the recordings were looked at."""
    verdicts: tuple[Verdict, ...]

    @property
    def exit_code(self) -> int:
        """0, or the code of the worst verdict."""
        return exit_code(self.verdicts)

    @property
    def text(self) -> str:
        """In one sentence."""
        untold, count = [e.name for e in self.expected if not e.identifiable], len(self.expected)
        if untold:
            more = f" and {len(untold) - 3} more" if len(untold) > 4 else ""
            listed = ", ".join(untold[:3] if more else untold)
            return f"check: these recordings can't tell {len(untold)} of {count} parameters: {listed}{more}"
        worst = max(self.expected, key=lambda e: e.share)
        return (
            f"check: these recordings can tell all {count} parameters, {worst.name} least: at best to "
            f"{100 * worst.share:.2g} % of its range"
        )

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        expected = [{**vars(e), "identifiable": e.identifiable} for e in self.expected]
        return dict(plain({**vars(self), "expected": expected, "exit_code": self.exit_code}))


def check(world: World, recordings: Sequence[Recording], options: Options | None = None) -> Check:
    """Ask what recordings can tell, without fitting anything.

    The residual is linearized at the nominal values; of a robot of position servos, at the best point of a
    short search, because a servo that saturates at its published gain shows nothing of it.

    Args:
        world: whose values the fit would begin with.
        recordings: of the robot.
        options: as the fit would get them; by default a servo's gains and dry friction, or the world's
            training range, are free.

    Raises:
        RecordingError: for no recordings, or joints that don't fit.
        UnknownName: for a parameter that does not exist.
        InvalidValue: for a world that recordings can't be replayed in.
    """
    options = options or Options()
    options.check(world)
    motions = motions_of(world, recordings)
    base = world.with_parameters({}, fixed_values(world, options))
    parts = cut(world, motions, options.window)
    problem = problem_of(base, parts, first_parameters(world, options), options)
    levels, point = problem.noise, problem.space.start
    if problem.fast and options.generations:
        glance = SearchSettings(min(_GLANCE, options.generations), seed=options.seed)
        point = search(problem.on(motions).lively(), point, glance).point
    first, *others = information(problem, point, levels)
    known = sum(others, first)
    rows = zip(problem.space.free, point, known.std, strict=True)
    expected = tuple(ParameterEstimate.about(problem.world, *row) for row in rows)
    # the residual as it would be if nothing but the noise were left
    rmse = np.tile(levels / problem.scale, (len(problem.motions), 1))
    loss = (problem.weights(rmse) * rmse**2).sum(axis=0)
    open_still = {e.name for e in expected if not e.identifiable}
    apart = [c for c in combinations(problem, known.curvature, loss) if open_still & {*c.doubtful}]
    verdicts = findings(world, motions, apart, options.complaints)
    for e in expected:
        if e.name in open_still - {name for c in apart for name in c.doubtful}:
            text = (
                f"{e.name} will be known no better than {e.low:.3g} to {e.high:.3g} {e.unit}: "
                f"{100 * e.share:.0f} % of what it could be"
            )
            verdicts.append(Verdict.not_identifiable((e.name,), text, share=e.share))
    excited = tuple(_excitation(world, motions, k, float(level)) for k, level in enumerate(levels))
    return Check(world.name, excited, expected, tuple(verdicts))


def first_parameters(world: World, options: Options) -> list[str]:
    """What is free to begin with: as asked for, a servo model with dry friction, or the training range."""
    if options.free:
        return list(options.free)
    if not is_servo_robot(world):
        return trained_parameters(world)
    joints = element_names(world.model, "joint")
    linear, dry, *_ = candidate_models(world)
    return [*linear.names(world, joints), *dry.names(world, joints), *masses_of(world)]


def findings(
    world: World, motions: Sequence[Motion], untold: Sequence[Verdict], complaints: Sequence[str]
) -> list[Verdict]:
    """Verdicts on recordings: what the log doctor and a fit have against them, what they can't tell apart."""
    texts = [*complaints, *_complaints(world, motions)]
    return [*(Verdict(BAD_DATA, "recordings", text) for text in texts), *untold]


def _excitation(world: World, motions: Sequence[Motion], k: int, noise: float) -> Excitation:
    """Of one joint: what it was told, and how far it goes in each tenth of a second."""
    joint, commanded = motions[0].joints[k], math.nan
    moves = np.concatenate([speeds(m.time, m.measured[:, [k]]) for m in motions])
    span = max(float(np.ptp(m.measured[:, k])) for m in motions)
    control = joint_controls(world.model).get(joint)
    if control is not None:
        commanded = max(float(np.ptp(m.command[:, control])) for m in motions)
    moving = float((moves * STRIDE > max(6 * noise, 0.02 * span)).mean())
    return Excitation(joint, commanded, span, float(np.quantile(moves, 0.99)), moving, noise)


def _complaints(world: World, motions: Sequence[Motion]) -> list[str]:
    """What makes a fit's data bad: joints that no recording commands to move, commands that were never sent.

    Logs whose action is only the next state have no commands: they were made from the measurements.
    """
    joints, spans = motions[0].joints, np.max([np.ptp(m.command, axis=0) for m in motions], axis=0)
    told = {joint: k for joint, k in joint_controls(world.model).items() if joint in joints}
    still = [joint for joint, k in told.items() if spans[k] < _MOVES]
    found = [f"no recording commands {joint} to move; nothing can be learnt about it" for joint in still]
    moved = [k for joint, k in told.items() if joint not in still]
    columns = [joints.index(joint) for joint in told if joint not in still]
    copied = echo([(m.command[:, moved], m.measured[:, columns]) for m in motions])
    return [*found, f"the commands are {copied}"] if copied else found
