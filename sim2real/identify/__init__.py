"""Parameters from recordings; what comes out is a `Domain`, which training and envs draw from."""
