"""Everyone's envs: an empty domain changes no bit; single, in vectors, and observations of every shape."""

import warnings
from functools import partial

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from sim2real.distributions import Point, Uniform
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, Sim2RealError
from sim2real.wrappers import Randomize

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import gymnasium_robotics

gym.register_envs(gymnasium_robotics)

ENVS = (
    "Hopper-v5",
    "HalfCheetah-v5",
    "Ant-v5",
    "InvertedPendulum-v5",
    "Reacher-v5",
    "AdroitHandDoor-v1",
    "PointMaze_UMaze-v3",
    "AntMaze_UMaze-v5",
    "FetchReach-v4",
)


def set_joint(field, model, data, name, value):
    getattr(data.joint(name), field)[:] = value


def get_joint(field, model, data, name):
    return getattr(data.joint(name), field).copy()


@pytest.fixture(autouse=True)
def mended(monkeypatch):
    """gymnasium-robotics 1.4.2 asks `joint_type in (enum, enum)`, which MuJoCo 4.0's enums answer with no."""
    from gymnasium_robotics.utils import mujoco_utils

    for field in ("qpos", "qvel"):
        monkeypatch.setattr(mujoco_utils, f"set_joint_{field}", partial(set_joint, field))
        monkeypatch.setattr(mujoco_utils, f"get_joint_{field}", partial(get_joint, field))
    warnings.simplefilter("ignore")  # what strangers' envs warn of is theirs


def made(name):
    return gym.make(name, disable_env_checker=True).unwrapped


def flat(observation):
    if isinstance(observation, dict):
        return np.concatenate([np.ravel(observation[key]) for key in sorted(observation)])
    return np.ravel(observation)


def trace(env, steps=15):
    env.action_space.seed(3)
    path = [(flat(env.reset(seed=3)[0]), 0.0)]
    for _ in range(steps):
        observation, reward, *_ = env.step(env.action_space.sample())
        path.append((flat(observation), float(reward)))
    return np.array([np.append(observation, reward) for observation, reward in path])


@pytest.mark.parametrize("name", ENVS)
def test_an_empty_domain_changes_no_bit(name):
    bare = trace(made(name))
    assert np.array_equal(bare, trace(Randomize(made(name), Domain({}))))
    assert np.ptp(bare, axis=0).max() > 0


@pytest.mark.parametrize("name", ENVS)
def test_channels_at_rest_change_no_bit(name):
    env = made(name)
    dict_like = isinstance(env.observation_space, gym.spaces.Dict)
    signal = "observation_0" if dict_like else "obs_0"
    domain = Domain({f"{signal}.noise": Point(0.0)})
    assert np.array_equal(trace(env), trace(Randomize(made(name), domain)))


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("FetchReach-v4", "world.gravity", 3.0),
        ("AdroitHandDoor-v1", "ffproximal.mass", 1.0),
        ("AdroitHandDoor-v1", "A_ARTz.latency", 5.0),
        ("PointMaze_UMaze-v3", "motor_x.strength", 0.5),
        ("PointMaze_UMaze-v3", "motor_x.latency", 3.0),
        ("AntMaze_UMaze-v5", "hip_1.latency", 2.0),
        ("AntMaze_UMaze-v5", "ankle_1.damping", 5.0),
    ],
)
def test_dynamics_of_gymnasium_robotics_act(name, parameter, value):
    env = Randomize(made(name), Domain({parameter: Point(value)}))
    assert np.abs(trace(env) - trace(made(name))).max() > 1e-6
    assert env.physics() == {parameter: value}


@pytest.mark.parametrize("vector", [SyncVectorEnv, AsyncVectorEnv])
def test_vectors_draw_apart_and_take_a_new_domain(vector):
    domain = Domain({"torso.mass": Uniform(2.0, 6.0), "obs_0.noise": Uniform(0.0, 0.1)})
    envs = vector([lambda: Randomize(gym.make("Hopper-v5"), domain)] * 2)
    try:
        envs.reset(seed=0)
        first = envs.call("physics")
        assert first[0] != first[1]
        envs.step(envs.action_space.sample())
        envs.call("set_domain", Domain({"torso.mass": Point(4.0)}))
        envs.reset()
        assert envs.call("physics") == ({"torso.mass": 4.0},) * 2
        envs.reset(seed=0)
    finally:
        envs.close()


def test_both_vectors_and_the_single_env_agree_to_the_bit():
    domain = Domain({"torso.mass": Uniform(2.0, 6.0), "leg_joint.latency": Uniform(0, 6)})

    def make():
        return Randomize(gym.make("Hopper-v5"), domain)

    paths = []
    for vector in (SyncVectorEnv, AsyncVectorEnv):
        envs = vector([make] * 2)
        rng, path = np.random.default_rng(0), [envs.reset(seed=[5, 6])[0]]
        path += [envs.step(rng.uniform(-1, 1, (2, 3)).astype(np.float32))[0] for _ in range(10)]
        paths.append(np.array(path))
        envs.close()
    assert np.array_equal(*paths)
    env, rng = make(), np.random.default_rng(0)
    alone = [env.reset(seed=6)[0]]
    alone += [env.step(rng.uniform(-1, 1, (2, 3)).astype(np.float32)[1])[0] for _ in range(10)]
    assert np.array_equal(paths[0][:, 1], alone)


class Loop(gym.Env):
    """A stranger's env that steps by code of its own."""

    def __init__(self, actions=1):
        self.model = mujoco.MjModel.from_xml_string(
            '<mujoco><worldbody><body name="arm"><joint name="hinge" axis="0 1 0"/>'
            '<geom size=".1" pos=".3 0 0"/></body></worldbody>'
            '<actuator><motor name="motor" joint="hinge"/></actuator></mujoco>'
        )
        self.data = mujoco.MjData(self.model)
        self.action_space = gym.spaces.Box(-1, 1, (actions,), np.float32)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.observation_names = ("angle", "speed")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        return self.seen(), {}

    def step(self, action):
        self.data.ctrl[:] = action[0]
        mujoco.mj_step(self.model, self.data, nstep=5)
        return self.seen(), 0.0, False, False, {}

    def seen(self):
        return np.concatenate((self.data.qpos, self.data.qvel))


def test_an_env_names_its_own_signals():
    env = Randomize(Loop(), Domain({"angle.noise": Point(0.3)}))
    bare, noisy = trace(Loop()), trace(env)
    difference = noisy - bare
    assert np.array_equal(difference[:, 1], np.zeros(16)), "the speed is read as it is"
    assert 0.15 < difference[:, 0].std() < 0.45
    wrong = Loop()
    wrong.observation_names = ("angle",)
    with pytest.raises(ValueError, match="1 names for 2 numbers"):
        Randomize(wrong, Domain({}))


def test_signals_can_share_a_parameter():
    env = Randomize(Loop(), Domain({"all.noise": Point(0.3)}), groups={"all": ("angle", "speed")})
    assert ((trace(env) - trace(Loop())).std(axis=0)[:2] > 0.1).all()


@pytest.mark.parametrize(
    ("actions", "parameter", "says"),
    [
        (1, "motor.latency", "steps by code of its own; only envs that step through"),
        (2, "motor.strength.drift", None),
        (2, "nobody.latency", "known: motor"),
    ],
)
def test_what_code_of_its_own_cannot_have_is_refused(actions, parameter, says):
    if says is None:
        Randomize(Loop(actions), Domain({parameter: Point(0.1)}))
        return
    with pytest.raises(ValueError, match=says):
        Randomize(Loop(actions), Domain({parameter: Point(2.0)}))


class Goals(Loop):
    """One whose action is a goal: what the actuator gets is its own law's."""

    def step(self, action):
        self.data.ctrl[:] = 5 * (action - self.data.qpos)
        mujoco.mj_step(self.model, self.data, nstep=5)
        return self.seen(), 0.0, False, False, {}


def test_an_action_that_is_no_command_is_found_at_the_first_step():
    domain = Domain({"motor.command_noise": Point(0.1)})
    for env, says in (
        (Loop(), None),
        (Goals(), r"got is not its action; motor\.command_noise can't act there"),
    ):
        wrapped = Randomize(env, domain)
        wrapped.reset(seed=0)
        if says is None:
            wrapped.step(np.ones(1, np.float32))
            continue
        with pytest.raises(Sim2RealError, match=says):
            wrapped.step(np.ones(1, np.float32))


@pytest.mark.parametrize(
    "parameter", ["arm.push", "motor.rate_limit", "motor.strength.drift", "angle.bias_drift"]
)
def test_a_step_of_unknown_length_is_found_at_the_first_step(parameter):
    """It steps five times 2 ms, and doesn't say so."""
    env = Loop()
    wrapped = Randomize(env, Domain({parameter: Point(3.0), "motor.strength": Point(0.8)}))
    wrapped.reset(seed=0)
    with pytest.raises(
        Sim2RealError, match=f"takes 0.01 s and was taken for 0.002 s, by which {parameter} would"
    ):
        wrapped.step(np.ones(1))
    env.dt = 0.01
    wrapped = Randomize(env, wrapped.domain)
    wrapped.reset(seed=0)
    wrapped.step(np.ones(1))


def test_data_go_by_another_name_or_come_with_the_first_reset():
    class Private(Loop):
        def __init__(self):
            super().__init__()
            self._mj = self.data
            del self.data

        def reset(self, *, seed=None, options=None):
            mujoco.mj_resetData(self.model, self._mj)
            return self.seen(), {}

        def seen(self):
            return np.concatenate((self._mj.qpos, self._mj.qvel)) if hasattr(self, "_mj") else np.zeros(2)

        def step(self, action):
            self._mj.ctrl[:] = action[0]
            mujoco.mj_step(self.model, self._mj, nstep=5)
            return self.seen(), 0.0, False, False, {}

    physics = {"arm.mass": 2.0, "angle.bias": 0.5}
    assert np.array_equal(
        trace(Randomize(Private(), Domain.point(physics))), trace(Randomize(Loop(), Domain.point(physics)))
    )
    late = Private()
    data, late._mj = late._mj, None
    with pytest.raises(
        Sim2RealError, match=r"has no mujoco\.MjData yet, .*; reset\(\) it before it is wrapped"
    ):
        Randomize(late, Domain.point(physics))
    wrapped = Randomize(late, Domain({"arm.mass": Point(2.0)}))
    late._mj = data
    assert np.array_equal(trace(wrapped), trace(Randomize(Loop(), Domain({"arm.mass": Point(2.0)}))))


def test_a_group_drifts_only_from_one_nominal_value():
    env = made("Hopper-v5")
    env.model.joint("leg_joint").damping[:] = 3.0
    groups = {"limbs": ("thigh_joint", "leg_joint")}
    drift = {"limbs.damping.drift": Point(0.5)}
    with pytest.raises(InvalidValue, match=r"not the same for all of thigh_joint \(1\), leg_joint \(3\)"):
        Randomize(env, Domain(drift), groups)
    wrapped = Randomize(env, Domain(drift | {"limbs.damping": Point(2.0)}), groups)
    wrapped.reset(seed=0)
    assert env.model.dof_damping[3:5].tolist() == [2.0, 2.0]
    wrapped.set_domain(Domain({}))
    wrapped.reset()
    assert env.model.dof_damping[3:5].tolist() == [1.0, 3.0], "each has its own again"


LATE_HOPPER = Domain(
    {f"{joint}.latency": Point(k) for joint, k in (("thigh_joint", 3.0), ("foot_joint", 9.0))}
)


def test_latency_equals_the_engines_own_to_the_bit():
    """Stepping in pieces against a model with delay buffers; without RK4, which looks between steps."""
    bare = made("Hopper-v5")
    bare.model.opt.integrator = mujoco.mjtIntegrator.mjINT_EULER
    env = Randomize(bare, LATE_HOPPER)
    spec = mujoco.MjSpec.from_file(env.unwrapped.fullpath)
    for actuator in spec.actuators:
        actuator.nsample = 12
    model = spec.compile()
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_EULER
    model.actuator_delay[:] = (np.array([3, 0.5, 9]) - 0.5) * model.opt.timestep
    env.reset(seed=0)
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = env.unwrapped.data.qpos, env.unwrapped.data.qvel
    rng = np.random.default_rng(0)
    for _ in range(30):
        action = rng.uniform(-1, 1, 3).astype(np.float32)
        env.step(action)
        data.ctrl[:] = action
        mujoco.mj_step(model, data, nstep=4)
        assert np.array_equal(data.qpos, env.unwrapped.data.qpos)


def several_times(env, action):
    """A controller of its own, once a physics step."""
    for _ in range(env.frame_skip):
        env.do_simulation(3 * (action - env.data.qpos[:1]), 1)


def past_it(env, action):
    env.data.ctrl[:] = action
    mujoco.mj_step(env.model, env.data, nstep=env.frame_skip)


@pytest.mark.parametrize(
    ("parameter", "step", "says"),
    [
        ("motor.rate_limit", several_times, r"its actuators 2 times, .*motor\.rate_limit can't act there"),
        ("motor.command_noise", several_times, r"motor\.command_noise can't act there: take them out"),
        ("motor.latency", several_times, None),
        ("motor.command_resolution", several_times, None),
        ("hinge.stribeck", several_times, None),
        ("motor.rate_limit", past_it, "none of its actuators through do_simulation"),
        ("motor.latency", past_it, r"motor\.latency can't act there"),
        ("hinge.stribeck", past_it, r"hinge\.stribeck, .* can't act there"),
        ("motor.strength", past_it, None),
        ("obs_0.noise", past_it, None),
    ],
)
def test_an_env_that_commands_otherwise_than_once_a_step_is_found_at_the_first(
    inline, arm, parameter, step, says
):
    env = inline(arm)
    env.step = lambda action: (step(env, action), (env.seen(), 0.0, False, False, {}))[1]
    given = {parameter: 1.0 if "latency" in parameter else 0.1}
    given |= {"hinge.stribeck_velocity": 0.1} if "stribeck" in parameter else {}
    wrapped = Randomize(env, Domain.point(given))
    wrapped.reset(seed=0)
    if says is None:
        wrapped.step(np.ones(1, np.float32))
        return
    with pytest.raises(Sim2RealError, match=says):
        wrapped.step(np.ones(1, np.float32))
