"""Learning: one call for PPO, SAC and rsl_rl on a policy's own network, and what transfer changes of it."""
