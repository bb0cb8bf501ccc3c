"""The real SO-101, identified from its training recordings and judged on the others.

    python scripts/identify_so101.py path/to/so101/npz

Fits on ``train`` alone, from published values; prints the error on ``test`` in free space and in contact,
what the residual of the contact motions says, and the error with the table that it proposes: found on one
contact motion, the error measured on the other. Then what these recordings can't tell, and what still can't
be told once something fixes it.

    --contact       identifies from ``train`` and one contact motion, too, and judges on the rest of ``test``
    --quick         few short motions, few parameters and a search too short, to see that all of it runs
    --folds 4       nothing but: fits ``train`` without every fourth motion in turn, each judged on those
"""

import argparse
import dataclasses
import os
from pathlib import Path

import numpy as np

from sim2real.cli.show import show_tables
from sim2real.domain import Domain
from sim2real.identify.contacts import Planes, touching
from sim2real.identify.defaults import cut
from sim2real.identify.identifiability import combinations
from sim2real.identify.identify import Options, identify
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.space import ParameterSpace, free_parameters
from sim2real.recordings import Recording, load_recordings
from sim2real.replay import Motion, Replayer, motion_of
from sim2real.replay.motion import liveliest
from sim2real.replay.residuals import diagnose
from sim2real.report.identification import fit_sections, write_identification
from sim2real.world import World

CONTACT = ("hold_under_gravity", "workspace_sweep")
QUICK = ("staircase_motion", "hover_positions", "reach_and_return", "fast_transitions", *CONTACT)


def predicted(world: World, motions: list[Motion], point: dict[str, float]) -> list[np.ndarray]:
    names = tuple(point)
    run = Replayer(world, motions, 1, 0, names).run(names, np.array([list(point.values())]))
    return [positions[0] for positions in run]


def rmse(motions: list[Motion], positions: list[np.ndarray]) -> float:
    """Mean over motions of the mean over joints, mrad."""
    pairs = zip(motions, positions, strict=True)
    return 1000 * float(np.mean([np.sqrt(((p - m.measured) ** 2).mean(axis=0)).mean() for m, p in pairs]))


SCALE = ("kp", "damping", "frictionloss", "armature", "torque_limit")
SHARED = ("servos.kp", "joints.damping", "joints.frictionloss", "joints.armature")
GRAVITY = ("shoulder_lift", "elbow_flex", "wrist_flex")
LIVELY = 8.0  # s of each recording, in which the commands move most


def untold(world: World, motions: list[Motion], point: dict[str, float], names: list[str]) -> list[str]:
    """What can't be told apart near a point, with some names free and all others fixed."""
    free = free_parameters(world.with_parameters({}, point), names)
    space = ParameterSpace(tuple(free))
    problem = RecordingProblem.of(world.with_parameters({}, point), space, motions, fast=True)
    linear = problem.linearize(space.start, central=True)
    return [c.text for c in combinations(problem, linear.hessian, linear.loss)]


def print_untold(world: World, motions: list[Motion], point: dict[str, float]) -> None:
    """Scales and gravity loads with everything free, and again with something that fixes them."""
    flat = {name: value for name, value in point.items() if not name.endswith("bias_torque")}
    for joint in ("shoulder_pan", "wrist_roll", "gripper"):
        names = [f"{joint}.{quantity}" for quantity in SCALE]
        fixed = [name for name in names if not name.endswith(("armature", "torque_limit"))]
        print(f"{joint}, scale free: {untold(world, motions, flat, names)}")
        print(f"{joint}, armature and torque limit fixed: {untold(world, motions, flat, fixed)}")
    shared = {
        group: float(np.median([v for n, v in flat.items() if n.endswith(f".{group.split('.')[1]}")]))
        for group in SHARED[:3]
    }
    print(f"servos shared: {untold(world, motions, shared | {'servos.kd': 0.0}, list(SHARED))}")
    biases = [f"{joint}.bias_torque" for joint in GRAVITY]
    masses = [n for n, p in world.parameters.items() if p.quantity.name == "mass"]
    print(f"biases and masses free: {untold(world, motions, point, biases + masses)}")
    print(f"biases free, masses fixed: {untold(world, motions, point, biases)}")


def print_tables(base: World, point: dict[str, float], motions: list[Motion]) -> None:
    """The table that each of two contact motions shows, and how well it predicts the other."""
    errors = []
    for motion, other in (motions, motions[::-1]):
        windows = cut(base, [other], 0.0)
        hits = touching(base, windows, predicted(base, windows, point))
        plane = Planes(base, point, hits).best()
        if plane:
            values = [list(plane.values())]
            error = 1000 * float(Planes(base, point, [motion]).errors(values, [motion]).mean())
            found = ", ".join(f"{name} = {value:.3g}" for name, value in plane.items())
            print(f"  {other.name} shows {found}; {motion.name} is then off by {error:.2f} mrad")
            errors.append(error)
    if errors:
        print(f"test, contact, with the other motion's table: {np.mean(errors):.2f} mrad")


def print_with_contact(train: list[Recording], test: list[Recording], options: Options, out: Path) -> None:
    """One contact motion is among the recordings: the table is part of the result."""
    world = World.load("so101")
    for name in CONTACT:
        given = [*train, *(recording for recording in test if recording.name == name)]
        found = identify(
            world, given, dataclasses.replace(options, checkpoint=out / name / "checkpoint.json")
        )
        found.save(out / name)
        write_identification(found, out / name)
        point = dict(found.point)
        rest = [motion_of(world, recording) for recording in test if recording.name != name]
        base = world.for_domain(Domain.point(point))
        errors = {m.name: rmse([m], predicted(base, [m], point)) for m in rest}
        free = np.mean([error for motion, error in errors.items() if motion not in CONTACT])
        (other,) = [motion for motion in errors if motion in CONTACT]
        print(f"with {name}: {found.model_selection[-1].model}")
        for estimate in found.estimates:
            if estimate.name.startswith("floor."):
                ends = f"{estimate.low:.3g} to {estimate.high:.3g}"
                print(f"  {estimate.name} = {estimate.value:.3g} {estimate.unit}, 95 % {ends}")
        print(f"  test, free space: {free:.2f} mrad; {other}: {errors[other]:.2f} mrad")


def print_folds(world: World, recordings: list[Recording], options: Options, folds: int) -> None:
    """Each motion as it is predicted by a fit that has not seen it, beside the fit of all the others."""
    errors = {}
    for fold in range(folds):
        held = recordings[fold::folds]
        rest = [recording for recording in recordings if recording not in held]
        point = dict(identify(world, rest, dataclasses.replace(options, nuisance=False)).point)
        base = world.for_domain(Domain.point(point))
        for motion in (motion_of(world, recording) for recording in held):
            (found,) = predicted(base, [motion], point)
            errors[motion.name] = rmse([motion], [found])
            joints = 1000 * np.sqrt(((found - motion.measured) ** 2).mean(axis=0))
            print(f"{motion.name}: {errors[motion.name]:.2f} mrad; by joint {np.round(joints, 1)}")
    print(f"held out, mean over {len(errors)} motions: {np.mean(list(errors.values())):.2f} mrad")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recordings", type=Path, nargs="?", help="default: npz/ in SIM2REAL_RECORDINGS")
    parser.add_argument("--quick", action="store_true", help="few short motions, a search too short")
    parser.add_argument("--out", type=Path, default=Path("runs/identify-so101"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--contact", action="store_true", help="also identify with a contact motion among them"
    )
    parser.add_argument("--folds", type=int, default=0, help="only judge train's motions by folds of them")
    arguments = parser.parse_args()
    folder = arguments.recordings or Path(os.environ.get("SIM2REAL_RECORDINGS", "")) / "npz"
    if not folder.exists():
        raise SystemExit(
            "no recordings of the real arm; give their folder, or name it in SIM2REAL_RECORDINGS"
        )
    world = World.load("so101")
    options = Options(threads=arguments.threads)
    recordings, test = (load_recordings(folder / part) for part in ("train", "test"))
    if arguments.quick:
        free = (f"{world.model.actuator(k).name}.{q}" for q in SCALE[:3] for k in range(world.model.nu))
        options = dataclasses.replace(options, free=tuple(free), generations=4, nuisance=False)
        recordings, test = ([log for log in logs if log.name in QUICK] for logs in (recordings, test))
    if arguments.folds:
        print_folds(world, recordings, options, arguments.folds)
        return
    train = [motion_of(world, recording) for recording in recordings]
    checkpoint = arguments.out / "checkpoint.json"
    found = identify(world, recordings, dataclasses.replace(options, checkpoint=checkpoint))
    found.save(arguments.out)
    write_identification(found, arguments.out)
    show_tables(*(table for section in fit_sections(found) for table in section.tables))
    point = dict(found.point)
    base = world.for_domain(Domain.point(point))
    judged = [motion_of(world, recording) for recording in test]
    contact = [motion for motion in judged if motion.name in CONTACT]
    free = [motion for motion in judged if motion.name not in CONTACT]
    after = predicted(base, contact, point)
    print(f"test, free space: {rmse(free, predicted(base, free, point)):.2f} mrad")
    print(f"test, contact: {rmse(contact, after):.2f} mrad")
    for hint in diagnose(world, contact, after)[:3]:
        print(f"  {hint.text}")
    print_tables(base, point, liveliest(contact, LIVELY, len(contact)) if arguments.quick else contact)
    print_untold(world, liveliest(train, LIVELY, len(train)), point)
    if arguments.contact:
        print_with_contact(recordings, test, options, arguments.out)


if __name__ == "__main__":
    main()
