"""A world folder of a gymnasium env: the env's numbers, what changes nothing left out, and all runs on it."""

import sys
from pathlib import Path

import gymnasium as gym
import pytest

from sim2real.audit import check_domain, check_variants
from sim2real.cli import main
from sim2real.domain import Domain
from sim2real.errors import DeadParameter
from sim2real.scaffold import new_world
from sim2real.world import World

ENVS = """
import gymnasium as gym
import numpy as np


class Lift(gym.Env):
    dt, mass, drag, most, colour, layers = 0.05, 2.0, 0.5, 3.0, 7.0, 3
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.uniform(-1, 1, 2)
        return self.state.copy(), {}

    def step(self, action):
        x, v = self.state
        force = min(self.most, 3.0) * float(action[0]) - self.drag * v
        v += self.dt * force / self.mass * sum(1 for _ in range(self.layers)) / 3
        self.state = np.array([x + self.dt * v, v])
        return self.state.copy(), -abs(x), False, False, {}


class Nothing(Lift):
    def __init__(self):
        self.__dict__["_own"] = 1.0

    mass = drag = most = colour = layers = None
    step = lambda self, action: (self.state.copy(), 0.0, False, False, {})


class Table(Nothing):
    def set_physics(self, table):
        pass


class Shaken(Lift):
    def step(self, action):
        self.state = self.state + np.random.default_rng().normal(0.0, 0.1, 2)
        return super().step(action)


def broken():
    raise OSError("no licence left")


gym.register("Lift-v0", entry_point=Lift, max_episode_steps=100)
gym.register("Shaken-v0", entry_point=Shaken, max_episode_steps=100)
gym.register("Nothing-v0", entry_point=Nothing, max_episode_steps=100)
gym.register("Table-v0", entry_point=Table, max_episode_steps=100)
gym.register("Broken-v0", entry_point=broken, max_episode_steps=100)
"""
URDF = """
<robot name="swing">
  <link name="stand"/>
  <link name="bob">
    <inertial><origin xyz="0 0 -0.5"/><mass value="2"/>
      <inertia ixx="0.05" iyy="0.05" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>
  </link>
  <joint name="hinge" type="revolute">
    <parent link="stand"/><child link="bob"/><axis xyz="0 1 0"/>
    <limit lower="-10" upper="10" effort="100" velocity="100"/><dynamics damping="0.1"/>
  </joint>
</robot>
"""
SWING = """
import gymnasium as gym
import numpy as np
import pybullet as p


class Swing(gym.Env):
    dt = 1 / 60
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self):
        self.client = p.connect(p.DIRECT)
        p.setGravity(0, 0, -9.81, physicsClientId=self.client)
        flags = p.URDF_USE_INERTIA_FROM_FILE
        self.robot = p.loadURDF("swing.urdf", useFixedBase=True, flags=flags, physicsClientId=self.client)
        p.setJointMotorControl2(self.robot, 0, p.VELOCITY_CONTROL, force=0, physicsClientId=self.client)

    def seen(self):
        return np.array(p.getJointState(self.robot, 0, physicsClientId=self.client)[:2])

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        p.resetJointState(self.robot, 0, self.np_random.uniform(-1, 1), 0, physicsClientId=self.client)
        return self.seen(), {}

    def step(self, action):
        for _ in range(4):
            p.setJointMotorControl2(
                self.robot, 0, p.TORQUE_CONTROL, force=5 * float(action[0]), physicsClientId=self.client
            )
            p.stepSimulation(physicsClientId=self.client)
        return self.seen(), 0.0, False, False, {}


gym.register("Lift-v0", entry_point=Swing, max_episode_steps=100)
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder to work in, with a module of envs that is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(gym.envs.registration, "registry", gym.registry)
    (tmp_path / "lifts.py").write_text(ENVS)
    yield
    sys.modules.pop("lifts", None)
    for name in ("Lift-v0", "Shaken-v0", "Nothing-v0", "Table-v0", "Broken-v0"):
        gym.registry.pop(name, None)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["Hopper-v5", pytest.param("HalfCheetah-v5", marks=pytest.mark.slow)])
def test_parameters_of_a_models_env_are_the_models(env_id):
    made = new_world("robot", f"gym:{env_id}")
    model = gym.make(env_id).unwrapped.model
    world = World.load("robot")
    assert (world.env.source.name, world.title) == (env_id, f"robot: {env_id}")
    masses = {n: p for n, p in world.parameters.items() if p.quantity.name == "mass"}
    assert len(masses) > 3
    for name, p in masses.items():
        assert p.nominal == model.body(name.rpartition(".")[0]).mass[0]
        assert (p.low, p.high) == (pytest.approx(0.8 * p.nominal, 1e-5), pytest.approx(1.2 * p.nominal, 1e-5))
    assert len(world.parameters["motors.latency"].elements) == model.nu
    assert all(p.source.startswith(("assumed", "none in the")) for p in world.parameters.values())
    assert {v.group for v in world.variants.values()} >= {"interpolation", "extrapolation", "combined"}
    assert {v.simulator for v in world.variants.values()} == {"mujoco"}  # the env's own engine
    assert not made.notes
    check_domain(world, world.training_domain)
    check_variants(world, [v for name, v in world.variants.items() if name != "nominal"])


def test_numbers_of_the_envs_own_are_parameters_if_they_act(capsys):
    assert main(["new", "lift", "--gym", "lifts:Lift-v0"]) == 0
    said = capsys.readouterr().out
    world = World.load("lift")
    ranges = {name: (p.low, p.nominal, p.high) for name, p in world.parameters.items() if p.low < p.high}
    assert ranges == {
        "env.mass": (1.4, 2.0, 2.6),
        "env.drag": (0.35, 0.5, 0.65),
        "env.most": (2.1, 3.0, 3.0),  # more than 3 is cut off
        "actions.latency": (0.0, 0.0, 1.0),
    }
    assert "left out: env.colour changes nothing at 4.9 and 9.1" in said
    assert "left out: env.layers, as lifts:Lift-v0 fails in step(): it raises TypeError" in said
    assert "a range ends at the nominal value, as env.most changes nothing at 3.9" in said
    assert "delete those that are no physics" in said
    assert "next: sim2real worlds lift --import lifts; sim2real audit lift --import lifts;" in said
    assert world.variants["much_mass"].physics == {"env.mass": 3.2}
    assert world.variants["little_mass"].physics == {"env.mass": 0.92}
    assert "much_most" not in world.variants
    assert world.variants["noisy"].group == "structural"
    assert "import" not in Path("lift/physics.toml").read_text()


def test_an_env_whose_physics_is_a_table_has_its_channels():
    world = new_world("table", "gym:lifts:Table-v0").world
    assert list(world.parameters) == ["readings.noise"]


@pytest.mark.slow
def test_all_runs_on_it_at_once(capsys):
    mine = ["--import", "lifts"]
    assert main(["new", "lift", "--gym", "Lift-v0", *mine]) == 0
    for command in ("worlds", "audit"):
        assert main([command, "lift", *mine]) == 0
    train = ["train", "lift", "--domain", "training", "--steps", "4096", "--out", "runs/lift"]
    assert main([*train, *mine]) == 0
    assert main(["evaluate", "runs/lift", "--episodes", "4", *mine]) == 0
    assert "much_mass" in capsys.readouterr().out


@pytest.mark.slow
def test_bodies_of_a_bullet_env_are_parameters(tmp_path):
    pytest.importorskip("pybullet")
    (tmp_path / "swing.urdf").write_text(URDF)
    (tmp_path / "lifts.py").write_text(SWING)
    world = new_world("swing", "gym:lifts:Lift-v0").world
    ranges = {name: (p.low, p.nominal, p.high) for name, p in world.parameters.items() if p.low < p.high}
    assert ranges == {
        "bob.mass": (1.6, 2.0, 2.4),
        "joints.damping": (0.05, 0.1, 0.2),
        "actions.latency": (0.0, 0.0, 1.0),
    }
    assert world.variants["much_heavier"].physics == {"bob.mass": 3.0}
    assert set(world.variants) >= {"heavier", "very_late", "noisy"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gym", "Hoper-v5"], "did you mean 'Hopper-v5'"),
        (["--gym", "no_such_module:Env-v0"], "there is no module no_such_module"),
        (["--gym", "lifts:Nothing-v0"], "Nothing-v0 has no physics to vary"),
        (["--gym", "lifts:Broken-v0"], "Broken-v0 can't be made: it raises OSError: no licence left"),
        (["--gym", "CartPole-v1"], "acts by Discrete(2)"),
        (["--gym", "Hopper-v5", "--task"], "brings its own task; leave out --task and --io"),
        (["--gym", "Hopper-v5", "--model", "x.xml"], "not allowed with"),
        ([], "one of the arguments --model --gym is required"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(tmp_path, capsys, words, said):
    before = sorted(path for path in tmp_path.iterdir() if path.name != "__pycache__")
    try:
        status = main(["new", "mine", *words])
    except SystemExit as end:
        status = end.code
    assert status == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert sorted(path for path in tmp_path.iterdir() if path.name != "__pycache__") == before


def test_of_an_env_that_never_repeats_itself_nothing_is_called_dead():
    made = new_world("shaken", "gym:lifts:Shaken-v0")
    assert {"env.mass", "env.drag"} <= set(made.world.parameters)
    assert any(
        "which parameters act isn't known: two runs of the same physics differ" in n for n in made.notes
    )
    world = World.load("gym:lifts:Shaken-v0").for_domain(Domain.point({"env.mass": 2.2}))
    with pytest.raises(
        DeadParameter, match="nothing beyond what two runs of the same physics differ by here"
    ):
        check_domain(world, Domain.point({"env.mass": 2.2}))
