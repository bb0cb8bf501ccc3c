"""What lies between policy and body: actuators and sensors that are not ideal, disturbances, and wear.

    channels = Channels(world, simulator, task, draws, domain)
    channels.set_physics(env_ids, ("encoders.noise",), values)
    command = channels.encoders.asked(task, action)     # every control step
    delivered = channels.command(command)
    measured = channels.observe(channels.encoders.seen(task))

Each effect is a parameter of the world (`sim2real.parameters`), per simulation, and costs nothing while
every simulation has it at its neutral value. Numbers are drawn by episode and step, so that a noisy episode
repeats to the bit whatever its neighbours do. Written against the array API, for numpy and torch alike.

A user's own (`sim2real.interface.Channel`) has a name once it is registered (`register_channel`, or an entry
point ``sim2real.channels``), and is then a parameter like any other.
"""

from sim2real.channels.channels import Channels
from sim2real.channels.schedule import Schedule
from sim2real.parameters import register_channel

__all__ = ["Channels", "Schedule", "register_channel"]
