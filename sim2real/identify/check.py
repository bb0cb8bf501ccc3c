"""What recordings can tell of a robot, before anything is fitted to them.

    found = check(World.load("furuta"), load_recordings(folder))
    [e.name for e in found.expected if not e.told]      # these recordings can't tell

The widths are the least that a fit can hope for: those of a model that lacks nothing, with the noise of the
sensors alone (`sim2real.identify.information`). What can't be told even so, no fit will tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import RecordingError
from sim2real.identify.conditioning import combinations
from sim2real.identify.free import Space, free_parameters
from sim2real.identify.identify import Options
from sim2real.identify.information import Information, information, noise_of
from sim2real.identify.judge import unexcited
from sim2real.identify.problem import Linear, Problem
from sim2real.identify.search import search
from sim2real.identify.setting import cut, first_parameters, fixed_values, motions_of
from sim2real.identify.verdicts import BAD_DATA, NOT_IDENTIFIABLE, Verdict, exit_code
from sim2real.opening import opened
from sim2real.recordings import Recording
from sim2real.replay import READ_DELAY, Motion, is_servo_robot
from sim2real.replay.decoupled import can_stand_in
from sim2real.replay.motion import liveliest
from sim2real.world import World

FloatArray = NDArray[np.float64]

TOLD = 0.5
"""Share of its range that a parameter's expected interval must not exceed."""

_HALF = 1.959964
_GLANCE = 3  # generations of the search for a point at which a far-off servo's gain shows at all
_STRIDE = 0.1  # s over which a joint must move to be moving
_SECONDS, _COUNT = 8.0, 12  # of the windows that the glance sees


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


@dataclass(frozen=True)
class Expectation:
    """What a fit will know of one parameter, at best."""

    name: str
    unit: str
    value: float
    """Where the recordings were looked at."""
    low: float
    """Lower end of the expected 95 % interval about that value, within the range."""
    high: float
    range: tuple[float, float]
    """What the fit can choose from."""
    share: float
    """Of the range, on the fit's scale, that the interval covers."""

    @property
    def told(self) -> bool:
        """Whether the recordings narrow the range down."""
        return self.share <= TOLD


@dataclass(frozen=True, eq=False)
class Check:
    """What recordings can tell of a world's parameters."""

    world: str
    excitation: tuple[Excitation, ...]
    expected: tuple[Expectation, ...]
    together: tuple[str, ...]
    """Sentences on what can't be told apart."""
    condition: float
    """Condition number of J'J, columns as shares of their ranges."""
    verdicts: tuple[Verdict, ...]

    @property
    def exit_code(self) -> int:
        """0, or the code of the worst verdict."""
        return exit_code(self.verdicts)

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        return {
            "excitation": [asdict(e) for e in self.excitation],
            "expected": [{**asdict(e), "told": e.told} for e in self.expected],
            "together": list(self.together),
            "condition": self.condition if math.isfinite(self.condition) else None,
            "verdicts": [asdict(v) for v in self.verdicts],
            "exit_code": self.exit_code,
        }


def check(
    world: World, recordings: Sequence[Recording], options: Options | None = None, noise: float = 0.0
) -> Check:
    """Ask what recordings can tell, without fitting anything.

    The residual is linearized at the nominal values; of a robot of position servos, at the best point of a
    short search, because a servo that saturates at its published gain shows nothing of it.

    Args:
        world: whose values the fit would begin with.
        recordings: of the robot.
        options: as the fit would get them; by default a servo's gains and dry friction, or the world's
            training range, are free.
        noise: standard deviation of what is measured, rad or m; 0 to estimate it from the recordings.

    Raises:
        RecordingError: for no recordings, or joints that don't fit.
        UnknownName: for a parameter that does not exist.
        InvalidValue: for a world that recordings can't be replayed in.
        MissingExtra: for a robot of servos if cmaes is not installed.
    """
    options = options or Options()
    if not recordings:
        raise RecordingError("there are no recordings to check; load_recordings(folder) reads them")
    motions = motions_of(world, recordings)
    levels = noise_of(motions) if noise <= 0 else np.full(len(motions[0].joints), noise)
    problem = _problem(world, motions, options)
    point = _point(problem, motions, options)
    known = information(problem, point, levels)
    expected = expectations(problem, point, known.std)
    untold = {e.name for e in expected if not e.told}
    apart = [c for c in combinations(problem, _linear(problem, point, known, levels)) if untold & {*c.names}]
    driven = [world.model.joint(int(k)).name for k in world.model.actuator_trnid[:, 0]]
    verdicts = [Verdict(BAD_DATA, "recordings", text) for text in unexcited(motions, driven)]
    verdicts += [Verdict(NOT_IDENTIFIABLE, ", ".join(c.names), c.text, {"growth": c.growth}) for c in apart]
    said = {name for c in apart for name in c.names}
    verdicts += [_untold(e) for e in expected if not e.told and e.name not in said]
    return Check(
        world=world.name,
        excitation=_excitation(motions, driven, levels),
        expected=expected,
        together=tuple(c.text for c in apart),
        condition=known.condition,
        verdicts=tuple(verdicts),
    )


def expectations(problem: Problem, point: FloatArray, std: FloatArray) -> tuple[Expectation, ...]:
    """Expected 95 % intervals about a point, cut to what the fit can choose from.

    Args:
        problem: what is free.
        point: of the unit cube. Shape (p,).
        std: standard deviations in the unit cube. Shape (p,).
    """
    found = []
    for k, free in enumerate(problem.space.free):
        low, high = (float(np.clip(point[k] + side * _HALF * std[k], 0.0, 1.0)) for side in (-1, 1))
        unit = "s" if free.quantity == READ_DELAY else problem.world.parameters[free.name].unit
        value, a, b = (float(free.value(x)) for x in (point[k], low, high))
        # not clipped: near an end of the range, half an interval must not look like a narrow one
        share = min(2 * _HALF * float(std[k]), 1.0)
        found.append(Expectation(free.name, unit, value, a, b, (free.low, free.high), share))
    return tuple(found)


def _problem(world: World, motions: list[Motion], options: Options) -> Problem:
    names = first_parameters(world, options)
    base = opened(world, {}, fixed_values(world, options))
    space = Space(tuple(free_parameters(base, names, options.bounds)))
    fast = is_servo_robot(world) and can_stand_in(names)
    return Problem.of(base, space, cut(world, motions, options.window), options.threads, fast)


def _point(problem: Problem, motions: Sequence[Motion], options: Options) -> FloatArray:
    if not problem.fast or not options.generations:
        return problem.space.start
    lively = problem.on(liveliest(motions, options.window or _SECONDS, _COUNT))
    return search(lively, problem.space.start, min(_GLANCE, options.generations), seed=options.seed)


def _linear(problem: Problem, point: FloatArray, known: Information, noise: FloatArray) -> Linear:
    """The residual as it would be if nothing but the noise were left."""
    count = len(problem.motions)
    rmse = np.tile(noise / problem.scale, (count, 1))
    return Linear(
        point,
        known.curvature.mean(axis=0, keepdims=True),
        np.zeros((1, len(point))),
        known.scatter.mean(axis=0, keepdims=True),
        rmse[:1] ** 2,
        np.ones(1, dtype=np.intp),
        np.zeros(1, dtype=np.intp),
        rmse,
        problem.weights(rmse),
    )


def _untold(expected: Expectation) -> Verdict:
    text = (
        f"{expected.name} will be known no better than {expected.low:.3g} to {expected.high:.3g} "
        f"{expected.unit}: {100 * expected.share:.0f} % of what it could be"
    )
    return Verdict(NOT_IDENTIFIABLE, expected.name, text, {"share": expected.share})


def _excitation(
    motions: Sequence[Motion], driven: Sequence[str], noise: FloatArray
) -> tuple[Excitation, ...]:
    found = []
    for k, joint in enumerate(motions[0].joints):
        moves = np.concatenate([_moves(m, k) for m in motions])
        span = max(float(np.ptp(m.measured[:, k])) for m in motions)
        enough = max(6 * float(noise[k]), 0.02 * span)
        commanded = math.nan
        if joint in driven:
            commanded = max(float(np.ptp(m.command[:, driven.index(joint)])) for m in motions)
        speed = float(np.quantile(moves, 0.99)) / _STRIDE
        found.append(
            Excitation(joint, commanded, span, speed, float((moves > enough).mean()), float(noise[k]))
        )
    return tuple(found)


def _moves(motion: Motion, joint: int) -> FloatArray:
    """How far a joint goes in each tenth of a second. Shape (n,)."""
    later = np.interp(motion.time + _STRIDE, motion.time, motion.measured[:, joint])
    return np.asarray(np.abs(later - motion.measured[:, joint]))
