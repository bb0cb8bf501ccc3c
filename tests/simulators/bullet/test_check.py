"""What Bullet can't express is refused by name when the simulator is made."""

from dataclasses import replace

import mujoco
import pytest

from sim2real.errors import InvalidValue
from sim2real.simulators.bullet import BulletSimulator
from sim2real.world import World

ARM = """<geom name="floor" type="plane" size="5 5 1"/>
  <body name="arm" pos="0 0 1"><joint name="hip" axis="0 1 0"/>
    <geom name="rod" type="capsule" fromto="0 0 0 0 0 1" size=".1"/><site name="tip"/></body>
  <body name="other" pos="1 0 1"><freejoint/><geom name="box" type="box" size=".1 .1 .1"/></body>"""
PRESSED = '<geom name="rod"'
ADDED = {
    "contact pair 'touch'": '<contact><pair name="touch" geom1="rod" geom2="box"/></contact>',
    "the adhesion 'drag'": """<actuator>
        <adhesion name="drag" body="arm" ctrlrange="0 1"/></actuator>""",
    "the armature of actuator 'pull'": """<tendon><fixed name="cord"><joint joint="hip" coef="1"/></fixed>
        </tendon><actuator><motor name="pull" tendon="cord" armature=".1"/></actuator>""",
}
CHANGED = {
    "the adhesion or surface velocity of geom 'rod'": (PRESSED, '<geom surfacevel="0 0 1 0 0 0" name="rod"'),
    "the margin of mesh 'rod'": (
        '<geom name="rod" type="capsule" fromto="0 0 0 0 0 1" size=".1"/>',
        '<geom name="rod" type="mesh" mesh="wedge" margin=".01"/>',
    ),
    "the hfield 'hills'": (
        '<geom name="floor" type="plane" size="5 5 1"/>',
        '<geom name="hills" type="hfield" hfield="ground"/>',
    ),
    "mocap body 'hand'": ('<body name="other"', '<body name="hand" mocap="true"/><body name="other"'),
}
ASSET = """<asset><mesh name="wedge" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/>
  <hfield name="ground" nrow="2" ncol="2" size="1 1 1 1"/></asset>"""


def world_of(scene, rest=""):
    xml = f"<mujoco>{ASSET}<worldbody>{scene}</worldbody>{rest}</mujoco>"
    return replace(World.load("cartpole"), name="made", model=mujoco.MjModel.from_xml_string(xml))


@pytest.mark.parametrize(("fault", "rest"), ADDED.items(), ids=ADDED)
def test_an_element_that_bullet_lacks_is_named(fault, rest):
    refused(world_of(ARM, rest), fault)


@pytest.mark.parametrize(("fault", "edit"), CHANGED.items(), ids=CHANGED)
def test_a_property_that_bullet_lacks_is_named(fault, edit):
    refused(world_of(ARM.replace(*edit)), fault)


def refused(world, fault):
    with pytest.raises(InvalidValue) as caught:
        BulletSimulator(world, 1, 1)
    message = str(caught.value)
    assert f"can't express {fault} of world 'made'; possible: " in message
    assert message.endswith("take it out of scene.xml or use simulator 'mujoco'")


def test_what_bullet_has_is_not_refused():
    rest = '<actuator><motor site="tip" gear="0 0 1 0 0 0"/><velocity joint="hip"/></actuator>'
    BulletSimulator(world_of(ARM, rest), 1, 1).close()


@pytest.mark.slow
def test_a_missing_package_says_what_installs_it(python):
    program = """
import sys
sys.modules["pybullet"] = None
from sim2real.errors import MissingExtra
from sim2real.simulators.bullet import BulletSimulator
from sim2real.world import World
try:
    BulletSimulator(World.load("furuta"), 1)
except MissingExtra as error:
    print(error)
"""
    assert python(program) == 'pybullet is not installed; run `pip install "sim2real[bullet]"`\n'


@pytest.mark.slow
def test_pybullet_does_not_greet(python):
    pytest.importorskip("pybullet")
    program = """
from sim2real.simulators.bullet import BulletSimulator
from sim2real.world import World
BulletSimulator(World.load("furuta"), 1, 1)
"""
    assert python(program + "\nimport sys; sys.stderr.flush()") == ""
