"""What lies between policy and body: actuators and sensors that are not ideal, disturbances, and wear.

    channels = Channels(world, simulator, task, draws, domain)
    channels.set_physics(env_ids, ("encoders.noise",), values)
    delivered = channels.command(command)       # every control step
    measured = channels.observe(seen)

Each effect is a parameter of the world (`sim2real.parameters`), per simulation, and costs nothing while
every simulation has it at its neutral value. Numbers are drawn by episode and step, so that a noisy episode
repeats to the bit whatever its neighbours do. Written against the array API, for numpy and torch alike.
"""

from sim2real.channels.channels import Channels
from sim2real.channels.schedule import Schedule

__all__ = ["Channels", "Schedule"]
