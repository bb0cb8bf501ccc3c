"""Worlds: a robot and its surroundings as data, what can differ between two of them, and what that decides.

>>> world = World.load("furuta")
"""

from sim2real.world.default_parameters import with_default_parameters as with_default_parameters
from sim2real.world.drives import commanded as commanded
from sim2real.world.drives import drive_of as drive_of
from sim2real.world.drives import drives as drives
from sim2real.world.drives import reads_position as reads_position
from sim2real.world.gym.inspection import UNIT as UNIT
from sim2real.world.gym.source import SCHEME as SCHEME
from sim2real.world.levers import levers as levers
from sim2real.world.names import actuator_of as actuator_of
from sim2real.world.names import element_id as element_id
from sim2real.world.names import element_name as element_name
from sim2real.world.names import element_names as element_names
from sim2real.world.physics_file import JointMapping as JointMapping
from sim2real.world.scene import compile_scene as compile_scene
from sim2real.world.values import nominal_value as nominal_value
from sim2real.world.variant import CONTROL as CONTROL
from sim2real.world.variant import GROUPS as GROUPS
from sim2real.world.variant import SIMULATORS as SIMULATORS
from sim2real.world.variant import Variant as Variant
from sim2real.world.variant import closed as closed
from sim2real.world.world import World as World
