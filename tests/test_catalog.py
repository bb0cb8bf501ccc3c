"""The same questions to every world of the catalogue."""

import re

import mujoco
import numpy as np
import pytest

from sim2real.catalog import catalog, entries, find
from sim2real.contents import differences
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv, engine_for
from sim2real.errors import UnknownName
from sim2real.evaluate.batches import VariantBatch
from sim2real.evaluate.rollouts import steps_of
from sim2real.parameters import MODEL
from sim2real.policy import Policy
from sim2real.tasks import TASKS
from sim2real.world import CONTROL, GROUPS, Variant, World

WORLDS = entries("envs")


@pytest.fixture(scope="module", params=WORLDS)
def world(request):
    return World.load(request.param)


def test_the_catalogue_is_not_empty():
    assert set(WORLDS) == {"cartpole", "furuta", "hopper", "push", "quadrotor", "quadruped", "so101"}


def test_everything_has_a_name(world):
    model = world.model
    for kind in ("body", "joint", "geom", "actuator", "site"):
        count = getattr(model, {"body": "nbody", "joint": "njnt", "actuator": "nu"}.get(kind, f"n{kind}"))
        names = [getattr(model, kind)(k).name for k in range(count)]
        assert all(names), f"{kind} without a name in {world.name}"
        assert len(set(names)) == count


def test_friction_cones_are_elliptic_and_angles_are_radians(world):
    assert world.model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
    text = (world.path / "scene.xml").read_text()
    assert 'angle="radian"' in text
    hinges = world.model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
    assert np.abs(world.model.jnt_range[hinges]).max(initial=0) <= 2 * np.pi


def test_is_documented(world):
    card = (world.path / "README.md").read_text()
    assert card.startswith("# ")
    assert len(card) > 500
    assert world.title
    assert world.task in TASKS


def test_parameters_say_unit_and_source(world):
    assert len(world.parameters) >= 8
    for parameter in world.parameters.values():
        assert parameter.unit in (parameter.quantity.units or parameter.unit)
        assert len(parameter.source) > 10, parameter.name
        assert parameter.low <= parameter.nominal <= parameter.high, parameter.name
        assert parameter.quantity.low <= parameter.low
        assert parameter.high <= parameter.quantity.high


def test_variants_are_in_groups_and_keep_to_them(world):
    groups = {variant.group for variant in world.variants.values()}
    assert groups == {"control", *GROUPS}
    assert {"combined_a", "combined_b"} <= set(world.variants)
    assert world.variants[CONTROL].physics == {}
    for variant in world.variants.values():
        outside = [
            name
            for name, value in variant.physics.items()
            if not world.parameters[name].low <= value <= world.parameters[name].high
        ]
        assert (variant.simulator == "mujoco") == (variant.group != "simulator")
        assert variant.physics or variant.group in ("control", "simulator")
        differs = [name for name, value in variant.physics.items() if value != world.nominal[name]]
        assert len(differs) == len(variant.physics), f"{variant.name} repeats a nominal value"
        if variant.group == "interpolation":
            assert not outside, variant.name
        if variant.group == "extrapolation":
            assert outside, variant.name
        if variant.group == "combined":
            assert len(variant.physics) >= 3, variant.name
        if variant.group == "structural":
            assert set(variant.physics) - set(world.training_domain.names), variant.name


def test_what_training_leaves_alone_is_in_a_variant(world):
    held_out = {name for variant in world.variants.values() for name in variant.physics}
    shapes = {
        p.name for p in world.parameters.values() if p.quantity.acts != MODEL and p.quantity.neutral is None
    }
    assert set(world.parameters) - set(world.training_domain.names) - shapes <= held_out


def test_variants_and_training_fit_the_simulator(world):
    domain = world.check(world.training_domain)
    assert domain.names == tuple(p.name for p in world.parameters.values() if p.low < p.high)
    assert len(domain.names) >= 8
    assert not domain.is_point
    assert Domain.from_toml(domain.to_toml()) == domain
    for variant in world.variants.values():
        assert world.check(variant.domain) == variant.domain


def excited(world, variants, starts=4):
    """What fixed random motions do in each variant; also what the policy sees of it.

    One motion is not enough: a finger that happens to miss the block says nothing of the block.
    Shape (steps, variants, starts · n). Variants of an engine share a batch; episodes go on after a fall.
    """
    width = world.model.nq + world.model.nv + len(TASKS[world.task].spec.observation)
    path = np.empty((60, len(variants), starts * width))
    engines = [engine_for("mujoco", variant.domain) for variant in variants]
    for engine in dict.fromkeys(engines):
        rows = [k for k, other in enumerate(engines) if other == engine]
        env = VariantBatch(world, [variants[k] for k in rows], starts, engine).env
        env.number_episodes(np.tile(np.arange(starts), len(rows)), seed=1)
        env.reset()
        rng = np.random.default_rng(2)
        for step in range(60):
            if step % 5 == 0:
                action = rng.uniform(-1, 1, (starts, *env.single_action_space.shape))
            observation, *_ = env.step(np.tile(action, (len(rows), 1)))
            env._resting[:] = False
            seen = np.concatenate((env.simulator.qpos, env.simulator.qvel, observation), axis=1)
            path[step, rows] = seen.reshape(len(rows), -1)
        assert env.events == []
    return path


def test_every_parameter_has_an_effect_at_both_ends_of_its_range(world):
    ends = [
        (p.name, end)
        for p in world.parameters.values()
        for end in (p.low, p.high)
        if abs(end - p.nominal) > 0.01 * (p.high - p.low)  # some ranges begin at their nominal value
    ]
    assert {name for name, _ in ends} == set(world.training_domain.names)
    variants = [Variant(CONTROL, "control", {}), *(Variant(name, "", {name: end}) for name, end in ends)]
    path = excited(world, variants)
    moved = np.abs(path[:, 1:] - path[:, :1]).max(axis=(0, 2))
    assert [end for end, effect in zip(ends, moved, strict=True) if effect < 1e-4] == []


@pytest.mark.slow
def test_every_variant_has_an_effect_and_every_value_in_it(world):
    """A value alone, where the variant needs no other to act; the shapes of an effect do."""
    held_out = [v for v in world.variants.values() if v.name != CONTROL and v.simulator == "mujoco"]
    path = excited(world, [world.variants[CONTROL], *held_out])
    moved = np.abs(path[:, 1:] - path[:, :1]).max(axis=(0, 2))
    assert [v.name for v, effect in zip(held_out, moved, strict=True) if effect < 1e-3] == []
    structural = {(name, x) for v in held_out if v.group == "structural" for name, x in v.physics.items()}
    alone = [Variant(name, "structural", {name: x}) for name, x in sorted(structural)]
    path = excited(world, [world.variants[CONTROL], *alone])
    moved = np.abs(path[:, 1:] - path[:, :1]).max(axis=(0, 2))
    assert [v.name for v, effect in zip(alone, moved, strict=True) if effect < 1e-5] == []


@pytest.mark.parametrize("domain", ["nominal", "training"])
def test_random_actions_stay_finite(world, domain):
    env = Sim2RealVectorEnv(world, 16, domain)
    observation, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(150):
        assert np.isfinite(observation).all()
        assert np.abs(observation).max() < 50, "an observation is far from the scale of the others"
        observation, reward, *_ = env.step(rng.uniform(-1, 1, env.action_space.shape))
        assert np.isfinite(reward).all()
        assert np.abs(reward).max() <= 3
    assert env.events == []


def test_variants_do_not_diverge(world):
    variants = [variant for variant in world.variants.values() if variant.simulator == "mujoco"]
    for engine in {engine_for("mujoco", variant.domain) for variant in variants}:
        group = [variant for variant in variants if engine_for("mujoco", variant.domain) == engine]
        env = VariantBatch(world, group, 4, engine).env
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        for _ in range(100):
            env.step(rng.uniform(-1, 1, env.action_space.shape))
        assert env.events == []


def test_task_speaks_of_this_world(world):
    env = Sim2RealVectorEnv(world, 2)
    spec = env.task
    assert len({signal.name for signal in spec.observation}) == len(spec.observation)
    assert all(signal.unit and signal.scale > 0 for signal in (*spec.observation, *spec.action))
    assert len(spec.action) == world.model.nu
    assert spec.success
    limits = world.model.actuator_ctrlrange
    full = env._task.command(np.ones((2, world.model.nu)))
    assert (full <= limits[:, 1] + 1e-12).all(), "a full action asks for more than the motor takes"


@pytest.mark.parametrize("name", entries("policies"))
def test_policies_were_made_in_the_world_as_it_is(name):
    """What a policy carries of its world tells no difference; some of so101 are older than today's scene."""
    contract = Policy.load(name).contract
    assert differences(contract.contents, World.load(contract.world).contents) == []
    assert contract.contents or contract.world == "so101"


def test_names_and_paths(tmp_path, write_world):
    assert find("envs", "furuta") == catalog("envs") / "furuta"
    folder = write_world()
    assert find("envs", folder) == folder
    assert find("envs", str(folder)) == folder
    with pytest.raises(
        UnknownName, match=r"unknown world \(.*\) 'furutta': did you mean 'furuta'\? known: .*hopper"
    ):
        find("envs", "furutta")
    with pytest.raises(UnknownName, match=r"unknown policy \(a name, or the path of a folder\) 'nobody-0'"):
        find("policies", "nobody-0")
    with pytest.raises(UnknownName):
        find("envs", tmp_path / "missing")


def test_arms_had_equally_many_steps_and_say_so(world):
    arms = {label: Policy.shipped(world.name, label) for label in ("nominal", "continued", "randomized")}
    totals = {
        label: {p.seed: sum(step.steps for step in p.contract.provenance) for p in arm}
        for label, arm in arms.items()
    }
    assert totals["continued"] == totals["randomized"]
    assert all(totals["nominal"][seed] < total for seed, total in totals["continued"].items())
    everyone = [policy for arm in arms.values() for policy in arm]
    page = (catalog("policies") / f"{world.name}.md").read_text("utf-8")
    assert steps_of(everyone) in page or "references are of the older kind" in page
    for policy in everyone:
        card = (catalog("policies") / policy.name / "README.md").read_text("utf-8")
        assert f"{totals[policy.label][policy.seed]:,} control steps" in card


def test_shipped_policies_tell_of_no_place_on_the_machine_that_made_them():
    contracts = sorted(catalog("policies").glob("*/policy.toml"))
    assert contracts
    for path in contracts:
        assert not re.search(r'"(/|[A-Za-z]:\\|~)', path.read_text(encoding="utf-8")), path
