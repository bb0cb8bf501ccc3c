"""The audit of worlds: the whole catalogue acts; planted dead parameters are found, and refused."""

import dataclasses
import json

import numpy as np
import pytest

from sim2real.audit import AuditSettings, audit_world, check_domain, check_variants, excitation
from sim2real.catalog import entries
from sim2real.cli import main
from sim2real.distributions import Normal, Point, Uniform
from sim2real.domain import Domain
from sim2real.env import task_class
from sim2real.errors import DeadParameter, InvalidValue
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.learn.settings import PPOSettings
from sim2real.learn.train import train
from sim2real.policy import Policy
from sim2real.report.audit import write_audit
from sim2real.simulators import Engine
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

POST = '<body name="post" pos="0 1 0"><geom name="stone" size=".1" friction=".1"/></body>'
PLANTED = """
[parameters."stone.height"]
unit = "m"
nominal = 0.0
range = [0.05, 0.2]
source = "made up"

[parameters."rod.friction"]
unit = "1"
nominal = 1.0
range = [0.5, 2.0]
source = "made up"

[parameters."hinge.stribeck"]
unit = "N·m"
nominal = 0.0
source = "made up"

[parameters."hinge.stribeck_velocity"]
unit = "rad/s"
nominal = 0.1
range = [0.05, 0.2]
source = "made up"

[variants.interpolation.high_post]
"stone.height" = 0.15
"""


@pytest.fixture
def planted(write_world, pendulum_files):
    """A pendulum with parameters that change nothing."""
    scene, physics = pendulum_files
    scene = scene.replace("</worldbody>", POST + "</worldbody>")
    return World.load(write_world(scene, physics + PLANTED, "cartpole"))  # so that its policies fit


@pytest.mark.parametrize("name", entries("envs"))
def test_every_parameter_and_variant_of_the_catalogue_acts(name):
    world = World.load(name)
    check_domain(world, world.training_domain)
    check_variants(world, [v for v in world.variants.values() if v.simulator == "mujoco"])


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ("stone.height", "changes nothing at 0.05 and 0.2"),
        ("rod.friction", "changes nothing at 0.5 and 2"),
        ("hinge.stribeck_velocity", "it only shapes hinge.stribeck, which stays neutral"),
    ],
)
def test_a_dead_parameter_is_named_with_its_reason(planted, parameter, reason):
    domain = Domain({parameter: planted.training_domain.parameters[parameter], "pole.mass": Point(0.2)})
    with pytest.raises(DeadParameter, match=f"{parameter} .*{reason}.*insist with --allow-dead"):
        check_domain(planted, domain)


def test_a_dead_variant_is_named(planted):
    with pytest.raises(DeadParameter, match=r"stone.height changes nothing at 0.15"):
        check_variants(planted, list(planted.variants.values()))


def test_what_stays_nominal_is_no_move(planted):
    check_domain(planted, Domain({"stone.height": Point(0.0)}))
    check_domain(planted, Domain({}))


def test_a_normal_is_moved_to_where_it_draws(planted):
    domain = Domain({"pole.mass": Normal(0.1, 0.02, 1e-6, 1e300)})
    check_domain(planted, domain)


@pytest.mark.parametrize("learner", ["stable_baselines3", "rsl_rl"])
def test_training_refuses_before_it_starts(planted, tmp_path, learner):
    domain = Domain({"stone.height": Uniform(0.05, 0.2)})
    settings = PPOSettings(total_steps=64, num_envs=2, rollout_steps=16, batch_size=16, learner=learner)
    with pytest.raises(DeadParameter, match=r"stone.height"):
        train(planted, tmp_path / "policy", domain, settings=settings)
    assert not (tmp_path / "policy").exists()
    insists = dataclasses.replace(settings, allow_dead=True)
    assert train(planted, tmp_path / "policy", domain, settings=insists).contract.label == "randomized"


def test_evaluation_refuses_before_it_starts(planted):
    policy = Policy.load("cartpole-nominal-0")
    with pytest.raises(DeadParameter, match=r"stone.height"):
        run_policies(planted, [policy], ["high_post"], Trials(2))
    table = run_policies(planted, [policy], ["high_post"], Trials(2, allow_dead=True))
    assert len(table["return"]) == 4
    returns = np.reshape(table["return"], (2, 2))
    assert np.array_equal(returns[0], returns[1]), "dead indeed"


def test_what_only_one_engine_ignores_is_said_so(planted, monkeypatch):
    class Deaf(MujocoSimulator):
        """An engine that takes a parameter and does nothing with it."""

        def set_physics(self, env_ids, names, values):
            keep = [k for k, name in enumerate(names) if name != "pole.mass"]
            super().set_physics(env_ids, tuple(names[k] for k in keep), values[:, keep])

    made = excitation.make_simulator

    def make(engine, world, num_envs):
        return Deaf(world, num_envs) if engine.name == "bullet" else made(engine, world, num_envs)

    for module in ("excitation", "measure"):
        monkeypatch.setattr(f"sim2real.audit.{module}.make_simulator", make)
    domain = Domain({"pole.mass": Uniform(0.05, 0.2)})
    check_domain(planted, domain)
    with pytest.raises(
        DeadParameter, match=r"under bullet: pole.mass .*dead under bullet only: under mujoco it moves"
    ):
        check_domain(planted, domain, "bullet")


def test_what_an_engine_cannot_take_is_told_apart(planted, monkeypatch):
    class Picky(MujocoSimulator):
        """An engine that refuses a parameter."""

        def set_physics(self, env_ids, names, values):
            if "pole.mass" in names:
                raise InvalidValue("pole.mass can't be set here")
            super().set_physics(env_ids, names, values)

    monkeypatch.setattr("sim2real.audit.measure.make_simulator", lambda _, world, n: Picky(world, n))
    audit = audit_world(planted, AuditSettings(policies=()))
    assert audit["pole.mass"].verdict == "refused"
    assert audit["pole.mass"].sentence == "pole.mass is refused: pole.mass can't be set here"
    assert audit["motor.latency"].verdict == "alive"


def test_a_dead_parameter_changes_no_bit_of_a_policys_return(planted):
    """Nor may the place of a row in the policy's batch."""
    audit = audit_world(planted, AuditSettings(episodes=3, policies=[Policy.load("cartpole-nominal-0")]))
    dead = {"stone.height", "rod.friction", "hinge.stribeck_velocity"}
    assert {finding.name for finding in audit.faults} == dead
    assert all(audit[name].returns == 0.0 for name in dead)
    assert audit["pole.mass"].returns != 0.0


@pytest.mark.slow
def test_the_audit_of_a_world_ranks_and_is_written(tmp_path):
    world = World.load("cartpole")
    policy = Policy.load("cartpole-nominal-0")
    audit = audit_world(world, AuditSettings(episodes=2, policies=[policy]))
    assert not audit.faults
    distances = [finding.trajectory for finding in audit.findings]
    assert distances == sorted(distances, reverse=True)
    moved = {name for variant in world.variants.values() for name in variant.physics}
    assert {finding.name for finding in audit.findings} == {*world.training_domain.names, *moved}
    assert audit["motor.latency"].returns < -10, "eight steps late costs this policy a lot"
    picture = write_audit(audit, tmp_path / "audit")
    assert picture.stat().st_size > 10_000
    written = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert written["parameters"][0]["name"] == audit.findings[0].name
    assert written["nominal_return"] == dict(audit.nominal_return)


def test_a_row_of_the_batch_equals_a_batch_of_its_own():
    """The distance of one parameter does not depend on what else is moved in the same batch."""
    world = World.load("cartpole")
    audit = audit_world(world, AuditSettings(policies=()))
    alone = excitation.excite(world, [{}, {"pole.mass": 0.3}], Domain({}), Engine(), excitation.FULL)
    assert audit["pole.mass"].ends[-1].trajectory == alone.distance(1, 0)


def test_a_brief_motion_ends_once_all_that_should_differ_does():
    world, rows = World.load("cartpole"), [{}, {}, {"pole.mass": 0.3}, {"pole.mass": 0.05}]

    def steps(*pairs, length=excitation.CHEAP):
        return len(excitation.excite(world, rows, Domain({}), Engine(), length, pairs).values)

    assert steps((2, 1), (3, 1)) < 5
    assert steps((2, 1), (1, 0)) == excitation.CHEAP.steps(task_class(world).spec.control_dt)
    assert steps((2, 1), length=excitation.FULL) > 20


@pytest.mark.slow
def test_the_command_prints_and_fails_for_a_dead_parameter(planted, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["audit", str(planted.path), "--policy", "--out", str(out)]) == 2
    printed = capsys.readouterr()
    assert "stone.height changes nothing at 0.05 and 0.2" in printed.out.replace("\n", " ")
    assert "stone.height changes nothing" in printed.err
    assert (out / "audit.png").is_file()
    assert main(["audit", "cartpole", "--policy", "--out", str(out)]) == 0


GRIPPER = """<mujoco><compiler angle="radian"/><worldbody><body name="link"><joint name="turn" axis="0 1 0"/>
    <geom size=".02" pos=".1 0 0"/><body name="jaw" pos=".2 0 0"><joint name="close" type="slide"/>
    <geom size=".02"/></body></body></worldbody><actuator>
    <position name="turn" joint="turn" kp="20" kv="1" ctrlrange="-1 1"/>
    <general name="grip" joint="close" ctrlrange="0 255" gainprm=".2" biasprm="0 -50 -5" biastype="affine"/>
    <motor name="cut off" joint="turn" ctrlrange="0 1" gear="0"/></actuator></mujoco>"""


def test_a_scene_alone_is_audited_by_what_its_elements_have(tmp_path, capsys):
    (tmp_path / "scene.xml").write_text(GRIPPER)
    (tmp_path / "physics.toml").write_text("")
    audit = audit_world(World.load(tmp_path))
    units = {finding.name: finding.unit for finding in audit.findings}
    joints = {f"{joint}.{q}" for joint in ("turn", "close") for q in ("damping", "frictionloss", "armature")}
    assert set(units) == joints | {"link.mass", "jaw.mass", "turn.kp", "grip.kp", "cut off.strength"}
    asked = ("close.frictionloss", "turn.frictionloss", "grip.kp", "close.armature")
    assert [units[name] for name in asked] == ["N", "N·m", "N/m", "kg"]
    assert [finding.name for finding in audit.faults] == ["cut off.strength"]
    assert main(["audit", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert "cut off.strength changes nothing" in capsys.readouterr().out.replace("\n", " ")
    assert main(["worlds", str(tmp_path)]) == 0
    assert "close.armature" in capsys.readouterr().out
