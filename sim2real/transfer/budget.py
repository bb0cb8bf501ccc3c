"""What a target may cost, and what it has cost: counts that only grow, and outlive a kill.

    account = Account(Budget(steps=50_000), control_dt=0.01, max_steps=400, ledger=Path("runs/spent.json"))

A ledger is written ahead: what the next steps may cost stands in it before they are taken, and exact counts
when the target rests. So a process that is killed can't have spent more than its ledger says.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from sim2real.errors import BudgetExhausted, InvalidValue
from sim2real.files import write_atomically
from sim2real.reach import check_reach

_ROWS = 16
_AHEAD = {"steps": 1024, "episodes": 32}


@dataclass(frozen=True)
class Budget:
    """What may be spent in the target; None is no limit.

    Raises:
        InvalidValue: for a limit that isn't positive.
    """

    steps: int | None = None
    """Control steps of all rows together."""
    episodes: int | None = None
    """Episodes that ended, were given up or are in progress."""
    seconds: float | None = None
    """Simulated seconds of all rows together."""

    def __post_init__(self) -> None:
        """Refuse a budget of nothing."""
        check_reach(self, "whole [1, inf)", "steps", "episodes")
        check_reach(self, "(0, inf)", "seconds")

    @property
    def rows(self) -> int:
        """Rows of a target that it suits: 16, or of few episodes as many as leave the fewest of them over."""
        if self.episodes is None or self.episodes < _ROWS:
            return min(_ROWS, self.episodes or _ROWS)
        return min(range(_ROWS, _ROWS // 2 - 1, -1), key=lambda rows: (self.episodes or 0) % rows)


@dataclass(frozen=True)
class Spent:
    """What was spent in the target so far."""

    steps: int = 0
    episodes: int = 0
    seconds: float = 0.0
    falls: int = 0
    """Episodes that ended in a failure."""
    limit_hits: int = 0
    """Control steps with at least one joint at the end of its range."""

    def since(self, before: Spent) -> dict[str, float]:
        """What was spent after ``before``, by name."""
        earlier = dataclasses.asdict(before)
        return {name: count - earlier[name] for name, count in dataclasses.asdict(self).items()}


class Account:
    """A budget and what was spent of it."""

    def __init__(self, budget: Budget, control_dt: float, max_steps: int, ledger: Path | None = None) -> None:
        """Open the account, with what its ledger says was spent before.

        Raises:
            InvalidValue: for a ledger that can't be read.
        """
        self._budget, self._dt, self._max_steps = budget, control_dt, max_steps
        self._ledger = ledger
        self._spent = Spent() if ledger is None or not ledger.is_file() else _read(ledger)
        self._reserved = self._spent

    @property
    def budget(self) -> Budget:
        """What may be spent."""
        return self._budget

    @property
    def spent(self) -> Spent:
        """What was spent."""
        return self._spent

    @property
    def steps_left(self) -> int:
        """The most control steps, of all rows together, that the budget still allows."""
        limits: list[float] = [2**62]
        if self._budget.steps is not None:
            limits.append(self._budget.steps)
        if self._budget.seconds is not None:
            limits.append(self._budget.seconds / self._dt + 1e-9)
        if self._budget.episodes is not None:
            limits.append(self._budget.episodes * self._max_steps)
        return max(int(min(limits)) - self._spent.steps, 0)

    def episodes_left(self, in_progress: int) -> int:
        """Episodes that may still begin beside those in progress."""
        if self._budget.episodes is None:
            return 2**62
        return max(self._budget.episodes - self._spent.episodes - in_progress, 0)

    def require(self, steps: int, episodes: int, in_progress: int) -> None:
        """Check that a step can be paid for, and note in the ledger that it may be taken.

        Args:
            steps: control steps that it takes.
            episodes: episodes that it begins.
            in_progress: episodes that would be given up by a kill.

        Raises:
            BudgetExhausted: if it can't; nothing is spent then.
        """
        if steps < 1 or self.steps_left < steps or self.episodes_left(in_progress) < episodes:
            raise BudgetExhausted(
                f"the budget {_plain(self._budget)} does not allow another step of {max(steps, 1)} rows; "
                f"spent: {_plain(self._spent)}"
            )
        held = self._spent.episodes + in_progress + episodes
        if self._spent.steps + steps > self._reserved.steps or held > self._reserved.episodes:
            ahead = {"steps": self._spent.steps + steps, "episodes": held}
            self._note(
                {
                    name: max(count, min(count + _AHEAD[name], getattr(self._budget, name) or 2**62))
                    for name, count in ahead.items()
                }
            )

    def charge(self, **more: int) -> None:
        """Count what was done."""
        totals = {name: getattr(self._spent, name) + value for name, value in more.items()}
        spent = dataclasses.replace(self._spent, **totals)
        self._spent = dataclasses.replace(spent, seconds=max(spent.seconds, spent.steps * self._dt))

    def settle(self) -> None:
        """Write exact counts, as nothing is in progress."""
        self._note({})

    def at_least(self, spent: Spent) -> None:
        """Count what an earlier process spent of the same budget; nothing that was counted is taken back."""
        pairs = zip(*(dataclasses.astuple(counts) for counts in (self._spent, spent)), strict=True)
        self._spent = Spent(*(max(pair) for pair in pairs))

    def _note(self, ahead: dict[str, int]) -> None:
        self._reserved = dataclasses.replace(self._spent, **ahead)
        if self._ledger is not None:
            write_atomically(self._ledger, json.dumps(dataclasses.asdict(self._reserved), indent=1) + "\n")


def _read(path: Path) -> Spent:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        counts = {field.name: table[field.name] for field in dataclasses.fields(Spent)}
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidValue(
            f"{path} is no ledger of a target; remove it to begin with nothing spent"
        ) from error
    if not all(isinstance(count, int | float) and count >= 0 for count in counts.values()):
        raise InvalidValue(f"{path} holds counts that are no counts; remove it to begin with nothing spent")
    return Spent(**counts)


def _plain(record: Budget | Spent) -> str:
    values = dataclasses.asdict(record)
    return ", ".join(f"{name} {value:g}" for name, value in values.items() if value is not None)
