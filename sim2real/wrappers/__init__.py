"""The same parameters and domains for anyone's gymnasium env, on MuJoCo or on PyBullet.

    domain = Domain({"torso.mass": Uniform(2.0, 6.0), "thigh_joint.latency": Uniform(0, 8)})
    env = Randomize(gym.make("Hopper-v5"), domain)
    env.reset(seed=0)
    env.physics()["torso.mass"]

Physics is drawn at every reset and written from the env's own nominal model, never from the last draw. With
an empty domain the wrapped env is bit-identical to the bare one. Works in ``SyncVectorEnv`` and
``AsyncVectorEnv`` like any wrapper; ``envs.call("set_domain", domain)`` reaches them all.
"""

from sim2real.wrappers.randomize import Randomize

__all__ = ["Randomize"]
