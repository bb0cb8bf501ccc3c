"""What is wanted of a robot: observation, meaning of the action, reward, termination, start states.

A task never imports a simulator. It reads and starts one through `sim2real.interface.Simulator` and is
written once against the array API, for numpy and torch alike.
"""

from typing import cast

from sim2real.errors import InvalidValue
from sim2real.interface import TaskFactory, TaskSpec
from sim2real.registry import Registry
from sim2real.tasks.cartpole import CartPole
from sim2real.tasks.furuta import Furuta
from sim2real.tasks.hopper import Hopper
from sim2real.tasks.push import Push
from sim2real.tasks.quadrotor import Quadrotor
from sim2real.tasks.quadruped import Quadruped
from sim2real.tasks.reach import Reach


def check_factory(task: object) -> TaskFactory:
    """What is given as a task, if it makes tasks.

    Raises:
        InvalidValue: for what can't be called, or has no spec.
    """
    if not isinstance(getattr(task, "spec", None), TaskSpec) or not callable(task):
        raise InvalidValue(
            f"{task!r} is no task; give a class with an attribute spec, a sim2real.TaskSpec, and the methods "
            "of sim2real.interface.Task, or a registered name"
        )
    return cast(TaskFactory, task)


def _named(name: str, task: object) -> TaskFactory:
    """A task under the name that policies know it by."""
    found = check_factory(task)
    if found.spec.name != name:
        raise InvalidValue(
            f"the task registered as {name!r} is named {found.spec.name!r} in its spec; use one name"
        )
    return found


TASKS: Registry[TaskFactory] = Registry(
    "task",
    "sim2real.tasks",
    {
        "cartpole": CartPole,
        "furuta": Furuta,
        "hopper": Hopper,
        "push": Push,
        "quadrotor": Quadrotor,
        "quadruped": Quadruped,
        "reach": Reach,
    },
    _named,
)
"""Tasks by the name that ``physics.toml`` uses."""

register_task = TASKS.register

__all__ = [
    "TASKS",
    "CartPole",
    "Furuta",
    "Hopper",
    "Push",
    "Quadrotor",
    "Quadruped",
    "Reach",
    "check_factory",
    "register_task",
]
