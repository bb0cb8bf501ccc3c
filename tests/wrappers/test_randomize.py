"""Anyone's gymnasium MuJoCo env, randomized by our parameters and domains."""

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from sim2real.distributions import Point, Uniform
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, Sim2RealError, UnknownName
from sim2real.wrappers import Randomize

HOPPER = "Hopper-v5"


def trace(env: gym.Env, steps: int = 40) -> np.ndarray:
    first = env.reset(seed=3)[0]
    env.action_space.seed(3)
    return np.array([first, *(env.step(env.action_space.sample())[0] for _ in range(steps))])


def test_writing_the_nominal_values_changes_no_bit() -> None:
    model = gym.make(HOPPER).unwrapped.model
    domain = Domain(
        {"torso.mass": Point(float(model.body("torso").mass[0])), "foot_joint.damping": Point(1.0)}
    )
    assert np.array_equal(
        trace(gym.make(HOPPER).unwrapped), trace(Randomize(gym.make(HOPPER).unwrapped, domain))
    )


def test_mass_equals_a_model_compiled_with_it() -> None:
    env = Randomize(gym.make(HOPPER).unwrapped, Domain({"foot.mass": Point(7.0)}))
    env.reset(seed=0)
    model = env.unwrapped.model
    spec = mujoco.MjSpec.from_file(env.unwrapped.fullpath)
    spec.geom("foot_geom").mass = 7.0
    truth = spec.compile()
    for field in ("body_mass", "body_inertia", "body_subtreemass", "dof_invweight0", "body_invweight0"):
        assert np.allclose(getattr(model, field), getattr(truth, field), rtol=1e-9), field


def test_an_unnamed_actuator_goes_by_its_joint() -> None:
    env = Randomize(gym.make(HOPPER).unwrapped, Domain({"leg_joint.strength": Point(0.5)}))
    bare = env.unwrapped.model.actuator_gainprm[:, 0].copy()
    env.reset(seed=0)
    assert np.array_equal(env.unwrapped.model.actuator_gainprm[:, 0], bare * [1.0, 0.5, 1.0])


def test_physics_is_drawn_at_every_reset_and_never_compounds() -> None:
    domain = Domain({"torso.mass": Uniform(2.0, 6.0), "world.gravity": Uniform(8.0, 11.0)})
    env = Randomize(gym.make(HOPPER), domain)
    drawn = []
    for seed in (None,) * 30:
        env.reset(seed=seed)
        drawn.append([env.unwrapped.model.body("torso").mass[0], -env.unwrapped.model.opt.gravity[2]])
        assert np.allclose(drawn[-1], list(env.physics().values()))
    masses, gravity = np.transpose(drawn)
    assert len(set(masses)) == 30
    assert masses.min() >= 2.0
    assert masses.max() <= 6.0
    assert gravity.min() >= 8.0
    assert gravity.max() <= 11.0
    env.reset(seed=5)
    first = env.physics()
    env.reset()
    env.reset(seed=5)
    assert env.physics() == first


def test_it_works_in_a_vector_env() -> None:
    domain = Domain({"torso.mass": Uniform(2.0, 6.0)})
    envs = SyncVectorEnv([lambda: Randomize(gym.make(HOPPER), domain)] * 3)
    envs.reset(seed=0)
    assert len({physics["torso.mass"] for physics in envs.call("physics")}) == 3


def test_a_domain_that_is_assigned_is_checked_and_drawn_from_as_one_that_is_set() -> None:
    """As vectors of envs assign attributes: `set_attr`."""
    envs = SyncVectorEnv([lambda: gym.wrappers.TimeLimit(Randomize(gym.make(HOPPER), Domain({})), 50)] * 2)
    envs.reset(seed=0)
    envs.set_attr("domain", [Domain({"torso.mass": Point(4.0)}), Domain({"leg.mass": Point(2.5)})])
    assert envs.get_attr("domain")[1].names == ("leg.mass",)
    assert envs.call("physics") == ({}, {}), "until the next reset"
    envs.reset()
    assert envs.call("physics") == ({"torso.mass": 4.0}, {"leg.mass": 2.5})
    again = gym.make(envs.envs[0].spec)
    assert again.get_wrapper_attr("domain").names == ("torso.mass",)
    with pytest.raises(UnknownName, match="nobody"):
        envs.set_attr("domain", Domain({"nobody.mass": Point(4.0)}))
    with pytest.raises(InvalidValue, match="no domain 3: give a Domain"):
        envs.set_attr("domain", 3)


@pytest.mark.parametrize(
    ("domain", "error", "says"),
    [
        ({"torsoo.mass": Point(1.0)}, UnknownName, "did you mean 'torso'"),
        ({"hip.strength": Point(1.0)}, UnknownName, "thigh_joint"),
        ({"thigh_joint.backlash": Point(0.01)}, InvalidValue, "needs a second joint"),
        ({"obs_11.noise": Point(0.1)}, UnknownName, "'obs_10'"),
        ({"thigh_joint.encoder_offset": Point(0.1)}, InvalidValue, "no encoder can be reached"),
        ({"thigh_joint.kp": Point(2.0)}, InvalidValue, "no position servo"),
        ({"thigh_joint.correction": Point(0.5)}, InvalidValue, "a learned network, which the folder"),
        ({"torso_geom.friction": Uniform(0.2, 0.8)}, InvalidValue, "has no effect below 1 "),
    ],
)
def test_what_the_model_cannot_take_is_refused(
    domain: dict[str, Point], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Randomize(gym.make(HOPPER), Domain(domain))


def test_an_env_without_mujoco_is_refused() -> None:
    with pytest.raises(Sim2RealError, match="has no MuJoCo model and no PyBullet client"):
        Randomize(gym.make("CartPole-v1"), Domain({}))


@pytest.mark.parametrize("quantity", ["com_x", "com_z"])
def test_centre_of_mass_equals_a_model_compiled_with_it(quantity: str) -> None:
    env = Randomize(gym.make(HOPPER).unwrapped, Domain({f"torso.{quantity}": Point(0.07)}))
    env.reset(seed=0)
    nominal = mujoco.MjModel.from_xml_path(env.unwrapped.fullpath).body("torso")
    spec = mujoco.MjSpec.from_file(env.unwrapped.fullpath)
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_AUTO
    torso = spec.body("torso")
    torso.explicitinertial = True
    torso.mass, torso.inertia, torso.iquat = nominal.mass[0], nominal.inertia, nominal.iquat
    torso.ipos = np.where(np.array(["com_x", "com_y", "com_z"]) == quantity, 0.07, nominal.ipos)
    ends = []
    for model in (env.unwrapped.model, spec.compile()):
        data = mujoco.MjData(model)
        for step in range(100):
            data.ctrl[:] = 0.3 * np.sin(0.1 * step)
            mujoco.mj_step(model, data)
        ends.append(data.qpos.copy())
    assert np.array_equal(*ends)
    assert abs(ends[0][0]) > 1e-3


class OneBody(gym.Env):
    observation_space = gym.spaces.Box(-np.inf, np.inf, (7,), np.float64)
    action_space = gym.spaces.Box(-1, 1, (0,), np.float64)

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(
            '<mujoco><worldbody><body name="ball"><freejoint/><geom size=".1"/></body></worldbody></mujoco>'
        )
        self.data = mujoco.MjData(self.model)


def test_a_simple_body_keeps_its_centre_of_mass() -> None:
    with pytest.raises(InvalidValue, match=r'give it simple="false"'):
        Randomize(OneBody(), Domain({"ball.com_x": Point(0.05)}))


def test_a_new_domain_counts_from_the_next_reset_on() -> None:
    env = Randomize(gym.make(HOPPER).unwrapped, Domain({"torso.mass": Point(5.0), "foot.mass": Point(6.0)}))
    bare = gym.make(HOPPER).unwrapped.model
    env.reset(seed=0)
    env.set_domain(Domain({"foot.mass": Point(7.0)}))
    model = env.unwrapped.model
    assert (model.body("torso").mass, model.body("foot").mass) == (5.0, 6.0)
    env.reset()
    assert env.physics() == {"foot.mass": 7.0}
    assert np.isclose(model.body("torso").mass[0], bare.body("torso").mass[0], rtol=1e-15)
    env.set_domain(Domain({}))
    env.reset()
    assert np.allclose(model.body_mass, bare.body_mass, rtol=1e-15)
    assert np.allclose(model.body_inertia, bare.body_inertia, rtol=1e-15)
    with pytest.raises(UnknownName, match="did you mean 'foot'"):
        env.set_domain(Domain({"foots.mass": Point(1.0)}))
