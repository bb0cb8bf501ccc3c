"""Each fault that the checker looks for is planted in a task, and the message says which one it was."""

import dataclasses
import re

import numpy as np
import pytest
from array_api_compat import array_namespace

import sim2real
from sim2real.catalog import entries
from sim2real.checker import CheckFailed, check_task
from sim2real.cli import main
from sim2real.tasks import TASKS

SPEC = sim2real.TaskSpec(
    name="sway",
    version=0,
    control_dt=0.02,
    max_steps=50,
    observation=(sim2real.Signal("pole", "rad"), sim2real.Signal("pole_speed", "rad/s", 5.0)),
    action=(sim2real.Signal("force", "N", 10.0),),
    num_draws=1,
    success="the pole within 0.1 rad of upright at the end",
    joints=(sim2real.Joint("hinge"),),
    drives=(sim2real.Drive("motor", "slider"),),
)


class Sway:
    """A sound task, written against the array API."""

    spec = SPEC

    def __init__(self, simulator, max_steps=None):
        self.spec = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        self.sim, self.xp = simulator, array_namespace(simulator.qpos)
        self.seen = self.xp.zeros_like(simulator.qpos[:, 0])

    def start(self, env_ids, u):
        self.seen[env_ids] = 0.0
        return 0.1 * (u - 0.5), 0 * u, 0 * u

    def command(self, action):
        return 10 * action

    def outcome(self):
        angle = self.sim.qpos[:, 0]
        self.seen += 1.0
        return self.xp.cos(angle) + 0.01 * self.seen, self.xp.abs(angle) > 1.0

    def succeeded(self):
        return self.xp.abs(self.sim.qpos[:, 0]) < 0.1

    def observe(self):
        return self.xp.stack((self.sim.qpos[:, 0], self.sim.qvel[:, 0] / 5.0), axis=1)


def spec(**changes):
    return {"spec": dataclasses.replace(SPEC, **changes)}


def then(method, change):
    """A method whose answer is changed."""
    return {method: lambda self, *given: change(self, getattr(Sway, method)(self, *given))}


def forgetful(self, env_ids, u):
    return 0.1 * (u - 0.5), 0 * u, 0 * u


def forgets_all(self, env_ids, u):
    self.seen[:] = 0.0
    return forgetful(self, env_ids, u)


def misplaced(self, env_ids, u):
    self.seen[: len(env_ids)] = 0.0
    self.seen[env_ids] = 0.0
    return forgetful(self, env_ids, u)


def random_start(self, env_ids, u):
    self.seen[env_ids] = 0.0
    return np.random.default_rng().random((len(env_ids), 1)), 0 * u, 0 * u


def divides(self):
    return 1 / 0


def writes(self):
    self.sim.qpos[:, 0] += 0.1
    return Sway.observe(self)


def clips(self, action):
    action[:] = 0.5
    return 10 * action


def made(self, simulator, max_steps=None):
    Sway.__init__(self, simulator)


def nan_reward(_, answer):
    return np.where(np.arange(len(answer[0])) == 2, np.nan, answer[0]), answer[1]


SIGNAL = SPEC.observation[0]
FAULTS = {
    "reward of one row": (then("outcome", lambda _, a: (a[0][:1], a[1])), r"rewards of shape \(1,\)"),
    "a column of rewards": (then("outcome", lambda _, a: (a[0][:, None], a[1])), r"shape \(4, 1\) where"),
    "no terminations": (then("outcome", lambda _, a: a[0]), "must return a tuple: rewards, terminations"),
    "ends as numbers": (then("outcome", lambda _, a: (a[0], 1.0 * a[1])), "float64 where booleans are meant"),
    "whole rewards": (then("outcome", lambda _, a: (np.ones(4, int), a[1])), "int64 where floating-point"),
    "no array": (then("outcome", lambda _, a: (1.0, a[1])), "rewards that are a float, no array"),
    "one observation too few": (then("observe", lambda _, a: a[:, :1]), r"\(4, 1\) where \(4, 2\)"),
    "a command too many": (then("command", lambda _, a: np.hstack([a, a])), r"commands of shape \(4, 2\)"),
    "starts of all rows": (then("start", lambda s, a: (np.zeros((9, 1)), *a[1:])), r"positions of shape"),
    "view of the positions": (
        {"observe": lambda self: self.sim.qpos[:, [0]].repeat(2, 1), "succeeded": lambda s: s.sim.qpos[:, 0]},
        "returns a view of simulator.qpos",
    ),
    "writes positions": ({"observe": writes}, r"observe\(\) writes into simulator.qpos"),
    "writes actions": ({"command": clips}, r"command\(\) changes the actions that it is given"),
    "infinite command": (then("command", lambda _, a: a * np.inf), "commands that are not finite"),
    "NaN reward": (then("outcome", nan_reward), r"outcome\(\) gives a reward of nan in a simulation"),
    "NaN observation": (then("observe", lambda _, a: a * [1, np.nan]), "an observation pole_speed of nan"),
    "infinite start": (then("start", lambda _, a: (a[0] / 0.0, *a[1:])), "positions that are not finite"),
    "keeps a count": ({"start": forgetful}, r"keeps state from one episode .*\(reward differs at step 1\)"),
    "forgets all rows": ({"start": forgets_all}, "changes other rows when some begin anew"),
    "forgets first rows": ({"start": misplaced}, "changes other rows when some begin anew"),
    "random": ({"start": random_start}, "is random beyond its draws"),
    "raises": ({"outcome": divides}, r"outcome\(\) raises ZeroDivisionError: .*\(test_task.py, line \d+\)"),
    "raises when made": ({"__init__": divides}, r"__init__\(\) raises TypeError"),
    "ignores max_steps": ({"__init__": made}, "ignores max_steps"),
    "other spec": ({"__init__": lambda s, *_: setattr(s, "spec", None)}, "bound task's spec differs"),
    "no observation": (spec(observation=()), "has no observation"),
    "same names": (spec(observation=(SIGNAL, SIGNAL)), "2 observations named 'pole'"),
    "scale of zero": (spec(action=(sim2real.Signal("f", "N", 0.0),)), "'f' has a scale of 0.0"),
    "no time": (spec(control_dt=0.0), "must be above 0"),
}  # fmt: skip
NOTES = {
    "no unit": (spec(observation=(SIGNAL, sim2real.Signal("v", ""))), "observation v without a unit"),
    "unused draw": (
        {**spec(num_draws=3), **then("start", lambda _, a: tuple(part[:, [1]] for part in a))},
        "draws 0, 2 of 3 change nothing",
    ),
    "no draws": (
        {
            **spec(num_draws=0),
            "start": lambda self, ids, u: Sway.start(self, ids, np.full((len(ids), 1), 0.2)),
        },
        "no draws: every episode begins alike",
    ),
    "unused action": ({"command": lambda _, action: 0 * action}, "actions force change nothing"),
    "still observation": (then("observe", lambda _, a: a * 0), "observations pole, pole_speed never change"),
    "large observation": (then("observe", lambda _, a: a * 1e6), "are far from 1 after scaling"),
    "numpy alone": (
        {"observe": lambda s: np.stack((s.sim.qpos[:, 0], s.sim.qvel[:, 0]), axis=1)},
        r"it needs numpy: TypeError.*\(test_task.py, line \d+\); MuJoCo Warp can't run it",
    ),
    "numpy's constants": (
        {"command": lambda _, action: action * np.array([10.0])},
        "it needs numpy: TypeError",
    ),
}


@pytest.fixture
def cart(write_world):
    return sim2real.World.load(write_world())


def test_a_sound_task_passes(cart):
    assert check_task(cart, Sway) == ()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_by_name(cart, fault):
    body, said = FAULTS[fault]
    with (
        np.errstate(all="ignore"),
        pytest.raises(CheckFailed, match=f"^task sway:? .*{said}"),
    ):
        check_task(cart, type("Faulty", (Sway,), body))


@pytest.mark.parametrize("fault", NOTES)
def test_what_it_can_live_with_is_told(cart, fault):
    body, said = NOTES[fault]
    assert any(re.search(said, note) for note in check_task(cart, type("Odd", (Sway,), body)))


def test_on_warp_numpy_alone_is_refused(cart):
    body, _ = NOTES["numpy alone"]
    with pytest.raises(CheckFailed, match="it needs numpy"):
        check_task(cart, type("Odd", (Sway,), body), "warp")


@pytest.mark.parametrize("world", sorted(set(entries("envs")) - {"hopper"}))
def test_tasks_of_this_package_pass(world):
    assert check_task(world) == ()


def test_training_looks_at_ones_own_task_once(cart, tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.setattr(TASKS, "_registered", {})
    sim2real.register_task("sway")(type("Kept", (Sway,), {"start": forgetful, "__module__": "own"}))
    out = tmp_path / "policy"
    command = ["train", str(cart.path), "--task", "sway", "--steps", "256", "--out", str(out)]
    assert main(command) == 2
    assert "task sway keeps state from one episode to the next" in capsys.readouterr().err
    assert not out.exists()
    body, said = NOTES["no unit"]
    sim2real.register_task("sway")(type("Kept", (Sway,), {**body, "__module__": "own"}))
    assert main(command) == 0
    assert [said in record.message for record in caplog.records] == [True]
