"""From recordings to a domain in one call: check, fit, verdicts and next motion.

found = identify(World.load("so101"), recordings, out=Path("runs/identified"))
env = Sim2RealVectorEnv("so101", 64, domain=found.domain)       # or train --domain .../identified.toml
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sim2real.draws import checked_seed
from sim2real.errors import RecordingError
from sim2real.fingerprint import fingerprint
from sim2real.identify.assess import assess
from sim2real.identify.check import check
from sim2real.identify.defaults import motions_of
from sim2real.identify.experiment_design import next_motion
from sim2real.identify.fit import Fitter, Watch
from sim2real.identify.options import Options as Options
from sim2real.identify.result import Identification
from sim2real.kept import Kept
from sim2real.recordings import Recording
from sim2real.world import World

CHECKPOINT = "checkpoint.json"
_FORMAT = 9
"""Of what is settled there; to be raised whenever that changes its form or meaning."""
CHECK, ASSESS, PROPOSE = "check", "intervals and verdicts", "which motion to record next"
"""Stages before and after the fit."""


def identify(
    world: World,
    recordings: Sequence[Recording],
    options: Options | None = None,
    watch: Watch = lambda *_: None,
    out: Path | None = None,
    before: Mapping[str, object] | None = None,
) -> Identification:
    """What `sim2real.identify` does with recordings that are read and looked at, without a page.

    Args:
        world: whose published values the fit begins with.
        recordings: of the robot; their joints are mapped on the world's.
        options: what is free, fixed and held out.
        watch: called with what is going on, the number of the round and the least error so far (mean RMSE).
        out: folder of the domain, the numbers, the next motion to record, and what an interrupted call goes
            on from. By default nothing is written, checked beforehand or proposed.
        before: what `sim2real.identify.check.Check.to_json` said, if that was asked already.

    Raises:
        RecordingError: for no recordings, joints that don't fit, or nothing left to fit.
        UnknownName: for a parameter or a held-out recording that does not exist.
        InvalidValue: for a world that recordings can't be replayed in, or a seed that is none.
    """
    options, began = options or Options(), time.perf_counter()
    options = dataclasses.replace(options, seed=checked_seed(options.seed))
    if not recordings:
        raise RecordingError("there are no recordings to identify from; load_recordings(folder) reads them")
    options.check(world)
    motions = motions_of(world, recordings)
    if out is not None and before is None:
        watch(CHECK, 0, float("nan"))
        checked = check(world, recordings, options)
        watch(checked.text, 0, float("nan"))
        before = checked.to_json()
    path = out / CHECKPOINT if out is not None and options.checkpoint is None else options.checkpoint
    key = fingerprint(_FORMAT, world, recordings, dataclasses.replace(options, checkpoint=None))
    model = Fitter(world, motions, options, watch, Kept(path), key).run()
    if out is not None:
        watch(ASSESS, 0, float(model.problem.cost(model.points[1][None])[0]))
    found = assess(model, options, time.perf_counter() - began)
    if out is None:
        return found
    watch(PROPOSE, 0, float("nan"))
    motion = next_motion(world, recordings, found, options)
    proposed = None if motion is None else motion.to_json()
    found = dataclasses.replace(found, check=before, next_motion=proposed)
    found.save(out)
    if motion is not None:
        motion.save(out)
    return found
