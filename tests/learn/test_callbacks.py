"""A progress bar ends with the training, however that ends."""

import io

import pytest
from rich.console import Console
from stable_baselines3.common.callbacks import BaseCallback

from sim2real.env import Sim2RealVectorEnv
from sim2real.learn.callbacks import ProgressBar
from sim2real.learn.lean_ppo import LeanPPO
from sim2real.learn.learn import run
from sim2real.learn.progress import StepsShown
from sim2real.learn.settings import PPOSettings
from sim2real.learn.start import fresh_policy
from sim2real.learn.vec_env import SB3VecEnv
from sim2real.world import World

SETTINGS = PPOSettings(num_envs=4, rollout_steps=8, batch_size=32, epochs=1, hidden=(8,))


class Stop(BaseCallback):
    """Raises at a control step, as a budget or Ctrl-C does."""

    def __init__(self, error, step):
        super().__init__()
        self.error, self.step = error, step

    def _on_step(self):
        if self.num_timesteps >= self.step:
            raise self.error
        return True


@pytest.mark.parametrize("error", [None, RuntimeError("spent"), KeyboardInterrupt()])
def test_bar_ends_with_the_training(write_world, error):
    env = Sim2RealVectorEnv(World.load(write_world()), 4)
    model = LeanPPO(fresh_policy(env, SETTINGS, 0), SB3VecEnv(env), SETTINGS)
    bar = ProgressBar(256, "training")
    bar.shown = StepsShown("training", 256, Console(force_terminal=True, file=io.StringIO()))
    callbacks = [bar] if error is None else [bar, Stop(error, 100)]
    if error is None:
        run(model, 256, callbacks)
        assert model.num_timesteps == 256
    else:
        with pytest.raises(type(error)):
            run(model, 256, callbacks)
    assert not bar.shown.shows
    run(model, 32, [bar])  # and it can start again
    assert not bar.shown.shows


def test_where_no_terminal_is_a_line_tells_of_every_tenth():
    file = io.StringIO()
    shown = StepsShown("runs/[red]", 1000, Console(file=file, markup=False, highlight=False))
    shown.start()
    for steps in range(50, 1001, 50):
        shown.at(steps, [1.0, 2.0] if steps > 100 else [])
    shown.stop()
    lines = file.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("runs/[red]: 100 of 1,000 steps, return –, ")
    assert lines[-1] == "runs/[red]: 1,000 of 1,000 steps, return 1.5, 0 s left"
