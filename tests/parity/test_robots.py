"""Parity of worlds that are a scene alone: robots of strangers, and two with unusual actuators."""

import json
import os
from pathlib import Path

import pytest

from sim2real.cli import main
from sim2real.errors import InvalidValue
from sim2real.parity.measure import measure
from sim2real.simulators import Engine, make_simulator
from sim2real.world import World

ROBOTS = ("aloha", "go1", "iiwa14", "leap_left", "shadow_left", "xarm7")
ARM = """<mujoco><option timestep="0.002" integrator="{integrator}"/><worldbody>
  <geom name="floor" type="plane" size="2 2 1"/>
  <body pos="0 0 1"><joint name="hip" axis="0 1 0" damping=".1" armature=".01"/>
    <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03" mass=".5"/>
    <body pos=".3 0 0"><joint axis="0 1 0" damping=".1"/>
      <geom type="capsule" fromto="0 0 0 .3 0 0" size=".02" mass=".3"/></body></body></worldbody>
  {actuators}</mujoco>"""
SERVOS = {
    "gear": """<actuator><position joint="hip" kp="2" kv=".1" gear="-7" ctrlrange="-9 9"/>
      <general joint="joint1" gainprm="3" biastype="affine" biasprm=".2 -4 -.1" gear="2"/></actuator>""",
    "filter": '<actuator><position name="s" joint="hip" kp="20" kv=".5" timeconst=".06"/></actuator>',
}


def world_of(folder, scene):
    (folder / "scene.xml").write_text(scene)
    (folder / "physics.toml").write_text("")
    return World.load(folder)


def in_process(world, num_envs):
    return make_simulator(Engine("bullet", 1), world, num_envs)


def agree(world, seconds=0.5):
    parity = measure(world, "bullet", seconds, in_process)
    assert parity.open_loop < 1e-9
    assert parity.inertia < 1e-9
    assert parity.energy < 1e-9
    assert parity.blown == ()
    return parity


@pytest.mark.parametrize("integrator", ["Euler", "implicitfast"])
@pytest.mark.parametrize("kind", SERVOS)
def test_a_gear_and_a_filter_are_on_par(kind, integrator, tmp_path):
    scene = ARM.format(
        integrator=integrator, actuators=SERVOS[kind].replace(' joint="joint1"', ' joint="knee"')
    )
    parity = agree(world_of(tmp_path, scene.replace("<joint axis", '<joint name="knee" axis')))
    assert parity.start == "the pose of the scene"
    assert parity.effects == ()


@pytest.mark.slow
@pytest.mark.parametrize("robot", ROBOTS)
def test_a_strangers_robot_is_on_par(robot, root, tmp_path):
    folder = Path(os.environ.get("SIM2REAL_STRANGERS", root.parent / "shared" / "strangers")) / "robots"
    if not folder.is_dir():
        pytest.skip("no robots of strangers here; SIM2REAL_STRANGERS can name the folder that has them")
    agree(world_of(tmp_path, (folder / f"{robot}.xml").read_text()), 0.2)


def test_a_keyframe_is_where_motions_begin(tmp_path):
    key = '<keyframe><key name="home" qpos=".3 -.5"/></keyframe>'
    world = world_of(tmp_path, ARM.format(integrator="Euler", actuators=key))
    parity = measure(world, "mujoco", 0.01)
    assert parity.start == "keyframe home"
    assert parity.path[0] == pytest.approx([0.3, -0.5], abs=1e-3)


def test_what_parts_engines_at_once_is_said(tmp_path):
    scene = ARM.format(integrator="Euler", actuators="").replace('pos="0 0 1"', 'pos="0 0 .01"')
    parity = measure(world_of(tmp_path, scene), "mujoco", 0.01)
    assert parity.start == "the pose of the scene, where 4 contacts overlap"


@pytest.mark.slow
def test_a_scene_alone_is_enough_for_the_command(tmp_path, capsys):
    pytest.importorskip("pybullet")
    world_of(tmp_path, ARM.format(integrator="Euler", actuators=SERVOS["filter"]))
    arguments = ["parity", str(tmp_path), "--simulator", "bullet", "--seconds", "0.1"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "the pose of the scene" in " ".join(capsys.readouterr().out.split())
    numbers = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert numbers["start"] == "the pose of the scene"
    assert numbers["untouched"]["largest_difference"] < 1e-9


def test_a_robot_that_bullet_lacks_something_for_is_refused_by_name(tmp_path, capsys):
    pytest.importorskip("pybullet")
    scene = ARM.format(integrator="RK4", actuators="")
    world_of(tmp_path, scene)
    assert main(["parity", str(tmp_path), "--simulator", "bullet"]) == 2
    assert "bullet can't express the integrator RK4" in capsys.readouterr().err


def test_a_world_without_joints_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="has no joint, so nothing moves"):
        measure(world_of(tmp_path, "<mujoco><worldbody><geom size='1'/></worldbody></mujoco>"), "bullet")


def test_numbers_that_blow_up_are_said(tmp_path):
    law = '<actuator><general joint="hip" gainprm="0" biastype="affine" biasprm="0 9e5 9e3"/></actuator>'
    parity = measure(
        world_of(tmp_path, ARM.format(integrator="Euler", actuators=law)), "bullet", 0.3, in_process
    )
    assert parity.blown == ("mujoco, untouched", "bullet, untouched", "mujoco, as it is", "bullet, as it is")
