"""Gymnasium envs under the engine of such worlds: the same bits as plain loops over the envs themselves."""

import random
import threading

import gymnasium as gym
import numpy as np
import pytest

from sim2real.audit import audit_world, check_domain
from sim2real.audit.worlds import AuditSettings
from sim2real.checker import check_vector_env
from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor, run_episodes
from sim2real.errors import DeadParameter, InvalidValue
from sim2real.simulators import Engine
from sim2real.world import World
from sim2real.wrappers import Randomize

PHYSICS = {"torso.mass": 5.0, "thigh_joint.latency": 3, "foot_joint.damping": 2.0, "foot_geom.friction": 1.2}


@pytest.fixture(scope="module")
def hopper():
    return World.load("gym:Hopper-v5")


class Tank(gym.Env):
    """A level that leaks and is filled; it can be made to fail in every way."""

    dt, colour = 0.5, 3.0
    observation_space = gym.spaces.Box(-10.0, 10.0, (1,))
    action_space = gym.spaces.Box(0.0, 2.0, (1,))

    def __init__(self, blows=None, raises=None, cuts=None):
        self.leak, self.start, self.faults = 0.2, 0.0, {"blows": blows, "raises": raises, "cuts": cuts}

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.level, self.steps = self.start + self.np_random.uniform(), 0
        return np.array([self.level]), {}

    def step(self, action):
        self.steps += 1
        if self.steps == self.faults["raises"]:
            raise RuntimeError("the pump broke")
        self.level += self.dt * (float(action[0]) - self.leak * self.level)
        seen = np.nan if self.steps == self.faults["blows"] and self.level > 1 else self.level
        info = {"is_success": self.level > 2}
        return np.array([seen]), -abs(2 - self.level), self.level > 8, self.steps == self.faults["cuts"], info


def tank_world(limit=40, physics=None, **faults):
    def tank():
        return gym.wrappers.TimeLimit(Tank(**faults), limit)

    return World.of_env(tank, physics)


def played(world, seeds, actions, physics=None):
    """Observations, rewards and ends of a plain loop over one env for each seed."""
    for row, seed in enumerate(seeds):
        env = world.env.source.make()
        for name, value in (physics or {}).items():
            setattr(env.unwrapped, name, value)
        yield [env.reset(seed=int(seed))[0]], env, actions[:, row]


def test_a_reset_that_draws_from_the_process_repeats_and_leaves_the_process_alone(caplog):
    class Loose(Tank):
        def reset(self, seed=None, options=None):
            _, info = super().reset()
            self.level += np.random.uniform() + random.random()  # noqa: NPY002 - as strangers do
            return np.array([self.level]), info

        @property
        def np_random(self):
            return np.random

    def draws():
        return random.random(), np.random.uniform()  # noqa: NPY002

    random.seed(4)
    np.random.seed(4)  # noqa: NPY002
    wanted = draws()
    random.seed(4)
    np.random.seed(4)  # noqa: NPY002
    world = World.of_env(lambda: gym.wrappers.TimeLimit(Loose(), 40))
    seen = [Sim2RealVectorEnv(world, 3).reset(seed=5)[0] for _ in range(2)]
    assert np.array_equal(*seen)
    assert len(np.unique(seen[0])) == 3
    assert draws() == wanted
    assert not caplog.records


def test_rows_are_the_envs_themselves():
    world = tank_world()
    envs = Sim2RealVectorEnv(world, 3, {"parameters": {"env.leak": 0.4}}, autoreset=False)
    observation, _ = envs.reset(seed=5)
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 3, 1)).astype(np.float32)
    seen = [observation]
    rewards = []
    for action in actions:
        observation, reward, *_ = envs.step(action)
        seen.append(observation)
        rewards.append(reward)
    assert observation.dtype == np.float32
    assert len(set(envs.simulator.seeds)) == 3
    for row, (first, env, own) in enumerate(played(world, envs.simulator.seeds, actions, {"leak": 0.4})):
        path, gains = first, []
        for action in own:
            numbers, gain, *_ = env.step((1.0 + action.astype(float)).astype(np.float32))
            path.append(numbers)
            gains.append(gain)
        assert np.array_equal(np.array(seen)[:, row], np.array(path, dtype=np.float32))
        assert np.array_equal(np.array(rewards)[:, row], gains)


def test_a_latency_of_an_env_without_a_model_is_in_control_steps():
    world = tank_world()
    envs = Sim2RealVectorEnv(world, 1, {"parameters": {"action_0.latency": 3}}, autoreset=False)
    actions = np.random.default_rng(0).uniform(-1, 1, (20, 1, 1)).astype(np.float32)
    envs.reset(seed=5)
    seen = [envs.step(action)[0][0, 0] for action in actions]
    ((_, env, _),) = played(world, envs.simulator.seeds, actions)
    late = np.concatenate([np.zeros((3, 1)), 1.0 + actions[:-3, 0]])
    assert np.allclose(seen, [env.step(command)[0][0] for command in late], rtol=1e-6)


def test_a_model_s_physics_and_delays_are_those_of_randomize(hopper):
    domain = Domain.point(PHYSICS)
    envs = Sim2RealVectorEnv(hopper, 2, domain, autoreset=False)
    observation, _ = envs.reset(seed=4)
    actions = np.random.default_rng(1).uniform(-1, 1, (60, 2, 3)).astype(np.float32)
    wrapped = [Randomize(gym.make("Hopper-v5"), domain) for _ in range(2)]
    for row, env in enumerate(wrapped):
        first, _ = env.reset(seed=int(envs.simulator.seeds[row]))
        assert np.array_equal(first.astype(np.float32), observation[row])
    ended = np.zeros(2, dtype=bool)
    for action in actions:
        observation, reward, terminated, _, _ = envs.step(action)
        for row in np.flatnonzero(~ended):
            seen, gain, fell, *_ = wrapped[row].step(action[row])
            assert np.array_equal(seen.astype(np.float32), observation[row])
            assert (gain, fell) == (reward[row], terminated[row])
            assert np.array_equal(wrapped[row].unwrapped.data.qpos, envs.simulator.qpos[row])
        ended |= terminated
    assert ended.any()
    bare = Sim2RealVectorEnv(hopper, 2, autoreset=False)
    assert not np.array_equal(bare.reset(seed=4)[0], observation)


@pytest.mark.slow
def test_processes_give_the_same_bits_and_end(hopper):
    domain = Domain({"torso.mass": Uniform(2.0, 6.0), "leg_joint.latency": Uniform(0, 6)})

    def make(threads):
        return Sim2RealVectorEnv(hopper, 4, domain, simulator=Engine("gym", threads))

    check_vector_env(make, steps=60)
    env = make(2)
    workers = [worker._process for worker in env.simulator._staff.workers]
    assert all(process.poll() is None for process in workers)
    env.simulator.close()
    assert all(process.poll() is not None for process in workers)


def test_episodes_of_one_number_start_alike_for_every_physics(hopper):
    envs = Sim2RealVectorEnv(hopper, 4, autoreset=False)
    envs.number_episodes(np.array([3, 3, 8, 3]), 11)
    first, _ = envs.reset()
    assert np.array_equal(first[0], first[1])
    assert np.array_equal(first[0], first[3])
    assert not np.array_equal(first[0], first[2])


def test_the_env_s_own_ends_and_successes_are_taken():
    envs = Sim2RealVectorEnv(tank_world(cuts=10), 2, autoreset=False)
    assert envs.task.success == "info['is_success'] in the last step"
    envs.reset(seed=0)
    for step in range(10):
        _, _, terminated, truncated, info = envs.step(np.array([[1.0], [-1.0]], dtype=np.float32))
        assert truncated.all() == (step == 9)
    assert not terminated.any()
    assert info["success"].tolist() == [True, False]
    full = Sim2RealVectorEnv(tank_world(limit=4), 1, autoreset=False)
    full.reset(seed=0)
    ends = [full.step(np.ones((1, 1), dtype=np.float32))[3][0] for _ in range(4)]
    assert ends == [False, False, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_an_env_that_gives_no_number_ends_its_own_episode_as_a_failure(threads):
    world = tank_world(blows=5)
    envs = Sim2RealVectorEnv(world, 4, autoreset=False, simulator=Engine("gym", threads))
    envs.reset(seed=0)
    actions = np.array([[1.0], [-1.0], [1.0], [-1.0]], dtype=np.float32)
    for _ in range(5):
        observation, reward, terminated, _, info = envs.step(actions)
    assert info["diverged"].tolist() == terminated.tolist() == [True, False, True, False]
    assert np.isfinite(observation).all()
    assert reward[[0, 2]].tolist() == [0.0, 0.0]
    assert not info["success"].any()
    assert [(event.env_id, event.step) for event in envs.events] == [(0, 5), (2, 5)]
    envs.simulator.close()


def test_mujoco_s_own_restart_after_a_huge_number_is_no_state(hopper):
    envs = Sim2RealVectorEnv(hopper, 2, autoreset=False)
    envs.reset(seed=0)
    shard = envs.simulator._staff._desk
    shard._rows[0]._data().qvel[:] = 1e12
    _, _, terminated, _, info = envs.step(np.zeros((2, 3), dtype=np.float32))
    assert info["diverged"].tolist() == [True, False]
    assert terminated[0]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_an_env_that_raises_is_told_with_its_line(threads):
    world = tank_world(raises=300)
    world.env.source.what.__closure__[0].cell_contents["raises"] = 3
    envs = Sim2RealVectorEnv(world, 2, autoreset=False, simulator=Engine("gym", threads))
    envs.reset(seed=0)
    still = np.zeros((2, 1), dtype=np.float32)
    envs.step(still)
    envs.step(still)
    with pytest.raises(InvalidValue, match=r"tank fails in step\(\): it raises RuntimeError: the pump broke"):
        envs.step(still)
    envs.simulator.close()


@pytest.mark.parametrize(
    ("observed", "gained", "message"),
    [
        (np.zeros(3), 1.0, "tank observes 3 numbers, and its observation_space has 1"),
        (np.zeros(1), [1.0, 2.0], r"tank fails in step\(\): it raises ValueError"),
        ({"level": 1.0}, 1.0, r"tank fails in observation\(\)"),
    ],
)
def test_answers_of_another_shape_are_refused(observed, gained, message):
    answers = [[np.zeros(1), 0.0]]

    def tank():
        env = Tank()
        env.step = lambda action: (*answers[0], False, False, {})
        return gym.wrappers.TimeLimit(env, 40)

    envs = Sim2RealVectorEnv(World.of_env(tank), 1)
    envs.reset(seed=0)
    answers[0] = [observed, gained]
    with pytest.raises(InvalidValue, match=message):
        envs.step(np.zeros((1, 1), dtype=np.float32))
    answers[0] = [np.ones(1), np.array([0.5])]
    assert envs.step(np.zeros((1, 1), dtype=np.float32))[1] == [0.5]


@pytest.mark.slow
def test_a_factory_that_fails_in_a_process_is_told():
    made = []

    def tank():
        made.append(1)
        if len(made) > 1:
            raise OSError("no licence left")
        return gym.wrappers.TimeLimit(Tank(), 40)

    world = World.of_env(tank)
    for threads in (1, 2):
        with pytest.raises(InvalidValue, match="tank can't be made: it raises OSError: no licence left"):
            Sim2RealVectorEnv(world, 2, simulator=Engine("gym", threads))


@pytest.mark.slow
def test_what_can_t_go_to_a_process_stays_here():
    held = threading.Lock()

    def tank():
        assert held
        return gym.wrappers.TimeLimit(Tank(), 40)

    world = World.of_env(tank)
    with pytest.raises(InvalidValue, match=r"tank can't go to another process .* threads=1"):
        Sim2RealVectorEnv(world, 2, simulator=Engine("gym", 2))
    Sim2RealVectorEnv(world, 2, simulator=Engine("gym", 1)).reset(seed=0)


def test_another_engine_and_another_world_are_refused(hopper):
    with pytest.raises(InvalidValue, match="brings its own engine; leave simulator 'bullet' out"):
        Sim2RealVectorEnv(hopper, simulator="bullet")
    assert Sim2RealVectorEnv(hopper).engine.name == "gym"


def test_an_env_names_its_signals_and_channels_act_on_them():
    def tank():
        env = gym.wrappers.TimeLimit(Tank(), 40)
        env.unwrapped.observation_names = ["level"]
        return env

    physics = {"level.sensor_latency": 2, "level.noise": 0.1, "action_0.latency": 1, "env.leak": 0.4}
    quiet = {name: value for name, value in physics.items() if "level" not in name}
    envs = [
        Sim2RealVectorEnv(World.of_env(tank), 2, Domain.point(p), autoreset=False) for p in (physics, quiet)
    ]
    assert envs[0].task.observation[0].name == "level"
    paths = []
    for env in envs:
        env.reset(seed=0)
        paths.append(np.array([env.step(np.full((2, 1), 0.5, np.float32))[0] for _ in range(30)])[..., 0])
    noise = (paths[0][2:] - paths[1][:-2]).ravel()
    assert 0.06 < noise.std() < 0.14
    assert abs(noise.mean()) < 0.05


def test_set_physics_takes_a_table():
    class Named(Tank):
        def set_physics(self, table):
            self.leak = table["tank.damping"]

    parameters = {
        "tank.damping": {"unit": "N·m·s/rad", "nominal": 0.2, "range": [0.1, 0.5], "source": "assumed"}
    }

    def named():
        return gym.wrappers.TimeLimit(Named(), 40)

    world = World.of_env(named, {"parameters": parameters})
    envs = Sim2RealVectorEnv(world, 2, {"parameters": {"tank.damping": 0.5}})
    envs.reset(seed=0)
    assert [row._bare.leak for row in envs.simulator._staff._desk._rows] == [0.5, 0.5]


def test_an_audit_finds_what_acts_in_an_env_and_what_does_not():
    parameters = {
        "env.leak": {"unit": "1/s", "nominal": 0.2, "range": [0.1, 0.5], "source": "assumed"},
        "obs_0.noise": {"unit": "as in the env", "nominal": 0.0, "range": [0.0, 0.1], "source": "assumed"},
    }
    world = tank_world(physics={"parameters": parameters})
    audit = audit_world(world, AuditSettings(policies=()))
    assert {finding.verdict for finding in audit.findings} == {"alive"}
    assert audit.simulator == "gym"
    idle = Domain({"env.colour": Uniform(0.0, 3.0)})
    wide = tank_world().for_domain(idle)
    with pytest.raises(DeadParameter, match=r"env\.colour"):
        check_domain(wide, idle)


def test_pushes_and_drift_reach_a_model(hopper):
    table = {"torso.push": 200.0, "torso.push_interval": 0.02, "torso.push_duration": 0.1}
    calm, pushed = (
        run_episodes(RandomActor(3, 0), Sim2RealVectorEnv(hopper, 4, domain, autoreset=False), 3)
        for domain in (None, Domain.point(table))
    )
    assert pushed.lengths.mean() < calm.lengths.mean()
    drifting = {"torso.mass": 4.0, "torso.mass.drift": 10.0}
    env = Sim2RealVectorEnv(hopper, 1, Domain.point(drifting), autoreset=False)
    env.reset(seed=0)
    for _ in range(5):
        env.step(np.zeros((1, 3), dtype=np.float32))
    assert env.physics(0)["torso.mass"] == pytest.approx(4.0 + 10.0 * 4 * 0.008)
    assert env.simulator._staff._desk._rows[0]._bare.model.body("torso").mass[0] == pytest.approx(
        env.physics(0)["torso.mass"]
    )


@pytest.mark.parametrize(
    ("name", "actuator"), [("gym:Hopper-v5", "thigh_joint"), ("gym:Pendulum-v1", "action_0")]
)
def test_a_jitter_delays_each_step_by_another_number_of_steps(name, actuator):
    late = Domain.point({f"{actuator}.latency": 2, f"{actuator}.latency_jitter": 3})
    envs = Sim2RealVectorEnv(World.load(name), 1, late, autoreset=False)
    envs.reset(seed=0)
    row, seen = envs.simulator._staff._desk._rows[0], []
    for _ in range(20):
        envs.step(np.zeros((1, len(envs.task.action)), dtype=np.float32))
        seen.append(int((row._line or row._body._delay).steps[0]))
    assert set(seen) == {2, 3, 4, 5}
