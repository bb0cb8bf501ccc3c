"""A payload of any shape is found as ten numbers that are always those of some body."""

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.identify.identify import Options, identify
from sim2real.identify.space import free_parameters
from sim2real.parameters import INERTIA
from sim2real.recordings import Recording
from sim2real.simulators.inertial import inertial_of
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

# a plate on a slide and three hinges, each with a motor: every one of the ten numbers shows
SCENE = """<mujoco model="gimbal">
  <compiler angle="radian"/>
  <option timestep="0.002" integrator="implicitfast" gravity="0 0 -9.81"/>
  <worldbody>
    <body name="plate">
      <joint name="slide" type="slide" axis="1 0 0" damping="2"/>
      <joint name="yaw" type="hinge" axis="0 0 1" damping="0.02"/>
      <joint name="pitch" type="hinge" axis="0 1 0" damping="0.02"/>
      <joint name="roll" type="hinge" axis="1 0 0" damping="0.02"/>
      <inertial pos="0.03 0 -0.08" mass="0.8" diaginertia="0.003 0.004 0.002"/>
      <geom name="plate" type="box" size="0.08 0.06 0.02" pos="0.03 0 -0.08" contype="0" conaffinity="0"/>
    </body>
  </worldbody>
  <actuator>
    <motor name="m_slide" joint="slide" ctrlrange="-8 8"/>
    <motor name="m_yaw" joint="yaw" ctrlrange="-0.4 0.4"/>
    <motor name="m_pitch" joint="pitch" ctrlrange="-0.4 0.4"/>
    <motor name="m_roll" joint="roll" ctrlrange="-0.4 0.4"/>
  </actuator>
</mujoco>"""


@pytest.fixture
def gimbal(tmp_path):
    folder = tmp_path / "gimbal"
    folder.mkdir()
    (folder / "scene.xml").write_text(SCENE)
    (folder / "physics.toml").write_text('title = "A plate in a gimbal"\n')
    return World.load(folder)


def loaded(payload):
    """The plate with a block of 0.4 kg bolted on askew: model, mass, centre, and inertia by Steiner."""
    spec = mujoco.MjSpec.from_string(SCENE)
    if payload:
        block = spec.body("plate").add_body(name="block", pos=[0.05, 0.04, -0.02], quat=[0.9, 0.2, 0.3, 0.1])
        block.mass, block.inertia, block.explicitinertial = 0.4, [0.0004, 0.0009, 0.0007], True
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    masses, places = model.body_mass[1:], data.xipos[1:]
    centre = masses @ places / masses.sum()
    tensor = np.zeros((3, 3))
    for k, (mass, place) in enumerate(zip(masses, places, strict=True), start=1):
        axes = data.ximat[k].reshape(3, 3)
        away = place - centre
        tensor += axes @ np.diag(model.body_inertia[k]) @ axes.T
        tensor += mass * (away @ away * np.eye(3) - np.outer(away, away))
    return model, masses.sum(), centre, tensor


def recorded(model, seed):
    rng = np.random.default_rng(seed)
    time = np.arange(150) * 0.01
    rates, phases = rng.uniform(3, 15, (4, 4)), rng.uniform(0, 6, (4, 4))
    command = model.actuator_ctrlrange[:, 1] * np.sin(time[:, None, None] * rates + phases).mean(axis=1)
    data = mujoco.MjData(model)
    data.qpos[1:] = rng.uniform(-0.5, 0.5, 3)
    rows = []
    for row in command:
        rows.append((data.qpos.copy(), data.qvel.copy()))
        data.ctrl[:] = row
        mujoco.mj_step(model, data, 5)
    position, velocity = (np.array(part) for part in zip(*rows, strict=True))
    position += rng.normal(0, 1e-5, position.shape)
    names = ("slide", "yaw", "pitch", "roll")
    return Recording(f"run{seed}", names, time, command, position, velocity)


@pytest.mark.slow
@pytest.mark.parametrize("payload", [True, False])
def test_the_whole_inertia_of_a_payload_is_found(payload, gimbal, tmp_path):
    model, mass, centre, tensor = loaded(payload)
    logs = [recorded(model, seed) for seed in range(3)]
    options = Options(free=("plate.inertia",), generations=0, threads=1, window=0.5)
    found = identify(gimbal, logs, options)
    assert {e.name for e in found.estimates} == {f"plate.{name}" for name in INERTIA}
    inertial = inertial_of(gimbal, found.point, "plate")
    assert inertial.mass == pytest.approx(mass, rel=0.02)
    assert inertial.centre == pytest.approx(centre, abs=1e-3)
    assert inertial.tensor == pytest.approx(tensor, abs=0.03 * np.trace(tensor) / 3)
    found.save(tmp_path)
    domain = Domain.load(tmp_path / "identified.toml")
    drawn = domain.sample(np.random.default_rng(0), 50)
    world = gimbal.for_domain(domain)
    simulator = MujocoSimulator(world, 50, 1)
    simulator.set_physics(np.arange(50), domain.names, drawn)
    for row in range(50):
        a, b, c = np.sort(simulator.snapshot(row)[0].body("plate").inertia)
        assert 0 < a <= b <= c < a + b


def test_ten_names_stand_behind_one(gimbal):
    free = free_parameters(gimbal, ["plate.inertia"])
    assert [f.name for f in free] == [f"plate.{name}" for name in INERTIA]
    assert all(f.start == 0.0 for f in free)
    with pytest.raises(InvalidValue, match=r"plate\.inertia_log_mass is free twice"):
        free_parameters(gimbal, ["plate.inertia", "plate.inertia_log_mass"])
