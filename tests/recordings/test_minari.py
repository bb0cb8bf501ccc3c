import sys

import gymnasium
import h5py
import numpy as np
import pytest

from sim2real.errors import MissingExtra, RecordingError
from sim2real.recordings import load_recordings

MAPPING = """
period = 0.05
robot = "pair"

[joints.hip]
command = "actions[1]"
position = "observations/qpos[0]"
velocity = "observations/qvel[0]"

[joints.knee]
command = "actions[0]"
position = "observations/qpos[1]"
velocity = "observations/qvel[1]"
unit = "deg"
"""


@pytest.fixture
def folder(tmp_path):
    """The layout that Minari 0.5 writes, with observations as a dictionary."""
    data = tmp_path / "arm" / "wave-v0" / "data"
    data.mkdir(parents=True)
    with h5py.File(data / "main_data.hdf5", "w") as file:
        for episode in (0, 2, 10):
            group = file.create_group(f"episode_{episode}")
            rng = np.random.default_rng(episode)
            group["actions"] = rng.normal(size=(30, 2)).astype(np.float32)
            group["observations/qpos"] = rng.normal(size=(31, 3))
            group["observations/qvel"] = rng.normal(size=(31, 3))
            group["rewards"] = np.zeros(30)
    (data / "metadata.json").write_text("{}")
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return tmp_path


def test_episodes_are_read_as_the_mapping_says(folder):
    read = load_recordings(folder)
    assert [r.name for r in read] == [f"arm/wave-v0/episode_{i}" for i in (0, 10, 2)]
    rng = np.random.default_rng(0)
    actions, qpos, qvel = (
        rng.normal(size=(30, 2)).astype(np.float32),
        rng.normal(size=(31, 3)),
        rng.normal(size=(31, 3)),
    )
    assert (read[0].joints, read[0].robot) == (("hip", "knee"), "pair")
    assert np.array_equal(read[0].command[:, 0], actions[:, 1])
    assert np.array_equal(read[0].position[:, 0], qpos[:30, 0])
    assert read[0].position[:, 1] == pytest.approx(np.radians(qpos[:30, 1]))
    assert np.array_equal(read[0].velocity[:, 0], qvel[:30, 0])
    assert read[0].time == pytest.approx(np.arange(30) * 0.05)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Minari's, on what it takes as defaults
def test_a_set_that_minari_made_is_read(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    from minari.data_collector.episode_buffer import EpisodeBuffer

    rng = np.random.default_rng(0)
    observations, actions = rng.normal(size=(21, 2)), rng.normal(size=(20, 1))
    zeros, over = [0.0] * 20, [False] * 20
    buffer = EpisodeBuffer(
        id=0,
        observations=list(observations),
        actions=list(actions),
        rewards=zeros,
        terminations=over,
        truncations=over,
    )
    box = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    minari.create_dataset_from_buffers(
        dataset_id="pendulum/swing-v0", buffer=[buffer], env=None, observation_space=box,
        action_space=gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64), algorithm_name="x", author="x",
        description="made for a test",
        author_email="x@example.org", code_permalink="x", data_format="hdf5",
    )  # fmt: skip
    (tmp_path / "mapping.toml").write_text(
        'period = 0.02\n[joints.hinge]\ncommand = "actions[0]"\nposition = "observations[1]"\n'
    )
    [swing] = load_recordings(tmp_path)
    assert swing.name == "pendulum/swing-v0/episode_0"
    assert np.array_equal(swing.position[:, 0], observations[:20, 1])
    assert np.array_equal(swing.command, actions)


def test_a_set_kept_as_arrow_is_refused_by_name(tmp_path):
    data = tmp_path / "wave-v0" / "data" / "0"
    data.mkdir(parents=True)
    (data / "part-0.arrow").write_bytes(b"ARROW1")
    with pytest.raises(RecordingError, match=r'part-0\.arrow is of a Minari set .*data_format="hdf5"'):
        load_recordings(tmp_path)


def test_without_a_mapping_it_says_what_is_there(folder):
    (folder / "mapping.toml").unlink()
    with pytest.raises(
        RecordingError, match=r"which number is which joint's \(.*observations/qpos \(31, 3\).*mapping"
    ):
        load_recordings(folder)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("period = 0.05", "", "has no stamps; give the seconds per step as period"),
        ("actions[1]", "actions[5]", r"there is no 'actions\[5\]'; actions has 2 columns"),
        ("actions[1]", "actions", r"'actions' has 2 columns; say which one, such as 'actions\[0\]'"),
        ("actions[1]", "commands[1]", r"there is no 'commands\[1\]'; it has actions \(30, 2\)"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(folder, old, new, says):
    path = folder / "mapping.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RecordingError, match=says):
        load_recordings(folder)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.6, 0.95])
def test_a_truncated_file_is_refused(folder, kept):
    path = folder / "arm" / "wave-v0" / "data" / "main_data.hdf5"
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(RecordingError, match=r"main_data\.hdf5: not a readable HDF5 file .*Copy it again"):
        load_recordings(folder)


def test_a_missing_observation_is_said(folder):
    with h5py.File(folder / "arm" / "wave-v0" / "data" / "main_data.hdf5", "r+") as file:
        del file["episode_0/observations"]
        file["episode_0/observations/qpos"] = np.zeros((25, 3))
        file["episode_0/observations/qvel"] = np.zeros((25, 3))
    with pytest.raises(RecordingError, match="25 observations for 30 actions"):
        load_recordings(folder)


def test_without_the_package_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"sim2real\[recordings\]"):
        load_recordings(folder)


@pytest.mark.parametrize(
    ("ending", "episodes", "names"),
    [
        (".hdf5", [""], ["run"]),
        (".h5", [""], ["run"]),
        (".hdf5", ["data/demo_0/", "data/demo_1/"], ["run/data/demo_0", "run/data/demo_1"]),
    ],
    ids=["aloha", "droid", "robomimic"],
)
def test_files_of_others_are_read_as_the_mapping_says(tmp_path, ending, episodes, names):
    rng = np.random.default_rng(0)
    actions, qpos = rng.normal(size=(2, 20, 2))
    with h5py.File(tmp_path / f"run{ending}", "w") as file:
        for episode in episodes:
            file[f"{episode}action"] = actions
            file[f"{episode}observations/qpos"] = qpos
            file[f"{episode}observations/images/top"] = np.zeros((20, 4, 4, 3), np.uint8)
    with pytest.raises(RecordingError, match="HDF5, which says of no number what it is; write a mapping"):
        load_recordings(tmp_path)
    columns = 'command = "action[1]"\nposition = "observations/qpos[0]"\n'
    (tmp_path / "mapping.toml").write_text(f"period = 0.02\n[joints.waist]\n{columns}")
    read = load_recordings(tmp_path)
    assert [recording.name for recording in read] == names
    for recording in read:
        assert np.array_equal(recording.command[:, 0], actions[:, 1])
        assert np.array_equal(recording.position[:, 0], qpos[:, 0])
