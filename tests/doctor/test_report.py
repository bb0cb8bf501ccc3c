import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from sim2real.doctor import diagnose, verdict_sentence
from sim2real.recordings.raw import unreadable
from sim2real.report.doctor import finding_table, recording_table, write_diagnosis


@pytest.fixture
def broken(clean, tmp_path):
    """A diagnosis with findings of every kind of picture."""
    gone = np.delete(np.arange(1000), slice(400, 406))
    first = clean[0]
    kept = {key: getattr(first, key)[gone] for key in ("time", "command", "position", "velocity")}
    lost = first.position.copy()
    lost[100:103, 1] = np.nan
    return diagnose(
        [
            replace(first, name="train/gap", command_time=first.time[gone], **kept),
            replace(clean[1], name="train/nan", position=np.where(np.isnan(lost), np.nan, clean[1].position)),
            replace(clean[2], position=clean[2].position * 57.3),
            replace(clean[2], name="test/copy", position=clean[2].position * 57.3),
            replace(clean[3], position=clean[3].position + np.array([0.0, 0.5])),
            unreadable("train/<b>[red]", tmp_path, "<script>alert(1)</script> [bold]it is cut off"),
        ]
    )


def test_the_verdict_is_a_sentence(clean, broken):
    assert verdict_sentence(diagnose(clean)) == "USABLE: 4 recordings of 2 joints, 79.9 s."
    said = verdict_sentence(broken)
    assert said.startswith("BAD_DATA: 5 of 6 recordings can't be trusted (")
    assert "missing numbers" in said


def test_two_files_are_written_and_replaced(broken, tmp_path):
    for _ in range(2):
        page = write_diagnosis(broken, tmp_path / "new" / "doctor", "logs")
    assert sorted(path.name for path in page.parent.iterdir()) == ["recordings.html", "recordings.json"]


def test_the_json_is_strict_and_names_rows(broken, tmp_path):
    write_diagnosis(broken, tmp_path, "logs")
    text = (tmp_path / "recordings.json").read_text("utf-8")
    table = json.loads(text, parse_constant=lambda _: pytest.fail("not strict JSON"))
    assert table["verdict"] == "BAD_DATA"
    assert table["bad_recordings"] == sorted(broken.bad_recordings)
    [gap] = [finding for finding in table["findings"] if finding["kind"] == "gap"]
    assert gap["rows"] == [["train/gap", 399, 400]]
    assert [recording["name"] for recording in table["recordings"]] == [log.name for log in broken.logs]


def test_the_page_needs_no_network_and_shows_curves(broken, tmp_path):
    page = write_diagnosis(broken, tmp_path, "logs").read_text("utf-8")
    assert not re.search(r"https?://|<link|<script [^>]*src|@import|url\(", page)
    cards = re.findall(r"<article.*?</article>", page, re.DOTALL)
    assert len(cards) == len([f for f in broken.findings if f.severity != "fact"])
    curves = [
        json.loads(found[1])
        for card in cards
        if (found := re.search(r'<script type="application/json">(.*?)</script>', card))
    ]
    assert len(curves) == len(cards) - 1  # all but the one that has no rows
    card = next(card for card in cards if "missing numbers" in card)
    assert '"shaded": [[99.5, 102.5]]' in card


def test_names_can_not_break_out(broken, tmp_path):
    page = write_diagnosis(broken, tmp_path, "<i>logs</i>").read_text("utf-8")
    assert "<script>alert" not in page
    assert "<i>logs" not in page
    console = Console(width=120, record=True, file=None)
    with console.capture() as captured:
        for table in (finding_table(broken), recording_table(broken)):
            console.print(table.grid)
    assert "[bold]it is cut off" in captured.get()
    assert "train/<b>[red]" in captured.get()


def test_the_tables_show_every_finding_and_recording(broken):
    console = Console(width=200)
    with console.capture() as captured:
        for table in (finding_table(broken), recording_table(broken)):
            console.print(table.grid)
    text = captured.get()
    assert all(log.name in text for log in broken.logs)
    assert all(finding.kind in text for finding in broken.findings)
    assert "rows 100–102" in text
