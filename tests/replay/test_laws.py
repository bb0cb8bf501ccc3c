"""Laws of the physics rate against their formulas."""

import numpy as np
import pytest

from sim2real.replay.laws import UNLIMITED, DryFriction, GoalLimits

DT = 0.005


def followed(target, speed=UNLIMITED, braking=UNLIMITED):
    limits = GoalLimits(np.array([[speed]]), np.array([[braking]]), np.zeros((1, 1)), np.zeros((1, 1)))
    return np.array([limits.follow(np.array([[x]]), 1, DT)[0, 0] for x in target])


def test_no_limits_are_no_law():
    most = np.full((2, 1), UNLIMITED)
    assert GoalLimits.of(most, most, np.zeros((2, 1))) is None
    assert followed([0.3, -0.2]).tolist() == pytest.approx([0.3, -0.2])


def test_a_goal_moves_at_its_top_speed():
    found = followed([1.0] * 100, speed=4.0)
    assert np.diff(found[:40]) == pytest.approx(4.0 * DT)
    assert found[-1] == pytest.approx(1.0)


def test_a_goal_brakes_before_it_arrives_and_does_not_pass():
    found = followed([0.5] * 200, braking=30.0)
    assert found.max() <= 0.5 + 1e-4
    assert found[-1] == pytest.approx(0.5, abs=1e-3)
    speed = np.diff(found) / DT
    away = 0.5 - found[:-1]
    assert (speed <= np.sqrt(2 * 30.0 * np.maximum(away, 0)) + 1e-2).all()
    assert -np.diff(speed)[away[1:] > 0.01].min() <= 30.0 * DT * 1.01


def test_a_goal_turns_round_no_faster_than_it_brakes():
    found = followed([1.0] * 20 + [-1.0] * 100, speed=4.0, braking=40.0)
    speed = np.diff(found) / DT
    assert np.diff(speed).min() >= -40.0 * DT - 4.0 - 1e-9  # from standstill it speeds up at once
    slowing = (speed[:-1] > 1e-9) & (speed[1:] > 1e-9) & (np.diff(speed) < 0)
    assert np.diff(speed)[slowing].min() >= -40.0 * DT - 1e-9


def test_friction_is_stribecks_and_grows_with_load():
    law = DryFriction(*(np.full((1, 2), x) for x in (0.1, 0.05, 0.02, 0.5)))
    velocity, torque = np.array([[0.0, 0.02]]), np.array([[0.2, -0.4]])
    found = law.at(velocity, torque, slice(None))
    assert found == pytest.approx(np.array([[0.1 + 0.05 + 0.1, 0.1 + 0.05 / np.e + 0.2]]))
    assert law.changes
