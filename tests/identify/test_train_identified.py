"""From the command line: identify, train in the file that it wrote, evaluate the policy."""

import json

import numpy as np
import pytest

from sim2real.cli import main
from sim2real.domain import Domain
from sim2real.policy import Policy
from sim2real.recordings import write_npz

TWINS = {
    "so101": (
        {"servos.kp": 60.0, "joints.damping": 4.0, "servos.latency": 6},
        None,
        (
            "shoulder_pan.kp",
            "joints.damping",
            "servos.latency",
            "elbow_flex.goal_braking",
            "gripper.stribeck",
        ),
    ),
    "cartpole": (
        {"cart.mass": 1.3, "motor.latency": 2},
        (0, np.pi),
        ("cart.mass", "hinge.frictionloss", "motor.latency"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TWINS)
def test_a_policy_trains_in_the_file_that_identify_wrote(name, twin, tmp_path):
    physics, start, free = TWINS[name]
    for log in twin(name, physics, count=2, seconds=1.0, start=start):
        write_npz(log, tmp_path / "logs" / f"{log.name}.npz")
    found, trained, report = (str(tmp_path / part) for part in ("found", "trained", "report"))
    command = ["identify", name, "--recordings", str(tmp_path / "logs"), "--out", found, "--free", *free]
    assert main(command) in (0, 11, 12, 13, 14)
    identified = f"{found}/identified.toml"
    assert set(free) <= set(Domain.load(tmp_path / "found" / "identified.toml").names)
    assert main(["train", name, "--domain", identified, "--steps", "1024", "--out", trained]) == 0
    step = Policy.load(tmp_path / "trained").contract.provenance[-1]
    assert set(free) <= set(step.domain["parameters"])
    tried = ["evaluate", trained, "--variants", "nominal", "--episodes", "2", "--out", report]
    assert main(tried) == 0
    (cell,) = json.loads((tmp_path / "report" / "summary.json").read_text())["cells"]
    assert cell["diverged"] == 0
