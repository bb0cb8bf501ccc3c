"""How much of the engine's own speed is left after observation, reward, autoreset and randomization.

    python scripts/bench_env.py            # three to six minutes
    python scripts/bench_env.py --quick

Both sides do the same work: a first run of the env, with random actions and six parameters drawn anew at
every start of an episode, is taped (commands; state and model fields of the rows that were begun again).
Then the env repeats it, and a bare `mujoco.batch.Batch` of the same model, threads and size replays the tape.
Of the replay only writing the commands and `batch.step` are timed, not restoring the rows that begin again.
The script ends in an error unless both end in the same state to the bit. Runs of the two alternate; the share
is the median over pairs.

For scale, the same table has gymnasium's vector envs of our own single env, and Hopper-v5 as gymnasium and
EnvPool have it. That integrates with RK4, four times the work of a step, so ours is also run that way ("as
v5": RK4, pyramidal cone, 4 physics steps, nothing randomized).
"""

import argparse
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv
from mujoco.batch import MODEL_FIELDS, Batch
from rich.console import Console
from rich.table import Table

import sim2real
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.interface import Array, Ids
from sim2real.simulators import Engine
from sim2real.world import World

SIX = {
    "hopper": "torso.mass foot_capsule.friction joints.damping joints.armature motors.strength "
    "motors.latency",
    "so101": "gripper.mass servos.kp servos.kd servos.strength servos.latency joints.frictionloss",
}
TARGETS = {"hopper": {64: 0.75, 256: 0.90}, "so101": {64: 0.85, 256: 0.90}}
SIZES = (64, 256)
IDS = {world: name for name, world in sim2real.IDS.items()}


@dataclass
class Frame:
    """One control step of the env, for the replay."""

    command: Array
    begun: Ids
    """Rows that were begun again before the step."""
    state: Array
    fields: dict[str, Array]


@dataclass
class Tape:
    """A run of the env as its simulator saw it."""

    batch: Batch
    names: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    last: Array | None = None

    def record(self, env: Sim2RealVectorEnv, actions: Array) -> None:
        """Run the env once and keep what the replay needs."""
        step = env.simulator.step

        def taped(
            command: Array, substeps: int, ids: Ids | None = None, between: Callable[[], None] | None = None
        ) -> None:
            assert between is None, "laws between physics steps are not on the tape"
            begun = np.arange(env.num_envs)
            if self.last is not None:
                begun = np.flatnonzero((self.batch.state != self.last).any(axis=1))
            fields = {name: self.batch.expanded(name)[begun] for name in self.names}
            self.frames.append(Frame(command.copy(), begun, self.batch.state[begun], fields))
            step(command, substeps, ids)
            self.last = self.batch.state.copy()

        env.reset(seed=0)
        self.names = [name for name in MODEL_FIELDS if self.batch.expanded(name) is not None]
        env.simulator.step = taped  # type: ignore[method-assign]
        for action in actions:
            env.step(action)
        env.simulator.step = step  # type: ignore[method-assign]

    def replay(self, raw: Batch, substeps: int) -> float:
        """Seconds that the bare engine takes for the same work."""
        control, seconds = raw.bind("ctrl"), 0.0
        fields = {name: raw.expand(name) for name in self.names}
        for frame in self.frames:
            raw.state[frame.begun] = frame.state
            for name, values in frame.fields.items():
                fields[name][frame.begun] = values
            start = perf_counter()
            control[:] = frame.command
            raw.step(nstep=substeps)
            seconds += perf_counter() - start
        assert np.array_equal(raw.state, self.last), "the replay did other work than the env"
        return seconds


def random_actions(steps: int, num_envs: int, num_actions: int) -> Array:
    return np.random.default_rng(0).uniform(-1, 1, (steps, num_envs, num_actions)).astype(np.float32)


def seconds(env: VectorEnv, actions: Array) -> float:
    start = perf_counter()
    for action in actions:
        env.step(action)
    return perf_counter() - start


def six(world: World) -> Domain:
    ranges = world.training_domain.parameters
    return Domain({name: ranges[name] for name in SIX[world.name].split()})


def pairs(world: World, num_envs: int, threads: int, steps: int, repeats: int) -> Array:
    """Seconds of the env and of the bare engine for the same work. Shape (repeats, 2)."""
    env = Sim2RealVectorEnv(world, num_envs, six(world), simulator=Engine("mujoco", threads))
    actions = random_actions(steps, num_envs, len(env.task.action))
    tape = Tape(env.simulator._batch)
    tape.record(env, actions)
    raw = Batch(world.model, num_envs, threads)
    substeps = round(env.task.control_dt / env.simulator.physics_dt)
    runs = []
    for _ in range(repeats + 1):  # the first one warms up
        env.reset(seed=0)
        runs.append((seconds(env, actions), tape.replay(raw, substeps)))
    return np.array(runs[1:])


@dataclass(frozen=True)
class Other:
    """A vector env to compare with."""

    world: str
    name: str
    num_envs: int
    workers: str
    make: Callable[[], VectorEnv]

    def rate(self, steps: int, repeats: int) -> float:
        """Control steps of all envs together per second."""
        env = self.make()
        env.reset()
        actions = random_actions(steps, self.num_envs, env.action_space.shape[-1])
        runs = [seconds(env, actions) for _ in range(repeats)]
        env.close()
        return steps * self.num_envs / float(np.median(runs))


def hopper_as_v5(num_envs: int, threads: int) -> Sim2RealVectorEnv:
    world = World.load("hopper")
    world.model.opt.integrator = mujoco.mjtIntegrator.mjINT_RK4
    world.model.opt.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    return Sim2RealVectorEnv(world, num_envs, simulator=Engine("mujoco", threads))


def others(names: tuple[str, ...], sizes: tuple[int, ...], threads: int, few: int) -> list[Other]:
    rows = []
    singles = {name: partial(gym.make, IDS[name], domain=six(World.load(name))) for name in names}
    singles["Hopper-v5"] = partial(gym.make, "Hopper-v5")
    if importlib.util.find_spec("imageio") is None:
        print("No rows of gymnasium's Hopper-v5; for them: pip install 'sim2real[bench]'")
        del singles["Hopper-v5"]
    for name, single in singles.items():
        whose = "gymnasium" if name == "Hopper-v5" else "our single env,"
        sync = partial(SyncVectorEnv, [single] * few)
        processes = partial(AsyncVectorEnv, [single] * few, context="spawn")  # a fork copies engine threads
        rows.append(Other(name, f"{whose} Sync", few, "1 thread", sync))
        rows.append(Other(name, f"{whose} Async", few, f"{few} processes", processes))
    workers = f"{threads} threads"
    if importlib.util.find_spec("envpool") is None:
        print("No rows of EnvPool; for them, on Linux: pip install 'sim2real[bench]'")
    else:
        rows += [Other("Hopper-v5", "EnvPool", n, workers, partial(env_pool, n, threads)) for n in sizes]
    rows += [Other("hopper", "ours, as v5", n, workers, partial(hopper_as_v5, n, threads)) for n in sizes]
    return rows


def env_pool(num_envs: int, threads: int) -> VectorEnv:
    import envpool

    return envpool.make("Hopper-v5", env_type="gymnasium", num_envs=num_envs, num_threads=threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the hopper at 64 envs, two short runs")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of both sides")
    parser.add_argument("--few", type=int, help="envs of gymnasium's Sync and Async, default 16 (quick: 2)")
    options = parser.parse_args()
    names, sizes = (("hopper",), SIZES[:1]) if options.quick else (tuple(SIX), SIZES)
    steps, repeats = (40, 2) if options.quick else (200, 15)

    table = Table(
        title=f"Control steps per second, all envs together; {steps} steps, median of {repeats} runs"
    )
    for column in ("world", "env", "envs", "workers", "steps/s", "÷ raw", "middle half", "target"):
        table.add_column(column, justify="left" if column in ("world", "env", "workers") else "right")
    workers = f"{options.threads} threads"
    for name in names:
        for n in sizes:
            runs = pairs(World.load(name), n, options.threads, steps, repeats)
            ours, bare = (f"{rate:,.0f}" for rate in steps * n / np.median(runs, axis=0))
            low, ratio, high = np.quantile(runs[:, 1] / runs[:, 0], [0.25, 0.5, 0.75])
            spread, target = f"{low:.2f} to {high:.2f}", f"≥ {TARGETS[name][n]}"
            table.add_row(name, "ours", str(n), workers, ours, f"{ratio:.2f}", spread, target)
            table.add_row(name, "raw mujoco.batch", str(n), workers, bare, "1", "", "")
    few = options.few or (2 if options.quick else 16)
    for row in others(names, sizes, options.threads, few):
        rate = row.rate(steps, min(repeats, 3))
        table.add_row(row.world, row.name, str(row.num_envs), row.workers, f"{rate:,.0f}", "", "", "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
