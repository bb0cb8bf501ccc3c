import base64
import json
import re
import zlib

import numpy as np
import pytest
from rich.console import Console

from sim2real.evaluate.replay import SIMULATION, Errors, ReplayedMotion, ReplayGap
from sim2real.evaluate.replay_summary import overall, summary, verdict
from sim2real.replay.baselines import COMMAND, DELAYED
from sim2real.report.replay import replay_tables, write_replay_report

PREDICTORS = (SIMULATION, COMMAND, DELAYED)


def gap(errors, names=None):
    """A gap whose RMSE per motion is given in mrad for simulation and delayed command."""
    rng = np.random.default_rng(0)
    time = 0.5 + np.cumsum(rng.uniform(0.018, 0.022, 700))
    names = names or [f"run/{i}" for i in range(len(errors))]
    motions = []
    for name in names:
        angles = np.cumsum(rng.normal(0, 0.01, (700, 2)), axis=0)
        predictions = {predictor: angles + rng.normal(0, 0.01) for predictor in PREDICTORS}
        motions.append(ReplayedMotion(name, time, angles, predictions, 0.1))
    columns = np.array(errors, dtype=float).T / 1000
    table = dict(zip((SIMULATION, DELAYED, COMMAND), [*columns, columns[0] + 0.01], strict=True))
    return ReplayGap("so101", ("hip", "knee"), tuple(motions), {k: all_alike(v) for k, v in table.items()})


def all_alike(values):
    table = np.stack([values, values], axis=1)
    unknown = np.full_like(table, np.nan)
    return Errors(rmse=table, nrmse=table * 10, lag=unknown, steady=table, moving=unknown)


@pytest.fixture
def five():
    return gap([(30, 20), (31, 20), (29, 21), (33, 22), (30, 20)])


def test_the_mean_has_an_interval_over_motions(five):
    estimate = overall(five, SIMULATION)
    assert estimate.value == pytest.approx(30.6)
    low, high = estimate.interval
    assert (low, high) == pytest.approx((28.717, 32.483), abs=1e-3)  # Student's: 30.6 ± 2.776 · 0.678
    assert overall(five, SIMULATION, DELAYED).value == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("errors", "says"),
    [
        ([(30, 20), (31, 20), (29, 21)], "It is worse than a prediction that knows no physics"),
        ([(20, 30), (20, 31), (21, 29)], "It is better than .* 100 ms later, by 9.7 "),
        ([(30, 20), (20, 30), (25, 24)], "These motions can't tell it from .* the difference is"),
        ([(30, 20)], "1 recording with a mean RMSE of 30.0 mrad .* Here it is worse than .* so few motions"),
    ],
)
def test_the_verdict_says_no_more_than_the_interval(errors, says):
    assert re.search(says, verdict(gap(errors)))


def test_the_summary_is_strict_json(five):
    text = json.dumps(summary(five), allow_nan=False)
    table = json.loads(text)
    assert table["mean_rmse_mrad"][SIMULATION]["value"] == pytest.approx(30.6)
    assert table["mean_rmse_mrad"][SIMULATION]["motions"] == 5
    assert table["per_joint"]["knee"][DELAYED]["rmse_mrad"] == pytest.approx(20.6)
    assert table["per_joint"]["hip"][SIMULATION]["lag_ms"] is None
    assert [motion["name"] for motion in table["per_motion"]] == [f"run/{i}" for i in range(5)]
    assert table["per_motion"][3]["joints"][SIMULATION][0]["rmse_mrad"] == pytest.approx(33)
    assert all(isinstance(text, str) for text in table["definitions"].values())


def test_the_tables_show_every_joint_and_motion(five):
    console = Console(width=140, record=True, quiet=False, file=None, color_system=None)
    with console.capture() as captured:
        for table in replay_tables(five):
            console.print(table.grid)
    text = captured.get()
    for name in ("hip", "knee", "run/4", "30.6 [", "100", "–"):
        assert name in text
    assert "nan" not in text


@pytest.mark.slow
def test_three_files_are_written_and_replaced(five, tmp_path):
    folder = tmp_path / "new" / "gap"
    for _ in range(2):
        page = write_replay_report(five, folder)
    assert page == folder / "gap.html"
    assert sorted(path.name for path in folder.iterdir()) == ["gap.html", "gap.json", "gap.png"]
    assert (folder / "gap.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "gap.json").read_text(encoding="utf-8"))["world"] == "so101"


@pytest.mark.slow
def test_the_page_needs_no_network(five, tmp_path):
    page = write_replay_report(five, tmp_path).read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<link|<script[^>]+src=|@import", page)
    assert "nan" not in re.sub(r'"data": "[^"]*"|<script>.*?</script>', "", page, flags=re.DOTALL)


@pytest.mark.slow
def test_the_page_carries_the_trajectories(five, tmp_path):
    page = write_replay_report(five, tmp_path).read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    packed = zlib.decompress(base64.b64decode(data["takes"][2]["data"]))
    columns = np.cumsum(np.frombuffer(packed, "<i4").reshape(-1, data["takes"][2]["rows"]), axis=1)
    motion = five.motions[2]
    assert columns[0] * data["quantum"][0] == pytest.approx(motion.time - motion.time[0], abs=5.1e-5)
    columns = columns * data["quantum"][1]
    for i, series in enumerate(data["series"]):
        name = series["name"]
        angles = motion.measured if name == "measured" else motion.predictions[name]
        assert pytest.approx(angles, abs=5.1e-5) == columns[1 + 2 * i : 3 + 2 * i].T


@pytest.mark.slow
def test_a_name_can_not_break_out_of_the_page(tmp_path):
    evil = "</script><script>alert(1)</script>"
    page = write_replay_report(gap([(3, 2)], [evil]), tmp_path).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
