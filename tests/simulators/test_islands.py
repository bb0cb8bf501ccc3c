"""What is left out of a step of MuJoCo's, as it changes no bit."""

import mujoco
import numpy as np
import pytest

from sim2real.simulators.mujoco import MujocoSimulator, without_islands
from sim2real.world import World

# a legged body that hits its limits, slides, is coupled by a tendon and bound by an equality: all that makes
# constraints, in one tree
TREE = """
<mujoco><option timestep="0.004" {option}/>
<worldbody><geom type="plane" size="5 5 1" condim="{condim}"/>
  <body pos="0 0 .5"><freejoint/><geom type="box" size=".15 .1 .05" mass="2" condim="{condim}"/>
    <body pos=".15 .1 0">
      <joint name="hip" axis="0 1 0" range="-1 1" limited="true" frictionloss=".3" damping=".1"/>
      <geom type="capsule" fromto="0 0 0 0 0 -.25" size=".03" mass=".3"/>
      <body pos="0 0 -.25"><joint name="knee" axis="0 1 0" range="-2 0" limited="true" frictionloss=".1"/>
        <geom type="capsule" fromto="0 0 0 0 0 -.25" size=".025" mass=".2"/></body></body>
    <body pos="-.15 -.1 0"><joint name="arm" axis="0 1 0" range="-1 1" limited="true" damping=".1"/>
      <geom type="capsule" fromto="0 0 0 0 0 -.3" size=".03" mass=".3"/>
      <body pos="0 0 -.3"><joint name="hand" axis="1 0 0" damping=".05"/>
        <geom type="sphere" size=".05" mass=".2"/></body></body></body></worldbody>
<tendon><fixed limited="true" range="-.5 .5" frictionloss=".05"><joint joint="hip" coef="1"/>
  <joint joint="arm" coef="-1"/></fixed></tendon>
<equality><joint joint1="knee" joint2="hand" polycoef="0 .5 0 0 0"/></equality>
<actuator><motor joint="hip" gear="8"/><motor joint="knee" gear="5"/><motor joint="arm" gear="8"/>
  <motor joint="hand" gear="2"/></actuator></mujoco>"""


@pytest.mark.parametrize("solver", ["Newton", "CG", "PGS"])
@pytest.mark.parametrize("cone", ["elliptic", "pyramidal"])
@pytest.mark.parametrize("jacobian", ["dense", "sparse"])
@pytest.mark.parametrize("integrator", ["Euler", "implicitfast", "RK4"])
def test_a_tree_without_islands_steps_to_the_same_bits(solver, cone, jacobian, integrator):
    option = f'solver="{solver}" cone="{cone}" jacobian="{jacobian}" integrator="{integrator}"'
    for condim, noslip in ((1, 0), (3, 0), (3, 3), (6, 0)):
        told = f'{option} noslip_iterations="{noslip}"'
        model = mujoco.MjModel.from_xml_string(TREE.format(option=told, condim=condim))
        alike = without_islands(model)
        data, other, most = mujoco.MjData(model), mujoco.MjData(alike), 0
        rng, paths = np.random.default_rng(0), ([], [])
        for step in range(150):
            if step % 10 == 0:
                data.ctrl[:] = other.ctrl[:] = rng.uniform(-1, 1, model.nu)
            mujoco.mj_step(model, data)
            mujoco.mj_step(alike, other)
            most = max(most, data.nisland)
            for path, at in zip(paths, (data, other), strict=True):
                found = (at.qpos, at.qvel, at.qacc_warmstart, at.qfrc_constraint, at.actuator_force)
                path.append(b"".join(part.tobytes() for part in found))
        assert paths[0] == paths[1]
        assert (most, other.nisland) == (1, 0)


def test_where_there_can_be_several_islands_the_model_stays_as_it_is():
    model = World.load("push").model
    assert model.ntree > 1
    assert without_islands(model) is model


def test_a_simulation_taken_out_is_the_worlds_own_model():
    world = World.load("cartpole")
    model, _ = MujocoSimulator(world, 2).snapshot(1)
    assert model.opt.disableflags == world.model.opt.disableflags
