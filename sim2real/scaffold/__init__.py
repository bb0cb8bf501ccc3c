"""A world folder from anybody's MJCF: the model and its files, parameters, variants, a task to edit.

new_world("my_robot", "robot.xml", task=True)      # sim2real new my_robot --model robot.xml --task
"""

from sim2real.scaffold.new import Scaffold as Scaffold
from sim2real.scaffold.new import new_world as new_world
