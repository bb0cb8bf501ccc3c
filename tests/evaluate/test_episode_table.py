import numpy as np
import pytest

from sim2real.errors import InvalidValue
from sim2real.evaluate.episode_table import COLUMNS, LATER, checked, fold


def one_row(**changes):
    row = {"label": "a", "lineage": "a: train",
           "policy": "p", "seed": 0, "variant": "v", "group": "control", "episode": 0,
           "return": 1.0, "length": 5, "success": True, "diverged": False}  # fmt: skip
    return {name: np.array([value]) for name, value in (row | changes).items()}


def test_columns_come_back_in_order_and_type():
    table = checked(one_row(extra=1))
    assert list(table) == [*COLUMNS, *LATER]
    assert table["success"].dtype == np.bool_


def test_a_missing_column_is_named():
    table = one_row()
    del table["group"]
    with pytest.raises(InvalidValue, match="no column group"):
        checked(table)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_return_that_is_not_finite_is_refused(value):
    with pytest.raises(InvalidValue, match="policy p, variant v, episode 0"):
        checked(one_row(**{"return": value}))


def test_a_table_of_before_there_were_lineages_is_read():
    table = one_row()
    del table["lineage"]
    assert checked(table)["lineage"].tolist() == ["a"]


def two_lineages(*chains):
    rows = [one_row(lineage=f"a: {chain}", seed=seed) for chain in chains for seed in range(3)]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def test_two_lineages_of_one_label_are_two_methods():
    for last in ("tune in x", "tune in y"):
        assert fold(two_lineages(f"train → {last}")).labels == ("a",)
    assert fold(two_lineages("train → tune in x", "train → tune in y")).labels == (
        "a (tune in x)",
        "a (tune in y)",
    )
    assert fold(two_lineages("train → tune in x", "pretrain → tune in x")).labels == (
        "a: train → tune in x",
        "a: pretrain → tune in x",
    )


def test_unequal_and_empty_columns_are_refused():
    with pytest.raises(InvalidValue, match="one length"):
        checked(one_row() | {"seed": np.array([0, 1])})
    with pytest.raises(InvalidValue, match="one length"):
        checked({name: column[:0] for name, column in one_row().items()})


def test_a_variant_in_two_groups_is_refused():
    table = {name: np.concatenate([column, column]) for name, column in one_row().items()}
    table["group"] = np.array(["control", "combined"])
    with pytest.raises(InvalidValue, match="more than one group"):
        checked(table)
