"""Fresh variants by seed and grids: what is drawn, both ends, and what can't be."""

import contextlib

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.distributions import LogUniform, Normal, Uniform
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.episodes_file import read_episodes
from sim2real.evaluate.fresh import evaluation_domain, fresh_variants, grid_variants
from sim2real.evaluate.variants import chosen_variants
from sim2real.world import Variant, World

WORLD = World.load("cartpole")
RANGES = Domain(
    {
        "pole.mass": Uniform(0.2, 0.5),
        "motor.latency": Uniform(1, 9),
        "hinge.damping": LogUniform(1e-4, 1e-2),
        "motor.strength": Normal(1.0, 0.1, 0.0, 9.0),
    }
)


def test_the_evaluation_domain_spans_training_and_variants(write_world):
    domain = evaluation_domain(World.load(write_world()))
    assert domain == Domain({"pole.mass": Uniform(0.05, 0.4), "motor.latency": Uniform(0, 6)})


@pytest.mark.parametrize("name", ["cartpole", "furuta", "hopper", "push", "quadrotor", "quadruped", "so101"])
def test_no_variant_lies_outside_the_evaluation_domain(name):
    world = World.load(name)
    ends = {n: d.support() for n, d in evaluation_domain(world).parameters.items()}
    for variant in world.variants.values():
        for parameter, value in variant.physics.items():
            low, high = ends.get(parameter, (value, value))
            assert low <= value <= high
    world.check(evaluation_domain(world))


def test_a_seed_says_what_is_drawn_and_more_variants_change_no_other():
    few, many = fresh_variants(WORLD, RANGES, 3, 7), fresh_variants(WORLD, RANGES, 40, 7)
    assert many[:3] == few
    assert len({variant.name for variant in many}) == 40
    assert fresh_variants(WORLD, RANGES, 3, 8)[0].physics != few[0].physics
    latencies = {variant.physics["motor.latency"] for variant in many}
    assert latencies <= set(range(1, 10))
    assert len(latencies) > 5


def test_a_grid_has_both_ends_and_every_combination():
    found = grid_variants(WORLD, RANGES, {"pole.mass": 4, "motor.latency": 3})
    told = [(v.physics["pole.mass"], v.physics["motor.latency"]) for v in found]
    assert told == [(pytest.approx(m), k) for m in (0.2, 0.3, 0.4, 0.5) for k in (1.0, 5.0, 9.0)]
    assert (told[0][0], told[-1][0]) == (0.2, 0.5)
    assert found[0].name == "pole.mass=0.2,motor.latency=1"


def test_a_value_that_is_nominal_is_no_value_of_a_variant():
    found = grid_variants(WORLD, Domain({"motor.latency": Uniform(0, 2)}), {"motor.latency": 3})
    assert [variant.physics for variant in found] == [{}, {"motor.latency": 1.0}, {"motor.latency": 2.0}]
    assert found[0].name == "motor.latency=0"


def test_a_grid_is_even_in_the_domains_own_measure():
    values = [v.physics["hinge.damping"] for v in grid_variants(WORLD, RANGES, {"hinge.damping": 3})]
    assert values == pytest.approx([1e-4, 1e-3, 1e-2])
    (low, high) = (v.physics["motor.strength"] for v in grid_variants(WORLD, RANGES, {"motor.strength": 2}))
    assert (low, high) == pytest.approx((1 - 0.196, 1 + 0.196), abs=1e-3)
    whole = [v.physics["motor.latency"] for v in grid_variants(WORLD, RANGES, {"motor.latency": 30})]
    assert whole == list(range(1, 10))


def test_what_can_not_be_drawn(write_world):
    with pytest.raises(UnknownName, match="did you mean 'pole"):
        grid_variants(WORLD, RANGES, {"pole.mas": 3})
    with pytest.raises(InvalidValue, match="1 leave out an end"):
        grid_variants(WORLD, RANGES, {"pole.mass": 1})
    with pytest.raises(InvalidValue, match="one physics leaves nothing to draw"):
        fresh_variants(WORLD, Domain.point({"pole.mass": 1.0}), 3, 0)
    with pytest.raises(InvalidValue, match="two variants are called 'a'"):
        chosen_variants(World.load(write_world()), [Variant("a", "fresh", {}), Variant("a", "fresh", {})])
    physics = 'task = "cartpole"\n'
    with pytest.raises(InvalidValue, match="no parameter with a range to draw fresh physics from"):
        evaluation_domain(World.load(write_world(physics=physics, name="bare")))


def test_evaluate_runs_them_beside_the_control_arm(tmp_path, capsys):
    with contextlib.chdir(tmp_path):
        run = "evaluate furuta-randomized-0 --fresh 3 --seed 7 --grid motor.latency:2 --episodes 4 --out run"
        gate = ["--require", "success >= 0 on fresh", "--require", "return >= -9999 on grid"]
        main([*run.split(), *gate])
        table = read_episodes("run/episodes.parquet")
    names = ["nominal", "fresh_7_0", "fresh_7_1", "fresh_7_2", "motor.latency=0", "motor.latency=12"]
    assert list(dict.fromkeys(table["variant"].tolist())) == names
    assert "met: success >= 0 on fresh" in capsys.readouterr().out
    assert np.isfinite(table["return"]).all()
