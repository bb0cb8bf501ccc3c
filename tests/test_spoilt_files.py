"""Every kind of file that we read, spoilt in every way we could think of: a sentence, never a traceback.

Bytes are flipped, cut out and doubled, files are cut off; in TOML and JSON every value is replaced by ones of
other types, by NaN, infinities, huge and nested ones, keys are lost and renamed. Whatever comes out is
`Sim2RealError`, an error of the file system, or a result; and nothing is written.
"""

import copy
import json
import shutil
import tomllib
import warnings

import h5py
import numpy as np
import pyarrow as pa
import pytest
import tomli_w
from mcap.writer import Writer
from pyarrow import parquet

from sim2real.catalog import catalog
from sim2real.doctor import diagnose, expected_of
from sim2real.domain import Domain
from sim2real.errors import Sim2RealError
from sim2real.evaluate.episodes_file import read_episodes, write_episodes
from sim2real.evaluate.predictivity import predictivity
from sim2real.evaluate.results_file import read_columns, results_of
from sim2real.evaluate.rollouts import references
from sim2real.identify.model_selection import Structure
from sim2real.identify.verdicts import EXIT_CODES
from sim2real.kept import Kept
from sim2real.learn.settings import settings_for
from sim2real.policy import Policy
from sim2real.recordings import Recording, load_recordings, read_raw, write_lerobot, write_npz
from sim2real.recordings.rollouts import Episode, Rollouts
from sim2real.transfer.identified import Identified
from sim2real.transfer.stages import Stages
from sim2real.world import World

TIME = np.arange(60) * 0.02
JOINTS = ("hip", "knee")
COMMAND = 0.3 * np.sin(2 * TIME[:, None] + np.arange(2))
MOTION = Recording(
    "a", JOINTS, TIME, COMMAND, np.roll(COMMAND, 4, axis=0), np.gradient(COMMAND, 0.02, axis=0)
)
MAPPING = (
    'robot = "r"\ntime = { column = "t", unit = "ms" }\nstate_time = { column = "t", unit = "ms" }\n'
    + "".join(
        f'[joints.{j}]\ncommand = "c{j}"\nposition = "p{j}"\nunit = "deg"\nscale = -1.0\noffset = 0.1\n'
        for j in JOINTS
    )
)
PLACES = "".join(
    f'[joints.{j}]\ncommand = "actions[{k}]"\nposition = "observations[{k}]"\n' for k, j in enumerate(JOINTS)
)


def csv_folder(folder):
    head = "t," + ",".join(f"c{j},p{j}" for j in JOINTS)
    rows = [
        ",".join(f"{x:.5f}" for x in (1000 * t, c[0], p[0], c[1], p[1]))
        for t, c, p in zip(TIME, MOTION.command, MOTION.position, strict=True)
    ]
    (folder / "a.csv").write_text("\n".join([head, *rows]))
    (folder / "mapping.toml").write_text(MAPPING)


def minari_folder(folder):
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        for k in range(2):
            group = file.create_group(f"episode_{k}")
            group["observations"], group["actions"] = np.vstack([COMMAND, COMMAND[-1:]]), COMMAND
            group["terminations"] = np.zeros(60, dtype=bool)
    (folder / "mapping.toml").write_text("period = 0.02\n" + PLACES)


def sage_folder(folder):
    def quoted(row):
        return '"' + json.dumps(list(row)) + '"'

    control, state = ["type,timestamp,positions"], ["type,timestamp,positions,velocities,torques"]
    for t, c, p in zip(1e6 * TIME, MOTION.command, MOTION.position, strict=True):
        control.append(f"CONTROL,{t},{quoted(c)}")
        state.append(f"STATE_MOTOR,{t},{quoted(p)},{quoted(p)},{quoted(p)}")
    (folder / "control.csv").write_text("\n".join(control))
    (folder / "state_motor.csv").write_text("\n".join(state))
    (folder / "joint_list.txt").write_text("\n".join(JOINTS))
    (folder / "event.csv").write_text("type,timestamp,event\nEVENT,0.0,MOTION_START\nEVENT,1e9,DISABLE\n")


def mcap_folder(folder):
    with (folder / "a.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        schema = writer.register_schema("sensor_msgs/msg/JointState", "jsonschema", b"{}")
        topics = [
            writer.register_channel(f"/joint_{name}", "json", schema) for name in ("states", "commands")
        ]
        for k, row in enumerate(COMMAND):
            stamp = {"sec": 5 + k // 50, "nanosec": 20_000_000 * (k % 50)}
            text = {"header": {"stamp": stamp}, "name": JOINTS, "position": list(row), "velocity": list(row)}
            for topic in topics:
                writer.add_message(topic, 20_000_000 * k, json.dumps(text).encode(), 20_000_000 * k)
        writer.finish()


def npz_folder(folder):
    write_npz(MOTION, folder / "a.npz")


def lerobot_folder(folder):
    write_lerobot([MOTION], folder / "set")


def read_logs(folder):
    """Everything that reads logs, and looks at them."""
    diagnose(read_raw(folder), EXPECTED)
    load_recordings(folder, unwrap=True)


def world_folder(folder):
    shutil.copytree(catalog("envs") / "furuta", folder, dirs_exist_ok=True)


def arm_folder(folder):
    shutil.copytree(catalog("envs") / "so101", folder, dirs_exist_ok=True)


def read_world(folder):
    world = World.load(folder)
    references(world)
    expected_of(world)


def read_training(folder):
    read_world(folder)
    settings_for(World.load(folder), randomized=True)


def domain_folder(folder):
    (folder / "domain.toml").write_text(
        '[parameters]\n"pole.mass" = { uniform = [0.02, 0.03], unit = "kg" }\n'
        '"motor.strength" = { normal = [0.9, 0.05], within = [0.7, 1.1] }\n"motor.latency" = 2\n'
        '"arm.mass" = { loguniform = [0.1, 0.2] }\n"hinge.damping" = { samples = [0.1, 0.2, 0.3] }\n'
        '[correlation]\nnames = ["pole.mass", "motor.strength"]\nmatrix = [[1.0, 0.5], [0.5, 1.0]]\n'
    )


def read_domain(folder):
    Domain.load(folder / "domain.toml").sample(np.random.default_rng(0), 3)


def policy_folder(folder):
    shutil.copytree(catalog("policies") / "furuta-nominal-0", folder, dirs_exist_ok=True)


def read_policy(folder):
    policy = Policy.load(folder)
    policy.act(np.zeros((1, len(policy.contract.observation)), dtype=np.float32))


def episodes_folder(folder):
    table = {
        "label": ["a"] * 4, "policy": ["a-0"] * 4, "seed": [0] * 4, "variant": ["home"] * 4,
        "group": ["control"] * 4, "episode": range(4), "return": [1.0] * 4, "length": [9] * 4,
        "success": [True] * 4, "diverged": [False] * 4,
    }  # fmt: skip
    write_episodes({name: np.array(column) for name, column in table.items()}, folder / "episodes.parquet")


def read_table(folder):
    read_episodes(folder / "episodes.parquet")


def results_folder(folder):
    rows = [f"p{k},{place},{n},{n % 2}" for k in range(5) for place in ("sim", "real") for n in range(3)]
    (folder / "results.csv").write_text("\n".join(["policy,environment,episode,success", *rows]))
    columns = {"policy": list("abcde"), "sim": [0.1, 0.2, 0.3, 0.4, 0.5], "real": [0.2, 0.1, 0.3, 0.4, 0.6]}
    parquet.write_table(pa.table(columns), folder / "results.parquet")


def read_results(folder):
    for path in folder.iterdir():
        predictivity(*results_of(read_columns(path), ("sim", "real")), ["Pearson"])


def rollouts_folder(folder):
    episode = Episode(np.zeros((5, 2)), np.zeros((4, 1)))
    Rollouts("w", "t", 1, 0.02, (episode, episode)).save(folder / "rollouts.npz")


def read_rollouts(folder):
    Rollouts.load(folder / "rollouts.npz")


def run_folder(folder):
    """What fits and roads leave for the next command."""
    point = Domain.point({"pole.mass": 0.025})
    point.save(folder / "point.toml")
    point.save(folder / "identified.toml")
    verdict = {"name": "IDENTIFIED", "subject": "pole.mass", "text": "x", "evidence": {"before": 0.2}}
    (folder / "identification.json").write_text(json.dumps({"verdicts": [verdict, verdict]}))
    kept = Kept(folder / "checkpoint.json")
    kept.once("a", "key", float, lambda: 0.5)
    kept.once("structure", "key", Structure, lambda: Structure(("pole.mass",), {"pole.mass": 0.02}))
    Stages(folder).once("look", "key", lambda: None)


def read_run(folder):
    assert Identified.load(folder).exit_code in EXIT_CODES.values()
    kept = Kept(folder / "checkpoint.json")
    kept.path = None  # nothing is written while a file is read
    assert kept.once("a", "key", float, lambda: 0.5) == 0.5
    kept.once("structure", "key", Structure, Structure)
    Stages(folder)


EXPECTED = expected_of(World.load("furuta"))
KINDS = {
    "csv": (csv_folder, read_logs),
    "npz": (npz_folder, read_logs),
    "minari": (minari_folder, read_logs),
    "sage": (sage_folder, read_logs),
    "mcap": (mcap_folder, read_logs),
    "lerobot": (lerobot_folder, read_logs),
    "world": (world_folder, read_world),
    "arm": (arm_folder, read_training),
    "domain": (domain_folder, read_domain),
    "policy": (policy_folder, read_policy),
    "episodes": (episodes_folder, read_table),
    "results": (results_folder, read_results),
    "rollouts": (rollouts_folder, read_rollouts),
    "run": (run_folder, read_run),
}

ODD = (
    None, True, -1, 0, 3, 10**30, 1.5, -2.5, 1e300, 1e-300, float("nan"), float("inf"), "", "x", "\ud800",
    "<b>", [], [1], ["x"], [[]], [float("nan")], {}, {"x": 1}, {"value": {"value": []}},
)  # fmt: skip


def leaves(value, path=()):
    """Where every value of a table stands, tables and lists themselves too."""
    yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, entry in entries:
        yield from leaves(entry, (*path, key))


def changed(table, rng):
    """The table with one value replaced, lost or renamed."""
    table = copy.deepcopy(table)
    places = [path for path in leaves(table) if path]
    path = places[rng.integers(len(places))]
    holder = table
    for key in path[:-1]:
        holder = holder[key]
    how = rng.integers(8)
    if how == 0:
        del holder[path[-1]]
    elif how == 1 and isinstance(holder, dict):
        holder["odd"] = holder.pop(path[-1])
    else:
        holder[path[-1]] = ODD[rng.integers(len(ODD))]
    return table


def spoilt_bytes(raw, rng):
    """The bytes with a few flipped, cut out, doubled, or all after some point lost."""
    raw = bytearray(raw)
    for _ in range(rng.integers(1, 6)):
        if not raw:
            break
        at, length = int(rng.integers(len(raw))), int(rng.integers(1, 9))
        how = rng.integers(7)
        if how < 3:
            raw[at] = int(rng.integers(256))
        elif how == 3:
            del raw[at : at + length]
        elif how == 4:
            raw[at:at] = raw[at : at + length]
        elif how == 5:
            raw[at : at + length] = bytes(int(x) for x in rng.choice([0, 255, 10, 44, 34, 93], length))
        else:
            del raw[at:]
    return bytes(raw)


def spoil(path, rng):
    """Spoil one file; by value where it is TOML, JSON or Parquet, half of the time."""
    raw = path.read_bytes()
    form = path.suffix if rng.random() < 0.6 else ""
    if form == ".toml":
        table = changed(tomllib.loads(raw.decode()), rng)
        try:
            raw = tomli_w.dumps(table).encode("utf-8")
        except (TypeError, UnicodeEncodeError):  # TOML has no null and no half of a letter
            raw = spoilt_bytes(raw, rng)
    elif form == ".json":
        raw = json.dumps(changed(json.loads(raw), rng)).encode()
    elif form == ".parquet":
        table = parquet.read_table(path)
        k = int(rng.integers(table.num_columns))
        odd = (None, True, -1, 10**12, 1.5, float("nan"), "x", b"x", [], [1.5], [None], {"x": 1})
        values = [odd[rng.integers(len(odd))]] * table.num_rows
        if rng.random() < 0.3:
            values[0] = None
        parquet.write_table(table.set_column(k, table.column_names[k], pa.array(values)), path)
        return
    else:
        raw = spoilt_bytes(raw, rng)
    path.write_bytes(raw)


def state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def tried(kind, seeds, tmp_path):
    """What came out besides sentences and results, by seed."""
    make, read = KINDS[kind]
    whole = tmp_path / "whole"
    whole.mkdir()
    make(whole)
    read(whole)
    files = sorted(path for path in whole.rglob("*") if path.is_file() and path.suffix not in (".md", ".png"))
    wrong, refused = [], 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        folder = tmp_path / "spoilt"
        shutil.copytree(whole, folder)
        victim = folder / files[rng.integers(len(files))].relative_to(whole)
        spoil(victim, rng)
        before = state(folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(folder)
        except (Sim2RealError, OSError) as error:
            refused += 1
            if not str(error) or "Traceback" in str(error):
                wrong.append((seed, victim.name, f"an empty sentence: {error!r}"))
        except Exception as error:  # the very thing that is looked for
            wrong.append((seed, victim.name, f"{type(error).__name__}: {error}"))
        if state(folder) != before:
            wrong.append((seed, victim.name, "a file was written"))
        shutil.rmtree(folder)
    assert refused > 0.1 * len(seeds)  # else nothing was spoilt
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_file_gets_a_sentence(kind, tmp_path):
    assert tried(kind, range(40), tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_spoilt_files_get_a_sentence(kind, tmp_path):
    assert tried(kind, range(1000, 1400), tmp_path) == []
