"""What is watched is what is evaluated, seen from where all of it is seen."""

import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest
from PIL import Image

from sim2real.cli import main
from sim2real.domain import Domain
from sim2real.errors import InvalidValue, MissingDisplay, PolicyError
from sim2real.evaluate.rollouts import Trials, run_policies
from sim2real.foreign import load_policy
from sim2real.playback import Clip, play, record, write_video
from sim2real.playback.drawing import View, pictures, visible
from sim2real.playback.video import ffmpeg
from sim2real.playback.viewer import add_ghost, pose
from sim2real.policy import Policy
from sim2real.world import CONTROL, World

BALL = """
<mujoco><worldbody>
  <light pos="0 0 4"/><geom type="plane" size="0 0 1" rgba="0.3 0.3 0.3 1"/>
  <body pos="0 0 1"><joint type="slide" axis="0 0 1"/><geom size="0.2" rgba="1 0 0 1"/></body>
</worldbody></mujoco>
"""


@pytest.fixture
def ball():
    """A red ball that rises from 1 m to 3 m within a second."""
    heights = np.linspace(0.0, 2.0, 11)[:, None]
    return Clip("rises", mujoco.MjModel.from_xml_string(BALL), heights, 0.1, 0.0, "")


@pytest.fixture
def drawing():
    """Skips where nothing can be drawn."""
    try:
        with pictures(mujoco.MjModel.from_xml_string(BALL), View(np.array([0, 0, 1.0]), 1.0), 16, 16):
            pass
    except MissingDisplay as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("variant", [CONTROL, "combined_a"])
def test_the_motion_is_that_of_an_evaluation(variant):
    world, policy = World.load("furuta"), Policy.load("furuta-nominal-0")
    motion = record(world, world.variant(variant), policy)
    table = run_policies(world, [policy], [variant], Trials(1))
    row = np.flatnonzero(table["variant"] == variant)[0]
    assert motion.total == pytest.approx(float(table["return"][row]), abs=1e-9)
    assert len(motion.qpos) == table["length"][row] + 1
    assert (motion.end == "success") == bool(table["success"][row])


def test_a_motion_is_cut_off_and_shows_the_variants_own_bodies():
    world = World.load("hopper").for_domain(Domain.from_toml({"parameters": {"torso.mass": 9.0}}))
    variant = world.variants[CONTROL]
    heavy = type(variant)("heavy", "combined", {"torso.mass": 9.0})
    motion = record(world, heavy, load_policy(lambda seen: np.zeros((len(seen), 3))), seconds=0.05)
    assert motion.seconds == pytest.approx(0.05)
    assert motion.model.body("torso").mass[0] == pytest.approx(9.0)


def test_an_engine_of_another_kind_is_drawn_by_its_positions():
    world = World.load("gym:Hopper-v5")
    motion = record(world, world.variant(CONTROL), load_policy(lambda seen: np.zeros((len(seen), 3))))
    assert motion.qpos.shape[1] == motion.model.nq == 6
    assert motion.end == "fell"


def test_the_view_holds_all_that_moves(ball):
    view = View.of(ball.model, ball.qpos)
    np.testing.assert_allclose(view.centre, [0, 0, 2.0])
    assert view.radius == pytest.approx(np.linalg.norm([0.4, 0.4, 2.4]) / 2)
    other = View(np.array([5.0, 0, 2.0]), 0.5)
    both = view.joined(other)
    for one in (view, other):
        assert np.linalg.norm(one.centre - both.centre) + one.radius <= both.radius * np.sqrt(3) + 1e-9


@pytest.mark.parametrize(
    ("geom", "groups", "boxes"),
    [("<geom size='0.1'/>", 3, False), ("<geom size='0.1' group='3'/>", 6, False), ("", 6, True)],
    ids=["usual", "only collides", "no shape"],
)
def test_bodies_without_a_shape_to_draw_are_drawn_all_the_same(geom, groups, boxes):
    body = f"<body><joint/><inertial pos='0 0 0' mass='1' diaginertia='1 1 1'/>{geom}</body>"
    option = visible(mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{body}</worldbody></mujoco>"))
    assert option.geomgroup.sum() == groups
    assert bool(option.flags[mujoco.mjtVisFlag.mjVIS_INERTIA]) == boxes


@pytest.mark.usefixtures("drawing")
def test_a_ball_that_rises_rises_in_the_picture(ball):
    view, middles = View.of(ball.model, ball.qpos), []
    with pictures(ball.model, view, 120, 90) as drawn:
        for qpos in ball.qpos:
            picture = drawn(qpos).astype(int)
            red = picture[..., 0] > 2 * picture[..., 1] + 20
            assert red.sum() > 10
            middles.append(np.nonzero(red)[0].mean())
    assert (np.diff(middles) < 0).all()
    assert 0 < min(middles) < max(middles) < 90


@pytest.mark.slow
@pytest.mark.usefixtures("drawing")
@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_motions_stand_side_by_side_in_real_time(ball, tmp_path, suffix):
    still = Clip("stays", ball.model, ball.qpos[:1], 0.1, 0.0, "fell")
    write_video([ball, still], tmp_path / f"play{suffix}")
    with Image.open(tmp_path / f"play{suffix}") as video:
        assert video.size == (960, 360)
        last = np.array([picture_of(video, k) for k in (0, video.n_frames - 1)]).astype(int)
        seconds = sum(duration_of(video, k) for k in range(video.n_frames))
    assert seconds == pytest.approx(1.04, abs=0.05)
    left, right = last[:, 60:, :480], last[:, 60:, 480:]
    assert differing(left[0], right[0]) == 0  # begun alike
    assert differing(left[1], right[1]) > 500  # two balls
    assert differing(right[0], right[1]) == 0


def differing(one, other):
    """Pixels that differ by more than what a codec loses."""
    return (np.abs(one - other).max(axis=-1) > 60).sum()


def picture_of(video, number):
    video.seek(number)
    return np.asarray(video.convert("RGB"))


def duration_of(video, number):
    video.seek(number)
    video.load()
    return video.info["duration"] / 1000


@pytest.mark.usefixtures("drawing")
@pytest.mark.skipif(ffmpeg() is None, reason="ffmpeg is not installed")
def test_mp4_where_there_is_ffmpeg(ball, tmp_path):
    write_video([ball], tmp_path / "play.mp4")
    assert b"ftyp" in (tmp_path / "play.mp4").read_bytes()[:16]


def test_the_command_writes_where_there_is_no_display(tmp_path, monkeypatch, capsys, drawing):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["play", "furuta-nominal-0", "--variant", "combined_a", "--seconds", "0.2"]) == 0
    told = capsys.readouterr().out
    assert "combined_a: 0.2 s, return" in told
    with Image.open(tmp_path / "runs" / "play-furuta-nominal-0.webp") as video:
        assert video.size == (960, 360)


def test_ghosts_are_hardly_opaque_and_only_what_moves(ball):
    scene, data = mujoco.MjvScene(ball.model, 100), mujoco.MjData(ball.model)
    pose(ball, data, 0.55)
    assert data.qpos[0] == pytest.approx(1.0)
    add_ghost(scene, ball.model, data)
    assert scene.ngeom == 1
    np.testing.assert_allclose(scene.geoms[0].pos, [0, 0, 2.0], atol=1e-6)
    assert scene.geoms[0].rgba[3] == 0.25
    pose(ball, data, 99.0)
    assert data.qpos[0] == 2.0


def test_other_files_are_refused_before_anything_is_played(tmp_path, capsys, monkeypatch):
    assert main(["play", "furuta-nominal-0", "--video", str(tmp_path / "play.avi")]) == 2
    assert "none of .mp4, .webp, .gif" in capsys.readouterr().err
    monkeypatch.setattr("sim2real.playback.video.ffmpeg", lambda: None)
    assert main(["play", "furuta-nominal-0", "--video", str(tmp_path / "play.mp4")]) == 2
    assert "needs ffmpeg" in capsys.readouterr().err
    with pytest.raises(PolicyError, match="does not fit"):
        record(World.load("hopper"), World.load("hopper").variant(CONTROL), Policy.load("furuta-nominal-0"))


@pytest.mark.slow
def test_a_machine_that_cannot_draw_says_so_in_a_sentence(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sim2real",
            "play",
            "furuta-nominal-0",
            "--seconds",
            "0.1",
            "--video",
            "p.webp",
        ],
        cwd=tmp_path,
        env={**os.environ, "MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "osmesa"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "nothing here can draw without a window" in done.stderr
    assert list(tmp_path.iterdir()) == []


DRAWN = """
import gymnasium as gym
import numpy as np


class Dot(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    dt = 0.1
    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))
    gain = 1.0

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0.0
        return np.array([self.place]), {}

    def step(self, action):
        self.place += self.gain * action[0]
        return np.array([self.place]), self.place, False, False, {}

    def render(self):
        picture = np.zeros((40, 80, 3), np.uint8)
        picture[:, int(4 * self.place)] = 255
        return picture


class Bare(Dot):
    metadata = {"render_modes": [], "render_fps": 10}


gym.register("Dot-v0", Dot, max_episode_steps=8)
gym.register("Bare-v0", Bare, max_episode_steps=8)
"""


def test_an_env_that_only_itself_can_draw_draws_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dotted.py").write_text(DRAWN)
    world = World.load("gym:dotted:Dot-v0")
    push = load_policy(lambda seen: np.ones((len(seen), 1)))
    (tmp_path / "fast.toml").write_text("[parameters]\n'env.gain' = 2.0\n")
    motions = play(push, world, "fast.toml", tmp_path / "dots.gif")
    for motion, gain in zip(motions, (1, 2), strict=True):
        assert [int(picture[0, :, 0].argmax()) for picture in motion.pictures] == [
            4 * gain * k for k in range(9)
        ]
    with Image.open(tmp_path / "dots.gif") as video:
        assert video.size == (960, 360)
        columns = picture_of(video, video.n_frames - 1)[180, :, 0]
    middles = [np.nonzero(half > 128)[0].mean() for half in (columns[:480], columns[480:])]
    assert middles == pytest.approx([32.5 * 6, 64.5 * 6], abs=3)
    bare = World.load("gym:dotted:Bare-v0")
    with pytest.raises(InvalidValue, match="Bare-v0 draws no pictures; give it a render"):
        play(push, bare, video=tmp_path / "no.gif")
