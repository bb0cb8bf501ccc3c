"""The real SO-101, identified from its training recordings and judged on the others.

    python scripts/identify_so101.py path/to/so101/npz

Fits on ``train`` alone, from published values; prints the error on ``test`` in free space and in contact,
what the residual of the contact motions says, and the error with the table that it proposes: its height found
on one contact motion, the error measured on the other.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console

from sim2real.domain import Domain
from sim2real.identify.diagnose import diagnose
from sim2real.identify.identify import Options, identify
from sim2real.identify.page import write_page
from sim2real.identify.plane import find_plane, with_plane
from sim2real.identify.summary import identification_tables
from sim2real.opening import opened_for
from sim2real.recordings import load_recordings
from sim2real.replay import Motion, Replayer, motion_of
from sim2real.world import World

CONTACT = ("hold_under_gravity", "workspace_sweep")


def predicted(world: World, motions: list[Motion], point: dict[str, float]) -> list[np.ndarray]:
    names = tuple(point)
    run = Replayer(world, motions, 1, 0, names).run(names, np.array([list(point.values())]))
    return [positions[0] for positions in run]


def rmse(motions: list[Motion], positions: list[np.ndarray]) -> float:
    """Mean over motions of the mean over joints, mrad."""
    pairs = zip(motions, positions, strict=True)
    return 1000 * float(np.mean([np.sqrt(((p - m.measured) ** 2).mean(axis=0)).mean() for m, p in pairs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recordings", type=Path, help="folder with train/ and test/")
    parser.add_argument("--out", type=Path, default=Path("runs/identify-so101"))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    console, world = Console(), World.load("so101")
    options = Options(threads=arguments.threads, checkpoint=arguments.out / "checkpoint.json")
    found = identify(world, load_recordings(arguments.recordings / "train"), options)
    found.save(arguments.out)
    write_page(found, arguments.out)
    for table in identification_tables(found):
        console.print(table)
    point = dict(found.point)
    base = opened_for(world, Domain.point(point))
    test = [motion_of(world, recording) for recording in load_recordings(arguments.recordings / "test")]
    touching = [motion for motion in test if motion.name in CONTACT]
    free = [motion for motion in test if motion.name not in CONTACT]
    after = predicted(base, touching, point)
    console.print(f"test, free space: {rmse(free, predicted(base, free, point)):.2f} mrad")
    console.print(f"test, contact: {rmse(touching, after):.2f} mrad")
    for hint in diagnose(world, touching, after)[:3]:
        console.print(f"  {hint.text}")
    errors = []
    for motion, other in (touching, touching[::-1]):
        plane = find_plane(base, point, [other], arguments.threads)
        if plane is not None:
            table = point | plane.values
            error = rmse([motion], predicted(with_plane(base, plane.geom), [motion], table))
            console.print(f"  {plane.text}; {motion.name} is then off by {error:.2f} mrad")
            errors.append(error)
    if errors:
        console.print(f"test, contact, with the other motion's table: {np.mean(errors):.2f} mrad")


if __name__ == "__main__":
    main()
