"""A world folder from anybody's model: it stands alone, has the model's numbers, and all runs on it."""

import os
import shutil
import struct
import sys
from itertools import product
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

from sim2real.audit import check_domain, check_variants
from sim2real.audit.written import written
from sim2real.checker import check_task
from sim2real.cli import main
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.parameters import Parameter
from sim2real.registry import import_module
from sim2real.scaffold import new_world
from sim2real.scaffold.model import copy_model
from sim2real.scaffold.variants import variants_of
from sim2real.tasks import TASKS
from sim2real.world import World

GYM = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "strangers"
STRANGERS = Path(os.environ.get("SIM2REAL_STRANGERS", BESIDE))
MODELS = {
    "hopper": GYM / "hopper.xml",
    "reacher": GYM / "reacher.xml",
    **{name: GYM / f"{name}.xml" for name in ("ant", "humanoid", "half_cheetah", "pusher")},
    "h1": STRANGERS / "h1" / "scene.xml",
    **{
        name: STRANGERS / "robots" / f"{name}.xml"
        for name in ("aloha", "go1", "iiwa14", "leap_left", "shadow_left", "xarm7")
    },
}
QUICK = ("hopper", "reacher")

# an arm with a servo, a motor without a range of commands, a passive joint and unnamed elements
ARM = """
<mujoco model="arm">
  <worldbody>
    <geom type="plane" size="1 1 1"/>
    <body name="upper" pos="0 0 1">
      <joint name="shoulder" axis="0 1 0" damping="0.2" armature="0.01" range="-90 90" limited="true"/>
      <geom type="capsule" fromto="0 0 0 0 0 -0.4" size="0.03" mass="1.5"/>
      <body name="lower" pos="0 0 -0.4">
        <joint name="elbow" axis="0 1 0" damping="0.2" frictionloss="0.05" actuatorfrcrange="-7 7"/>
        <geom type="capsule" fromto="0 0 0 0 0 -0.3" size="0.02" mass="0.5"/>
        <body pos="0 0 -0.3">
          <joint name="tool" axis="0 1 0" damping="0.01"/>
          <geom type="capsule" fromto="0 0 0 0 0 -0.1" size="0.02" mass="0.2"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="servo" joint="shoulder" kp="40" kv="2" ctrlrange="-1.5 1.5"/>
    <motor joint="elbow"/>
  </actuator>
</mujoco>
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to work in; what tasks register and import there is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(TASKS, "_registered", {})
    yield
    for name in [name for name in sys.modules if name.startswith(str(tmp_path))]:
        del sys.modules[name]


def cube(path, size):
    """An STL of a cube."""
    corners = np.array(list(product((0, 1), repeat=3))) * size
    faces = "013 032 467 476 045 051 237 276 026 064 157 173".replace("476", "675").split()
    triangles = [corners[[int(k) for k in face]] for face in faces]
    path.parent.mkdir(parents=True, exist_ok=True)
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *triangle.ravel(), 0) for triangle in triangles)
    path.write_bytes(bytes(80) + struct.pack("<I", len(triangles)) + body)


def same(one, other):
    """Whether all numbers of two models are the same, but for the places of their files."""
    return {field.name for field in written(one, other)} <= {"npaths", "nbuffer", "mesh_pathadr"}


@pytest.mark.slow
def test_numbers_are_the_models(tmp_path):
    Path("arm.xml").write_text(ARM)
    world = new_world("arm", "arm.xml").world
    nominal = {name: (p.nominal, p.unit, p.elements) for name, p in world.parameters.items()}
    assert nominal["upper.mass"] == (1.5, "kg", ("upper",))
    assert nominal["body 3.mass"] == (0.2, "kg", ("body 3",))
    assert nominal["joints_1.damping"] == (0.2, "N·m·s/rad", ("shoulder", "elbow"))
    assert nominal["tool.damping"] == (0.01, "N·m·s/rad", ("tool",))
    assert nominal["elbow.frictionloss"] == (0.05, "N·m", ("elbow",))
    assert nominal["servo.kp"] == (40.0, "N·m/rad", ("servo",))
    assert nominal["motors.strength"] == (1.0, "1", ("servo", "elbow"))
    assert world.parameters["motors.latency"].high == 10  # 20 ms
    assert all(p.source.startswith(("assumed", "none in the model")) for p in world.parameters.values())
    assert {v.group for v in world.variants.values()} >= {"interpolation", "extrapolation", "combined"}
    assert not Path("arm/task.py").exists()
    assert main(["audit", "arm"]) == 0  # as a scene alone
    assert main(["train", "arm"]) == 2
    shutil.rmtree("runs")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arm", "arm.xml"]


@pytest.mark.slow
def test_everything_runs_on_it_at_once(capsys):
    Path("arm.xml").write_text(ARM)
    own = ["--import", "my_arm/task.py"]
    assert main(["new", "my_arm", "--model", "arm.xml", "--task"]) == 0
    assert main(["worlds", "my_arm"]) == 0
    assert main(["audit", "my_arm", *own]) == 0
    assert main(["train", "my_arm", "--domain", "training", "--steps", "4096", "--out", "policy", *own]) == 0
    assert (
        main(
            [
                "evaluate",
                "policy",
                "--variants",
                "very_late",
                "--baseline",
                "randomized",
                "--episodes",
                "4",
                *own,
            ]
        )
        == 0
    )
    told = capsys.readouterr()
    assert "shoulder" in told.out
    assert "WARNING" not in told.err
    assert main(["audit", "my_arm"]) == 0  # registered by now
    TASKS._registered.clear()
    assert main(["train", "my_arm"]) == 2
    assert "my_arm/task.py" in capsys.readouterr().err


def test_the_example_reads_what_its_encoders_read():
    """An offset moves what the policy sees of the joint, as it moves what the servo holds."""
    Path("arm.xml").write_text(ARM)
    world = new_world("my_arm", "arm.xml", task=True).world
    import_module("my_arm/task.py")
    domain = Domain.point({"shoulder.encoder_offset": 0.06})
    plain, off = (Sim2RealVectorEnv(world.for_domain(domain), 1, domain=given) for given in (None, domain))
    names = {signal.name: signal.scale for signal in off.task.observation}
    read = dict(zip(names, off.reset(seed=0)[0][0] - plain.reset(seed=0)[0][0], strict=True))
    scale = names["shoulder_goal_error"]
    assert read.pop("shoulder_goal_error") == pytest.approx(-0.06 / scale, abs=1e-6)
    assert read.pop("shoulder_velocity") == pytest.approx(0.0, abs=1e-6)
    assert set(read.values()) == {0.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
@pytest.mark.filterwarnings("ignore:compiler attribute")  # gymnasium's half_cheetah has an old one
def test_models_of_others(name):
    if not MODELS[name].is_file():
        pytest.skip(f"{MODELS[name].name} is data beside the checkout, and absent here")
    made = new_world(f"my_{name}", MODELS[name], task=True)
    original, copied = mujoco.MjModel.from_xml_path(str(MODELS[name])), made.world.model
    for field in ("body_mass", "body_inertia", "geom_size", "jnt_range", "actuator_gainprm", "qpos0"):
        np.testing.assert_array_equal(getattr(copied, field), getattr(original, field))
    import_module(f"my_{name}/task.py")
    check_task(made.world)
    check_domain(made.world, made.world.training_domain)
    check_variants(made.world, [v for v in made.world.variants.values() if v.simulator == "mujoco"])
    assert len(made.world.training_domain.names) >= 5
    assert len(made.world.variants) > 5


@pytest.mark.parametrize("places", ["beside", "elsewhere"])
def test_the_folder_stands_alone(tmp_path, places):
    up = "" if places == "beside" else "../"
    home = tmp_path / "given" / ("" if places == "beside" else "models")
    cube(tmp_path / "given" / "meshes" / "cube.stl", 0.1)
    parts = home / f"{up}parts"
    parts.mkdir(parents=True)
    home.mkdir(exist_ok=True)
    (parts / "floor.xml").write_text(
        '<mujoco><worldbody><geom type="plane" size="1 1 1"/></worldbody></mujoco>'
    )
    (parts / "grip.xml").write_text(
        '<mujoco><worldbody><body name="grip"><joint name="turn"/><geom size="0.1"/></body></worldbody>'
        "</mujoco>"
    )
    (home / "robot.xml").write_text(
        f'<mujoco><compiler meshdir="{up}meshes"/><include file="{up}parts/floor.xml"/>'
        f'<asset><mesh file="cube.stl"/><model name="m" file="{up}parts/grip.xml"/></asset><worldbody>'
        '<body name="b" pos="0 0 1"><joint name="j" axis="0 1 0" damping="1"/><geom type="mesh" mesh="cube"/>'
        '<frame pos="0 0 0.2"><attach model="m" body="grip" prefix="p_"/></frame></body></worldbody>'
        '<actuator><motor name="a" joint="j" ctrlrange="-1 1"/></actuator></mujoco>'
    )
    truth = mujoco.MjModel.from_xml_path(str(home / "robot.xml"))
    made = new_world("robot", home / "robot.xml")
    shutil.rmtree(tmp_path / "given")
    shutil.move("robot", "moved")
    World.load("moved")
    copied = mujoco.MjModel.from_xml_path("moved/scene.xml")
    assert same(truth, copied)
    assert [copied.joint(k).name for k in range(copied.njnt)] == ["j", "p_turn"]
    assert ("from elsewhere" in made.notes[0]) == (places == "elsewhere")


def test_what_an_attached_model_has_elsewhere_comes_along(tmp_path):
    """Down to what that attaches: each has places of its own, and some have one name."""
    cube(tmp_path / "parts" / "one" / "cube.stl", 0.1)
    cube(tmp_path / "parts" / "two" / "cube.stl", 0.2)
    cube(tmp_path / "scene.stl", 0.3)
    for folder in ("here", "arms/deep"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "arms" / "scene.xml").write_text("<mujoco><option timestep='0.00123456789'/></mujoco>")
    (tmp_path / "arms" / "deep" / "grip.xml").write_text(
        '<mujoco><compiler meshdir="../../parts/two"/><asset><mesh name="m" file="cube.stl"/><mesh name="n" '
        'file="../../scene.stl"/></asset><worldbody><body name="g"><joint damping="0.123456789012"/>'
        '<geom type="mesh" mesh="m"/><geom type="mesh" mesh="n"/></body></worldbody></mujoco>'
    )
    (tmp_path / "arms" / "arm.xml").write_text(
        '<mujoco><include file="scene.xml"/><compiler assetdir="../parts/one"/><asset><mesh file="cube.stl"/>'
        '<model name="grip" file="deep/grip.xml"/></asset><worldbody><body name="a"><joint/>'
        '<geom type="mesh" mesh="cube"/><frame><attach model="grip" body="g" prefix="g_"/></frame></body>'
        "</worldbody></mujoco>"
    )
    (tmp_path / "here" / "robot.xml").write_text(
        '<mujoco><include file="../arms/scene.xml"/><asset><model name="arm" file="../arms/arm.xml"/></asset>'
        '<worldbody><frame><attach model="arm" body="a" prefix="a_"/></frame></worldbody></mujoco>'
    )
    for name in ("here/robot.xml", "arms/arm.xml"):
        truth = mujoco.MjModel.from_xml_path(name)
        copy_model(Path(name), Path("copy_of") / name)
        copied = mujoco.MjModel.from_xml_path(f"copy_of/{name}/scene.xml")
        assert truth.opt.timestep == 0.00123456789
        assert same(truth, copied)


def test_a_height_field_is_found_where_the_meshes_are(tmp_path):
    """MuJoCo looks there, and lists another place."""
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "hill.bin").write_bytes(struct.pack("2i4f", 2, 2, 0.0, 0.5, 1.0, 0.5))
    Path("hill.xml").write_text(
        '<mujoco><compiler meshdir="meshes"/><asset><hfield name="h" file="hill.bin" size="1 1 1 1"/></asset>'
        '<worldbody><geom type="hfield" hfield="h"/><body pos="0 0 2"><freejoint/><geom size="0.1"/></body>'
        "</worldbody></mujoco>"
    )
    copy_model(Path("hill.xml"), Path("copy"))
    assert mujoco.MjModel.from_xml_path("copy/scene.xml").hfield_data.tolist() == [0.0, 0.5, 1.0, 0.5]


def test_a_urdf_is_converted():
    inertia = '<inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/>'
    link = f'<link name="{{}}"><inertial><mass value="{{}}"/>{inertia}</inertial></link>'
    joint = (
        '<joint name="j" type="revolute"><parent link="a"/><child link="b"/><axis xyz="0 1 0"/>'
        '<limit lower="-1" upper="1" effort="5" velocity="1"/></joint>'
    )
    Path("r.urdf").write_text(f'<robot name="r">{link.format("a", 1)}{link.format("b", 2)}{joint}</robot>')
    assert new_world("r", "r.urdf").world.model.body("b").mass[0] == 2.0


def test_a_urdf_brings_its_meshes(tmp_path):
    cube(tmp_path / "meshes" / "left" / "link.stl", 0.1)
    cube(tmp_path / "meshes" / "right" / "link.stl", 0.2)
    link = (
        '<link name="{0}"><inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" '
        'iyz="0"/></inertial><collision><geometry><mesh filename="meshes/{0}/link.stl"/></geometry>'
        "</collision></link>"
    )
    joint = '<joint name="j" type="continuous"><parent link="left"/><child link="right"/></joint>'
    compiler = '<mujoco><compiler strippath="false"/></mujoco>'
    Path("r.urdf").write_text(
        f'<robot name="r">{compiler}{link.format("left")}{link.format("right")}{joint}</robot>'
    )
    assert "2 meshes" in copy_model(Path("r.urdf"), Path("copy"))
    truth, copied = mujoco.MjModel.from_xml_path("r.urdf"), mujoco.MjModel.from_xml_path("copy/scene.xml")
    np.testing.assert_allclose(copied.geom_size, truth.geom_size, rtol=1e-4)
    assert not np.allclose(truth.geom_size[0], truth.geom_size[1])


NOTHING = '<mujoco><worldbody><body name="b"><joint/><geom size="0.1"/></body></worldbody></mujoco>'


BALL = (
    '<mujoco><worldbody><body name="b"><joint name="j" type="ball"/><geom size="0.1" pos="0.2 0 0"/></body>'
    "</worldbody><actuator>{}</actuator></mujoco>"
)
TURNED = BALL.format('<motor name="a" joint="j" gear="1 0 0"/>')
ORIENTED = BALL.format('<orientation name="a" joint="j" kp="9"/>')


@pytest.mark.parametrize("model", [TURNED, ORIENTED])
def test_what_the_example_cannot_command_or_hold_is_moved_freely(model):
    Path("m.xml").write_text(model)
    assert "b.mass" in new_world("m", "m.xml").world.parameters


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("there", ARM, "there is there already"),
        ("file", ARM, "file is there already"),
        ("dangling", ARM, "dangling is there already"),
        ("furuta", ARM, "the name of a world that comes with sim2real"),
        ("a'b", ARM, "is no name for a world"),
        ("x", None, "there is no model"),
        ("x", "no xml", "does not compile"),
        ("x", '<mujoco><asset><mesh file="lost.stl"/></asset></mujoco>', "lost.stl"),
        ("x", '<mujoco><include file="lost.xml"/></mujoco>', "lost.xml"),
        ("x", NOTHING, "x has no actuator that moves a joint"),
        ("x", TURNED, "x has no hinge or slide"),
        ("x", ORIENTED, "every actuator of x takes several commands"),
        ("x", "<mujoco/>", "x has no actuator that moves a joint"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(tmp_path, capsys, name, model, said):
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    if model is not None:
        Path("model.xml").write_text(model)
    before = sorted(tmp_path.rglob("*"))
    assert main(["new", name, "--model", "model.xml", "--task"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_robot_without_a_floor_is_told_so():
    Path("m.xml").write_text(
        '<mujoco><worldbody><body name="b"><freejoint/><geom size="0.1"/><body name="c"><joint name="j"/>'
        '<geom size="0.05" pos="0.2 0 0"/></body></body></worldbody>'
        '<actuator><motor joint="j"/></actuator></mujoco>'
    )
    assert any("nothing to stand on" in note for note in new_world("m", "m.xml").notes)


def test_a_scene_that_nothing_moves_has_what_still_acts():
    Path("m.xml").write_text(
        '<mujoco><worldbody><geom type="plane" size="1 1 1"/><body name="b" pos="0 0 1"><freejoint/>'
        '<geom size="0.1"/></body></worldbody></mujoco>'
    )
    made = new_world("m", "m.xml")
    assert "b.mass" not in made.world.parameters  # all fall alike
    assert any(note.startswith("left out: b.mass") for note in made.notes)
    assert main(["audit", "m"]) == 0


def test_a_variant_moves_nothing_to_where_it_is():
    """Half of a latency of one step is none, which would be dead and take the whole variant along."""
    late = Parameter("motors.latency", "physics steps", 0.0, 0.0, 1.0, "assumed", ("m",))
    weak = Parameter("motors.strength", "1", 1.0, 0.8, 1.1, "assumed", ("m",))
    variants = {v.name: v.physics for v in variants_of({p.name: p for p in (late, weak)}, 0.0)}
    assert variants["combined_a"] == variants["weaker_motors"] == {"motors.strength": 0.875}
    assert "late" not in variants
    assert variants["very_late"] == {"motors.latency": 2.0}
