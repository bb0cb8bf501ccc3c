"""A method that clones policies into one of the usual form."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim2real.errors import PolicyError, UnknownName
from sim2real.learn.backprop import Backprop
from sim2real.learn.flat import Adam, FlatParameters
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.policy import Policy, ProvenanceStep
from sim2real.process import undisturbed
from sim2real.reach import check_reach
from sim2real.transfer.demonstrations import Floats, demonstrations, demonstrations_in_target
from sim2real.transfer.fine_tune import FineTuneSettings, fine_tune
from sim2real.transfer.methods.method import Card, Case
from sim2real.transfer.retention import OWN, REHEARSED, rehearsed
from sim2real.transfer.source import Source

_ROWS, _BATCH, _LONGEST = 64, 256, 0.5
_HELD_OUT = 10
"""One state in so many is held out, to tell how well the student does what its teachers do."""


@dataclass(frozen=True)
class Distill:
    """One feedforward student learns what several teachers do where they come (Rusu et al. 2016).

    The policy itself and others teach what they do in the source. A copy of the policy that is fine-tuned
    first, with a share of the budget, teaches what it does in the target; without it all of them teach there
    too. Each acts with shaken actions and labels the states that it sees. The student's mean is pulled to its
    teacher's with a mean squared error, a KL divergence between Gaussians of one spread. It may have another
    form than its teachers, and goes on learning as any policy; its critic begins anew.

    Raises:
        UnknownName: for a domain that does not exist.
        InvalidValue: for a count below what makes sense.
    """

    card: ClassVar[Card] = Card(
        "clones the policy in the source and a tuned copy in the target, or others, into one student",
        "Rusu et al. 2016",
        needs=("source",),
        costs="12,800 steps of the source a teacher",
        risk="is no better than its teachers, and between them where they contradict each other",
    )
    teachers: str = ""
    """More policies, by names or folders with + between."""
    tune: float = 0.85
    """Share of the budget with which a teacher for the target is tuned; 0 for none."""
    domain: str = OWN
    """What the source draws its physics from: the policy's ``own`` training, ``nominal``, or ``training``."""
    source_steps: int = 200
    """Control steps of each teacher in each of 64 rows of the source."""
    target_steps: int = 200
    """Control steps of each teacher in each row of the target, at most."""
    noise: float = 0.2
    """Standard deviation of the shaking, in units of a full action."""
    width: int = 64
    """Of the student's two hidden layers."""
    epochs: int = 60
    learning_rate: float = 2e-3
    """At first; it falls to zero."""

    def __post_init__(self) -> None:
        """Refuse what can't be done."""
        if self.domain not in REHEARSED:
            raise UnknownName("domain of the source", self.domain, REHEARSED)
        check_reach(self, "whole [1, inf)", "source_steps", "epochs", "width")
        check_reach(self, "whole [0, inf)", "target_steps")
        check_reach(self, "[0, inf)", "noise", "learning_rate")
        check_reach(self, "[0, 1)", "tune")

    @undisturbed()
    def __call__(self, case: Case) -> Policy:
        """Spend some steps on what teachers see in the target.

        Raises:
            UnknownName: for a teacher that there is not; nothing is spent then.
            PolicyError: for one of another world.
            BudgetExhausted: if the budget does not pay for each teacher's steps.
        """
        assert isinstance(case.source, Source)
        names = [name.strip() for name in self.teachers.split("+") if name.strip()]
        teachers = [case.policy, *map(Policy.load, names)]
        for teacher in teachers:
            teacher.check(case.target)
        there = teachers
        if self.tune:
            tuned = fine_tune(
                case.policy,
                case.target,
                FineTuneSettings(budget_share=self.tune),
                case.seed,
                case.progress,
            )
            there = [tuned]
        env = case.source.env(_ROWS, rehearsed(case.policy, self.domain))
        taught = [
            demonstrations(teacher, env, self.source_steps, self.noise, case.seed) for teacher in teachers
        ]
        if self.target_steps:
            taught += [
                demonstrations_in_target(one, case.target, self.target_steps, self.noise, case.seed)
                for one in there
            ]
        observations, actions = (np.concatenate(part) for part in zip(*taught, strict=True))
        student = fresh_policy(case.target, PPOSettings(hidden=(self.width, self.width)), case.seed)
        weights, error = self._cloned(student, observations, actions, case.seed)
        told = {
            "target": case.target.name,
            **dataclasses.asdict(self),
            **dataclasses.asdict(case.target.spent),
            "source_steps": len(teachers) * self.source_steps * _ROWS,
            "clone_error": error,
        }
        step = ProvenanceStep("distill", {}, case.target.spent.steps, case.seed, told)
        contract = dataclasses.replace(
            case.policy.contract,
            history=1,
            privileged=(),
            context=(),
            measured={},
            provenance=(*case.policy.contract.provenance, step),
        )
        return Policy(contract, student.network, weights)

    def _cloned(
        self, student: Policy, observations: Floats, actions: Floats, seed: int
    ) -> tuple[dict[str, Floats], float]:
        """The student's weights, and its root mean square error in states that were held out."""
        rng, parameters = np.random.default_rng(seed), FlatParameters(student.weights)
        adam, network = Adam(parameters), Backprop(student.network, parameters.values, parameters.grads)
        acting = {layer.name for layer in student.network.order("action") if layer.kind == "dense"}
        adam.choose({name: 1.0 for name in parameters.slices if name.rpartition(".")[0] in acting})
        order = rng.permutation(len(observations))
        held, rows = order[::_HELD_OUT], np.delete(order, np.s_[::_HELD_OUT])
        if not len(rows):
            raise PolicyError("a single state teaches nothing; give more steps")
        for epoch in range(self.epochs):
            rate = self.learning_rate * (1 - epoch / self.epochs)
            for batch in np.array_split(rng.permutation(rows), max(len(rows) // _BATCH, 1)):
                (mean,) = network.forward({"observation": observations[batch]}, ("action",))
                network.backward({"action": (mean - actions[batch]) / np.float32(len(batch))})
                adam.step(rate, _LONGEST)
        (mean,) = network.forward({"observation": observations[held]}, ("action",))
        error = float(np.sqrt(((mean - actions[held]) ** 2).mean()))
        return {name: array.copy() for name, array in parameters.values.items()}, error
