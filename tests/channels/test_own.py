"""Channels of a user's own: parameters like any other, in envs of every kind, or refused by name."""

import sys
from importlib.metadata import EntryPoint

import gymnasium as gym
import numpy as np
import pytest

import sim2real
from sim2real.cli import main
from sim2real.distributions import Point
from sim2real.domain import Domain
from sim2real.env import Sim2RealVectorEnv
from sim2real.errors import DeadParameter, InvalidValue, UnknownName
from sim2real.parameters import CHANNELS
from sim2real.registry import Registry
from sim2real.transfer.remote import RemoteTarget
from sim2real.transfer.target import Budget
from sim2real.world import World
from sim2real.wrappers import Randomize

MODULE = '''
import sim2real


@sim2real.register_channel("lash")
class Lash(sim2real.Channel):
    """Play in a linkage: what arrives is dragged along where the command is further away than this."""

    acts = "command"
    high = 5.0

    def __init__(self, inputs):
        super().__init__(inputs)
        self.arrived = inputs.zeros()

    def begin(self, numbers, rows):
        self.arrived[rows] = numbers

    def apply(self, numbers, values, rows):
        xp = self.inputs.xp
        least, most = numbers - values, numbers + values
        self.arrived[rows] = xp.minimum(xp.maximum(self.arrived[rows], least), most)
        return self.arrived[rows]


@sim2real.register_channel("flare")
class Flare(sim2real.Channel):
    """Chance that a reading is off by a size."""

    acts, unit, high = "reading", "1", 1.0
    shapes = {"size": ""}

    def apply(self, numbers, values, rows):
        return numbers + self.inputs.shape("size", rows) * (self.inputs.uniform(rows) < values)
'''
LASH = ("motor.lash", 0, "N", None, [0, 5])
FLARE = ("pole_velocity.flare", 0, "1", None, [0, 1])
SIZE = ("pole_velocity.flare_size", 8.0, "rad/s", None, [1.0, 9.0])


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    """A module with two channels, imported; nothing stays registered."""
    monkeypatch.setattr(CHANNELS, "_registered", {})
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "my_channels.py").write_text(MODULE)
    yield __import__("my_channels")
    sys.modules.pop("my_channels", None)


@pytest.fixture
def world_with(make_world, tools):
    """The cart with parameters of one's own."""
    return lambda *rows: make_world(*(tools[0](*row) for row in rows))


def dragged(commands, width):
    """What arrives of commands, the first of which is where all rests. Shape (n,)."""
    arrived = [commands[0]]
    for command in commands[1:]:
        arrived.append(min(max(arrived[-1], command - width), command + width))
    return np.array(arrived)


def test_commands_pass_it_on_their_way(world_with):
    """In rows that have it; in the others not a bit is changed."""
    with_it, bare = Sim2RealVectorEnv(world_with(LASH), 3), Sim2RealVectorEnv(world_with(), 3)
    with_it.set_physics(("motor.lash",), np.array([[0.0], [1.5], [4.0]]))
    for env in (with_it, bare):
        env.reset(seed=0)
    rng, given, arrived = np.random.default_rng(3), [np.zeros(3)], [np.zeros(3)]
    for _ in range(40):
        action = rng.uniform(-1, 1, (3, 1))
        seen, plain = (env.step(action)[0] for env in (with_it, bare))
        for commands, env in ((given, bare), (arrived, with_it)):
            commands.append(env.simulator._ctrl[:, 0].copy())
        assert np.array_equal(seen[0], plain[0])
    for row, width in enumerate((0.0, 1.5, 4.0)):
        truth = dragged(np.array(given)[:, row], width)
        np.testing.assert_allclose(np.array(arrived)[:, row], truth, atol=1e-12)


def test_readings_pass_it_in_their_own_unit(world_with, tools):
    """As often as its chance says, by its size; the same numbers again in the same episodes."""
    world = world_with(FLARE, SIZE)
    physics = {"pole_velocity.flare": 0.25, "pole_velocity.flare_size": 8.0}
    envs = [Sim2RealVectorEnv(world, 16) for _ in range(3)]
    plain, seen, again = (
        tools[1](env, 60, physics=p) for env, p in zip(envs, ({}, physics, physics), strict=True)
    )
    assert np.array_equal(seen, again)
    signals = envs[0].task.observation
    column = [signal.name for signal in signals].index("pole_velocity")
    off = (seen - plain)[..., column] * signals[column].scale
    assert 0.2 < (off > 1).mean() < 0.3
    np.testing.assert_allclose(off[off > 1], 8.0, rtol=1e-5)
    assert not np.delete(seen - plain, column, axis=2).any()


def test_it_runs_on_torch_or_says_why_not(world_with, tools, torch_env, mine):
    world = world_with(LASH, FLARE, SIZE)
    physics = {"motor.lash": 2.0, "pole_velocity.flare": 0.3}
    ours, torchs = (tools[1](make(world, 4), 20, physics=physics) for make in (Sim2RealVectorEnv, torch_env))
    np.testing.assert_allclose(ours, torchs, atol=1e-6)
    mine.Lash.apply = lambda self, numbers, values, rows: np.round(np.asarray(numbers))
    with pytest.raises(InvalidValue, match=r"channel 'lash' makes float64 .* an array of the kind"):
        torch_env(world, 4)
    mine.Lash.apply = lambda self, numbers, values, rows: np.sum(numbers.tobytes())
    with pytest.raises(InvalidValue, match=r"channel 'lash' fails: .*torch tensors, reached by inputs\.xp"):
        torch_env(world, 4)


class Fine(sim2real.Channel):
    acts = "command"

    def apply(self, numbers, values, rows):
        return numbers


def arm():
    return gym.make("InvertedPendulum-v5").unwrapped


def path(env, actions):
    return np.array([env.reset(seed=0)[0], *(env.step(action)[0] for action in actions)])


def test_randomize_has_it_too():
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 1))
    arrived = dragged(np.concatenate([[0.0], actions[:, 0]]), 0.4)[1:, None]
    with_it = path(Randomize(arm(), Domain({"slide.lash": Point(0.4)})), actions)
    np.testing.assert_allclose(with_it, path(arm(), arrived), atol=1e-9)
    neutral = Randomize(arm(), Domain({"slide.lash": Point(0.0)}), allow_dead=True)
    assert np.array_equal(path(neutral, actions), path(arm(), actions))


def test_one_that_changes_nothing_is_refused(world_with):
    """Also where one of this name did something a moment ago."""
    CHANNELS._registered.clear()
    sim2real.register_channel("lash")(Fine)
    with pytest.raises(DeadParameter, match=r"slide\.lash"):
        Randomize(arm(), Domain({"slide.lash": Point(0.4)})).reset(seed=0)
    with pytest.raises(DeadParameter, match=r"motor\.lash"):
        sim2real.audit_world(world_with(LASH)).refuse()


def test_what_only_shapes_it_is_moved_with_it(world_with):
    sim2real.audit_world(world_with(FLARE, SIZE)).refuse()
    with pytest.raises(DeadParameter, match=r"it only shapes flare, which none of its elements is given"):
        sim2real.audit_world(world_with(SIZE)).refuse()


@pytest.mark.slow
def test_it_goes_to_another_process(world_with):
    """With the parameter, as nothing is registered there; also a class that no import finds."""
    CHANNELS._registered.clear()
    exec(compile(MODULE, "a cell", "exec"), {"__name__": "__main__"})
    world = world_with(LASH)
    stiff = Domain({"motor.lash": Point(3.0)})
    here = Sim2RealVectorEnv(world, 2, stiff)
    with RemoteTarget(world, stiff, Budget(steps=200), num_envs=2) as there:
        assert there.reset(seed=0)[0].shape == here.reset(seed=0)[0].shape
        there.step(np.ones((2, 1), np.float32))


def test_it_is_named_on_the_command_line(world_with, capsys, monkeypatch, tmp_path):
    folder = str(world_with(LASH).path)
    CHANNELS._registered.clear()
    sys.modules.pop("my_channels")
    monkeypatch.chdir(tmp_path)
    assert main(["audit", folder]) == 2
    assert "unknown quantity in parameter 'motor.lash'" in capsys.readouterr().err
    assert main(["audit", folder, "--import", "my_channels"]) == 0
    assert "motor.lash" in capsys.readouterr().out


def test_packages_offer_channels(mine):
    offered = Registry("channel", CHANNELS.group, {}, CHANNELS._check)
    offered._points = (EntryPoint("slack", "my_channels:Lash", CHANNELS.group),)
    assert offered["slack"] is mine.Lash


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("mass", {}, "channel 'mass' is named as the quantity 'mass'"),
        ("sensor", {"shapes": {"gain": "1"}}, "named as the quantity 'sensor_gain'"),
        ("My play", {}, "needs a name of small letters"),
        ("fine", {"acts": "both"}, "must say what it acts on: acts = 'command' or 'reading'"),
        ("fine", {"neutral": -1.0}, "finite limits with the neutral value between them"),
        ("fine", {"high": np.inf}, "finite limits"),
        (
            "fine",
            {"apply": sim2real.Channel.apply},
            "is no channel; register 'fine' as a class that",
        ),
    ],
)
def test_what_is_none_is_refused(name, changes, said):
    with pytest.raises(InvalidValue, match=said):
        sim2real.register_channel(name)(type("Fine", (Fine,), changes))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda numbers: numbers[:, 0], r"makes float64 of shape \(\d,\) of float64 of shape"),
        (lambda numbers: numbers.tolist(), "makes list of shape"),
        (lambda numbers: 1 / 0, "channel 'lash' fails: ZeroDivisionError"),
    ],
)
def test_one_that_fails_is_refused_before_anything_runs(world_with, mine, made, said):
    mine.Lash.apply = lambda self, numbers, values, rows: made(numbers)
    with pytest.raises(InvalidValue, match=said):
        Sim2RealVectorEnv(world_with(LASH), 2)


def test_its_elements_units_and_limits_are_checked(world_with, make_world, tools):
    world = world_with(LASH)
    with pytest.raises(InvalidValue, match=r"motor.lash = 6 .* is impossible; it must be at most 5"):
        world.domain({"parameters": {"motor.lash": 6.0}})
    with pytest.raises(UnknownName, match=r"nowhere"):
        world.for_domain(Domain({"nowhere.lash": Point(1.0)}))
    with pytest.raises(InvalidValue, match=r"has no flare_size for 'pole_velocity'"):
        Sim2RealVectorEnv(world_with(FLARE), 1)
    order = '[channels]\nactuators = ["lash", "deadband"]\n'
    assert World.load(make_world(tools[0](*LASH), order).path).channels["actuators"] == ("lash", "deadband")
