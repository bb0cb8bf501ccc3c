"""The inputs and outputs of a policy, from whatever its project writes beside it.

- Isaac Lab: ``IO_descriptors.yaml``, with the ``env.yaml`` of the same run for gains, commands and start;
- mjlab: the metadata of ``policy.onnx``, numbers and names as comma-separated text;
- unitree_rl_gym: the ``config.yaml`` that it deploys a policy with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim2real.documents import Section
from sim2real.errors import InvalidValue, MissingExtra, UnknownName
from sim2real.scaffold.described import Description, Robot
from sim2real.scaffold.isaac_lab import isaac_lab
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


_MJLAB = {
    **{
        name: name for name in ("base_lin_vel", "base_ang_vel", "projected_gravity", "joint_pos", "joint_vel")
    },
    **dict.fromkeys(("actions", "last_action"), "last_action"),
    **dict.fromkeys(("command", "velocity_commands", "generated_commands"), "command"),
}
_NEEDED = ("joint_names", "joint_stiffness", "joint_damping", "default_joint_pos", "observation_names")
_CONTROL_DT = 0.02  # s, of mjlab's tasks; its files don't say


def mjlab(path: Path, robot: Robot) -> Description:
    """What the metadata of an ONNX file says; nothing of the network is run."""
    metadata, inputs, outputs = _onnx(path)
    for key in _NEEDED:
        if key not in metadata:
            known = ", ".join(metadata) or "none"
            raise InvalidValue(f"{path} has no metadata {key}, as mjlab writes it; it has: {known}")
    table = Section(str(path), {key: _list(text) for key, text in metadata.items()})
    names = table.texts("joint_names")
    robot.check(names, path.name)
    numbers = {key: _numbers(table, key, len(names)) for key in _NEEDED[1:4]}
    scale = _numbers(table, "action_scale", len(names)) if "action_scale" in table else [1.0] * len(names)
    observation: list[dict[str, object]] = []
    for name in table.texts("observation_names"):
        if name not in _MJLAB:
            raise UnknownName(f"observation term of {path.name}:", name, _MJLAB)
        observation.append({"term": _MJLAB[name]})
    if outputs and outputs != len(names):
        raise InvalidValue(f"{path} gives {outputs} actions where its metadata names {len(names)} joints")
    commands = any(term["term"] == "command" for term in observation)
    notes = [f"control_dt = {_CONTROL_DT:g} in io.toml is assumed: {path.name} doesn't say; edit it"]
    if commands:
        notes.append("command = [0.5, 0.0, 0.0] in io.toml is assumed; edit it")
    return Description(
        source=path.name,
        control_dt=_CONTROL_DT,
        implicit_damping=True,
        joints=[
            {"name": name, "default": default, "stiffness": kp, "damping": kd}
            for name, kp, kd, default in zip(names, *numbers.values(), strict=True)
        ],
        observation=observation,
        action=[{"term": "joint_position", "scale": scale[0] if len(set(scale)) == 1 else scale}],
        num_obs=inputs or None,
        command=[0.5, 0.0, 0.0] if commands else [],
        start={"pose": "default"},
        notes=notes,
    )


def unitree(file: Section, robot: Robot) -> Description:
    """What a deployment file of unitree_rl_gym says; its joints are the model's, in their order."""
    joints, count = robot.driven(), file.whole("num_actions")
    if len(joints) != count:
        raise InvalidValue(
            f"{file.path} is for {count} actions, but {robot.file} drives {len(joints)} joints: "
            f"{', '.join(joints) or 'none'}"
        )
    columns = [_numbers(file, key, count) for key in ("kps", "kds", "default_angles")]
    command = list(file.numbers("cmd_init"))
    size = 9 + 3 * count + 2
    if file.whole("num_obs") != size:
        raise InvalidValue(
            f"{file.path}: num_obs is {file.whole('num_obs')}, but turning rate, gravity, command, {count} "
            f"joint angles, speeds and actions, and the phase are {size} numbers; write io.toml by hand"
        )
    control_dt = file.number("simulation_dt") * file.whole("control_decimation")
    mine = float(robot.model.opt.timestep)
    step = file.number("simulation_dt")
    return Description(
        source=Path(file.path).name,
        control_dt=float(f"{control_dt:.9g}"),
        hold=float(f"{control_dt:.9g}"),  # its loop steps before it asks the policy
        joints=[
            {"name": name, "default": default, "stiffness": kp, "damping": kd}
            for name, kp, kd, default in zip(joints, *columns, strict=True)
        ],
        observation=[
            {"term": "base_ang_vel", "scale": file.number("ang_vel_scale")},
            {"term": "projected_gravity"},
            {"term": "command", "scale": list(file.numbers("cmd_scale"))},
            {"term": "joint_pos", **_scaled(file.number("dof_pos_scale"))},
            {"term": "joint_vel", "scale": file.number("dof_vel_scale")},
            {"term": "last_action"},
            {"term": "phase", "period": _PERIOD},
        ],
        action=[{"term": "joint_position", "scale": file.number("action_scale")}],
        num_obs=size,
        command=command,
        notes=[]
        if abs(step - mine) < 1e-9
        else [f"{Path(file.path).name} steps the physics every {step:g} s, {robot.file} every {mine:g} s"],
    )


def _scaled(factor: float) -> dict[str, float]:
    return {} if factor == 1.0 else {"scale": factor}


_PERIOD = 0.8  # s, of the gait, in the deployment scripts themselves


def _numbers(file: Section, key: str, count: int) -> list[float]:
    """A number for each joint; one alone is for all."""
    numbers = list(file.numbers(key))
    numbers = numbers * count if len(numbers) == 1 else numbers
    if len(numbers) != count:
        raise InvalidValue(f"{file.path}: {key} has {len(numbers)} numbers for {count} joints")
    return numbers


def _list(text: str) -> list[object]:
    """Comma-separated text as numbers, where all of it is, or as names."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return [float(part) for part in parts]
    except ValueError:
        return list(parts)


def _onnx(path: Path) -> tuple[dict[str, str], int, int]:
    """Metadata of an ONNX file, and the last size of its first input and output; 0 where that is open."""
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("onnx", "deploy") from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf has a class of its own
        raise InvalidValue(f"{path} is no ONNX file ({error}); copy it again") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    metadata = {str(entry.key): str(entry.value) for entry in model.metadata_props}
    return metadata, _last_size(inputs), _last_size(model.graph.output)


def _last_size(values: Sequence[Any]) -> int:
    dims = values[0].type.tensor_type.shape.dim if values else ()
    return int(dims[-1].dim_value) if dims else 0
