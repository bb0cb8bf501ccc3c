"""Neural posterior estimation: from a summary of recordings to a posterior over parameters (sbi).

    result = npe(world, rollouts, bounds, lambda seed: Excited(policy, 0.2, seed))
    result.calibration.verdict, result.predictive.verdict
    result.domain.save(Path("posterior.toml"))

A network learns the posterior from simulated recordings whose parameters are known (Papamakarios & Murray
2016; Greenberg et al. 2019; for domain randomization Ramos et al. 2019), made like the real ones: the same
actor, as many episodes, as many steps, all in one batched env. Two checks say whether to believe it.
**Calibration**: on simulated recordings that it has not seen, ranks of the truth among its samples must be
uniform (Talts et al. 2018) and its intervals cover what they promise. **Posterior-predictive**: recordings
simulated from the posterior must look like the real one, or the truth lies outside of what was simulated.
The networks live in memory alone; nothing is pickled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sim2real.distributions import Samples
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, MissingExtra
from sim2real.identify.episode_summary import Compression, summarize, summarize_rows
from sim2real.identify.posterior_checks import Calibration, Predictive, calibration, predictive
from sim2real.identify.space import FloatArray, ParameterSpace
from sim2real.interface import ActorLike
from sim2real.policy import as_actor
from sim2real.process import undisturbed
from sim2real.recordings.rollouts import Rollouts
from sim2real.world import World

if TYPE_CHECKING:
    import torch

MakeActor = Callable[[int], ActorLike]
"""The actor of the recordings, with a seed of its own for what it draws."""


@dataclass(frozen=True)
class NpeSettings:
    """Settings of `npe`.

    Raises:
        InvalidValue: for too few simulations to learn from or to check with.
    """

    simulations: int = 2000
    """Simulated recordings that the network learns from."""
    checks: int = 200
    """Simulated recordings for each of the two checks."""
    samples: int = 500
    """Physics in the domain."""
    max_epochs: int = 200
    rows: int = 512
    """Simulations at once."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what can't be learnt or checked."""
        if self.simulations < 50 or self.checks < 20 or self.samples < 20:
            raise InvalidValue(
                f"{self.simulations} simulations, {self.checks} checks, {self.samples} samples are too few; "
                "give at least 50, 20 and 20"
            )


@dataclass(frozen=True, eq=False)
class NpeResult:
    """The posterior, and whether to believe it."""

    domain: Domain
    """Samples whose rows keep their correlation."""
    calibration: Calibration
    predictive: Predictive
    diverged: int
    """Simulated recordings that blew up and were left out."""

    @property
    def passed(self) -> bool:
        """Whether both checks passed."""
        return self.calibration.passed and self.predictive.passed


def npe(
    world: World, rollouts: Rollouts, bounds: Domain, actor: MakeActor, settings: NpeSettings = NpeSettings()
) -> NpeResult:
    """Learn a posterior and check it.

    Args:
        world: whose nominal values hold for the other parameters.
        rollouts: what was recorded.
        bounds: the parameters, and the ranges that count alike beforehand.
        actor: makes the actor that the recordings were made with.
        settings: how.

    Raises:
        MissingExtra: if sbi is not installed.
        RecordingError: if the rollouts are not of the world's task.
        InvalidValue: if most simulated recordings blew up.
    """
    sbi = _import_sbi()
    space = ParameterSpace.of(world, bounds)
    simulator = RecordingSimulator(world, rollouts, space, actor, settings.rows)
    rng = np.random.default_rng(settings.seed)
    points = rng.random((settings.simulations + settings.checks, len(space.names)))
    points, summaries = simulator(points, settings.seed)
    if len(points) < settings.simulations // 2 + settings.checks:
        raise InvalidValue(f"{simulator.diverged} simulated recordings blew up; narrow the ranges")
    tests, training = slice(settings.checks), slice(settings.checks, None)
    compression, guesses = Compression.learn(summaries[training], points[training])
    posterior = sbi.learn(points[training], guesses, settings)
    checked = sbi.draw(posterior, compression(summaries[tests]), 200, settings.seed)
    observed = summarize(rollouts)
    drawn = sbi.draw(posterior, compression(observed[None]), settings.samples, settings.seed)[0]
    _, again = simulator(drawn[np.arange(settings.checks) % len(drawn)], settings.seed + 1)
    values = space.values(drawn)
    domain = Domain({name: Samples(tuple(map(float, values[:, k]))) for k, name in enumerate(space.names)})
    return NpeResult(
        domain,
        calibration(space.names, space.values(points[tests]), space.values(checked)),
        predictive(again, observed),
        simulator.diverged,
    )


class RecordingSimulator:
    """Makes recordings like given ones, under many physics at once."""

    def __init__(
        self, world: World, like: Rollouts, space: ParameterSpace, actor: MakeActor, rows: int = 512
    ) -> None:
        """Prepare an env with as many rows as fit whole recordings.

        Args:
            world: where.
            like: episodes whose number and longest length are imitated.
            space: the parameters.
            actor: makes the actor.
            rows: simulations at once.
        """
        self._episodes, self._steps = len(like.episodes), max(e.steps for e in like.episodes)
        self._at_once = max(rows // self._episodes, 1)
        self._env = Sim2RealVectorEnv(world, self._at_once * self._episodes, autoreset=False)
        like.check(self._env.task)
        self._space, self._actor = space, actor
        self.diverged = 0

    def __call__(self, points: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
        """Summaries of recordings at points of the unit cube, and the points that did not blow up."""
        kept, summaries = [], []
        for turn, start in enumerate(range(0, len(points), self._at_once)):
            part = points[start : start + self._at_once]
            fine, found = self._run(part, seed * 100_003 + turn)
            kept.append(part[fine])
            summaries.append(found[fine])
        return np.concatenate(kept), np.concatenate(summaries)

    def _run(self, points: FloatArray, seed: int) -> tuple[NDArray[np.bool_], FloatArray]:
        env, count = self._env, len(points)
        filled = points[np.arange(self._at_once) % count]
        env.set_physics(self._space.names, np.repeat(self._space.values(filled), self._episodes, axis=0))
        actor = as_actor(self._actor(seed))
        state = actor.start(env.num_envs)
        observation, _ = env.reset(seed=seed)
        seen = np.empty((self._steps + 1, *observation.shape))
        done = np.zeros((self._steps, env.num_envs, env.single_action_space.shape[0]))
        alive = np.zeros((self._steps, env.num_envs))
        wild: NDArray[np.bool_] = np.zeros(env.num_envs, dtype=bool)
        seen[0] = observation
        for step in range(self._steps):
            alive[step] = ~env.resting
            done[step], state = actor.act(observation, state)
            observation, _, _, _, info = env.step(done[step].astype(np.float32))
            seen[step + 1] = observation
            if "diverged" in info:
                wild |= info["diverged"]
        fine = ~np.asarray(wild.reshape(-1, self._episodes).any(axis=1))[:count]
        self.diverged += int((~fine).sum())
        parts = (self._grouped(part)[:count] for part in (seen, done, alive))
        return fine, summarize_rows(*parts)

    def _grouped(self, array: FloatArray) -> FloatArray:
        """From (steps, rows, ...) to (recordings, episodes, steps, ...)."""
        rows = np.moveaxis(array, 0, 1)
        return rows.reshape(-1, self._episodes, *rows.shape[1:])


class _Posterior(Protocol):
    def sample_batched(
        self, sample_shape: tuple[int, ...], *, x: torch.Tensor, show_progress_bars: bool
    ) -> torch.Tensor: ...


@dataclass(frozen=True)
class _Sbi:
    """sbi's network, its prior, and torch."""

    network: Any
    prior: Any
    torch: Any = field(repr=False)

    @undisturbed()
    def learn(self, points: FloatArray, summaries: FloatArray, settings: NpeSettings) -> _Posterior:
        """A posterior that takes summaries."""
        torch = self.torch
        torch.manual_seed(settings.seed)
        torch.set_num_threads(1)
        size = points.shape[1]
        prior = self.prior(torch.zeros(size), torch.ones(size))
        network = self.network(prior=prior, show_progress_bars=False, tracker=_Quiet())
        network.append_simulations(self._tensor(points), self._tensor(summaries))
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that an epoch was the last; the calibration check says if it shows
            network.train(max_num_epochs=settings.max_epochs, training_batch_size=min(200, len(points) // 4))
        posterior: _Posterior = network.build_posterior()
        return posterior

    @undisturbed()
    def draw(self, posterior: _Posterior, summaries: FloatArray, count: int, seed: int) -> FloatArray:
        """Samples for each summary. Shape (len(summaries), count, parameters)."""
        self.torch.manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # how many are drawn at once
            drawn = posterior.sample_batched((count,), x=self._tensor(summaries), show_progress_bars=False)
        return np.moveaxis(drawn.numpy().astype(np.float64), 0, 1)

    def _tensor(self, array: FloatArray) -> torch.Tensor:
        return self.torch.as_tensor(array, dtype=self.torch.float32)


class _Quiet:
    """Keeps sbi from writing logs into the working folder: takes whatever a tracker is told."""

    log_dir = None

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Do nothing, by any name."""
        return lambda *_, **__: None


def _import_sbi() -> _Sbi:
    try:
        import torch
        from sbi.inference import NPE
        from sbi.utils import BoxUniform
    except ImportError as error:
        raise MissingExtra("sbi", "identify") from error
    return _Sbi(NPE, BoxUniform, torch)
