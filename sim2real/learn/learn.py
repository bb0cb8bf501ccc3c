"""One call for every learner: a policy goes on learning in one env, or in several side by side.

    result = learn(env, policy, settings)
    result.policy                       # the same network with other weights

Several envs give one batch, with rows of each, and share the critic: with the source beside the target, a
policy rehearses what it could do before (Rolnick et al. 2019). The first env counts: settings say how many
control steps are taken there, and learning ends where its budget does.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import BudgetExhausted, InvalidValue
from sim2real.files import room_in
from sim2real.learn.callbacks import Checkpoints, ProgressBar
from sim2real.learn.hooks import Hooks
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.sac import PolicySAC, SACSettings
from sim2real.learn.settings import PPOSettings
from sim2real.learn.vec_env import SameStepEnv, SB3VecEnv, SideBySide
from sim2real.policy import Policy
from sim2real.process import undisturbed

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Monitor:
    """What happens beside learning."""

    callbacks: Sequence[BaseCallback] = ()
    title: str | None = None
    """Of a progress bar; None for none."""
    logs: Path | None = None
    """Folder for TensorBoard, and for a checkpoint where ``run`` tells whose it is."""
    run: str | None = None
    """Description of the run (`sim2real.learn.checkpoint`) that goes on from its checkpoint."""

    def room(self) -> AbstractContextManager[None]:
        """Where the folder has none left, that is said; see `sim2real.files.room_in`."""
        return nullcontext() if self.logs is None else room_in(self.logs)


@dataclass(frozen=True)
class LearningResult:
    """What came of learning."""

    policy: Policy
    """With the contract of the policy that it began with."""
    steps: tuple[int, ...]
    """Control steps in each env."""
    diverged: str = ""
    """Why learning ended early with the last good weights; empty if it did not."""
    kept: int = 0
    """Control steps of the first env after which the policy was as it is; 0 for the last one."""


@undisturbed()
def learn(
    envs: SameStepEnv | Sequence[SameStepEnv],
    policy: Policy,
    settings: PPOSettings | SACSettings,
    seed: int = 0,
    hooks: Hooks | None = None,
    monitor: Monitor | None = None,
) -> LearningResult:
    """Go on learning with PPO or SAC.

    Args:
        envs: where; of the same observations and actions.
        policy: what to begin with; PPO uses its critic too.
        settings: how, and with which learner; ``total_steps`` are those of the first env.
        seed: of exploration and episodes.
        hooks: what learns, how fast, what holds it back.
        monitor: progress, logs, and what else happens.

    Raises:
        PolicyError: for a policy that can't learn so.
        BudgetExhausted: if the first env's budget does not allow a single update.
        InvalidValue: for envs that differ, a checkpoint of another world, or what a learner can't do.
    """
    monitor = monitor or Monitor()
    if isinstance(settings, PPOSettings) and settings.learner == "rsl_rl":
        return _on_device(envs, policy, settings, seed, hooks, monitor)
    several = envs if isinstance(envs, Sequence) else [envs]
    rows = [SB3VecEnv(env) for env in several]
    venv = rows[0] if len(rows) == 1 else SideBySide(rows)
    model: LeanPPO | PolicySAC
    if isinstance(settings, SACSettings):
        model = PolicySAC(policy, venv, settings, seed, hooks)
    else:
        model = LeanPPO(policy, venv, settings, seed, hooks, monitor.logs)
    total = settings.total_steps * venv.num_envs // rows[0].num_envs
    callbacks = list(monitor.callbacks)
    if monitor.run is not None and monitor.logs is not None:
        if not isinstance(model, LeanPPO):
            raise InvalidValue("SAC keeps no checkpoint to go on from; leave out the run, or choose PPO")
        checkpoints = Checkpoints(monitor.logs / "checkpoint.safetensors", monitor.run)
        checkpoints.restore(model)
        callbacks.append(checkpoints)
    if monitor.title is not None:
        callbacks.append(ProgressBar(settings.total_steps, monitor.title, rows[0].num_envs / venv.num_envs))
    if model.num_timesteps < total:
        try:
            with monitor.room():
                run(model, total - model.num_timesteps, callbacks)
        except BudgetExhausted:  # a limit on episodes ends the last rollout midway; what was learnt stays
            if not model._n_updates:
                raise
    taken = model.num_timesteps // venv.num_envs
    diverged = model.diverged if isinstance(model, LeanPPO) else ""
    if diverged:
        _log.warning("learning diverged and ended early: %s; the policy before is kept", diverged)
    policy = model.policy_kept() if isinstance(model, LeanPPO) else model.policy_now()
    kept = model.kept * rows[0].num_envs // venv.num_envs if isinstance(model, LeanPPO) else 0
    return LearningResult(policy, tuple(taken * part.num_envs for part in rows), diverged, kept)


def run(model: BaseAlgorithm, steps: int, callbacks: list[BaseCallback]) -> None:
    """Train for ``steps`` more control steps; an error, or Ctrl-C, leaves no progress bar and no log open."""
    try:
        model.learn(steps, callbacks, reset_num_timesteps=False)
    finally:
        for callback in callbacks:
            callback.on_training_end()
        if hasattr(model, "_logger"):  # TensorBoard's writer is a thread with an open file
            model.logger.close()


def _on_device(
    envs: object, policy: Policy, settings: PPOSettings, seed: int, hooks: Hooks | None, monitor: Monitor
) -> LearningResult:
    from sim2real.learn.rsl_rl import learn_on_device

    plain = hooks is None or hooks == Hooks(normalizer=hooks.normalizer)
    if not isinstance(envs, Sim2RealVectorEnv) or not plain:
        raise InvalidValue(
            "rsl_rl learns everything in one Sim2RealVectorEnv; with hooks, a target or several envs, choose "
            "the learner stable_baselines3"
        )
    with monitor.room():
        trained, steps = learn_on_device(envs, policy, settings, seed, monitor)
    return LearningResult(trained, (steps,))
