"""What comes before a replay or a fit: recordings are read, looked at by the log doctor, and refused if bad.

taken = screen_recordings(World.load("so101"), Path("recordings"))
found = identify(world, taken.recordings, Options(complaints=taken.complaints))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim2real.doctor.diagnose import diagnose
from sim2real.doctor.expected import expected_of
from sim2real.doctor.finding import BAD, Diagnosis, Finding
from sim2real.doctor.summary import where
from sim2real.errors import BadData, RecordingError
from sim2real.recordings import RawLog, Recording, read_raw
from sim2real.recordings.raw import trusted
from sim2real.world import World

PAGE = "doctor"
"""Folder of the doctor's page, beside a fit's own files."""


@dataclass(frozen=True, eq=False)
class ScreenedRecordings:
    """Recordings that may be replayed and fitted, and what there is to say against them."""

    recordings: tuple[Recording, ...]
    diagnosis: Diagnosis

    @property
    def complaints(self) -> tuple[str, ...]:
        """What the doctor calls bad, a sentence each; empty unless bad data were insisted on."""
        return tuple(finding.text for finding in self.diagnosis.of(BAD))


def screen_recordings(
    world: World,
    folder: Path,
    allow_bad: bool = False,
    unwrap: bool = False,
    show: Callable[[Diagnosis], Path] | None = None,
) -> ScreenedRecordings:
    """Read the recordings in a folder and look at them before anything is computed from them.

    Args:
        world: whose joints, ranges and units they must fit.
        folder: of recordings, or one of them.
        allow_bad: take what can be read all the same; logs that can't be read or trusted stay out.
        unwrap: take jumps by a whole turn out of angles first.
        show: writes the doctor's page, which a refusal then names; see `sim2real.report.doctor`.

    Raises:
        RecordingError: if there is no recording, or none that can be read.
        BadData: if the doctor finds data that nothing should be fitted to, unless ``allow_bad``.
        InvalidValue: for a gymnasium env, in which none can be replayed.
        MissingExtra: for a format whose package is not installed.
    """
    world.check_has_scene()
    logs = read_raw(folder, unwrap)
    diagnosis = diagnose(logs, expected_of(world))
    page = "" if show is None else str(show(diagnosis))
    bad = diagnosis.of(BAD)
    if bad and not allow_bad:
        raise BadData(_refusal(folder, bad, page))
    return ScreenedRecordings(tuple(_readable(logs)), diagnosis)


def _refusal(folder: Path, bad: Sequence[Finding], page: str) -> str:
    rows = f"; rows {where(bad[0].rows)}" if bad[0].rows else ""
    others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    see = f"see {page}, " if page else ""
    return (
        f"BAD_DATA in {folder}: {bad[0].text}{rows}{others}; {see}mend or remove the recordings, or take "
        "what can be read all the same with --allow-bad-data (allow_bad=True)"
    )


def _readable(logs: Sequence[RawLog]) -> list[Recording]:
    """The logs whose rows are in order and all numbers; those aside that are not."""
    found, last = [], None
    for log in logs:
        try:
            found.append(trusted(log))
        except RecordingError as error:
            last = error
    if not found:
        assert last is not None
        raise last
    return found
