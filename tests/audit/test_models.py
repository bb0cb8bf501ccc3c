"""The audit of anybody's randomization: dead ones that public projects shipped, and what keeps them dead."""

import copy

import mujoco
import numpy as np
import pytest

from sim2real.audit import Randomization, RandomMotion, audit_randomization
from sim2real.audit.reasons import why_dead
from sim2real.errors import DeadParameter, InvalidValue

# a foot with an arm, a wheel on its end, and scenery
ROBOT = """
<mujoco>
  <option cone="elliptic"/>
  <default><default class="air"><geom contype="0" conaffinity="0"/></default></default>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 1" friction="0.8"/>
    <body name="post" pos="2 0 0"><geom name="post" size=".1" mass="1"/></body>
    <body name="base" pos="0 0 .12">
      <joint name="x" type="slide" axis="1 0 0"/>
      <joint name="z" type="slide" axis="0 0 1"/>
      <geom name="foot" type="box" size=".1 .1 .1" mass="1" friction="1.5"/>
      <body name="arm" pos="0 0 .1">
        <joint name="swing" axis="0 1 0" damping=".05"/>
        <geom name="rod" type="capsule" fromto="0 0 0 0 0 .4" size=".02" mass=".5" class="air"/>
        <body name="wheel" pos="0 0 .4">
          <joint name="spin" axis="0 1 0" damping=".01"/>
          <geom name="disc" type="cylinder" size=".1 .01" mass=".3" zaxis="0 1 0" class="air"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="push" joint="x" gear="10" ctrlrange="-1 1"/>
    <position name="servo" joint="swing" kp="20" kv="1" ctrlrange="-1 1"/>
    <motor name="spinner" joint="spin" gear=".1" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


@pytest.fixture(scope="module")
def robot():
    return mujoco.MjModel.from_xml_string(ROBOT)


def audited(model, write, low, high):
    return audit_randomization(model, {"it": Randomization(write, low, high)})["it"]


def friction(geom):
    def write(model, value):
        model.geom(geom).friction[0] = value

    return write


def mass_alone(model, value):
    model.body("wheel").mass[0] = value
    mujoco.mj_setConst(model, mujoco.MjData(model))


def mass_and_inertia(model, value):
    wheel = model.body("wheel")
    wheel.inertia[:] *= value / wheel.mass[0]
    mass_alone(model, value)


def without_set_const(model, value):
    wheel = model.body("wheel")
    wheel.inertia[:] *= value / wheel.mass[0]
    wheel.mass[0] = value


def write_by_copied_name(model, value):
    """The name is another project's; the id of a missing name is -1, which is the last geom."""
    model.geom_friction[mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, "ground")] = value


def write_if_there(model, value):
    names = [model.geom(k).name for k in range(model.ngeom)]
    if "ground" in names:
        model.geom("ground").friction[0] = value


def gain_of_another_kind(model, value):
    """Stiffness where an affine gain would have it; a servo's gain is fixed."""
    model.actuator("servo").gainprm[1] = -value


def gain_alone(model, value):
    model.actuator("servo").gainprm[0] = value


def gain_and_bias(model, value):
    gain_alone(model, value)
    model.actuator("servo").biasprm[1] = -value


# --- the four that public projects shipped ---


def test_floor_friction_under_a_grippier_foot_is_found(robot):
    finding = audited(robot, friction("floor"), 0.4, 1.2)
    assert finding.verdict == "dead"
    assert not any(end.moved for end in finding.ends)
    assert "geom 'foot' is grippier (1.5) than 'floor' (0.4)" in finding.sentence
    assert audited(robot, friction("foot"), 1.0, 2.0).verdict == "alive"


@pytest.mark.parametrize("write", [friction("disc"), write_by_copied_name])
def test_a_copied_geom_name_is_found(robot, write):
    finding = audited(robot, write, 0.4, 1.2)
    assert finding.verdict == "dead"
    assert "'disc' touches nothing: its contype 0, conaffinity 0 match no other geom's" in finding.sentence


def test_a_copied_geom_name_that_is_passed_over_is_found(robot):
    finding = audited(robot, write_if_there, 0.4, 1.2)
    assert finding.verdict == "dead"
    assert "it writes nothing" in finding.sentence


def test_mass_without_inertia_is_found(robot):
    finding = audited(robot, mass_alone, 0.2, 0.6)
    assert finding.verdict == "inconsistent"
    assert all(end.moved for end in finding.ends), "the mass acts, and yet half of it is missing"
    assert "mass of 'wheel' moved (0.667 of nominal) and its rotational inertia did not" in finding.sentence
    assert audited(robot, mass_and_inertia, 0.2, 0.6).verdict == "alive"


def test_mass_without_inertia_of_a_flywheel_is_dead():
    """A wheel on a fixed axle: the mass alone changes no motion at all."""
    model = mujoco.MjModel.from_xml_string("""
      <mujoco><worldbody><body name="wheel"><joint name="spin" axis="0 1 0" damping=".01"/>
        <geom type="cylinder" size=".1 .01" zaxis="0 1 0" mass=".3"/></body></worldbody>
        <actuator><motor name="spinner" joint="spin" gear=".1" ctrlrange="-1 1"/></actuator></mujoco>""")
    finding = audited(model, mass_alone, 0.2, 0.6)
    assert finding.verdict == "dead"
    assert finding.trajectory == 0.0
    assert "its rotational inertia did not" in finding.sentence
    assert audited(model, mass_and_inertia, 0.2, 0.6).verdict == "alive"


def test_an_actuator_gain_that_a_servo_ignores_is_found(robot):
    finding = audited(robot, gain_of_another_kind, 10.0, 40.0)
    assert finding.verdict == "dead"
    assert "'servo' has a fixed gain, gainprm[0], and ignores gainprm[1]" in finding.sentence
    half = audited(robot, gain_alone, 10.0, 40.0)
    assert half.verdict == "inconsistent"
    assert "kp = -biasprm[1] is 20, so that it rests at 0.5 of its goal" in half.sentence
    assert audited(robot, gain_and_bias, 10.0, 40.0).verdict == "alive"


# --- others of the kind ---


@pytest.mark.parametrize(
    ("write", "low", "high", "reason"),
    [
        (lambda m, v: m.body("post").mass.fill(v), 0.5, 2.0, "body 'post' is fixed to the world"),
        (lambda m, v: m.actuator_delay.fill(v), 0.01, 0.02, "'push' has no delay buffer"),
        (lambda m, v: m.geom_rgba.fill(v), 0.1, 0.2, "only geom_rgba, which the engine does not read"),
        (lambda m, v: m.opt.wind.fill(v), 1.0, 2.0, "there is no air"),
        (lambda m, v: m.actuator("push").forcerange.fill(v), 1.0, 2.0, "'push' has no limit there"),
        (lambda m, v: m.joint("x").range.fill(v), 1.0, 2.0, "joint 'x' has no limit there"),
        (lambda m, v: m.actuator("push").biasprm.fill(v), 1.0, 2.0, "'push' is a plain motor"),
        (lambda m, v: m.geom("foot").friction.put(1, v), 0.1, 0.2, "condim 3, without torsional friction"),
        (lambda m, v: m.geom("post").friction.fill(v), 2.0, 3.0, "geom 'post' touched nothing in this"),
    ],
)  # fmt: skip
def test_what_can_do_nothing_is_named(robot, write, low, high, reason):
    finding = audited(robot, write, low, high)
    assert finding.verdict == "dead"
    assert reason in finding.sentence


def test_what_the_model_switches_off_is_named():
    model = mujoco.MjModel.from_xml_string(
        ROBOT.replace("<option", '<option><flag gravity="disable"/></option><option')
    )
    finding = audited(model, lambda m, v: m.opt.gravity.put(2, v), -9.0, -10.0)
    assert "opt.disableflags has mjDSBL_GRAVITY" in finding.sentence


def test_a_priority_and_a_pair_are_named():
    high = ROBOT.replace('name="foot" type', 'name="foot" priority="1" type')
    finding = audited(mujoco.MjModel.from_xml_string(high), friction("floor"), 1.6, 2.0)
    assert "'foot' has the higher priority (1 to 0)" in finding.sentence
    pair = '<contact><pair geom1="floor" geom2="foot" friction="1 1 .1 .1 .1"/></contact></mujoco>'
    paired = mujoco.MjModel.from_xml_string(ROBOT.replace("</mujoco>", pair))
    assert "a <pair> of 'foot' and 'floor'" in audited(paired, friction("foot"), 1.0, 2.0).sentence


def test_a_range_of_which_one_half_is_dead_is_found(robot):
    finding = audited(robot, friction("floor"), 0.4, 2.5)
    assert [end.moved for end in finding.ends] == [False, True]
    assert finding.verdict == "dead"
    assert finding.sentence.startswith("it changes nothing at 0.4: ")


def test_stale_constants_are_found(robot):
    finding = audited(robot, without_set_const, 0.2, 0.6)
    assert finding.verdict == "inconsistent"
    assert "call mujoco.mj_setConst(model, data)" in finding.sentence


def test_the_distance_is_that_of_the_closed_form():
    """Free fall: every coordinate is proportional to gravity, so the difference is a share of the path."""
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><body><joint type="slide" axis="0 0 1"/><geom size=".1"/></body></worldbody>'
        "</mujoco>"
    )
    gravity = {"gravity": Randomization(lambda m, v: m.opt.gravity.put(2, v), -9.0, -9.81, "m/s²")}
    audit = audit_randomization(model, gravity, RandomMotion(seconds=1.0, starts=1, hold=0.04, speed=0.0))
    assert model.opt.gravity[2] == -9.81
    (end,) = audit["gravity"].ends  # the other end is nominal, which is no move
    n = np.arange(5, 501, 5)  # steps of 2 ms at which the motion is looked at
    fall, speed = n * (n + 1) / 2, n
    squares = [np.mean(x**2) / np.var(x) for x in (fall, speed)]
    assert end.value == -9.0
    assert end.trajectory == pytest.approx((9.81 - 9.0) / 9.81 * np.sqrt(np.mean(squares)), rel=1e-9)
    assert audit.noise == 0.0


def test_all_of_them_are_named_at_once(robot):
    audit = audit_randomization(
        robot,
        {
            "floor.friction": Randomization(friction("floor"), 0.4, 1.2),
            "wheel.mass": Randomization(mass_alone, 0.2, 0.6),
            "foot.friction": Randomization(friction("foot"), 1.0, 2.0),
        },
    )
    assert {finding.name for finding in audit.faults} == {"floor.friction", "wheel.mass"}
    with pytest.raises(DeadParameter, match=r"wheel.mass moves only a part.*floor.friction changes nothing"):
        audit.refuse()


def test_a_simulation_that_blows_up_is_an_event(robot):
    finding = audited(robot, lambda m, v: m.dof_damping.fill(v), 0.1, float("nan"))
    assert [end.diverged for end in finding.ends] == [False, True]
    assert np.isfinite(finding.trajectory)
    assert finding.sentence == "it acts: the simulation blows up at nan"


def test_a_model_in_which_nothing_moves_is_refused():
    still = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size=".1"/></worldbody></mujoco>')
    with pytest.raises(InvalidValue, match="nothing can move in this model"):
        audit_randomization(still, {})


def test_a_write_that_raises_is_told_apart(robot):
    with pytest.raises(InvalidValue, match=r"the write of it raised KeyError at 0.1: .*ground"):
        audited(robot, friction("ground"), 0.1, 0.2)


def test_two_geoms_whose_friction_changed_together_are_not_told_apart():
    """Both are less grippy, so neither hides the other."""
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><geom name="floor" type="plane" size="1 1 1"/><body pos="0 0 1"><joint/>'
        '<geom name="foot" size="0.1"/></body></worldbody></mujoco>'
    )
    changed = copy.deepcopy(model)
    changed.geom_friction[:, 0] = 0.5
    assert why_dead(model, changed) == []
    assert why_dead(model, changed, set()) == [
        f"geom {g!r} touched nothing in this motion" for g in ("floor", "foot")
    ]
    changed.geom_friction[0, 0] = 1.0
    assert "geom 'floor' is grippier (1) than 'foot' (0.5)" in why_dead(model, changed)[0]
