"""What was identified in replays means the same in an env: the same commands lead to the same motion."""

import numpy as np
import pytest

from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.replay import Motion, Replayer
from sim2real.world import World

STEPS, ROWS, HOLD = 60, 4, 6
SERVO = {"kp": 40.0, "kd": 0.0, "damping": 3.3}  # about as late as a real one


def apart(quantities):
    """Root mean square difference in rad, at the control steps, of six servos moved to and fro."""
    plain = World.load("so101")
    joints = tuple(plain.model.joint(k).name for k in range(plain.model.njnt))
    physics = {f"{j}.{q}": value for q, value in {**SERVO, **quantities}.items() for j in joints}
    domain = Domain.point(physics)
    world = plain.for_domain(domain)
    env = Sim2RealVectorEnv(world, ROWS, domain, autoreset=False)
    env.reset(seed=0)
    first, velocity = env.simulator.qpos.copy(), env.simulator.qvel.copy()
    there = np.random.default_rng(0).uniform(-1, 1, (STEPS // HOLD // 2, ROWS, len(joints)))
    actions = np.repeat(np.stack([there, -there], axis=1).reshape(-1, ROWS, len(joints)), HOLD, axis=0)
    goals, positions = [first], [first]
    for action in actions.astype(np.float32):
        observation, *_ = env.step(action)
        positions.append(env.simulator.qpos.copy())
        goals.append(positions[-1] + 0.3 * observation[:, 2 * len(joints) : 3 * len(joints)])
    time = np.arange(STEPS + 1) * env.task.control_dt
    told, seen = np.array(goals[1:] + goals[-1:]), np.array(positions)
    motions = [
        Motion(
            f"{r}", joints, time, told[:, r], seen[:, r], velocity[r], None, np.array([-0.04]), first[r][None]
        )
        for r in range(ROWS)
    ]
    values = np.array([list(physics.values())])
    predicted = Replayer(world, motions, 1, 1).run(tuple(physics), values)
    errors = [p[0] - m.measured for p, m in zip(predicted, motions, strict=True)]
    return float(np.sqrt(np.mean(np.square(errors))))


@pytest.mark.parametrize("quantities", [{}, {"latency": 5}, {"load_friction_motor": 0.05}])
def test_servos_move_alike(quantities):
    assert apart(quantities) < 1e-4


@pytest.mark.parametrize(
    "quantities",
    [{"rate_limit": 2.5}, {"goal_braking": 40.0}, {"rate_limit": 2.5, "goal_braking": 40.0}],
)
def test_limited_goals_move_alike_but_for_the_ripple_of_a_control_step(quantities):
    assert apart(quantities) < 6e-3
