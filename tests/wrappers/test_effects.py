"""The first reset refuses a parameter that changes nothing, says why, and leaves the env as it was."""

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from sim2real.distributions import Point, Uniform
from sim2real.domain import Domain
from sim2real.errors import DeadParameter
from sim2real.wrappers import Randomize, effects


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """No audit of another test is remembered."""
    monkeypatch.setattr(effects, "AUDITS", {})
    monkeypatch.setattr("sim2real.wrappers.randomize.AUDITS", effects.AUDITS)


def audits():
    return list(effects.AUDITS.values())


@pytest.mark.parametrize(
    ("parameter", "values", "says"),
    [
        ("rod.friction", (1.5, 3.0), "touched nothing in this motion"),
        ("box.push_interval", (1.0, 2.0), "it only shapes push, which none of its elements is given"),
        ("box.push_duration", (1.0, 1.0), "it only shapes push"),
        ("obs_1.spike_size", (2.0, 2.0), "it only shapes spike"),
        ("hinge.stribeck_velocity", (0.1, 0.2), "it only shapes stribeck or "),
    ],
)
def test_what_changes_nothing_is_refused_by_name(inline, arm, parameter, values, says):
    env = Randomize(inline(arm), Domain({"link.mass": Uniform(1, 2), parameter: Uniform(*values)}))
    for _ in range(2):
        with pytest.raises(DeadParameter, match=f"{parameter} .*{says}.*allow_dead=True") as caught:
            env.reset(seed=0)
        assert "link.mass" not in str(caught.value)
    Randomize(inline(arm), env.domain, allow_dead=True).reset(seed=0)
    env.set_domain(Domain({"link.mass": Point(2.0)}))
    env.reset(seed=0)


def test_a_slope_acts_with_the_gravity_that_the_domain_brings(inline, arm):
    scene = arm.replace('timestep="0.005"', 'timestep="0.005" gravity="0 0 0"')
    env = Randomize(inline(scene), Domain({"world.gravity": Uniform(0, 9), "world.slope_x": Point(0.1)}))
    env.reset(seed=0)
    size = env.physics()["world.gravity"]
    assert np.allclose(env.unwrapped.model.opt.gravity, [0, size * np.sin(0.1), -size * np.cos(0.1)])


def test_a_new_domain_is_audited_at_its_first_reset(inline, arm):
    env = Randomize(inline(arm), Domain({"link.mass": Point(2.0)}))
    env.reset(seed=0)
    env.set_domain(Domain({"rod.friction": Point(2.0)}))
    with pytest.raises(DeadParameter, match=r"rod\.friction"):
        env.reset()


ALIVE = {
    "link.mass": Uniform(1, 2),
    "link.payload": Uniform(0, 1),
    "hinge.damping": Uniform(0.2, 0.3),
    "hinge.armature": Uniform(0.02, 0.03),
    "hinge.frictionloss": Uniform(0, 0.1),
    "hinge.stiffness": Uniform(0, 1),
    "world.gravity": Uniform(5, 12),
    "world.slope_x": Uniform(-0.1, 0.1),
    "motor.strength": Uniform(0.8, 1.2),
    "motor.latency": Uniform(0, 5),
    "motor.latency_jitter": Uniform(0, 5),
    "motor.command_noise": Uniform(0, 0.1),
    "motor.deadband": Uniform(0, 0.3),
    "motor.rate_limit": Uniform(1, 20),
    "motor.command_resolution": Uniform(0, 0.1),
    "cube.friction": Uniform(1.0, 2.0),
    "box.push": Uniform(0, 3),
    "box.push_interval": Uniform(0.5, 2.0),
    "hinge.damping.drift": Uniform(0, 1),
    "obs_0.noise": Uniform(0, 0.1),
    "obs_1.bias": Uniform(-0.1, 0.1),
    "obs_2.sensor_latency": Uniform(0, 3),
    "obs_3.dropout": Uniform(0, 0.2),
    "obs_4.resolution": Uniform(0, 0.05),
}


def test_what_acts_passes_and_is_audited_once(inline, arm):
    domain = Domain(ALIVE)
    envs = SyncVectorEnv([lambda: Randomize(inline(arm), domain)] * 8)
    envs.reset(seed=0)
    envs.reset(seed=1)
    (audit,) = audits()
    assert {finding.name for finding in audit.findings} == set(domain.names)
    assert all(finding.verdict == "alive" for finding in audit.findings)


def test_sixty_four_envs_pay_for_one_audit():
    domain = Domain({"torso.mass": Uniform(2.0, 6.0), "leg_joint.latency": Uniform(0, 6)})
    envs = gym.make_vec("Hopper-v5", 64, "sync", wrappers=[lambda env: Randomize(env, domain)])
    envs.reset(seed=0)
    assert len(audits()) == 1
    Randomize(gym.make("Hopper-v5"), domain).reset()
    assert len(audits()) == 1
    Randomize(gym.make("Hopper-v5"), Domain({"torso.mass": Point(3.0)})).reset()
    heavier = gym.make("Hopper-v5")
    heavier.unwrapped.model.body("foot").mass[:] = 3.0
    Randomize(heavier, domain).reset()
    assert len(audits()) == 3, "another domain, and another model"


def numbers_of(env):
    """Everything that the audit could have touched: state, model, and what is drawn next."""
    model, data = env.unwrapped.model, env.unwrapped.data
    size, spec = mujoco.mj_sizeModel(model), mujoco.mjtState.mjSTATE_INTEGRATION
    content, state = np.empty(size, np.uint8), np.zeros(mujoco.mj_stateSize(model, spec))
    mujoco.mj_saveModel(model, None, content)
    mujoco.mj_getState(model, data, state, spec)
    return (
        content.tobytes(),
        state.tobytes(),
        data.qacc.tobytes(),
        env.unwrapped.np_random.bit_generator.state,
    )


@pytest.mark.parametrize(
    ("name", "body", "joint"),
    [
        ("Hopper-v5", "foot", "leg_joint"),
        ("Ant-v5", "torso", "hip_1"),
        ("Pusher-v5", "object", "obj_slidey"),
        ("InvertedPendulum-v5", "pole", "slider"),
    ],
)
def test_the_env_is_left_as_it_was_to_the_bit(name, body, joint):
    domain = Domain({f"{body}.mass": Uniform(0.5, 2.0), f"{joint}.damping": Uniform(0.1, 2.0)})
    audited = Randomize(gym.make(name).unwrapped, domain)
    plain = Randomize(gym.make(name).unwrapped, domain, allow_dead=True)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - that no one has drawn from it is the question
    for env in (audited, plain):
        env.action_space.seed(0)
    for _ in range(2):
        assert np.array_equal(audited.reset(seed=3)[0], plain.reset(seed=3)[0])
        assert numbers_of(audited) == numbers_of(plain)
        for _ in range(10):
            action = plain.action_space.sample()
            assert np.array_equal(audited.step(action)[0], plain.step(action)[0])
        assert numbers_of(audited) == numbers_of(plain)
        assert np.array_equal(audited.reset()[0], plain.reset()[0])
        assert audited.physics() == plain.physics()
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert len(audits()) == 1


def test_a_simulation_that_blows_up_is_no_matter_of_the_process(inline, arm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = mujoco.get_mju_user_warning()
    env = Randomize(inline(arm), Domain({"hinge.stiffness": Uniform(0.0, 1e6)}))
    env.reset(seed=0)
    assert mujoco.get_mju_user_warning() is before
    assert not (tmp_path / "MUJOCO_LOG.TXT").exists()
