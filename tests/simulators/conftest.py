"""A bench with one of everything: slides and hinges, a contact, a motor, a DC motor and a servo."""

import pytest

from sim2real.world import World

SCENE = """
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

ROWS = {
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
    return SCENE, ROWS, physics_toml


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """The bench, loaded."""
    folder = tmp_path_factory.mktemp("worlds") / "bench"
    folder.mkdir()
    (folder / "scene.xml").write_text(SCENE)
    (folder / "physics.toml").write_text(physics_toml(ROWS))
    return World.load(folder)
