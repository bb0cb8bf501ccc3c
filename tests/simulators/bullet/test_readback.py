"""What Bullet has loaded is what was written, at any size; every planted difference names its link."""

import re
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from sim2real.errors import InvalidValue
from sim2real.simulators.bullet import BulletSimulator, client
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

SCENE = """
<mujoco>
  <compiler angle="radian"/>
  <asset><mesh name="wedge" vertex="0 0 0 .1 0 0 0 .1 0 0 0 .1 .1 .1 .1"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 .1" pos="0 0 -1"/>
    <geom name="rock" type="mesh" mesh="wedge" pos="2 2 2" euler=".1 .2 .3"/>
    <body name="arm" pos=".1 .2 .3" euler=".1 .2 .3">
      <joint name="hip" axis=".6 .8 0" pos=".01 .02 .03" range="-1 2" limited="true"/>
      <joint name="lift" type="slide" axis="0 0 1"/>
      <inertial pos=".01 .02 .03" mass="1.5" fullinertia=".01 .02 .025 .001 .002 .003"/>
      <geom name="knob" size=".04" pos="0 .1 0"/>
      <geom name="rod" type="capsule" size=".03 .2" pos="0 .1 0" euler=".1 .2 .3"/>
      <geom name="can" type="cylinder" size=".05 .2" pos="0 .1 0"/>
      <geom name="egg" type="ellipsoid" size=".1 .2 .3"/>
      <body name="hand" pos=".1 0 0" euler=".4 .5 .6">
        <joint name="wrist" type="ball" pos=".1 0 0"/>
        <geom name="palm" type="box" size=".1 .2 .3" pos="0 .1 0" euler=".3 0 0"/>
        <body name="tool"><geom name="bit" type="mesh" mesh="wedge" pos=".3 0 0"/></body>
      </body>
    </body>
    <body name="fly" pos="4 4 4"><joint name="wing" axis="0 0 1"/>
      <geom size=".001" pos=".001 0 0" contype="0" conaffinity="0"/></body>
    <body name="stone" pos="3 3 3"><freejoint/><geom name="ball" size=".1" pos=".1 0 0"/></body>
  </worldbody>
</mujoco>"""


def world_of(xml):
    return replace(World.load("cartpole"), name="made", model=mujoco.MjModel.from_xml_string(xml))


def changed(pattern, text, change):
    """The text with the first match of a pattern's group changed."""
    match = re.search(pattern, text, re.DOTALL)
    assert match, pattern
    return text[: match.start(1)] + change(match.group(1)) + text[match.end(1) :]


def more(word):
    numbers = word.split()
    return " ".join([repr(float(numbers[0]) + 1e-3), *numbers[1:]])


def link(name, rest):
    return rf'<link name="{name}">.*?{rest}'


def joint(name, rest):
    return rf'<joint name="{name}".*?{rest}'


PLANTED = {
    "a moment of a grain": (
        "tree4",
        link("body4", 'iyy="(.*?)"'),
        lambda word: repr(1.00001 * float(word)),
        "'fly'",
        "moments",
    ),
    "mass": ("tree1", link("body1", '<mass value="(.*?)"'), more, "'hip'|'lift'", "mass"),
    "moment": ("tree1", link("body2", 'iyy="(.*?)"'), more, "'wrist' of body 'hand'", "moments of inertia"),
    "centre": ("tree1", link("body2", '<origin xyz="(.*?)"'), more, "'wrist'", "centre of mass"),
    "inertia's axes": ("tree1", link("body1", 'rpy="(.*?)"'), more, "'lift'", "axes of inertia"),
    "joint's place": ("tree1", joint("joint2", 'xyz="(.*?)"'), more, "'wrist'", "in the parent's frame"),
    "joint's turn": ("tree1", joint("joint2", 'rpy="(.*?)"'), more, "'wrist'", "turn in the world"),
    "axis": ("tree1", joint("joint0", 'axis xyz="(.*?)"'), lambda _: "0.8 0.6 0.0", "'hip'", "axis"),
    "axis' sign": ("tree1", joint("joint1", 'axis xyz="(.*?)"'), lambda _: "0 0 -1", "'lift'", "axis"),
    "lower limit": ("tree1", joint("joint0", 'lower="(.*?)"'), more, "'hip'", "limits"),
    "a limit": ("tree1", joint("joint1", 'upper="(.*?)"'), lambda _: "2.0", "'lift'", "limits"),
    "kind": ("tree1", joint("joint0", 'type="(.*?)"'), lambda _: "prismatic", "'hip'", "prismatic"),
    "parent": ("tree1", joint("weld3", 'parent link="(.*?)"'), lambda _: "body1", "'tool'", "parent"),
    "radius": ("tree1", link("body1", 'radius="(.*?)"'), more, "'lift'", "shape of size"),
    "length": ("tree1", r'length="(.*?)"', more, "'rod'", "shape of size"),
    "box": ("tree1", r'box size="(.*?)"', more, "'wrist'", "shape of size"),
    "shape's kind": ("tree1", r"<(cylinder)", lambda _: "capsule", "'can'", "shape of kind"),
    "shape's place": ("tree1", link("shape3.0", '<collision>.*?xyz="(.*?)"'), more, "'rod'", "shape at"),
    "shape's turn": ("tree1", link("shape3.0", '<collision>.*?rpy="(.*?)"'), more, "'rod'", "turned"),
    "mesh's place": ("tree1", link("body3", '<collision>.*?xyz="(.*?)"'), more, "'tool'", "hull"),
    "no shape": ("tree1", link("body3", "(<collision>.*?</collision>)"), lambda _: "", "'tool'", "shapes"),
    "free body's mass": ("tree5", link("body5", '<mass value="(.*?)"'), more, "'stone'", "mass"),
    "name": ("tree1", r'(body3)"', lambda _: "body33", "'arm'", "load"),
}


def spoil(monkeypatch, tree, pattern, change):
    write = client.write

    def spoilt(*arguments):
        path = write(*arguments)
        if path.stem == tree:
            path.write_text(changed(pattern, path.read_text(), change))
        return path

    monkeypatch.setattr(client, "write", spoilt)


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_difference_names_its_link(case, monkeypatch):
    tree, pattern, change, element, what = PLANTED[case]
    spoil(monkeypatch, tree, pattern, change)
    with pytest.raises(InvalidValue, match=element) as caught:
        BulletSimulator(world_of(SCENE), 1, 1)
    assert what in str(caught.value)
    assert "simulator 'mujoco'" in str(caught.value)


def test_a_mesh_that_lost_points_is_found(monkeypatch):
    write = client.write

    def spoilt(model, tree, numbers, folder):
        path = write(model, tree, numbers, folder)
        for mesh in Path(folder).glob("*.obj"):
            mesh.write_text(mesh.read_text().replace("f ", "# f "))
        return path

    monkeypatch.setattr(client, "write", spoilt)
    with pytest.raises(InvalidValue, match="a hull that reaches"):
        BulletSimulator(world_of(SCENE), 1, 1)


def test_what_was_written_is_loaded():
    BulletSimulator(world_of(SCENE), 1, 1).close()


def chain(number, kind, floor, seed=0):
    """A chain of bodies with long names and long numbers."""
    draw = np.random.default_rng(seed)

    def text(count):
        return " ".join(map(repr, draw.uniform(0.01, 0.02, count).tolist()))

    xml, root = "", '<freejoint name="root"/>' if kind == "free" else ""
    for k in range(number):
        hinge = root if root and not k else f'<joint axis="{text(3)}" damping="0.1" armature="0.01"/>'
        name = f"öß &lt;{k}&gt; &quot;{'long' * 40}&quot;"
        body = f'<body name="{name}" pos="{text(3)}" euler="{text(3)}">{hinge}'
        shape = f'<geom type="box" size="{text(3)}" euler="{text(3)}" contype="0" conaffinity="{floor}"/>'
        xml += body + shape
    ground = '<geom type="plane" size="1 1 1" pos="0 0 -50"/>' if floor else ""
    return f"""<mujoco><compiler angle="radian"/><option timestep="0.002" integrator="implicitfast"/>
        <worldbody>{ground}{xml}{"</body>" * number}</worldbody></mujoco>"""


def mixed(xml):
    """All bodies may touch, with two frictions."""
    return xml.replace('contype="0"', 'contype="1" friction="1.5"', 3).replace('contype="0"', 'contype="1"')


@pytest.mark.parametrize(
    ("number", "kind", "floor"), [(9, "fixed", 1), (33, "free", 1), (90, "fixed", 0), (121, "free", 1)]
)
def test_a_robot_of_any_size_is_the_same_robot(number, kind, floor):
    world = world_of(chain(number, kind, floor))
    paths = []
    for make in (MujocoSimulator, BulletSimulator):
        simulator = make(world, 1, 1)
        nv = world.model.nv
        simulator.reset(np.arange(1), world.model.qpos0[None], np.full((1, nv), 0.1), np.zeros((1, 0)))
        simulator.step(np.zeros((1, 0)), 50)
        paths.append(simulator.qpos.copy())
    assert np.abs(paths[0] - world.model.qpos0).max() > 1e-3
    assert paths[1] == pytest.approx(paths[0], abs=1e-9)


@pytest.mark.parametrize(
    ("xml", "fault"),
    [
        (chain(122, "fixed", 0), "the 122 coordinates of the joints that hang on 'öß <0>"),
        (chain(123, "free", 0), "the 122 coordinates"),
        (mixed(chain(65, "fixed", 1)), "the 130 links that 'öß <0>"),
    ],
)
def test_a_tree_too_big_for_bullets_buffers_is_refused(xml, fault):
    with pytest.raises(InvalidValue, match=re.escape(fault)):
        BulletSimulator(world_of(xml), 1, 1)


def test_hulls_of_moving_bodies_touch():
    xml = """<mujoco><asset><mesh name="m" vertex="-1 -1 -1 1 -1 -1 -1 1 -1 1 1 -1 0 0 1" scale=".1 .1 .1"/>
      </asset><worldbody><geom type="plane" size="1 1 1"/>
      <body name="a" pos="0 0 .2"><freejoint/><geom type="mesh" mesh="m" density="500"/></body>
      <body name="b" pos="1 0 .2"><freejoint/><geom type="ellipsoid" size=".1 .1 .05"/></body>
      </worldbody></mujoco>"""
    world = world_of(xml)
    heights = []
    for make in (MujocoSimulator, BulletSimulator):
        simulator = make(world, 1, 1)
        simulator.reset(np.arange(1), world.model.qpos0[None], np.zeros((1, 12)), np.zeros((1, 0)))
        simulator.step(np.zeros((1, 0)), 1000)
        heights.append(simulator.qpos[0, [2, 9]].copy())
    assert heights[1] == pytest.approx(heights[0], abs=3e-3)
