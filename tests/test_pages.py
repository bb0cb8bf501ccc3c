"""No name of a joint, a world, a recording or a policy becomes markup, in any page, picture or table."""

import base64
import hashlib
import html.parser
import json
import re
import xml.etree.ElementTree as ET
from html import escape
from pathlib import Path

import mujoco
import numpy as np
import pytest
from rich.table import Table

import sim2real
from sim2real.cli import main
from sim2real.cli.terminal import console
from sim2real.domain import Domain
from sim2real.evaluate.episode_table import COLUMNS
from sim2real.evaluate.gap import GapOptions, Reference, gap_report
from sim2real.identify.verdicts import Verdict
from sim2real.policy.folder import in_markdown
from sim2real.recordings import Recording, write_npz
from sim2real.report.chart import Chart, Take
from sim2real.report.close import write_closing
from sim2real.report.page import Page, Section, render
from sim2real.transfer.identified import Identified
from sim2real.world import World

PLAIN = ("j1", "j2")
HOSTILE = ("<script>alert('j1')</script><b>", '"><img src=x onerror=y>&amp;$x_1$[red]:key:')
SCENE = """
<mujoco><option timestep="0.002"/><worldbody>
<body><joint name="{0}" axis="0 1 0" damping=".3" armature=".02"/>
  <geom type="capsule" fromto="0 0 0 .2 0 0" size=".02" mass=".3" contype="0"/>
  <body pos=".2 0 0"><joint name="{1}" axis="0 1 0" damping=".3" armature=".02"/>
    <geom type="capsule" fromto="0 0 0 .1 0 0" size=".02" mass=".2" contype="0"/></body></body>
</worldbody><actuator><position name="{0}" joint="{0}" kp="20" kv=".5"/>
<position name="{1}" joint="{1}" kp="20" kv=".5"/></actuator></mujoco>
"""


class Structure(html.parser.HTMLParser):
    """Tags with the names of their attributes, and the text in between."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data


def made(folder, joints):
    """A world of two joints and two of its motions, in a folder with a name of its own."""
    world = folder / "w #1 50%"
    world.mkdir(parents=True)
    (world / "physics.toml").write_text("")
    (world / "scene.xml").write_text(SCENE.format(*map(escape, joints)), encoding="utf-8")
    model = mujoco.MjModel.from_xml_path(str(world / "scene.xml"))
    time = np.arange(150) * 0.02
    for number in range(2):
        data = mujoco.MjData(model)
        command = 0.4 * np.sin(2 * np.pi * np.array([0.5, 0.8]) * time[:, None] + number)
        position = np.empty_like(command)
        for k, goal in enumerate(command):
            position[k], data.ctrl[:] = data.qpos, goal
            for _ in range(10):
                mujoco.mj_step(model, data)
        if number:  # something for the log doctor to draw
            position[60:75, 1] = position[60, 1]
        write_npz(Recording(f"m{number}", joints, time, command, position), world / "logs" / f"m{number}.npz")
    return world


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "page"),
    [
        (
            ["gap", "{world}", "--recordings", "{world}/logs", "--allow-bad-data", "--out", "{out}"],
            "gap.html",
        ),
        (["recordings", "{world}/logs", "--world", "{world}", "--out", "{out}"], "recordings.html"),
    ],
)
def test_a_page_has_the_same_tags_whatever_joints_are_called(tmp_path, command, page, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    pages = []
    for kind, joints in (("plain", PLAIN), ("hostile", HOSTILE)):
        world, out = made(tmp_path / kind, joints), tmp_path / kind / "out"
        assert main([part.format(world=world, out=out) for part in command]) in (0, 1)
        pages.append(Structure((out / page).read_text("utf-8")))
    plain, hostile = pages
    assert hostile.tags == plain.tags
    for joint in HOSTILE:
        assert joint in hostile.text
    shown = capsys.readouterr().out
    assert all(joint in shown for joint in HOSTILE)


def episodes(labels, variants):
    rng = np.random.default_rng(0)
    rows = [
        (
            label,
            label,
            f"{label}-{seed}",
            seed,
            variant,
            group,
            0,
            90 - 20 * j + rng.normal(),
            80,
            True,
            False,
        )
        for label in labels
        for seed in range(3)
        for j, (variant, group) in enumerate(variants.items())
    ]
    return dict(zip(COLUMNS, map(np.array, zip(*rows, strict=True)), strict=True))


@pytest.mark.slow
def test_a_report_has_the_same_tags_whatever_methods_and_variants_are_called(tmp_path):
    pages = []
    for kind, (a, b) in (("plain", PLAIN), ("hostile", HOSTILE)):
        table = episodes((a, b), {"home": "control", b: "combined", a: "structural"})
        known = {str(v): Reference(0.0, 100.0) for v in np.unique(table["variant"])}
        report = gap_report(table, known, GapOptions(title=a, baseline=a))
        world = World.load("furuta")
        learnt = Identified(
            Domain.point({"pole.mass": 0.02}), Domain.point({"pole.mass": 0.02}), (Verdict("BAD_DATA", a, b),)
        )
        path = write_closing(world, {a: learnt}, report, table, tmp_path / kind, {b: a, a: b})
        pages.append(path.read_text("utf-8"))
        drawn = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", pages[-1], re.DOTALL)]
        assert drawn
        assert all(a in "".join(svg.itertext()) for svg in drawn)
    plain, hostile = map(Structure, pages)
    assert hostile.tags == plain.tags
    for name in HOSTILE:
        assert name in hostile.text


def test_only_one_module_fills_templates_and_no_other_writes_html():
    """All pages go through `render`, which escapes."""
    package = Path(sim2real.__file__).parent
    texts = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}
    assert [name for name, text in texts.items() if "jinja2" in text] == ["report/page.py"]
    assert [
        name for name, text in texts.items() if re.search(r"""["']<(div|t[dhr]|p|b|span|table)\b""", text)
    ] == []


def test_what_is_embedded_neither_ends_nor_opens_a_script():
    take = Take("</script><!--<script>", np.arange(3.0), {"é": np.array([[1.0], [np.nan], [2.0]])})
    page = render(Page("x", "y", [], [Section("z", charts=[Chart(["<b>"], [take], {"é": "ink"})])]))
    (found,) = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert "<" not in found
    assert json.loads(found)["takes"][0]["name"] == "</script><!--<script>"


def test_scripts_run_only_as_they_were_written():
    page = render(Page("x", "y", []))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ")
    assert re.findall(r"'sha256-([^']*)'", policy) == hashes
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("source_return", "source_return"),
        ("_a_ *b* `c` [d](e)", r"\_a\_ \*b\* \`c\` \[d\](e)"),
        ("# a\n\n<b>", r"\# a \<b\>"),
    ],
)
def test_nothing_in_a_name_is_markdown(text, shown):
    assert in_markdown(text) == shown


def test_a_table_in_the_terminal_shows_brackets_and_colons(capsys):
    table = Table("[bold]head", title="[red]title :key:")
    table.add_row("[/] [link=x]cell")
    console().print(table, "[dim]after")
    said = capsys.readouterr().out
    for text in ("[bold]head", "[red]title :key:", "[/] [link=x]cell", "[dim]after"):
        assert text in said
