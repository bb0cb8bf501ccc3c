"""Worker processes: the same bits as none, and nothing left behind."""

import os
import signal
import time

import numpy as np
import pytest

from sim2real.errors import InvalidValue
from sim2real.simulators.bullet import BulletSimulator
from sim2real.world import World

N = 5


def episode(simulator):
    """All that a simulator shows, over steps of all and of some simulations, with laws between."""
    world, rng = simulator.world, np.random.default_rng(0)
    low, high = world.model.actuator_ctrlrange.T
    site, force = simulator.site("gripperframe"), simulator.force("gripper")
    dry, felt = simulator.dry_friction(), simulator.actuator_force()
    most, load, speed = simulator.force_limit(), simulator.load_force(), simulator.speed()
    domain = world.training_domain
    physics = domain.quantile(rng.uniform(size=(N, len(domain.names))))
    simulator.set_physics(np.arange(N), domain.names, physics)
    zeros = np.zeros((N, 6))
    simulator.reset(np.arange(N), zeros, zeros, zeros)
    force[2, :3] = 0.1, 0.2, 0.3
    calls = []

    def between():
        calls.append(None)
        dry[:, -1] = 0.01 * (len(calls) % 5) + 1e-3 * np.abs(load[:, 2])
        most[:, 1] = -2.0, 2.0

    shown = []
    for k in range(12):
        some = np.array([0, 2, 4]) if k % 3 == 1 else None
        simulator.step(rng.uniform(low, high, (N, 6)), 4, some, between if k % 4 == 3 else None)
        arrays = simulator.qpos, simulator.qvel, site, felt, dry, force, load, speed, most[:, 1]
        shown.append(np.concatenate(arrays, axis=1))
        if k == 6:
            simulator.reset(np.array([1, 4]), zeros[:2], zeros[:2], zeros[:2])
    assert len(calls) == 12
    return np.array(shown)


@pytest.fixture(scope="module")
def so101():
    return World.load("so101")


@pytest.fixture
def make(so101):
    made = []

    def start(workers):
        made.append(BulletSimulator(so101, N, workers))
        return made[-1]

    yield start
    for simulator in made:
        simulator.close()


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_bits(make):
    np.testing.assert_array_equal(episode(make(3)), episode(make(1)))


def processes(simulator):
    return [worker._process for worker in simulator._side._crew.workers]


@pytest.mark.slow
@pytest.mark.parametrize("closed", [True, False])
def test_no_process_is_left_of_a_closed_or_forgotten_simulator(so101, closed):
    simulator = BulletSimulator(so101, 2, 2)
    started = processes(simulator)
    assert [process.poll() for process in started] == [None, None]
    if closed:
        simulator.close()
    del simulator
    assert [process.returncode for process in started] == [0, 0]


@pytest.mark.slow
def test_a_worker_that_died_is_missed(make):
    simulator = make(2)
    processes(simulator)[1].kill()
    with pytest.raises(RuntimeError, match=r"ended with exit code -9; make the simulator anew"):
        simulator.step(np.zeros((N, 6)), 1)


@pytest.mark.slow
def test_an_interrupt_and_a_mistake_leave_workers_in_step(make):
    simulator = make(2)
    zeros, first = np.zeros((N, 6)), simulator._side._crew.workers[0]
    simulator.reset(np.arange(N), zeros, zeros, zeros)
    for process in processes(simulator):
        process.send_signal(signal.SIGINT)
    first.ask("step", None, 1)  # its answer is never read
    first.ask("set_physics", np.array([0]), ("servos.mass",), np.ones((1, 1)))
    with pytest.raises(InvalidValue, match=r"servos\.mass"):
        first.awaited()
    before = simulator.qpos.copy()
    simulator.reset(np.arange(N), zeros + 0.1, zeros, zeros)
    simulator.step(zeros, 1)
    assert np.abs(simulator.qpos - before).max() > 0.05


@pytest.mark.slow
def test_workers_end_with_a_process_that_is_killed(python):
    pytest.importorskip("pybullet")
    program = """
import os, signal, sys
import numpy as np
from sim2real.simulators.bullet import BulletSimulator
from sim2real.world import World
simulator = BulletSimulator(World.load("furuta"), 4, 2)
print(*[worker._process.pid for worker in simulator._side._crew.workers], flush=True)
sys.stdout.close()
if os.fork():
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    pids = [int(pid) for pid in python(program).split()]
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def test_too_few_simulations_stay_in_this_process(so101):
    simulator = BulletSimulator(so101, 3)
    assert not hasattr(simulator._side, "_crew")
    with pytest.raises(InvalidValue, match="num_threads"):
        BulletSimulator(so101, 3, -1)
