"""A vector env of ours as rsl_rl wants it: torch tensors in and out, rows that begin again by themselves."""

from __future__ import annotations

from typing import Any

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from sim2real.env import Sim2RealVectorEnv


class RslVecEnv(VecEnv):  # type: ignore[misc]
    """Adapter from a same-step autoreset vector env to rsl_rl's ``VecEnv``.

    Args:
        env: ours; tensors go in and out of it as they are, arrays of numpy are converted.
        seed: of the first episodes.
    """

    def __init__(self, env: Sim2RealVectorEnv, seed: int) -> None:
        self.env = env
        self.num_envs = env.num_envs
        self.num_actions = int(env.single_action_space.shape[0])
        self.max_episode_length = env.task.max_steps
        self.cfg: dict[str, object] = {}
        observation, _ = env.reset(seed=seed)
        self._takes_tensors = isinstance(observation, torch.Tensor)
        self.device = observation.device if self._takes_tensors else torch.device("cpu")
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)
        self._observation = self._tensor(observation)

    def get_observations(self) -> TensorDict:
        """What the policy sees now, under ``"policy"``."""
        return TensorDict({"policy": self._observation}, batch_size=[self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Advance one control period.

        Args:
            actions: shape (num_envs, num_actions).

        Returns:
            Observations (of the next episode in rows that ended), rewards, ends and extras: ``time_outs``,
            and ``success`` in rows that ended. Each of shape (num_envs,).
        """
        # rsl_rl collects in inference mode, and tensors made there could never be changed in place outside
        with torch.inference_mode(False), torch.no_grad():
            given: Any = actions.clone() if self._takes_tensors else actions.cpu().numpy()
            observation, reward, terminated, truncated, info = self.env.step(given)
            self._observation = self._tensor(observation)
            done = self._tensor(terminated | truncated, torch.bool)
            extras = {"time_outs": self._tensor(truncated)}
            if "success" in info:
                extras["success"] = self._tensor(info["success"])
            self.episode_length_buf = (self.episode_length_buf + 1) * ~done
            return self.get_observations(), self._tensor(reward), done, extras

    def _tensor(self, array: object, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.as_tensor(array, dtype=dtype, device=self.device)
