"""What mjlab writes into the metadata of ``policy.onnx``: names and numbers as comma-separated text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sim2real.documents import Section
from sim2real.errors import InvalidValue, MissingExtra, UnknownName
from sim2real.scaffold.described import Description, Robot, numbers_of

_TERMS = {
    **{
        name: name for name in ("base_lin_vel", "base_ang_vel", "projected_gravity", "joint_pos", "joint_vel")
    },
    **dict.fromkeys(("actions", "last_action"), "last_action"),
    **dict.fromkeys(("command", "velocity_commands", "generated_commands"), "command"),
}
_NEEDED = ("joint_names", "joint_stiffness", "joint_damping", "default_joint_pos", "observation_names")
_CONTROL_DT = 0.02  # s, of mjlab's tasks, where a file doesn't say
_COMMAND = [0.5, 0.0, 0.0]


def mjlab(path: Path, robot: Robot) -> Description:
    """What the metadata of an ONNX file says; nothing of the network is run.

    Raises:
        UnknownName: for a term that can't be read, or a joint that the model lacks.
        InvalidValue: for metadata that are missing, or sizes that don't add up.
        MissingExtra: if the package that reads the file isn't installed.
    """
    metadata, inputs, outputs = _onnx(path)
    for key in _NEEDED:
        if key not in metadata:
            known = ", ".join(metadata) or "none"
            raise InvalidValue(f"{path} has no metadata {key}, as mjlab writes it; it has: {known}")
    file = Section(str(path), {key: _list(text) for key, text in metadata.items()})
    names = file.texts("joint_names")
    robot.check(names, path.name)
    driven = _driven(file, names, robot)
    if outputs and outputs != len(driven):
        raise InvalidValue(
            f"{path} gives {outputs} actions where its metadata has gains of {len(driven)} joints"
        )
    gains = {
        name: {"stiffness": kp, "damping": kd}
        for name, kp, kd in zip(
            driven, *(numbers_of(file, key, len(driven)) for key in _NEEDED[1:3]), strict=True
        )
    }
    scale = numbers_of(file, "action_scale", len(driven)) if "action_scale" in file else [1.0]
    action: dict[str, object] = {
        "term": "joint_position",
        "scale": scale if len(set(scale)) > 1 else scale[0],
    }
    if len(driven) < len(names):
        action["joints"] = driven
    observation = _observation(file, robot, robot.base(names))
    [control_dt] = numbers_of(file, "control_dt", 1) if "control_dt" in file else [_CONTROL_DT]
    notes = [f"control_dt = {control_dt:g} in io.toml is assumed: {path.name} doesn't say; edit it"]
    commands = any(term["term"] == "command" for term in observation)
    assumed = [f"command = {_COMMAND} in io.toml is assumed; edit it"] if commands else []
    return Description(
        source=path.name,
        control_dt=control_dt,
        implicit_damping=True,
        joints=[
            {"name": name, "default": default, **gains.get(name, {})}
            for name, default in zip(names, numbers_of(file, "default_joint_pos", len(names)), strict=True)
        ],
        observation=observation,
        action=[action],
        num_obs=inputs or None,
        command=_COMMAND if commands else [],
        start={"pose": "default"},
        notes=[*([] if "control_dt" in metadata else notes), *assumed],
    )


def _driven(file: Section, names: Sequence[str], robot: Robot) -> list[str]:
    """Joints that have gains: all, or those of them that the model drives."""
    count, driven = len(file.numbers("joint_stiffness")), [name for name in names if name in robot.driven()]
    if count not in (1, len(names), len(driven)):
        raise InvalidValue(
            f"{file.path}: joint_stiffness has {count} numbers for {len(names)} joints, of which "
            f"{robot.file} drives {len(driven)}"
        )
    return driven if count == len(driven) else list(names)


def _observation(file: Section, robot: Robot, base: str) -> list[dict[str, object]]:
    names = file.texts("observation_names")
    terms: list[dict[str, object]] = []
    for name in names:
        if name == "height_scan":
            raise InvalidValue(
                f"{file.path} has a height_scan, and doesn't say of how many rays; write io.toml by hand"
            )
        if name not in _TERMS:
            raise UnknownName(f"observation term of {Path(file.path).name}:", name, _TERMS)
        terms.append({"term": _TERMS[name]})
        place = robot.imu_at(base) if name == "base_lin_vel" and base else None
        if place is not None and any(place):
            terms[-1]["at"] = place  # mjlab's is read by the robot's own sensor
    for key, ours, usual in (("scale", "scale", 1.0), ("history_length", "history", 0.0)):
        if f"observation_terms_{key}" in file:
            numbers = numbers_of(file, f"observation_terms_{key}", len(names))
            for term, number in zip(terms, numbers, strict=True):
                if number != usual:
                    term[ours] = int(number) if ours == "history" else number
    clips = file.values.get("observation_terms_clip", [])
    if isinstance(clips, list) and any(str(clip).strip("[] -+") not in ("", "inf") for clip in clips):
        raise InvalidValue(f"{file.path}: observation_terms_clip can't be read yet; write io.toml by hand")
    return terms


def _list(text: str) -> list[object]:
    """Comma-separated text as numbers, where all of it is, or as names."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return [float(part) for part in parts]
    except ValueError:
        return list(parts)


def _onnx(path: Path) -> tuple[Mapping[str, str], int, int]:
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
