"""Encoders that read too much, of whatever a task makes of its joints, against a plain loop over mj_step."""

import dataclasses

import mujoco
import numpy as np
import pytest

import sim2real
from sim2real.audit import check_domain
from sim2real.distributions import Uniform
from sim2real.domain import Domain
from sim2real.episodes import RandomActor
from sim2real.errors import DeadParameter, InvalidValue
from sim2real.gather import gather
from sim2real.replay.rollouts import RolloutReplayer

SCENE = """<mujoco><option timestep="0.005"/><worldbody>
<body><joint name="base" axis="0 0 1" damping="0.1"/>
<geom size="0.05" pos="0.1 0 0" mass="0.5"/>
  <body pos="0.2 0 0"><joint name="tip" axis="0 1 0" damping="0.1"/>
<geom size="0.04" pos="0.1 0 0" mass="0.3"/>
  <body pos="0.2 0 0"><joint name="idle" axis="1 0 0" damping="0.1"/>
<geom size="0.04" pos="0 0.1 0" mass="0.1"/>
</body></body></body></worldbody>
<actuator><position name="servo" joint="base" kp="20" kv="1" gear="2"/>
<motor name="motor" joint="tip"/><motor name="spare" joint="idle"/></actuator>
<sensor>
<actuatorpos name="servo_encoder" actuator="servo"/><jointpos name="tip_encoder" joint="tip"/></sensor>
</mujoco>"""


class Feels:
    """Sees nothing of its joints by names that ours use, and commands by what it reads of them."""

    spec = sim2real.TaskSpec(
        name="feels", version=1, control_dt=0.01, max_steps=50,
        observation=tuple(sim2real.Signal(x, "1") for x in ("a", "b", "c", "tip_angle")),
        action=(sim2real.Signal("step", "rad"), sim2real.Signal("goal", "rad")), num_draws=1, success="never",
        joints=(sim2real.Joint("tip"), sim2real.Joint("base")),
        drives=(sim2real.Drive("servo", "base", "servo"), sim2real.Drive("motor", "tip")),
    )  # fmt: skip

    def __init__(self, simulator, max_steps=None):
        """Bind the task to its simulations."""
        self._q, self._v = simulator.qpos, simulator.qvel

    def start(self, env_ids, u):
        """Bent a little."""
        zero = np.zeros((len(env_ids), 2))
        return zero + np.array([0.3, 0.1]), zero, zero

    def command(self, action):
        """The servo goes on from where the joint is read to be; a law of the policy's own for the tip."""
        tip, base = self._q[:, 0], self._q[:, 1]
        return np.stack((base + 0.1 * action[:, 0], 2.0 * (action[:, 1] - tip) - 0.1 * self._v[:, 0]), axis=1)

    def outcome(self):
        """Rewards are of the truth."""
        return self._q[:, 0] + 10.0 * self._q[:, 1], np.zeros(len(self._q), dtype=bool)

    def succeeded(self):
        """By the truth too."""
        return self._q[:, 0] > 100.0

    def observe(self):
        """What the spec says."""
        tip, base = self._q.T
        return np.stack((np.cos(base), np.sin(base), base - tip, -3.0 * tip), axis=1)


def truth(off, actions):
    """The same by hand: observations and rewards."""
    model = mujoco.MjModel.from_xml_string(SCENE)
    data, seen, rewards = mujoco.MjData(model), [], []
    data.qpos[:] = 0.1, 0.3, 0.0
    for action in [None, *actions]:
        base, tip = data.qpos[0] + off["base"], data.qpos[1] + off["tip"]
        if action is not None:
            data.ctrl[0] = (base + 0.1 * action[0]) * 2 - 2 * off["base"]  # a servo reads the offset too
            data.ctrl[1] = 2.0 * (action[1] - tip) - 0.1 * data.qvel[1]
            for _ in range(2):
                mujoco.mj_step(model, data)
            base, tip = data.qpos[0] + off["base"], data.qpos[1] + off["tip"]
            rewards.append(data.qpos[1] + 10 * data.qpos[0])
        seen.append([np.cos(base), np.sin(base), base - tip, -3 * tip])
    return np.array(seen), np.array(rewards)


@pytest.fixture
def world(write_world):
    """A world whose task has names of its own for everything."""
    return sim2real.World.load(write_world(SCENE, 'title = "Feels"\n', "feels")).with_task(Feels)


@pytest.mark.parametrize("off", [{"base": 0.0, "tip": 0.0}, {"base": 0.2, "tip": -0.3}])
def test_a_task_reads_every_joint_by_its_encoder_and_is_paid_by_the_truth(world, off):
    domain = Domain.point({f"{joint}.encoder_offset": value for joint, value in off.items()})
    env, rng = sim2real.Sim2RealVectorEnv(world, 2, domain=domain), np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (20, 2))
    seen, rewards = [env.reset(seed=0)[0][1]], []
    for action in actions:
        observation, reward, *_ = env.step(np.tile(action, (2, 1)))
        seen.append(observation[1])
        rewards.append(reward[1])
    expected = truth(off, actions)
    np.testing.assert_allclose(seen, expected[0], atol=1e-6)
    np.testing.assert_allclose(rewards, expected[1], atol=1e-9)


def test_an_encoder_that_neither_servo_nor_task_reads_is_refused(world):
    with pytest.raises(
        InvalidValue, match=r"no servo drives joint 'idle', and task feels reads only base, tip"
    ):
        sim2real.Sim2RealVectorEnv(world, domain=Domain.point({"idle.encoder_offset": 0.1}))


class Blind(Feels):
    """Names a joint that it starts, and neither observes nor commands by."""

    spec = dataclasses.replace(Feels.spec, joints=(*Feels.spec.joints, sim2real.Joint("idle")))

    def start(self, env_ids, u):
        """The same, and the other at rest."""
        qpos, qvel, ctrl = super().start(env_ids, u)
        return np.pad(qpos, ((0, 0), (0, 1))), np.pad(qvel, ((0, 0), (0, 1))), ctrl

    def observe(self):
        """The same."""
        tip, base, _ = self._q.T
        return np.stack((np.cos(base), np.sin(base), base - tip, -3.0 * tip), axis=1)


@pytest.mark.parametrize(
    ("name", "low", "high", "why"),
    [
        (
            "idle.encoder_offset",
            -0.1,
            0.1,
            "no servo reads it, and task feels neither observes that joint nor",
        ),
        ("spare.latency", 1, 3, "task feels commands only servo, motor"),
        ("spare.deadband", 0.1, 0.2, "task feels commands only servo, motor"),
    ],
)
def test_what_the_task_neither_reads_nor_commands_is_said_to_change_nothing(world, name, low, high, why):
    world, domain = world.with_task(Blind), Domain({name: Uniform(low, high)})
    with pytest.raises(DeadParameter, match=f"{name} changes nothing at {low} and {high}: {why}"):
        check_domain(world.for_domain(domain), domain)
    domain = Domain({"tip.encoder_offset": Uniform(-0.1, 0.1), "motor.latency": Uniform(1, 3)})
    check_domain(world.for_domain(domain), domain)


@pytest.mark.parametrize("name", ["servo_encoder", "tip_encoder"])
def test_an_encoder_that_the_task_reads_as_a_sensor_is_refused(world, name):
    class Senses(Feels):
        def __init__(self, simulator, max_steps=None):
            super().__init__(simulator, max_steps)
            simulator.sensor(name)

    joint = {"servo_encoder": "base", "tip_encoder": "tip"}
    for each, offset in joint.items():
        domain = Domain.point({f"{offset}.encoder_offset": 0.1})
        if each == name:
            with pytest.raises(
                InvalidValue, match=rf"{offset}\.encoder_offset: the task reads sensor '{name}'"
            ):
                sim2real.Sim2RealVectorEnv(world.with_task(Senses), domain=domain)
        else:
            sim2real.Sim2RealVectorEnv(world.with_task(Senses), domain=domain)


@pytest.mark.parametrize("told", [False, True])
def test_recorded_episodes_are_replayed_from_where_encoders_say_that_joints_are(told):
    """From true states and from what was seen alone, the planted offsets predict what was seen."""
    given = {"elbow_flex.encoder_offset": 0.15, "shoulder_pan.encoder_offset": -0.1}
    domain, names = Domain.point(given), tuple(given)
    world = sim2real.World.load("so101").for_domain(domain)
    env = sim2real.Sim2RealVectorEnv(world, 3, domain=domain, autoreset=False)
    rollouts = gather(env, RandomActor(6, 0), 12, seed=0)
    if told:
        seen = [dataclasses.replace(episode, qpos=None, qvel=None) for episode in rollouts.episodes]
        rollouts = dataclasses.replace(rollouts, episodes=tuple(seen))
    replay = RolloutReplayer(world, rollouts, window=12)
    right, nominal = replay.predict(names, np.array([list(given.values()), [0.0, 0.0]]))
    np.testing.assert_allclose(right, replay.observed, atol=2e-4)
    assert np.abs(nominal - replay.observed).max() > 0.05
