"""The gap between a world and the recordings of a robot, with its pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sim2real.doctor.finding import Diagnosis
from sim2real.domain import Domain
from sim2real.evaluate.replay import ReplayGap, replay_gap
from sim2real.evaluate.replay_summary import verdict
from sim2real.pipelines.given import given_world
from sim2real.pipelines.recordings import RecordingSettings, screened
from sim2real.report.replay import write_replay_report
from sim2real.world import World


@dataclass(frozen=True, eq=False)
class RecordedGap:
    """What a replay of recordings shows."""

    replay: ReplayGap
    """Errors by joint and motion, and what they come from."""
    nominal: ReplayGap | None
    """Of the nominal physics, where another was replayed."""
    diagnosis: Diagnosis
    """What the log doctor says of the recordings."""
    page: Path | None
    """``gap.html``, if a folder was given."""

    @property
    def verdict(self) -> str:
        """How big the gap is, and whether the physics that were given make it smaller."""
        return verdict(self.replay, self.nominal)


def gap(
    world: str | Path | World,
    recordings: str | Path,
    physics: Domain | None = None,
    out: str | Path | None = None,
    settings: RecordingSettings | None = None,
    begin: Callable[[int], object] = lambda _: None,
) -> RecordedGap:
    """Replay recordings of a robot, and measure the gap joint by joint.

    Args:
        world: that stands for the robot, or its name or folder.
        recordings: their folder, or one of them.
        physics: whose middle to replay under, such as an `Identification.domain`; by default nominal.
        out: folder that gets the page and the doctor's; by default nothing is written.
        settings: how the recordings are taken.
        begin: called with the number of recordings before they are replayed.

    Raises:
        RecordingError: if there is none, or none that fits the world.
        BadData: if the doctor finds data that nothing should be computed from.
        UnknownName: for a world or a parameter that does not exist.
    """
    world = given_world(world)
    out, settings = None if out is None else Path(out), settings or RecordingSettings()
    values = None if physics is None else world.domain(physics).median()
    taken = screened(world, recordings, out, settings)
    begin(len(taken.recordings))
    replay = replay_gap(world, taken.recordings, values, horizons=True)
    page = None if out is None else write_replay_report(replay, out, settings.facts)
    nominal = None if values is None else replay_gap(world, taken.recordings)
    return RecordedGap(replay, nominal, taken.diagnosis, page)
