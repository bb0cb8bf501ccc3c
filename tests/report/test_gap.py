import html.parser
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from sim2real.errors import InvalidValue
from sim2real.evaluate.episode_table import COLUMNS, LATER
from sim2real.evaluate.episodes_file import read_episodes
from sim2real.evaluate.gap import GapOptions, gap_report
from sim2real.evaluate.scores import Reference
from sim2real.report.gap import write_report
from sim2real.report.gap_figure import draw_profiles

FILES = {"episodes.parquet", "summary.json", "report.png", "report.html"}
VARIANTS = {"home": "control", "light": "interpolation", "heavy": "combined"}


def make_table(labels=("nominal", "randomized"), seeds=3, variants=VARIANTS, episodes=3):
    rng = np.random.default_rng(0)
    rows = [
        (label, label, f"x-{label}-{seed}", seed, variant, group, episode,
         100 - 25.0 * j + 9 * i + rng.normal(), 80, rng.random() < 0.5, False)
        for i, label in enumerate(labels)
        for seed in range(seeds)
        for j, (variant, group) in enumerate(variants.items())
        for episode in range(episodes)
        if not (label == "fine-tuned" and group == "interpolation")
    ]  # fmt: skip
    return dict(zip(COLUMNS, map(np.array, zip(*rows, strict=True)), strict=True))


def references(table):
    return {str(v): Reference(0.0, 120.0) for v in np.unique(table["variant"])}


def write(folder, table, **options):
    report = gap_report(table, references(table), GapOptions(**options))
    return write_report(report, table, folder, {"command": "sim2real evaluate <x>"})


class Page(html.parser.HTMLParser):
    """Collect tags, addresses that would be loaded, and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "data", "action"}:
                self.addresses.append(value)

    def handle_data(self, data):
        self.text += data


def test_four_files_and_nothing_else(tmp_path):
    assert write(tmp_path / "new" / "run", make_table()).name == "report.html"
    assert {path.name for path in (tmp_path / "new" / "run").iterdir()} == FILES


def test_episodes_round_trip(tmp_path):
    table = make_table()
    write(tmp_path, table)
    again = read_episodes(tmp_path / "episodes.parquet")
    assert list(again) == [*COLUMNS, *LATER]
    for name in COLUMNS:
        np.testing.assert_array_equal(again[name], table[name])
    assert gap_report(again, references(table)) == gap_report(table, references(table))
    schema = pq.read_schema(tmp_path / "episodes.parquet")
    assert str(schema.field("label").type).startswith("dictionary")


def test_summary_is_strict_json_with_the_verdict(tmp_path):
    write(tmp_path, make_table())
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert set(summary["verdict"]) == {"gap", "closed", "hurt"}
    assert summary["provenance"]["command"] == "sim2real evaluate <x>"
    assert len(summary["cells"]) == 6


def test_the_page_loads_nothing(tmp_path):
    text = write(tmp_path, make_table()).read_text("utf-8")
    page = Page(text)
    assert all(address.startswith(("#", "data:text/csv")) for address in page.addresses)
    assert not {"link", "img", "iframe", "object", "embed"} & set(page.tags)
    assert not re.findall(r"url\((?!#)|@import|fetch\(|\bimport\b", text)
    # Names of XML vocabularies are not addresses; nothing fetches them.
    known = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= known
    assert "svg" in page.tags


def test_names_are_escaped_everywhere(tmp_path):
    evil = '<script>alert("$x")</script>&'
    table = make_table(("nominal", evil), variants={"home": "control", evil: evil})
    text = write(tmp_path, table, title=evil).read_text("utf-8")
    page = Page(text)
    assert page.tags.count("script") == 2
    assert evil in page.text


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_say_so(tmp_path, seeds):
    text = write(tmp_path, make_table(seeds=seeds)).read_text("utf-8")
    assert "n/a (needs 3 seeds)" in text
    assert "No interval below 3 seeds." in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "labels",
    [("nominal",), ("nominal", "fine-tuned"), ("nominal", "a", "b", "c", "d", "e", "f", "g")],
)
def test_any_number_of_methods_and_missing_cells(tmp_path, labels):
    text = write(tmp_path, make_table(labels)).read_text("utf-8")
    assert all(label in text for label in labels)
    assert ("not evaluated" in text) == ("fine-tuned" in labels)


def test_without_references_or_control(tmp_path):
    table = make_table(variants={"light": "interpolation"})
    write_report(gap_report(table, {}), table, tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "mean return" in text
    assert "is unknown" in text


@pytest.mark.slow
def test_the_plot_repeats_to_the_bit(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, make_table())
    first, second = (tmp_path / name / "report.png" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_dollar_or_formula_in_a_name_is_text(tmp_path):
    write(tmp_path, make_table(("nominal", "$a_{b$")), title="cost $5 $x")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "$a_{b$" in page
    assert "cost $5 $x" in page


@pytest.mark.parametrize("content", [b"", b"PAR1 but then something else", b"x" * 2000])
def test_a_damaged_table_is_refused(tmp_path, content):
    path = tmp_path / "episodes.parquet"
    path.write_bytes(content)
    with pytest.raises(InvalidValue, match="not a readable Parquet"):
        read_episodes(path)


def test_a_truncated_table_is_refused(tmp_path):
    write(tmp_path, make_table())
    path = tmp_path / "episodes.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidValue, match="not a readable Parquet"):
        read_episodes(path)


def test_bad_input_leaves_the_old_report(tmp_path):
    table = make_table()
    before = write(tmp_path, table).read_bytes()
    report = gap_report(table, references(table))
    with pytest.raises(InvalidValue, match="finite"):
        write_report(report, table | {"return": table["return"] * np.nan}, tmp_path)
    assert (tmp_path / "report.html").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == FILES


LOOP = """
import sys
from pathlib import Path
from sim2real.evaluate.episodes_file import read_episodes
from sim2real.evaluate.gap import GapOptions, gap_report
from sim2real.report.gap import write_report

folder = Path(sys.argv[1])
table = read_episodes(folder / "episodes.parquet")
report = gap_report(table, {}, GapOptions())
print("ready", flush=True)
while True:
    write_report(report, table, folder)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_kill_in_the_middle_leaves_whole_files(tmp_path):
    table = make_table()
    write(tmp_path, table)
    for delay in (0.05, 0.31):
        with subprocess.Popen(
            [sys.executable, "-c", LOOP, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout.readline() == "ready\n"
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        assert (tmp_path / "report.html").read_text("utf-8").rstrip().endswith("</html>")
        assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["baseline"] == "nominal"
        assert (tmp_path / "report.png").read_bytes().endswith(b"IEND\xaeB`\x82")
        assert len(read_episodes(tmp_path / "episodes.parquet")["seed"]) == len(table["seed"])


@pytest.mark.slow
def test_profiles_are_shown_where_variants_have_a_common_axis(tmp_path):
    table = make_table()
    assert "Performance profiles" in write(tmp_path / "a", table).read_text("utf-8")
    returns = write_report(gap_report(table, {}), table, tmp_path / "b").read_text("utf-8")
    assert "Performance profiles" not in returns
    one = make_table(variants={"home": "control", "heavy": "combined"})
    assert "Performance profiles" not in write(tmp_path / "c", one).read_text("utf-8")


def test_a_profile_is_the_share_above_and_its_band_falls():
    table = make_table(("nominal", "randomized"))
    figure = draw_profiles(gap_report(table, references(table)))
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["nominal", "randomized"]
    held_out = table["variant"] != "home"
    for line in axes.lines:
        own = held_out & (table["label"] == line.get_label())
        pairs = {(s, v) for s, v in zip(table["seed"][own], table["variant"][own], strict=True)}
        means = [
            table["return"][own & (table["seed"] == s) & (table["variant"] == v)].mean() / 1.2
            for s, v in pairs
        ]
        expected = [np.mean(np.array(means) > tau) for tau in line.get_xdata()]
        assert line.get_ydata() == pytest.approx(expected)
    for band in axes.collections:
        corners = band.get_paths()[0].vertices
        lower = corners[: len(corners) // 2]
        assert np.all(np.diff(lower[:, 1][np.argsort(lower[:, 0], kind="stable")]) <= 1e-12)
