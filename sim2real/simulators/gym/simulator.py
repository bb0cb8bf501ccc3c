"""Many gymnasium envs as one simulator: the engine of worlds that are such envs.

    simulator = GymSimulator(World.load("gym:Hopper-v5"), num_envs=64)

What the env's own engine has (`sim2real.world.gym.rules`) is written to each env before its episode; what
channels do to commands and readings happens outside, for all envs at once. Cheap envs, and few, are stepped
in this process; others are shared out among processes, with arrays in shared memory (gymnasium's
``AsyncVectorEnv`` has a process for each env, of which thousands are none). The results are the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import Array, Ids, Mask, TaskSpec
from sim2real.simulators.named import Named
from sim2real.simulators.processes import Alone, Crew, Shapes, Staff
from sim2real.world import World, element_id
from sim2real.world.gym.rules import Sets, who_sets

_DESK = "sim2real.simulators.gym.shard:Shard"
_Law = Callable[[], None] | None
_WORTH_PROCESSES = 20e-3
"""s of a processor that a step of all envs takes, above which others than this process step them: these wait
for each other in every step, which costs most where processors are busy."""


class GymSimulator(Named):
    """Simulations of one gymnasium env; see `sim2real.interface.Simulator`.

    A physics step is a control step here, as an env tells of nothing finer.
    """

    def __init__(self, world: World, num_envs: int, num_threads: int = 0) -> None:
        """Make ``num_envs`` envs at nominal physics.

        Args:
            world: which is a gymnasium env.
            num_envs: how many.
            num_threads: processes; 1 means this one; 0 as many as the env's steps are worth, at most one for
                each core.

        Raises:
            InvalidValue: for a world that is no env, or an env that can't be made.
        """
        if world.env is None:
            raise InvalidValue(f"{world.name} is no gymnasium env; leave the simulator 'gym' out")
        if num_threads < 0:
            raise InvalidValue(f"num_threads = {num_threads} must be 0 (as many as needed) or more")
        self.world, self.num_envs, spec = world, num_envs, world.env.task.spec
        self.physics_dt = spec.control_dt
        worth = world.env.seconds * num_envs > _WORTH_PROCESSES
        count = min(num_threads or ((os.cpu_count() or 1) if worth else 1), num_envs)
        shapes = _shapes(world)
        self._staff: Staff = (
            Alone(_DESK, shapes, num_envs, world)
            if count < 2
            else Crew(_DESK, shapes, num_envs, count, world)
        )
        self._board = self._staff.arrays
        self._names = tuple(world.parameters)
        self._values = np.tile([world.nominal[name] for name in self._names], (num_envs, 1))
        sets = {n: who_sets(world.env, n, p.elements) for n, p in world.parameters.items()}
        self._sent = {name for name, who in sets.items() if who is not Sets.CHANNEL}
        self.qpos, self.qvel = self._board["qpos"], self._board["qvel"]
        self.observation, self.reward = self._board["observation"], self._board["reward"]
        self.seeds: Ids = np.zeros(num_envs, dtype=np.intp)
        """What each env's next reset is seeded with; live, to write. Shape (num_envs,)."""

    def close(self) -> None:
        """Close the envs, and end their processes."""
        self._staff.close()

    def columns(self, task: TaskSpec) -> tuple[Ids, Ids, Ids]:
        """All of them, whatever the task."""
        return np.arange(self.qpos.shape[1]), np.arange(self.qvel.shape[1]), np.arange(len(self._rest()))

    def laws(self, task: TaskSpec) -> tuple[Array, Array]:
        """Commands are the env's actions as they are. Shapes (num_actions,)."""
        return np.ones(len(self._rest())), np.zeros(len(self._rest()))

    def rest(self) -> tuple[Array, Array, Array]:
        """The model's reference, and commands of nothing; where an episode begins is the env's business."""
        qpos, qvel = self.world.model.qpos0, np.zeros(self.qvel.shape[1])
        return qpos[: self.qpos.shape[1]].copy(), qvel, self._rest()

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Give envs new physics; parameters not named keep their values.

        Raises:
            UnknownName: for a parameter that the world does not have.
            InvalidValue: for a value that the env's engine does not take.
        """
        for name in names:
            if name not in self.world.parameters:
                raise UnknownName(f"parameter of {self.world.name}", name, self._names)
        self._values[env_ids[:, None], [self._names.index(name) for name in names]] = values
        sent = tuple(name for name in names if name in self._sent)
        if sent:
            own = values[:, [names.index(name) for name in sent]]
            self._staff.some("set_physics", env_ids, lambda rows: (sent, own[rows]))

    def physics(self, env_id: int) -> dict[str, float]:
        """Current value of every parameter of one env."""
        return dict(zip(self._names, map(float, self._values[env_id]), strict=True))

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        """Begin episodes by the envs' own reset, from ``seeds``; where is up to them."""
        self._board["force"][env_ids] = 0.0
        seeds = self.seeds[env_ids]
        self._staff.some("reset", env_ids, lambda rows: (seeds[rows],))

    def step(self, ctrl: Array, substeps: int, env_ids: Ids | None = None, between: _Law = None) -> None:
        """Take actions in the env's units, shape (num_envs, num_actions); clipped to what the env takes."""
        self._board["ctrl"][:] = ctrl
        if env_ids is None:
            self._staff.all("step", None)
        else:
            self._staff.some("step", env_ids, lambda _: ())

    def force(self, body: str) -> Array:
        """External force and torque on a body of a MuJoCo model; live, to write. Shape (num_envs, 6)."""
        force: Array = self._board["force"][:, element_id(self.world.model, "body", body)]
        return force

    def picture(self, env_id: int) -> NDArray[np.uint8]:
        """What an env in this process draws, which was made by `Source.drawn`. Shape (height, width, 3).

        Raises:
            InvalidValue: for an env that fails, draws something else, or is in another process.
        """
        if not isinstance(self._staff, Alone):
            raise InvalidValue("only envs in this process draw: simulator=Engine('gym', threads=1)")
        pictures: list[NDArray[np.uint8]] = []
        self._staff.some("draw", np.array([env_id]), lambda _: (pictures,))
        return pictures[0]

    def delay_commands(self, steps: Array) -> None:
        """Delay commands by whole physics steps until physics is set again. Shape (num_envs, nu)."""
        self._board["delay"][:] = steps
        self._staff.all("delay_commands", None)

    def diverged(self) -> Mask:
        """Envs that gave what is no number since their reset. Shape (num_envs,)."""
        return np.asarray(self._board["diverged"] != 0.0)

    def ended(self) -> tuple[Mask, Mask]:
        """Which envs have terminated and which have truncated their episode. Shapes (num_envs,)."""
        return self._board["terminated"] != 0.0, self._board["truncated"] != 0.0

    def succeeded(self) -> Mask:
        """Which envs called their last step a success. Shape (num_envs,)."""
        return np.asarray(self._board["success"] != 0.0)

    def _rest(self) -> Array:
        return np.zeros(self._board["ctrl"].shape[1])


def _shapes(world: World) -> Shapes:
    """What each env has on the board."""
    assert world.env is not None
    model, spec = world.model, world.env.task.spec
    moves = world.env.engine == "mujoco"
    pushed = any(p.quantity.name == "push" for p in world.parameters.values())
    return {
        "observation": (len(spec.observation),),
        "ctrl": (len(spec.action),),
        "qpos": (model.nq if moves else 0,),
        "qvel": (model.nv if moves else 0,),
        "force": (model.nbody if pushed else 0, 6),
        "delay": (model.nactuator,),
        **dict.fromkeys(("reward", "terminated", "truncated", "success", "diverged"), ()),
    }
