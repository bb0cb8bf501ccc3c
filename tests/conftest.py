"""What all tests share: one thread for torch, small worlds, recordings of twins, and processes to kill."""

import dataclasses
import doctest
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sim2real.domain import Domain
from sim2real.errors import MissingExtra
from sim2real.recordings import Recording
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.tasks import TASKS, CartPole
from sim2real.world import World

torch.set_num_threads(1)  # the tests already fill the cores; spinning threads are slower on small networks


class WithoutBullet:
    """Skips tests and doctests that ask for Bullet where it can't be had, as after Python 3.11."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self):
        return (yield from self.pytest_runtest_call())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self):
        try:
            return (yield)
        except Exception as error:
            cause = error.exc_info[1] if isinstance(error, doctest.UnexpectedException) else error
            if isinstance(cause, MissingExtra) and "pybullet" in str(cause):
                pytest.skip(str(cause))
            raise


def pytest_configure(config):
    if importlib.util.find_spec("pybullet") is None:
        config.pluginmanager.register(WithoutBullet())


PENDULUM = """
<mujoco model="pendulum">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.005" cone="elliptic" integrator="implicitfast"/>
  <worldbody>
    <body name="cart">
      <joint name="slider" type="slide" axis="1 0 0" range="-1.8 1.8" damping="0.1"/>
      <geom name="box" type="box" size="0.1 0.1 0.1" mass="1" contype="0" conaffinity="0"/>
      <body name="pole">
        <joint name="hinge" type="hinge" axis="0 1 0" damping="0.001"/>
        <geom name="rod" type="capsule" fromto="0 0 0 0 0 1" size="0.04" mass="0.1" contype="0"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="slider" ctrlrange="-10 10"/></actuator>
</mujoco>
"""

PENDULUM_PHYSICS = """
title = "A pendulum on a cart"
task = "cartpole"

[parameters."pole.mass"]
unit = "kg"
nominal = 0.1
range = [0.05, 0.2]
source = "made up"

[parameters."motor.latency"]
unit = "physics steps"
nominal = 0
range = [0, 4]
source = "made up"

[variants.extrapolation.heavy]
"pole.mass" = 0.4

[variants.combined.heavy_late]
"pole.mass" = 0.3
"motor.latency" = 6
"""


# one of everything: slides and hinges, a contact, a motor, a DC motor and a servo
BENCH = """
<mujoco model="bench">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.004" cone="elliptic" integrator="implicitfast" density="1.2" gravity="0.6 0 -9.7"/>
  <worldbody>
    <geom name="floor" type="plane" size="9 9 1" contype="1" conaffinity="0" friction="0.1"/>
    <body name="sled" pos="0 0 0.1">
      <joint name="slide" type="slide" axis="1 0 0" damping="0.3" armature="0.05"/>
      <joint name="lift" type="slide" axis="0 0 1"/>
      <geom name="shoe" type="box" size="0.2 0.2 0.1" mass="2" friction="0.8" contype="0" conaffinity="1"/>
      <body name="link" pos="0 0 0.1">
        <joint name="elbow" axis="0 1 0" damping="0.02" armature="0.003" stiffness="0.5" frictionloss="0.01"/>
        <inertial pos="0.01 0 0.15" mass="0.4" diaginertia="0.004 0.005 0.001"/>
        <body name="tip" pos="0 0 0.3">
          <joint name="wrist" axis="0.6 0.8 0" damping="0.01" armature="0.002"/>
          <geom name="ball" size="0.03" pos="0 0 0" mass="0.2" contype="0" conaffinity="0"/>
          <site name="end" pos="0 0 0.1"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="push" joint="slide" gear="20" ctrlrange="-1 1"/>
    <general name="dc" joint="elbow" gainprm="0.4" biastype="affine" biasprm="0 0 -0.05"/>
    <position name="servo" joint="wrist" kp="3" kv="0.05" forcerange="-0.3 0.3" forcelimited="true"/>
  </actuator>
</mujoco>
"""

BENCH_ROWS = {
    "sled.mass": ("kg", 2.0, 1.0, 4.0, "sled"),
    "link.mass": ("kg", 0.4, 0.2, 0.8, "link"),
    "tip.com_x": ("m", 0.0, -0.1, 0.1, "tip"),
    "link.com_z": ("m", 0.15, 0.1, 0.2, "link"),
    "tip.com_y": ("m", 0.0, -0.1, 0.1, "tip"),
    "shoe.height": ("m", 0.0, -0.05, 0.05, "shoe"),
    "shoe.friction": ("1", 0.8, 0.1, 1.2, "shoe"),
    "slide.damping": ("N·s/m", 0.3, 0.0, 3.0, "slide"),
    "elbow.damping": ("N·m·s/rad", 0.02, 0.0, 0.1, "elbow"),
    "elbow.frictionloss": ("N·m", 0.01, 0.0, 0.1, "elbow"),
    "slide.armature": ("kg", 0.05, 0.0, 1.0, "slide"),
    "elbow.armature": ("kg·m²", 0.003, 0.001, 0.01, "elbow"),
    "elbow.stiffness": ("N·m/rad", 0.5, 0.0, 2.0, "elbow"),
    "world.gravity": ("m/s²", (0.6**2 + 9.7**2) ** 0.5, 8.0, 11.0, None),
    "push.strength": ("1", 1.0, 0.5, 1.5, "push"),
    "dc.strength": ("1", 1.0, 0.5, 1.5, "dc"),
    "servo.strength": ("1", 1.0, 0.2, 1.5, "servo"),
    "servo.kp": ("N·m/rad", 3.0, 1.0, 6.0, "servo"),
    "servo.kd": ("N·m·s/rad", 0.05, 0.01, 0.2, "servo"),
    "tip.payload": ("kg", 0.0, 0.0, 0.3, "tip"),
    "elbow.stuck": ("1", 0, 0, 1, "elbow"),
    "servo.bias_torque": ("N·m", 0.0, -0.1, 0.1, "servo"),
    "wrist.encoder_offset": ("rad", 0.0, -0.1, 0.1, "wrist"),
    "world.slope_x": ("rad", 0.0, -0.2, 0.2, None),
    "world.slope_y": ("rad", 0.0, -0.3, 0.3, None),
    "world.wind_x": ("m/s", 0.0, -5.0, 5.0, None),
    "world.wind_y": ("m/s", 0.0, -5.0, 5.0, None),
    "world.wind_z": ("m/s", 0.0, -5.0, 5.0, None),
    "world.air_density": ("kg/m³", 1.2, 0.9, 1.3, None),
    "dc.back_emf": ("N·m·s/rad", 0.05, 0.0, 0.2, "dc"),
    "servo.torque_limit": ("N·m", 0.3, 0.1, 0.5, "servo"),
    "motors.latency": ("physics steps", 0, 0, 20, ("push", "dc", "servo")),
}


@pytest.fixture(scope="session")
def pendulum_files():
    """A cart with a pole as (scene.xml, physics.toml), to edit and to break."""
    return PENDULUM, PENDULUM_PHYSICS


@pytest.fixture
def write_world(tmp_path):
    """Write a world's two files to a folder of its name, and return the folder."""

    def write(scene=PENDULUM, physics=PENDULUM_PHYSICS, name="pendulum"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "scene.xml").write_text(scene)
        (folder / "physics.toml").write_text(physics)
        return folder

    return write


@pytest.fixture
def of_any_cart(monkeypatch):
    """The task cartpole for any scene of two joints and an actuator, whatever they are."""

    class AnyCart(CartPole):
        spec = dataclasses.replace(CartPole.spec, joints=(), drives=())

    monkeypatch.setitem(TASKS._built_in, "cartpole", AnyCart)


@pytest.fixture
def python():
    """Run a program in a process of its own, which fails loudly."""

    def run(program, *arguments):
        command = [sys.executable, "-c", program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def quick_kernels():
    """Warp's kernels compiled in half the time, to run slower; the numbers are the same."""
    import warp

    level, warp.config.optimization_level = warp.config.optimization_level, 0
    yield
    warp.config.optimization_level = level


@pytest.fixture(scope="session")
def root():
    """The checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def recordings_folder(root):
    """Where the real SO-101's recordings are, if this machine has them."""
    return Path(os.environ.get("SIM2REAL_RECORDINGS", root.parent / "shared" / "real" / "so101"))


@pytest.fixture(scope="session")
def real(recordings_folder):
    """Folder of the real SO-101's recordings, where this machine has them."""
    if not all((recordings_folder / part).is_dir() for part in ("npz", "csv")):
        pytest.skip("no recordings of the real arm here; SIM2REAL_RECORDINGS can name their folder")
    return recordings_folder


def smooth_commands(rng, time, low, high):
    """Steps held for a while plus a few sines, within the range."""
    held = rng.uniform(-1, 1, (1 + int(time[-1] / 0.5), len(low)))[(time / 0.5).astype(int)]
    rates, phases = rng.uniform(2, 9, (3, len(low))), rng.uniform(0, 6, (3, len(low)))
    sines = np.sin(time[:, None, None] * rates + phases).mean(axis=1)
    unit = np.clip(0.6 * held + 0.6 * sines, -1, 1)
    return (low + high) / 2 + unit * (high - low) / 2


@pytest.fixture
def twin():
    """Recordings of a simulated robot with known physics: exact but for noise, at its control rate."""

    def record(name, physics, count=6, seconds=4.0, **setup):
        setup = {"start": None, "share": 0.8, "noise": 1e-4} | setup
        start, share, noise = setup["start"], setup["share"], setup["noise"]
        world = World.load(name).for_domain(Domain.point(physics))
        period = 0.02 if name == "so101" else 0.01
        simulator = MujocoSimulator(world, 1, 1)
        simulator.set_physics(np.array([0]), tuple(physics), np.array([list(physics.values())], dtype=float))
        model = world.model
        joints = tuple(model.joint(k).name for k in range(model.njnt))
        driven = [int(k) for k in model.actuator_trnid[:, 0]]
        low, high = model.actuator_ctrlrange.T * share
        substeps = round(period / simulator.physics_dt)
        recordings = []
        for number in range(count):
            rng = np.random.default_rng(number)
            time = np.arange(round(seconds / period)) * period
            command = smooth_commands(rng, time, low, high)
            qpos = np.zeros((1, model.nq)) if start is None else np.array([start], dtype=float)
            if name == "so101":
                qpos[0, driven] = command[0]
            simulator.reset(np.array([0]), qpos, np.zeros((1, model.nv)), command[:1])
            rows = []
            for k in range(len(time)):
                rows.append((simulator.qpos[0].copy(), simulator.qvel[0].copy()))
                simulator.step(command[k : k + 1], substeps)
            position = np.array([q for q, _ in rows]) + rng.normal(0, noise, (len(time), model.nq))
            velocity = np.array([v for _, v in rows])
            table = np.zeros((len(time), len(joints)))
            table[:, driven] = command
            recordings.append(Recording(f"run{number}", joints, time, table, position, velocity))
        return recordings

    return record


def physics_toml(rows):
    text = 'title = "bench"\n'
    for name, (unit, nominal, low, high, element) in rows.items():
        text += f'[parameters."{name}"]\nunit = "{unit}"\nnominal = {nominal!r}\nrange = [{low}, {high}]\n'
        text += 'source = "made up"\n'
        if isinstance(element, tuple):
            text += f"elements = {list(element)}\n"
    return text


@pytest.fixture
def bench_files():
    """The bench's two files, and what writes the second from rows."""
    return BENCH, BENCH_ROWS, physics_toml


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """The bench, loaded."""
    folder = tmp_path_factory.mktemp("worlds") / "bench"
    folder.mkdir()
    (folder / "scene.xml").write_text(BENCH)
    (folder / "physics.toml").write_text(physics_toml(BENCH_ROWS))
    return World.load(folder)
