"""Every quantity acts in a replay or is refused by name, and at its neutral value changes no bit."""

import dataclasses

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.parameters import DISTURBANCE, QUANTITIES, SCHEDULE, SENSOR
from sim2real.replay import Motion, Replayer
from sim2real.world import World

SCENE = """<mujoco><compiler angle="radian"/>
  <option timestep=".002" integrator="implicitfast" density="1.2" viscosity="1e-5" cone="elliptic"/>
  <default><joint damping=".3" armature=".02" frictionloss=".02" stiffness=".2"/></default>
  <worldbody><geom name="floor" type="plane" size="2 2 .1" pos="0 0 .88" friction=".3 .005 .0001"/>
    <body name="l1" pos="0 0 1"><joint name="j1" axis=".2 1 .1"/>
      <geom name="g1" type="capsule" fromto="0 0 0 .2 0 0" size=".02" mass=".3" friction=".2"/>
      <body name="l2" pos=".2 0 0"><joint name="j2" axis="0 1 .3"/>
        <geom name="g2" type="capsule" fromto="0 0 0 .15 0 .05" size=".02" mass=".2" friction=".2"/>
      </body></body></worldbody>
  <actuator><position name="m1" joint="j1" kp="20" kv=".5" forcerange="-2 2" nsample="20"/>
    <position name="m2" joint="j2" kp="20" kv=".5" forcerange="-2 2" nsample="20"/></actuator></mujoco>"""
ELEMENTS = {"joint": "j2", "actuator": "m2", "body": "l2", "geom": "floor", "world": "world"}

MOVED = {
    "mass": 0.3, "payload": 0.1, "friction": 0.9, "height": 0.9, "damping": 0.6, "frictionloss": 0.1,
    "armature": 0.05, "stiffness": 1.0, "backlash": 0.02, "stuck": 1.0, "gravity": 7.0, "air_density": 50.0,
    "strength": 0.7, "kp": 15.0, "kd": 1.0, "torque_limit": 0.5, "latency": 4.5, "com_x": 0.1, "com_y": 0.1,
    "com_z": 0.1, "stribeck_velocity": 0.5, "stribeck_exponent": 3.0, "rate_limit": 0.5, "goal_braking": 1.0,
    "wind_x": 3.0, "wind_y": 3.0, "wind_z": 3.0,
}  # fmt: skip
BESIDE = {
    "stribeck_velocity": {"stribeck": 0.2},
    "stribeck_exponent": {"stribeck": 0.2},
    "load_stribeck_motor": {"stribeck_velocity": 0.5},
    "load_stribeck_external": {"stribeck_velocity": 0.5},
    "load_quadratic_motor": {"stribeck_velocity": 0.5},
    "load_quadratic_external": {"stribeck_velocity": 0.5},
}
"""What a quantity only shapes."""
NOT_OF_SERVOS = {"back_emf"}
NOT_IN_A_REPLAY = {"command_noise", "correction", "latency_jitter"} | {
    name for name, q in QUANTITIES.items() if q.acts in (SENSOR, DISTURBANCE, SCHEDULE)
}
ACTING = [q for q in QUANTITIES if q not in NOT_IN_A_REPLAY | NOT_OF_SERVOS]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds") / "arm"
    folder.mkdir()
    (folder / "scene.xml").write_text(SCENE)
    (folder / "physics.toml").write_text("")
    return World.load(folder)


def log():
    """A motion that presses on the floor, swings up and turns round at once."""
    time = np.arange(60) * 0.02
    command = np.stack(
        [0.7 * np.sin(5 * time), -0.8 + 1.2 * np.sign(np.sin(4 * time)) + 0.3 * np.sin(9 * time)], axis=1
    )
    measured = np.zeros((60, 2))
    return Motion("press", ("j1", "j2"), time, command, measured, np.zeros(2))


def name_of(quantity):
    return f"{ELEMENTS[QUANTITIES[quantity].element]}.{quantity}"


def run(world, **values):
    """Positions under these values of quantities, in a world with nothing else. Shape (n, 2)."""
    names = tuple(name_of(quantity) for quantity in values)
    elements = {n: () if n.startswith("world.") else (n.split(".")[0],) for n in names}
    ready = world.with_parameters(elements)
    (found,) = Replayer(ready, [log()], 1, 1, names).run(names, np.array([list(values.values())]))
    assert np.isfinite(found).all()
    return found[0]


@pytest.mark.parametrize("quantity", ACTING)
def test_it_acts_and_its_neutral_value_changes_no_bit(world, quantity):
    beside, kind = BESIDE.get(quantity, {}), QUANTITIES[quantity]
    still = run(world, **beside)
    moved = run(world, **beside, **{quantity: MOVED.get(quantity, 0.2)})
    assert np.abs(moved - still).max() > 1e-5
    neutral = kind.neutral if kind.neutral is not None else {"stribeck_exponent": 1.0}.get(quantity)
    if neutral is not None:
        assert np.array_equal(run(world, **beside, **{quantity: neutral}), still)


@pytest.mark.parametrize("quantity", sorted(q for q in NOT_IN_A_REPLAY if QUANTITIES[q].element in ELEMENTS))
def test_what_acts_in_no_replay_is_refused(world, quantity):
    with pytest.raises(InvalidValue, match=rf"{quantity} does not act in a replay of recordings"):
        run(world, **{quantity: 1.0})


def test_of_two_plays_the_one_that_is_not_there_changes_no_bit(world):
    ready = world.with_parameters({f"{j}.backlash": (j,) for j in ("j1", "j2")})
    names = ("j1.backlash", "j2.backlash")
    both = Replayer(ready, [log()], 3, 1).run(names, np.array([[0.03, 0.02], [0.03, 0.0], [0.0, 0.0]]))[0]
    one = Replayer(world.with_parameters({"j1.backlash": ("j1",)}), [log()], 1, 1).run(
        names[:1], np.array([[0.03]])
    )[0]
    assert np.array_equal(both[1], one[0])
    assert np.array_equal(both[2], run(world))
    assert np.abs(both[0] - both[1]).max() > 1e-4


def test_laws_are_those_of_a_plain_loop_whatever_rows_run_beside(world):
    """Rows with a law, without one, and motions of unlike lengths, in one batch and alone."""
    names = ("j2.stribeck", "j2.load_friction_external", "m1.speed_loss")
    ready = world.with_parameters({n: (n.split(".")[0],) for n in names})
    full = log()
    short = Motion("short", full.joints, full.time[:20], full.command[:20], full.measured[:20], full.velocity)
    values = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.1, 0.3, 0.2]])
    together = Replayer(ready, [short, full], 4, 1).run(names, values)
    for motion, found in zip([short, full], together, strict=True):
        for row, value in zip(found, values, strict=True):
            (alone,) = Replayer(ready, [motion], 1, 1).run(names, value[None])
            assert np.array_equal(alone[0], row)
    assert np.array_equal(together[1][0], run(world))


@pytest.mark.parametrize("nominal", [False, True])
def test_an_encoder_that_reads_too_much_is_read_so_in_the_log(world, nominal):
    """Its servo holds what it reads, and the joint begins and goes elsewhere."""
    off, motion = {"j1": 0.15, "j2": -0.1}, log()
    model = mujoco.MjModel.from_xml_string(SCENE)
    data, read = mujoco.MjData(model), np.empty((60, 2))
    data.qpos[:] = -np.array(list(off.values()))
    for k in range(60):
        read[k] = data.qpos + list(off.values())
        data.ctrl[:] = motion.command[k] - list(off.values())
        for _ in range(10):
            mujoco.mj_step(model, data)
    given = {f"{joint}.encoder_offset": value for joint, value in off.items()}
    ready = world.for_domain(Domain.point(given))
    if nominal:
        changed = {n: dataclasses.replace(p, nominal=given[n]) for n, p in ready.parameters.items()}
        ready, given = dataclasses.replace(ready, parameters=changed), {}
    values = np.array([list(given.values())]).reshape(1, -1)
    (found,) = Replayer(ready, [motion], 1, 1, tuple(given)).run(tuple(given), values)
    np.testing.assert_allclose(found[0], read, atol=1e-9)
