import re

import numpy as np
import pytest

from sim2real.errors import RecordingError
from sim2real.recordings import load_recordings, read_raw

MAPPING = """
robot = "two link"
time = { column = "t", unit = "ms" }

[joints.hip]
command = "goal 1"
position = "angle 1"
velocity = "speed 1"
unit = "deg"
scale = -1.0
offset = 0.25

[joints.slide]
command = "goal 2"
position = "angle 2"
velocity = "speed 2"
unit = "mm"
"""
TABLE = """t,goal 1,angle 1,speed 1,goal 2,angle 2,speed 2,comment
1000,90,45,10,100,50,0,a
1020,91,46,11,101,51,1,"b, c"
1041,92,47,12,102,52,2,
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.csv").write_text(TABLE)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return tmp_path


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_columns_become_joints_in_rad_and_m(folder):
    [a] = load_recordings(folder)
    assert (a.name, a.joints, a.units, a.robot) == ("run/a", ("hip", "slide"), ("rad", "m"), "two link")
    assert a.time == pytest.approx([0.0, 0.02, 0.041])
    assert a.command[0] == pytest.approx([0.25 - np.pi / 2, 0.1])
    assert a.position[2] == pytest.approx([0.25 - np.radians(47), 0.052])
    assert a.velocity[1] == pytest.approx([-np.radians(11), 0.001])


def test_one_file_is_enough(folder):
    assert load_recordings(folder / "run" / "a.csv")[0].name == "a"


def test_measurements_may_have_their_own_stamps(folder):
    change(folder / "run" / "a.csv", "comment", "read")
    for row, stamp in (("a\n", "1003\n"), ('"b, c"\n', "1024\n"), ("52,2,\n", "52,2,1045\n")):
        change(folder / "run" / "a.csv", row, stamp)
    change(
        folder / "mapping.toml", "[joints.hip]", 'state_time = { column = "read", unit = "ms" }\n[joints.hip]'
    )
    [a] = load_recordings(folder)
    assert a.time == pytest.approx([0.0, 0.02, 0.041])
    assert a.measured_at == pytest.approx([0.003, 0.024, 0.045])


def test_an_epoch_in_nanoseconds_loses_no_microsecond(folder):
    text = TABLE.replace("1000,9", "1700000000001000000,9").replace("1020,9", "1700000000021000000,9")
    (folder / "run" / "a.csv").write_text(text.replace("1041,9", "1700000000042000000,9"))
    change(folder / "mapping.toml", '"ms"', '"ns"')
    assert load_recordings(folder)[0].time == pytest.approx([0.0, 0.02, 0.041], abs=1e-6)


def test_a_period_does_for_stamps_and_a_semicolon_for_a_comma(folder):
    change(folder / "mapping.toml", 'time = { column = "t", unit = "ms" }', 'period = 0.1\ndelimiter = ";"')
    (folder / "run" / "a.csv").write_text(TABLE.replace('"b, c"', "b").replace(",", ";"))
    assert load_recordings(folder)[0].time == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("run/a.csv", "angle 1", "angel 1", "it has no column 'angle 1'; it has t, goal 1, angel 1"),
        ("run/a.csv", "46", "x46", "angle 1 in data row 1 is 'x46', not a number"),
        ("run/a.csv", "46", "", "position of joint 'hip' is nan in row 1"),
        ("run/a.csv", "46", "nan", "position of joint 'hip' is nan in row 1"),
        ("run/a.csv", "1020", "900", "time goes back"),
        ("run/a.csv", TABLE, "", "the file is empty"),
        ("run/a.csv", '"b, c"', '"b', "not a complete CSV file"),
        ("mapping.toml", 'time = { column = "t", unit = "ms" }', "", "say which column is the time"),
        ("mapping.toml", "time = {", "period = 0.1\ntime = {", r"column of stamps \(time\) and a period"),
        ("mapping.toml", '"ms"', '"minutes"', "time.unit is 'minutes'; known: s, ms, us, ns"),
        ("mapping.toml", 'time = { column = "t", unit = "ms" }', "time = 3", "time is 3; write time ="),
        ("mapping.toml", "scale = -1.0", "scale = 0", "joints.hip.scale is 0"),
        ("mapping.toml", "scale = -1.0", 'scale = "-1"', "joints.hip.scale is '-1', not a number"),
        ("mapping.toml", 'unit = "mm"', 'unit = "furlong"', "'furlong', which is none of rad, deg"),
        (
            "mapping.toml",
            "offset",
            "ofset",
            r"unknown key 'joints\.hip\.ofset': did you mean 'joints\.hip\.offset'",
        ),
        ("mapping.toml", 'velocity = "speed 2"', "", "give a velocity for every joint, or for none"),
        ("mapping.toml", 'command = "goal 1"', "", "needs command and position columns"),
        ("mapping.toml", "robot", "robot [", "is not a TOML file"),
        ("mapping.toml", MAPPING, 'robot = "x"', "it maps no joints"),
    ],
)
def test_mistakes_are_named(folder, file, old, new, says):
    change(folder / file, old, new)
    with pytest.raises(RecordingError, match=says):
        load_recordings(folder)


@pytest.mark.parametrize("cut", [3, 8, 15])
def test_a_file_cut_off_within_a_row_is_refused(folder, cut):
    path = folder / "run" / "a.csv"
    path.write_text(TABLE[:-cut])
    with pytest.raises(
        RecordingError, match=r"data row 2 has \d cells and the header 8 .* cut off\? Copy it again"
    ):
        load_recordings(folder)
    [log] = read_raw(folder)
    assert np.isfinite(log.position[:2]).all()


def test_without_a_mapping_it_asks_for_one(folder):
    (folder / "mapping.toml").unlink()
    with pytest.raises(
        RecordingError, match=r"nothing says what its columns are \(t, goal 1.*write a mapping\.toml"
    ):
        load_recordings(folder)


def test_cells_are_parsed_and_never_run(folder, tmp_path):
    crime = tmp_path / "ran"
    change(folder / "run" / "a.csv", "46", f"__import__('pathlib').Path('{crime}').touch()")
    with pytest.raises(RecordingError):
        load_recordings(folder)
    assert not crime.exists()


def rows_of(delimiter, comma=False):
    """The table as another program writes it."""
    head, *lines = [line.split(",")[:7] for line in TABLE.splitlines()]
    lines = [[f"{float(cell):.2f}".replace(".", "," if comma else ".") for cell in line] for line in lines]
    return [delimiter.join(line) for line in (head, *lines)]


def with_units(units):
    head, *rows = rows_of(";")
    return [head, units, *rows]


IN_NAMES = "(?<=[a-z]) (?=[12])"
UNITS = "[ms];[deg];[deg];[deg/s];[mm];mm;"


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf" + "\n".join(rows_of(",")).encode(),
        "\r\n".join(rows_of(";")).encode(),
        "\n".join(rows_of("\t")).encode(),
        "\n".join(rows_of(";", comma=True)).encode(),
        "\n".join(rows_of("\t", comma=True)).encode("utf-16"),
        ("sep=;\r\n" + "\r\n".join(rows_of(";", comma=True))).encode(),
        re.sub(IN_NAMES, "_", "\n".join(rows_of(" "))).encode(),
        ("% " + re.sub(IN_NAMES, "_", "\n".join(rows_of("   ")))).encode(),
        ('"firmware";"x, y"\n"looptime";"125"\n\n3 joints\n' + "\n".join(rows_of(";"))).encode(),
        ("# from the lab\n# 2026\n" + "\n".join(rows_of(","))).encode(),
        ("# " + "\n".join(rows_of(","))).encode(),
        "\n".join([rows_of(",")[0], *(f"{row},," for row in rows_of(",")[1:])]).encode(),
        "\n".join(with_units(UNITS)).encode(),
        "\n".join([rows_of(",")[0], "ms,°,Degrees,°/s,(mm),,mm/s", "", *rows_of(",")[1:]]).encode(),
    ],
)
def test_what_spreadsheets_and_loggers_write_reads_alike(folder, same, raw):
    [plain] = load_recordings(folder)
    (folder / "run" / "a.csv").write_bytes(raw)
    if b"goal_1" in raw:  # blanks in a name would part it
        (folder / "mapping.toml").write_text(re.sub(IN_NAMES, "_", MAPPING))
    [other] = load_recordings(folder)
    same(plain, other)


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_last_number_that_is_cut_off_is_told(tmp_path, cut):
    """Of 0.8415 nobody knows from 0.8 that it is; but a file may end without the end of a line."""
    (tmp_path / "mapping.toml").write_text(
        'time = { column = "t" }\n[joints.hip]\ncommand = "c"\nposition = "p"\n'
    )
    rows = [f"{0.02 * k:.2f},{np.sin(k):.4f},{np.sin(k - 1):.4f}" for k in range(20)]
    text = "\n".join(["t,c,p", *rows])
    (tmp_path / "a.csv").write_text(text)
    assert len(load_recordings(tmp_path)[0].time) == 20
    (tmp_path / "a.csv").write_text(text[:-cut])
    with pytest.raises(RecordingError, match=r"the last number, .* in data row 19, is cut off"):
        load_recordings(tmp_path)


def test_a_mark_may_be_part_of_a_name(folder, same):
    """As in what `rostopic echo -p` writes."""
    [plain] = load_recordings(folder)
    change(folder / "run" / "a.csv", "t,", "%time,")
    change(folder / "mapping.toml", 'column = "t"', 'column = "%time"')
    same(plain, load_recordings(folder)[0])


def test_a_log_above_another_in_one_file_is_not_left_out(folder):
    """Whose header lacks a column, so that the other one is taken."""
    path = folder / "run" / "a.csv"
    path.write_text(TABLE.replace(",comment", "").replace("speed 2", "rate 2") + TABLE)
    with pytest.raises(RecordingError, match=r"numbers .* stand above the header"):
        load_recordings(folder)


def test_a_mark_before_the_mapping_is_left_out(folder, same):
    [plain] = load_recordings(folder)
    (folder / "mapping.toml").write_bytes(b"\xef\xbb\xbf" + MAPPING.encode())
    same(plain, load_recordings(folder)[0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (with_units("s;deg;deg;deg/s;mm;mm;mm/s"), "says that t is in s, and mapping.toml that it is in ms"),
        (with_units("ms;rad;rad;rad/s;mm;mm;mm/s"), None),  # the scale of the mapping says it already
        (with_units("ms;;;;m;m;m/s"), "that goal 2 is in m, and mapping.toml that it is in mm"),
        (rows_of(",", comma=True), "rows have 14 cells and the header 7; if numbers have decimal commas"),
        (
            [TABLE.splitlines()[0], '"1,000",90,45,10,100,50,0,a', '"1,020",91,46,11,101,51,1,b'],
            "'1,000' can be a decimal comma or thousands",
        ),
        ([*rows_of(";", comma=True)[:2], rows_of(";")[2]], r"are written as '1000,00' and as '1020\.00'"),
        (
            ["t,goal 1,goal 1,angle 1,speed 1,goal 2,angle 2,speed 2", "1,2,3,4,5,6,7,8"],
            "two columns 'goal 1'",
        ),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(folder, text, says):
    (folder / "run" / "a.csv").write_text("\n".join(text))
    if says is None:
        assert len(load_recordings(folder)[0].time) == 3
        return
    with pytest.raises(RecordingError, match=says):
        load_recordings(folder)


def test_a_unit_in_the_header_is_the_one_that_is_meant(folder, same):
    [plain] = load_recordings(folder)
    for name, unit in {"t": "[ms]", "goal 2": "(mm)"}.items():
        change(folder / "run" / "a.csv", f"{name},", f"{name} {unit},")
        change(folder / "mapping.toml", f'"{name}"', f'"{name} {unit}"')
    same(plain, load_recordings(folder)[0])
    change(folder / "run" / "a.csv", "(mm)", "(cm)")
    change(folder / "mapping.toml", "(mm)", "(cm)")
    with pytest.raises(RecordingError, match=r"the header says that goal 2 \(cm\) is in cm, and"):
        load_recordings(folder)


@pytest.mark.parametrize(
    ("signal", "name", "factor", "says"),
    [
        ("angle 2", "angle 2_cm", 10, "is in cm, and mapping.toml that it is in mm; say unit = 'cm'"),
        ("angle 2", "angle 2 [ticks]", 10, "is in ticks, and .* say unit = 'ticks' there and give a scale"),
        ("angle 2", "counts [2]", 1, None),
        ("speed 2", "speed 2 [m/s]", 1e-3, "is in m/s, and mapping.toml that it is in mm"),
        ("speed 2", "speed 2 [mm/sec]", 1, None),
        ("speed 2", "speed 2 [mm/min]", 60, "is in mm/min, and mapping.toml that it is in mm; .* a scale"),
        ("speed 2", "speed 2 [rpm]", 1, "is in rpm, and mapping.toml that it is in mm"),
        ("t", "t_us", 1000, "is in us, and mapping.toml that it is in s; say unit = 'us'"),
        ("t", "stamp_of_ms", 1, "is in ms, and mapping.toml that it is in s; say unit = 'ms'"),
    ],
)
def test_a_unit_that_is_part_of_a_name_is_the_one_that_is_meant(folder, same, signal, name, factor, says):
    [plain] = load_recordings(folder)
    file = folder / "run" / "a.csv"
    head, *rows = (line.split(",") for line in TABLE.splitlines())
    place = head.index(signal)
    head[place] = name
    for row in rows:
        row[place] = str(float(row[place]) * factor)
    file.write_text("\n".join(map(",".join, [head, *rows])))
    change(folder / "mapping.toml", f'"{signal}"', f'"{name}"')
    told = (folder / "mapping.toml").read_text()
    silent = told.replace(', unit = "ms"', "").replace('unit = "mm"', "")
    if "cm" in name or signal == "t":
        (folder / "mapping.toml").write_text(silent)
        says = says and says.replace("it is in mm", "it is in rad")
    if says is None:
        same(plain, load_recordings(folder)[0])
        return
    with pytest.raises(RecordingError, match=says):
        load_recordings(folder)


def test_what_the_mapping_says_of_a_unit_counts_more_than_a_name(folder, same):
    """A column may be called hip_rev for another reason."""
    [plain] = load_recordings(folder)
    change(folder / "run" / "a.csv", "angle 2,", "angle 2_rev,")
    change(folder / "mapping.toml", '"angle 2"', '"angle 2_rev"')
    same(plain, load_recordings(folder)[0])


def test_an_empty_velocity_was_not_measured(folder):
    lines = [line.split(",") for line in TABLE.splitlines()]
    for line in lines[1:]:
        line[3] = line[6] = ""
    (folder / "run" / "a.csv").write_text("\n".join(map(",".join, lines)))
    [log] = read_raw(folder)
    assert log.velocity is None
    assert log.notes == (
        "the velocity of hip, slide is no number in any row: not measured, so it is left out",
    )
