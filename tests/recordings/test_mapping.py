import dataclasses

import numpy as np
import pytest

from sim2real.errors import RecordingError
from sim2real.recordings import Recording, map_joints

TABLE = {
    "Pitch": {"joint": "lift", "unit": "rad"},
    "Jaw": {"joint": "gripper", "scale": 2.0, "offset": -0.5, "unit": "fraction"},
}


@pytest.fixture
def log():
    values = np.arange(6.0).reshape(3, 2)
    return Recording("log", ("Jaw", "Pitch"), np.arange(3.0), values, values + 1, values + 2)


def test_columns_are_ordered_and_scaled(log):
    mapped = map_joints(log, TABLE, ["lift", "gripper"])
    assert mapped.joints == ("lift", "gripper")
    assert mapped.command.tolist() == [[1, -0.5], [3, 3.5], [5, 7.5]]
    assert mapped.position.tolist() == [[2, 1.5], [4, 5.5], [6, 9.5]]
    assert mapped.velocity.tolist() == [[3, 4], [5, 8], [7, 12]]  # no offset on a velocity


def test_a_velocity_may_have_a_scale_of_its_own(log):
    table = TABLE | {"Jaw": TABLE["Jaw"] | {"velocity_scale": -1.0}}
    assert map_joints(log, table, ["lift", "gripper"]).velocity.tolist() == [[3, -2], [5, -4], [7, -6]]


def test_the_worlds_own_names_are_radians(log):
    own = dataclasses.replace(log, joints=("gripper", "lift"), velocity=None)
    mapped = map_joints(own, TABLE, ["lift", "gripper"])
    assert np.array_equal(mapped.command, log.command[:, ::-1])
    assert mapped.velocity is None


def test_a_misspelt_joint_gets_a_hint(log):
    with pytest.raises(RecordingError, match=r"unknown joint 'Pich': did you mean 'Pitch'\?"):
        map_joints(dataclasses.replace(log, joints=("Jaw", "Pich")), TABLE, ["lift", "gripper"])


def test_a_missing_joint_is_named(log):
    table = TABLE | {"Roll": {"joint": "roll"}}
    with pytest.raises(RecordingError, match="no column for joint 'roll'"):
        map_joints(log, table, ["lift", "gripper", "roll"])


def test_two_columns_for_one_joint_are_refused(log):
    with pytest.raises(RecordingError, match="two columns are for joint 'gripper'"):
        map_joints(dataclasses.replace(log, joints=("Jaw", "gripper")), TABLE, ["gripper"])


def test_a_scale_that_is_no_number_is_refused(log):
    table = TABLE | {"Jaw": {"joint": "gripper", "scale": "2"}}
    with pytest.raises(RecordingError, match="scale is '2', not a number"):
        map_joints(log, table, ["lift", "gripper"])
