"""An extension of a model is kept where its effect was planted, and nowhere else."""

import dataclasses

import mujoco
import numpy as np
import pytest

from sim2real.cli import main
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.identify.identify import Options, identify
from sim2real.identify.model_selection import Extension, ModelSelection, Structure, candidate_models
from sim2real.recordings import Recording
from sim2real.replay import motion_of, windows
from sim2real.world import World

SERVO = {"servos.kp": 15.0, "servos.kd": 0.0, "joints.damping": 1.2, "joints.frictionloss": 0.2}


def selected(recordings, extension):
    """A selection of two models, begun at a servo with the right gain and friction."""
    base = World.load("so101").with_parameters({}, SERVO)
    motions = [motion_of(base, r) for r in recordings]
    selection = ModelSelection(base, motions[1:], motions[:1], Options(generations=4, threads=1))
    return selection.select([Extension("linear servo", ("damping", "bias_torque")), extension], Structure())


@pytest.mark.slow
def test_backlash_is_kept_for_the_joint_that_has_it():
    extension = Extension("+ backlash", ("backlash",))
    loose = selected([swung(seed, play=0.05) for seed in range(3)], extension)
    assert loose.steps[1].kept == ("shoulder_pan",)
    assert loose.values["shoulder_pan.backlash"] == pytest.approx(0.05, rel=0.1)
    assert selected([swung(seed) for seed in range(3)], extension).steps[1].kept == ()


@pytest.mark.slow
def test_the_torque_speed_line_is_kept_for_the_joint_that_has_it():
    extension = Extension("+ torque-speed line", ("speed_loss",))
    steep = selected([swung(seed, jumps=True, loss=0.5) for seed in range(3)], extension)
    assert steep.steps[1].kept == ("shoulder_pan",)
    assert steep.values["shoulder_pan.speed_loss"] == pytest.approx(0.5, rel=0.2)
    assert selected([swung(seed, jumps=True) for seed in range(3)], extension).steps[1].kept == ()


def swung(seed, play=0.0, loss=0.0, jumps=False):
    """The arm turned about its base, in plain MuJoCo: with play, or limits that fall with speed."""
    spec = mujoco.MjSpec.from_file(str(World.load("so101").path / "scene.xml"))
    for actuator in spec.actuators:
        actuator.gainprm[0], actuator.biasprm[1:3] = SERVO["servos.kp"], (-SERVO["servos.kp"], 0.0)
    joints = [joint.name for joint in spec.joints]
    for name in joints:
        joint = spec.joint(name)
        joint.damping[0], joint.frictionloss = SERVO["joints.damping"], SERVO["joints.frictionloss"]
    first = spec.joint("shoulder_pan")
    first.parent.add_joint(
        name="loose", type=first.type, axis=first.axis, pos=first.pos,
        limited=mujoco.mjtLimited.mjLIMITED_TRUE, range=[-play / 2 - 1e-6, play / 2 + 1e-6],
        solref_limit=[2 * spec.option.timestep, 1.0], damping=[0, 0, 0], frictionloss=0, armature=0,
    )  # fmt: skip
    model = spec.compile()
    shown = [int(model.joint(name).qposadr[0]) for name in joints]
    loose, base = int(model.joint("loose").qposadr[0]), model.actuator_forcerange.copy()
    rng, data, time = np.random.default_rng(seed), mujoco.MjData(model), np.arange(300) * 0.02
    command = np.tile([0, -0.6, 0.6, 0.5, 0.3, 0.6], (len(time), 1))
    if jumps:
        command[:, 0] = rng.uniform(-1.4, 1.4, 10)[(time / 0.6).astype(int)]
    else:
        command[:, 0] = np.sin(time[:, None] * rng.uniform(1, 5, 3) + rng.uniform(0, 6, 3)).sum(axis=1) / 3
    data.qpos[shown] = command[0]
    rows = []
    for row in command:
        position = data.qpos[shown].copy()
        position[0] += data.qpos[loose]
        rows.append(position)
        data.ctrl[:] = row
        for _ in range(4):
            speed = data.qvel[0]
            model.actuator_forcerange[0] = base[0] * [max(1 + loss * speed, 0), max(1 - loss * speed, 0)]
            model.actuator_forcerange[0] = model.actuator_forcerange[0].clip(base[0, 0], base[0, 1])
            mujoco.mj_step(model, data)
    noise = rng.normal(0, 1e-4, (len(time), len(joints)))
    return Recording(f"run{seed}", tuple(joints), time, command, np.array(rows) + noise)


DRY = {"motor.latency": 4, "arm_hinge.frictionloss": 6e-4}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("physics", "kept"), [(DRY, {"+ latency", "+ Coulomb friction"}), ({"pole.mass": 0.03}, set())]
)
def test_a_motor_gets_what_it_shows(physics, kept, twin):
    world = World.load("furuta")
    recordings = twin("furuta", physics, count=4, seconds=1.0, noise=1e-3)
    cut = [part for r in recordings for part in windows(motion_of(world, r), 0.5)]
    selection = ModelSelection(world, cut[2:], cut[:2], Options(generations=0, threads=1))
    first = Extension("linear motor", (), ("pole.mass", "motor.strength", "arm_hinge.damping"))
    found = selection.select([first, *candidate_models(world, cut)[1:4]], Structure())
    assert {step.model for step in found.steps[1:] if step.kept} == kept
    for name, value in physics.items():
        assert found.values[name] == pytest.approx(value, rel=0.1)


@pytest.mark.slow
def test_a_model_of_motors_is_selected_when_asked_for(twin):
    recordings = twin("furuta", DRY, count=3, seconds=1.5, noise=1e-3)
    options = Options(select=True, generations=1, threads=1, window=0.5, nuisance=False)
    found = identify(World.load("furuta"), recordings, options)
    assert {step.model for step in found.model_selection[1:] if step.kept} == {
        "+ latency",
        "+ Coulomb friction",
    }
    assert found.point["motor.latency"] == 4


def test_the_command_takes_the_older_word_as_well(capsys):
    with pytest.raises(SystemExit):
        main(["identify", "--help"])
    assert "--select, --ladder" in capsys.readouterr().out


def test_candidate_models_name_what_the_world_has():
    models = {model.name: model for model in candidate_models(World.load("furuta"))}
    assert "motor.latency" not in models["linear motor"].shared
    assert models["+ latency"].shared == ("motor.latency",)
    # the damping of the arm's hinge is the same column as the motor's back-EMF
    assert "+ torque-speed line" not in models
    hopper, arm = (candidate_models(World.load(name)) for name in ("hopper", "so101"))
    assert hopper[-1].shared == tuple(f"{joint}_motor.back_emf" for joint in ("hip", "knee", "ankle"))
    assert [model.name for model in arm[-2:]] == ["+ backlash", "+ torque-speed line"]


@pytest.mark.slow
def test_backlash_and_line_can_be_freed_by_name(tmp_path):
    """And the result is a domain that an env draws from."""
    world = World.load("so101")
    options = Options(fixed=SERVO, held_out=(), generations=2, threads=1, nuisance=False)
    for quantity, made, truth in (
        ("backlash", {"play": 0.05}, 0.05),
        ("speed_loss", {"jumps": True, "loss": 0.5}, 0.5),
    ):
        logs = [swung(seed, **made) for seed in range(2)]
        free = (f"shoulder_pan.{quantity}", "shoulder_pan.damping")
        found = identify(world, logs, dataclasses.replace(options, free=free))
        assert found.point[free[0]] == pytest.approx(truth, rel=0.2)
        found.save(tmp_path)
        domain = Domain.load(tmp_path / "identified.toml")
        env = Sim2RealVectorEnv(world.for_domain(domain), 2, domain=domain)
        observation, _ = env.reset(seed=0)
        assert np.isfinite(observation).all()
        env.close()
