"""Does it keep its promises? Of vector envs, which gymnasium has no checker for, and of one's own tasks."""

from sim2real.checker.task import check_task as check_task
from sim2real.checker.vector_env import CheckFailed as CheckFailed
from sim2real.checker.vector_env import check_vector_env as check_vector_env
