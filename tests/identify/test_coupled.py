"""A robot of servos whose joints throw each other about: its own model, named as strangers name theirs."""

import mujoco
import numpy as np
import pytest

from sim2real.identify.check import first_parameters
from sim2real.identify.defaults import trained_parameters
from sim2real.identify.identify import Options, identify
from sim2real.recordings import Recording
from sim2real.replay import motion_of
from sim2real.replay.decoupled import stand_alone
from sim2real.world import World

SCENE = """
<mujoco model="arm">
  <option timestep="0.004" integrator="implicitfast"/>
  <worldbody>
    <body name="upper" pos="0 0 0.5">
      <joint name="shoulder" axis="0 1 0" damping="0.1" armature="0.01"/>
      <geom name="upper" type="capsule" fromto="0 0 0 0.3 0 0" size="0.02" mass="0.4"/>
      <body name="lower" pos="0.3 0 0">
        <joint name="elbow" axis="0 1 0" damping="0.05" armature="0.005"/>
        <geom name="lower" type="capsule" fromto="0 0 0 0.25 0 0" size="0.015" mass="0.2"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="drive_1" joint="shoulder" kp="20" kv="0.5" ctrlrange="-2 2" forcerange="-5 5"/>
    <position name="drive_2" joint="elbow" kp="10" kv="0.2" ctrlrange="-2 2" forcerange="-3 3"/>
  </actuator>
</mujoco>
"""

TRUTH = {"lower.mass": 0.26, "shoulder.damping": 0.3, "elbow.damping": 0.15}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arm")
    (folder / "scene.xml").write_text(SCENE)
    (folder / "physics.toml").write_text('title = "two links"\n')
    return World.load(folder)


@pytest.fixture(scope="module")
def recordings():
    """Of the model as MuJoCo steps it, with a heavier forearm and stiffer grease."""
    model = mujoco.MjModel.from_xml_string(SCENE)
    model.dof_damping[:] = TRUTH["shoulder.damping"], TRUTH["elbow.damping"]
    model.body_inertia[2] *= TRUTH["lower.mass"] / model.body_mass[2]
    model.body_mass[2] = TRUTH["lower.mass"]
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return [_swung(model, seed) for seed in range(4)]


def _swung(model, seed, seconds=4.0):
    rng, data = np.random.default_rng(seed), mujoco.MjData(model)
    time = np.arange(0, seconds, 0.02)
    rate, size, phase = (
        rng.uniform(0.3, 1.5, (3, 2)),
        rng.uniform(0.1, 0.5, (3, 2)),
        rng.uniform(0, 6, (3, 2)),
    )
    command = (size * np.sin(2 * np.pi * rate * time[:, None, None] + phase)).sum(axis=1)
    rows = []
    for row in command:
        rows.append(data.qpos.copy())
        data.ctrl[:] = row
        mujoco.mj_step(model, data, 5)
    noise = rng.normal(0, 1e-3, (len(time), 2))
    return Recording(f"run{seed}", ("shoulder", "elbow"), time, command, np.array(rows) + noise)


def test_coupled_joints_are_told_from_geared_ones(world, recordings, twin):
    geared = World.load("so101")
    assert stand_alone(geared, [motion_of(geared, r) for r in twin("so101", {}, count=2, seconds=2.0)])
    assert not stand_alone(world, [motion_of(world, r) for r in recordings])


def test_drives_need_not_have_the_names_of_joints(world):
    names = first_parameters(world, Options())
    assert {"drive_1.kp", "drive_2.latency", "shoulder.damping", "elbow.frictionloss"} <= set(names)
    assert names[-2:] == ["upper.mass", "lower.mass"]


@pytest.mark.slow
def test_coupled_joints_are_fitted_in_the_full_simulation(world, recordings):
    free = (*TRUTH, "upper.mass")
    found = identify(world, recordings, Options(free=free, generations=4, threads=1))
    assert [verdict.name for verdict in found.verdicts] == ["IDENTIFIED"]
    assert [row.predictor for row in found.gap] == ["nominal", "identified", "command", "delayed command"]
    for estimate in found.estimates:
        truth = TRUTH.get(estimate.name, 0.4)
        assert estimate.value == pytest.approx(truth, rel=0.01)
        assert estimate.low < truth < estimate.high


@pytest.mark.slow
def test_a_strong_arm_may_have_a_friction_that_a_small_one_could_not(tmp_path):
    """Published models of industrial arms have no friction; what they may have follows from their servos."""
    scene = SCENE.replace('kp="20" kv="0.5"', 'kp="2000" kv="50"').replace('kp="10"', 'kp="1500"')
    scene = scene.replace('forcerange="-5 5"', "").replace('forcerange="-3 3"', "")
    (tmp_path / "scene.xml").write_text(scene)
    (tmp_path / "physics.toml").write_text("")
    model = mujoco.MjModel.from_xml_string(scene)
    model.dof_frictionloss[1] = 4.0
    model.actuator_gainprm[0, 0], model.actuator_biasprm[0, 1] = 1600.0, -1600.0
    options = Options(free=("drive_1.kp", "elbow.frictionloss"), generations=8, threads=1, nuisance=False)
    logs = [_swung(model, seed, 2.0) for seed in range(4)]
    found = identify(World.load(tmp_path), logs, options).point
    assert found["elbow.frictionloss"] == pytest.approx(4.0, rel=0.05)
    assert found["drive_1.kp"] == pytest.approx(1600.0, rel=0.02)


@pytest.mark.slow
def test_the_selected_model_takes_masses_with_the_servos_and_the_published_gain(world, recordings):
    """These servos reach their force limit, so that their velocity gain is no damping of the joint."""
    found = identify(world, recordings[:2], Options(generations=4, threads=1, nuisance=False))
    assert found.model_selection[0].model == "linear servo and masses"
    assert not any(step.kept for step in found.model_selection[1:])
    assert found.point["lower.mass"] == pytest.approx(TRUTH["lower.mass"], rel=0.02)
    assert found.point["drive_1.latency"] == 0
    assert "drive_1.kd" not in found.point


@pytest.mark.parametrize("beside", ["", '<motor name="other" joint="elbow"/>'])
def test_a_world_without_ranges_has_usual_free_parameters(tmp_path, beside):
    servos, motor = SCENE.index("<position"), '<motor name="m" joint="elbow"/>'
    scene = SCENE[:servos] + motor + beside + SCENE[SCENE.rindex("</actuator>") :]
    (tmp_path / "scene.xml").write_text(scene)
    (tmp_path / "physics.toml").write_text("")
    dampings = ["shoulder.damping", "elbow.damping"]
    driven = ["m.latency", "elbow.frictionloss"]
    assert trained_parameters(World.load(tmp_path)) == ["upper.mass", "lower.mass", *dampings, *driven]
