"""Replay recorded episodes under many physics at once, put back onto the measured state at every window.

    replay = RolloutReplayer(World.load("furuta"), rollouts, window=15)
    errors = replay.predict(("pole.mass",), values) - replay.observed

Actions run on through the whole episode, so that commands on their way (a latency) and goals that add up
are right at the beginning of every window; only positions and velocities are set back. Open loop over a
window, errors stay readable where a whole motion would diverge.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sim2real.channels import Channels
from sim2real.domain import Domain
from sim2real.draws import StepDraws
from sim2real.env import make_task
from sim2real.errors import InvalidValue
from sim2real.interface import Array, Ids, Task
from sim2real.parameters import quantity_of
from sim2real.recordings.rollouts import FloatArray, Rollouts
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

_FEW = 512  # simulations whose step is too short to be shared among threads


@runtime_checkable
class TellsState(Protocol):
    """A task whose observation tells the state."""

    def state(self, observation: Array) -> tuple[Array, Array]:
        """Generalized positions and velocities, shapes (n, nq) and (n, nv)."""


def tells_state(world: World) -> bool:
    """Whether what a policy sees in a world tells the state that replays begin at."""
    return world.env is None and isinstance(make_task(world, MujocoSimulator(world, 1, 1), None), TellsState)


@runtime_checkable
class TakesUp(Protocol):
    """A task that wants something of each episode, as a goal, or remembers what was wanted last."""

    def take_up(self, env_ids: Ids, observation: Array) -> None:
        """Want what was wanted when the present states were seen so; shape (len(env_ids), observations)."""


class RolloutReplayer:
    """Recorded episodes in simulations of a world, each with its own physics."""

    def __init__(self, world: World, rollouts: Rollouts, window: int, max_rows: int = 2048) -> None:
        """Prepare the simulations.

        Args:
            world: where.
            rollouts: what was recorded.
            window: control steps from one measured state to the next.
            max_rows: simulations at once; more candidates are done one after the other.

        Raises:
            RecordingError: if the rollouts are not of the world's task.
            InvalidValue: if states were not recorded and the task's observations don't tell them, for a
                window below 1, or for a world with play in its joints.
        """
        if window < 1:
            raise InvalidValue(f"a window of {window} steps predicts nothing; give at least 1")
        self.window = window
        self._episodes = rollouts.episodes
        self._each = len(self._episodes)
        self._at_once = max(max_rows // self._each, 1)
        rows = self._at_once * self._each
        self._simulator = MujocoSimulator(world, rows, 1 if rows < _FEW else 0)
        self._task: Task = make_task(world, self._simulator, None)
        rollouts.check(self._task.spec)
        self._draws = StepDraws(*np.zeros((2, self._simulator.num_envs), dtype=np.int64))
        self._channels = Channels(world, self._simulator, self._task.spec, self._draws, Domain({}))
        self._substeps = round(self._task.spec.control_dt / self._simulator.physics_dt)
        self._actions = _padded([episode.action for episode in self._episodes])
        self._recorded = all(episode.qpos is not None for episode in self._episodes)
        self._states = self._measured_states()
        self._first = np.stack([episode.observation[0] for episode in self._episodes])
        lengths = np.array([episode.steps for episode in self._episodes])
        number, step = np.nonzero(np.arange(lengths.max()) < lengths[:, None])
        self.episode: NDArray[np.intp] = number
        """Which episode a predicted row belongs to. Shape (steps,)."""
        self.age: NDArray[np.intp] = step % window
        """Control steps since the measured state, less one. Shape (steps,)."""
        self._step = step
        self.observed: FloatArray = np.concatenate([e.observation[1:] for e in self._episodes])
        """What was seen after every action. Shape (steps, num_observations)."""
        self.diverged = 0
        """Simulations that blew up so far."""

    def predict(self, names: tuple[str, ...], values: FloatArray) -> FloatArray:
        """What would have been seen after every action.

        Args:
            names: k parameters.
            values: one physics a row. Shape (n, k).

        Returns:
            NaN from where a simulation diverged. Shape (n, steps, num_observations).

        Raises:
            InvalidValue: for a backlash, whose hidden half is in no measured state.
        """
        for name in names:
            if quantity_of(name).name == "backlash":
                raise InvalidValue(f"{name} can't be found from windows: no measured state tells the play")
        predicted = np.empty((len(values), *self.observed.shape))
        for start in range(0, len(values), self._at_once):
            part = values[start : start + self._at_once]
            predicted[start : start + len(part)] = self._run(names, part)
        return predicted

    def _run(self, names: tuple[str, ...], values: FloatArray) -> FloatArray:
        count = len(values)
        rows = count * self._each
        ids = np.arange(rows)
        simulator, task, channels = self._simulator, self._task, self._channels
        physics = np.repeat(values, self._each, axis=0)
        simulator.set_physics(ids, names, physics)
        channels.set_physics(ids, names, physics)
        actions = np.zeros((simulator.num_envs, self._actions.shape[2]))
        channels.begin(ids, self._begin(ids, count, actions))
        seen = np.empty((self._actions.shape[1], rows, self.observed.shape[1]))
        for step in range(self._actions.shape[1]):
            if step % self.window == 0:
                simulator.qpos[:rows] = self._placed(step, ids, count)
                simulator.qvel[:rows] = np.tile(self._states[1][:, step], (count, 1))
            actions[:rows] = np.tile(self._actions[:, step], (count, 1))
            command = channels.command(channels.encoders.asked(task, actions))
            simulator.step(command, self._substeps, ids, channels.between)
            seen[step] = channels.observe(channels.encoders.seen(task))[:rows]
            seen[step, simulator.diverged()[:rows]] = np.nan
        self.diverged += int(simulator.diverged()[:rows].sum())
        by_candidate = seen.reshape(len(seen), count, self._each, -1)
        return by_candidate[self._step, :, self.episode].swapaxes(0, 1)

    def _begin(self, ids: Ids, count: int, actions: FloatArray) -> FloatArray:
        """Begin every episode where it was recorded; its first commands, which delay lines are full of."""
        task = self._task
        _, _, command = task.start(ids, np.full((len(ids), task.spec.num_draws), 0.5))
        qpos, qvel = self._placed(0, ids, count), np.tile(self._states[1][:, 0], (count, 1))
        self._simulator.reset(ids, qpos, qvel, command)
        if isinstance(task, TakesUp):
            with self._channels.encoders.reading():
                task.take_up(ids, np.tile(self._first, (count, 1)))
                command = task.command(actions)[: len(ids)].copy()
            self._simulator.reset(ids, qpos, qvel, command)
        return np.asarray(command)

    def _placed(self, step: int, ids: Ids, count: int) -> FloatArray:
        """Where the joints of every candidate were; what observations tell is what encoders read."""
        qpos = np.tile(self._states[0][:, step], (count, 1))
        return qpos if self._recorded else self._channels.encoders.placed(qpos, ids)

    def _measured_states(self) -> tuple[FloatArray, FloatArray]:
        """Positions and velocities of every episode. Shapes (episodes, steps + 1, nq or nv)."""
        if self._recorded:
            states = [(e.qpos, e.qvel) for e in self._episodes if e.qpos is not None and e.qvel is not None]
            return _padded([qpos for qpos, _ in states]), _padded([qvel for _, qvel in states])
        if not isinstance(self._task, TellsState):
            raise InvalidValue(
                f"the observations of task {self._task.spec.name} don't tell the state; record full states"
            )
        told = [self._task.state(episode.observation) for episode in self._episodes]
        return _padded([qpos for qpos, _ in told]), _padded([qvel for _, qvel in told])


def _padded(arrays: list[FloatArray]) -> FloatArray:
    """Arrays of different lengths as one, filled up with their last rows."""
    longest = max(len(array) for array in arrays)
    return np.stack([np.pad(a, ((0, longest - len(a)), (0, 0)), mode="edge") for a in arrays])
