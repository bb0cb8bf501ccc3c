"""Envs that load another model, make new data or write numbers of their own: ours are in what they run on."""

import mujoco
import numpy as np
import pytest

from sim2real.distributions import Point, Uniform
from sim2real.domain import Domain
from sim2real.errors import Sim2RealError
from sim2real.wrappers import Randomize

HEAVY = Domain({"link.mass": Point(1.25), "hinge.damping": Point(0.4)})
KINDS = ("model", "data", "numbers")


def heavier(scene):
    return scene.replace('mass=".5"', 'mass="1.25"').replace('damping="0.1"', 'damping="0.4"')


@pytest.mark.parametrize("anew", KINDS)
def test_it_moves_as_a_model_compiled_with_the_values(inline, arm, rolled, anew):
    env, truth = Randomize(inline(arm, anew), HEAVY), rolled(inline(heavier(arm)))
    for _ in range(3):
        assert np.allclose(rolled(env), truth, rtol=1e-9, atol=1e-12)
    assert np.abs(rolled(inline(arm)) - truth).max() > 0.1


@pytest.mark.parametrize("anew", KINDS)
def test_draws_never_compound_and_nominal_stays(inline, arm, anew):
    env = Randomize(
        inline(arm, anew), Domain({"motor.strength": Uniform(0.5, 2.0), "link.mass": Uniform(1, 2)})
    )
    bare = inline(arm).model
    for seed in range(4):
        env.reset(seed=seed)
        model = env.unwrapped.model
        assert model.actuator_gainprm[0, 0] == bare.actuator_gainprm[0, 0] * env.physics()["motor.strength"]
        assert model.body("link").mass[0] == env.physics()["link.mass"]
        share = env.physics()["link.mass"] / bare.body("link").mass[0]
        assert np.allclose(model.body("link").inertia, bare.body("link").inertia * share, rtol=1e-12)
    env.set_domain(Domain({}))
    env.reset()
    for field in ("actuator_gainprm", "body_mass", "body_inertia", "body_subtreemass", "dof_invweight0"):
        assert np.array_equal(getattr(env.unwrapped.model, field), getattr(bare, field)), field


@pytest.mark.parametrize("anew", KINDS)
def test_channels_go_on_over_the_new_ones(inline, arm, rolled, anew):
    physics = {"motor.latency": 7.0, "link.push": 5.0, "link.push_interval": 0.05, "hinge.stribeck": 0.1}
    physics |= {"hinge.stribeck_velocity": 0.1, "obs_0.sensor_latency": 3.0}
    domain = Domain.point(physics)
    kept = Randomize(inline(arm), domain)
    env = Randomize(inline(arm, anew), domain)
    for seed in range(3):
        assert np.array_equal(rolled(env, seed=seed), rolled(kept, seed=seed))


def test_a_model_without_the_element_is_refused_in_a_sentence(inline, arm):
    env = inline(arm, "model")
    wrapped = Randomize(env, HEAVY)
    wrapped.reset(seed=0)
    other = inline(arm.replace('name="link"', 'name="stick"'))
    env.path = other.path
    with pytest.raises(
        Sim2RealError, match=r"has loaded another model, which its domain does not fit: .*'link'"
    ):
        wrapped.reset()


def test_a_model_replaced_by_hand_is_written_to(inline, arm, rolled):
    env = inline(arm)
    wrapped = Randomize(env, HEAVY)
    wrapped.reset(seed=0)
    wrapped.step(np.zeros(1, np.float32))
    env.model = mujoco.MjModel.from_xml_path(env.path)
    wrapped.step(np.zeros(1, np.float32))
    assert env.model.body("link").mass[0] == 1.25
    assert np.allclose(rolled(wrapped), rolled(inline(heavier(arm))), rtol=1e-9, atol=1e-12)


def test_data_replaced_under_a_delayed_command_is_refused(inline, arm):
    env = inline(arm)
    wrapped = Randomize(env, Domain({"motor.latency": Point(3)}))
    wrapped.reset(seed=0)
    env.data = mujoco.MjData(env.model)
    with pytest.raises(
        Sim2RealError, match=r"replaced its model or its data within an episode; reset\(\) it"
    ):
        wrapped.step(np.zeros(1, np.float32))
    wrapped.reset()
    wrapped.step(np.zeros(1, np.float32))


def test_a_second_wrapper_does_not_take_what_the_first_drew_for_nominal(inline, arm):
    env, bare = inline(arm), inline(arm).model
    Randomize(env, Domain({"link.mass": Point(3.0), "motor.strength": Point(0.5)})).reset(seed=0)
    second = Randomize(env, Domain({"motor.strength": Point(0.8), "link.payload": Point(0.1)}))
    second.reset(seed=0)
    assert env.model.actuator_gainprm[0, 0] == 0.8 * bare.actuator_gainprm[0, 0]
    assert env.model.body("link").mass[0] == pytest.approx(bare.body("link").mass[0] + 0.1)


def test_numbers_of_the_env_itself_stay_its_own(inline, arm):
    env = inline(arm)
    wrapped = Randomize(env, HEAVY)
    env.model.geom("cube").size[:] = 0.2
    wrapped.reset(seed=0)
    wrapped.set_domain(Domain({}))
    wrapped.reset()
    assert env.model.geom("cube").size.tolist() == [0.2] * 3
    assert env.model.body("link").mass[0] == 0.5


@pytest.mark.parametrize(("option", "parameter"), [("density", "air_density"), ("gravity", "gravity")])
def test_options_that_the_env_sets_in_its_reset_are_ours_after_it(inline, arm, option, parameter):
    env = inline(arm)
    reset_model = env.reset_model

    def own():
        setattr(env.model.opt, option, {"density": 1.0, "gravity": [0, 0, -1.0]}[option])
        return reset_model()

    env.reset_model = own
    wrapped = Randomize(env, Domain({f"world.{parameter}": Uniform(100.0, 900.0)}))
    for seed in range(3):
        wrapped.reset(seed=seed)
        value = np.linalg.norm(getattr(env.model.opt, option))
        assert value == pytest.approx(wrapped.physics()[f"world.{parameter}"])
