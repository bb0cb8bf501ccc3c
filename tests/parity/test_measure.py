"""Parity of engines: of one with itself, with planted differences, and of Bullet with MuJoCo."""

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from sim2real.errors import InvalidValue
from sim2real.parameters import MODEL
from sim2real.parity.measure import measure
from sim2real.report.parity import tables, write
from sim2real.simulators import Engine, make_simulator
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World


def in_process(world, num_envs):
    return make_simulator(Engine("bullet", 1), world, num_envs)


@pytest.fixture(scope="module")
def furuta():
    return World.load("furuta")


@pytest.fixture(scope="module")
def hopper():
    return measure(World.load("hopper"), "bullet", 0.3, in_process)


def test_an_engine_is_on_par_with_itself(furuta):
    parity = measure(furuta, "mujoco", 0.2)
    assert (parity.open_loop, parity.inertia, parity.energy, parity.parted()) == (0.0, 0.0, 0.0, np.inf)
    acting = {name for name, p in furuta.parameters.items() if p.quantity.acts == MODEL}
    assert {effect.parameter for effect in parity.effects} == {n for n in acting if "backlash" not in n}
    assert sum(effect.reference > 0 for effect in parity.effects) > 8
    for effect in parity.effects:
        assert effect.size == effect.reference
        assert effect.agreement == pytest.approx(float(effect.size > 0))


def test_what_only_a_variant_has_is_moved_to_that():
    push = World.load("push")
    assert push.parameters["world.slope_y"].low == push.parameters["world.slope_y"].high == 0.0
    slope = next(e for e in measure(push, "mujoco", 0.02).effects if e.parameter == "world.slope_y")
    values = [v.physics["world.slope_y"] for v in push.variants.values() if "world.slope_y" in v.physics]
    assert abs(slope.value) == max(map(abs, values))
    assert slope.reference > 0


def test_planted_differences_show(furuta):
    class Wrong(MujocoSimulator):
        """Heavier, deaf to one parameter, and with the sign of another turned."""

        def __init__(self, world, num_envs):
            super().__init__(world, num_envs, 1)
            self._batch.expand("dof_armature")[:] *= 2

        def set_physics(self, env_ids, names, values):
            if names == ("arm_hinge.damping",):
                raise InvalidValue("no damping here")
            nominal = self.world.nominal[names[0]]
            turned = {("world.gravity",): 2 * nominal - values, ("pole.mass",): np.full_like(values, nominal)}
            super().set_physics(env_ids, names, turned.get(names, values))

    parity = measure(furuta, "wrong", 0.2, Wrong)
    effects = {effect.parameter: effect for effect in parity.effects}
    assert parity.open_loop > 1e-4
    assert 1e-3 < parity.inertia < 1
    assert effects["world.gravity"].agreement < -0.9
    assert effects["pole.mass"].size == effects["pole.mass"].agreement == 0
    assert effects["arm_hinge.damping"].refused == "no damping here"
    assert effects["motor.strength"].agreement > 0.99


@pytest.mark.slow
def test_bullet_is_on_par_with_mujoco_until_something_touches(hopper):
    assert hopper.open_loop < 1e-9
    assert hopper.inertia < 1e-9
    assert hopper.energy < 1e-9
    assert 0 < hopper.parted(1e-9) < 0.3
    for effect in hopper.effects:
        assert effect.touched >= (effect.parameter == "foot_capsule.friction")
        if not effect.touched and effect.reference:
            assert effect.agreement == pytest.approx(1.0, abs=1e-9)
            assert effect.size == pytest.approx(effect.reference, rel=1e-6)


@pytest.mark.slow
def test_a_parity_is_shown_and_written(hopper, tmp_path):
    console = Console(width=120, record=True)
    with console.capture() as shown:
        console.print(tables(replace(hopper, effects=hopper.effects[:3])))
    text = shown.get()
    assert "bullet against mujoco on hopper" in text
    assert "torso.mass" in text
    assert "onset and softness of contacts" in text
    write(hopper, tmp_path)
    numbers = json.loads((tmp_path / "parity.json").read_text())
    assert numbers["untouched"]["largest_difference"] == hopper.open_loop
    assert len(numbers["effects"]) == len(hopper.effects)
    assert (tmp_path / "parity.png").read_bytes().startswith(b"\x89PNG")


def test_a_motion_of_no_step_is_refused(furuta):
    with pytest.raises(InvalidValue, match=r"no physics step of 0\.0025 s"):
        measure(furuta, "mujoco", 0.001)
