"""From recordings to the physics that they show, with its pages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from sim2real.identify.check import check
from sim2real.identify.experiment_design import next_motion
from sim2real.identify.fit import Watch
from sim2real.identify.identify import identify as fit_to_recordings
from sim2real.identify.options import Options
from sim2real.identify.result import Identification
from sim2real.pipelines.given import given_world
from sim2real.pipelines.recordings import RecordingSettings, screened
from sim2real.recordings import Recording
from sim2real.report.identification import write_identification
from sim2real.world import World

CHECKPOINT = "checkpoint.json"
CHECK, PROPOSE = "check", "which motion to record next"
"""Stages before and after the fit."""


def identify(
    world: str | Path | World,
    recordings: str | Path | Sequence[Recording],
    options: Options | None = None,
    watch: Watch = lambda *_: None,
    out: str | Path | None = None,
    facts: Mapping[str, str] | None = None,
) -> Identification:
    """Find the physics under which a world does what the recordings show.

    Args:
        world: whose published values the fit begins with, or its name or folder.
        recordings: of the robot, or their folder; those in a folder are looked at by the log doctor first.
        options: what is free, fixed and held out.
        watch: called with what is going on, the number of the round and the least error so far (mean RMSE;
            NaN before and after a fit).
        out: folder that gets ``identified.toml``, ``point.toml``, ``identification.html``, the doctor's page,
            the next motion to record, and what an interrupted call goes on from. By default nothing is
            written, checked beforehand or proposed.
        facts: lines of provenance for the pages, such as the command.

    Raises:
        RecordingError: for no recordings, joints that don't fit, or nothing left to fit.
        BadData: if the doctor finds data in a folder that nothing should be fitted to.
        UnknownName: for a world, a parameter or a held-out recording that does not exist.
        InvalidValue: for a world that recordings can't be replayed in, or a seed that is none.
    """
    world = given_world(world)
    out, options = None if out is None else Path(out), options or Options()
    if isinstance(recordings, str | Path):
        how = RecordingSettings(options.allow_bad, options.unwrap, facts or {})
        taken = screened(world, recordings, out, how)
        recordings = taken.recordings
        options = dataclasses.replace(options, complaints=(*options.complaints, *taken.complaints))
    if out is None:
        return fit_to_recordings(world, recordings, options, watch)
    watch(CHECK, 0, math.nan)
    checked = check(world, recordings, options)
    watch(checked.text, 0, math.nan)
    kept = options.checkpoint or out / CHECKPOINT
    found = fit_to_recordings(world, recordings, dataclasses.replace(options, checkpoint=kept), watch)
    watch(PROPOSE, 0, math.nan)
    motion = next_motion(world, recordings, found, options)
    proposed = None if motion is None else motion.to_json()
    found = dataclasses.replace(found, check=checked.to_json(), next_motion=proposed)
    found.save(out)
    if motion is not None:
        motion.save(out)
    write_identification(found, out, facts)
    return found
