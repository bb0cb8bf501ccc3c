"""What is wanted of a robot: observation, meaning of the action, reward, termination, start states.

A task never imports a simulator. It reads and starts one through `sim2real.interface.Simulator` and is
written once against the array API, for numpy and torch alike.
"""

from collections.abc import Mapping

from sim2real.interface import TaskFactory
from sim2real.tasks.cartpole import CartPole
from sim2real.tasks.furuta import Furuta
from sim2real.tasks.hopper import Hopper
from sim2real.tasks.push import Push
from sim2real.tasks.quadrotor import Quadrotor
from sim2real.tasks.quadruped import Quadruped
from sim2real.tasks.reach import Reach

TASKS: Mapping[str, TaskFactory] = {
    "cartpole": CartPole,
    "furuta": Furuta,
    "hopper": Hopper,
    "push": Push,
    "quadrotor": Quadrotor,
    "quadruped": Quadruped,
    "reach": Reach,
}
"""Tasks by the name that ``physics.toml`` uses."""

__all__ = ["TASKS", "CartPole", "Furuta", "Hopper", "Push", "Quadrotor", "Quadruped", "Reach"]
