"""A sealed env that stands for reality: its physics can't be read, and every step in it is counted.

    target = TargetEnv("furuta", world.variant("combined_a"), Budget(steps=50_000), num_envs=16)

Transfer methods get nothing but this and a source (`sim2real.transfer.source`). It steps like a vector env
with same-step autoreset, counts what a real robot would pay for (steps, episodes, seconds, falls, joint
limits hit), and stops at the budget. What it draws is salted with a secret of its own, so that no seed begins
the episodes that evaluation begins.

Sealed means: nothing public tells the physics, or takes back what was spent. Python can look into objects all
the same; a target in a process of its own (`sim2real.transfer.remote`) can't be looked into.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, SupportsIndex

import mujoco
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim2real.contents import Contents
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue
from sim2real.interface import TaskSpec
from sim2real.simulators import Engine
from sim2real.transfer.budget import Account, Budget, Spent
from sim2real.world import Variant, World

__all__ = ["Budget", "Seal", "Spent", "TargetEnv", "Uncopied", "salted"]

_FORWARDED = ("success", "_success")


@dataclass(frozen=True)
class Seal:
    """What the maker of a target keeps from those who use it."""

    secret: int | None = None
    """Salt of everything that is drawn; the same one repeats a run, and None is one that nobody knows."""
    ledger: Path | None = None
    """File of what was spent, so that it stays spent after a kill."""
    name: str = ""
    """What results call the target; by default a digest, which tells two apart and nothing else."""


class Uncopied:
    """What there is once: a twin would have a budget of its own."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled.

        Raises:
            InvalidValue: always.
        """
        raise InvalidValue("a target can't be copied or pickled, as its budget is spent once; use it itself")


class TargetEnv(Uncopied):
    """A vector env whose physics is sealed and whose use is metered."""

    def __init__(
        self,
        world: str | World,
        physics: Variant | Domain,
        budget: Budget,
        num_envs: int = 16,
        simulator: str | Engine | None = None,
        seal: Seal | None = None,
    ) -> None:
        """Make the target.

        Args:
            world: where.
            physics: what the target is; it can't be asked for afterwards.
            budget: what may be spent.
            num_envs: rows stepped at once, all counted.
            simulator: as in `Sim2RealVectorEnv`; by default the variant's.
            seal: what the maker of the target keeps from methods; by default a secret that nobody knows.
        """
        variant = physics if isinstance(physics, Variant) else None
        domain = physics.domain if isinstance(physics, Variant) else physics
        engine = simulator or (variant.simulator if variant else "mujoco")
        self.__env = Sim2RealVectorEnv(world, num_envs, domain, autoreset=False, simulator=engine)
        seal, task = seal or Seal(), self.__env.task
        self.__account = Account(budget, task.control_dt, task.max_steps, seal.ledger)
        self.__secret = secrets.randbits(63) if seal.secret is None else seal.secret
        self.__limited, self.__ends = _limits(self.__env)
        self.__begun = self.__open = self.__single = False
        self.__running = np.zeros(num_envs, dtype=bool)
        self.__fresh = np.zeros(num_envs, dtype=bool)  # rows begun and not stepped yet
        self.__unasked = np.zeros(num_envs, dtype=bool)  # those of them that nobody asked to begin
        told = f"{self.__env.world_name} {engine} {sorted(domain.to_toml().items())}"
        self.name = seal.name or f"target {hashlib.sha256(told.encode()).hexdigest()[:6]}"
        self.num_envs = num_envs
        self.single_observation_space: spaces.Box = self.__env.single_observation_space
        self.single_action_space: spaces.Box = self.__env.single_action_space

    @property
    def budget(self) -> Budget:
        """What may be spent; a copy, as the account keeps its own."""
        return dataclasses.replace(self.__account.budget)

    @property
    def spent(self) -> Spent:
        """What was spent so far; a copy, too."""
        return dataclasses.replace(self.__account.spent)

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
    def native_actions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What actions mean at their least and most, in the env's own units. Shapes (num_actions,)."""
        return self.__env.native_actions

    @property
    def limited_joints(self) -> int:
        """Joints whose ends are counted; 0 where nothing tells of any, as in an env without a model."""
        return len(self.__limited)

    @property
    def contents(self) -> Contents:
        """Nothing: what a target consists of is sealed."""
        return {}

    @property
    def steps_left(self) -> int:
        """The most control steps, of all rows together, that the budget still allows."""
        return self.__account.steps_left

    @property
    def resting(self) -> NDArray[np.bool_]:
        """Rows that wait for a reset, as no other episode may begin. Shape (num_envs,)."""
        return ~self.__running

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin all rows; episodes given up midway count as spent, and each costs a step at least.

        Args:
            seed: of what is drawn, which is salted.
            options: ``{"one_episode": True}`` lets each row rest after its episode, until the next reset;
                ``{"staggered": True}`` is as in `Sim2RealVectorEnv.reset`, but where the budget counts
                episodes, as each of those would count whole.

        Raises:
            BudgetExhausted: if nothing is left to begin them with.
            InvalidValue: for other options, as a target begins all rows at once.
        """
        if set(options or {}) - {"one_episode", "staggered"}:
            raise InvalidValue(f"a target begins all rows at once; reset it without the options {options}")
        self.stop()
        self.__single = bool((options or {}).get("one_episode"))
        self.__account.require(self.num_envs, self.num_envs, 0)
        staggered = bool((options or {}).get("staggered")) and self.budget.episodes is None
        salt = salted(self.__secret, seed) if seed is not None or not self.__begun else None
        observation, _ = self.__env.reset(seed=salt, options={"staggered": staggered})
        self.__begun = self.__open = True
        self.__running[:] = self.__fresh[:] = True
        self.__unasked[:] = False
        return observation, {}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[
        NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Advance all rows one control period, as a vector env with same-step autoreset, but sealed.

        A row whose episode ended begins another while the budget has episodes; else it rests, with rewards of
        0 and without cost, until all others have ended. Resting rows stand in ``info["resting"]``.

        Raises:
            BudgetExhausted: if the step would exceed the budget; nothing is spent then.
            InvalidValue: before a reset, or after `stop`.
        """
        if not self.__open:
            raise InvalidValue("no episode is in progress in this target; reset it first")
        running = int(self.__running.sum())
        self.__account.require(running, 0, running)
        stepped = self.__running.copy()
        observation, reward, terminated, truncated, info = self.__env.step(actions)
        positions = self.__env.simulator.qpos[:, self.__limited]
        at_end = (positions <= self.__ends[0]) | (positions >= self.__ends[1])  # before rows begin anew
        done = terminated | truncated
        self.__account.charge(
            steps=running,
            episodes=int(done.sum()),
            falls=int(terminated.sum()),
            limit_hits=int((at_end.any(axis=1) & stepped).sum()),
        )
        visible = {key: info[key] for key in _FORWARDED if key in info}
        self.__running &= ~done
        self.__fresh[:] = self.__unasked[:] = False
        if done.any():
            visible |= {"final_obs": observation, "_final_obs": done}
            anew = np.zeros_like(done)
            left = 0 if self.__single else self.__account.episodes_left(int(self.__running.sum()))
            anew[np.flatnonzero(done)[:left]] = True
            if anew.any():
                observation, _ = self.__env.reset(options={"reset_mask": anew})
            self.__running |= anew
            self.__fresh[:] = self.__unasked[:] = anew
        if not self.__running.all():
            visible["resting"] = ~self.__running
        if not self.__running.any():
            self.__account.settle()
        return observation, reward, terminated, truncated, visible

    def stop(self) -> None:
        """Give up the episodes in progress, which count as spent; the next use begins with a reset.

        A row that was begun anew within a step, and not stepped since, is none of them.
        """
        given_up = self.__running & ~self.__unasked
        if given_up.any():
            self.__account.charge(episodes=int(given_up.sum()), steps=int((given_up & self.__fresh).sum()))
        self.__running[:] = self.__open = False
        self.__account.settle()

    def go_on_from(self, spent: Spent) -> None:
        """Count what an earlier process spent of the same budget; nothing is taken back."""
        self.__account.at_least(spent)


def salted(secret: int, seed: int | None) -> int:
    """The seed of a target's draws: nobody who does not know the secret can have the same."""
    digest = hashlib.blake2b(f"{secret}:{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _limits(env: Sim2RealVectorEnv) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Columns in qpos of the task's joints that have a range, and where it ends. Shapes (k,), (2, k)."""
    model, (own, _, _) = env.world.model, env.simulator.columns(env.task)
    ranged = np.isin(model.jnt_qposadr, own) & np.isin(model.jnt_type, _ONE_DOF) & (model.jnt_limited > 0)
    return model.jnt_qposadr[ranged].astype(np.intp), model.jnt_range[ranged].T.copy()


_ONE_DOF = (int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE))
