"""Gymnasium envs as worlds: what they are asked, who sets their parameters, and what is refused."""

import logging
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

import sim2real
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName
from sim2real.world import World, with_default_parameters


class Cart(gym.Env):
    """A mass on a rail, pushed by a force: as plain as an env can be."""

    dt, mass, drag = 0.1, 2.0, 0.5
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gym.spaces.Box(-3.0, 3.0, (1,))

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.uniform(-1, 1, 2)
        return self.state.copy(), {}

    def step(self, action):
        x, v = self.state
        v += self.dt * (float(action[0]) - self.drag * v) / self.mass
        self.state = np.array([x + self.dt * v, v])
        return self.state.copy(), -abs(x), bool(abs(x) > 5), False, {"success": abs(x) < 0.1}


def cart(limit=50, **attributes):
    env = Cart()
    for name, value in attributes.items():
        setattr(env, name, value)
    return gym.wrappers.TimeLimit(env, limit) if limit else env


def with_space(observation=None, action=None):
    def make():
        env = cart()
        env.unwrapped.observation_space = observation or Cart.observation_space
        env.unwrapped.action_space = action or Cart.action_space
        return env

    return make


MASS = {"parameters": {"env.mass": {"unit": "kg", "nominal": 2.0, "range": [1.0, 4.0], "source": "assumed"}}}


def test_an_env_by_its_id_has_the_parameters_of_its_model():
    world = World.load("gym:Hopper-v5")
    spec = world.own_task.spec
    assert (world.name, world.task, world.env.engine) == ("gym:Hopper-v5", "Hopper-v5", "mujoco")
    assert (spec.control_dt, spec.max_steps, spec.success) == (0.008, 1000, "")
    assert [s.name for s in spec.action] == ["thigh_joint", "leg_joint", "foot_joint"]
    assert [s.name for s in spec.observation] == [f"obs_{k}" for k in range(11)]
    physics = {"torso.mass": 5.0, "foot_joint.latency": 4, "foot_geom.friction": 1.5, "obs_3.noise": 0.1}
    wide = world.for_domain(Domain.point(physics))
    assert wide.nominal["torso.mass"] == pytest.approx(3.66519, abs=1e-5)
    assert wide.nominal["foot_joint.latency"] == wide.nominal["obs_3.noise"] == 0.0
    assert world.contents["effects"]["env"] == "Hopper-v5"
    assert world.contents != wide.contents
    assert world.contents["scene"] == wide.contents["scene"]


def test_an_env_without_a_model_has_its_attributes():
    world = World.load("gym:Pendulum-v1").for_domain(Domain.point({"env.m": 1.2, "env.g": 9.0}))
    assert world.nominal == {"env.m": 1.0, "env.g": 10.0}
    assert world.own_task.spec.success == ""
    assert (world.own_task.low, world.own_task.high) == (-2.0, 2.0)


def test_usual_parameters_of_an_env_without_a_model_are_its_constants():
    usual = with_default_parameters(World.load("gym:Pendulum-v1"))
    assert {"env.m", "env.l", "env.g", "env.max_torque"} < set(usual.parameters)
    assert "env.last_u" not in usual.parameters  # which an episode changes
    assert (usual.parameters["env.g"].low, usual.parameters["env.g"].high) == (5.0, 15.0)


def test_a_dict_of_one_box_is_flat():
    def keyed():
        env = cart()
        env = gym.wrappers.TransformObservation(
            env, lambda seen: {"state": seen}, gym.spaces.Dict(state=Cart.observation_space)
        )
        return env

    world = World.of_env(keyed)
    assert [signal.name for signal in world.own_task.spec.observation] == ["state_0", "state_1"]
    envs = Sim2RealVectorEnv(world, 2)
    assert envs.reset(seed=0)[0].shape == (2, 2)
    assert np.isfinite(envs.step(np.zeros((2, 1), dtype=np.float32))[0]).all()


LACKING = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("glfw", "imageio", "pybullet"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import numpy as np
from sim2real import Sim2RealVectorEnv, World
env = Sim2RealVectorEnv("gym:Pendulum-v1", 2, {"parameters": {"env.m": 2.0}})
env.reset(seed=0)
print(env.step(np.zeros((2, 1), dtype=np.float32))[0].shape)
World.load("gym:Hopper-v5")
"""


@pytest.mark.slow
def test_envs_need_no_more_than_they_need_themselves():
    done = subprocess.run(
        [sys.executable, "-c", LACKING], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "(2, 3)\n"
    assert "Hopper-v5 needs a package that is not installed" in done.stderr


def test_an_id_can_be_registered_for_an_env_with_physics():
    sim2real.register_env("gym:Pendulum-v1", id="tests/Pendulum-v0", domain={"parameters": {"env.m": 2.0}})
    env = gym.make("tests/Pendulum-v0", disable_env_checker=True)
    env.reset(seed=0)
    assert env.unwrapped.physics() == {"env.m": 2.0}
    del gym.registry["tests/Pendulum-v0"]


def test_a_folder_names_an_env_in_place_of_a_scene(tmp_path):
    folder = tmp_path / "hop"
    folder.mkdir()
    (folder / "physics.toml").write_text(
        '[env]\nid = "Hopper-v5"\nkwargs = { terminate_when_unhealthy = false }\nmax_episode_steps = 300\n'
        '[parameters]\n"torso.mass" = { unit = "kg", nominal = 3.6651914, range = [2, 6], source = "" }\n'
        '"obs.noise" = { unit = "as in the env", nominal = 0, source = "", elements = ["obs_0", "obs_1"] }\n'
        "[variants.extrapolation]\n"
        'heavy = { "torso.mass" = 8.0 }\nnoisy = { "obs.noise" = 0.1 }\n'
    )
    world = World.load(folder)
    assert (world.name, world.title, world.own_task.spec.max_steps) == ("hop", "hop", 300)
    assert list(world.variants) == ["nominal", "heavy", "noisy"]
    assert world.training_domain.names == ("torso.mass",)
    assert world.training["normalize_observations"] is True
    assert not world.env.source.make().unwrapped._terminate_when_unhealthy
    assert pickle.loads(pickle.dumps(world)).contents == world.contents


def test_a_callable_makes_an_env_of_ones_own():
    world = World.of_env(cart, MASS)
    spec = world.own_task.spec
    assert (world.name, spec.control_dt, spec.max_steps) == ("cart", 0.1, 50)
    assert spec.success == "info['success'] in the last step"
    assert world.nominal == {"env.mass": 2.0}
    again = pickle.loads(pickle.dumps(World.of_env(lambda: cart(7), name="mine")))
    assert again.own_task.spec.max_steps == 7
    assert again.env.source.make()._max_episode_steps == 7


@pytest.mark.parametrize("setter", ["mass", lambda env, value: setattr(env, "mass", value)])
def test_setters_give_parameters_names_of_ones_own(setter):
    table = {"parameters": {"box.mass": {"unit": "kg", "nominal": 2.0, "source": "assumed"}}}
    world = World.of_env(cart, table, setters={"box.mass": setter})
    assert world.nominal == {"box.mass": 2.0}
    with pytest.raises(InvalidValue, match=r"cart has no way to set lid\.mass: no MuJoCo model"):
        world.for_domain(Domain.point({"lid.mass": 1.0}))


def nan_reset():
    env = cart()
    env.unwrapped.state = np.zeros(2)
    env.unwrapped.reset = lambda seed=None, options=None: (np.array([0.0, np.nan]), {})
    return env


def timeless():
    env = cart(dt=None)
    env.unwrapped.step = lambda action: (np.zeros(2), 0.0, False, False, {})
    return env


BOX = gym.spaces.Box(-1.0, 1.0, (2,))
REFUSED = {
    "fails": (lambda: 1 / 0, r"can't be made: it raises ZeroDivisionError: division by zero \(test_gym\.py"),
    "no env": (dict, "makes a dict where a gymnasium.Env is meant"),
    "discrete": (with_space(action=gym.spaces.Discrete(2)), r"acts by Discrete\(2\), and policies"),
    "unbounded": (with_space(action=gym.spaces.Box(-np.inf, np.inf, (1,))), "actions without bounds"),
    "images": (with_space(gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)), "images or whole numbers"),
    "floating images": (with_space(gym.spaces.Box(0, 1, (8, 8, 3))), r"images of shape \(8, 8, 3\)"),
    "dict": (with_space(gym.spaces.Dict(a=BOX, b=BOX)), "a Dict of 2 entries, of which one is possible"),
    "discrete observation": (with_space(gym.spaces.Discrete(3)), "where a Box of fractions"),
    "no period": (timeless, "does not say how long a step is"),
    "no limit": (lambda: cart(None), "does not say how long an episode is at most"),
    "leaves": (lambda: sys.exit(3), "can't be made: it raises SystemExit"),
    "no number": (nan_reset, "begins with obs_1 that is no number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_env_that_can_t_be_a_world_is_refused_in_a_sentence(name):
    make, message = REFUSED[name]
    with pytest.raises(InvalidValue, match=message) as caught:
        World.of_env(make, name="mine")
    assert "\n" not in str(caught.value)


def answering(place, answer):
    """A cart that says something else in its fifth step: of (observation, reward, ..., info)."""

    def make():
        env = cart()
        step, told = env.unwrapped.step, []

        def other(action):
            told.append(list(step(action)))
            if len(told) > 120:  # after the look at the env that a world begins with
                told[-1][place] = answer
            return tuple(told[-1])

        env.unwrapped.step = other
        return env

    return make


@pytest.mark.parametrize(
    ("place", "answer", "says"),
    [
        (1, None, "fails in step.*NoneType"),
        (1, 1 + 2j, "fails in step.*complex"),
        (0, np.full(Cart.observation_space.shape, 1 + 2j), "observes complex numbers"),
        (4, {"success": "False"}, r"info\['success'\] = 'False', which is neither true nor false"),
        (4, {"success": np.nan}, "= nan, which is neither"),
        (4, {"success": np.array([True, False])}, "fails in step.*size 1"),
        (4, None, "fails in step"),
        (4, {"success": None}, ""),
        (4, {"success": np.array([1.0])}, ""),
    ],
)
def test_answers_that_python_takes_for_something_else_are_refused(place, answer, says):
    """A text is true, a NaN is, and a complex reward loses half of itself."""
    env = Sim2RealVectorEnv(World.of_env(answering(place, answer), name="mine"), 1)
    env.reset(seed=0)

    def play():
        return [env.step(np.zeros((1, 1)))[4] for _ in range(140)]

    if says:
        with pytest.raises(InvalidValue, match=says):
            play()
    else:
        assert len(play()) == 140


def test_numbers_that_policies_can_not_see_end_an_episode():
    """1e200 is finite, and an infinity in float32."""
    env = Sim2RealVectorEnv(World.of_env(answering(0, np.array([1e200, 0.0])), name="mine"), 1)
    env.reset(seed=0)
    ended = [bool(env.step(np.zeros((1, 1)))[2][0]) for _ in range(122)]
    assert ended[-3:] == [False, True, True]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("gym:Hoper-v5", UnknownName, "did you mean 'Hopper-v5'"),
        ("gym:no_such_module:Env-v0", InvalidValue, "there is no module no_such_module"),
        ("gym:CarRacing-v3", InvalidValue, "needs a package that is not installed"),
        ("gym:CartPole-v1", InvalidValue, r"acts by Discrete\(2\)"),
        ("Hopper-v5", InvalidValue, "as a world it is called gym:Hopper-v5"),
    ],
)
def test_an_id_that_makes_no_world_is_refused(name, error, message):
    with pytest.raises(error, match=message):
        World.load(name)


@pytest.mark.parametrize(
    ("physics", "error", "message"),
    [
        ({"env.mas": 1.0}, UnknownName, "did you mean 'mass'"),
        ({"hinge.damping": 1.0}, InvalidValue, "no way to set hinge.damping"),
        ({"obs_7.noise": 1.0}, UnknownName, "known: env.mass, obs_0.noise, obs_1.noise"),
        ({"action_0.speed_loss": 1.0}, InvalidValue, "acts within a control period"),
        ({"env.mass": -1.0}, InvalidValue, "must be at least"),
    ],
)
def test_a_parameter_that_an_env_lacks_is_refused(physics, error, message):
    with pytest.raises(error, match=message):
        World.of_env(cart, MASS).for_domain(Domain.point(physics))


@pytest.mark.parametrize(
    ("physics", "message"),
    [
        ({"torso.backlash": 0.1}, "unknown parameter"),
        ({"thigh_joint.backlash": 0.1}, "needs a world with a scene.xml"),
        ({"thigh_joint.stribeck": 0.1}, "acts within a control period"),
        ({"trunk.mass": 1.0}, "did you mean"),
    ],
)
def test_a_parameter_that_a_model_s_env_lacks_is_refused(physics, message):
    with pytest.raises((InvalidValue, UnknownName), match=message):
        World.load("gym:Hopper-v5").for_domain(Domain.point(physics))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ('[env]\nid = "my_module:Env-v0"', InvalidValue, "names a module to import, which a file may not"),
        ('[env]\nid = "Hopper-v5"\ncode = "x"', InvalidValue, "unknown key 'env.code'"),
        ("[env]\nkwargs = {}", InvalidValue, "there is no env.id"),
        ('[env]\nid = "Hopper-v5"\ncontrol_dt = -1', InvalidValue, "not at least 0"),
        (
            '[env]\nid = "Hopper-v5"\n[parameters]\n'
            '"torso.mass" = { unit = "kg", nominal = 3.0, source = "guessed" }',
            InvalidValue,
            "torso.mass = 3, but 'torso' .* to 3.66519",
        ),
        (
            '[env]\nid = "Pendulum-v1"\n[parameters]\n'
            '"env.m" = { unit = "kg", nominal = 3.0, source = "guessed" }',
            InvalidValue,
            "env.m = 3 is said to be nominal, and Pendulum-v1 has 1",
        ),
        (
            '[env]\nid = "Pendulum-v1"\n[variants.combined]\nheavy = { "env.m" = 3.0 }',
            UnknownName,
            "parameter in variant heavy",
        ),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(tmp_path, text, error, message):
    (tmp_path / "physics.toml").write_text(text)
    with pytest.raises(error, match=message):
        World.load(tmp_path)


def test_a_scene_has_no_attributes_of_an_env():
    with pytest.raises((InvalidValue, UnknownName)):
        World.load("furuta").for_domain(Domain.point({"env.mass": 1.0}))
    with pytest.raises((InvalidValue, UnknownName)):
        World.load("furuta").for_domain(Domain.point({"env.length": 1.0}))


def test_an_env_brings_its_own_task_and_nothing_to_train_in():
    world = World.of_env(cart)
    with pytest.raises(InvalidValue, match="brings its own task"):
        world.with_task("hold")
    with pytest.raises(InvalidValue, match="no parameter with a range"):
        world.domain("training")


def test_an_env_that_is_random_beyond_its_seed_is_told(caplog):
    class Restless(Cart):
        def reset(self, seed=None, options=None):
            _, info = super().reset(seed=seed)
            self.state = np.random.default_rng().uniform(-1, 1, 2)
            return self.state.copy(), info

    with caplog.at_level(logging.WARNING):
        World.of_env(lambda: gym.wrappers.TimeLimit(Restless(), 50), name="restless")
    assert "restless is another from the same seed" in caplog.text
    caplog.clear()
    World.of_env(cart)
    assert not caplog.records
