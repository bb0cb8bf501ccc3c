"""Every finding on a defect planted in clean logs, and nothing on the clean ones."""

from dataclasses import replace

import numpy as np
import pytest

from sim2real.doctor import BAD_DATA, USABLE, Expected, diagnose, expected_of
from sim2real.doctor.finding import BAD, FACT, WARNING
from sim2real.doctor.lags import command_lag
from sim2real.doctor.summary import summary
from sim2real.doctor.view import view_of
from sim2real.errors import RecordingError
from sim2real.recordings import read_raw
from sim2real.recordings.raw import Damage, RawLog, raw_of, trusted, unreadable
from sim2real.report.doctor import write_diagnosis
from sim2real.world import World

DEGREES = 180 / np.pi
TICK = 2 * np.pi / 4096


def restamped(log, time):
    return replace(log, time=time, command_time=time)


def with_rows(log, rows):
    """The log with other rows, in their order."""
    kept = {key: getattr(log, key)[rows] for key in ("command", "position", "velocity")}
    return restamped(replace(log, **kept), log.time[rows])


def put(values, rows, columns, value):
    values = values.copy()
    values[rows, columns] = value
    return values


def nan_rows(log):
    return replace(log, position=put(log.position, slice(100, 103), 1, np.nan))


def nan_stamp(log):
    return restamped(log, put(log.time[:, None], 40, 0, np.nan)[:, 0])


def shuffled(log):
    rows = np.arange(len(log.time))
    rows[[200, 201]] = [201, 200]
    return with_rows(log, rows)


def duplicated(log):
    return with_rows(log, np.insert(np.arange(len(log.time)), 301, [300]))


def glitched(log):
    return replace(log, position=put(log.position, [100, 250, 251, 730], 1, 0.0))


def lost_for_a_while(log):
    return replace(log, position=put(log.position, slice(70, 79), 1, 0.0))


def a_turn_beside(log):
    return replace(log, position=put(log.position, slice(None), 1, log.position[:, 1] - 2 * np.pi))


def far_off(log):
    return replace(log, position=put(log.position, 100, 0, 65.535))


def unread_at_first(log):
    return replace(log, position=put(log.position, slice(0, 2), 1, -2.0))


def sentinel(log):
    return replace(log, command=put(log.command, slice(300, 340), 0, -9999.0))


def wrapped(log):
    """The elbow, moved so that its range has the end of a turn in it."""
    both = {key: put(getattr(log, key), slice(None), 1, getattr(log, key)[:, 1] + 2.7) for key in SIGNALS}
    return replace(log, **{key: (both[key] + np.pi) % (2 * np.pi) - np.pi for key in SIGNALS})


SIGNALS = ("command", "position")


def gap(log):
    return with_rows(log, np.delete(np.arange(len(log.time)), slice(400, 406)))


def long_gap(log):
    return with_rows(log, np.delete(np.arange(len(log.time)), slice(400, 440)))


def jittered(log):
    rng = np.random.default_rng(0)
    return restamped(log, log.time + rng.uniform(-0.006, 0.006, len(log.time)))


def in_milliseconds(log):
    """Stamps in ms that are read as µs."""
    return restamped(log, log.time * 1e3 * 1e-6)


def in_seconds(log):
    """Stamps in ms that are read as s, and no velocity to tell by."""
    return replace(restamped(log, log.time * 1e3), velocity=None)


def late_clock(log):
    """State stamps on a clock that runs 1 % fast."""
    return replace(log, time=log.time * 1.01 + 0.003)


def other_epoch(log):
    return replace(log, time=log.time + 1000.0)


def early_state(log):
    """Positions 20 rows before the command that causes them."""
    return replace(log, command=np.roll(log.command, 20, axis=0))


def late_state(log):
    """All positions 12 rows later than in the other logs."""
    return replace(log, position=np.pad(log.position, ((12, 0), (0, 0)), "edge")[:-12], velocity=None)


def clipped(log):
    top = np.floor((log.position[:, 0].max() - 0.45) / TICK) * TICK
    return replace(log, position=np.minimum(log.position, [top, np.inf]), velocity=None)


def stuck(log):
    return replace(log, position=put(log.position, slice(250, 330), 0, log.position[250, 0]), velocity=None)


def stuck_with_velocity(log):
    return replace(log, position=put(log.position, slice(600, None), 0, log.position[600, 0]))


def stalled(log):
    """Joint 1 stays where it is for two steps of its command, and then glides back."""
    hold = log.position[550, 1]
    position = put(log.position, slice(550, 740), 1, hold)
    glide = np.linspace(0, 1, 40)
    position[740:780, 1] = hold + glide * (log.position[780, 1] - hold)
    return replace(log, position=position, velocity=None)


def dead(log):
    return replace(log, position=np.zeros_like(log.position) + 0.3, velocity=None)


def idle(log):
    still = np.zeros_like(log.position)
    return replace(log, position=still, command=still, velocity=None)


def too_short(log):
    return with_rows(log, np.arange(20))


def hardly_told(log):
    return replace(log, command_time=log.command_time[:1], command=log.command[:1])


def in_degrees(log):
    return replace(
        log, command=log.command * DEGREES, position=log.position * DEGREES, velocity=log.velocity * DEGREES
    )


def position_in_degrees(log):
    return replace(log, position=log.position * DEGREES)


def velocity_in_degrees(log):
    return replace(log, velocity=log.velocity * DEGREES)


def command_in_degrees(log):
    return replace(log, command=log.command * DEGREES, velocity=None)


def turned(log):
    return replace(log, position=-log.position, velocity=-log.velocity)


def crossed(log):
    return replace(log, position=log.position[:, ::-1], velocity=log.velocity[:, ::-1])


def renamed(log):
    return replace(log, joints=("shoulder", "ellbow"))


def lost_joint(log):
    return replace(
        log, joints=("elbow",), command=log.command[:, 1:], position=log.position[:, 1:], velocity=None
    )


def other_encoder(log):
    return replace(log, position=np.rint(log.position / 0.004) * 0.004)


def other_zero(log):
    return replace(log, position=log.position + np.array([0.0, 0.35]))


def pinned_drive(log):
    effort = np.abs(np.random.default_rng(0).normal(0, 1, log.position.shape))
    effort[700:720, 1] = 6.0
    return replace(log, effort=effort)


def cut_off(log):
    return replace(log, damage=(Damage("b.csv, line 7: it ends here; copy it again", (5, 6)),))


PLANTED = [
    (nan_rows, "missing numbers", BAD, [(100, 102)]),
    (nan_stamp, "missing numbers", BAD, [(40, 40)]),
    (shuffled, "shuffled stamps", BAD, [(201, 201)]),
    (duplicated, "duplicated stamps", BAD, [(301, 301)]),
    (gap, "gap", WARNING, [(399, 400)]),
    (long_gap, "gap", BAD, [(399, 400)]),
    (jittered, "jitter", WARNING, None),
    (in_milliseconds, "time unit", BAD, None),
    (in_seconds, "time unit", BAD, None),
    (late_clock, "clock skew", WARNING, None),
    (other_epoch, "clock skew", BAD, None),
    (early_state, "clock skew", BAD, None),
    (late_state, "clock skew", WARNING, None),
    (clipped, "saturation", WARNING, None),
    (stuck, "stuck sensor", BAD, [(250, 329)]),
    (stuck_with_velocity, "stuck sensor", BAD, [(600, 999)]),
    (stalled, "stall", WARNING, None),
    (dead, "motionless", BAD, None),
    (idle, "motionless", WARNING, None),
    (too_short, "too short", BAD, None),
    (hardly_told, "too short", BAD, None),
    (in_degrees, "degrees", BAD, None),
    (position_in_degrees, "degrees", BAD, None),
    (velocity_in_degrees, "degrees", BAD, None),
    (command_in_degrees, "scale", BAD, None),
    (turned, "sign", BAD, None),
    (crossed, "joint", BAD, None),
    (renamed, "two robots", BAD, None),
    (lost_joint, "two robots", BAD, None),
    (other_encoder, "two robots", BAD, None),
    (other_zero, "two robots", BAD, None),
    (glitched, "glitch", BAD, [(100, 100), (250, 251), (730, 730)]),
    (lost_for_a_while, "glitch", BAD, [(70, 78)]),
    (a_turn_beside, "wrap", BAD, None),
    (far_off, "glitch", BAD, [(100, 100)]),
    (unread_at_first, "glitch", BAD, [(0, 1)]),
    (sentinel, "glitch", BAD, [(300, 339)]),
    (wrapped, "wrap", BAD, None),
    (pinned_drive, "saturation", WARNING, [(700, 719)]),
    (cut_off, "unreadable", BAD, [(5, 6)]),
]


def spans(finding):
    return [(rows.first, rows.last) for rows in finding.rows]


def grave(diagnosis):
    return [finding for finding in diagnosis.findings if finding.severity != FACT]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "kind", [{}, {"tick": 0}, {"rate": 250.0}, {"lag": 0.02}, {"rate": 20.0, "lag": 0.2}]
)
def test_clean_logs_are_left_in_peace(make, seed, kind):
    logs = [make(f"{folder}/{i}", 10 * seed + i, **kind) for i, folder in enumerate(["train"] * 3 + ["test"])]
    diagnosis = diagnose(logs)
    assert [finding.text for finding in grave(diagnosis)] == []
    assert diagnosis.verdict == USABLE
    assert diagnosis.bad_recordings == ()


@pytest.mark.parametrize(
    ("plant", "kind", "severity", "rows"), PLANTED, ids=lambda x: getattr(x, "__name__", "")
)
def test_a_planted_defect_is_found(clean, plant, kind, severity, rows):
    logs = list(clean)
    logs[1] = plant(logs[1])
    diagnosis = diagnose(logs)
    found = [
        finding for finding in diagnosis.findings if (finding.kind, finding.severity) == (kind, severity)
    ]
    assert found, [finding.text for finding in grave(diagnosis)]
    assert {name for finding in found for name in finding.recordings} == {"train/b"}
    assert all("train/b" in finding.text or kind == "unreadable" for finding in found)
    if rows:
        assert rows == spans(found[0])
    assert {name for finding in grave(diagnosis) for name in finding.recordings} == {"train/b"}
    assert diagnosis.verdict == (BAD_DATA if severity == BAD else USABLE)


@pytest.mark.parametrize("plant", [in_milliseconds, in_degrees, shuffled, nan_rows, gap, turned, stuck])
def test_one_mistake_is_told_once(clean, plant):
    logs = [plant(clean[0]), *clean[1:]]
    assert len({finding.kind for finding in grave(diagnose(logs))}) == 1


@pytest.mark.parametrize("factor", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("rate", [20.0, 50.0, 500.0])
def test_stamps_in_another_unit_are_told_with_the_factor(make, factor, rate):
    log = replace(make("a", rate=rate), velocity=None)
    [finding] = grave(diagnose([restamped(log, log.time / factor)]))
    assert (finding.kind, finding.value) == ("time unit", factor)
    assert f"multiply them by {factor:g}" in finding.text


def test_pulses_that_were_sent_are_no_glitches(make):
    """A command that jumps there and back within two rows, and a joint that follows it."""
    log = make("a", tick=0)
    command, position = log.command.copy(), log.position.copy()
    for row in range(100, 900, 80):
        command[row : row + 2, 0] += 0.3
        position[row + 1 : row + 3, 0] += 0.15
    assert grave(diagnose([replace(log, command=command, position=position, velocity=None)])) == []


def test_a_joint_that_nothing_commands_may_be_hit(make):
    """A passive finger bounces within its range; a reading far outside is a glitch all the same."""
    log = replace(make("a", tick=0), velocity=None)
    command, position = log.command.copy(), log.position.copy()
    command[:, 0] = 0.0
    position[200:202, 0] += 0.2 * np.ptp(position[:, 0])
    assert grave(diagnose([replace(log, command=command, position=position)])) == []
    position[400, 0] = position[:, 0].max() + 3.0 * np.ptp(position[:, 0])
    [finding] = grave(diagnose([replace(log, command=command, position=position)]))
    assert finding.kind == "glitch"


def test_what_was_left_out_on_reading_is_told_once(make):
    logs = [replace(make(name, k), notes=("the velocity is left out",)) for k, name in enumerate("abc")]
    finding = only(diagnose(logs), "as read")
    assert (finding.severity, finding.recordings) == (FACT, ("a", "b", "c"))


def only(diagnosis, kind):
    [finding] = [finding for finding in diagnosis.findings if finding.kind == kind]
    return finding


@pytest.mark.parametrize(
    ("name", "noise", "severity"),
    [("test/e", 0.0, BAD), ("train/e", 0.0, WARNING), ("test/e", 0.002, WARNING), ("train/e", 0.002, FACT)],
)
def test_a_motion_that_is_there_twice_is_found(clean, name, noise, severity):
    copy = replace(clean[0], name=name, position=clean[0].position + noise)
    finding = only(diagnose([*clean, copy]), "copy")
    assert (finding.severity, set(finding.recordings)) == (severity, {"train/a", name})


def test_a_part_of_another_motion_is_found_at_another_time(clean):
    part = with_rows(clean[0], np.arange(300, 800))
    part = replace(restamped(part, part.time - part.time[0] + 7.0), name="test/e")
    finding = only(diagnose([*clean, part]), "copy")
    assert (finding.severity, set(finding.recordings)) == (WARNING, {"train/a", "test/e"})


def test_a_joint_that_no_recording_moves_is_found(clean):
    logs = [
        replace(
            log,
            command=put(log.command, slice(None), 1, 0.2),
            position=put(log.position, slice(None), 1, 0.2),
        )
        for log in clean
    ]
    finding = only(diagnose(logs), "unexcited joint")
    assert (finding.severity, finding.joint) == (WARNING, "elbow")


def test_another_robots_name_is_enough(clean):
    logs = [replace(log, robot="left") for log in clean[:3]] + [replace(clean[3], robot="right")]
    finding = only(diagnose(logs), "two robots")
    assert (finding.severity, finding.recordings) == (BAD, ("test/d",))


def test_own_stamps_of_measurements_are_a_fact(clean):
    logs = [replace(log, time=log.time + 0.007) for log in clean]
    diagnosis = diagnose(logs)
    assert grave(diagnosis) == []
    found = [finding for finding in diagnosis.findings if finding.kind == "clock skew"]
    assert [finding.value for finding in found] == [pytest.approx(0.007, abs=1e-6)] * 4


@pytest.mark.parametrize(
    "stamps",
    [
        lambda rows: 0.02 * rows,
        lambda rows: 1.7e9 + 0.02 * rows,
        lambda rows: 0.02 * (1 + 1e-9) * rows,
        lambda rows: 0.02 * rows + 0.002 * np.sin(1e4 * rows),
        lambda rows: 0.02 * rows + 1e-9 * rows**2,
    ],
    ids=["even", "epoch", "slow", "jitter", "drift"],
)
def test_the_lag_hangs_on_no_last_digit_of_the_stamps(stamps):
    """By which the command in force was that of the row before, and the lag a period less."""
    time, motion = stamps(np.arange(2000)), np.cumsum(np.random.default_rng(0).normal(size=2000))
    motion -= np.linspace(0, motion[-1], 2000)
    for late in (0, 1, 3):
        real = np.concatenate([np.full(late, motion[0]), motion[: 2000 - late]])
        log = RawLog("a", ("hip",), time, 0.02 * motion[:, None], time, 0.02 * real[:, None])
        assert command_lag(view_of(log, Expected())) == pytest.approx(0.02 * late, abs=2e-3)


def test_the_lag_is_that_of_a_pure_delay(clean):
    for rows in (2, 6):
        logs = [
            replace(
                log,
                position=np.concatenate([log.command[:1].repeat(rows, 0), log.command[:-rows]]),
                velocity=None,
            )
            for log in clean
        ]
        assert only(diagnose(logs), "lag").value == pytest.approx(0.02 * rows, abs=2e-3)


def test_steps_are_measured_to_four_digits(clean):
    finding = only(diagnose(clean), "quantization")
    assert finding.value == pytest.approx(TICK, rel=1e-3)
    assert "2π/4096, a tick of 12 bits" in finding.text


def test_a_velocity_in_another_unit_is_known_with_its_factor(clean):
    logs = [replace(log, velocity=log.velocity * [1.0, 2.5]) for log in clean]
    finding = only(diagnose(logs), "scale")
    assert (finding.severity, finding.joint) == (WARNING, "elbow")
    assert finding.value == pytest.approx(2.5, rel=0.03)


@pytest.mark.parametrize(("factor", "kind"), [(652.0, "scale"), (-1.0, "sign"), (-2.5, "sign")])
def test_a_velocity_in_ticks_or_of_the_other_sign_is_told(clean, factor, kind):
    found = diagnose([replace(log, velocity=factor * log.velocity) for log in clean]).of(WARNING)
    assert [(finding.kind, finding.joint) for finding in found] == [(kind, "shoulder"), (kind, "elbow")]
    assert [finding.value for finding in found] == pytest.approx([factor] * 2, rel=0.03)


@pytest.mark.parametrize("unit", ["degrees", "rev", "ticks", "mm"])
def test_a_unit_that_a_log_states_is_heard(clean, unit):
    """Small numbers, by which nobody could tell that they are no rad."""
    log = replace(clean[0], units=("rad", unit))
    assert any(f"elbow is in {unit} by its own account" in f.text for f in diagnose([log]).of(BAD))
    assert diagnose([replace(log, units=("radians", "rad"))]).verdict == USABLE
    table = {"shoulder": {"joint": "pan"}, "elbow": {"joint": "lift", "scale": 1.0}}
    assert diagnose([log], Expected("arm", table, LIMITS)).verdict == USABLE, "the world says what it is"
    table["elbow"] = {"joint": "lift"}
    assert diagnose([replace(log, units=("rad", "fraction"))], Expected("arm", table, LIMITS)).of(BAD)


TABLE = {"shoulder": {"joint": "pan"}, "elbow": {"joint": "lift", "scale": 1.0}}
LIMITS = {"pan": (-2.0, 2.0), "lift": (-1.0, 1.0)}


def test_a_world_tells_degrees_that_stay_small(clean):
    small = [replace(in_degrees(log), velocity=None, position=log.position * DEGREES + 1e-3) for log in clean]
    small = [replace(log, command=log.command / 5, position=log.position / 5) for log in small]
    assert diagnose(small).verdict == USABLE
    diagnosis = diagnose(small, Expected("arm", TABLE, LIMITS))
    assert {finding.kind for finding in diagnosis.of(BAD)} == {"degrees"}
    assert "where arm ends at" in diagnosis.of(BAD)[0].text


def test_commands_beyond_a_worlds_range_are_found(clean):
    limits = LIMITS | {"lift": (0.0, 0.7)}
    found = diagnose(clean, Expected("arm", TABLE, limits)).of(WARNING)
    assert {(finding.kind, finding.joint) for finding in found} == {("saturation", "elbow")}
    assert any("commands go 0.100 beyond the range of 0.00 to 0.70" in finding.text for finding in found)


def test_joints_are_held_against_the_worlds(clean):
    unknown = diagnose(clean, Expected("arm", {}, LIMITS)).of(BAD)
    assert "arm has no joint for shoulder, elbow" in unknown[0].text
    more = TABLE | {"wrist": {"joint": "roll"}}
    [missing] = diagnose(clean, Expected("arm", more, LIMITS | {"roll": (-1, 1)})).of(BAD)
    assert "no column is for roll of arm" in missing.text


def test_a_worlds_latency_decides_what_is_too_short(clean):
    logs = [*clean[:3], with_rows(clean[3], np.arange(60))]
    assert diagnose(logs).verdict == USABLE
    assert only(diagnose(logs, Expected(latency_window=1.5)), "too short").recordings == ("test/d",)
    assert expected_of(World.load("so101")).latency_window == 0.5


def test_a_log_that_can_not_be_read_does_not_hide_the_others(clean, tmp_path):
    lost = unreadable("train/x", tmp_path, "x.npz: it is cut off")
    diagnosis = diagnose([lost, *clean[:2], gap(clean[2]), nan_rows(clean[3])])
    assert [finding.kind for finding in grave(diagnosis)] == ["unreadable", "missing numbers", "gap"]
    assert diagnosis.bad_recordings == ("test/d", "train/x")


def test_a_recording_can_be_diagnosed_too(clean):
    assert diagnose([raw_of(trusted(log)) for log in clean]).verdict == USABLE


def test_no_logs_at_all_are_refused():
    with pytest.raises(RecordingError, match="no logs to look at"):
        diagnose([])


@pytest.mark.slow
def test_the_real_arm_is_told_as_it_is(real):
    """The facts of the data's own description, and no cry of wolf."""
    logs = read_raw(real / "npz")
    diagnosis = diagnose(logs)
    assert diagnosis.verdict == USABLE
    facts = {finding.kind: finding for finding in diagnosis.of(FACT)}
    assert facts["rate"].value == pytest.approx(0.020060, abs=2e-6)
    assert facts["velocity"].value == pytest.approx(0.020, abs=1e-3)
    assert "in steps of 0.0767" in facts["velocity"].text
    steps = {finding.value: finding.text for finding in diagnosis.of(FACT) if finding.kind == "quantization"}
    assert sorted(steps) == pytest.approx([1 / 1523, TICK], rel=2e-3)
    assert "Rotation, Pitch, Elbow, Wrist_Pitch, Wrist_Roll" in steps[max(steps)]
    lag = facts["lag"].value
    assert 0.08 < lag < 0.13
    jaw, contact = sorted(diagnosis.of(WARNING), key=lambda finding: finding.kind)
    assert (jaw.kind, jaw.joint, jaw.value) == ("scale", "Jaw", pytest.approx(2.336, rel=0.02))
    assert (contact.kind, contact.joint, contact.recordings) == ("stall", "Elbow", ("test/workspace_sweep",))
    assert len(contact.rows) == 5


@pytest.mark.slow
def test_the_real_arm_fits_its_world(real):
    diagnosis = diagnose(read_raw(real / "npz" / "train"), expected_of(World.load("so101")))
    assert diagnosis.verdict == USABLE
    [step] = [finding for finding in diagnosis.of(FACT) if finding.kind == "quantization"]
    assert step.value == pytest.approx(TICK, rel=2e-3)  # the jaw's too, once it is an angle


@pytest.mark.parametrize("plant", [in_degrees, in_milliseconds, turned, shuffled, stuck_with_velocity])
def test_mistakes_in_real_logs_are_found(real, plant):
    logs = read_raw(real / "npz" / "train")[:4]
    diagnosis = diagnose([plant(logs[0]), *logs[1:]])
    assert diagnosis.bad_recordings == (logs[0].name,)


BREAKS = {
    "no rows": lambda x, rng: x[:0],
    "one row": lambda x, rng: x[:1],
    "four rows": lambda x, rng: x[:4],
    "constant": lambda x, rng: np.full_like(x, x[0] if len(x) else 0.0),
    "nothing": lambda x, rng: np.full_like(x, np.nan),
    "infinite": lambda x, rng: np.where(rng.random(x.shape) < 0.05, np.inf, x),
    "huge": lambda x, rng: x * 1e150,
    "tiny": lambda x, rng: x * 1e-150,
    "whole": lambda x, rng: np.rint(x),
    "noise": lambda x, rng: rng.normal(size=x.shape),
    "backwards": lambda x, rng: x[::-1],
}


@pytest.mark.parametrize("seed", range(12))
def test_no_log_is_too_broken(make, tmp_path, seed):
    """Two random breaks of two random signals; every number a warning away from an error."""
    rng = np.random.default_rng(seed)
    log = make("train/x", seed, seconds=4.0)
    for _ in range(2):
        key = rng.choice(["time", "command_time", "position", "command", "velocity", "all"])
        change = BREAKS[rng.choice(list(BREAKS))]
        keys = ["time", "command_time", "position", "command", "velocity"] if key == "all" else [key]
        log = replace(log, **{k: change(getattr(log, k), rng) for k in keys})
        rows, sent = (
            min(len(log.time), len(log.position), len(log.velocity)),
            min(len(log.command_time), len(log.command)),
        )
        log = replace(
            log, time=log.time[:rows], position=log.position[:rows], velocity=log.velocity[:rows],
            command_time=log.command_time[:sent], command=log.command[:sent],
        )  # fmt: skip
    for logs in ([log], [log, make("train/y", 1, seconds=4.0), make("test/z", 2, seconds=4.0)]):
        diagnosis = diagnose(logs)
        alone = [finding for finding in diagnosis.of(BAD) if finding.kind != "two robots"]
        assert {name for finding in alone for name in finding.recordings} <= {"train/x"}
        write_diagnosis(diagnosis, tmp_path, "logs")


def test_the_noise_of_every_joint_is_told(clean):
    """Beside the sensor's own step, which hides in it."""
    planted = np.random.default_rng(0).normal(0, 5e-3, clean[0].position.shape)
    noisy = replace(clean[0], name="noisy", position=clean[0].position + planted)
    told = [log["noise"] for log in summary(diagnose([clean[0], noisy], Expected()))["recordings"]]
    assert list(told[1]) == list(clean[0].joints)
    assert list(told[1].values()) == pytest.approx([5e-3] * planted.shape[1], rel=0.2)
    assert max(told[0].values()) < 1e-3
