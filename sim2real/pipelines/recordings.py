"""The log doctor with its page, by itself and before a replay or a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sim2real.doctor import diagnose as diagnose_logs
from sim2real.doctor import expected_of
from sim2real.doctor.finding import Diagnosis
from sim2real.doctor.screening import PAGE, ScreenedRecordings, screen_recordings
from sim2real.pipelines.given import given_world
from sim2real.recordings import read_raw
from sim2real.report.doctor import write_diagnosis
from sim2real.world import World


@dataclass(frozen=True)
class RecordingSettings:
    """How the recordings of a robot are taken."""

    allow_bad: bool = False
    """Whether to take what can be read of what the log doctor calls bad."""
    unwrap: bool = False
    """Whether to take jumps by a whole turn out of the recordings' angles."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Lines of provenance for the pages, such as the command."""


def screened(
    world: World, folder: str | Path, out: Path | None, settings: RecordingSettings | None = None
) -> ScreenedRecordings:
    """`screen_recordings`, with the doctor's page in a folder of its own in ``out``; None writes none."""
    settings, folder = settings or RecordingSettings(), Path(folder)

    def write(found: Diagnosis) -> Path:
        assert out is not None
        return write_diagnosis(found, out / PAGE, str(folder), settings.facts.get("command", ""))

    return screen_recordings(
        world, folder, settings.allow_bad, settings.unwrap, None if out is None else write
    )


def diagnose(
    recordings: str | Path,
    world: str | Path | World | None = None,
    out: str | Path | None = None,
    settings: RecordingSettings | None = None,
) -> Diagnosis:
    """What is wrong with recordings of a robot, and in which rows.

    Args:
        recordings: a folder of them, or one.
        world: whose joints, ranges and units they must fit; by default none's.
        out: folder that gets ``recordings.html`` and ``recordings.json``; by default nothing is written.
        settings: how the recordings are taken; what is bad is never refused here.

    Raises:
        RecordingError: if there is no recording.
        UnknownName: for a world that does not exist.
        MissingExtra: for a format whose package is not installed.
    """
    settings, folder = settings or RecordingSettings(), Path(recordings)
    expected = None if world is None else expected_of(given_world(world))
    found = diagnose_logs(read_raw(folder, settings.unwrap), expected)
    if out is not None:
        write_diagnosis(found, Path(out), str(folder), settings.facts.get("command", ""))
    return found
