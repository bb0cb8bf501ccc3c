"""The ``config.yaml`` that unitree_rl_gym deploys a policy with."""

from __future__ import annotations

from pathlib import Path

from sim2real.documents import Section
from sim2real.errors import InvalidValue
from sim2real.scaffold.described import Description, Robot, numbers_of


def unitree(file: Section, robot: Robot) -> Description:
    """What a deployment file of unitree_rl_gym says; its joints are the model's, in their order."""
    joints, count = robot.driven(), file.whole("num_actions")
    if len(joints) != count:
        raise InvalidValue(
            f"{file.path} is for {count} actions, but {robot.file} drives {len(joints)} joints: "
            f"{', '.join(joints) or 'none'}"
        )
    columns = [numbers_of(file, key, count) for key in ("kps", "kds", "default_angles")]
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
        start={"pose": "qpos0"},
        command=command,
        notes=[]
        if abs(step - mine) < 1e-9
        else [f"{Path(file.path).name} steps the physics every {step:g} s, {robot.file} every {mine:g} s"],
    )


def _scaled(factor: float) -> dict[str, float]:
    return {} if factor == 1.0 else {"scale": factor}


_PERIOD = 0.8  # s, of the gait, in the deployment scripts themselves
