"""From recordings to a domain in one call: fit, intervals and verdicts.

found = identify(World.load("so101"), recordings)
env = Sim2RealVectorEnv("so101", 64, domain=found.domain)       # or train --domain .../identified.toml
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from sim2real.draws import checked_seed
from sim2real.fingerprint import fingerprint
from sim2real.identify.assess import assess
from sim2real.identify.defaults import motions_of
from sim2real.identify.fit import Fitter, Watch
from sim2real.identify.options import Options as Options
from sim2real.identify.result import Identification
from sim2real.kept import Kept
from sim2real.recordings import Recording
from sim2real.world import World

ASSESS = "intervals and verdicts"
"""The stage after the fit."""
_FORMAT = 9
"""Of what is settled; to be raised whenever that changes its form or meaning."""


def identify(
    world: World,
    recordings: Sequence[Recording],
    options: Options | None = None,
    watch: Watch = lambda *_: None,
) -> Identification:
    """What `sim2real.identify` does with recordings that are read and looked at, before it writes anything.

    Args:
        world: whose published values the fit begins with.
        recordings: of the robot; their joints are mapped on the world's.
        options: what is free, fixed and held out, and what an interrupted call goes on from.
        watch: called with what is going on, the number of the round and the least error so far (mean RMSE;
            NaN before and after a fit).

    Raises:
        RecordingError: for no recordings, joints that don't fit, or nothing left to fit.
        UnknownName: for a parameter or a held-out recording that does not exist.
        InvalidValue: for a world that recordings can't be replayed in, or a seed that is none.
    """
    options, began = options or Options(), time.perf_counter()
    options = dataclasses.replace(options, seed=checked_seed(options.seed))
    options.check(world)
    motions = motions_of(world, recordings)
    key = fingerprint(_FORMAT, world, recordings, dataclasses.replace(options, checkpoint=None))
    model = Fitter(world, motions, options, watch, Kept(options.checkpoint), key).run()
    watch(ASSESS, 0, float("nan"))
    return assess(model, options, time.perf_counter() - began)
