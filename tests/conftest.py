"""What all tests share: one thread for torch, small worlds written by the tests, and processes to kill."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # the tests already fill the cores; spinning threads are slower on small networks

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
