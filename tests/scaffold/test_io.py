"""A task without code, from what other projects write beside a policy."""

import os
from pathlib import Path

import mujoco
import numpy as np
import pytest

from sim2real import Sim2RealVectorEnv, World, new_world
from sim2real.cli import main
from sim2real.errors import InvalidValue, Sim2RealError, UnknownName
from sim2real.io_table import IoTable
from sim2real.scaffold.described import Robot
from sim2real.scaffold.io_sources import describe
from sim2real.scaffold.yaml_file import read_yaml

pytest.importorskip("yaml", reason="a requirement of the package, which this environment lacks")
onnx = pytest.importorskip("onnx", reason="sim2real[deploy]")

STRANGERS = Path(
    os.environ.get("SIM2REAL_STRANGERS", Path(__file__).resolve().parents[3] / "shared" / "strangers")
)
strangers = pytest.mark.skipif(not STRANGERS.is_dir(), reason="data beside the checkout: strangers' robots")
LEGS = ("RH", "LF", "RF", "LH")  # another order than Isaac Lab's
ANYMAL = [f"{leg}_{joint}" for joint in ("HAA", "HFE", "KFE") for leg in ("LF", "LH", "RF", "RH")]


def dog(joints=("HAA", "HFE", "KFE"), actuator="motor"):
    """A robot with ANYmal's joints in another order, leg by leg."""
    bodies, drives = "", ""
    for k, leg in enumerate(LEGS):
        axes = zip(joints, ("1 0 0", "0 1 0", "0 1 0"), strict=True)
        parts = [f'<joint name="{leg}_{joint}" axis="{axis}" armature="0.05"/>' for joint, axis in axes]
        inner = ""
        for part in reversed(parts):
            geom = '<geom type="capsule" fromto="0 0 0 0 0 -0.2" size="0.02" mass="1"/>'
            inner = f'<body pos="0 0 -0.1">{part}{geom}{inner}</body>'
        bodies += f'<body pos="{0.3 - 0.6 * (k % 2)} {0.2 - 0.4 * (k // 2)} 0">{inner}</body>'
        drives += "".join(f'<{actuator} joint="{leg}_{joint}"/>' for joint in joints)
    trunk = '<freejoint/><geom type="box" size="0.3 0.2 0.1" mass="20" pos="0.05 0 0"/>'
    return (
        '<mujoco><option timestep="0.005"/><worldbody><geom type="plane" size="0 0 1"/>'
        f'<body name="trunk" pos="0 0 0.7">{trunk}{bodies}</body></worldbody>'
        f"<actuator>{drives}</actuator></mujoco>"
    )


ENV = """
decimation: 4
episode_length_s: 10.0
viewer:
  eye: !!python/tuple
  - 7.5
  - 7.5
  - 7.5
sim:
  dt: 0.005
scene:
  robot:
    class_type: isaaclab.assets.articulation.articulation:Articulation
    spawn:
      func: isaaclab.sim.spawners.from_files.from_files:spawn_from_usd
      activate_contact_sensors: true
    init_state:
      pos: !!python/tuple [0.0, 0.0, 0.6]
      joint_pos:
        .*HAA: 0.0
    actuators:
      legs:
        class_type: isaaclab.actuators.actuator_pd:DCMotor
        joint_names_expr: &id001
        - .*HAA
        - .*HFE
        - .*KFE
        effort_limit: 80.0
        armature: {.*KFE: 0.05, .*: 0.01}
        stiffness:
          .*HAA: 40.0
          .*HFE: 50.0
          .*KFE: 60.0
        damping: 2.5
events:
  reset_base:
    params:
      asset_cfg:
        joint_ids: !!python/object/apply:builtins.slice
        - null
        - null
        - null
        joint_names: *id001
terminations:
  base_contact:
    func: isaaclab.envs.mdp.terminations:illegal_contact
    params:
      sensor_cfg:
        name: contact_forces
        body_names: [trunk]
commands:
  base_velocity:
    class_type: !!python/name:isaaclab.envs.mdp.commands.UniformVelocityCommand ''
    ranges:
      lin_vel_x: !!python/tuple [-1.0, 1.0]
      lin_vel_y: !!python/tuple [-0.5, 0.5]
      ang_vel_z: !!python/tuple [-0.25, 0.25]
      heading: null
"""


LAST = """    observation_type: Action
    overloads:
      clip: null
      flatten_history_dim: true
      history_length: 0
      scale: null
    shape:
    - 12
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "dog.xml"
    path.write_text(dog())
    return path


@pytest.fixture
def env_yaml(tmp_path):
    path = tmp_path / "env.yaml"
    path.write_text(ENV)
    return path


@pytest.fixture(scope="module")
def descriptor():
    path = STRANGERS / "isaaclab" / "anymal_d_IO_descriptors.yaml"
    if not path.is_file():
        pytest.skip("data beside the checkout: Isaac Lab's descriptor of ANYmal-D")
    return path


@pytest.mark.slow
def test_isaac_labs_descriptor_drives_joints_in_another_order(tmp_path, model, descriptor, env_yaml, capsys):
    folder = tmp_path / "anymal"
    main(["new", str(folder), "--model", str(model), "--io", str(descriptor), "--env", str(env_yaml)])
    assert "wrote" in capsys.readouterr().out
    main(["worlds", str(folder)])
    told = capsys.readouterr().out
    assert "sees 36 … 47" in told
    assert "drives 0 … 11" in told
    assert "LF_HAA 0.01 for 0.05 kg·m²" in (folder / "README.md").read_text()
    assert "LF_KFE 0.05" not in (folder / "README.md").read_text()
    world = World.load(folder)
    table = world.io
    assert [joint.name for joint in table.joints] == ANYMAL
    assert [joint.stiffness for joint in table.joints] == [40.0] * 4 + [50.0] * 4 + [60.0] * 4
    assert {(joint.damping, joint.effort) for joint in table.joints} == {(2.5, 80.0)}
    assert table.command == ((-1.0, 1.0), (-0.5, 0.5), (-0.25, 0.25))
    assert (table.control_dt, table.episode, table.start_height) == (0.02, 10.0, 0.6)
    assert [term.name for term in table.observation] == [
        *("base_lin_vel", "base_ang_vel", "projected_gravity", "command"),
        *("joint_pos", "joint_vel", "last_action"),
    ]
    assert table.fall_contacts == ("trunk",)
    assert table.observation[0].at[0] > 0  # velocity of the centre of mass
    env = Sim2RealVectorEnv(world, 1, autoreset=False)
    seen, _ = env.reset(seed=0)
    assert seen.shape == (1, 48)
    np.testing.assert_allclose(seen[0, 12:24], 0, atol=1e-6)  # it begins at its defaults
    action = np.zeros((1, 12), np.float32)
    action[0, ANYMAL.index("RF_KFE")] = 0.4
    forces = env.simulator.actuator_force()
    seen, *_ = env.step(action)
    assert np.abs(seen[0, 12:24]).argmax() == ANYMAL.index("RF_KFE")
    names = [world.model.joint(int(k)).name for k in world.model.actuator_trnid[:, 0]]
    assert names != ANYMAL
    assert np.abs(forces[0]).argmax() == names.index("RF_KFE")


@pytest.mark.slow
def test_isaac_labs_height_scan_is_that_of_level_ground(tmp_path, model, descriptor, env_yaml):
    gravity = "observations.projected_gravity"
    before, after = descriptor.read_text().split(gravity)
    scan = after.replace("clip: null", "clip:\n      - -1.0\n      - 1.0", 1).replace("- 3\n", "- 187\n", 1)
    path = tmp_path / "io.yaml"
    path.write_text(f"{before}observations.height_scan{scan}")
    made = new_world(tmp_path / "new", model, io=path, env=env_yaml)
    assert any("height_scan is that of level ground" in note for note in made.notes)
    seen, _ = Sim2RealVectorEnv(made.world, 1).reset(seed=0)
    assert seen.shape == (1, 48 - 3 + 187)
    np.testing.assert_allclose(seen[0, 6 : 6 + 187], 0.6 - 0.5, atol=1e-6)  # it begins 0.6 m above the ground


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("LF_HAA", "FL_hip"), "unknown joint of io.yaml in dog.xml: 'FL_hip'"),
        (
            ("observations.base_ang_vel", "observations.body_pose_w"),
            "unknown observation term of io.yaml: 'body_pose_w'",
        ),
        (("JointPositionAction", "DifferentialInverseKinematicsAction"), "unknown action term of io.yaml"),
        (
            ("    shape:\n    - 12\n", "    shape:\n    - 19\n"),
            "joint_pos_rel has a shape of 19 numbers where 12",
        ),
        (("  - LF_HAA\n  - LH_HAA\n", "  - LH_HAA\n"), "offset has 12 numbers, not 11"),
        ((LAST, LAST.replace("- 12", "- 13")), "the terms make 48 numbers"),
        (("observations:", "observation:"), "no descriptor of a policy"),
        (("history_length: 0", "history_length: five"), "is 'five', not a whole number"),
        (("modifiers: null", "modifiers: [1]"), "base_lin_vel has modifiers"),
        (("physics_dt: 0.005", "physics_dt: [0.005"), "is not a YAML file"),
        (
            ("joint_pos_offsets:\n    - 0.0", "joint_pos_offsets:\n    - 0.3"),
            "counts LF_HAA from 0.3, and its",
        ),
    ],
)
def test_a_descriptor_that_can_not_be_taken_over_is_refused(
    tmp_path, model, descriptor, env_yaml, change, said
):
    text = descriptor.read_text()
    assert change[0] in text
    path = tmp_path / "io.yaml"
    path.write_text(text.replace(*change))
    with pytest.raises(Sim2RealError) as caught:
        new_world(tmp_path / "new", model, io=path, env=env_yaml)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, "no gains for joint 'LF_HAA' and 11 more: anymal_d_IO_descriptors.yaml has none"),
        (("damping: 2.5", "damping: null"), "damping says nothing for joint 'LF_HAA'"),
        (("        - .*KFE\n", ""), "no gains for joint 'LF_KFE' and 3 more"),
        (("actuator_pd:DCMotor", "actuator_net:ActuatorNetLSTM"), "is a network (ActuatorNetLSTM)"),
        (("actuators:", "motors:"), "no scene.robot.actuators"),
    ],
)
def test_gains_that_are_missing_are_named(tmp_path, model, descriptor, env_yaml, change, said):
    if change:
        assert change[0] in ENV
        env_yaml.write_text(ENV.replace(*change))
    with pytest.raises(InvalidValue) as caught:
        new_world(tmp_path / "new", model, io=descriptor, env=env_yaml if change else None)
    assert said in str(caught.value)


def test_the_models_own_servos_serve_where_nothing_says_gains(descriptor):
    model = mujoco.MjModel.from_xml_string(dog(actuator='position kp="33" kv="1"'))
    found = describe(descriptor, None, Robot(model, "dog.xml"))
    joints = found.table(Robot(model, "dog.xml"))["joints"]
    assert [joint["name"] for joint in joints] == ANYMAL
    assert all("stiffness" not in joint for joint in joints)
    assert "command = [0.5, 0.0, 0.0] in io.toml is assumed; edit it" in found.notes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("damping: 2.5", "damping: 2.5\n        max_delay: 3"),
            "acted 0 to 3 physics steps late in training",
        ),
        (
            ("damping: 2.5", "damping: 2.5\n        saturation_effort: 120.0\n        velocity_limit: 7.5"),
            "from 120 N·m at rest to none at 7.5 rad/s; give its joints a speed_loss",
        ),
        (("actuator_pd:DCMotor", "my_robot:Geared"), "legs is a Geared, of which gains and limit alone"),
    ],
)
def test_what_actuators_did_beside_their_gains_is_told(model, descriptor, env_yaml, change, said):
    env_yaml.write_text(ENV.replace(*change))
    found = describe(descriptor, env_yaml, Robot(mujoco.MjModel.from_xml_path(str(model)), "dog.xml"))
    assert [said in note for note in found.notes].count(True) == 1


def test_yaml_constructs_nothing(tmp_path, env_yaml):
    """Whatever its tags say."""
    mark = tmp_path / "run"
    hostile = f"evil: !!python/object/apply:os.system ['touch {mark}']\n"
    env_yaml.write_text(hostile + ENV)
    read = read_yaml(env_yaml).values
    assert not mark.exists()
    assert read["evil"] == [f"touch {mark}"]
    assert read["viewer"]["eye"] == [7.5, 7.5, 7.5]
    joints = read["events"]["reset_base"]["params"]["asset_cfg"]
    assert joints == {"joint_ids": [None, None, None], "joint_names": [".*HAA", ".*HFE", ".*KFE"]}


NAMES = ("RH_KFE", "LF_HAA", "LF_HFE")


def onnx_file(path, size=18, outputs=3, **changes):
    """A policy as mjlab exports it."""
    obs = onnx.helper.make_tensor_value_info("obs", onnx.TensorProto.FLOAT, [1, size])
    actions = onnx.helper.make_tensor_value_info("actions", onnx.TensorProto.FLOAT, [1, outputs])
    weight = onnx.numpy_helper.from_array(np.zeros((size, outputs), np.float32), "weight")
    node = onnx.helper.make_node("MatMul", ["obs", "weight"], ["actions"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "policy", [obs], [actions], [weight]))
    metadata = {
        "run_path": "somewhere/else",
        "joint_names": ",".join(NAMES),
        "joint_stiffness": "20.000,40.179,99.098",
        "joint_damping": "1.000,2.558,6.309",
        "default_joint_pos": "0.100,-0.312,0.669",
        "command_names": "twist",
        "observation_names": "base_ang_vel,projected_gravity,joint_pos,joint_vel,actions,command",
        "action_scale": "0.439,0.548,0.548",
        **changes,
    }
    onnx.helper.set_model_props(model, {key: value for key, value in metadata.items() if value is not None})
    onnx.save(model, path)
    return path


@pytest.mark.slow
def test_mjlabs_metadata(tmp_path, model):
    made = new_world(tmp_path / "new", model, io=onnx_file(tmp_path / "policy.onnx"))
    table = made.world.io
    assert [joint.name for joint in table.joints] == list(NAMES)
    assert [joint.stiffness for joint in table.joints] == [20.0, 40.179, 99.098]
    assert table.action[0].offset == (0.1, -0.312, 0.669)
    assert table.action[0].scale == (0.439, 0.548, 0.548)
    assert [term.name for term in table.observation][-2:] == ["last_action", "command"]
    assert any("control_dt = 0.02 in io.toml is assumed" in note for note in made.notes)
    assert table.implicit_damping
    assert any('give it <option integrator="implicitfast"/>' in note for note in made.notes)
    driven = made.world.model.actuator("LF_HFE").id
    np.testing.assert_allclose(made.world.model.actuator_gainprm[driven, 0], 99.098)
    np.testing.assert_allclose(made.world.model.actuator_biasprm[driven, :3], [0, -99.098, -6.309])


def test_metadata_of_joints_that_nothing_drives_and_of_an_imu(tmp_path):
    """Gains are of the driven joints alone, places of all; velocities are read where the sensor is."""
    scene = dog().replace('<motor joint="LF_HAA"/>', "")
    imu = '<site name="imu" pos="0.1 0 0.2"/>'
    scene = scene.replace("<freejoint/>", f"<freejoint/>{imu}")
    scene = scene.replace(
        "</mujoco>", '<sensor><velocimeter name="imu_lin_vel" site="imu"/></sensor></mujoco>'
    )
    (tmp_path / "dog.xml").write_text(scene)
    path = onnx_file(
        tmp_path / "policy.onnx",
        size=3 + 2 * 3 + 3 + 2 * 2,
        outputs=2,
        joint_stiffness="20.000,99.098",
        joint_damping="1.000,6.309",
        action_scale="0.439,0.548",
        observation_names="base_lin_vel,joint_pos,joint_vel,actions",
        observation_terms_scale="1.0,1.0,0.05,1.0",
        observation_terms_history_length="0,2,0,2",
        observation_terms_clip="[-inf, inf],[-inf, inf],[-inf, inf],[-inf, inf]",
        control_dt="0.01",
    )
    found = describe(path, None, Robot(mujoco.MjModel.from_xml_path(str(tmp_path / "dog.xml")), "dog.xml"))
    assert [joint.get("stiffness") for joint in found.joints] == [20.0, None, 99.098]
    assert found.action == [
        {"term": "joint_position", "scale": [0.439, 0.548], "joints": ["RH_KFE", "LF_HFE"]}
    ]
    assert found.observation == [
        {"term": "base_lin_vel", "at": [0.1, 0.0, 0.2]},
        {"term": "joint_pos", "history": 2},
        {"term": "joint_vel", "scale": 0.05},
        {"term": "last_action", "history": 2},
    ]
    assert found.control_dt == 0.01


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"size": 19}, InvalidValue, "the terms make 18 numbers (3 base_ang_vel + 3 projected_gravity"),
        ({"observation_names": "motion_anchor_pos_b"}, UnknownName, "observation term of policy.onnx"),
        ({"observation_names": "height_scan"}, InvalidValue, "doesn't say of how many rays"),
        ({"joint_names": "a,b,c"}, UnknownName, "'a'"),
        (
            {"joint_stiffness": "1.0,2.0"},
            InvalidValue,
            "joint_stiffness has 2 numbers for 3",
        ),
        ({"joint_damping": None}, InvalidValue, "has no metadata joint_damping"),
        ({"control_dt": "fast"}, InvalidValue, "control_dt[0] is 'fast', not a number"),
        ({"control_dt": "nan"}, InvalidValue, "control_dt[0] is nan, not a finite number"),
        ({"control_dt": "0"}, InvalidValue, "control_dt"),
        (
            {
                "joint_names": "LF_HAA",
                "joint_stiffness": "1",
                "joint_damping": "1",
                "default_joint_pos": "0",
                "action_scale": "1",
            },
            InvalidValue,
            "gives 3 actions where its metadata has gains of 1",
        ),
    ],
)
def test_metadata_that_do_not_fit_are_refused(tmp_path, model, changes, error, said):
    with pytest.raises(error) as caught:
        new_world(tmp_path / "new", model, io=onnx_file(tmp_path / "policy.onnx", **changes))
    assert said in str(caught.value)


def test_other_files_are_refused(tmp_path, model, env_yaml):
    (tmp_path / "bad.onnx").write_bytes(b"no such thing")
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    for io, env, said in (
        (tmp_path / "bad.onnx", None, "is no ONNX file"),
        (tmp_path / "list.yaml", None, "holds no table"),
        (tmp_path / "nothing.yaml", None, "there is no file"),
        (env_yaml, None, "is no descriptor of a policy"),
        (onnx_file(tmp_path / "policy.onnx"), env_yaml, "says the gains itself"),
        (None, env_yaml, "--env goes with --io"),
    ):
        with pytest.raises(InvalidValue, match=said):
            new_world(tmp_path / "new", model, io=io, env=env)
    with pytest.raises(InvalidValue, match="is a task already"):
        new_world(tmp_path / "new", model, task=True, io=env_yaml)


@pytest.mark.slow
@strangers
def test_unitrees_deployment_file(tmp_path):
    scene, config = STRANGERS / "h1" / "scene.xml", STRANGERS / "h1" / "config.yaml"
    world = new_world(tmp_path / "h1", scene, io=config).world
    assert IoTable.beside(tmp_path / "h1" / "scene.xml") == world.io
    assert world.io.observation[2].scale == (2.0, 2.0, 0.25)
    assert world.io.hold == world.io.control_dt == 0.02
    assert world.io.fall_height == 0.6
    assert world.io.joints[3].stiffness == 200
    model = mujoco.MjModel.from_xml_path(str(scene))
    assert [joint.name for joint in world.io.joints] == [model.actuator(k).name for k in range(10)]
    assert "strength" in " ".join(world.parameters)
    for old, new, said in (
        ("num_obs: 41", "num_obs: 47", "num_obs is 47"),
        ("num_actions: 10", "num_actions: 12", "drives 10 joints"),
        ("kps: [150, ", "kps: [", "kps has 9 numbers for 10 joints"),
    ):
        (tmp_path / "config.yaml").write_text(config.read_text().replace(old, new))
        with pytest.raises(InvalidValue, match=said):
            new_world(tmp_path / "other", scene, io=tmp_path / "config.yaml")
