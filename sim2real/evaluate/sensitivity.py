"""What the spread of returns over a domain comes from: Sobol indices (Saltelli et al. 2010; Jansen 1999).

::

    found = sensitivity("furuta", [Policy.load("furuta-randomized-0")], "training")
    [(index.name, index.first.value, index.total.value) for index in found.indices]

The first-order index of a parameter is the share of the variance that goes if it is known, its total index
the share that is left if all others are known; the sum of the first falls short of 1 by what parameters do
only together. A return here is the mean over the same starts in every physics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc, sobol_indices

from sim2real.audit import check_domain
from sim2real.distributions import Samples
from sim2real.domain import Domain
from sim2real.env import engine_for
from sim2real.errors import InvalidValue
from sim2real.evaluate.candidates import Candidate
from sim2real.evaluate.outcomes import tried
from sim2real.evaluate.rollouts import Trials
from sim2real.evaluate.statistics import LEVEL, Array, Estimate
from sim2real.simulators import engine_of
from sim2real.world import Variant, World

_REPETITIONS = 1000
_TRIALS = Trials(4)


@dataclass(frozen=True)
class Index:
    """Shares of the variance of one parameter."""

    name: str
    first: Estimate
    """What goes of the variance where it alone is known; near 0 below it by chance."""
    total: Estimate
    """What is left of the variance where all others are known: 0 for what does nothing."""


@dataclass(frozen=True)
class Sensitivity:
    """Over a domain, the parameter with the largest total index first."""

    world: str
    policies: tuple[str, ...]
    simulator: str
    mean: float
    """Return, over the domain."""
    deviation: float
    """Standard deviation of the return over the domain."""
    indices: tuple[Index, ...]
    samples: int
    """Physics of each of the two samples; physics in all are this × (parameters + 2)."""
    episodes: int
    """Starts, the same in every physics."""


def sensitivity(
    world: str | World,
    policies: Sequence[Candidate],
    domain: str | Domain,
    samples: int = 128,
    trials: Trials = _TRIALS,
    done: Callable[[int], None] = lambda _: None,
) -> Sensitivity:
    """Sobol indices of the mean return of some policies, by parameter of a domain.

    Intervals are by bootstrap of the physics, so about other samples of the domain; not about other policies.

    Args:
        world: where, or its name.
        policies: their mean is what varies.
        domain: ``"training"``, the path of a TOML file, or a `Domain` of independent parameters.
        samples: a power of 2, of at least 8.
        trials: episodes in each physics; their seed is also that of the samples.
        done: is told how many physics have been tried.

    Raises:
        InvalidValue: for no policy, another number of samples, a domain of one physics or of parameters that
            are drawn together, and where no physics changes the return.
        PolicyError: if a policy does not fit the world.
        DeadParameter: if a parameter of the domain changes nothing; see `sim2real.audit`.
    """
    world = world if isinstance(world, World) else World.load(world)
    domain = world.domain(domain)
    world = world.for_domain(domain)
    names = _free(domain)
    if not policies:
        raise InvalidValue("no policies to find the sensitivity of; name at least one")
    if samples < 8 or samples & (samples - 1):
        raise InvalidValue(f"{samples} samples are no power of 2 from 8 on; give such as 64, 128 or 256")
    engine = engine_of(world, engine_for(trials.simulator or "mujoco", domain))
    if not trials.allow_dead:
        check_domain(world, domain, engine)
    values = []
    for u in _designs(len(names), samples, trials.seed):
        values.append(_means(world, policies, domain, u, trials))
        done(len(values) * samples)
    a, b, *mixed = values
    if not np.ptp(values) > 1e-9 * np.abs(values).max():
        raise InvalidValue("the return is the same in every physics, so that there is nothing to explain")
    first, total = _indices(a, b, np.array(mixed))
    rows = np.random.default_rng(trials.seed).integers(samples, size=(_REPETITIONS, samples))
    drawn = np.array([_indices(a[row], b[row], np.array(mixed)[:, row]) for row in rows])
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2], axis=0)

    def estimate(kind: int, k: int, value: float) -> Estimate:
        return Estimate(float(value), (float(low[kind, k]), float(high[kind, k])), samples)

    found = [Index(n, estimate(0, k, first[k]), estimate(1, k, total[k])) for k, n in enumerate(names)]
    both = np.concatenate([a, b])
    return Sensitivity(
        world.name, tuple(policy.name for policy in policies), engine.name, float(both.mean()),
        float(both.std()), tuple(sorted(found, key=lambda index: -index.total.value)), samples,
        trials.episodes,
    )  # fmt: skip


def _free(domain: Domain) -> list[str]:
    """Parameters with a range, each drawn by itself."""
    names = [name for name, d in domain.parameters.items() if d.support()[0] < d.support()[1]]
    together = [name for name in names if isinstance(domain.parameters[name], Samples)]
    if domain.correlation is not None:
        together += domain.correlation.names
    if len(together) > 1:
        raise InvalidValue(
            f"{', '.join(together)} are drawn together, and Sobol indices are of independent parameters; "
            "give a domain without their correlation"
        )
    if not names:
        raise InvalidValue("the domain is one physics, so that nothing varies; give one with a range")
    return names


def _designs(count: int, samples: int, seed: int) -> list[Array]:
    """Two samples of the unit cube, and for each column the first with that column of the second."""
    drawn = qmc.Sobol(2 * count, rng=np.random.default_rng(seed)).random(samples)
    a, b = drawn[:, :count], drawn[:, count:]
    return [a, b, *(np.where(np.arange(count) == k, b, a) for k in range(count))]


def _means(world: World, policies: Sequence[Candidate], domain: Domain, u: Array, trials: Trials) -> Array:
    """Mean return in each physics of a design of the free parameters. Shape (samples,)."""
    names = _free(domain)
    whole = np.full((len(u), len(domain.names)), 0.5)
    whole[:, [domain.names.index(name) for name in names]] = u
    variants = [
        Variant(f"sample_{k}", "combined", dict(zip(domain.names, map(float, row), strict=True)))
        for k, row in enumerate(domain.quantile(whole))
    ]
    returns, _ = tried(world, policies, variants, trials)
    return np.asarray(returns.mean(axis=(0, 2)))


def _indices(a: Array, b: Array, mixed: Array) -> tuple[Array, Array]:
    """First-order and total indices. Shapes (samples,), (samples,) and (parameters, samples)."""
    if not np.ptp(np.concatenate([a, b])) > 0:  # a bootstrap of physics that are all alike
        return np.zeros(len(mixed)), np.zeros(len(mixed))
    given = {"f_A": a[None], "f_B": b[None], "f_AB": mixed[:, None]}
    found = sobol_indices(func=given, n=len(a))
    return np.ravel(found.first_order), np.ravel(found.total_order)
