"""Copies, pickles, and envs made again from their spec draw, move and measure as the original."""

import copy
import pickle

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from sim2real.distributions import LogUniform, Normal, Point, Samples, Uniform
from sim2real.domain import Correlation, Domain
from sim2real.errors import InvalidValue, Sim2RealError
from sim2real.wrappers import Randomize

DOMAIN = Domain(
    {"torso.mass": Uniform(2.0, 6.0), "leg_joint.latency": Uniform(0, 6), "obs_0.noise": Uniform(0.0, 0.1)}
)
WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda env: pickle.loads(pickle.dumps(env))}


class Loop(gym.Env):
    """A stranger's env that copies whole, state and all, and steps by code of its own."""

    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def __init__(self):
        self.model = mujoco.MjModel.from_xml_string(
            '<mujoco><worldbody><body name="arm"><joint name="hinge" axis="0 1 0"/>'
            '<geom size=".1" pos=".3 0 0"/></body></worldbody>'
            '<actuator><motor name="motor" joint="hinge"/></actuator></mujoco>'
        )
        self.data = mujoco.MjData(self.model)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        return self.seen(), {}

    def step(self, action):
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, nstep=5)
        return self.seen(), 0.0, False, False, {}

    def seen(self):
        return np.concatenate((self.data.qpos, self.data.qvel))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", [True, False])
def test_a_copy_draws_and_moves_as_the_original(rolled, way, before):
    env = Randomize(gym.make("Hopper-v5"), DOMAIN)
    if before:
        rolled(env, steps=5, seed=1)
    twin = WAYS[way](env)
    assert np.array_equal(rolled(twin), rolled(env))
    assert twin.physics() == env.physics()
    assert twin.unwrapped.model is not env.unwrapped.model
    twin.reset(seed=8)
    assert twin.unwrapped.model.body("torso").mass[0] == twin.physics()["torso.mass"]
    assert (
        env.unwrapped.model.body("torso").mass[0]
        == env.physics()["torso.mass"]
        != twin.physics()["torso.mass"]
    )
    env.reset(seed=2)
    drawn = env.physics()
    twin = WAYS[way](env)
    for one in (env, twin):
        one.reset()
    assert twin.physics() == env.physics() != drawn, "the next draws are the same, too"


@pytest.mark.parametrize("way", WAYS)
def test_an_episode_goes_on_in_a_copy_that_keeps_its_state(way):
    env = Randomize(Loop(), Domain({"arm.mass": Uniform(1.0, 30.0), "motor.strength": Uniform(2.0, 3.0)}))
    env.reset(seed=0)
    env.step(np.ones(1))
    twin = WAYS[way](env)
    assert np.array_equal(twin.step(np.ones(1))[0], env.step(np.ones(1))[0])
    twin.reset(seed=4)
    bare = Loop().model
    assert twin.unwrapped.model.actuator_gainprm[0, 0] == twin.physics()["motor.strength"]
    assert np.allclose(
        twin.unwrapped.model.body_inertia[1],
        bare.body_inertia[1] * twin.physics()["arm.mass"] / bare.body_mass[1],
        rtol=1e-12,
    ), "from nominal, not from what the original had drawn"


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_under_channels_asks_for_a_reset(way):
    env = Randomize(Loop(), Domain({"obs_0.sensor_latency": Point(3)}))
    env.reset(seed=0)
    twin = WAYS[way](env)
    with pytest.raises(Sim2RealError, match="begins there, in a copy as well"):
        twin.step(np.zeros(1))
    twin.reset()
    twin.step(np.zeros(1))


def test_a_copy_of_the_env_alone_is_not_driven_by_the_wrapper(inline, arm, rolled):
    env = inline(arm)
    wrapped = Randomize(env, Domain({"motor.latency": Point(20)}))
    rolled(wrapped, steps=3)
    twin = copy.deepcopy(env)
    assert np.array_equal(rolled(twin), rolled(inline(arm)))
    assert not np.array_equal(rolled(wrapped), rolled(inline(arm)))


def test_a_patch_of_the_env_is_left_in_place(inline, arm, rolled):
    env, called = inline(arm), []
    plain = env.do_simulation
    env.do_simulation = lambda ctrl, n: (called.append(n), plain(ctrl, n))
    wrapped = Randomize(env, Domain({"motor.latency": Point(3)}))
    rolled(wrapped, steps=3)
    assert sum(called) == 6
    wrapped.set_domain(Domain({}))
    rolled(wrapped, steps=3)
    assert called[-3:] == [2, 2, 2]


EVERY = Domain(
    {
        "torso.mass": Normal(4.0, 1.0, 2.0, 6.0),
        "world.gravity": LogUniform(5.0, 11.0),
        "leg.mass": Uniform(1, 3),
        "legs.damping": Samples((0.5, 1.5, 2.5)),
        "foot_joint.latency": Uniform(0, 4),
        "obs_1.bias": Point(0.25),
    },
    Correlation(("leg.mass", "world.gravity"), ((1.0, 0.5), (0.5, 1.0))),
)


@pytest.mark.parametrize("through", ["spec", "json"])
def test_gym_makes_the_wrapped_env_again_from_its_spec(rolled, through):
    groups = {"legs": ("leg_joint", "foot_joint")}
    env = gym.wrappers.TimeLimit(Randomize(gym.make("Hopper-v5"), EVERY, groups), 500)
    spec = env.spec if through == "spec" else EnvSpec.from_json(env.spec.to_json())
    again = gym.make(spec)
    assert np.array_equal(rolled(again), rolled(env))
    assert again.get_wrapper_attr("domain") == EVERY
    assert again.get_wrapper_attr("physics")() == env.get_wrapper_attr("physics")()


def test_the_spec_follows_a_new_domain_and_insisting():
    env = Randomize(gym.make("Hopper-v5"), DOMAIN, allow_dead=True)
    assert env.spec.additional_wrappers[-1].kwargs["allow_dead"]
    env.set_domain(Domain({"leg.mass": Point(2.5)}))
    again = gym.make(env.spec)
    again.reset(seed=0)
    assert again.get_wrapper_attr("physics")() == {"leg.mass": 2.5}


def test_a_domain_may_be_a_table_or_a_file(tmp_path, rolled):
    DOMAIN.save(tmp_path / "domain.toml")
    paths = [
        rolled(Randomize(gym.make("Hopper-v5"), given))
        for given in (DOMAIN, DOMAIN.to_toml(), tmp_path / "domain.toml", str(tmp_path / "domain.toml"))
    ]
    assert all(np.array_equal(path, paths[0]) for path in paths[1:])


@pytest.mark.parametrize("given", [None, "nominal", "nowhere.toml", 3])
def test_what_is_no_domain_is_refused_in_a_sentence(given):
    with pytest.raises(InvalidValue, match=r"no domain .*: give a Domain, its table or the path"):
        Randomize(gym.make("Hopper-v5"), given)


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"legs": "leg_joint"}, "'leg_joint' where a list"),
        ({"legs": ()}, r"\(\) where a list of different names"),
        ({"legs": ["leg_joint", "leg_joint"]}, "a list of different names"),
        ({"leg": ["leg_joint"]}, r"joint for parameter legs\.damping: 'legs'"),
    ],
)
def test_a_group_that_means_nothing_is_refused(groups, says):
    with pytest.raises(Sim2RealError, match=says):
        Randomize(gym.make("Hopper-v5"), Domain({"legs.damping": Uniform(1, 2)}), groups)


@pytest.mark.parametrize("between", [False, True])
def test_it_is_not_put_on_twice(between):
    env = Randomize(gym.make("Hopper-v5"), DOMAIN)
    if between:
        env = gym.wrappers.RecordEpisodeStatistics(gym.wrappers.ClipAction(env))
    with pytest.raises(Sim2RealError, match="is in Randomize already"):
        Randomize(env, Domain({}))


def test_what_it_cannot_stand_above_is_refused():
    with pytest.raises(Sim2RealError, match="Autoreset, whose resets would draw no physics"):
        Randomize(gym.wrappers.Autoreset(gym.make("Hopper-v5")), DOMAIN)
    with pytest.raises(Sim2RealError, match="wrap each"):
        Randomize(gym.make_vec("Hopper-v5", 2), DOMAIN)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gym_makes_vectors_of_wrapped_envs(mode):
    wrappers = [lambda env: Randomize(env, DOMAIN)]
    envs = gym.make_vec(
        "Hopper-v5", 3, mode, wrappers=wrappers, vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}
    )
    try:
        envs.reset(seed=0)
        first = envs.call("physics")
        for _ in range(150):
            envs.step(np.ones((3, 3), np.float32))
        later = envs.call("physics")
        assert len({physics["torso.mass"] for physics in (*first, *later)}) == 6, "each episode has its own"
    finally:
        envs.close()
