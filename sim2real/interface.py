"""The protocols at the seams: what a simulator, a task, a channel and a policy promise to each other.

Arrays follow the array API standard, so that a task written once runs on numpy (CPU) and on torch tensors
(GPU); the annotations name numpy's. The first axis is always the simulation: shape ``(num_envs, …)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ids = NDArray[np.intp]


@dataclass(frozen=True)
class Signal:
    """One entry of an observation or an action."""

    name: str
    unit: str
    scale: float = 1.0
    """Observation: the policy sees ``value / scale``. Action: an action of 1 means ``scale``. Negative where
    it is seen, or acts, the other way round."""


@dataclass(frozen=True)
class Joint:
    """A joint that a task reads and starts, found by its name."""

    name: str
    kind: str = "hinge"
    """``hinge`` (rad), ``slide`` (m) or ``free`` (m, then a unit quaternion)."""


@dataclass(frozen=True)
class Drive:
    """An actuator that a task commands, found by its name or by the joint that it drives."""

    name: str
    joint: str = ""
    """The joint that it must drive; empty for one that is found by its name alone."""
    kind: str = "motor"
    """``motor``, whose command is a force or what makes one, or ``servo``, whose command is a position."""


@dataclass(frozen=True)
class TaskSpec:
    """What is fixed about a task; a change of any of it is a new version."""

    name: str
    version: int
    control_dt: float
    """Control period, s."""
    max_steps: int
    """Control steps after which an episode is truncated."""
    observation: tuple[Signal, ...]
    action: tuple[Signal, ...]
    num_draws: int
    """Independent uniform numbers that one start state needs."""
    success: str
    """What counts as success, in words; empty where nothing says so."""
    joints: tuple[Joint, ...] = ()
    """What the task's positions and velocities are of, in this order; empty for all, in the scene's order."""
    drives: tuple[Drive, ...] = ()
    """What its commands are for, in this order; empty for all actuators, in the scene's order."""
    action_limit: float = 1.0
    """Actions lie within ± this, and are clipped to it."""
    action_bounds: tuple[tuple[float, float], ...] = ()
    """Least and most of each action in the env's own units, which ``±action_limit`` stands for; empty where
    these are the units."""
    hold_steps: int = 0
    """Control steps at the start of an episode in which its first command is held and no policy is asked."""


class Simulator(Protocol):
    """Steps many simulations of one world, each with its own physics."""

    num_envs: int
    physics_dt: float
    """Physics step, s."""
    qpos: Array
    """Generalized positions, MuJoCo's layout, rad and m; live. Shape (num_envs, nq)."""
    qvel: Array
    """Generalized velocities; live. Shape (num_envs, nv)."""

    def joints(self, names: Sequence[str]) -> tuple[Ids, Ids]:
        """Columns of joints in ``qpos`` and in ``qvel``: one of each for a hinge or a slide."""

    def columns(self, task: TaskSpec) -> tuple[Ids, Ids, Ids]:
        """Columns of what a task names: in ``qpos``, in ``qvel`` and in the commands.

        Raises:
            InvalidValue: for a joint or an actuator that is missing, or of another kind.
        """

    def laws(self, task: TaskSpec) -> tuple[Array, Array]:
        """Factor and offset from a task's commands to the actuators', whatever gear and gain a servo has.

        Shapes as the commands that the task names; 1 and 0 for what is no servo.
        """

    def rest(self) -> tuple[Array, Array, Array]:
        """Where the scene puts everything: positions, velocities and commands. Shapes (nq,), (nv,), (nu,)."""

    def limits(self, joint: str) -> tuple[float, float]:
        """Range of a joint, rad or m; infinite where it has none."""

    def site(self, name: str) -> Array:
        """World position of a site, m; live from the first reset on. Shape (num_envs, 3)."""

    def sensor(self, name: str) -> Array:
        """What a sensor of the scene reads, as of the start of the last physics step; live.

        In rows that begin it is what it reads there, or 0 in an engine that only steps (Warp). Shape
        (num_envs, size).
        """

    def set_physics(self, env_ids: Ids, names: tuple[str, ...], values: Array) -> None:
        """Give simulations new physics; parameters not named keep their values.

        Args:
            env_ids: sorted simulations.
            names: k parameters of the world.
            values: absolute values in the parameters' units. Shape (len(env_ids), k).
        """

    def physics(self, env_id: int) -> dict[str, float]:
        """Current value of every parameter of one simulation."""

    def reset(self, env_ids: Ids, qpos: Array, qvel: Array, ctrl: Array) -> None:
        """Start simulations anew, with delay lines full of ``ctrl``."""

    def step(
        self,
        ctrl: Array,
        substeps: int,
        env_ids: Ids | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        """Apply commands, shape (num_envs, nu), for ``substeps`` physics steps.

        Args:
            ctrl: commands.
            substeps: physics steps.
            env_ids: simulations to step; by default all.
            between: called before every physics step; it may read the live arrays and write forces, dry
                friction and force limits. Costs a round trip to the engine for each physics step.
        """

    def force(self, body: str) -> Array:
        """External force and torque on a body, N and N·m, in the world's frame at the centre of mass.

        Live, to write; stays until it is written again, and is zero after a reset. Shape (num_envs, 6).
        """

    def actuator_force(self) -> Array:
        """Force of every actuator in the last physics step, N or N·m; live. Shape (num_envs, nu)."""

    def dofs(self, joints: Sequence[str]) -> Ids:
        """Columns of one-dof joints in the three arrays below: the motor's side where there is free play."""

    def speed(self) -> Array:
        """Speed of every degree of freedom of the engine, rad/s or m/s; live. Shape (num_envs, dofs)."""

    def load_force(self) -> Array:
        """What acted on every degree of freedom in the last physics step but actuators, dampers and friction.

        Gravity, gyration, springs, wind, pushes; contacts and limits as far as they exceed the dry friction.
        N·m or N. Shape (num_envs, dofs).
        """

    def dry_friction(self) -> Array:
        """Dry friction of every degree of freedom, N·m or N; live, to write. Shape (num_envs, dofs)."""

    def force_limit(self) -> Array:
        """Least and most that every actuator gives; live, to write. Shape (num_envs, nu, 2)."""

    def actuator_bias(self) -> Array | None:
        """Constant, spring and damping of every actuator's bias, as MuJoCo's ``biasprm``; live, to write.

        Shape (num_envs, actuators, parameters); None in an engine that computes forces once a physics step.
        """

    def delay_commands(self, steps: Array) -> None:
        """Delay commands by whole physics steps until physics is set again. Shape (num_envs, nu)."""

    def diverged(self) -> Mask:
        """Simulations whose numbers blew up since their reset. Shape (num_envs,)."""


class Task(Protocol):
    """Observation, meaning of the action, reward, termination and start states.

    Its states and commands have the columns that its spec names; `sim2real.env.make_task` gives one whose
    states and commands are those of the whole scene. In `observe` and `command` the simulator's live
    positions are what encoders read, everywhere else they are true; sites always are.
    """

    spec: TaskSpec

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        """Begin episodes: qpos, qvel and the initial command, from uniform numbers in [0, 1).

        Args:
            env_ids: rows that begin.
            u: shape (len(env_ids), spec.num_draws).
        """

    def command(self, action: Array) -> Array:
        """Actuator commands for actions within ± ``spec.action_limit``. Shape (num_envs, nu)."""

    def outcome(self) -> tuple[Array, Mask]:
        """Reward and termination after a control step; called once a step."""

    def succeeded(self) -> Mask:
        """Whether the episode so far counts as a success. Shape (num_envs,)."""

    def observe(self) -> Array:
        """What the policy sees, scaled. Shape (num_envs, len(spec.observation))."""


State = Any
"""What an actor remembers of the episode of each row; its own business, and None for one without memory."""


class Actor(Protocol):
    """Anything that acts: a policy, or a rule.

        state = actor.start(rows)
        action, state = actor.act(observation, state)

    One without memory ignores the state. `sim2real.policy.as_actor` makes one of a function.
    """

    def start(self, rows: int | Mask, state: State = None) -> State:
        """The state of rows whose episodes begin.

        Args:
            rows: how many; or which ones of those in ``state`` begin anew, as a mask, shape (n,).
            state: with a mask, the state until now; not to be used again.
        """

    def act(self, observation: NDArray[np.float32], state: State = None) -> tuple[NDArray[np.float32], State]:
        """Actions for a batch of observations, and the next state.

        Args:
            observation: of every row, in every control step once. Shape (n, num_observations).
            state: of `start`, or of the last call; not to be used again.

        Returns:
            Actions, shape (n, num_actions), within ± the task's ``action_limit``, and the state.
        """


ActorLike = Actor | Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""An actor, or a function from a batch of observations to actions."""


class TaskFactory(Protocol):
    """Binds a task to a simulator; what a task's class is."""

    spec: TaskSpec

    def __call__(self, simulator: Simulator, max_steps: int | None = None) -> Task:
        """The task done in these simulations, truncated after ``max_steps`` if given."""


class ChannelInputs(Protocol):
    """What a channel of one's own is made of."""

    xp: ModuleType
    """Array namespace of the simulations: numpy's, or in Warp that of torch by numpy's names."""
    control_dt: float
    """Control period, s."""

    def zeros(self) -> Array:
        """A number for each simulation and element, to remember something in. Shape (num_envs, k)."""

    def shape(self, name: str, rows: Ids | slice) -> Array:
        """Values of one of the channel's ``shapes``. Shape (len(rows), k)."""

    def normal(self, rows: Ids | slice) -> Array:
        """Standard normal numbers of this control step, the same at every call. Shape (len(rows), k)."""

    def uniform(self, rows: Ids | slice) -> Array:
        """Uniform numbers in (0, 1), likewise."""


class Channel:
    """Base of what a user puts between policy and body: `register_channel` gives it its name.

    Each of its values is a parameter, ``<actuator>.<name>`` or ``<signal>.<name>``, per simulation. A row at
    the neutral value passes unchanged to the bit, whatever `apply` makes of it.
    """

    acts: ClassVar[Literal["command", "reading"]]
    """Whether it changes commands, before the engine delays them, or readings of the observation."""
    unit: ClassVar[str] = ""
    """Of its value; empty for that of the command or signal."""
    neutral: ClassVar[float] = 0.0
    """The value that changes nothing."""
    low: ClassVar[float] = 0.0
    """The least value that is possible."""
    high: ClassVar[float] = 1e6
    """The largest."""
    integer: ClassVar[bool] = False
    """Whether only whole numbers are."""
    shapes: ClassVar[Mapping[str, str]] = {}
    """Units of further parameters, above 0, that say how the value acts: ``<element>.<name>_<shape>``."""

    def __init__(self, inputs: ChannelInputs) -> None:
        """Made once for all simulations of an env and all elements that have it."""
        self.inputs = inputs

    def begin(self, numbers: Array, rows: Ids) -> None:
        """Forget the past of simulations that begin with these numbers. Shape (len(rows), k)."""

    def apply(self, numbers: Array, values: Array, rows: Ids | slice) -> Array:
        """What comes out, once in every control step and once at the start of an episode.

        Args:
            numbers: commands or readings in their own units, a copy. Shape (len(rows), k).
            values: the parameter's. Shape (len(rows), k).
            rows: the simulations, to index what is remembered with.
        """
        raise NotImplementedError
