"""Laws of the physics rate against their formulas."""

import numpy as np
import pytest

from sim2real.channels.laws import UNLIMITED, extra_friction, goal_law, limits_at

DT = 0.005


def followed(target, speed=UNLIMITED, braking=UNLIMITED):
    state, limits, found = (np.zeros(1), np.zeros(1)), (np.array([speed]), np.array([braking])), []
    for x in target:
        state = goal_law(np, limits, DT)(state, np.array([x]))
        found.append(state[0][0])
    return np.array(found)


def test_no_limits_are_no_law():
    rng = np.random.default_rng(0)
    target = rng.uniform(-1, 1, 50)
    assert followed(target).tolist() == target.tolist()


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
    law = {"stribeck": 0.05, "stribeck_velocity": 0.02, "load_friction_motor": 0.5}
    velocity, torque = np.array([[0.0, 0.02]]), np.array([[0.2, -0.4]])
    found = extra_friction(np, law, velocity, torque, None)
    assert found == pytest.approx(np.array([[0.05 + 0.1, 0.05 / np.e + 0.2]]))


def test_coefficients_of_0_change_no_bit():
    rng = np.random.default_rng(0)
    speed, motor, load = rng.normal(size=(3, 5, 2))
    law = {"load_friction_motor": rng.uniform(size=(5, 2))}
    zero = np.zeros((5, 2))
    more = law | {q: zero for q in ("load_friction_external", "stribeck", "load_quadratic_motor")}
    more |= {"stribeck_velocity": zero + 0.05, "stribeck_exponent": zero + 1.0}
    lean = extra_friction(np, law, speed, motor, None)
    assert np.array_equal(extra_friction(np, more, speed, motor, load), lean)
    limits = np.stack([-(load**2), load**2], axis=-1)
    assert np.array_equal(limits_at(np, limits, zero, speed), limits)
