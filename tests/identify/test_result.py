"""From numbers to verdicts, domains and tables."""

import dataclasses
import json
import re

import numpy as np
import pytest
from rich.console import Console

from sim2real.identify.estimates import ParameterEstimate, gap_row
from sim2real.identify.problem import Linear
from sim2real.identify.result import Identification, Trace
from sim2real.identify.space import FreeParameter
from sim2real.identify.uncertainty import Spread, bootstrap, make_domain
from sim2real.identify.verdicts import IDENTIFIED, NO_HELDOUT_GAIN, ON_BOUND, exit_code, judge
from sim2real.report.identification import fit_sections, write_identification


def free(name="cart.mass", low=0.5, high=2.0, log=True):
    return FreeParameter(name, low, high, 1.0, log, (name.split(".")[0],))


def estimate(**changes):
    values = {"name": "cart.mass", "unit": "kg", "value": 1.3, "low": 1.2, "high": 1.4, "independent": 0.01}
    values |= {"bootstrap": (1.25, 1.35), "with_nuisance": 1.28, "nominal": 1.0, "range": (0.5, 2.0)}
    values |= {"share": 0.1, "on_bound": False} | changes
    return ParameterEstimate(**values)


def gap(before, after):
    return [
        gap_row("nominal", np.full((2, 1), before), np.full((1, 1), before)),
        gap_row("identified", np.full((2, 1), after), np.full((1, 1), after)),
    ]


def linear(blocks=40, correlated=1, seed=0):
    """Of one column of ones; errors repeat for ``correlated`` rows."""
    rng = np.random.default_rng(seed)
    rows = 50
    errors = rng.normal(size=(blocks, rows // correlated)).repeat(correlated, axis=1)
    errors -= errors.mean()
    slope = errors.sum(axis=1, keepdims=True)
    curvature = np.full((blocks, 1, 1), float(rows))
    noise = np.full((blocks, 1, 1), rows * float((errors**2).mean()))
    squares = (errors**2).sum(axis=1, keepdims=True)
    counts, motion = np.full(blocks, rows), np.zeros(blocks, dtype=int)
    one = np.ones((1, 1))
    return Linear(np.array([0.5]), curvature, slope, noise, squares, counts, motion, one, one)


def test_blocks_and_independent_rows_agree_on_white_noise():
    spread = bootstrap(linear(blocks=400), draws=2000)
    assert spread.std[0] == pytest.approx(spread.independent[0], rel=0.15)
    assert spread.independent[0] == pytest.approx(1 / np.sqrt(400 * 50), rel=0.05)


def test_blocks_know_that_neighbours_are_alike():
    spread = bootstrap(linear(blocks=400, correlated=25), draws=2000)
    assert spread.std[0] == pytest.approx(5 * spread.independent[0], rel=0.2)


def test_the_interval_holds_its_share_of_the_draws():
    spread = bootstrap(linear(blocks=100), draws=1000)
    low, high = spread.interval(np.array([0.5]))
    inside = ((spread.draws >= low) & (spread.draws <= high)).mean()
    assert 0.94 <= inside <= 1.0


def test_a_domain_has_the_spread_and_the_correlation_of_the_draws():
    rng = np.random.default_rng(0)
    first = rng.normal(0, 0.02, 4000)
    draws = 0.5 + np.stack([first, -first + rng.normal(0, 0.01, 4000)], axis=1)
    domain = make_domain([free(), free("pole.mass")], np.array([0.5, 0.5]), draws, {"slider.damping": 0.1})
    sample = domain.sample(rng, 4000)
    columns = [domain.names.index(n) for n in ("cart.mass", "pole.mass")]
    log_std = np.log(sample[:, columns]).std(axis=0)
    assert log_std == pytest.approx(draws.std(axis=0) * np.log(4.0), rel=0.1)
    assert np.corrcoef(sample[:, columns].T)[0, 1] == pytest.approx(np.corrcoef(draws.T)[0, 1], abs=0.05)
    assert (sample[:, domain.names.index("slider.damping")] == 0.1).all()


def test_the_width_follows_the_held_out_error():
    fitted, spread = linear(), Spread(np.array([[0.4], [0.6]]), np.array([0.1]))
    scatter = 0.1**2 * fitted.curvature.sum()
    for held, half in ((4.0, 0.2), (0.5, 0.1)):
        wide = spread.widened(held * scatter, fitted)
        assert wide.draws.ravel() == pytest.approx([0.5 - half, 0.5 + half])


def test_what_slopes_don_t_show_is_as_open_as_the_range():
    spread = bootstrap(dataclasses.replace(linear(), along=np.array([-0.3])), draws=2000)
    assert spread.std[0] == pytest.approx(12**-0.5, rel=0.05)


def test_no_gain_and_bounds_are_said():
    verdicts = judge([estimate(on_bound=True)], gap(0.03, 0.0299))
    assert {v.name for v in verdicts} == {NO_HELDOUT_GAIN, ON_BOUND}
    assert exit_code(verdicts) == 14
    assert "from 30.0 to 29.9 (mrad" in verdicts[0].text


def test_a_fit_that_predicts_is_identified():
    (verdict,) = judge([estimate()], gap(0.03, 0.003))
    assert verdict.name == IDENTIFIED
    assert "from 30.0 to 3.0" in verdict.text
    assert exit_code([verdict]) == 0


def test_a_fit_worse_than_the_delayed_command_is_no_gain():
    rows = [*gap(0.03, 0.02), gap_row("delayed command", np.full((2, 1), 0.01), np.full((1, 1), 0.01))]
    (verdict,) = judge([estimate()], rows)
    assert verdict.name == NO_HELDOUT_GAIN
    assert "worse than the delayed command" in verdict.text


def result():
    rows = gap(0.03, 0.003)
    verdicts = judge([estimate()], rows)
    domain = make_domain([free()], np.array([0.5]), np.full((9, 1), 0.5), {})
    return Identification(
        "cartpole", domain, {"cart.mass": 1.3}, (estimate(),), tuple(rows), verdicts, ("a", "b"), ("c",),
        1.0, 10, 0, ("slider",),
    )  # fmt: skip


def test_tables_say_it_all():
    console = Console(width=200, record=True)
    for section in fit_sections(result()):
        for table in section.tables:
            console.print(table.grid)
    text = console.export_text()
    for said in ("IDENTIFIED", "1.2 … 1.4", "30.00", "3.00"):
        assert said in text


def test_the_page_holds_everything_and_asks_for_nothing(tmp_path):
    time = np.arange(4000) * 0.01
    wave = np.sin(time)[:, None]
    trace = Trace("</script>", True, time, {"measured": wave, "nominal": wave, "identified": wave})
    found = dataclasses.replace(result(), traces=(trace,))
    page = write_identification(found, tmp_path).read_text("utf-8")
    assert set(re.findall(r"https?://[^\s\"'<>)]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert not re.search(r"src=|@import", page)
    assert "The fit predicts." in page
    (chart,) = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    (take,) = json.loads(chart)["takes"]
    assert take["rows"] == 4000
    assert take["name"] == "</script> (held out)"
