"""Physics planted in a simulated twin is found again, with intervals that hold it."""

import dataclasses

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.errors import InvalidValue, RecordingError, UnknownName
from sim2real.identify.fit import split
from sim2real.identify.identify import ASSESS, Options, identify
from sim2real.identify.verdicts import (
    BAD_DATA,
    IDENTIFIED,
    NO_HELDOUT_GAIN,
    NOT_IDENTIFIABLE,
    STRUCTURE_MISSING,
)
from sim2real.recordings import Recording, load_recordings
from sim2real.world import World

PLANTED = {
    "cartpole": ({"cart.mass": 1.3, "pole.mass": 0.2, "slider.damping": 0.6, "motor.latency": 3}, (0, np.pi)),
    "furuta": (
        {"pole.mass": 0.031, "motor.strength": 0.8, "arm_hinge.damping": 2e-4, "motor.latency": 4},
        None,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_physics_is_found(name, twin):
    physics, start = PLANTED[name]
    recordings = twin(name, physics, count=4, seconds=1.5, start=start)
    options = Options(free=tuple(physics), generations=6, threads=1, window=0.5)
    found = identify(World.load(name), recordings, options)
    for estimate in found.estimates:
        truth = physics[estimate.name]
        assert estimate.value == pytest.approx(truth, rel=0.05), estimate
        assert estimate.low <= truth <= estimate.high, estimate
    latency = next(n for n in physics if n.endswith(".latency"))
    assert found.point[latency] == physics[latency]
    (sure,) = (v for v in found.verdicts if v.name == IDENTIFIED)
    assert "the error on run3, held out, went from" in sure.text
    rows = {row.predictor: row for row in found.gap}
    assert rows["identified"].held_out < 0.2 * rows["nominal"].held_out


@pytest.mark.slow
@pytest.mark.parametrize("planted", [{}, {"servos.kp": 700.0, "joints.damping": 1.5}])
def test_joints_that_throw_each_other_about_are_not_fitted_one_by_one(twin, planted):
    """Stiff servos under jumping goals: the fast simulation is wrong by more than there is to explain."""
    world = World.load("so101")
    truth = {name: world.nominal[name] for name in ("servos.kp", "joints.damping")} | planted
    logs = twin("so101", truth, count=3, seconds=3.0, share=0.3)
    found = identify(world, logs, Options(free=tuple(truth), threads=1, nuisance=False))
    assert found.point["joints.damping"] == pytest.approx(truth["joints.damping"], rel=0.03)
    assert found.point["servos.kp"] == pytest.approx(
        truth["servos.kp"], rel=0.15
    )  # saturated most of the time
    assert {row.predictor: row for row in found.gap}["identified"].held_out < 2e-3


@pytest.mark.slow
def test_noise_that_hides_what_a_step_gains_ends_no_fit(twin):
    """20 mrad of noise are all of the error, of which a round's gain is a small share and yet many sigmas."""
    truth = {"servos.kp": 60.0, "joints.damping": 4.0, "servos.latency": 8}
    logs = twin("so101", truth, count=4, seconds=4.0, noise=0.02)
    found = identify(World.load("so101"), logs, Options(free=tuple(truth), threads=1))
    assert found.point["servos.latency"] == 8
    late = next(e for e in found.estimates if e.name == "servos.latency")
    assert late.low <= 8 <= late.high
    assert found.point["joints.damping"] == pytest.approx(4.0, rel=0.02)


@pytest.mark.slow
def test_planted_physics_is_found_through_contacts(twin):
    physics = {"torso.mass": 4.8, "joints.damping": 2.0, "motors.strength": 0.8, "motors.latency": 4}
    start = (0, 1.25, 0, -0.3, -0.5, 0.3)
    recordings = twin("hopper", physics, count=4, seconds=1.5, start=start, share=0.3)
    options = Options(free=tuple(physics), generations=4, threads=1, window=0.2)
    found = identify(World.load("hopper"), recordings, options)
    assert found.point["motors.latency"] == 4
    for estimate in found.estimates:
        truth = physics[estimate.name]
        assert estimate.value == pytest.approx(truth, rel=0.05), estimate
        assert estimate.low <= truth <= estimate.high, estimate


@pytest.mark.slow
def test_planted_servos_are_found(twin):
    """From the published gain, fifty times the planted one."""
    physics = {
        "shoulder_pan.kp": 18.0,
        "elbow_flex.kp": 23.4,
        "shoulder_pan.damping": 1.4,
        "elbow_flex.damping": 0.9,
        "shoulder_pan.latency": 4,
        "elbow_flex.latency": 6,
    }
    fixed = {"shoulder_pan.kd": 0.0, "elbow_flex.kd": 0.0}  # without it, stiff servos ring for ever
    recordings = twin("so101", physics | fixed, count=4, seconds=3.0, share=0.3)
    options = Options(free=tuple(physics), fixed=fixed, generations=6, threads=1)
    found = identify(World.load("so101"), recordings, options)
    for joint in ("shoulder_pan", "elbow_flex"):
        assert found.point[f"{joint}.latency"] == physics[f"{joint}.latency"]
    for estimate in found.estimates:
        assert estimate.low <= physics[estimate.name] <= estimate.high, estimate
        assert estimate.value == pytest.approx(physics[estimate.name], rel=0.02), estimate


@pytest.mark.slow
def test_the_real_arm_is_predicted_from_published_values(real):
    """Coulomb friction and a linear servo, from 10 s of six recordings; held-out ones whole."""
    world = World.load("so101")
    logs = load_recordings(real / "npz" / "train")
    held = logs[3::4]
    logs = [*(shortened(log, 10.0) for log in logs[::2] if log not in held), *held]
    joints = [world.model.actuator(k).name for k in range(world.model.nu)]
    quantities = ("kp", "damping", "frictionloss", "latency", "bias_torque")
    free = tuple(f"{joint}.{quantity}" for quantity in quantities for joint in joints)
    fixed = {f"{joint}.kd": 0.0 for joint in joints}
    judges = tuple(log.name for log in held)
    options = Options(free=free, fixed=fixed, held_out=judges, generations=8, threads=1, nuisance=False)
    found = identify(world, logs, options)
    rows = {row.predictor: row for row in found.gap}
    assert rows["nominal"].held_out == pytest.approx(0.0277, abs=0.001)
    assert rows["identified"].held_out < 0.0065
    assert found.exit_code in (0, 11, 12, 13)


def shortened(log, seconds):
    rows = log.time - log.time[0] <= seconds
    parts = {name: getattr(log, name)[rows] for name in ("time", "command", "position", "velocity")}
    return dataclasses.replace(log, **parts)


@pytest.mark.slow
def test_a_result_is_a_domain_to_train_in(twin, tmp_path):
    physics, start = PLANTED["cartpole"]
    world = World.load("cartpole")
    free = ("cart.mass", "pole.mass")
    recordings = twin("cartpole", {n: physics[n] for n in free}, count=4, seconds=1.0, start=start)
    found = identify(world, recordings, Options(free=free, generations=0, threads=1, window=0.5))
    found.save(tmp_path)
    domain = Domain.load(tmp_path / "identified.toml")
    assert set(domain.names) == set(free)
    world.for_domain(domain).check(domain)
    draws = domain.sample(np.random.default_rng(0), 200)
    assert draws.mean(axis=0) == pytest.approx([physics[n] for n in free], rel=0.1)
    assert Domain.load(tmp_path / "point.toml").is_point
    assert '"verdicts"' in (tmp_path / "identification.json").read_text()


@pytest.mark.slow
def test_an_interrupted_fit_goes_on(twin, tmp_path):
    recordings = twin("cartpole", {"cart.mass": 1.3}, count=3, seconds=1.0, start=(0, np.pi))
    world, path = World.load("cartpole"), tmp_path / "checkpoint.json"
    options = Options(free=("cart.mass",), generations=0, threads=1, window=0.5, checkpoint=path)

    class InterruptError(Exception):
        pass

    def stop(what, number, cost):
        if what == "refit":
            raise InterruptError

    with pytest.raises(InterruptError):
        identify(world, recordings, options, stop)
    seen = []
    resumed = identify(world, recordings, options, lambda what, *_: seen.append(what))
    assert set(seen) == {"refit", ASSESS}
    path.unlink()
    fresh = identify(world, recordings, options)
    assert resumed.point == fresh.point
    parameters = {
        **world.parameters,
        "pole.mass": dataclasses.replace(world.parameters["pole.mass"], low=0.01),
    }
    identify(
        dataclasses.replace(world, parameters=parameters),
        recordings,
        options,
        lambda what, *_: seen.append(what),
    )
    assert "fit" in seen, "a world that was changed is no other's checkpoint"


def test_a_command_that_never_moves_is_said(twin):
    recordings = twin("cartpole", {}, count=2, seconds=1.0, start=(0, np.pi), share=0.0)
    found = identify(
        World.load("cartpole"), recordings, Options(free=("cart.mass",), generations=0, threads=1)
    )
    names = {v.name for v in found.verdicts}
    assert BAD_DATA in names
    assert NOT_IDENTIFIABLE in names
    assert NO_HELDOUT_GAIN in names
    assert found.exit_code == 15
    assert "cart.mass leaves no trace" in " ".join(v.text for v in found.verdicts)


def test_recordings_are_held_out_whole(twin):
    recordings = twin("cartpole", {}, count=5, seconds=0.2)
    motions = [dataclasses.replace(r) for r in recordings]
    _, held = split(motions, None)
    assert [m.name for m in held] == ["run3"]
    assert [m.name for m in split(motions, ("run0", "run1"))[0]] == ["run2", "run3", "run4"]
    with pytest.raises(UnknownName, match="held-out recording"):
        split(motions, ("run9",))
    with pytest.raises(RecordingError, match="every recording is held out"):
        split(motions, [m.name for m in motions])


@pytest.mark.slow
def test_a_single_recording_is_judged_on_its_last_quarter(twin):
    (log,) = twin("cartpole", {"cart.mass": 1.3}, count=1, seconds=6.0, start=(0, np.pi))
    options = Options(free=("cart.mass",), generations=0, threads=1, window=0.5)
    found = identify(World.load("cartpole"), [log], options)
    assert {v.name for v in found.verdicts} == {IDENTIFIED}
    assert found.exit_code == 0
    assert (found.fitted, found.held_out) == (("run0",), ("run0 (last quarter)",))
    assert "last quarter is held out" in found.notes[0]
    assert found.point["cart.mass"] == pytest.approx(1.3, rel=0.05)
    assert not identify(World.load("cartpole"), [log], dataclasses.replace(options, held_out=())).held_out


SERVO = """<mujoco><option timestep="0.002"/><worldbody><body>
<joint name="elbow" axis="0 1 0" damping="{damping}" frictionloss="{frictionloss}" armature="0.01"/>
<geom type="capsule" fromto="0 0 0 0.2 0 0" size="0.02" mass="0.4"/></body></worldbody>
<actuator><position name="servo" joint="elbow" kp="30" kv="1"/></actuator></mujoco>"""


@pytest.mark.slow
def test_a_perfect_fit_gives_a_domain_as_narrow_as_its_intervals(write_world):
    """What only the start of a held-out window is wrong by shows on no sensor, and widens nothing."""
    truth = {"elbow.damping": 0.35, "elbow.frictionloss": 0.06}
    model = mujoco.MjModel.from_xml_string(SERVO.format(damping=0.35, frictionloss=0.06))
    data, time = mujoco.MjData(model), 0.02 * np.arange(400)
    command = 0.5 * np.sin(3.0 * time) + 0.3 * np.sign(np.sin(1.3 * time)) * (time > 1)
    angle = np.empty(400)
    for k in range(400):
        angle[k], data.ctrl[0] = data.qpos[0], command[k]
        for _ in range(10):
            mujoco.mj_step(model, data)
    log = Recording("own", ("elbow",), time, command[:, None], angle[:, None])
    world = World.load(write_world(SERVO.format(damping=0.2, frictionloss=0.03), "", "servo"))
    found = identify(world, [log], Options(free=tuple(truth), generations=4, threads=1, nuisance=False))
    for name, middle in found.domain.median().items():
        assert middle == pytest.approx(truth[name], rel=0.01)
        low, high = (float(found.domain.parameters[name].quantile(np.array(u))) for u in (0.025, 0.975))
        assert high - low < 0.1 * truth[name]


def test_a_seed_is_a_whole_number(twin):
    logs = twin("cartpole", {}, count=2, seconds=0.5)
    with pytest.raises(InvalidValue, match="seed = -1 must be a whole number"):
        identify(World.load("cartpole"), logs, Options(free=("cart.mass",), seed=-1))


def test_no_recordings_are_refused():
    with pytest.raises(RecordingError, match="no recordings to learn from"):
        identify(World.load("cartpole"), [])


def test_a_fit_that_leaves_much_of_the_motion_identifies_nothing(twin):
    """The motor is half as strong as the model has it, and only the pole's damping may change."""
    recordings = twin("cartpole", {"motor.strength": 0.4}, count=3, seconds=1.0, start=(0, np.pi))
    options = Options(free=("hinge.damping",), generations=0, threads=1, window=0.5, nuisance=False)
    found = identify(World.load("cartpole"), recordings, options)
    [left] = [v for v in found.verdicts if v.subject == "fit" and v.name == STRUCTURE_MISSING]
    assert left.evidence["share"] > 0.15
    assert "% of what moves: another effect is missing" in left.text
    assert "IDENTIFIED" not in {v.name for v in found.verdicts}
