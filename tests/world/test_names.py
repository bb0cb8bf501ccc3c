"""Unnamed elements go by the same names in a world's files, in a domain and in somebody else's env."""

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain, Point
from sim2real.errors import InvalidValue, UnknownName
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World, element_id, element_names

SCENE = """<mujoco><worldbody><geom type="plane" size="1 1 1"/>
  <body><freejoint/><geom size="0.1"/><site name="s"/></body>
  <body><joint name="elbow"/><geom name="rod" size="0.1"/>
    <body name="hand"><joint name="wrist"/><geom size="0.1"/></body></body></worldbody>
  <tendon><fixed><joint joint="wrist" coef="1"/></fixed></tendon>
  <actuator><motor joint="elbow"/><motor joint="wrist"/><motor joint="wrist"/><motor name="jet" site="s"/>
    <motor site="s"/></actuator></mujoco>"""
NAMES = {
    "body": ["world", "body 1", "body 2", "hand"],
    "joint": ["joint 0", "elbow", "wrist"],
    "geom": ["geom 0", "geom 1", "rod", "geom 3"],
    "tendon": ["tendon 0"],
    "actuator": ["elbow", "actuator 1", "actuator 2", "jet", "actuator 4"],
}


def physics(*rows):
    return "".join(
        f'[parameters."{name}"]\nunit = "{unit}"\nnominal = {nominal}\nsource = "x"\n'
        for name, unit, nominal in rows
    )


@pytest.mark.parametrize("kind", NAMES)
def test_names_are_those_of_mujocos_viewer(write_world, kind):
    raw = mujoco.MjModel.from_xml_string(SCENE)
    world = World.load(write_world(SCENE, "", "unnamed"))
    for model in (raw, world.model):
        assert element_names(model, kind) == NAMES[kind]
        assert [element_id(model, kind, name) for name in NAMES[kind]] == list(range(len(NAMES[kind])))


@pytest.mark.parametrize("flag", ["fusestatic", "discardvisual"])
def test_what_is_fused_or_discarded_has_no_number(write_world, flag):
    scene = SCENE.replace("<mujoco>", f'<mujoco><compiler {flag}="true"/>')
    seen = '<geom size="0.01" contype="0" conaffinity="0"/>'
    scene = scene.replace("<worldbody>", f"<worldbody>{seen}")
    scene = scene.replace(
        "</worldbody>", '<body><geom size="0.2"/><body><geom size="0.1"/></body></body></worldbody>'
    )
    scene = scene.replace('<body name="hand">', '<body><geom size="0.3"/></body><body name="hand">')
    world, raw = World.load(write_world(scene, "", "unnamed")), mujoco.MjModel.from_xml_string(scene)
    for kind in NAMES:
        assert element_names(world.model, kind) == element_names(raw, kind)


def test_files_and_domains_know_them(write_world):
    rows = [
        ("elbow.strength", "1", 1),
        ("actuator 2.latency", "physics steps", 0),
        ("joint 0.damping", "N·m·s/rad", 0),
    ]
    world = World.load(write_world(SCENE, physics(*rows), "unnamed"))
    values = {
        "elbow.strength": 0.5,
        "joint 0.damping": 0.2,
        "geom 3.friction": 1.3,
        "tendon 0.stiffness": 2.0,
    }
    wide = world.for_domain(Domain.point(values))
    simulator = MujocoSimulator(wide, 1)
    simulator.set_physics(np.array([0]), tuple(values), np.array([list(values.values())]))
    model = simulator.snapshot(0)[0]
    assert model.actuator_gainprm[:, 0].tolist() == [0.5, 1, 1, 1, 1]
    assert model.dof_damping.tolist() == [0.2] * 6 + [0, 0]
    assert model.geom_friction[3, 0] == 1.3
    assert model.tendon_stiffness[0] == 2.0


def test_a_number_means_an_unnamed_actuator_that_its_joint_names(write_world):
    world = World.load(write_world(SCENE, physics(("actuator 0.strength", "1", 1)), "unnamed"))
    assert world.parameters["actuator 0.strength"].elements == ("elbow",)
    rows = physics(("actuator 0.strength", "1", 1), ("elbow.strength", "1", 1))
    folder = write_world(SCENE, rows, "unnamed")
    with pytest.raises(InvalidValue, match=r"actuator 0.strength and elbow.strength are both the strength"):
        World.load(folder)


def test_a_joint_of_two_unnamed_actuators_names_neither(write_world):
    world = World.load(write_world(SCENE, "", "unnamed"))
    with pytest.raises(UnknownName, match=r"parameter of unnamed 'wrist.strength'.*actuator 1.strength"):
        world.domain(Domain({"wrist.strength": Point(0.5)}))


def test_a_default_name_that_somebody_has_is_not_given_twice():
    taken = (
        '<mujoco><worldbody><body><joint/><joint name="joint 0"/><geom size="1"/></body></worldbody></mujoco>'
    )
    model = mujoco.MjModel.from_xml_string(taken)
    assert element_names(model, "joint") == ["joint 0_", "joint 0"]
    assert [element_id(model, "joint", name) for name in ("joint 0_", "joint 0")] == [0, 1]


def test_a_list_of_names_is_the_callers_own():
    model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size="1"/></worldbody></mujoco>')
    element_names(model, "geom").clear()
    assert element_names(model, "geom") == ["geom 0"]
