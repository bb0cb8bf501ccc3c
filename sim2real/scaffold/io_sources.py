"""The inputs and outputs of a policy, from whatever its project writes beside it.

- Isaac Lab: ``IO_descriptors.yaml``, with the ``env.yaml`` of the same run for gains, commands and start;
- mjlab: the metadata of ``policy.onnx``, numbers and names as comma-separated text;
- unitree_rl_gym: the ``config.yaml`` that it deploys a policy with.
"""

from __future__ import annotations

from pathlib import Path

from sim2real.errors import InvalidValue
from sim2real.scaffold.described import Description, Robot
from sim2real.scaffold.isaac_lab import isaac_lab
from sim2real.scaffold.mjlab import mjlab
from sim2real.scaffold.unitree import unitree
from sim2real.scaffold.yaml_file import read_yaml


def describe(path: Path, env: Path | None, robot: Robot) -> Description:
    """What a file says of a policy's inputs and outputs.

    Args:
        path: one of the three.
        env: Isaac Lab's ``env.yaml``.
        robot: that it should be about.

    Raises:
        UnknownName: for a term or a joint that there is not.
        InvalidValue: for another file, or sizes that don't add up.
        MissingExtra: for an ONNX file, if the package that reads it isn't installed.
    """
    if not path.is_file():
        raise InvalidValue(f"there is no file {path}; give IO_descriptors.yaml, config.yaml or policy.onnx")
    if path.suffix == ".onnx":
        found = mjlab(path, robot)
    else:
        file = read_yaml(path)
        if "observations" in file and "actions" in file:
            return isaac_lab(file, None if env is None else read_yaml(env), robot)
        if "kps" not in file:
            raise InvalidValue(
                f"{path} is no descriptor of a policy: it has neither observations and actions (Isaac "
                "Lab) nor kps (unitree_rl_gym)"
            )
        found = unitree(file, robot)
    if env is not None:
        raise InvalidValue(f"{path} says the gains itself; leave out --env {env}")
    return found
