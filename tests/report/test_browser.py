"""What a browser makes of the pages: no complaint, no request, tables that sort, curves that zoom."""

import base64
import re
from urllib.parse import unquote

import numpy as np
import pytest

from sim2real.doctor import diagnose
from sim2real.evaluate.compare import Difference
from sim2real.evaluate.episode_table import COLUMNS
from sim2real.evaluate.gap import GapOptions, gap_report
from sim2real.evaluate.gate import Decision, Gate
from sim2real.evaluate.prediction import predict
from sim2real.evaluate.predictivity import PolicyResults
from sim2real.evaluate.replay import SIMULATION, Errors, ReplayedMotion, ReplayGap
from sim2real.evaluate.requirements import parse
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.statistics import Estimate
from sim2real.identify.estimates import ParameterEstimate, gap_row
from sim2real.identify.result import Identification, Trace
from sim2real.identify.space import FreeParameter
from sim2real.identify.uncertainty import make_domain
from sim2real.identify.verdicts import judge
from sim2real.plain import as_json
from sim2real.recordings.raw import RawLog
from sim2real.replay.baselines import COMMAND, DELAYED
from sim2real.report.compare import write_comparison
from sim2real.report.doctor import write_diagnosis
from sim2real.report.gap import write_report
from sim2real.report.identification import write_identification
from sim2real.report.replay import write_replay_report
from sim2real.report.runs import write_runs
from sim2real.transfer.budget import Budget
from sim2real.transfer.compare import Compared, Row

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert(1)</script>"
VARIANTS = {"home": "control", "light": "interpolation", HOSTILE: "combined"}


def gap_page(folder):
    rng = np.random.default_rng(0)
    rows = [
        (label, label, f"{label}-{seed}", seed, variant, group, episode,
         90 - 20.0 * j + 9 * i + rng.normal(), 80, True, False)
        for i, label in enumerate(("nominal", "randomized", HOSTILE))
        for seed in range(3)
        for j, (variant, group) in enumerate(VARIANTS.items())
        for episode in range(3)
    ]  # fmt: skip
    table = dict(zip(COLUMNS, map(np.array, zip(*rows, strict=True)), strict=True))
    report = gap_report(table, {v: Reference(0.0, 120.0) for v in VARIANTS}, GapOptions(title=HOSTILE))
    return write_report(report, table, folder, {"command": f"sim2real evaluate '{HOSTILE}'"})


def replay_page(folder):
    rng = np.random.default_rng(0)
    time, motions = np.arange(4000) * 0.02, []
    for name in ("first", HOSTILE, "third"):
        angles = np.cumsum(rng.normal(0, 0.01, (4000, 3)), axis=0)
        told = {p: angles + rng.normal(0, 0.01) for p in (SIMULATION, COMMAND, DELAYED)}
        motions.append(ReplayedMotion(name, time, angles, told, 0.1))
    error = rng.uniform(0.01, 0.02, (3, 3))
    errors = Errors(rmse=error, nrmse=error, lag=error, steady=error, moving=error)
    gap = ReplayGap("arm", ("hip", HOSTILE, "ankle"), tuple(motions), dict.fromkeys(told, errors))
    return write_replay_report(gap, folder)


def doctor_page(folder):
    """Of a log with a hole in its stamps, and one in order."""
    time = np.arange(600) * 0.02
    command = np.stack([np.sin(time), np.cos(1.3 * time)], axis=1)
    position = np.rint((0.9 * command) / 1e-3) * 1e-3
    kept = np.r_[0:300, 310:600]
    logs = [
        RawLog(name, ("hip", HOSTILE), time[rows], command[rows], time[rows], position[rows], None)
        for name, rows in (("whole", np.arange(600)), (HOSTILE, kept))
    ]
    return write_diagnosis(diagnose(logs), folder, "logs")


def identification_page(folder):
    """Of two masses that can't be told apart, and a recording with a curve."""
    time = np.arange(500) * 0.02
    wave = np.sin(time)[:, None] * np.ones((1, 2))
    names, rng = ("cart.mass", "pole.mass"), np.random.default_rng(0)
    free = [FreeParameter(name, 0.5, 2.0, 1.0, True, (name,)) for name in names]
    numbers = tuple(
        ParameterEstimate(
            name, "kg", 1.3, 1.2, 1.4, 1.0, (0.5, 2.0), 0.1, False, (1.25, 1.35), 1.28, 0.01
        )
        for name in names
    )  # fmt: skip
    rows = tuple(
        gap_row(predictor, np.full((2, 2), size), np.full((1, 2), size))
        for predictor, size in (("nominal", 0.03), ("identified", 0.003))
    )
    lines = {name: wave + shift for name, shift in (("measured", 0), ("nominal", 0.1), ("identified", 0.01))}
    found = Identification(
        "arm", make_domain(free, np.full(2, 0.5), rng.uniform(size=(9, 2)), {}), {"cart.mass": 1.3}, numbers,
        rows, judge(numbers, rows), ("a", "b"), ("c",), 1.0, 10, 0, ("hip", HOSTILE),
        traces=(Trace(HOSTILE, True, time, lines),),
    )  # fmt: skip
    return write_identification(found, folder)


def estimate(value):
    return Estimate(value, (value - 1.0, value + 1.0), 3)


def compare_page(folder):
    """Of a method that helps, and cells that failed."""
    cost = dict.fromkeys(("steps", "episodes", "falls", "limit_hits", "cpu_seconds", "trained_weights"), 12.0)
    helps = {"zero-shot": Difference(estimate(20.0), True, 0.001, 0.002, "helps", None)}
    rows = tuple(
        Row("late", method, (0, 1, 2), score, score, {}, against, cost)
        for method, against in (("zero-shot", {}), (HOSTILE, helps))
        for score in ({"target": estimate(60.0), "source": estimate(90.0)},)
    )
    return write_comparison(
        Compared("arm", Budget(steps=9000), True, rows, {f"late {HOSTILE} seed 1": "it broke"}, ()), folder
    )


def merged_page(folder):
    """Of an evaluation that was held to requirements, and what a simulator tells of reality."""
    evaluated = folder / "evaluated"
    gap_page(evaluated)
    decision = Decision(
        parse(f"score >= 60 on {HOSTILE}"), HOSTILE, "broken", estimate(50.0), "seeds", "far off"
    )
    (evaluated / "gate.json").write_text(as_json(Gate(HOSTILE, (decision,))))
    rng = np.random.default_rng(0)
    places = [
        PolicyResults(
            tuple("abcde"), tuple(rng.uniform(size=(5, 9)) + shift * np.arange(5)[:, None]), ((),) * 5
        )
        for shift in (0.1, 0.2)
    ]
    (evaluated / "predictivity.json").write_text(
        as_json({HOSTILE: predict({"mujoco": places[0]}, places[1])})
    )
    return write_runs([evaluated], folder / "merged")[0]


_MADE = {
    "gap": (gap_page, HOSTILE), "replay": (replay_page, "arm"), "doctor": (doctor_page, "logs"),
    "identification": (identification_page, "arm"), "compare": (compare_page, "arm"),
    "merged": (merged_page, HOSTILE),
}  # fmt: skip
"""What makes each kind of page, and how its title begins."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return {kind: make(tmp_path_factory.mktemp(kind)) for kind, (make, _) in _MADE.items()}


@pytest.mark.parametrize("kind", _MADE)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_page_opens_without_complaint_or_request_and_fits(kind, width, scheme, pages, browser):
    page = pages[kind]
    assert page.stat().st_size < 2e6
    browser.open(page, width, scheme)
    if kind == "replay":
        browser.wait("charts[0].now && charts[0].canvas.width > 0")
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.title").startswith(_MADE[kind][1])
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


def test_a_dark_page_is_printed_on_white(pages, browser):
    browser.open(pages["gap"], scheme="dark", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("kind", _MADE)
def test_a_page_is_printed_whole_and_nothing_is_cut_in_two(kind, pages, browser):
    """What is folded is opened, curves are in ink on white, and what only a screen can use is gone."""
    browser.open(pages[kind], scheme="dark", media="")
    browser.run(
        "var seen = {}; addEventListener('beforeprint', () => {"
        " seen.folded = document.querySelectorAll('details:not([open])').length; });"
        "matchMedia('print').addEventListener('change', ({ matches }) => { if (matches) {"
        " const all = query => [...document.querySelectorAll(query)];"
        " const look = (query, name) => all(query).map(one => getComputedStyle(one)[name]);"
        " seen.gone = look('.csv, .hint, .take, .controls button, .controls input', 'display');"
        " seen.ink = css('ink'); seen.paper = look('body', 'backgroundColor');"
        " seen.head = look('thead button', 'display'); seen.band = look('thead th', 'printColorAdjust');"
        " seen.whole = look('tr, figure, .chart, .finding', 'breakInside'); } }); 0"
    )
    printed = base64.b64decode(browser.ask("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert printed.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type /Page\b", printed)) < 20
    seen = browser.run("seen")
    assert seen["folded"] == 0
    assert seen["paper"] == ["rgb(255, 255, 255)"]
    assert seen["ink"] == "#1c2126"
    assert set(seen["gone"]) <= {"none"}
    assert set(seen["head"]) <= {"contents"}  # a browser repeats no button at the head of the next sheet
    assert set(seen["band"]) <= {"exact"}
    assert set(seen["whole"]) == {"avoid"}
    assert browser.run("document.querySelectorAll('details[open]').length") == 0
    assert browser.complaints == []


def test_a_heading_sorts_by_numbers_there_and_back_also_by_keyboard(pages, browser):
    browser.open(pages["gap"])
    column = "[...document.querySelector('tbody').rows].map(row => +row.cells[1].dataset.v)"
    order = browser.run(column)
    button = "document.querySelectorAll('thead button')[1]"
    browser.run(f"{button}.click()")
    assert browser.run(column) == sorted(order)
    assert browser.run(f"{button}.parentNode.ariaSort") == "ascending"
    browser.run(f"{button}.focus()")
    browser.press("Enter", 13, "\r")
    assert browser.run(column) == sorted(order, reverse=True)
    assert browser.run(f"{button}.parentNode.ariaSort") == "descending"


def test_tab_reaches_all_that_can_be_used(pages, browser):
    browser.open(pages["gap"])
    wanted = "document.querySelectorAll('button, a[href], [tabindex]')"
    count = browser.run(f"{wanted}.length")
    reached = set()
    for _ in range(count + 3):
        browser.press("Tab", 9)
        reached.add(browser.run(f"[...{wanted}].indexOf(document.activeElement)"))
    assert set(range(count)) <= reached


def test_dragging_zooms_and_keys_zoom_back(pages, browser):
    browser.open(pages["replay"])
    browser.wait("charts[0].now")
    whole = browser.run("charts[0].view")
    assert whole == pytest.approx([0, 79.98])
    browser.run("charts[0].canvas.scrollIntoView({ block: 'center' })")
    left, top, width = browser.run(
        "(b => [b.left, b.top, b.width])(charts[0].canvas.getBoundingClientRect())"
    )
    inner = width - 70
    browser.drag((left + 56 + inner / 4, top + 60), (left + 56 + inner / 2, top + 60))
    view = browser.run("charts[0].view")
    assert view == pytest.approx([whole[1] / 4, whole[1] / 2], abs=0.02 * whole[1])
    browser.run("charts[0].canvas.focus()")
    browser.press("ArrowRight", 39)
    assert browser.run("charts[0].view[0]") > view[0]
    browser.press("0", 48, "0")
    assert browser.run("charts[0].view") == pytest.approx(whole)


def test_a_motion_is_shown_from_its_row_and_less_what_was_measured(pages, browser):
    browser.open(pages["replay"])
    browser.wait("charts[0].now")
    browser.run("[...document.querySelectorAll('[data-take]')].find(b => b.dataset.take === '1').click()")
    browser.wait("charts[0].kept.has(1) && charts[0].now === charts[0].kept.get(1)")
    assert browser.run("document.querySelector('.chart select').selectedOptions[0].text") == HOSTILE
    browser.run("document.querySelectorAll('.chart input')[4].click()")
    assert browser.run("charts[0].less") is True
    assert browser.complaints == []


def test_a_curve_is_drawn_when_it_is_unfolded(pages, browser):
    browser.open(pages["doctor"])
    canvas = "document.querySelector('details canvas')"
    browser.run("document.querySelector('details').open = true")
    browser.wait(f"{canvas}.width > 300 && {canvas}.height > 100")
    assert browser.run("charts.length") == browser.run("document.querySelectorAll('.chart').length") > 1
    assert browser.complaints == []


def test_what_was_decided_and_predicted_stands_in_the_merged_page(pages, browser):
    browser.open(pages["merged"])
    titles = browser.run("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    assert {"Requirements", f"Does simulation predict {HOSTILE}?"} <= set(titles)
    assert browser.run("document.querySelector('.badge.bad').textContent") == "broken"


def test_the_curve_of_an_identification_is_drawn_and_its_correlation_shown(pages, browser):
    browser.open(pages["identification"])
    browser.wait("charts[0].now && charts[0].canvas.width > 0")
    squares = "document.querySelector('figure[aria-label^=Correlation] svg')"
    texts = browser.run(f"[...{squares}.querySelectorAll('text')].map(text => text.textContent)")
    assert texts.count("cart.mass") == texts.count("pole.mass") == 2
    first, second = (text for text in texts if "." in text and text[-1].isdigit())
    assert first == second
    assert -1 <= float(first.replace("−", "-")) <= 1


def test_a_comparison_says_what_helped_and_what_failed(pages, browser):
    browser.open(pages["compare"])
    assert browser.run("document.querySelector('.helped').textContent") == "helped"
    assert "it broke" in browser.run("document.body.textContent")


def test_a_table_can_be_taken_along(pages, browser):
    browser.open(pages["gap"])
    address = browser.run("document.querySelector('.csv a').href")
    lines = unquote(re.sub("^data:[^,]*,", "", address)).splitlines()
    assert lines[0].startswith('variant,nominal,"nominal, low","nominal, high",randomized,')
    assert len(lines) == 1 + len(VARIANTS)
    assert float(lines[1].split(",")[1]) == pytest.approx(90 / 1.2, abs=1.5)
