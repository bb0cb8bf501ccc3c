"""How long identification takes beside mujoco.sysid: the same parameters, recordings, bounds and step.

    python scripts/bench_identify.py path/to/npz/train --seconds 30 --threads 2
    python scripts/bench_identify.py --quick             # two joints, seconds of recordings

Both fit five numbers of each joint of the SO-101 (servo gain, damping, dry friction, latency, torque bias) to
the first seconds of the same recordings, and are judged in the same open-loop replay on recordings that
neither saw, every fourth. mujoco.sysid runs until its cost changes by less than 0.1 % in three rounds or its
time is up; the cost of every round of both is printed, so that a reader sees who has converged. It gets a
start that it can work from, near the answer, since at the published gain of 998 N·m/rad the servo saturates
and its first Jacobian says nothing; ours begins with the published values and pays for its global search.
"""

import argparse
import dataclasses
import io
import os
import time
from pathlib import Path

import mujoco
import mujoco.minimize
import numpy as np
from mujoco import sysid
from rich.console import Console
from rich.table import Table

from sim2real.identify.identify import Options, identify
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.space import ParameterSpace, free_parameters
from sim2real.recordings import Recording, load_recordings, map_joints
from sim2real.replay import motion_of
from sim2real.world import World

QUANTITIES = ("kp", "damping", "frictionloss", "latency", "bias_torque")
START = {"kp": 30.0, "damping": 2.0, "frictionloss": 0.2, "latency": 1.0, "bias_torque": 0.0}


def shortened(recording: Recording, seconds: float) -> Recording:
    rows = recording.time - recording.time[0] <= seconds
    return dataclasses.replace(
        recording,
        time=recording.time[rows],
        command=recording.command[rows],
        position=recording.position[rows],
        velocity=None,
    )


class Stop(Exception):
    """The end of a fit from within its optimizer."""

    def __init__(self, point: np.ndarray) -> None:
        super().__init__()
        self.point = point


class Rounds:
    """The costs of a fit by round, printed as they come."""

    def __init__(self, label: str, seconds: float) -> None:
        self.label, self.seconds, self.began = label, seconds, time.perf_counter()
        self.costs: list[float] = []

    def __call__(self, what: str, cost: float) -> None:
        """Take the cost of another round."""
        self.costs.append(cost)
        passed = time.perf_counter() - self.began
        print(f"{self.label}, {passed:7.1f} s, {what}: {cost:.6g}", flush=True)

    @property
    def over(self) -> bool:
        """Whether the cost stands still, or the time is up."""
        still = len(self.costs) > 3 and self.costs[-4] - self.costs[-1] < 1e-3 * self.costs[-1]
        return still or time.perf_counter() - self.began > self.seconds


def ours(
    world: World, recordings: list[Recording], names: list[str], threads: int, rounds: Rounds
) -> dict[str, float]:
    fixed = {f"{name.rpartition('.')[0]}.kd": 0.0 for name in names}
    options = Options(free=tuple(names), fixed=fixed, held_out=(), nuisance=False, threads=threads)

    def watch(what: str, number: int, cost: float) -> None:
        if np.isfinite(cost):
            rounds(f"{what}, round {number}, mean RMSE in rad", cost)

    return dict(identify(world, recordings, options, watch).point)


def theirs(
    world: World, recordings: list[Recording], names: list[str], threads: int, rounds: Rounds
) -> dict[str, float]:
    spec = mujoco.MjSpec.from_file(str(world.path / "scene.xml"))
    for actuator in spec.actuators:
        actuator.biasprm[2] = 0.0
    joints = [actuator.name for actuator in spec.actuators]
    for joint in joints:
        spec.add_sensor(
            name=f"{joint}_pos",
            type=mujoco.mjtSensor.mjSENS_JOINTPOS,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            objname=joint,
        )
    model = spec.compile()
    parameters = sysid.ParameterDict()
    transform = sysid.SignalTransform()
    free = {f.name: f for f in free_parameters(world, names)}
    for name in names:
        joint, _, quantity = name.rpartition(".")
        unit = model.opt.timestep if quantity == "latency" else 1.0
        low, high = free[name].low * unit, free[name].high * unit
        key = name.replace(".", "_")
        modifier = None if quantity == "latency" else modifiers(joint)[quantity]
        parameters.add(sysid.Parameter(key, START[quantity] * unit, low, high, modifier=modifier))
        if quantity == "latency":
            transform.delay(f"{joint}_pos", parameters[key])
    sequences = [sequence(world, model, recording, joints) for recording in recordings]
    states, controls, measured = (list(part) for part in zip(*sequences, strict=True))
    group = sysid.ModelSequences("so101", spec, [r.name for r in recordings], states, controls, measured)
    residual = sysid.build_residual_fn(
        models_sequences=[group], modify_residual=transform.apply, n_threads=threads
    )

    def watch(trace: list[mujoco.minimize.IterLog]) -> None:
        rounds(f"round {len(trace) - 1}, sum of squares", float(trace[-1].objective))
        if rounds.over:
            raise Stop(trace[-1].candidate[:, 0])

    try:
        found, _ = sysid.optimize(
            parameters,
            residual,
            optimizer="mujoco",
            max_iters=1000,
            output=io.StringIO(),
            iter_callback=watch,
        )
    except Stop as end:
        found = parameters.copy()
        found.update_from_vector(end.point)
    values = {}
    for name in names:
        value = float(found[name.replace(".", "_")].value[0])
        values[name] = value / model.opt.timestep if name.endswith("latency") else value
    return values


def modifiers(joint: str) -> dict[str, object]:
    def kp(spec: mujoco.MjSpec, p: object) -> None:
        spec.actuator(joint).gainprm[0] = p.value[0]
        spec.actuator(joint).biasprm[1] = -p.value[0]

    return {
        "kp": kp,
        "damping": lambda spec, p: spec.joint(joint).damping.__setitem__(0, p.value[0]),
        "frictionloss": lambda spec, p: setattr(spec.joint(joint), "frictionloss", p.value[0]),
        "bias_torque": lambda spec, p: spec.actuator(joint).biasprm.__setitem__(0, p.value[0]),
    }


def sequence(
    world: World, model: mujoco.MjModel, recording: Recording, joints: list[str]
) -> tuple[object, ...]:
    mapped = map_joints(recording, world.recordings, joints)
    time = mapped.time - mapped.time[0]
    state = sysid.create_initial_state(model, mapped.position[0], np.zeros(model.nv))
    control = sysid.TimeSeries(time, mapped.command)
    measured = sysid.TimeSeries.from_names(time, mapped.position, model)
    return state, control, measured


def error(world: World, recordings: list[Recording], point: dict[str, float]) -> float:
    """Mean RMSE over recordings and joints in open-loop replay, mrad."""
    base = world.with_parameters({}, {f"{n.rpartition('.')[0]}.kd": 0.0 for n in point})
    names = [n for n in point if not n.endswith(".kd")]
    space = ParameterSpace(tuple(free_parameters(base, names))).with_start(point)
    motions = [motion_of(world, recording) for recording in recordings]
    return 1000 * float(RecordingProblem.of(base, space, motions, 0).rmse(space.start[None]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recordings", type=Path, nargs="?", help="default: npz/train in SIM2REAL_RECORDINGS")
    parser.add_argument("--quick", action="store_true", help="three seconds of four recordings, two joints")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each fitted recording")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=30.0, help="most that a fit takes")
    arguments = parser.parse_args()
    folder = arguments.recordings or Path(os.environ.get("SIM2REAL_RECORDINGS", "")) / "npz" / "train"
    if not folder.exists():
        raise SystemExit(
            "no recordings of the real arm; give their folder, or name it in SIM2REAL_RECORDINGS"
        )
    world = World.load("so101")
    logs = load_recordings(folder)
    joints = [world.model.actuator(k).name for k in range(world.model.nu)]
    if arguments.quick:
        logs, joints = [shortened(log, 3.0) for log in logs[:4]], joints[1:3]
    held = logs[3::4]
    fitted = [shortened(log, arguments.seconds) for log in logs if log not in held]
    names = [f"{joint}.{quantity}" for quantity in QUANTITIES for joint in joints]
    fits = {"sim2real, from the published values": ours, "mujoco.sysid, from a start near by": theirs}
    if not hasattr(sysid, "optimize"):
        fits.popitem()
        print('No row of mujoco.sysid; for it: pip install "mujoco[sysid]"')
    table = Table("fit", "wall s", "CPU s", "fitted mrad", "held out mrad")
    for label, fit in fits.items():
        rounds = Rounds(label.split(",")[0], 60 * arguments.minutes)
        wall, cpu = time.perf_counter(), time.process_time()
        point = fit(world, fitted, names, arguments.threads, rounds)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        errors = [error(world, logs, point) for logs in (fitted, held)]
        table.add_row(label, f"{wall:.1f}", f"{cpu:.1f}", *(f"{e:.2f}" for e in errors))
    Console().print(table)


if __name__ == "__main__":
    main()
