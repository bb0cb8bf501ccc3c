"""Learning: Stable-Baselines3 and rsl_rl, one way to begin and to go on, and what is learnt as a policy."""
