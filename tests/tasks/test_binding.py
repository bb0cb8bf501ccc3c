"""Tasks find joints and actuators by name: the order of a scene, and what else is in it, mean nothing."""

import dataclasses
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from sim2real.catalog import catalog, entries
from sim2real.env import Sim2RealVectorEnv
from sim2real.episodes import RandomActor
from sim2real.errors import InvalidValue, UnknownName
from sim2real.gather import gather
from sim2real.replay.rollouts import RolloutReplayer
from sim2real.world import World

WORLDS = entries("envs")

# a weightless drone of nobody's, and a fan that nothing drives: before and after the robot
OBJECTS = """<worldbody>
  <body name="drone" pos="3 3 2" quat="0.8 0.6 0 0" gravcomp="1"><freejoint name="drone_free"/>
    <geom name="drone" type="sphere" size="0.05" mass="0.2" contype="0" conaffinity="0"/></body>
  <body name="fan" pos="-3 3 2"><joint name="fan_hinge" axis="0 0 1" type="hinge" ref="0.3" limited="false"/>
    <geom name="fan" type="box" size="0.2 0.02 0.01" mass="0.2" contype="0" conaffinity="0"/></body>
  <body name="door" pos="-3 -3 2"><joint name="door_ball" type="ball" limited="false"/>
    <geom name="door" type="sphere" size="0.1" mass="1" contype="0" conaffinity="0"/></body>
</worldbody>"""
FAN = '<motor name="fan_motor" joint="fan_hinge" gear="0.1"/>'


@pytest.fixture
def edited(tmp_path):
    """A world of the catalogue with its scene edited; whose name stays the same."""

    def make(name, *edits):
        folder = tmp_path / "edited" / name
        shutil.copytree(catalog("envs") / name, folder, dirs_exist_ok=True)
        tree = ElementTree.parse(folder / "scene.xml")
        for edit in edits:
            edit(tree.getroot())
        tree.write(folder / "scene.xml")
        return folder

    return make


def actuators_reversed(scene):
    (drives,) = scene.findall("actuator")
    drives[:] = drives[::-1]


def bodies_reversed(scene):
    """Every body's children that are bodies, in the reverse order: other columns for the same joints."""
    for parent in [*scene.iter("worldbody"), *scene.iter("body")]:
        places = [k for k, child in enumerate(parent) if child.tag == "body"]
        bodies = [parent[k] for k in places]
        for k, body in zip(places, reversed(bodies), strict=True):
            parent[k] = body


def objects_first(scene):
    scene.insert(0, ElementTree.fromstring(OBJECTS))
    (drives,) = scene.findall("actuator")
    drives.insert(0, ElementTree.fromstring(FAN))


def objects_last(scene):
    scene.append(ElementTree.fromstring(OBJECTS))
    (drives,) = scene.findall("actuator")
    drives.append(ElementTree.fromstring(FAN))


def unnamed(scene):
    for drive in scene.find("actuator"):
        if "joint" in drive.attrib:
            del drive.attrib["name"]


def episode(world, domain=None, simulator="mujoco", steps=12):
    env = Sim2RealVectorEnv(world, 3, domain, max_episode_steps=8, simulator=simulator)
    rng, (first, _) = np.random.default_rng(4), env.reset(seed=5)
    seen = [(first, np.zeros(3), np.zeros(3, bool))]
    for _ in range(steps):
        observation, reward, terminated, *_ = env.step(rng.uniform(-1, 1, env.action_space.shape))
        seen.append((observation, reward, terminated))
    return env, [np.array([np.asarray(part) for part in parts]) for parts in zip(*seen, strict=True)]


EDITS = {
    "actuators": (actuators_reversed,),
    "bodies": (bodies_reversed,),
    "objects first": (objects_first,),
    "objects last": (objects_last,),
    "all": (actuators_reversed, bodies_reversed, objects_first),
}


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("change", EDITS)
def test_order_and_company_change_nothing(name, change, edited):
    _, same = episode(name, "training")
    env, other = episode(edited(name, *EDITS[change]), "training")
    alike(same, other)
    if "objects" in change:
        assert_at_rest(env)


@pytest.mark.parametrize("name", ["so101", "hopper", "quadrotor"])
def test_nor_do_they_in_bullet(name, edited):
    _, same = episode(name, simulator="bullet", steps=5)
    _, other = episode(edited(name, *EDITS["all"]), simulator="bullet", steps=5)
    alike(same, other, atol=1e-9)


@pytest.mark.slow
def test_nor_do_they_in_warp(edited, quick_kernels):
    _, same = episode("furuta", simulator="warp", steps=4)
    env, other = episode(edited("furuta", *EDITS["all"]), simulator="warp", steps=4)
    alike(same, other, atol=1e-5)
    assert env.simulator.rest()[0].shape == (env.world.model.nq,)


def test_nor_do_they_with_play_in_the_joints(edited):
    domain = {"parameters": {"joints.backlash": {"uniform": [0.01, 0.02]}}}
    _, same = episode("so101", domain)
    _, other = episode(edited("so101", *EDITS["all"]), domain)
    alike(same, other)


@pytest.mark.parametrize("name", ["cartpole", "hopper", "quadruped"])
def test_an_actuator_without_its_name_is_found_by_its_joint(name, edited):
    """Of a world without parameters, which would name them too."""
    folders = [edited(name), edited(name, actuators_reversed, unnamed)]
    worlds = []
    for folder in folders:
        (folder / "physics.toml").write_text(f'task = "{name}"')
        worlds.append(World.load(folder))
        edited(name, actuators_reversed, unnamed)
    alike(*(episode(world)[1] for world in worlds))


def test_an_observation_tells_the_state_of_the_whole_scene(edited):
    """Recorded episodes are replayed from what was seen alone."""
    env = Sim2RealVectorEnv("so101", 3, autoreset=False)
    rollouts = gather(env, RandomActor(6, 0), 12, seed=0)
    seen = [dataclasses.replace(episode, qpos=None, qvel=None) for episode in rollouts.episodes]
    rollouts = dataclasses.replace(rollouts, episodes=tuple(seen))
    values = np.array([[0.9], [1.1]])
    one, two = (
        RolloutReplayer(World.load(world), rollouts, window=5).predict(("servos.strength",), values)
        for world in ("so101", edited("so101", *EDITS["all"]))
    )
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-9)


def test_the_rest_begins_in_the_home_keyframe(edited):
    def with_keys(scene):
        objects_last(scene)
        model = World.load(edited("cartpole", objects_last)).model
        keys = ElementTree.SubElement(scene, "keyframe")
        for name, hinge, fan in (("folded", 1.0, 0.5), ("home", 2.0, -0.7)):
            qpos = model.qpos0.copy()
            qpos[model.joint("fan_hinge").qposadr[0]] = hinge
            numbers = " ".join(map(str, qpos))
            ElementTree.SubElement(keys, "key", name=name, qpos=numbers, ctrl=f"9 {fan}")

    env = Sim2RealVectorEnv(edited("cartpole", with_keys), 2)
    env.reset(seed=0)
    columns, _ = env.simulator.joints(["fan_hinge"])
    assert np.array_equal(env.simulator.qpos[:, columns], [[2.0], [2.0]])
    env.step(np.zeros((2, 1)))
    assert np.array_equal(env.simulator._ctrl, [[0.0, -0.7]] * 2)


def test_a_servo_of_nobodys_holds_what_it_has(edited):
    """Whatever its gear, gain and constant, it stays where the scene puts it."""

    def with_clamp(scene):
        objects_last(scene)
        servo = '<general joint="fan_hinge" gear="3" gainprm="7" biastype="affine" biasprm="0.2 -5 -1"/>'
        scene.find("actuator").append(ElementTree.fromstring(servo))

    env, _ = episode(edited("furuta", with_clamp))
    columns, _ = env.simulator.joints(["fan_hinge"])
    np.testing.assert_allclose(env.simulator.qpos[:, columns], 0.3, rtol=0, atol=1e-9)


def geared(scene):
    """The servos of push as other actuators of the same stiffness, damping and limit at the joint."""
    for servo in scene.find("actuator"):
        low, high = (f"{(200 * float(end) - 50) / 300}" for end in servo.get("ctrlrange").split())
        servo.tag = "general"
        for key in ("kp", "kv"):
            del servo.attrib[key]
        servo.attrib |= {"gear": "2", "gainprm": "300", "biastype": "affine", "biasprm": "50 -100 -6.25"}
        servo.attrib |= {"forcerange": "-10 10", "ctrlrange": f"{low} {high}"}


def test_a_servos_goal_becomes_its_command_by_its_own_law(edited):
    worlds = []
    for edits in ((), (geared,), (geared, *EDITS["all"])):
        folder = edited("push", *edits)
        (folder / "physics.toml").write_text('task = "push"')
        worlds.append(World.load(folder))
    same, *others = (episode(world)[1] for world in worlds)
    for other in others:
        alike(same, other)


def renamed(tag, old, new):
    def edit(scene):
        for element in scene.iter():
            for key in ("name", tag):
                if element.get(key) == old and (key != "name" or element.tag == tag):
                    element.set(key, new)

    return edit


def to_motors(scene):
    for drive in scene.find("actuator"):
        drive.tag = "motor"


def second_drive(scene):
    drives = scene.find("actuator")
    drives[0].set("name", "left")
    drives.append(ElementTree.fromstring('<motor name="right" joint="slider"/>'))


def hinged(scene):
    for joint in scene.iter("joint"):
        if joint.get("name") == "slider":
            joint.set("type", "hinge")


@pytest.mark.parametrize(
    ("name", "edit", "error", "words"),
    [
        ("hopper", renamed("joint", "knee", "elbow"), InvalidValue, "no joint 'knee'"),
        ("cartpole", hinged, InvalidValue, "'slider' is a hinge joint where a slide one"),
        ("cartpole", second_drive, InvalidValue, "2 actuators drive joint 'slider'"),
        ("so101", to_motors, InvalidValue, "'shoulder_pan' is a motor where the task commands a servo"),
        ("quadrotor", lambda s: s.find("actuator")[1].set("name", "x"), InvalidValue, "is named 'rotor_2'"),
        ("so101", renamed("site", "gripperframe", "tip"), UnknownName, "site of world so101 'gripperframe'"),
        (
            "furuta",
            lambda s: s.remove(s.find("actuator")),
            InvalidValue,
            "no actuator drives joint 'arm_hinge'",
        ),
    ],
)
def test_what_a_task_needs_and_the_scene_lacks_is_named(name, edit, error, words, edited):
    folder = edited(name, edit)
    (folder / "physics.toml").write_text(f'task = "{World.load(name).task}"')
    with pytest.raises(error, match=words):
        Sim2RealVectorEnv(folder)


def alike(one, two, atol=1e-12):
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_allclose(theirs.astype(float), ours.astype(float), rtol=0, atol=atol)


def assert_at_rest(env):
    simulator, model = env.simulator, env.world.model
    for joint in ("drone_free", "fan_hinge", "door_ball"):
        columns, speeds = simulator.joints([joint])
        begun = model.qpos0[model.joint(joint).qposadr[0] :][: len(columns)]
        assert np.allclose(simulator.qpos[:, columns], begun, rtol=0, atol=1e-9), joint
        assert np.allclose(simulator.qvel[:, speeds], 0.0, rtol=0, atol=1e-9), joint
