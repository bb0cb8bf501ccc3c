"""Curves from comparisons at several budgets: planted results come back as gains, times and pictures."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sim2real.cli import main
from sim2real.errors import InvalidValue
from sim2real.transfer.learning_curves import read_curves

SEEDS = 4
REACHED = {
    "zero-shot": lambda _: 100.0,
    "fine-tune": lambda n: 100 + n / 100,
    "from-scratch": lambda n: n / 50,
}


def comparison(folder, steps, lacks=()):
    """Files as `sim2real compare` leaves them, of results that differ by a point a seed."""
    folder.mkdir()
    rows = [
        {
            "target": "late",
            "method": method,
            "seed": seed,
            "variant": variant,
            "return": value(steps) + seed - off,
        }
        for method, value in REACHED.items()
        for seed in range(SEEDS)
        if (method, seed) not in lacks
        for variant, off in (("late", 0.0), ("nominal", 999.0))
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "compare.parquet")
    (folder / "compare.json").write_text(json.dumps({"budget": {"steps": steps, "episodes": None}}))
    return folder


@pytest.fixture
def runs(tmp_path):
    return [comparison(tmp_path / f"run{steps}", steps) for steps in (2_000, 1_000, 4_000)]


def test_points_are_those_of_the_comparisons(runs):
    curves = read_curves(runs)["late"]
    assert set(curves) == {"fine-tune", "from-scratch"}
    assert curves["fine-tune"].budgets.tolist() == [0, 1000, 2000, 4000]
    assert curves["from-scratch"].budgets.tolist() == [1000, 2000, 4000]
    np.testing.assert_allclose(curves["fine-tune"].scores[2], [102, 112, 122, 142])
    np.testing.assert_allclose(curves["from-scratch"].scores[0], [20, 40, 80])


def test_a_seed_that_lacks_a_budget_is_left_out(tmp_path):
    runs = [
        comparison(tmp_path / "a", 1_000, lacks=[("fine-tune", 3)]),
        comparison(tmp_path / "b", 2_000),
    ]
    assert read_curves(runs)["late"]["fine-tune"].seeds == (0, 1, 2)


def test_what_is_no_curve(runs, tmp_path):
    with pytest.raises(InvalidValue, match="two budgets at least"):
        read_curves(runs[:1])
    with pytest.raises(InvalidValue, match="both have a budget of 2,000 steps"):
        read_curves([runs[0], comparison(tmp_path / "again", 2_000)])
    with pytest.raises(InvalidValue, match="holds no comparison"):
        read_curves([tmp_path, *runs])
    (runs[0] / "compare.parquet").write_text("nothing")
    with pytest.raises(InvalidValue, match="no readable table"):
        read_curves(runs)


def test_the_command_tells_gains_times_and_where_it_hurts(runs, capsys):
    assert main(["curves", *map(str, runs), "--threshold", "60", "500"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "positive" in told
    assert "negative" not in told
    assert "0 of 4" in told
    assert "4 of 4" in told
    assert "never" in told
    assert (runs[0] / "curves-late.png").read_bytes().startswith(b"\x89PNG")
    assert main(["curves", str(runs[0])]) == 2
