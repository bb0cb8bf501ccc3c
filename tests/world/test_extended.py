"""A domain that names what the world's files don't is taken as it is by everything that takes a domain."""

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from sim2real.cli import main
from sim2real.distributions import Point, Uniform
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.learn.settings import PPOSettings
from sim2real.learn.train import train
from sim2real.policy import Policy
from sim2real.single_env import Sim2RealEnv
from sim2real.world import World, nominal_value

# a quantity that the files lack, one joint of a group, and what needs room in the compiled model
FOUND = Domain(
    {
        "hinge.frictionloss": Uniform(0.01, 0.02),
        "pole.com_x": Point(0.03),
        "motor.bias_torque": Uniform(0.2, 0.3),
        "motor.latency": Point(3.0),
    }
)


@pytest.fixture
def bare(write_world, pendulum_files):
    """A cart with a pole and no parameter at all."""
    scene, _ = pendulum_files
    return World.load(write_world(scene, 'title = "bare"\ntask = "cartpole"\n', "cartpole"))


def check(env):
    model = env.simulator.snapshot(0)[0]
    assert 0.01 <= model.joint("hinge").frictionloss[0] <= 0.02
    assert model.body("pole").ipos[0] == 0.03
    assert 0.2 <= model.actuator("motor").biasprm[0] <= 0.3
    assert model.actuator_delay[0] == pytest.approx(2.5 * model.opt.timestep)


def test_envs_take_it(bare, tmp_path):
    FOUND.save(tmp_path / "found.toml")
    for given in (FOUND, FOUND.to_toml(), str(tmp_path / "found.toml")):
        env = Sim2RealVectorEnv(bare, 2, domain=given)
        env.reset(seed=0)
        check(env)
    single = Sim2RealEnv(bare, domain=FOUND)
    single.reset(seed=0)
    check(single.vector)
    made = gym.make("sim2real/CartPole-v0", domain=Domain({"hinge.stiffness": Point(0.5)}))
    made.reset(seed=0)
    assert made.unwrapped.physics()["hinge.stiffness"] == 0.5


def test_an_env_can_be_given_it_again_but_nothing_that_it_was_made_without(bare):
    env = Sim2RealVectorEnv(bare, 2, domain=FOUND)
    env.set_domain(Domain({"hinge.frictionloss": Point(0.05)}))
    env.reset(seed=0)
    assert env.simulator.snapshot(1)[0].joint("hinge").frictionloss[0] == 0.05
    with pytest.raises(UnknownName, match=r"slider.frictionloss"):
        env.set_domain(Domain({"slider.frictionloss": Point(0.05)}))


def test_training_takes_it(bare, tmp_path):
    settings = PPOSettings(total_steps=64, num_envs=2, rollout_steps=16, batch_size=16)
    policy = train(bare, tmp_path / "policy", FOUND, settings=settings)
    assert policy.contract.label == "randomized"


def test_evaluation_takes_it(bare, tmp_path):
    policy = Policy.load("cartpole-nominal-0")
    FOUND.save(tmp_path / "found.toml")
    given = [str(tmp_path / "found.toml"), Domain({"hinge.damping": Point(2.0)})]
    table = run_policies(bare, [policy], given, Trials(4))
    assert list(dict.fromkeys(table["variant"])) == ["nominal", "found", "domain_1"]
    returns = {name: np.mean(table["return"][table["variant"] == name]) for name in ("nominal", "domain_1")}
    assert returns["nominal"] != returns["domain_1"]


def test_the_command_line_takes_it(bare, tmp_path, capsys):
    FOUND.save(tmp_path / "found.toml")
    out = ["--out", str(tmp_path / "out")]
    variants = ["--variants", str(tmp_path / "found.toml"), "--episodes", "2"]
    assert main(["evaluate", "cartpole-nominal-0", "--world", str(bare.path), *variants, *out]) == 0
    assert "found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        (
            "pole_hinge.damping",
            UnknownName,
            r"parameter of cartpole 'pole_hinge.damping': did you mean 'hinge.d",
        ),
        ("motor.kp", InvalidValue, r"motor.kp: actuator 'motor' can't have it, because it is a motor"),
        ("cart_velocity.noise", UnknownName, r"parameter of cartpole 'cart_velocity.noise'"),
        ("pole.gravity", UnknownName, r"parameter pole.gravity, of the whole world: 'pole': .*world"),
        ("wrold.slope_x", UnknownName, r"of the whole world: 'wrold': did you mean 'world'"),
    ],
)
def test_what_the_world_cannot_have_is_refused_by_name(bare, name, error, says):
    with pytest.raises(error, match=says):
        Sim2RealVectorEnv(bare, 1, domain=Domain({name: Point(0.5)}))


def test_a_group_loses_what_is_split_from_it(bench):
    world = bench.for_domain(Domain({"dc.latency": Point(2)}))
    assert world.parameters["motors.latency"].elements == ("push", "servo")
    assert world.parameters["dc.latency"].elements == ("dc",)
    assert bench.parameters["motors.latency"].elements == ("push", "dc", "servo")
    assert world.model is bench.model, "there was room"


def test_nominal_values_are_those_of_the_model(bare):
    world = bare.for_domain(FOUND)
    for name in ("pole.com_x", "hinge.frictionloss"):
        element, _, quantity = name.partition(".")
        assert world.nominal[name] == nominal_value(world.model, quantity, element)
    assert bare.for_domain(Domain({})) is bare


def test_a_vertex_of_a_flex_takes_no_damping_of_a_joint(write_world):
    """The compiler refuses it in a scene, so a compiled model can't be given it either."""
    shape, edge = (
        'type="grid" count="3 3 1" spacing=".1 .1 .1" radius=".01" dim="2"',
        '<edge equality="true"/>',
    )
    cloth = f'<flexcomp name="cloth" mass=".2" {shape}>{edge}</flexcomp>'
    scene = f"<mujoco><worldbody>{cloth}</worldbody></mujoco>"
    world = World.load(write_world(scene, "", "cloth"))
    spec = mujoco.MjSpec.from_string(scene)
    spec.joints[4].damping[0] = 1.0
    with pytest.raises(ValueError, match="cannot have joint damping"):
        spec.compile()
    with pytest.raises(InvalidValue, match="it moves a vertex of a flex, which MuJoCo damps by its edges"):
        world.for_domain(Domain.point({"joint 4.damping": 1.0}))
    world.for_domain(Domain.point({"joint 4.frictionloss": 1.0}))
