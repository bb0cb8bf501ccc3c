"""Several runs in one page: rows told apart by lineage, what else folders hold, what can't be joined."""

import json
import re
from dataclasses import asdict

import numpy as np
import pyarrow.parquet as pq
import pytest

from sim2real.cli import main
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.attribution import Attribution, Cause, Interaction, Part
from sim2real.evaluate.episode_table import COLUMNS
from sim2real.evaluate.episodes_file import read_episodes, write_episodes
from sim2real.evaluate.gap import GapOptions, gap_report
from sim2real.evaluate.robust_radius import Radius, RobustRadius
from sim2real.evaluate.scores import Reference
from sim2real.evaluate.sensitivity import Index, Sensitivity
from sim2real.evaluate.solved_map import SolvedMap
from sim2real.evaluate.statistics import Estimate
from sim2real.evaluate.worst_case import WorstCase
from sim2real.plain import as_type, read_as
from sim2real.report.gap import write_report
from sim2real.report.runs import joined, write_runs
from sim2real.report.training_curves import curves_section
from sim2real.transfer.worth import Known, WorthOfKnowing

VARIANTS = {"home": "control", "light": "interpolation", "heavy": "combined"}


def made(label, lineage=None, shift=0.0, seeds=3, variants=VARIANTS):
    rows = [
        (label, lineage or label, f"{label}-{seed}", seed, variant, group, episode,
         90.0 - 20 * j + seed + episode + shift, 80, True, False)
        for seed in range(seeds)
        for j, (variant, group) in enumerate(variants.items())
        for episode in range(2)
    ]  # fmt: skip
    return dict(zip(COLUMNS, map(np.array, zip(*rows, strict=True)), strict=True))


def run(folder, table, title="Pole"):
    known = {str(v): Reference(0.0, 100.0, 0.5, 0.5) for v in np.unique(table["variant"])}
    label = str(table["label"][0])
    facts = {f"contract of {label}": "sees angle (rad)"}
    write_report(gap_report(table, known, GapOptions(title, label)), table, folder, facts)
    return folder


def estimate(value, half=1.0):
    return Estimate(value, (value - half, value + half), 3)


def found():
    cause = Cause(
        name="pole.mass", kind="dynamics", source=0.02, target=0.04, share=estimate(12.0),
        alone=estimate(10.0),
        last=estimate(13.0), sampling_error=0.0,
    )  # fmt: skip
    pair = Interaction(names=("pole.mass", "motor.strength"), cost=estimate(3.0), only_together=False)
    return Attribution(
        world="Pole", label="nominal", policies=("nominal-0",), target="heavy", simulator="mujoco",
        score=(estimate(90.0), estimate(78.0)), drop=estimate(12.0), causes=(cause,), interactions=(pair,),
        parts=(Part("dynamics", estimate(12.0), estimate(12.0)),), by_start=estimate(2.0), sets=2,
        episodes=32, exact=True, about="training seeds",
    )  # fmt: skip


@pytest.mark.slow
def test_two_runs_make_the_page_of_all_their_rows(tmp_path):
    one, other = run(tmp_path / "a", made("nominal")), run(tmp_path / "b", made("randomized", shift=9.0))
    page, report = write_runs([one, other], tmp_path / "out", command="sim2real report a b")
    assert report.labels == ("nominal", "randomized")
    assert report.title == "Pole"
    assert report.normalized
    both = {**made("nominal")}
    both = {name: np.concatenate([both[name], made("randomized", shift=9.0)[name]]) for name in both}
    references = {v: Reference(0.0, 100.0, 0.5, 0.5) for v in VARIANTS}
    assert report == gap_report(both, references, GapOptions("Pole", "nominal"))
    text = page.read_text("utf-8")
    assert "sim2real report a b" in text
    assert "contract of randomized" in text
    assert len(read_episodes(tmp_path / "out" / "episodes.parquet")["seed"]) == len(both["seed"])


@pytest.mark.slow
def test_methods_of_one_label_are_told_apart_by_lineage(tmp_path):
    a = run(tmp_path / "a", made("tuned", "tuned: train → fine-tune on light"))
    b = run(tmp_path / "b", made("tuned", "tuned: train → fine-tune on heavy", shift=-5.0))
    _, report = write_runs([a, b], tmp_path / "out")
    assert len(report.labels) == 2
    assert all(label.startswith("tuned (") for label in report.labels)


def test_an_episode_of_two_runs_counts_once_and_as_in_the_last():
    first, again = made("nominal"), made("nominal", shift=1.0)
    table, note = joined([first, again])
    assert sorted(table["return"]) == sorted(again["return"])
    assert (
        note
        == "18 stand in more than one run; 18 of them with another return, of which the last run's counts"
    )
    assert joined([first, first])[1] == "18 stand in more than one run"


def test_success_is_left_out_where_a_run_does_not_tell_it():
    silent = {name: column for name, column in made("other").items() if name != "success"}
    table, note = joined([made("nominal"), silent])
    assert "success" not in table
    assert "success is left out" in note


@pytest.mark.slow
def test_causes_the_worst_physics_and_videos_stand_beside_the_rows(tmp_path):
    runs = [run(tmp_path / "a", made("nominal")), tmp_path / "causes", tmp_path / "worst"]
    for folder in runs[1:]:
        folder.mkdir()
    (runs[1] / "attribution.json").write_text(json.dumps(asdict(found())))
    worst = WorstCase({"pole.mass": 0.04}, "return", estimate(41.0), None, 39.0, 1200, 256)
    radius = Radius(0.5, 0.6, estimate(80.0))
    radii = RobustRadius("return", 72.0, estimate(90.0), radius, {"pole.mass": radius}, 900)
    told = {"worst": asdict(worst), "robust_radius": asdict(radii)}
    (runs[2] / "worst.json").write_text(json.dumps(told))
    (runs[2] / "play.webp").write_bytes(b"RIFF")
    page, _ = write_runs(runs, tmp_path / "out")
    text = page.read_text("utf-8")
    for said in ("What the drop to heavy comes from", "pole.mass and motor.strength", "The worst physics"):
        assert said in text
    assert 'href="../worst/play.webp"' in text
    alone, report = write_runs(runs[1:], tmp_path / "alone")
    assert report is None
    assert "0.5 (fails at 0.6)" in alone.read_text("utf-8")


@pytest.mark.slow
def test_maps_spreads_worth_and_matrices_have_a_section_each(tmp_path):
    told = {
        "map.json": SolvedMap(
            "Pole", ("pole.mass", "<b>"), ((0.02, 0.04), (1.0, 2.0, 3.0)), (0.02, 1.0), "success",
            ((1.0, 0.9, 0.8), (0.7, 0.2, 0.0)), 0.8, estimate(0.5, 0.1), 8,
        ),
        "sensitivity.json": Sensitivity(
            "Pole", ("nominal-0",), "mujoco", 80.0, 9.0,
            (Index("pole.mass", estimate(0.6, 0.1), estimate(0.7, 0.1)),), 128, 4,
        ),
        "worth.json": WorthOfKnowing(
            "Pole", "nominal", ("nominal-0",), "heavy", 4096, 9, estimate(40.0), estimate(90.0),
            (Known("pole.mass", 0.04, estimate(30.0), estimate(0.4, 0.1), None),),
        ),
    }  # fmt: skip
    for name, found in told.items():
        (tmp_path / name).write_text(json.dumps(asdict(found)))
    write_episodes(made("nominal"), tmp_path / "matrix.parquet")
    page, report = write_runs([tmp_path], tmp_path / "out")
    assert report is None
    text = page.read_text("utf-8")
    titles = ("The map of pole.mass and &lt;b&gt;", "What to measure next for heavy", "run there")
    for said in (*titles, "Of the grid 50 %", "0.60"):
        assert said in text
    assert text.count("<figure") == 4


def test_what_was_saved_is_read_again(tmp_path):
    path = tmp_path / "attribution.json"
    path.write_text(json.dumps(asdict(found())))
    assert read_as(Attribution, path) == found()
    table = json.loads(path.read_text())
    del table["about"]
    path.write_text(json.dumps(table))
    with pytest.raises(
        InvalidValue, match=r"not what this version writes .*no about.* run the command again"
    ):
        read_as(Attribution, path)
    with pytest.raises(TypeError, match="'3' is no int"):
        as_type(tuple[int, ...], [1, 2, "3"])


@pytest.mark.slow
def test_a_run_of_an_older_version_is_read(tmp_path):
    folder = run(tmp_path / "a", made("nominal"))
    rows = pq.read_table(folder / "episodes.parquet").drop_columns(["lineage"])
    pq.write_table(rows, folder / "episodes.parquet")
    summary = json.loads((folder / "summary.json").read_text())
    for reference in summary["references"].values():
        for name in ("random_error", "oracle_error", "picked"):
            del reference[name]
    (folder / "summary.json").write_text(json.dumps(summary))
    _, report = write_runs([folder, run(tmp_path / "b", made("other"))], tmp_path / "out")
    assert report.labels == ("nominal", "other")
    (folder / "summary.json").unlink()
    _, report = write_runs([folder], tmp_path / "out")
    assert (report.title, report.normalized) == ("a", False)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_equal_returns_and_one_seed_make_a_page(tmp_path, seeds):
    table = made("nominal", seeds=seeds)
    table["return"] = np.full(len(table["return"]), 50.0)
    other = {name: column.copy() for name, column in table.items()}
    other["label"] = other["lineage"] = np.full(len(table["seed"]), "other")
    page, report = write_runs([run(tmp_path / "a", table), run(tmp_path / "b", other)], tmp_path / "out")
    assert all(c.difference.verdict == "undecided" for c in report.cells if c.difference is not None)
    assert not re.search(r"\bnan\b", page.read_text("utf-8").split("<script>")[0], re.IGNORECASE)


@pytest.mark.slow
def test_what_can_not_be_joined_gets_one_sentence(tmp_path, capsys):
    pole, cart = run(tmp_path / "a", made("nominal")), run(tmp_path / "b", made("nominal"), title="Cart")
    with pytest.raises(InvalidValue, match="runs of Pole and of Cart; report those of one world"):
        write_runs([pole, cart], tmp_path / "out")
    with pytest.raises(UnknownName, match="baseline label"):
        write_runs([pole], tmp_path / "out", baseline="nominl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidValue, match="empty holds no results"):
        write_runs([pole, tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(InvalidValue, match="is one of the runs"):
        write_runs([pole], pole)
    with pytest.raises(InvalidValue, match="no runs to report"):
        write_runs([], tmp_path / "out")
    (tmp_path / "file").write_text("")
    assert main(["report", str(pole), "--out", str(tmp_path / "file" / "out")]) == 2
    assert "is not a folder" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_tells_where_the_page_is(tmp_path, capsys):
    folder = run(tmp_path / "a", made("nominal"))
    assert main(["report", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert f"wrote {tmp_path / 'out' / 'report.html'}" in capsys.readouterr().out


def test_learning_curves_of_trainings_lie_over_each_other(tmp_path):
    writer = pytest.importorskip("torch.utils.tensorboard").SummaryWriter
    for run, last in (("pole-0", 20), ("pole-1", 10)):
        (tmp_path / run).mkdir()
        with writer(tmp_path / f"{run}.training" / "PPO_1") as log:
            for k in range(last):
                log.add_scalar("rollout/ep_rew_mean", float(k), 1000 * k)
    section = curves_section([tmp_path / "pole-0", tmp_path / "pole-1"])
    (take,) = section.charts[0].takes
    np.testing.assert_array_equal(take.x, 1000 * np.arange(20))
    np.testing.assert_array_equal(take.lines["pole-0"][:, 0], np.arange(20))
    assert np.isnan(take.lines["pole-1"][10:]).all()
    page, report = write_runs([tmp_path / "pole-0", tmp_path / "pole-1"], tmp_path / "out")
    assert report is None
    assert "Learning curves" in page.read_text("utf-8")
    assert curves_section([tmp_path]) is not None, "logs below a folder are its own"
