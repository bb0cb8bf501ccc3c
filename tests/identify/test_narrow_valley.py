"""Where a servo's gain, friction and rotor make up for each other, fits reach the end of the valley."""

import mujoco
import numpy as np
import pytest

from sim2real.identify.least_squares import least_squares
from sim2real.identify.problem import RecordingProblem
from sim2real.identify.space import ParameterSpace, free_parameters
from sim2real.recordings import Recording
from sim2real.replay import motion_of
from sim2real.world import World

ARM = """<mujoco><option timestep="0.004" integrator="implicitfast"/><worldbody><body>
<joint name="j" axis="0 1 0" damping="0.1" frictionloss="0.07"/>
<geom type="capsule" fromto="0 0 0 0.02 0 -.3" size=".02" mass=".4"/></body></worldbody>
<actuator><position name="a" joint="j" kp="9"/></actuator></mujoco>"""


@pytest.mark.parametrize("seed", [3, 4])
def test_a_fit_goes_on_where_coarse_differences_end(seed, tmp_path):
    rng, model = np.random.default_rng(seed), mujoco.MjModel.from_xml_string(ARM)
    kp = 9 * rng.uniform(0.7, 1.4)
    model.actuator_gainprm[0, 0], model.actuator_biasprm[0, 1] = kp, -kp
    model.dof_damping[:] = 0.1 * rng.uniform(0.3, 2)
    model.dof_frictionloss[:] = 0.07 * rng.uniform(0.5, 2)
    model.dof_armature[:] = rng.uniform(0, 0.02)
    planted = {
        "a.kp": kp,
        "j.damping": model.dof_damping[0],
        "j.frictionloss": model.dof_frictionloss[0],
        "j.armature": model.dof_armature[0],
    }
    time, data = np.arange(400) * 0.012, mujoco.MjData(model)
    command = rng.uniform(-0.7, 0.7, 8)[np.minimum((time / 0.6).astype(int), 7)]
    command[:20] = 0
    position = np.zeros((400, 1))
    for row in range(400):
        position[row] = data.qpos[0]
        data.ctrl[0] = command[row]
        mujoco.mj_step(model, data, nstep=3)
    (tmp_path / "scene.xml").write_text(ARM)
    (tmp_path / "physics.toml").write_text("")
    world = World.load(tmp_path)
    space = ParameterSpace(tuple(free_parameters(world, tuple(planted))))
    motion = motion_of(world, Recording("own", ("j",), time, command[:, None], position))
    problem = RecordingProblem.of(world, space, [motion], 1)
    fit = least_squares(problem, space.start, 24)
    assert space.named(fit.point) == pytest.approx(planted, rel=0.01)
