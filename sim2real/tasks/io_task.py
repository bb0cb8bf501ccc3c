"""The task that ``io.toml`` describes: somebody's policy in its own words, without code.

Reward and success are about what such policies are for: staying up, and going where the command says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from array_api_compat import array_namespace, device

from sim2real.errors import InvalidValue
from sim2real.interface import Array, Drive, Ids, Joint, Mask, Signal, Simulator, Task, TaskSpec
from sim2real.io_table import FAR, TOUCH, IoTable, Term
from sim2real.tasks.rotation import to_body, up_in_body

IO = "io"
"""The task's name."""

_SIGMA = 0.5  # m/s, of the reward for tracking (Rudin et al. 2022)
_UNITS = {"hinge": ("rad", "rad/s", "N·m"), "slide": ("m", "m/s", "N")}
_ACTION_UNITS = {"joint_position": 0, "joint_velocity": 1, "joint_effort": 2}


class IOTask:
    """Makes tasks of a table.

    Raises:
        InvalidValue: for times that are no multiples of the control period.
    """

    def __init__(self, table: IoTable, ground: float = 0.0) -> None:
        """Read what is fixed about the task off its table; ``ground`` is the level ground's height, m."""
        self.table, self.ground = table, ground
        self.spec: TaskSpec = self._spec()

    @property
    def drawn(self) -> list[int]:
        """The numbers of the command that are drawn for each episode."""
        return [k for k, (low, high) in enumerate(self.table.command) if low < high]

    @property
    def tracks(self) -> bool:
        """Whether the command is a velocity that the base can follow."""
        return bool(self.table.base) and len(self.table.command) >= 2

    def __call__(self, simulator: Simulator, max_steps: int | None = None) -> Task:
        """The task done in these simulations, truncated after ``max_steps`` if given."""
        return _Run(self, simulator, max_steps)

    def _spec(self) -> TaskSpec:
        table = self.table
        held, steps = _whole(table, table.hold, "hold"), _whole(table, table.episode, "episode")
        if held >= steps:
            raise InvalidValue(
                f"{table.path}: hold = {table.hold:g} s leaves nothing of an episode of {table.episode:g} s"
            )
        base = (Joint(table.base, "free"),) if table.base else ()
        success = f"up for {min(table.upright, table.episode):g} s"
        if self.tracks and table.tracking_error < FAR:
            success += f", and a mean velocity within {table.tracking_error:g} m/s of the command"
        return TaskSpec(
            name=IO,
            version=0,
            control_dt=table.control_dt,
            max_steps=steps - held,
            observation=tuple(_signals(table)),
            action=tuple(
                Signal(f"{name}_action", _UNITS[table.joint[name].kind][_ACTION_UNITS[term.name]], scale)
                for term in table.action
                for name, scale in zip(term.joints, term.scale, strict=True)
            ),
            num_draws=len(self.drawn) + (len(table.joints) if table.start_spread else 0),
            success=success,
            joints=(*base, *(Joint(joint.name, joint.kind) for joint in table.joints)),
            drives=tuple(
                Drive(joint, joint, "servo" if term == "joint_position" else "motor")
                for joint, term in table.driven.items()
            ),
            action_limit=table.action_limit,
            hold_steps=held,
        )


class _Run:
    """The task in some simulations, whose columns are those that the spec names."""

    def __init__(self, task: IOTask, simulator: Simulator, max_steps: int | None) -> None:
        self.spec = replace(task.spec, max_steps=max_steps or task.spec.max_steps)
        self._of, self._table = task, task.table
        xp = self._xp = array_namespace(simulator.qpos)
        self._kind: dict[str, Any] = {"dtype": simulator.qpos.dtype, "device": device(simulator.qpos)}
        self._qpos, self._qvel = simulator.qpos, simulator.qvel
        first = (7, 6) if task.table.base else (0, 0)
        self._angles, self._speeds = self._qpos[:, first[0] :], self._qvel[:, first[1] :]
        self._default = self._row([joint.default for joint in task.table.joints])
        self._offset, self._scale = (
            self._row([x for term in task.table.action for x in getattr(term, name)])
            for name in ("offset", "scale")
        )
        clips = [clip for term in task.table.action for clip in term.clip]
        self._least, self._most = self._row([low for low, _ in clips]), self._row([high for _, high in clips])
        self._clips = any(math.isfinite(x) for clip in clips for x in clip)
        self._action = xp.zeros((len(self._qpos), len(clips)), **self._kind)
        low = self._row([low for low, _ in task.table.command])
        self._command = xp.zeros_like(self._qpos[:, :1]) + low
        self._rest = [self._row(part) for part in self._start_of(simulator)]
        self._height = float(self._rest[0][2]) if task.table.base else 0.0
        self._steps, self._walked = xp.zeros_like(self._qpos[:, 0]), xp.zeros_like(self._qpos[:, :2])
        self._fallen = self._qpos[:, 0] > math.inf
        self._touch = {body: simulator.sensor(TOUCH + body) for body in task.table.touched}
        self._views = [_View(self, term) for term in task.table.observation]

    def start(self, env_ids: Ids, u: Array) -> tuple[Array, Array, Array]:
        """Where the table says, with the command of an action of 0; the command to follow is drawn."""
        ones = self._xp.ones_like(self._qpos[env_ids, :1])
        self._action[env_ids], self._walked[env_ids], self._fallen[env_ids] = 0.0, 0.0, False
        self._steps[env_ids] = float(self.spec.hold_steps)
        for column, k in enumerate(self._of.drawn):
            low, high = self._table.command[k]
            self._command[env_ids, k] = low + (high - low) * u[:, column]
        for view in self._views:
            view.begin(env_ids)
        qpos, qvel = (ones * part for part in self._rest)
        if self._table.start_spread:
            count = self._angles.shape[1]
            qpos[:, -count:] += self._table.start_spread * (2.0 * u[:, -count:] - 1.0)
        return qpos, qvel, ones * self._clipped(self._offset[None, :])

    def command(self, action: Array) -> Array:
        """``offset + scale · action``, clipped: rad, rad/s or N·m. Shape (num_envs, num_actions)."""
        self._action[:] = action
        return self._clipped(self._offset + self._scale * self._action)

    def outcome(self) -> tuple[Array, Mask]:
        """``exp(-(error / 0.5)²)`` of the velocity, m/s, or 1 without a command; a fall ends the episode."""
        xp = self._xp
        self._steps += 1.0
        for view in self._views:
            view.push()
        reward = xp.ones_like(self._steps)
        if self._of.tracks:
            velocity = self._heading_velocity()
            self._walked += velocity
            error = velocity - self._command[:, :2]
            reward = xp.exp(-xp.sum(error * error, axis=1) / _SIGMA**2)
        if self._table.base:
            low = self._qpos[:, 2] < self._table.fall_height * self._height
            leans = up_in_body(self._qpos[:, 3:7])[:, 2] < math.cos(self._table.fall_tilt)
            self._fallen[:] = low | leans
        for body in self._table.fall_contacts:
            self._fallen[:] = self._fallen | (self._touch[body][:, 0] > 0)
        return reward, self._fallen

    def succeeded(self) -> Mask:
        """Up for long enough, at the commanded velocity on average. Shape (num_envs,)."""
        up: Mask = ~self._fallen | ((self._steps - 1.0) * self.spec.control_dt >= self._table.upright)
        if self._of.tracks:
            steps = self._xp.maximum(self._steps - self.spec.hold_steps, self._xp.ones_like(self._steps))
            error = self._walked / steps[:, None] - self._command[:, :2]
            up = up & (self._xp.sum(error * error, axis=1) <= self._table.tracking_error**2)
        return up

    def observe(self) -> Array:
        """See ``spec.observation``. Shape (num_envs, len(spec.observation))."""
        seen: Array = self._xp.concat([view.seen() for view in self._views], axis=1)
        return seen

    def term(self, term: Term, joints: list[int] | slice) -> Array:
        """A term now, neither clipped nor scaled. Shape (num_envs, entries)."""
        xp, name = self._xp, term.name
        if name == "base_lin_vel":
            velocity, at = to_body(self._qpos[:, 3:7], self._qvel[:, :3]), term.at
            if any(at):
                x, y, z = (self._qvel[:, k] for k in (3, 4, 5))
                turned = (y * at[2] - z * at[1], z * at[0] - x * at[2], x * at[1] - y * at[0])
                velocity = velocity + xp.stack(turned, axis=1)
            return velocity
        if name == "phase":
            time = self._steps * self.spec.control_dt
            angle = 2.0 * math.pi * (time % term.period / term.period)
            phase: Array = xp.stack((xp.sin(angle), xp.cos(angle)), axis=1)
            return phase
        if name == "joint_pos":
            angles = self._angles - self._default if term.relative else self._angles
            return angles[:, joints]
        sources: dict[str, Callable[[], Array]] = {
            "base_ang_vel": lambda: self._qvel[:, 3:6],
            "projected_gravity": lambda: -up_in_body(self._qpos[:, 3:7]),
            "height": lambda: self._qpos[:, 2:3],
            "height_scan": lambda: self._qpos[:, 2:3] - self._of.ground - self._row(term.offset),
            "command": lambda: self._command,
            "joint_vel": lambda: self._speeds[:, joints],
            "last_action": lambda: self._action,
            "contacts": lambda: self._touching(term.bodies),
        }
        return sources[name]()

    def _touching(self, bodies: Sequence[str]) -> Array:
        touches = [self._touch[body][:, :1] > 0 for body in bodies]
        found: Array = self._xp.astype(self._xp.concat(touches, axis=1), self._qpos.dtype)
        return found

    def _row(self, values: Sequence[float] | Array) -> Array:
        row: Array = self._xp.asarray(values, **self._kind)
        return row

    def _start_of(self, simulator: Simulator) -> tuple[Array, Array]:
        """Where an episode begins: positions and speeds, in the task's order."""
        qpos, qvel, _ = (
            part[columns]
            for part, columns in zip(simulator.rest(), simulator.columns(self.spec), strict=True)
        )
        table, base = self._table, 7 if self._table.base else 0
        if table.start_pose == "default":
            qpos[base:], qvel = [joint.default for joint in table.joints], 0.0 * qvel
        if table.start_height is not None:
            qpos[2] = table.start_height
        return qpos, qvel

    def _clipped(self, target: Array) -> Array:
        if not self._clips:
            return target
        clipped: Array = self._xp.minimum(self._xp.maximum(target, self._least), self._most)
        return clipped

    def _heading_velocity(self) -> Array:
        """Forward and to the left, whatever the robot's tilt, m/s. Shape (num_envs, 2)."""
        xp, (w, x, y, z) = self._xp, (self._qpos[:, k] for k in (3, 4, 5, 6))
        yaw = xp.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        c, s = xp.cos(yaw), xp.sin(yaw)
        east, north = self._qvel[:, 0], self._qvel[:, 1]
        velocity: Array = xp.stack((c * east + s * north, c * north - s * east), axis=1)
        return velocity


class _View:
    """One term of the observation, with its past."""

    def __init__(self, run: _Run, term: Term) -> None:
        self._run, self._term, self._xp = run, term, run._xp
        names = [joint.name for joint in run._table.joints]
        self._joints: list[int] | slice = (
            slice(None) if term.joints == tuple(names) else [names.index(j) for j in term.joints]
        )
        self._scale = run._row(term.scale)
        self._least, self._most = (run._row(ends) for ends in zip(*term.clip, strict=True))
        self._clips = any(math.isfinite(end) for clip in term.clip for end in clip)
        self._past: list[Array] = []
        self._passed = False
        self._new = run._qpos[:, 0] > math.inf

    def begin(self, env_ids: Ids) -> None:
        """Rows that begin have no past."""
        self._new[env_ids] = True

    def push(self) -> None:
        """A control step has passed; what is seen of it joins the past when it is observed."""
        self._passed = True

    def seen(self) -> Array:
        """The term and its past, the oldest first. Shape (num_envs, history · entries)."""
        if self._term.history == 1:
            return self._now()
        self._past = self._filled()
        if self._passed:
            self._past = [*self._past[1:], self._now()]
        self._new[:] = self._passed = False
        seen: Array = self._xp.concat(self._past, axis=1)
        return seen

    def _filled(self) -> list[Array]:
        """The past, that of rows that begin full of what is now."""
        now = self._now()
        past = self._past or [now] * self._term.history
        return [self._xp.where(self._new[:, None], now, then) for then in past]

    def _now(self) -> Array:
        value = self._run.term(self._term, self._joints)
        if self._clips:
            value = self._xp.minimum(self._xp.maximum(value, self._least), self._most)
        return value * self._scale


def _whole(table: IoTable, seconds: float, name: str) -> int:
    """Control steps of a time."""
    steps = round(seconds / table.control_dt)
    if steps < 0 or abs(steps * table.control_dt - seconds) > 1e-9:
        raise InvalidValue(
            f"{table.path}: {name} = {seconds:g} s is no multiple of control_dt = {table.control_dt:g} s"
        )
    return steps


def _signals(table: IoTable) -> Iterator[Signal]:
    """The observation, entry by entry."""
    met: Counter[str] = Counter()
    for term in table.observation:
        names = list(_entries(table, term))
        met[term.name] += 1
        again = f"_{met[term.name]}" if met[term.name] > 1 else ""
        for age in reversed(range(term.history)):
            past = f"_{age}_steps_ago" if age else ""
            for (name, unit), scale in zip(names, term.scale, strict=True):
                yield Signal(f"{name}{again}{past}", unit, 1.0 / scale)


def _entries(table: IoTable, term: Term) -> Iterator[tuple[str, str]]:
    """Name and unit of each entry of a term."""
    vectors = {
        "base_lin_vel": ("velocity", "m/s"),
        "base_ang_vel": ("turn", "rad/s"),
        "projected_gravity": ("gravity", "1"),
    }
    if term.name in vectors:
        name, unit = vectors[term.name]
        yield from ((f"{name}_{axis}", unit) for axis in "xyz")
    elif term.joints:
        what = 0 if term.name == "joint_pos" else 1
        for joint in term.joints:
            yield f"{joint}_{('angle', 'speed')[what]}", _UNITS[table.joint[joint].kind][what]
    elif term.name == "command":
        yield from ((f"command_{k}", "1") for k in range(len(table.command)))
    elif term.name == "last_action":
        yield from ((f"{joint}_action", "1") for joint in table.driven)
    elif term.name == "phase":
        yield from (("phase_sin", "1"), ("phase_cos", "1"))
    elif term.name == "height_scan":
        yield from ((f"ground_{k}_below", "m") for k in range(len(term.scale)))
    elif term.name == "contacts":
        yield from ((f"{body}_contact", "1") for body in term.bodies)
    else:
        yield "height", "m"
