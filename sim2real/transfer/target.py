"""A sealed env that stands for reality: its physics can't be read, and every step in it is counted.

    target = TargetEnv("furuta", world.variant("combined_a"), Budget(steps=50_000), num_envs=16)

Transfer methods get nothing but this. It steps like a vector env with same-step autoreset, counts what a real
robot would pay for (steps, episodes, seconds, falls, joint limits hit), and stops at the budget.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim2real.contents import Contents
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import BudgetExhausted, InvalidValue
from sim2real.interface import TaskSpec
from sim2real.simulators import Engine
from sim2real.world import Variant, World

_FORWARDED = ("success", "_success")


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
        for name, limit in dataclasses.asdict(self).items():
            if limit is not None and not limit > 0:
                raise InvalidValue(f"a budget of {limit} {name} buys nothing; give more than 0")


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


class TargetEnv:
    """A vector env whose physics is sealed and whose use is metered."""

    def __init__(
        self,
        world: str | World,
        physics: Variant | Domain,
        budget: Budget,
        num_envs: int = 16,
        simulator: str | Engine | None = None,
    ) -> None:
        """Make the target.

        Args:
            world: where.
            physics: what the target is; it can't be asked for afterwards.
            budget: what may be spent.
            num_envs: rows stepped at once, all counted.
            simulator: as in `Sim2RealVectorEnv`; by default the variant's.
        """
        variant = physics if isinstance(physics, Variant) else None
        domain = physics.domain if isinstance(physics, Variant) else physics
        engine = simulator or (variant.simulator if variant else "mujoco")
        self.__env = Sim2RealVectorEnv(world, num_envs, domain, autoreset=False, simulator=engine)
        self.__limited, self.__ends = _limits(self.__env)
        self.__running = False
        self.__unused = np.zeros(num_envs, dtype=bool)  # rows begun anew and not stepped yet
        self.num_envs = num_envs
        self.budget = budget
        self.spent = Spent()
        self.single_observation_space: spaces.Box = self.__env.single_observation_space
        self.single_action_space: spaces.Box = self.__env.single_action_space

    @property
    def task(self) -> TaskSpec:
        """The task's fixed side."""
        return self.__env.task

    @property
    def engine(self) -> Engine:
        """The engine that steps it, which is no secret."""
        return self.__env.engine

    @property
    def world_name(self) -> str:
        """Name of the world."""
        return self.__env.world_name

    @property
    def contents(self) -> Contents:
        """Nothing: what a target consists of is sealed."""
        return {}

    @property
    def steps_left(self) -> int:
        """The most control steps, of all rows together, that the budget still allows."""
        limits: list[float] = [2**62]
        if self.budget.steps is not None:
            limits.append(self.budget.steps)
        if self.budget.seconds is not None:
            limits.append(self.budget.seconds / self.task.control_dt + 1e-9)
        if self.budget.episodes is not None:
            limits.append(self.budget.episodes * self.task.max_steps)
        return max(int(min(limits)) - self.spent.steps, 0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin all rows; episodes given up midway count as spent.

        Raises:
            BudgetExhausted: if nothing is left to begin them with.
            InvalidValue: for options, as a target begins all rows at once.
        """
        if options:
            raise InvalidValue(f"a target begins all rows at once; reset it without the options {options}")
        self.stop()
        self._require()
        self.__running = True
        observation, _ = self.__env.reset(seed=seed)
        return observation, {}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[
        NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Advance all rows one control period, as a vector env with same-step autoreset, but sealed.

        Raises:
            BudgetExhausted: if the step would exceed the budget; nothing is spent then.
            InvalidValue: before a reset, or after `stop`.
        """
        if not self.__running:
            raise InvalidValue("no episode is in progress in this target; reset it first")
        self._require()
        observation, reward, terminated, truncated, info = self.__env.step(actions)
        positions = self.__env.simulator.qpos[:, self.__limited]
        at_end = (positions <= self.__ends[0]) | (positions >= self.__ends[1])  # before rows begin anew
        done = terminated | truncated
        self._count(
            steps=self.num_envs,
            episodes=int(done.sum()),
            falls=int(terminated.sum()),
            limit_hits=int(at_end.any(axis=1).sum()),
        )
        visible = {key: info[key] for key in _FORWARDED if key in info}
        if done.any():
            visible |= {"final_obs": observation, "_final_obs": done}
            observation, _ = self.__env.reset(options={"reset_mask": done})
        self.__unused = done
        return observation, reward, terminated, truncated, visible

    def stop(self) -> None:
        """Give up the episodes in progress, which count as spent; the next use begins with a reset.

        A row that was begun anew and not stepped since is none of them.
        """
        if self.__running:
            self._count(episodes=int((~self.__unused).sum()))
            self.__running, self.__unused = False, np.zeros_like(self.__unused)

    def go_on_from(self, spent: Spent) -> None:
        """Take over what an earlier process spent of the same budget.

        Raises:
            InvalidValue: if something was spent here already that is not in it.
        """
        if self.spent.steps > spent.steps:
            raise InvalidValue(
                f"{self.spent.steps} steps are spent here already, more than the {spent.steps} to go on from"
            )
        self.spent = spent

    def _require(self) -> None:
        # every row is an episode that will have to be paid for
        episodes = self.spent.episodes + self.num_envs
        if self.steps_left < self.num_envs or episodes > (self.budget.episodes or episodes):
            raise BudgetExhausted(
                f"the budget {_plain(self.budget)} does not allow another step of {self.num_envs} rows; "
                f"spent: {_plain(self.spent)}"
            )

    def _count(self, **more: int) -> None:
        totals = {name: getattr(self.spent, name) + value for name, value in more.items()}
        spent = dataclasses.replace(self.spent, **totals)
        self.spent = dataclasses.replace(spent, seconds=spent.steps * self.task.control_dt)


def _limits(env: Sim2RealVectorEnv) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Columns in qpos of the task's joints that have a range, and where it ends. Shapes (k,), (2, k)."""
    model, (own, _, _) = env.world.model, env.simulator.columns(env.task)
    ranged = np.isin(model.jnt_qposadr, own) & np.isin(model.jnt_type, _ONE_DOF) & (model.jnt_limited > 0)
    return model.jnt_qposadr[ranged].astype(np.intp), model.jnt_range[ranged].T.copy()


_ONE_DOF = (int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE))


def _plain(record: Budget | Spent) -> str:
    values = dataclasses.asdict(record)
    return ", ".join(f"{name} {value:g}" for name, value in values.items() if value is not None)
