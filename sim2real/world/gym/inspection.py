"""What a gymnasium env is asked once, before it is a world: spaces, model, a part of an episode."""

from __future__ import annotations

import copy
import dataclasses
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from sim2real.documents import is_number
from sim2real.errors import InvalidValue, Sim2RealError, told
from sim2real.interface import Array, Signal, TaskSpec
from sim2real.process import seeded
from sim2real.world.drives import commanded
from sim2real.world.gym.bullet_bodies import Bodies, has_bullet
from sim2real.world.gym.bullet_client import find_client
from sim2real.world.gym.signals import Signals
from sim2real.world.gym.source import Env, Source
from sim2real.world.gym.task import EnvTask
from sim2real.world.names import element_names

if TYPE_CHECKING:
    from gymnasium.envs.mujoco import MujocoEnv

_log = logging.getLogger(__name__)

UNIT = "as in the env"
"""Unit of what has none that is known here: a reading, a command, an attribute."""
SUCCESS = ("is_success", "success")
"""Keys of ``info`` by which envs tell of success."""
_STEPS, _SAME = 200, 20  # of the episode that is looked at, and of its begin that is played twice


@dataclass(frozen=True, eq=False)
class GymEnv:
    """A gymnasium env as what a world is of, in place of a scene."""

    source: Source
    model: mujoco.MjModel
    """A copy of its MuJoCo model before anything was drawn; of another env, one that names its commands."""
    engine: str
    """``mujoco`` or ``bullet``, whose models can be written; empty for an env that is neither."""
    task: EnvTask
    success: str
    """Key of ``info`` that says whether a step is a success; empty for an env without such a signal."""
    reaches: tuple[bool, bool]
    """Whether its actions are its model's commands, and whether commands can be delayed by physics steps."""
    values: Mapping[tuple[str, str], float]
    """Nominal values of a PyBullet env, by quantity and element."""
    attributes: Mapping[str, float]
    """Numbers that the env keeps as attributes, and that an episode leaves as they are."""
    takes_physics: bool
    """Whether it has a method ``set_physics``, which takes a table of parameters."""
    seconds: float
    """What a step of it takes, in s of a processor of this machine."""

    @classmethod
    def inspect(cls, source: Source) -> GymEnv:
        """Make an env, and play a part of an episode.

        Raises:
            InvalidValue: for an env that can't be made, of other spaces than ours, without a control period
                or a limit on its episodes, or one that fails or begins with what is no number.
        """
        env = source.make()
        try:
            return _inspected(source, env)
        finally:
            env.close()


def _inspected(source: Source, env: Env) -> GymEnv:
    low, high = _bounds(source, env)
    _check_observation(source, env.observation_space)
    bare: Any = env.unwrapped
    own = getattr(bare, "model", None)
    model = copy.deepcopy(own) if isinstance(own, mujoco.MjModel) else None
    before = _attributes(bare)
    episode = _Episode(source, env, low, high)
    engine = "mujoco" if model is not None else "bullet" if has_bullet(bare) else ""
    client = find_client(bare) if engine == "bullet" else None
    bodies = None if client is None else Bodies(client)
    direct = model is not None and episode.is_commanded()
    names = [f"action_{k}" for k in range(len(low))]
    if model is not None and direct:
        actuators = element_names(model, "actuator")
        names = [actuators[k] for k in commanded(model)]
    spec = _spec(source, env, (episode.names, names), episode.success)
    bounds = tuple(zip(low.tolist(), high.tolist(), strict=True))
    stepper = model is not None and stepper_of(bare, own) is not None
    return GymEnv(
        source=source,
        model=_commands_alone(names) if model is None else model,
        engine=engine,
        task=EnvTask(dataclasses.replace(spec, action_bounds=bounds), low, high),
        success=episode.success,
        reaches=(direct or model is None, stepper or model is None),
        values={} if bodies is None else {what: bodies.read(what) for what in bodies.all()},
        attributes=_constant(before, _attributes(bare)),
        takes_physics=callable(getattr(bare, "set_physics", None)),
        seconds=episode.seconds,
    )


def stepper_of(env: object, model: mujoco.MjModel) -> MujocoEnv | None:
    """The env, or one inside it, whose ``do_simulation`` steps the model; None if there is none."""
    module = sys.modules.get("gymnasium.envs.mujoco.mujoco_env")  # which wants imageio and glfw
    kinds = () if module is None else (module.MujocoEnv,)
    for candidate in (env, *vars(env).values()):
        if isinstance(candidate, kinds) and candidate.model is model:
            return cast("MujocoEnv", candidate)
    return None


def _constant(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float]:
    """Numbers that an episode left as they were."""
    numbers = {name: float(value) for name, value in after.items() if is_number(value)}
    return {name: value for name, value in numbers.items() if name in before and before[name] == value}


def _attributes(env: object) -> dict[str, Any]:
    """Public ones, of the env and its classes."""
    owners = (*reversed([vars(owner) for owner in type(env).__mro__]), vars(env))
    return {name: value for owner in owners for name, value in owner.items() if name[0] != "_"}


def _spec(source: Source, env: Env, names: tuple[list[str], list[str]], success: str) -> TaskSpec:
    bare: Any = env.unwrapped
    fps = env.metadata.get("render_fps")
    dt = source.control_dt or getattr(bare, "dt", None) or (1 / fps if fps else None)
    if not is_number(dt) or not 0 < float(dt) < np.inf:
        raise InvalidValue(
            f"{source.name} does not say how long a step is; give it an attribute dt (s), or write "
            "control_dt under [env] of physics.toml"
        )
    limit = source.max_episode_steps or _limit(source, env)
    if limit is None:
        raise InvalidValue(
            f"{source.name} does not say how long an episode is at most; register it with max_episode_steps, "
            "or write max_episode_steps under [env] of physics.toml"
        )
    return TaskSpec(
        name=source.name.rpartition(":")[2],
        version=0,
        control_dt=float(dt),
        max_steps=limit,
        observation=tuple(Signal(name, UNIT) for name in names[0]),
        action=tuple(Signal(name, "of its range") for name in names[1]),
        num_draws=1,
        success=f"info[{success!r}] in the last step" if success else "",
    )


def _limit(source: Source, env: Env) -> int | None:
    """Of the registered env, or of a `TimeLimit` around one of the user's own."""
    known = source.what if isinstance(source.what, EnvSpec) else env.spec
    if known is not None and known.max_episode_steps is not None and known.max_episode_steps > 0:
        return int(known.max_episode_steps)
    layer: Env = env
    while isinstance(layer, gym.Wrapper):
        if isinstance(layer, gym.wrappers.TimeLimit):
            return int(layer._max_episode_steps)
        layer = layer.env
    return None


def _bounds(source: Source, env: Env) -> tuple[Array, Array]:
    """Ends of the actions, flat."""
    space = env.action_space
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating) or not space.shape:
        raise InvalidValue(
            f"{source.name} acts by {space}, and policies here give numbers in [-1, 1]; wrap it in one whose "
            "action_space is a Box of numbers"
        )
    if not space.is_bounded():
        raise InvalidValue(
            f"{source.name} takes actions without bounds, of which [-1, 1] can't be a share; wrap it in "
            "gymnasium.wrappers.RescaleAction, or one with a bounded action_space"
        )
    return np.ravel(space.low).astype(float), np.ravel(space.high).astype(float)


def _check_observation(source: Source, space: spaces.Space[Any]) -> None:
    boxes = list(space.spaces.values()) if isinstance(space, spaces.Dict) else [space]
    if len(boxes) != 1:
        raise InvalidValue(
            f"{source.name} observes a Dict of {len(boxes)} entries, of which one is possible; wrap it in "
            "gymnasium.wrappers.FlattenObservation"
        )
    if not isinstance(boxes[0], spaces.Box) or not np.issubdtype(boxes[0].dtype, np.floating):
        kind = "images or whole numbers, " if isinstance(boxes[0], spaces.Box) else ""
        raise InvalidValue(
            f"{source.name} observes {kind}{space} where a Box of fractions, or a Dict of one, is meant; "
            "wrap it in one that observes so"
        )
    if len(boxes[0].shape) > 2:
        raise InvalidValue(
            f"{source.name} observes images of shape {boxes[0].shape}, which policies here don't see; wrap "
            "it in one that observes numbers"
        )


class _Episode:
    """Part of an episode under random actions."""

    def __init__(self, source: Source, env: Env, low: Array, high: Array) -> None:
        self._source, self._env, self._ends = source, env, (low, high)
        try:
            signals = Signals(env)
            self.names, self.success = signals.names, source.success or ""
            first, self.seconds = self._play(signals, _STEPS)
            again, _ = self._play(signals, _SAME)
        except Sim2RealError:
            raise
        except (Exception, SystemExit) as error:  # whatever a stranger's code raises
            raise InvalidValue(f"{source.name} fails: it raises {told(error)}") from error
        if not np.isfinite(first[0]).all():
            name = signals.names[int(np.argmin(np.isfinite(first[0])))]
            raise InvalidValue(f"{source.name} begins with {name} that is no number; mend its reset()")
        length = min(len(first), len(again))
        if not np.array_equal(first[:length], again[:length], equal_nan=True):
            _log.warning(
                "%s is another from the same seed, so that policies don't meet the same episodes; let its "
                "reset() call super().reset(seed=seed), and draw from self.np_random alone", source.name
            )  # fmt: skip

    def _play(self, signals: Signals, steps: int) -> tuple[Array, float]:
        """What is observed from the first seed on, and the time that a step takes."""
        rng, space = np.random.default_rng(0), self._env.action_space
        with seeded(0):
            observation, info = self._env.reset(seed=0)
        path, begun, ended = [signals.apart(observation)[0]], time.process_time(), False
        while not ended and len(path) <= steps:
            self._action = rng.uniform(*self._ends)
            action = self._action.reshape(space.shape).astype(space.dtype)
            observation, _, terminated, truncated, info = self._env.step(action)
            path.append(signals.apart(observation)[0])
            ended = bool(terminated or truncated)
            told_of = [key for key in SUCCESS if key in info]
            self.success = self.success or (told_of[0] if told_of else "")
        return np.array(path), (time.process_time() - begun) / (len(path) - 1)

    def is_commanded(self) -> bool:
        """Whether the last action is what the model's actuators got."""
        data = getattr(self._env.unwrapped, "data", None)
        ctrl: NDArray[Any] = np.zeros(0) if data is None else data.ctrl
        return ctrl.shape == self._action.shape and np.allclose(ctrl, self._action, 1e-5, 1e-7)


def _commands_alone(names: list[str]) -> mujoco.MjModel:
    """A model in which nothing moves, whose actuators give the entries of an action their names."""
    spec = mujoco.MjSpec()
    spec.worldbody.add_site(name="none")
    for name in names:
        spec.add_actuator(name=name, trntype=mujoco.mjtTrn.mjTRN_SITE, target="none")
    return spec.compile()
