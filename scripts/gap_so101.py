"""How far the so101 world, untouched, is from the real arm: the figures of issue "Real input".

    python scripts/gap_so101.py path/to/so101/npz
    python scripts/gap_so101.py --quick             # three short motions of them

Replays the recordings open-loop and prints the mean RMSE of three kinds of motion, beside what
others measured for the same description (MuJoCo Menagerie's SO-101) and for the delayed command.
Which six motions the last row had there is not known; the six two-minute excitations come
closest.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from sim2real.evaluate.replay import SIMULATION, replay_gap
from sim2real.recordings import load_recordings
from sim2real.replay.baselines import DELAYED
from sim2real.report.replay import replay_tables
from sim2real.world import World

QUICK = ("test/fast_transitions", "test/hold_under_gravity", "train/step_response")
KINDS = {
    "free": (
        "circular_motion end_effector fast_transitions inertia_coupling single_joint_wrist_pitch "
        "velocity_ramp",
        33.7,
        23.3,
    ),
    "contact": ("hold_under_gravity workspace_sweep", 25.0, 22.6),
    "excitation": (
        "chirp_sweep coupled_joints friction_gravity multisine prbs_excitation step_response",
        37.6,
        31.2,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recordings", type=Path, nargs="?", help="default: npz/ in SIM2REAL_RECORDINGS")
    parser.add_argument("--quick", action="store_true", help="three short recordings")
    arguments = parser.parse_args()
    folder = arguments.recordings or Path(os.environ.get("SIM2REAL_RECORDINGS", "")) / "npz"
    if not folder.exists():
        raise SystemExit(
            "no recordings of the real arm; give their folder, or name it in SIM2REAL_RECORDINGS"
        )
    if arguments.quick:
        recordings = [log for name in QUICK for log in load_recordings(folder / f"{name}.npz")]
    else:
        recordings = load_recordings(folder)

    gap = replay_gap(World.load("so101"), recordings)
    names = [motion.name.rpartition("/")[2] for motion in gap.motions]
    table = Table(title="Mean RMSE over joints and motions, mrad")
    table.add_column("motions")
    for column in ("so101, nominal", "others: nominal", "delayed command", "others: delayed"):
        table.add_column(column, justify="right")
    for kind, (members, nominal, delayed) in KINDS.items():
        rows = [names.index(name) for name in members.split() if name in names]
        if rows:
            ours, baseline = (
                1000 * float(np.mean(gap.per_motion(predictor)[rows])) for predictor in (SIMULATION, DELAYED)
            )
            cells = [f"{value:.1f}" for value in (ours, nominal, baseline, delayed)]
            table.add_row(f"{kind} ({len(rows)})", *cells)

    console = Console(width=120)
    for part in (*(known.grid for known in replay_tables(gap)), table):
        console.print(part)


if __name__ == "__main__":
    main()
