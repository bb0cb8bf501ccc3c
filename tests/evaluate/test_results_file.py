import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sim2real.cli import main
from sim2real.errors import InvalidValue, UnknownName
from sim2real.evaluate.results_file import read_columns, results_of

LONG = """policy,seed,environment,episode,success
a,0,mujoco,0,1
a,0,mujoco,1,0
a,0,robot,0,true
b,0,mujoco,0,0
b,0,robot,0,no
c,0,mujoco,0,1
"""


def write(folder, text, name="results.csv"):
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_rows_of_episodes(tmp_path):
    simulated, real = results_of(read_columns(write(tmp_path, LONG)), ("mujoco", "robot"))
    assert simulated.policies == real.policies == ("a", "b")  # c was never on the robot
    assert [v.tolist() for v in simulated.values] == [[1, 0], [0]]
    assert [v.tolist() for v in real.values] == [[1], [0]]
    assert simulated.starts[0] == ("0 0", "0 1")
    assert real.starts[0] == ("0 0",)


def test_two_columns(tmp_path):
    text = "# a remark\n\ufeffpolicy;sim;real\na;0,5;0,4\nb;0,75;1\n".replace("\ufeff", "")
    simulated, real = results_of(read_columns(write(tmp_path, text)), ("sim", "real"))
    assert simulated.means.tolist() == [0.5, 0.75]
    assert real.means.tolist() == [0.4, 1.0]


def test_parquet_is_the_same_as_csv(tmp_path):
    rows = read_columns(write(tmp_path, LONG))
    path = tmp_path / "results.parquet"
    plain = {name: list(column) for name, column in rows.items()}
    plain["success"] = [1.0, 0.0, True, 0.0, 0.0, 1.0]
    pq.write_table(
        pa.table({k: pa.array(v) if k != "success" else pa.array(map(float, v)) for k, v in plain.items()}),
        path,
    )
    first, second = (results_of(found, ("mujoco", "robot")) for found in (rows, read_columns(path)))
    for ours, theirs in zip(first, second, strict=True):
        assert ours.policies == theirs.policies
        assert all(np.array_equal(a, b) for a, b in zip(ours.values, theirs.values, strict=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no row"),
        ("policy,environment,episode,success\n", "has no row"),
        (LONG.replace("policy", "name", 1), "no column policy but name, seed"),
        (LONG.replace("episode", "number", 1), "no column episode"),
        (LONG.replace("success", "score", 1), "no column success"),
        (
            LONG + "a,0,robot,0,0\n",
            "policy a, seed 0, environment robot, episode 0 is there twice, in rows 3 and 7",
        ),
        (LONG.replace("b,0,robot,0,no", "b,0,robot,0,maybe"), "row 5 has 'maybe' as success"),
        (LONG.replace("b,0,robot,0,no", "b,0,robot,0,nan"), "no finite number"),
        (LONG.replace("b,0,robot,0,no", "b,0,robot,0,85"), "row 5 has '85' as success, which is a share"),
        (
            LONG.replace("b,0,robot,0,no", "b,0,robot,0,-1"),
            "divide per cent by 100, or name the column return",
        ),
        (LONG.replace("b,0,robot,0,no", "b,0,robot,0"), "has 4 values for the 5 columns"),
        (LONG.replace("seed", "policy", 1), "two columns 'policy'"),
        ("policy,environment,episode,success\na,mujoco,0,1\nb,robot,0,1\n", "no policy was in all of"),
        ("policy,first,second\na,1,2\n", "'mujoco' and 'robot' is no column of policy, first, second"),
    ],
)
def test_what_cant_be_compared_is_refused_in_a_sentence(text, said, tmp_path):
    path = write(tmp_path, text)
    with pytest.raises(InvalidValue) as refused:
        results_of(read_columns(path), ("mujoco", "robot"))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_environment_is_named(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'robot'"):
        results_of(read_columns(write(tmp_path, LONG)), ("mujoco", "robto"))


def test_a_damaged_parquet_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="not a readable Parquet"):
        read_columns(write(tmp_path, "PAR1 nothing", "x.parquet"))


def test_the_command_prints_and_writes(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = ["policy,environment,episode,success"]
    for k, p in enumerate((0.1, 0.3, 0.4, 0.6, 0.8, 0.9)):
        luck = rng.random(60)
        rows += [f"p{k},before,{n},{int(luck[n] < 1 - p)}" for n in range(60)]
        rows += [f"p{k},after,{n},{int(luck[n] < p)}" for n in range(60)]
        rows += [f"p{k},robot,{n},{int(luck[n] < p + 0.05)}" for n in range(15)]
    path = write(tmp_path, "\n".join(rows))
    out = tmp_path / "numbers.json"
    assert (
        main(["predict", str(path), "--simulated", "before", "after", "--real", "robot", "--json", str(out)])
        == 0
    )
    told = json.loads(out.read_text("utf-8"))["robot"]
    agreement = told["agreement"]
    assert agreement["before"]["Pearson"]["value"] < -0.8 < 0.8 < agreement["after"]["Pearson"]["value"]
    assert agreement["after less before"]["Pearson"]["interval"][0] > 0.5
    assert [one["policy"] for one in told["real"]["after"]] == [f"p{k}" for k in range(6)]
    assert told["real"]["after"][2]["worth"] > 1
    printed = capsys.readouterr().out
    assert "robot: 6 policies" in printed
    assert "times the" in printed


def test_the_command_names_what_is_missing(tmp_path, capsys):
    path = write(tmp_path, LONG)
    assert main(["predict", str(tmp_path / "nix.csv"), "--simulated", "a", "--real", "b"]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert main(["predict", str(path), "--simulated", "mujoco", "--real", "robot", "--by", "task"]) == 2
    assert "no column task" in capsys.readouterr().err
    assert (
        main(["predict", str(path), "--simulated", "mujoco", "--real", "robot", "--measure", "return"]) == 2
    )
    assert "no column return" in capsys.readouterr().err
