"""The whole road, from recordings or a sealed target to policies side by side, with nothing done twice."""

import dataclasses
import json

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.domain import Domain
from sim2real.errors import InvalidValue
from sim2real.evaluate.rollouts import Trials
from sim2real.fingerprint import fingerprint
from sim2real.identify.identify import Options
from sim2real.identify.rollout_fit import FitSettings
from sim2real.identify.search import SearchSettings
from sim2real.pipelines.close import CloseSettings, Sealed, close_gap, close_on_target
from sim2real.policy import Policy
from sim2real.recordings import write_npz
from sim2real.transfer.stages import Watch
from sim2real.world import World

PHYSICS = {"cart.mass": 1.4, "pole.mass": 0.15}
QUICK = Options(free=tuple(PHYSICS), generations=0, threads=1, window=0.5)
LABELS = {"nominal", "randomized", "point", "posterior"}


class Seen(Watch):
    """Remembers the stages, and is interrupted at one of them."""

    def __init__(self, stop=""):
        self.stages, self.stop = {}, stop

    def stage(self, name, kept):
        if name == self.stop:
            raise KeyboardInterrupt
        self.stages[name] = kept


@pytest.fixture(scope="module")
def cartpole():
    return World.load("cartpole")


@pytest.fixture
def logs(twin, tmp_path):
    """Folder of recordings of a cart-pole with another cart and another pole."""
    for log in twin("cartpole", PHYSICS, count=3, seconds=0.8, start=(0, np.pi)):
        write_npz(log, tmp_path / "logs" / f"{log.name}.npz")
    return tmp_path / "logs"


def settings(watch, **changes):
    chosen = {"train_steps": 4096, "draws": 1, "trials": Trials(4), "options": QUICK}
    return CloseSettings(**chosen, watch=watch, **changes)


@pytest.mark.slow
def test_the_road_from_recordings_to_its_end(logs, tmp_path, capsys):
    out = tmp_path / "out"
    command = [
        "close",
        "cartpole",
        "--recordings",
        logs,
        "--free",
        *PHYSICS,
        "--steps",
        4096,
        "--episodes",
        4,
    ]
    assert main([str(part) for part in (*command, "--out", out)]) == 0
    told = capsys.readouterr().out
    assert [line[2:].strip() for line in told.splitlines() if line.startswith("•")] == [
        "doctor",
        "identify",
        "train cartpole-nominal-0-point",
        "train cartpole-nominal-0-posterior",
        "evaluate",
    ]
    assert "logs: IDENTIFIED: 2 parameters" in told
    point = Domain.load(out / "point.toml")
    assert {name: point.parameters[name].value for name in PHYSICS} == pytest.approx(PHYSICS, rel=0.05)
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary["labels"]) == LABELS
    assert set(summary["variants"]) == {"nominal", "recorded", *(f"recorded_{k}" for k in range(1, 5))}
    for label in ("point", "posterior"):
        made = Policy.load(out / f"cartpole-nominal-0-{label}").contract
        assert made.label == label
        assert [step.steps for step in made.provenance] == [made.provenance[0].steps, 4096]
        assert set(made.provenance[-1].domain["parameters"]) == set(PHYSICS)
    page = (out / "report.html").read_text()
    assert all(f">{name}</" in page for name in (*LABELS, *PHYSICS))
    for link in ("identification.html", "doctor/recordings.html", "identified.toml"):
        assert f'href="{link}"' in page
        assert (out / link).is_file()
    assert "IDENTIFIED" in page
    assert not [path for path in out.rglob(".*") if not path.name.startswith(".~")], "nothing half-written"


@pytest.mark.slow
def test_an_interrupted_road_goes_on_and_repeats_nothing(cartpole, logs, tmp_path):
    policies, out = [Policy.load("cartpole-nominal-0")], tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        close_gap(cartpole, logs, policies, out, settings(Seen("train cartpole-nominal-0-posterior")))
    kept = (out / "cartpole-nominal-0-point" / "weights.safetensors").read_bytes()
    fitted = (out / "identification.json").read_bytes()
    seen = Seen()
    closing = close_gap(cartpole, logs, policies, out, settings(seen))
    assert seen.stages == {
        "doctor": False,
        "identify": True,
        "train cartpole-nominal-0-point": True,
        "train cartpole-nominal-0-posterior": False,
        "evaluate": False,
    }
    assert (out / "cartpole-nominal-0-point" / "weights.safetensors").read_bytes() == kept
    assert (out / "identification.json").read_bytes() == fitted
    assert {policy.contract.label for policy in closing.policies} == LABELS
    again = Seen()
    repeated = close_gap(cartpole, logs, policies, out, settings(again))
    assert all(done for name, done in again.stages.items() if name != "doctor")
    assert np.array_equal(repeated.table["return"], closing.table["return"])
    assert repeated.exit_code == closing.exit_code == 0
    other = Seen("train cartpole-nominal-0-point")
    recording = logs / "run0.npz"
    with np.load(recording) as archive:
        arrays = dict(archive)
    arrays["position"] = arrays["position"] + 1e-3
    np.savez(recording, **arrays)
    with pytest.raises(KeyboardInterrupt):
        close_gap(cartpole, logs, policies, out, settings(other))
    assert other.stages["identify"] is False, "other recordings begin anew"


def test_bad_data_end_the_road_with_their_exit_status(logs, tmp_path, capsys):
    with np.load(logs / "run1.npz") as archive:
        arrays = dict(archive)
    arrays["time_us"] = arrays.pop("time_us", None) if "time_us" in arrays else arrays.pop("time_s") * 1e6
    np.savez(logs / "run1.npz", **{**arrays, "time_us": np.asarray(arrays["time_us"]) // 1000})
    out = tmp_path / "out"
    assert main(["close", "cartpole", "--recordings", str(logs), "--out", str(out)]) == 15
    assert "BAD_DATA" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["doctor"]


def test_policies_that_are_no_seeds_of_one_method_are_refused(cartpole, logs, tmp_path):
    one, other = Policy.load("cartpole-nominal-0"), Policy.load("cartpole-randomized-1")
    for policies, said in (([], "no policy to go on from"), ([one, other], "no seeds of one method")):
        with pytest.raises(InvalidValue, match=said):
            close_gap(cartpole, logs, policies, tmp_path / "out", settings(Watch()))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_road_in_a_sealed_target_counts_and_alternates(tmp_path):
    world, policies = World.load("furuta"), [Policy.load("furuta-nominal-0")]
    names = ("pole.mass", "motor.strength")
    bounds = Domain({name: world.training_domain.parameters[name] for name in names})
    sealed = Sealed(world.variant("combined_a"), 4, 2, 40, bounds, FitSettings(search=SearchSettings(3, 6)))
    with pytest.raises(KeyboardInterrupt):
        close_on_target(world, sealed, policies, tmp_path, settings(Seen("identify round-1")))
    seen = Seen()
    closing = close_on_target(world, sealed, policies, tmp_path, settings(seen))
    assert seen.stages == {
        "record round-0": True,
        "identify round-0": True,
        "train round-0/policy": True,
        "record round-1": True,
        "identify round-1": False,
        "train round-1/policy": False,
        "train furuta-nominal-0-point": False,
        "evaluate": False,
    }
    learnt = closing.identified["furuta-nominal-0"]
    assert (learnt.spent.episodes, learnt.spent.steps) == (4, 4 * 40)
    assert set(learnt.values) == set(names)
    assert {policy.contract.label for policy in closing.policies} == LABELS
    assert closing.report.variants == ("nominal", "combined_a")
    steps = {p.contract.label: [s.steps for s in p.contract.provenance[1:]] for p in closing.policies}
    assert steps["point"] == [8192]
    assert steps["posterior"] == [4096, 4096]
    page = closing.page.read_text()
    assert "It cost 160 steps = 2 s in 4 episodes of the target" in page
    assert closing.exit_code == learnt.exit_code in (0, 11, 12, 13, 14)
    assert bool(learnt.exit_code) == ("Trust what was trained only as far as" in page)
    other = dataclasses.replace(sealed, variant=world.variant("combined_b"))
    with pytest.raises(InvalidValue, match="recorded in another target"):
        close_on_target(world, other, policies, tmp_path, settings(Watch()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("furuta", "--target", "combined_a", "--budget-episodes", 3, "--rounds", 2),
            "3 episodes in 2 rounds",
        ),
        (("furuta", "--target", "combined"), "did you mean"),
        (("furuta", "--target", "combined_a", "--free", "pole.mas"), "did you mean 'pole.mass'"),
        (("quadruped", "--target", "combined_a"), "don't tell the state"),
        (("furuta", "--recordings", "missing"), "missing"),
    ],
)
def test_mistakes_cost_one_sentence(arguments, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["close", *map(str, arguments)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.npz"))


def test_a_fingerprint_is_that_of_the_content(cartpole, twin):
    first, second = twin("cartpole", {}, count=2, seconds=0.2)
    policy = Policy.load("cartpole-nominal-0")
    base = fingerprint(cartpole, policy, [first], cartpole.training_domain, QUICK)
    assert base == fingerprint(World.load("cartpole"), policy, (first,), cartpole.training_domain, QUICK)
    others = (
        (cartpole, policy, [second], cartpole.training_domain, QUICK),
        (cartpole, Policy.load("cartpole-nominal-1"), [first], cartpole.training_domain, QUICK),
        (World.load("furuta"), policy, [first], cartpole.training_domain, QUICK),
        (cartpole, policy, [first], Domain.point(PHYSICS), QUICK),
        (cartpole, policy, [first], cartpole.training_domain, dataclasses.replace(QUICK, seed=1)),
    )
    assert len({base, *(fingerprint(*parts) for parts in others)}) == 6
