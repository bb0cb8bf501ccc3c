"""Gymnasium envs as worlds: how one is made, what it is asked once, and what its episodes are."""
