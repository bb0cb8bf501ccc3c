"""One call for every transfer method, under one budget.

    adapted = transfer(Policy.load("furuta-nominal-0"), target, "rehearsal", Source(World.load("furuta")))

Needs are checked before anything is spent; while the method runs, held-out variants are shut; its result
must be a policy of the same world, with the method, what it cost and its settings in the provenance.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sim2real.draws import LARGEST_SEED, checked_seed
from sim2real.errors import BudgetExhausted, InvalidValue, PolicyError, Sim2RealError, told
from sim2real.policy import Policy, ProvenanceStep
from sim2real.transfer.methods import METHODS, Case, Method, read_method
from sim2real.transfer.methods.method import check_needs, lacking
from sim2real.transfer.remote import Target
from sim2real.transfer.source import Source
from sim2real.transfer.target import Spent
from sim2real.world import closed

USUAL = ("identify", "rehearsal", "fine-tune")
"""Methods to begin with, the best first; see ``policies/transfer.md``."""


@dataclass(frozen=True)
class TransferSettings:
    """How a transfer is carried out."""

    seed: int | None = None
    """Of everything that is drawn; by default the policy's."""
    folder: Path | None = None
    """For what is kept on the way; by default nothing is."""
    progress: bool = False
    """Whether to show progress."""


def transfer(
    policy: Policy,
    target: Target,
    method: str | Method | None = None,
    source: Source | None = None,
    settings: TransferSettings | None = None,
) -> Policy:
    """Adapt a policy to a target.

    Args:
        policy: where to start.
        target: where it must work; what is spent there is in the result's provenance.
        method: a name of `METHODS`, with settings where they are not the usual ones, or a method; by default
            the first of `USUAL` whose needs are met.
        source: what the method has free of charge.
        settings: how.

    Returns:
        The adapted policy, labelled with the method's name.

    Raises:
        UnknownName: if there is no such method.
        PolicyError: if the policy does not fit the target or lacks what the method needs, or what the
            method returns is no policy of this world.
        BudgetExhausted: if the budget does not allow what the method needs at least.
        InvalidValue: for a missing source, a seed that is none, or a method of one's own that raises.
    """
    settings = settings or TransferSettings()
    seed = policy.contract.seed if settings.seed is None else checked_seed(settings.seed, LARGEST_SEED)
    policy.check(target)
    with tempfile.TemporaryDirectory() as temporary, closed():
        case = Case(policy, target, source, seed, settings.folder or Path(temporary), settings.progress)
        how = _usual(case) if method is None else read_method(method) if isinstance(method, str) else method
        name = _name(how)
        check_needs(how, case, name)
        before = target.spent
        try:
            adapted = how(case)
        except (Sim2RealError, BudgetExhausted):
            raise
        except Exception as error:
            if _is_ours(how):
                raise
            raise InvalidValue(f"the method {name!r} raised {told(error)}; mend it") from error
    return _checked(adapted, case, name, _settings(how, target, before))


def _usual(case: Case) -> Method:
    """The first of `USUAL` whose needs a case meets; if there is none, the first."""
    methods = [read_method(name) for name in USUAL]
    return next((method for method in methods if not any(lacking(method, case))), methods[0])


def _name(method: Method) -> str:
    """What a method is registered as, or its class is called."""
    names = [name for name, factory in METHODS.items() if factory is type(method)]
    return names[0] if names else type(method).__name__


def _is_ours(method: Method) -> bool:
    return METHODS.is_built_in(type(method))


def _settings(method: Method, target: Target, before: Spent) -> dict[str, object]:
    """What stands in the provenance of a method that writes none itself."""
    own: dict[str, object] = {}
    if dataclasses.is_dataclass(method):
        own = {field.name: _plain(getattr(method, field.name)) for field in dataclasses.fields(method)}
    return {"target": target.name, **own, **target.spent.since(before)}


def _plain(value: object) -> object:
    """A setting as a file can tell it, or else what kind of thing it is."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return type(value).__name__
    return value


def _checked(adapted: object, case: Case, name: str, settings: dict[str, object]) -> Policy:
    """The result with its label and provenance, if it is a policy that fits the target."""
    if not isinstance(adapted, Policy):
        raise PolicyError(f"the method {name!r} returned {type(adapted).__name__}, where a Policy is meant")
    adapted.check(case.target)
    contract, source = adapted.contract, case.policy.contract
    if adapted is case.policy:
        return adapted
    provenance = contract.provenance
    if provenance == source.provenance:
        steps = settings["steps"]
        assert isinstance(steps, int)
        provenance = (*provenance, ProvenanceStep(name, {}, steps, case.seed, settings))
    contract = dataclasses.replace(
        contract, label=name, seed=source.seed, provenance=provenance, contents=source.contents
    )
    return dataclasses.replace(adapted, contract=contract)
