import numpy as np
import pytest

from sim2real.errors import InvalidValue
from sim2real.evaluate.changes import changes, told
from sim2real.evaluate.episode_table import COLUMNS
from sim2real.evaluate.scores import Reference

GROUPS = {"home": "control", "heavy": "combined", "late": "combined"}
REFERENCES = {name: Reference(0.0, 100.0) for name in GROUPS}


def run(shift=0.0, seeds=5, rng=1, labels=("nominal",), variants=GROUPS, episodes=20):
    """Returns of hard and easy starts that every run meets; ``shift`` is what heavy changed by."""
    hard = np.random.default_rng(0).normal(0, 8, 40)
    noise = np.random.default_rng(rng)
    rows = [
        (label, label, f"{label}-{seed}", seed, name, GROUPS[name], k,
         50 + hard[k] + noise.normal() + (shift if name == "heavy" else 0.0), 9, True, False)
        for label in labels for seed in range(seeds) for name in variants for k in range(episodes)
    ]  # fmt: skip
    return dict(zip(COLUMNS, map(np.array, zip(*rows, strict=True)), strict=True))


def by_variant(found):
    return {change.variant: change for change in found}


def test_the_same_run_repeats_to_the_bit():
    found = changes(run(), run(), REFERENCES)
    assert all(change.same and change.difference.verdict == "undecided" for change in found)
    assert told(found) == ["“nominal” repeats the other run's episodes to the bit on 3 variants"]


def test_what_changed_is_found_where_it_changed():
    found = by_variant(changes(run(-4.0), run(rng=2), REFERENCES))
    assert found["heavy"].difference.verdict == "hurts"
    assert found["heavy"].difference.estimate.value == pytest.approx(-4, abs=0.5)
    assert found[None].difference.estimate.value == pytest.approx(-2, abs=0.5)
    assert found["late"].difference.verdict == found["home"].difference.verdict == "undecided"
    text = "\n".join(told(list(found.values())))
    assert "“nominal” on heavy: worse, new less old −4" in text
    assert "decidedly better or worse on 1 of 3 variants" in text


def test_starts_are_paired():
    """Unpaired, the spread of hard and easy starts would hide the change."""
    change = by_variant(changes(run(1.0), run(rng=2), REFERENCES))["heavy"]
    low, high = change.difference.estimate.interval
    assert high - low < 1.5
    assert change.difference.verdict == "helps"


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_compare_these_policies_by_their_starts(seeds):
    found = by_variant(changes(run(-4.0, seeds), run(0.0, seeds, rng=2), REFERENCES))
    assert found["heavy"].difference.verdict == "hurts"
    assert found["heavy"].about_policies
    assert "about these policies alone" in told(list(found.values()))[0]


@pytest.mark.slow
def test_equal_runs_seldom_differ():
    alarms = [
        any(
            c.difference.verdict != "undecided"
            for c in changes(run(rng=10 + k), run(rng=500 + k), REFERENCES)
        )
        for k in range(40)
    ]
    assert np.mean(alarms) <= 0.05 + 3 * np.sqrt(0.05 / 40)


def test_only_what_both_have_is_compared():
    new = run(labels=("nominal", "new"), episodes=10)
    old = run(rng=2, labels=("nominal", "old"), variants=("home", "heavy"))
    found = changes(new, old, REFERENCES)
    assert {(change.label, change.variant) for change in found} == {
        ("nominal", None),
        ("nominal", "home"),
        ("nominal", "heavy"),
    }


def test_a_table_of_before_there_were_lineages_is_compared():
    old = run()
    del old["lineage"]
    assert all(change.same for change in changes(run(), old, REFERENCES))


def test_returns_are_compared_where_references_are_missing():
    assert {change.unit for change in changes(run(), run(rng=2), {})} == {"points of return"}
    assert {change.unit for change in changes(run(), run(rng=2), REFERENCES)} == {"points"}


def test_runs_that_share_nothing_are_refused():
    with pytest.raises(InvalidValue, match=r"share no method, .*: this one has nominal"):
        changes(run(), run(labels=("other",)), REFERENCES)
    with pytest.raises(InvalidValue, match="share no variant"):
        changes(run(variants=("home",)), run(variants=("late",)), REFERENCES)


def test_a_variant_that_moved_to_another_group_is_the_same_variant():
    old = run(rng=2)
    old["group"] = np.where(old["variant"] == "heavy", "extrapolation", old["group"])
    assert "heavy" in by_variant(changes(run(), old, REFERENCES))
