"""A table told once: what a terminal, a page and a CSV make of it, and results that come back from JSON."""

import json
import math
from dataclasses import dataclass

import pytest
from rich.console import Console

from sim2real.evaluate.statistics import Estimate
from sim2real.plain import as_json, read_as
from sim2real.report.tables import NONE, Cell, Table, estimate

TABLE = Table(
    "Costs [of all]",
    ["parameter", "cost", "drawn"],
    [
        ["[bold]pole.mass", estimate(Estimate(2.0, (1.0, 3.0), 3), note="· seen"), Cell("", "0 … 1")],
        [Cell("hip.damping", "bound"), NONE, "x"],
    ],
    page_only=["drawn"],
)


def shown(table, width):
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(table.grid)
    return captured.get()


def test_a_terminal_has_all_but_what_only_a_page_has_room_for():
    text = shown(TABLE, 100)
    for said in ("Costs [of all]", "[bold]pole.mass", "2.0 [1.0, 3.0] · seen", "hip.damping bound", "–"):
        assert said in text
    assert "drawn" not in text
    assert TABLE.csv.splitlines() == [
        'parameter,cost,"cost, low","cost, high",drawn',
        "[bold]pole.mass,2.0,1.0,3.0,",
        "hip.damping,–,,,x",
    ]


def test_a_narrow_terminal_breaks_long_names_and_loses_none():
    name = "a_joint_of_a_hand_whose_name_is_longer_than_the_screen"
    text = shown(Table("Joints", ["joint", "error"], [[name, "1"]]), 40)
    letters = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    assert "".join(letters) == name


@dataclass(frozen=True)
class Result:
    value: float
    by_name: dict[str, tuple[float, ...]]


def test_what_is_undefined_is_null_in_json_and_a_nan_again(tmp_path):
    found = Result(math.nan, {"a": (1.0, math.inf)})
    (tmp_path / "found.json").write_text(as_json(found))
    assert json.loads(as_json(found)) == {"value": None, "by_name": {"a": [1.0, None]}}
    again = read_as(Result, tmp_path / "found.json")
    assert math.isnan(again.value)
    assert again.by_name["a"] == pytest.approx((1.0, math.nan), nan_ok=True)
    assert estimate(Estimate(math.nan, None, 3)).text == "undefined"
