"""A task of one's own: registered, given, offered by a package, or imported by the command line."""

import functools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import sim2real
from sim2real.cli import main
from sim2real.errors import InvalidValue, UnknownName
from sim2real.registry import Registry, import_module, load_module, pickled
from sim2real.tasks import TASKS, CartPole
from sim2real.transfer.remote import RemoteTarget
from sim2real.transfer.target import Budget

SWAY = """
import dataclasses

import numpy as np

import sim2real


@sim2real.register_task("sway")
class Sway:
    spec = sim2real.TaskSpec(
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

    def __init__(self, simulator, max_steps=None):
        self.spec = dataclasses.replace(self.spec, max_steps=max_steps or self.spec.max_steps)
        self.simulator = simulator

    def start(self, env_ids, u):
        return 0.1 * (u - 0.5), 0 * u, 0 * u

    def command(self, action):
        return 10 * action

    def outcome(self):
        angle = self.simulator.qpos[:, 0]
        return np.cos(angle), np.abs(angle) > 1.0

    def succeeded(self):
        return np.abs(self.simulator.qpos[:, 0]) < 0.1

    def observe(self):
        return np.stack([self.simulator.qpos[:, 0], self.simulator.qvel[:, 0] / 5.0], axis=1)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, write_world):
    """A user's folder with a world that names no task, and a module with one; nothing stays registered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(TASKS, "_registered", {})
    before = set(sys.modules)
    folder = write_world(name="cart")
    physics = folder / "physics.toml"
    physics.write_text(physics.read_text().replace('task = "cartpole"', ""))
    (tmp_path / "swaying.py").write_text(SWAY)
    yield tmp_path
    for name in {"swaying", str(tmp_path / "swaying.py")} - before:
        sys.modules.pop(name, None)


def returns(env):
    observation, _ = env.reset(seed=1)
    rewards = [env.step(np.tanh(observation[:, :1]))[1] for _ in range(20)]
    return np.array(rewards)


@pytest.mark.parametrize("module", ["swaying", "swaying.py"])
def test_name_class_and_world_lead_to_the_same_task(elsewhere, module):
    task = import_module(module).Sway
    by_name = sim2real.Sim2RealVectorEnv("cart", 3, task="sway")
    by_class = sim2real.Sim2RealVectorEnv("cart", 3, task=task)
    (elsewhere / "cart" / "physics.toml").write_text('task = "sway"')
    by_world = sim2real.Sim2RealVectorEnv("cart", 3)
    assert by_name.task.name == by_class.task.name == by_world.task.name == "sway"
    angle = np.array([env.reset(seed=1)[0][:, 0] for env in (by_name, by_class, by_world)])
    np.testing.assert_array_equal(angle, angle[:1].repeat(3, axis=0))
    np.testing.assert_array_equal(returns(by_name), returns(by_class))
    np.testing.assert_array_equal(returns(by_name), returns(by_world))
    assert import_module(module).Sway is task  # again, in one process


def test_a_task_overrides_that_of_the_world(elsewhere):
    import_module("swaying")
    (elsewhere / "cart" / "physics.toml").write_text('task = "cartpole"')
    assert sim2real.Sim2RealVectorEnv("cart").task.name == "cartpole"
    assert sim2real.Sim2RealVectorEnv("cart", task="sway").task.name == "sway"


def test_loading_a_world_imports_nothing(elsewhere):
    (elsewhere / "cart" / "task.py").write_text("raise SystemExit('code of a world has run')")
    sim2real.World.load("cart")
    with pytest.raises(InvalidValue, match=r"names no task.*--import .*cart/task.py"):
        sim2real.Sim2RealVectorEnv("cart")


def test_two_tasks_of_one_name_are_refused_by_name(elsewhere):
    Sway = import_module("swaying").Sway  # noqa: N806
    sim2real.register_task("sway")(type("Sway", (Sway,), {"__module__": "swaying"}))  # its cell, run again
    with pytest.raises(InvalidValue, match=r"two tasks are named 'sway', swaying.Sway and mine.Sway"):
        sim2real.register_task("sway")(type("Sway", (Sway,), {"__module__": "mine"}))
    with pytest.raises(InvalidValue, match="two tasks are named 'cartpole'"):
        sim2real.register_task("cartpole")(type("Cart", (CartPole,), {"__module__": "mine"}))


@pytest.mark.parametrize("task", [object, 3, functools.partial(CartPole), "no_such"])
def test_what_is_no_task_is_refused(task):
    with pytest.raises((InvalidValue, UnknownName), match=r"is no task|no_such"):
        sim2real.Sim2RealVectorEnv("cartpole", task=task)


def test_a_name_that_is_not_the_specs_is_refused():
    with pytest.raises(InvalidValue, match="registered as 'cart' is named 'cartpole' in its spec"):
        sim2real.register_task("cart")(CartPole)


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        ("nowhere", None, "there is no module nowhere in"),
        ("nowhere.py", None, "can't import nowhere.py: there is no file nowhere.py"),
        ("broken", "1 / 0", "broken can't be imported: ZeroDivisionError"),
        ("crooked", "def f(:", "crooked can't be imported: SyntaxError"),
        ("leaving", "raise SystemExit(3)", "leaving can't be imported: SystemExit"),
        ("needing", "import not_installed", "needing can't be imported: ModuleNotFoundError"),
        ("idle", "x = 1", "importing idle registers nothing"),
        ("json", None, "importing json registers nothing"),
        (".relative", None, ".relative can't be imported"),
    ],
)
@pytest.mark.parametrize("command", ["train", "audit", "parity"])
def test_a_module_that_brings_nothing_costs_one_sentence(elsewhere, capsys, command, module, text, said):
    if text is not None:
        (elsewhere / f"{module}.py").write_text(text)
    assert main([command, "cart", "--import", module]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_what_raises_in_the_middle_registers_nothing(elsewhere):
    (elsewhere / "halfway.py").write_text(SWAY + "\n1 / 0\n")
    with pytest.raises(InvalidValue, match="halfway can't be imported: ZeroDivisionError"):
        import_module("halfway")
    assert "sway" not in TASKS
    import_module("swaying")


def test_packages_offer_tasks(elsewhere, monkeypatch):
    offered = elsewhere / "offered-1.0.dist-info"
    offered.mkdir()
    (offered / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    points = "[sim2real.tasks]\nsway = swaying:Sway\nlost = swaying:Lost\nhopper = swaying:Sway\n"
    (offered / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(elsewhere))
    tasks = Registry("task", "sim2real.tasks", {"hopper": TASKS["hopper"]}, lambda _, task: task)
    assert "swaying" not in sys.modules
    assert list(tasks) == ["hopper", "sway", "lost"]
    assert tasks["sway"].spec.name == "sway"
    with pytest.raises(InvalidValue, match="task 'lost' of the package offered can't be loaded"):
        tasks["lost"]
    with pytest.raises(InvalidValue, match=r"two tasks are named 'hopper', .*Hopper and swaying.Sway"):
        tasks["hopper"]


@pytest.mark.slow
def test_train_and_evaluate_with_a_task_of_ones_own(elsewhere, capsys):
    own = ["--task", "sway", "--import", "swaying"]
    assert main(["train", "cart", "--steps", "4096", "--out", "swayer", *own]) == 0
    assert sim2real.Policy.load("swayer").contract.task == "sway"
    assert main(["evaluate", "swayer", "--variants", "heavy", "--episodes", "4", *own]) == 0
    assert "heavy" in capsys.readouterr().out


@pytest.mark.slow
def test_a_task_of_ones_own_goes_to_another_process(elsewhere):
    world = sim2real.World.load("cart").with_task("sway")
    import_module("swaying")
    with RemoteTarget(world, world.variant("heavy"), Budget(steps=400), num_envs=2) as target:
        assert target.task.name == "sway"
        seen, _ = target.reset(seed=0)
        assert target.step(np.zeros((2, 1), np.float32))[0].shape == seen.shape == (2, 2)
    # a file that no import finds there goes with it, unless it holds what can't go
    TASKS._registered.clear()
    file = import_module("swaying.py")
    with RemoteTarget(world, world.variant("heavy"), Budget(steps=400), num_envs=2) as target:
        assert np.array_equal(target.reset(seed=0)[0].shape, (2, 2))
    file.Sway.lock = threading.Lock()
    with pytest.raises(InvalidValue, match=r"task sway can't go to another process .*without open files"):
        RemoteTarget(world, world.variant("heavy"), Budget(steps=400))


def test_an_id_for_ones_own_world(elsewhere, monkeypatch):
    task = import_module("swaying").Sway
    sim2real.register_env("cart", id="mine/Sway-v0", task=task)
    monkeypatch.chdir("/")  # the id holds where the world is
    env = gym.make("mine/Sway-v0", domain="training")
    assert env.unwrapped.task.name == "sway"
    assert gym.make_vec("mine/Sway-v0", num_envs=3).num_envs == 3
    del gym.registry["mine/Sway-v0"]
    with pytest.raises(InvalidValue, match="gymnasium takes no id"):
        sim2real.register_env("cartpole", id="not an id")
    with pytest.raises(UnknownName, match="did you mean 'furuta'"):
        sim2real.register_env("furutta", id="mine/Sway-v1")


@pytest.mark.slow
def test_two_threads_may_pickle_what_a_file_defines_at_once(elsewhere):
    Path("beside.py").write_text("class Beside:\n    value = 3\n")
    thing = load_module("beside.py").Beside()
    barrier = threading.Barrier(4)

    def there(_):
        barrier.wait()
        return [pickled(thing) for _ in range(50)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            contents = {content for some in threads.map(there, range(4)) for content in some}
    finally:
        sys.setswitchinterval(interval)
    code = f"import pickle, sys; print(pickle.loads({min(contents)!r}).value)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd="/", text=True) == "3\n"
