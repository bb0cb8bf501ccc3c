"""Pre-training: glue to Stable-Baselines3."""
