"""What differs between two worlds is told by name, and what doesn't act makes no difference."""

import dataclasses

import pytest

from sim2real.contents import differences
from sim2real.world import World


@pytest.fixture
def told(write_world, pendulum_files):
    """What an edit of the pendulum's files makes differ."""

    def tell(scene=lambda text: text, physics=lambda text: text):
        whole, edited = pendulum_files, (scene(pendulum_files[0]), physics(pendulum_files[1]))
        before = World.load(write_world(*whole)).contents
        return differences(before, World.load(write_world(*edited)).contents)

    return tell


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("<worldbody>", "<!-- a word -->\n\n<worldbody>"),
        lambda text: text.replace("<geom ", '<geom rgba="1 0 0 1" '),
        lambda text: text.replace('name="rod"', 'name="rod" group="2"'),
        lambda text: text.replace(
            "</worldbody>", '<camera name="eye" pos="0 0 3"/><light pos="0 0 3"/></worldbody>'
        ),
        lambda text: text.replace(
            '<body name="pole">',
            '<geom name="paint" size="1" mass="0" contype="0" conaffinity="0"/><body name="pole">',
        ),
    ],
)
def test_what_does_not_act_makes_no_difference(told, edit):
    assert told(edit) == []


def test_another_range_or_variant_or_parameter_makes_no_difference(told):
    def edit(physics):
        wider = physics.replace("range = [0.05, 0.2]", "range = [0.05, 0.3]").replace("= 0.4", "= 0.5")
        return wider + '[parameters."slider.damping"]\nunit = "N·s/m"\nnominal = 0.1\nsource = "made up"\n'

    assert told(physics=edit) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('damping="0.001"', 'damping="0.002"', ["another joint hinge in scene.xml"]),
        (
            'type="hinge" axis="0 1 0"',
            'type="hinge" axis="0 1 0" ref="0.1"',
            ["another joint hinge in scene.xml"],
        ),
        ('ctrlrange="-10 10"', 'ctrlrange="-9 10"', ["another actuator motor in scene.xml"]),
        ('joint="slider" ctrl', 'joint="hinge" ctrl', ["another actuator motor in scene.xml"]),
        ('timestep="0.005"', 'timestep="0.0025"', ["option timestep was 0.005 and is 0.0025"]),
        ('contype="0"/>', 'contype="0" friction="2"/>', ["another geom rod in scene.xml"]),
        ('name="rod"', 'name="bar"', ["no more geom rod in scene.xml", "a new geom bar in scene.xml"]),
        (
            "</worldbody>",
            '<body name="cube"><freejoint name="cube_free"/><geom name="cube" size="1"/></body></worldbody>',
            ["a new body cube, geom cube, joint cube_free in scene.xml"],
        ),
        (
            "</mujoco>",
            '<equality><joint joint1="hinge"/></equality></mujoco>',
            ["a new equality #1 without a name in scene.xml"],
        ),
        (
            "</mujoco>",
            '<contact><exclude body1="pole" body2="cart"/></contact></mujoco>',
            ["a new exclusion of cart and pole in scene.xml"],
        ),
    ],
)
def test_what_acts_is_named(told, old, new, words):
    def edit(scene):
        assert old in scene
        return scene.replace(old, new)

    assert told(edit) == words


def test_a_parameter_tells_its_values(told):
    words = told(
        lambda scene: scene.replace('mass="0.1"', 'mass="0.2"'),
        lambda physics: physics.replace("nominal = 0.1\n", "nominal = 0.2\n"),
    )
    assert words == ["pole.mass was 0.1 and is 0.2", "another body pole in scene.xml"]


def test_another_order_of_channels_is_named(told):
    order = 'sensors = ["resolution", "noise"]'
    words = told(physics=lambda text: text + f"[channels]\n{order}\n")
    assert words == ["order of sensors was as usual and is resolution noise"]


@pytest.mark.parametrize("anchor", ["slider", "hinge"])
def test_what_drives_through_a_tendon_is_named(told, anchor):
    tendon = '<tendon><fixed name="rope"><joint joint="{}" coef="1"/></fixed></tendon></mujoco>'
    assert told(lambda text: text.replace("</mujoco>", tendon.format(anchor))) == [
        "a new tendon rope in scene.xml"
    ]


PLUGIN = (
    '<extension><plugin plugin="mujoco.pid"><instance name="pid"><config key="kp" value="{}"/></instance>'
    '</plugin></extension><actuator><plugin name="it" joint="hinge" plugin="mujoco.pid" instance="pid"/>'
    "</actuator></mujoco>"
)
HEIGHTS = (
    '<asset><hfield name="hills" nrow="2" ncol="2" size="1 1 1 1" elevation="0 0 1 {}"/></asset>'
    '<worldbody><geom name="it" type="hfield" hfield="hills"/></worldbody></mujoco>'
)
MUSCLE = '<actuator><muscle name="it" joint="hinge" lengthrange="-1 {}"/></actuator></mujoco>'


@pytest.mark.parametrize("tail", [PLUGIN, HEIGHTS, MUSCLE])
def test_what_an_element_keeps_elsewhere_is_noticed(write_world, pendulum_files, tail):
    scene, physics = pendulum_files
    scenes = [scene.replace("</mujoco>", tail.format(number)) for number in (0.2, 0.5)]
    first, second = (World.load(write_world(text, physics)).contents for text in scenes)
    kind = "geom" if tail is HEIGHTS else "actuator"
    assert differences(first, second) == [f"another {kind} it in scene.xml"]


def test_a_group_of_many_is_cut_short():
    before = {"scene": {f"geom g{k}": "a" for k in range(9)}}
    (words,) = differences(before, {"scene": {f"geom g{k}": "b" for k in range(9)}})
    assert words == "another geom g0, geom g1, geom g2, geom g3, geom g4, geom g5 and 3 more in scene.xml"


def test_nothing_differs_from_what_is_not_known(write_world):
    contents = World.load(write_world()).contents
    assert differences({}, contents) == differences(contents, {}) == []


def test_only_what_is_in_memory_counts(write_world):
    """Domains and ranges of a world opened for identification don't make it another."""
    world = World.load(write_world())
    parameters = {n: dataclasses.replace(p, low=0.0, high=9.0) for n, p in world.parameters.items()}
    assert dataclasses.replace(world, parameters=parameters).contents == world.contents
