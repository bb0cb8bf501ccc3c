import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from sim2real.errors import RecordingError
from sim2real.recordings import load_recordings, read_raw, write_lerobot


@pytest.fixture
def folder(recordings, tmp_path):
    write_lerobot(recordings, str(tmp_path / "set"))
    return tmp_path / "set"


def info_of(folder):
    return json.loads((folder / "meta" / "info.json").read_text())


def with_info(folder, **changes):
    (folder / "meta" / "info.json").write_text(json.dumps(info_of(folder) | changes))


def test_what_was_written_is_read_to_the_bit(recordings, folder, same):
    read = load_recordings(folder)
    assert [recording.name for recording in read] == ["set/episode_000000", "set/episode_000001"]
    for one, other in zip(recordings, read, strict=True):
        same(one, other)


def test_float32_values_stay_float32(recordings, tmp_path, same):
    short = [
        dataclasses.replace(
            r,
            **{
                key: getattr(r, key).astype(np.float32).astype(float)
                for key in ("command", "position", "velocity")
            },
        )
        for r in recordings
    ]
    write_lerobot(short, tmp_path / "set")
    types = parquet.read_schema(tmp_path / "set" / "data" / "chunk-000" / "file-000.parquet")
    assert types.field("action").type == pa.list_(pa.float32(), 6)
    assert info_of(tmp_path / "set")["features"]["action"]["dtype"] == "float32"
    same(short[1], load_recordings(tmp_path)[1])


def test_own_stamps_of_measurements_survive(recordings, tmp_path, same):
    late = [dataclasses.replace(r, state_time=r.time + 0.005, velocity=None) for r in recordings]
    write_lerobot(late, tmp_path / "set")
    for one, other in zip(late, load_recordings(tmp_path), strict=True):
        same(one, other)


def test_one_joint_is_a_plain_column(recordings, tmp_path, same):
    first = recordings[0]
    single = dataclasses.replace(
        first,
        joints=("hip",),
        units=(),
        velocity=None,
        command=first.command[:, :1],
        position=first.position[:, :1],
    )
    write_lerobot([single], tmp_path / "set")
    types = parquet.read_schema(tmp_path / "set" / "data" / "chunk-000" / "file-000.parquet")
    assert types.field("observation.state").type == pa.float64()
    same(single, load_recordings(tmp_path)[0])


def test_the_layout_is_the_documented_one(recordings, folder):
    """Names, types and totals of LeRobot's documentation of version 3."""
    info = info_of(folder)
    assert info["codebase_version"] == "v3.0"
    assert (info["total_episodes"], info["total_frames"], info["fps"]) == (2, 80, 50)
    assert info["splits"] == {"train": "0:2"}
    frames = parquet.read_table(folder / info["data_path"].format(chunk_index=0, file_index=0))
    assert set(frames.column_names) == set(info["features"])
    assert frames.schema.field("timestamp").type == pa.float32()
    for key in ("frame_index", "episode_index", "index", "task_index"):
        assert frames.schema.field(key).type == pa.int64()
    assert frames["index"].to_pylist() == list(range(80))
    assert frames["frame_index"].to_pylist() == list(range(40)) * 2
    episodes = parquet.read_table(folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [episode["length"] for episode in episodes] == [40, 40]
    assert [(e["dataset_from_index"], e["dataset_to_index"]) for e in episodes] == [(0, 40), (40, 80)]
    assert episodes[1]["tasks"] == ["motion"]
    assert (episodes[1]["data/chunk_index"], episodes[1]["data/file_index"]) == (0, 0)
    stats = json.loads((folder / "meta" / "stats.json").read_text())
    both = np.concatenate([recording.command for recording in recordings])
    assert stats["action"]["mean"] == pytest.approx(both.mean(axis=0))
    assert stats["action"]["count"] == [80]
    tasks = parquet.read_table(folder / "meta" / "tasks.parquet")
    note = json.loads(tasks.schema.metadata[b"pandas"])
    assert note["index_columns"] == ["__index_level_0__"]
    assert tasks.to_pylist() == [{"task_index": 0, "__index_level_0__": "motion"}]


def test_a_foreign_set_is_read_by_its_documented_parts(tmp_path):
    """No columns of ours, several files, variable lists, names with .pos and one more state."""
    folder = tmp_path / "arm"
    data = folder / "data" / "chunk-000"
    data.mkdir(parents=True)
    (folder / "meta").mkdir()
    for episode in range(2):
        table = {
            "observation.state": pa.array([[i, 2.0 * i, 9.0] for i in range(5)], pa.list_(pa.float32())),
            "action": pa.array([[3.0 * i, i] for i in range(5)], pa.list_(pa.float32())),
            "timestamp": pa.array([i / 30 for i in range(5)], pa.float32()),
            "frame_index": pa.array(range(5)),
            "episode_index": pa.array([episode] * 5),
        }
        parquet.write_table(pa.table(table), data / f"file-{episode:03d}.parquet")
    numbers = {"dtype": "float32", "shape": [1], "names": None}
    features = {
        "observation.state": {"names": {"motors": ["b.pos", "a.pos", "current"]}},
        "action": {"names": ["a.pos", "b.pos"]},
        **{key: numbers for key in ("timestamp", "frame_index", "episode_index")},
    }
    info = {"codebase_version": "v3.0", "robot_type": "so101_follower", "fps": 30, "features": features}
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    (tmp_path / "mapping.toml").write_text(
        '[joints.pan]\nsource = "a"\nunit = "deg"\n[joints.lift]\nsource = "b"\n'
    )
    first, second = load_recordings(tmp_path)
    assert second.name == "arm/episode_000001"
    assert (first.joints, first.units, first.robot) == (("pan", "lift"), ("rad", "rad"), "so101_follower")
    assert first.command[4] == pytest.approx([np.radians(12.0), 4.0])
    assert first.position[4] == pytest.approx([np.radians(8.0), 4.0])
    assert first.time == pytest.approx(np.arange(5) / 30, abs=1e-7)
    assert first.velocity is None


@pytest.mark.parametrize(
    ("stated", "read"),
    [
        (["m", "deg", "rad"], ("deg", "m")),
        ("deg", ("deg", "deg")),
        (None, ()),
        (["m"], None),
    ],
)
def test_units_go_with_the_numbers_of_the_state(tmp_path, stated, read):
    """Which has an order of its own, and another number."""
    folder = tmp_path / "arm"
    (folder / "data" / "chunk-000").mkdir(parents=True)
    (folder / "meta").mkdir()
    table = {
        "observation.state": [[i, 2.0 * i, 9.0] for i in range(5)],
        "action": [[3.0 * i, i] for i in range(5)],
        "timestamp": [i / 30 for i in range(5)],
        "frame_index": range(5),
        "episode_index": [0] * 5,
    }
    parquet.write_table(pa.table(table), folder / "data" / "chunk-000" / "file-000.parquet")
    state = {"names": ["b", "a", "current"], "units": stated}
    features = {key: {"names": None} for key in ("timestamp", "frame_index", "episode_index")}
    features |= {"observation.state": state, "action": {"names": ["a", "b"]}}
    info = {"codebase_version": "v3.0", "features": features}
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    if read is None:
        with pytest.raises(RecordingError, match="1 units for 2 joints"):
            load_recordings(folder)
        return
    assert load_recordings(folder)[0].units == read


@pytest.mark.parametrize(
    "what", ["data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"]
)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_table_is_refused(folder, what, kept):
    path = folder / what
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(RecordingError, match=r"parquet: not a readable Parquet file .*Copy it again"):
        load_recordings(folder)


def test_a_truncated_description_is_refused(folder):
    path = folder / "meta" / "info.json"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RecordingError, match=r"info\.json is not a JSON file"):
        load_recordings(folder)


def test_missing_frames_are_counted(folder):
    path = folder / "data" / "chunk-000" / "file-000.parquet"
    parquet.write_table(parquet.read_table(path).slice(0, 70), path)
    with pytest.raises(RecordingError, match="episode 1 should have 40 frames and has 30"):
        load_recordings(folder)


def test_missing_data_are_said(folder):
    (folder / "data" / "chunk-000" / "file-000.parquet").unlink()
    with pytest.raises(RecordingError, match=r"no frames under .*copy data/ as well"):
        load_recordings(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"codebase_version": "v1.6"}, "has version v1.6; v2 and v3 are read"),
        ({"features": {"action": {}}}, "no feature 'observation.state'; it has action"),
        ({"total_episodes": 3}, "counts 3 episodes and data/ holds 2"),
        ({"total_episodes": "2"}, "total_episodes is '2', not a whole number"),
        ({"total_frames": 100}, "counts 100 frames and data/ holds 80"),
    ],
)
def test_another_description_is_refused(folder, changes, says):
    with_info(folder, **changes)
    with pytest.raises(RecordingError, match=says):
        load_recordings(folder)


def test_an_action_that_is_no_joint_position_is_refused(folder):
    features = info_of(folder)["features"]
    features["action"]["names"] = ["x", "y", "z", "rx", "ry", "rz"]
    with_info(folder, features=features)
    with pytest.raises(RecordingError, match=r"action has 'x' and observation\.state has not"):
        load_recordings(folder)


def test_recordings_that_differ_are_not_put_into_one_set(recordings, tmp_path):
    other = dataclasses.replace(recordings[1], robot="so100")
    with pytest.raises(RecordingError, match="two and one differ in their robot"):
        write_lerobot([recordings[0], other], tmp_path / "set")
    with pytest.raises(RecordingError, match="no recordings to write"):
        write_lerobot([], tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("frames/part-{chunk_index:03d}/rows_{file_index:05d}.parquet", "frames/part-000/rows_00000.parquet"),
        ("[all] {file_index}.parquet", "[all] 0.parquet"),
    ],
)
def test_frames_are_where_the_set_says(recordings, same, tmp_path, template, place):
    folder = tmp_path / "set"
    write_lerobot(recordings, folder)
    [plain, _] = load_recordings(folder)
    info = json.loads((folder / "meta" / "info.json").read_text())
    (folder / "meta" / "info.json").write_bytes(
        b"\xef\xbb\xbf" + json.dumps({**info, "data_path": template, "video_path": None}).encode()
    )
    with pytest.raises(RecordingError, match="no frames under"):
        load_recordings(folder)
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    next((folder / "data").rglob("*.parquet")).rename(folder / place)
    same(plain, load_recordings(folder)[0])


@pytest.mark.parametrize("template", ["../{file_index}.parquet", "/data/{file_index}.parquet", ""])
def test_frames_are_looked_for_in_the_set_alone(recordings, tmp_path, template):
    write_lerobot(recordings, tmp_path / "set")
    path = tmp_path / "set" / "meta" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "data_path": template}))
    with pytest.raises(RecordingError, match="it must lead to files of the set"):
        load_recordings(tmp_path / "set")


def foreign(folder, version="v3.0", fps=50, step=0.02, **features):
    """A set without columns of ours: two episodes of two joints, with velocities of their own order."""
    (folder / "meta").mkdir(parents=True)
    old = version.startswith("v2")
    data = folder / "data" / "chunk-000"
    data.mkdir(parents=True)
    for episode in range(2):
        wave = np.sin(0.3 * np.arange(40)[:, None] + np.array([episode, 1.0]))
        table = {
            "observation.state": list(wave),
            "action": list(1.1 * wave),
            "observation.velocity": list(wave[:, ::-1] * 10),
            "timestamp": np.float32(step * np.arange(40)),
            "frame_index": np.arange(40),
            "episode_index": np.full(40, episode),
        }
        name = f"episode_{episode:06d}" if old else f"file-{episode:03d}"
        parquet.write_table(pa.table(table), data / f"{name}.parquet")
    known = {key: {"shape": [2], "names": ["a.pos", "b.pos"]} for key in ("observation.state", "action")}
    known["observation.velocity"] = {"shape": [2], "names": ["b.vel", "a.vel"]}
    known |= {key: {"shape": [1], "names": None} for key in ("timestamp", "frame_index", "episode_index")}
    known |= {key.replace("_", "."): known[key.replace("_", ".")] | value for key, value in features.items()}
    info = {"codebase_version": version, "fps": fps, "total_frames": 80, "features": known}
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    if old:
        lines = [json.dumps({"episode_index": k, "tasks": ["x"], "length": 40}) for k in range(2)]
        (folder / "meta" / "episodes.jsonl").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
def test_velocities_go_by_their_own_names_in_every_version(tmp_path, version):
    for recording in load_recordings(foreign(tmp_path / "set", version)):
        assert recording.velocity == pytest.approx(10 * recording.position)
        assert recording.command == pytest.approx(1.1 * recording.position)


@pytest.mark.parametrize(
    "names",
    [
        [["a.pos", "b.pos"]],
        {"motors": [["a.pos", "b.pos"]]},
        [["a"], ["b"]],
        {"left": ["a"], "right": ["b"]},
        {"b": 1, "a": 0},
    ],
)
def test_names_may_be_nested(tmp_path, names):
    """As Unitree's sets have them, or by limb, or a place by name."""
    [plain, _] = load_recordings(foreign(tmp_path / "plain"))
    [nested, _] = load_recordings(foreign(tmp_path / "set", action={"names": names}))
    assert nested.joints == ("a", "b")
    assert np.array_equal(nested.command, plain.command)


def test_an_episode_of_version_2_that_is_cut_short_is_counted(tmp_path):
    folder = foreign(tmp_path / "set", "v2.1")
    lines = folder / "meta" / "episodes.jsonl"
    lines.write_text(lines.read_text().replace("40", "50", 1))
    with pytest.raises(RecordingError, match="episode 0 should have 50 frames and has 40"):
        load_recordings(folder)
    lines.write_text("[1, 2]\n")
    with pytest.raises(RecordingError, match=r"episodes\.jsonl: line 1 is no JSON table"):
        load_recordings(folder)


@pytest.mark.parametrize("names", [None, ["a.vel", "c.vel"]])
def test_a_velocity_of_joints_that_it_does_not_name_is_left_out(tmp_path, names):
    [log, _] = read_raw(foreign(tmp_path / "set", observation_velocity={"names": names}))
    assert log.velocity is None
    assert "observation.velocity has no number for" in log.notes[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fps": 30}, "says fps 30 and stamps come 50 times a second"),
        ({"step": 0.022}, "says fps 50 and stamps come 45.4. times a second"),
        ({"fps": 0}, "says fps 0 and stamps"),
        ({"fps": "50"}, "fps is '50', not a number"),
        ({"action": {"shape": [7]}}, r"action has the shape \[7\] and 2 names"),
        ({"action": {"names": ["a", "a"]}}, "action names 'a' twice"),
    ],
)
def test_a_description_that_does_not_fit_the_data_is_refused(tmp_path, changes, says):
    with pytest.raises(RecordingError, match=says):
        load_recordings(foreign(tmp_path / "set", **changes))


def test_rows_without_numbers_are_counted(tmp_path):
    folder = foreign(tmp_path / "set")
    path = folder / "data" / "chunk-000" / "file-000.parquet"
    table = parquet.read_table(path).to_pydict()
    table["action"][7] = None
    parquet.write_table(pa.table(table), path)
    with pytest.raises(RecordingError, match="action is missing in 1 rows"):
        load_recordings(folder)
