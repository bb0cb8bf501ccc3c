"""A progress bar ends with the training, however that ends."""

import pytest
from stable_baselines3.common.callbacks import BaseCallback

from sim2real.env import Sim2RealVectorEnv
from sim2real.train.callbacks import ProgressBar, learn
from sim2real.train.ppo import PPOSettings, build_ppo
from sim2real.train.vec_env import SB3VecEnv
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
    model = build_ppo(SB3VecEnv(env), SETTINGS, 0, logs=None)
    bar = ProgressBar(256, "training")
    callbacks = [bar] if error is None else [bar, Stop(error, 100)]
    if error is None:
        learn(model, 256, callbacks)
        assert model.num_timesteps == 256
    else:
        with pytest.raises(type(error)):
            learn(model, 256, callbacks)
    assert not bar._progress.live.is_started
    learn(model, 32, [bar])  # and it can start again
    assert not bar._progress.live.is_started
