"""A body's inertia changed as a whole is always that of some body, in every engine the same."""

import mujoco
import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.parameters import INERTIA
from sim2real.simulators.inertia import inertia_tensor, reshaped
from sim2real.simulators.mujoco import MujocoSimulator
from sim2real.world import World

NOMINAL = np.array([[1.5, 0.02, -0.01, 0.1, 3e-3, 5e-3, 6e-3, 0.8, 0.6, 0.0, 0.0]])


def random(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, [0.5, *[0.05] * 3, *[1.0] * 3, *[1.0] * 3], (count, 10))


def test_random_numbers_are_consistent_and_compile():
    """MuJoCo's own compiler takes every one of them, and A + B >= C."""
    found = reshaped(np.repeat(NOMINAL, 300, axis=0), random(300))
    tensors = inertia_tensor(found)
    moments = np.linalg.eigvalsh(np.trace(tensors, axis1=1, axis2=2)[:, None, None] / 2 * np.eye(3) - tensors)
    assert (moments > 0).all()
    for numbers, tensor in zip(found, tensors, strict=True):
        spec = mujoco.MjSpec()
        body = spec.worldbody.add_body(name="body")
        body.add_freejoint()
        body.mass, body.explicitinertial, body.ipos = numbers[0], True, numbers[1:4]
        xx, yy, zz, xy, xz, yz = tensor[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
        body.fullinertia = [xx, yy, zz, xy, xz, yz]
        model = spec.compile()
        assert model.body_inertia[1] == pytest.approx(np.sort(numbers[4:7])[::-1], rel=1e-6)


def test_zeros_change_nothing_and_each_number_does_what_it_says():
    assert (reshaped(NOMINAL, np.zeros((1, 10))) == NOMINAL).all()
    (heavy,) = reshaped(NOMINAL, np.eye(10)[:1] * np.log(2))
    assert heavy[0] == pytest.approx(3.0)
    assert np.sort(heavy[4:7]) == pytest.approx([6e-3, 10e-3, 12e-3])
    (moved,) = reshaped(NOMINAL, np.eye(10)[1:2] * 0.03)
    assert moved[1:4] == pytest.approx([0.05, -0.01, 0.1])
    before = inertia_tensor(NOMINAL)[0]
    after = inertia_tensor(reshaped(NOMINAL, np.eye(10)[4:5] * np.log(2)))[0]
    second, stretched = (np.trace(t) / 2 * np.eye(3) - t for t in (before, after))
    assert stretched == pytest.approx(np.diag([2, 1, 1]) @ second @ np.diag([2, 1, 1]))


def test_every_consistent_inertia_has_its_ten_numbers():
    """From one random body to another and back."""
    found = reshaped(np.repeat(NOMINAL, 50, axis=0), random(50, 1))
    (target,) = reshaped(NOMINAL, random(1, 2))
    for numbers in found:
        second, wanted = (
            np.trace(t) / 2 * np.eye(3) - t for t in inertia_tensor(np.stack((numbers, target)))
        )
        factor = target[0] / numbers[0]
        lower = [np.linalg.cholesky(m[::-1, ::-1])[::-1, ::-1] for m in (second, wanted / factor)]
        upper = lower[1] @ np.linalg.inv(lower[0])
        theta = [np.log(factor), *(target[1:4] - numbers[1:4]), *np.log(np.diag(upper))]
        theta += [upper[0, 1], upper[1, 2], upper[0, 2]]
        (again,) = reshaped(numbers[None], np.array([theta]))
        assert inertia_tensor(again[None]) == pytest.approx(inertia_tensor(target[None]), rel=1e-6, abs=1e-9)
        assert again[:4] == pytest.approx(target[:4])


def domain(theta):
    return {f"pole.{name}": float(x) for name, x in zip(INERTIA, theta, strict=True)}


@pytest.mark.parametrize("extra", [{}, {"pole.mass": 0.03, "pole.com_z": -0.05}])
def test_the_simulator_moves_as_a_model_compiled_so(extra):
    """Furuta's pole with a whole inertia, beside the same written in the scene."""
    physics = domain(0.3 * random(1, 3)[0]) | extra
    world = World.load("furuta").for_domain(Domain.point(physics))
    simulator = MujocoSimulator(world, 2, 1)
    ids = np.arange(2)
    values = np.array([list(physics.values()), [world.nominal[n] for n in physics]])
    simulator.set_physics(ids, tuple(physics), values)
    numbers = NOMINAL.copy()
    numbers[0] = [0.024, 0, 0, -0.0645, 3.3282e-5, 3.3282e-5, 1e-8, 1, 0, 0, 0]
    if extra:
        numbers[0, 0], numbers[0, 3] = 0.03, -0.05
        numbers[0, 4:7] *= 0.03 / 0.024
    (target,) = reshaped(numbers, np.array([[physics[f"pole.{name}"] for name in INERTIA]]))
    spec = mujoco.MjSpec.from_file(str(world.path / "scene.xml"))
    body = spec.body("pole")
    body.mass, body.ipos, body.inertia, body.iquat = target[0], target[1:4], target[4:7], target[7:]
    plain = [spec.compile(), World.load("furuta").model]
    start = np.array([[0.3, 2.0]] * 2)
    simulator.reset(ids, start, np.zeros((2, 2)), np.zeros((2, 1)))
    simulator.step(np.full((2, 1), 1.0), 200)
    for row, model in enumerate(plain):
        model.actuator_history[:] = 0
        data = mujoco.MjData(model)
        data.qpos[:], data.ctrl[:] = start[row], 1.0
        mujoco.mj_step(model, data, 200)
        assert simulator.qpos[row] == pytest.approx(data.qpos, rel=1e-5)


def test_a_centred_body_may_lose_its_centre(tmp_path):
    (tmp_path / "scene.xml").write_text(
        """<mujoco><compiler angle="radian"/><worldbody><body name="ball"><joint name="x" type="slide"
        axis="1 0 0"/><joint name="r" type="hinge" axis="0 1 0"/><inertial pos="0 0 0" mass="1"
        diaginertia="0.01 0.01 0.01"/><geom name="g" size="0.1"/></body></worldbody>
        <actuator><motor name="m" joint="r" ctrlrange="-1 1"/></actuator></mujoco>"""
    )
    (tmp_path / "physics.toml").write_text('title = "Ball"\n')
    names = {f"ball.{name}": ("ball",) for name in INERTIA}
    world = World.load(tmp_path).with_parameters(names)
    assert not world.model.body("ball").simple[0]
    simulator = MujocoSimulator(world, 1, 1)
    simulator.set_physics(np.array([0]), ("ball.inertia_shift_x",), np.array([[0.2]]))
    simulator.reset(np.array([0]), np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 1)))
    simulator.step(np.zeros((1, 1)), 50)
    assert abs(simulator.qpos[0, 1]) > 0.1  # it tips over
