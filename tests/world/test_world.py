"""A world loads or says in one sentence what in its folder contradicts what."""

import re

import numpy as np
import pytest

from sim2real.domain import Domain, Point, Uniform
from sim2real.errors import InvalidValue, UnknownName
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import CONTROL, World, nominal_value


def test_loads_from_a_folder(write_world):
    world = World.load(write_world())
    assert (world.name, world.title, world.task) == ("pendulum", "A pendulum on a cart", "cartpole")
    assert world.nominal == {"pole.mass": 0.1, "motor.latency": 0.0}
    assert world.parameters["pole.mass"].elements == ("pole",)
    assert world.training_domain.parameters == {
        "pole.mass": Uniform(0.05, 0.2),
        "motor.latency": Uniform(0, 4),
    }
    assert list(world.variants) == [CONTROL, "heavy", "heavy_late"]
    assert world.variant(CONTROL).physics == {}
    assert world.variant("heavy_late").domain == Domain.point({"pole.mass": 0.3, "motor.latency": 6})
    assert world.recordings == {}
    assert world.training == {}


def test_command_buffer_holds_the_longest_latency_of_all_variants(write_world):
    model = World.load(write_world()).model
    assert model.actuator_history[0, 0] >= 6


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "nominal = 0.1",
            "nominal = 0.3",
            "physics.toml says pole.mass = 0.3, but 'pole' in scene.xml compiles to",
        ),
        ("nominal = 0.1", "nominal = nan", "pole.mass = nan is not a finite number"),
        ("nominal = 0.1", "", "parameter pole.mass lacks nominal"),
        (
            'source = "made up"\n\n[parameters."motor',
            '[parameters."motor',
            "parameter pole.mass lacks source",
        ),
        ("[0.05, 0.2]", "[0.2, 0.05]", "pole.mass has the range [0.2, 0.05] reversed"),
        ("[0.05, 0.2]", "[-0.05, 0.2]", "pole.mass = -0.05 kg is impossible"),
        ("[0.05, 0.2]", "0.2", "pole.mass: 0.2 is not a list of numbers"),
        ("range = [0, 4]", "range = [0, 4.5]", "motor.latency = 4.5 must be a whole number of physics steps"),
        ('unit = "kg"', 'unit = "g"', "pole.mass is given in 'g'; possible: 'kg'"),
        ('unit = "kg"', 'units = "kg"', "unknown key in pole.mass: 'units': did you mean 'unit'"),
        ('unit = "kg"', 'unit = "kg"\nscale = "lin"', "unknown scale of pole.mass 'lin'"),
        (
            'unit = "kg"',
            'unit = "kg"\nelements = "pole"',
            "elements of pole.mass are 'pole' where a list of names",
        ),
        ('unit = "kg"', 'unit = "kg"\nelements = ["pol"]', "did you mean 'pole'"),
        ("[0, 4]", '[0, 4]\nscale = "log"', "motor.latency is log-uniform from 0; the lower end must be > 0"),
        (
            '[parameters."pole.mass"]',
            '[parameters."world.gravity"]\nunit = "m/s²"\nnominal = 9.81\nsource = "?"\nelements = ["pole"]\n'
            '[parameters."pole.mass"]',
            "parameter world.gravity, of the whole world: 'pole'",
        ),
        ("pole.mass", "pol.mass", "unknown body for parameter pol.mass: 'pol'"),
        ('[parameters."pole.mass"]', '[parameters."pole.mas"]', "did you mean 'mass'"),
        ('[parameters."pole.mass"]', '[parameter."pole.mass"]', "did you mean 'parameters'"),
        (
            "variants.extrapolation",
            "variants.extrpolation",
            "unknown group of variants in pendulum 'extrpolation'",
        ),
        ('"pole.mass" = 0.4', '"pole.mas" = 0.4', "in variant heavy: 'pole.mas': did you mean 'pole.mass'"),
        ('"pole.mass" = 0.4', '"pole.mass" = -0.4', "pole.mass = -0.4 kg is impossible"),
        (
            "[variants.combined.heavy_late]",
            "[variants.combined.heavy]",
            "variant 'heavy' of pendulum is there twice",
        ),
        ("extrapolation.heavy]", "extrapolation.nominal]", "variant 'nominal' of pendulum is there twice"),
        ('title = "A', "title = A", "physics.toml is not a TOML file"),
    ],
)
def test_refuses_physics(write_world, pendulum_files, old, new, said):
    scene, physics = pendulum_files
    assert old in physics
    folder = write_world(scene, physics.replace(old, new))
    with pytest.raises((InvalidValue, UnknownName), match=re.escape(said)):
        World.load(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</mujoco>", "", "scene.xml does not compile: "),
        ('joint="slider"', 'joint="slide"', "scene.xml does not compile: "),
        ('body name="pole"', 'body name="rod"', "unknown body for parameter pole.mass: 'pole'"),
    ],
)
def test_refuses_scenes(write_world, pendulum_files, old, new, said):
    scene, physics = pendulum_files
    with pytest.raises((InvalidValue, UnknownName), match=re.escape(said)):
        World.load(write_world(scene.replace(old, new), physics))


def test_refuses_half_a_world(write_world):
    folder = write_world()
    (folder / "scene.xml").unlink()
    with pytest.raises(InvalidValue, match=r"pendulum is no world: it has no scene\.xml"):
        World.load(folder)
    (folder / "physics.toml").unlink()
    with pytest.raises(InvalidValue, match=r"pendulum is no world: it has no physics\.toml"):
        World.load(folder)
    with pytest.raises(
        UnknownName, match=r"unknown world \(a name, or the path of a folder\) 'furtua'.*'furuta'"
    ):
        World.load("furtua")


FRICTION = """
[parameters."box.friction"]
unit = "1"
nominal = 0.9
range = [0.3, 1.2]
source = "made up"

[variants.extrapolation.ice]
"box.friction" = 0.1
"""


@pytest.mark.parametrize(
    ("floor", "box", "said"),
    [
        ('friction="0.5"', "", "box.friction has no effect below 0.5 against geom 'floor'"),
        ('friction="0.5" priority="1"', "", "box.friction has no effect below 0.5 against geom 'floor'"),
        ('friction="0.2"', "", "box.friction has no effect below 0.2 against geom 'floor'"),
        ('friction="0.5"', 'priority="1"', ""),
        ('friction="0.1"', "", ""),
    ],
    ids=["grippier", "in charge", "grippier than a variant", "box in charge", "slippery"],
)
def test_refuses_friction_without_effect(write_world, floor, box, said):
    scene = f"""
    <mujoco><worldbody>
      <geom name="floor" type="plane" size="1 1 1" {floor}/>
      <body name="sled"><freejoint/><geom name="box" size="0.1" mass="1" friction="0.9" {box}/></body>
    </worldbody></mujoco>"""
    folder = write_world(scene, FRICTION)
    if not said:
        assert World.load(folder).parameters["box.friction"].nominal == 0.9
        return
    with pytest.raises(InvalidValue, match=re.escape(said)):
        World.load(folder)


def test_domains(write_world, tmp_path):
    world = World.load(write_world())
    mine = Domain({"pole.mass": Uniform(0.1, 0.3)})
    mine.save(tmp_path / "mine.toml")
    assert world.domain(None) == world.domain("nominal") == Domain({})
    assert world.domain("training") == world.training_domain
    assert world.domain(mine) == mine
    assert world.domain(mine.to_toml()) == mine
    assert world.domain(str(tmp_path / "mine.toml")) == mine


@pytest.mark.parametrize("form", ["domain", "table", "file"])
def test_domain_with_a_parameter_that_the_world_lacks(write_world, tmp_path, form):
    world = World.load(write_world())
    domain = Domain({"poll.mass": Point(0.1)})
    domain.save(tmp_path / "domain.toml")
    given = {"domain": domain, "table": domain.to_toml(), "file": str(tmp_path / "domain.toml")}[form]
    with pytest.raises(UnknownName, match=r"parameter of pendulum 'poll\.mass': did you mean 'pole\.mass'"):
        world.domain(given)


def test_domain_that_does_not_exist(write_world):
    world = World.load(write_world())
    with pytest.raises(
        InvalidValue, match=r"no domain 'trainign': give 'nominal', 'training' or the path of a"
    ):
        world.domain("trainign")
    with pytest.raises(InvalidValue, match="held-out variants are for evaluation"):
        world.domain("heavy")
    with pytest.raises(UnknownName, match="unknown variant of pendulum 'hevy': did you mean 'heavy'"):
        world.variant("hevy")


def test_latency_beyond_the_buffer(write_world):
    world = World.load(write_world())
    with pytest.raises(
        InvalidValue, match=r"motor\.latency of 9 physics steps does not fit the buffer of 6; raise"
    ):
        world.domain(Domain({"motor.latency": Uniform(0, 9)}))


def test_nominal_latency_may_be_written_either_way(write_world, pendulum_files):
    scene, physics = pendulum_files
    physics = physics.replace("nominal = 0\nrange = [0, 4]", "nominal = 3\nrange = [0, 4]")
    for delay in (0.015, 0.0125):
        text = scene.replace('ctrlrange="-10 10"', f'ctrlrange="-10 10" nsample="4" delay="{delay}"')
        world = World.load(write_world(text, physics))
        assert nominal_value(world.model, "latency", "motor") == 3


def test_gravity_comes_from_above_where_there_is_none(write_world, pendulum_files):
    scene, physics = pendulum_files
    scene = scene.replace("<option", '<option gravity="0 0 0"')
    physics += (
        '[parameters."world.gravity"]\nunit = "m/s²"\nnominal = 0.0\nrange = [0.0, 9.81]\nsource = "space"\n'
    )
    simulator = MujocoSimulator(World.load(write_world(scene, physics)), 1)
    simulator.set_physics(np.array([0]), ("world.gravity",), np.array([[3.7]]))
    assert simulator.snapshot(0)[0].opt.gravity.tolist() == [0.0, 0.0, -3.7]


def test_a_slope_without_gravity_has_no_effect(write_world, pendulum_files):
    scene, physics = pendulum_files
    scene = scene.replace("<option", '<option gravity="0 0 0"')
    physics += (
        '[parameters."world.slope_x"]\nunit = "rad"\nnominal = 0.0\nrange = [0.0, 0.1]\nsource = "no"\n'
    )
    with pytest.raises(InvalidValue, match=r"world.slope_x has no effect without gravity"):
        World.load(write_world(scene, physics))


def test_values_of_a_compiled_model(write_world):
    model = World.load(write_world()).model
    assert nominal_value(model, "mass", "cart") == 1.0
    assert nominal_value(model, "com_z", "pole") == pytest.approx(0.5)
    assert nominal_value(model, "damping", "slider") == 0.1
    assert nominal_value(model, "strength", "motor") == 1.0
    assert nominal_value(model, "gravity", "world") == pytest.approx(9.81)
    assert isinstance(nominal_value(model, "mass", "pole"), float)
    assert not np.isnan(nominal_value(model, "friction", "rod"))
