"""How big the gap is: rollouts on held-out physics, replay of recordings, statistics, reports."""
