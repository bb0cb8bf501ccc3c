"""One simulation as a plain gymnasium env: a view of the vector env with a single row.

>>> env = Sim2RealEnv("cartpole")
>>> observation, info = env.reset(seed=0)
>>> observation.shape
(5,)
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim2real.contents import Contents
from sim2real.draws import checked_seed
from sim2real.env import DomainLike, Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName
from sim2real.interface import TaskFactory, TaskSpec
from sim2real.simulators import Engine
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World


class Sim2RealEnv(gym.Env[Any, Any]):
    """A task done in one simulation; see `Sim2RealVectorEnv`."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012  gymnasium reads it from the class

    def __init__(
        self,
        world: str | World,
        domain: DomainLike = None,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        simulator: str | Engine = "mujoco",
        task: str | TaskFactory | None = None,
    ) -> None:
        """Make the env; arguments as in `Sim2RealVectorEnv`.

        Args:
            world: a world, or its name or path.
            domain: what physics is drawn from at every reset.
            max_episode_steps: control steps; by default the task's.
            render_mode: ``"rgb_array"`` or None.
            simulator: ``"mujoco"``, ``"bullet"`` or ``"warp"``.
            task: a task's name or class, for the one that the world names.
        """
        if render_mode not in (None, "rgb_array"):
            raise UnknownName("render mode", str(render_mode), ["rgb_array"])
        self.vector = Sim2RealVectorEnv(world, 1, domain, max_episode_steps, False, simulator, task)
        own = self.vector.world.env
        if render_mode and own is not None and own.engine != "mujoco":
            raise InvalidValue(f"{self.world_name} has no MuJoCo model to draw; leave render_mode out")
        self.observation_space: spaces.Box = self.vector.single_observation_space
        self.action_space: spaces.Box = self.vector.single_action_space
        self.render_mode = render_mode
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / self.task.control_dt)}
        self._renderer: mujoco.Renderer | None = None

    @property
    def task(self) -> TaskSpec:
        """The task's fixed side."""
        return self.vector.task

    @property
    def engine(self) -> Engine:
        """The engine that steps it."""
        return self.vector.engine

    @property
    def world_name(self) -> str:
        """Name of the world."""
        return self.vector.world_name

    @property
    def contents(self) -> Contents:
        """What the world consists of; see `sim2real.contents`."""
        return self.vector.contents

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode."""
        seed = None if seed is None else checked_seed(seed)
        super().reset(seed=seed)
        observation, _ = self.vector.reset(seed=seed)
        return observation[0], {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Advance one control period; ``success`` and ``diverged`` come in the last step's info."""
        if self.vector.resting.all():
            raise InvalidValue("the episode is over; call reset() before step()")
        observation, reward, terminated, truncated, info = self.vector.step(np.asarray(action)[None])
        end: dict[str, Any] = {key: bool(info[key][0]) for key in ("success", "diverged") if key in info}
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), end

    def physics(self) -> dict[str, float]:
        """Value of every parameter, in the parameters' units."""
        return self.vector.physics(0)

    def render(self) -> NDArray[np.uint8] | None:
        """The scene from its first camera. Shape (480, 640, 3).

        Raises:
            RuntimeError: if no OpenGL is installed.
        """
        if self.render_mode is None:
            return None
        model, data = _snapshot(self.vector)
        if self._renderer is None:
            self._renderer = _renderer(model)
        self._renderer.update_scene(data, camera=0 if model.ncam else -1)
        picture: NDArray[np.uint8] = self._renderer.render().copy()
        return picture

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def _snapshot(env: Sim2RealVectorEnv) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The first simulation as a model and data of MuJoCo's, whatever engine steps it."""
    if isinstance(env.simulator, MujocoSimulator):
        return env.simulator.snapshot(0)
    data = mujoco.MjData(env.world.model)
    data.qpos[:] = np.asarray(env.simulator.qpos[0])
    mujoco.mj_forward(env.world.model, data)
    return env.world.model, data


_without_opengl: list[str] = []
"""Why there is no OpenGL, once it is known: a second try would abort the process."""


def _renderer(model: mujoco.MjModel) -> mujoco.Renderer:
    if not _without_opengl:
        try:
            frame = model.vis.global_  # a scene may hold a smaller one
            return mujoco.Renderer(model, min(480, frame.offheight), min(640, frame.offwidth))
        except Exception as error:  # what is raised differs between platforms and GL libraries
            _without_opengl.append(str(error))
    raise RuntimeError(
        f"no picture without OpenGL ({_without_opengl[0]}); on a machine without a screen install libegl1 or "
        "libosmesa6 and set MUJOCO_GL=egl or MUJOCO_GL=osmesa"
    )
