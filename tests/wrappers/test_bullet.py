"""Strangers' PyBullet envs: one that keeps its model, one that loads it anew at every reset."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils import EzPickle

from sim2real.distributions import Point, Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import DeadParameter, InvalidValue, Sim2RealError, UnknownName
from sim2real.world import World
from sim2real.wrappers import Randomize

pybullet = pytest.importorskip("pybullet")
bullet_client = pytest.importorskip("pybullet_utils.bullet_client")

URDF = """
<robot name="swing">
  <link name="stand"><inertial><mass value="1"/>
    <inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <link name="bob">
    <inertial><origin xyz="0 0 -0.5"/><mass value="2"/>
      <inertia ixx="0.05" iyy="0.05" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0 0 -0.5"/><geometry><sphere radius="0.1"/></geometry></collision>
  </link>
  <joint name="hinge" type="revolute">
    <parent link="stand"/><child link="bob"/><axis xyz="0 1 0"/>
    <limit lower="-10" upper="10" effort="100" velocity="100"/><dynamics damping="0.1"/>
  </joint>
</robot>
"""
INERTIA = 0.05 + 2 * 0.5**2  # about the hinge, kg·m²


class Swing(gym.Env):
    """A pendulum with a torque, as people write them."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, urdf, anew=False):
        self.metadata = {"render_fps": 60}
        self._urdf, self._anew = urdf, anew
        self.physics_client = -1 if anew else pybullet.connect(pybullet.DIRECT)
        self._p = None
        if not anew:
            self.load()

    def load(self):
        if self.physics_client < 0:
            self._p = bullet_client.BulletClient(pybullet.DIRECT)
            self.physics_client = self._p._client
        c = {"physicsClientId": self.physics_client}
        pybullet.resetSimulation(**c)
        pybullet.setGravity(0, 0, -9.81, **c)
        flags = pybullet.URDF_USE_INERTIA_FROM_FILE
        self.robot = pybullet.loadURDF(self._urdf, useFixedBase=True, flags=flags, **c)
        pybullet.setJointMotorControl2(self.robot, 0, pybullet.VELOCITY_CONTROL, force=0, **c)
        pybullet.changeDynamics(self.robot, 0, linearDamping=0, angularDamping=0, **c)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self._anew:
            self.load()
        pybullet.resetJointState(self.robot, 0, 0.5, 0.0, physicsClientId=self.physics_client)
        return self.seen(), {}

    def step(self, action):
        c = {"physicsClientId": self.physics_client}
        for _ in range(4):
            torque = float(action[0])
            pybullet.setJointMotorControl2(self.robot, 0, pybullet.TORQUE_CONTROL, force=torque, **c)
            pybullet.stepSimulation(**c)
        return self.seen(), 0.0, False, False, {}

    def seen(self):
        state = pybullet.getJointState(self.robot, 0, physicsClientId=self.physics_client)
        return np.array(state[:2], dtype=np.float32)

    def close(self):
        if self._p is not None:
            self._p = None  # disconnects when it is deleted
        elif self.physics_client >= 0:
            pybullet.disconnect(self.physics_client)


@pytest.fixture(params=[False, True], ids=["kept", "anew"])
def swing(request, tmp_path):
    """Makes such envs, and closes them."""
    (tmp_path / "swing.urdf").write_text(URDF)
    made = []

    def make():
        made.append(Swing(str(tmp_path / "swing.urdf"), request.param))
        return made[-1]

    yield make
    for env in made:
        env.close()


def trace(env, steps=30):
    env.action_space.seed(1)
    path = [env.reset(seed=0)[0]]
    return np.array([*path, *(env.step(env.action_space.sample())[0] for _ in range(steps))])


def acceleration(env):
    """Angular acceleration in the first control step without a torque, rad/s²."""
    env.reset(seed=0)
    return env.step(np.zeros(1, np.float32))[0][1] / (4 / 240)


def test_an_empty_domain_changes_no_bit(swing):
    assert np.array_equal(trace(swing()), trace(Randomize(swing(), Domain({}))))


def test_writing_the_nominal_values_changes_no_bit(swing):
    domain = Domain(
        {"bob.mass": Point(2.0), "hinge.damping": Point(0.1), "bob.friction": Point(0.5),
         "world.gravity": Point(9.81)}
    )  # fmt: skip
    assert np.array_equal(trace(swing()), trace(Randomize(swing(), domain)))


def test_gravity_and_mass_follow_the_pendulums_equation(swing):
    bare = acceleration(swing())
    assert bare == pytest.approx(-2 * 9.81 * 0.5 * np.sin(0.5) / INERTIA, rel=0.03)
    assert acceleration(Randomize(swing(), Domain({"world.gravity": Point(4.905)}))) == pytest.approx(
        bare / 2, rel=0.01
    )
    # the inertia scales with the mass, so that gravity moves a heavier bob as it moves the lighter one ...
    heavy = Randomize(swing(), Domain({"bob.mass": Point(6.0), "hinge.damping": Point(0.3)}))
    assert acceleration(heavy) == pytest.approx(bare, rel=1e-4)
    link = heavy.unwrapped.physics_client
    info = pybullet.getDynamicsInfo(heavy.unwrapped.robot, 0, physicsClientId=link)
    assert info[0] == 6.0
    assert np.allclose(info[2], 3 * np.array([0.05, 0.05, 0.01]))
    # ... and a torque moves it a third as far
    share = acceleration_of_torque(heavy) / acceleration_of_torque(swing())
    assert share == pytest.approx(1 / 3, rel=0.01)


def acceleration_of_torque(env):
    """What a torque of 1 N·m adds."""
    still = acceleration(env)
    env.reset(seed=0)
    return env.step(np.ones(1, np.float32))[0][1] / (4 / 240) - still


def test_damping_and_friction_are_written(swing):
    env = Randomize(swing(), Domain({"hinge.damping": Point(2.0), "bob.friction": Point(0.9)}))
    assert np.abs(trace(env)[:, 1]).max() < 0.8 * np.abs(trace(swing())[:, 1]).max()
    inner = env.unwrapped
    assert pybullet.getDynamicsInfo(inner.robot, 0, physicsClientId=inner.physics_client)[1] == 0.9


def test_draws_never_compound_and_a_new_domain_restores(swing):
    env = Randomize(swing(), Domain({"bob.mass": Uniform(1.0, 4.0)}))
    for seed in range(5):
        env.reset(seed=seed)
        inner = env.unwrapped
        info = pybullet.getDynamicsInfo(inner.robot, 0, physicsClientId=inner.physics_client)
        assert info[0] == pytest.approx(env.physics()["bob.mass"])
        assert info[2][0] == pytest.approx(0.05 * info[0] / 2)
    env.set_domain(Domain({}))
    assert np.array_equal(trace(env), trace(swing()))


def test_channels_work_on_actions_and_readings(swing):
    bare = trace(swing())
    noisy = trace(Randomize(swing(), Domain({"obs_1.noise": Point(0.2)})))
    assert np.array_equal(noisy[:, 0], bare[:, 0])
    assert 0.1 < (noisy - bare)[:, 1].std() < 0.3


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("bop.mass", "did you mean 'bob'"),
        ("hing.damping", "did you mean 'hinge'"),
        ("stand.mass", "'stand' is fixed to the world"),
        ("bob.com_x", "can't be set on a PyBullet env; possible: mass, friction, damping, gravity"),
        ("action_0.latency", "can't be set on a PyBullet env"),
        ("obs_2.noise", "obs_1"),
    ],
)
def test_what_it_cannot_take_is_refused(swing, parameter, says):
    with pytest.raises(ValueError, match=says):
        Randomize(swing(), Domain({parameter: Point(1.0)}))


def test_two_links_of_one_name_go_by_their_bodies(swing, tmp_path):
    env = swing()
    env.reset(seed=0)
    (tmp_path / "other.urdf").write_text(URDF.replace('"swing"', '"other"'))
    pybullet.loadURDF(str(tmp_path / "other.urdf"), [0, 5, 0], physicsClientId=env.physics_client)
    if env._anew:
        return  # the other body is gone at the next reset
    with pytest.raises(ValueError, match="swing/bob"):
        Randomize(env, Domain({"bob.mass": Point(1.0)}))
    wrapped = Randomize(env, Domain({"other/bob.mass": Point(1.0)}))
    wrapped.reset(seed=0)
    assert pybullet.getDynamicsInfo(1, 0, physicsClientId=env.physics_client)[0] == 1.0
    assert pybullet.getDynamicsInfo(0, 0, physicsClientId=env.physics_client)[0] == 2.0


OTHER = (
    URDF.replace('<mass value="2"/>', '<mass value="4"/>')
    .replace('ixx="0.05"', 'ixx="0.058"')
    .replace("</robot>", """
  <link name="plate"><inertial><mass value="1"/>
    <inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="weld" type="fixed"><parent link="stand"/><child link="plate"/></joint>
  <link name="ghost"><inertial><mass value="1"/>
    <inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="glue" type="fixed"><parent link="bob"/><child link="ghost"/></joint>
</robot>""")
)  # fmt: skip


@pytest.fixture
def welded(tmp_path):
    """A pendulum with a plate on its stand and a link without a shape on its bob."""
    (tmp_path / "other.urdf").write_text(OTHER)
    env = Swing(str(tmp_path / "other.urdf"))
    yield env
    env.close()


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("plate.mass", "link 'plate' is fixed to the world"),
        ("weld.damping", "joint 'weld' is fixed"),
        ("ghost.friction", "link 'ghost' has no collision shape"),
        ("obs_0.spike_size", "changes nothing"),
    ],
)
def test_the_first_reset_refuses_what_changes_nothing(welded, parameter, says):
    domain = Domain({"bob.mass": Point(3.0), parameter: Uniform(0.5, 0.7)})
    with pytest.raises(DeadParameter, match=f"{parameter} .*{says}.*allow_dead=True"):
        Randomize(welded, domain).reset(seed=0)
    Randomize(welded, domain, allow_dead=True).reset(seed=0)
    assert pybullet.getDynamicsInfo(welded.robot, 0, physicsClientId=welded.physics_client)[0] == 3.0


def test_what_acts_passes(welded):
    model = {"ghost.mass": Uniform(1, 2), "hinge.damping": Uniform(0.2, 0.3), "bob.friction": Point(0.7)}
    drifts = {"bob.mass": Uniform(1.0, 2.0), "bob.mass.drift": Point(0.1)}
    commands = {"action_0.command_noise": Point(0.1), "action_0.deadband": Uniform(0.0, 0.3)}
    readings = {"obs_0.sensor_latency": Uniform(0, 3)}
    Randomize(welded, Domain(model | drifts | commands | readings)).reset(seed=0)


def test_another_robot_of_the_same_names_gets_its_own_inertia(swing, tmp_path):
    env = swing()
    wrapped = Randomize(env, Domain({"bob.mass": Point(3.0)}))
    wrapped.reset(seed=0)

    def change(name, urdf):
        (tmp_path / name).write_text(urdf)
        env._urdf = str(tmp_path / name)
        if not env._anew:
            env.load()

    change("other.urdf", OTHER)
    wrapped.reset(seed=0)
    info = pybullet.getDynamicsInfo(env.robot, 0, physicsClientId=env.physics_client)
    assert info[0] == 3.0
    assert np.allclose(info[2], np.array([0.058, 0.05, 0.01]) * 3 / 4), "that of the other robot's bob"
    change("renamed.urdf", URDF.replace('"bob"', '"ball"'))
    with pytest.raises(ValueError, match="element, which the env has loaded no more: 'bob'"):
        wrapped.reset(seed=0)


class LoadsLate(Swing):
    """Connected when it is made, as many are, with its robots, two of a name, loaded at the reset."""

    def __init__(self, urdf):
        super().__init__(urdf, anew=True)
        self._p = bullet_client.BulletClient(pybullet.DIRECT)
        self.physics_client = self._p._client

    def load(self):
        super().load()
        self.other = self._p.loadURDF(self._urdf, [5, 0, 0], useFixedBase=True)


def test_bodies_that_the_first_reset_loads_are_found_each_by_a_name(tmp_path):
    (tmp_path / "swing.urdf").write_text(URDF)
    env = LoadsLate(str(tmp_path / "swing.urdf"))
    with pytest.raises(UnknownName, match="swing 0/bob, swing 0/stand, swing 1/bob, swing 1/stand"):
        Randomize(env, Domain({"bob.mass.drift": Point(0.1)}))
    wrapped = Randomize(env, Domain({"swing 0/bob.mass": Point(3.0), "swing 1/hinge.damping": Point(0.5)}))
    wrapped.reset(seed=0)
    masses = [env._p.getDynamicsInfo(body, 0)[0] for body in (env.robot, env.other)]
    assert masses == [3.0, 2.0]
    env.close()


def test_gravity_where_there_is_none_points_down(swing):
    env = swing()
    env.load = lambda load=env.load: (
        load(),
        pybullet.setGravity(0, 0, 0, physicsClientId=env.physics_client),
    )
    env.load()
    wrapped = Randomize(env, Domain({"world.gravity": Uniform(2.0, 3.0)}))
    wrapped.reset(seed=0)
    got = pybullet.getPhysicsEngineParameters(physicsClientId=env.physics_client)
    assert got["gravityAccelerationZ"] == pytest.approx(-wrapped.physics()["world.gravity"])
    assert np.isfinite(wrapped.step(np.zeros(1, np.float32))[0]).all()


class Copied(Swing, EzPickle):
    """One whose copies are made anew, with a client of their own."""

    def __init__(self, urdf):
        super().__init__(urdf)
        EzPickle.__init__(self, urdf)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_with_an_engine_of_their_own_draw_on(tmp_path, way):
    (tmp_path / "swing.urdf").write_text(URDF)
    env = Randomize(Copied(str(tmp_path / "swing.urdf")), Domain({"bob.mass": Uniform(1.0, 4.0)}))
    env.reset(seed=0)
    twin = way(env)
    for one in (env, twin):
        one.reset()
    assert twin.physics() == env.physics()
    assert np.array_equal(trace(twin), trace(env))
    for one in (env, twin):
        one.close()


def test_a_copy_in_the_same_engine_is_refused(tmp_path):
    (tmp_path / "swing.urdf").write_text(URDF)
    env = Randomize(Swing(str(tmp_path / "swing.urdf")), Domain({"bob.mass": Uniform(1.0, 4.0)}))
    env.reset(seed=0)
    with pytest.raises(Sim2RealError, match="moves the same bodies as the original, in PyBullet's client"):
        copy.deepcopy(env)
    env.close()


@pytest.mark.parametrize("anew", [False, True], ids=["kept", "anew"])
def test_such_an_env_is_a_world_with_the_same_physics(tmp_path, anew):
    path = tmp_path / "swing.urdf"
    path.write_text(URDF)

    def swings():
        return gym.wrappers.TimeLimit(Swing(str(path), anew), 30)

    world = World.of_env(swings)
    assert world.env.engine == "bullet"
    domain = Domain.point({"bob.mass": 3.0, "hinge.damping": 0.4, "world.gravity": 5.0})
    envs = Sim2RealVectorEnv(world, 2, domain, autoreset=False)
    assert envs.world.nominal == pytest.approx({"bob.mass": 2.0, "hinge.damping": 0.1, "world.gravity": 9.81})
    wrapped = Randomize(swings(), domain)
    seen, first = envs.reset(seed=0)[0], wrapped.reset(seed=0)[0]
    assert np.array_equal(seen[0], first)
    for action in np.random.default_rng(0).uniform(-1, 1, (20, 1, 1)).astype(np.float32):
        seen, *_ = envs.step(np.repeat(action, 2, axis=0))
        assert np.array_equal(seen[0], wrapped.step(action[0])[0])
        assert np.array_equal(seen[0], seen[1])
    with pytest.raises(UnknownName, match="did you mean 'bob'"):
        world.for_domain(Domain.point({"bop.mass": 1.0}))
    with pytest.raises(InvalidValue, match="can't be set on a PyBullet env"):
        world.for_domain(Domain.point({"hinge.armature": 1.0}))
    wrapped.close()
    envs.simulator.close()
