"""Which numbers of an actuator a parameter decides, by the kind of drive.

Strength is a factor on what a motor can give: on what it makes of its command, on its constant and on every
limit of its force, at the actuator, at the joint or at the tendon. Its back-EMF and its spring, which it
has without a command, stay. All that a servo gives follows from its goal, and strength is a factor on all
of it: strength · (kp (goal - angle - encoder offset) - kd speed + constant). A muscle's is one on its peak
force.
"""

from __future__ import annotations

from collections.abc import Iterator

import mujoco

from sim2real.errors import InvalidValue
from sim2real.world.drives import Drive, drive_of
from sim2real.world.levers import levers, limited_joints, moved_joints
from sim2real.world.names import element_name
from sim2real.world.terms import Described, Entry, owner, term

_AFFINE = int(mujoco.mjtBias.mjBIAS_AFFINE)
_ALL = (Drive.SERVO, Drive.VELOCITY, Drive.PID, Drive.ORIENTATION)
"""Drives of which strength scales all that they give."""


def of_actuator(world: Described, actuator: int, quantity: str) -> Iterator[Entry]:
    """Terms of every number of an actuator that has the quantity's parameter in a term."""
    element = element_name(world.model, "actuator", actuator)
    mine = owner(world, quantity, element)
    if quantity == "latency":
        yield Entry("actuator_delay", actuator, float(world.model.opt.timestep), mine)
        return
    if quantity in ("back_emf", "bias_torque"):
        yield from _with_bias(world, actuator)
    if quantity == "strength":
        _check_shared(world, actuator)
    yield from _with(mine, (*_law(world, actuator), *_limits(world, actuator)))


def of_encoder(world: Described, joint: int) -> Iterator[Entry]:
    """What servos that read the joint make of an encoder that reads too much."""
    mine = owner(world, "encoder_offset", element_name(world.model, "joint", joint))
    for actuator in levers(world.model, joint):
        yield from _with(mine, tuple(_law(world, actuator)))


def _with(parameter: tuple[str, ...], found: tuple[Entry, ...]) -> Iterator[Entry]:
    """All terms of the numbers that have the parameter in one."""
    numbers = {(e.field, e.address) for e in found if set(parameter) & set(e.parameters)}
    yield from (e for e in found if (e.field, e.address) in numbers)


def _with_bias(world: Described, actuator: int) -> Iterator[Entry]:
    """A bias for a plain motor, which was compiled to ignore it."""
    model = world.model
    if int(model.actuator_biastype[actuator]) == int(mujoco.mjtBias.mjBIAS_NONE):
        yield Entry("actuator_biastype", actuator, _AFFINE, ())
        for k in range(3):
            if model.actuator_biasprm[actuator, k]:
                yield Entry("actuator_biasprm", actuator * model.actuator_biasprm.shape[1] + k, 0.0, ())


def _law(world: Described, actuator: int) -> Iterator[Entry]:
    """Every number of the force law that some parameter decides."""
    model, kind = world.model, drive_of(world.model, actuator)
    element = element_name(model, "actuator", actuator)
    gain, bias = _Row(model, "gain", actuator), _Row(model, "bias", actuator)
    strength = owner(world, "strength", element)
    if kind is Drive.MUSCLE:
        place = 2 if gain.values[2] >= 0 else 3  # the peak force, or the scale that it is worked out from
        rows = (gain,) if int(model.actuator_biastype[actuator]) == 0 else (gain, bias)
        yield from (Entry(row.field, row.start + place, float(row.values[place]), strength) for row in rows)
    elif kind is Drive.DC_MOTOR:
        for quantity, k in (("kp", 4), ("kd", 6)):
            yield term(world, gain.field, gain.start + k, (quantity, element, float(gain.values[k])))
    elif kind not in (Drive.PLUGIN, Drive.USER):
        yield from _affine(world, actuator, kind)


def _affine(world: Described, actuator: int, kind: Drive) -> Iterator[Entry]:
    """Gain and bias of what is linear in command, length and speed."""
    element = element_name(world.model, "actuator", actuator)
    gain, bias = _Row(world.model, "gain", actuator), _Row(world.model, "bias", actuator)
    strength = owner(world, "strength", element)
    kp, kd = ("kp", element, -float(bias.values[1])), ("kd", element, -float(bias.values[2]))
    own = {Drive.SERVO: kp, Drive.ORIENTATION: kp, Drive.VELOCITY: kd}.get(kind)
    if own is not None:
        first = term(world, gain.field, gain.start, own, float(gain.values[0]) / own[2])
        yield _times(first, strength)
    else:
        columns = range(3 if kind is Drive.VARYING else 1)
        yield from (Entry(gain.field, gain.start + k, float(gain.values[k]), strength) for k in columns)
    if kind in _ALL:
        yield _times(term(world, bias.field, bias.start + 1, kp, -1.0), strength)
        yield _times(term(world, bias.field, bias.start + 2, kd, -1.0), strength)
    else:
        loss = ("back_emf", element, -float(bias.values[2]))
        yield term(world, bias.field, bias.start + 2, loss, -1.0)
    if bias.values[0]:
        yield Entry(bias.field, bias.start, float(bias.values[0]), strength)
    for name in owner(world, "bias_torque", element):
        yield _times(Entry(bias.field, bias.start, 1.0, (name,)), strength)
    if kind in (Drive.SERVO, Drive.PID):
        yield from (_times(e, strength) for e in _misread(world, actuator, kp))


def _misread(world: Described, actuator: int, kp: tuple[str, str, float]) -> Iterator[Entry]:
    """Constants of a servo whose encoders read too much, by its lever on each joint."""
    model = world.model
    bias = _Row(model, "bias", actuator)
    for joint in sorted(moved_joints(model, actuator)):
        for offset in owner(world, "encoder_offset", element_name(model, "joint", joint)):
            lever = levers(model, joint)[actuator]
            if lever is not None:
                gain = term(world, bias.field, bias.start, kp, -lever)
                yield Entry(gain.field, gain.address, gain.factor, (*gain.parameters, offset))


class _Row:
    """The numbers of an actuator's gain or bias; of no bias, zeros."""

    def __init__(self, model: mujoco.MjModel, what: str, actuator: int) -> None:
        table = getattr(model, f"actuator_{what}prm")
        self.field, self.start = f"actuator_{what}prm", actuator * table.shape[1]
        none = what == "bias" and int(model.actuator_biastype[actuator]) == int(mujoco.mjtBias.mjBIAS_NONE)
        self.values = 0.0 * table[actuator] if none else table[actuator]


def _times(entry: Entry, strength: tuple[str, ...]) -> Entry:
    return Entry(entry.field, entry.address, entry.factor, (*entry.parameters, *strength))


def _limits(world: Described, actuator: int) -> Iterator[Entry]:
    """Limits of what an actuator gives, wherever the model has one."""
    model, element = world.model, element_name(world.model, "actuator", actuator)
    strength, limit = owner(world, "strength", element), owner(world, "torque_limit", element)
    joints = limited_joints(model, actuator)
    if model.actuator_forcelimited[actuator]:
        yield from _both(("actuator_forcerange", actuator), model.actuator_forcerange, limit, strength)
        limit = ()
    for joint in joints:
        # the joint's limit is the actuator's times its gear
        gear = abs(levers(model, joint)[actuator] or 1.0)
        for entry in _both(("jnt_actfrcrange", joint), model.jnt_actfrcrange, limit, strength):
            yield Entry(entry.field, entry.address, entry.factor * (gear if limit else 1.0), entry.parameters)
    if int(model.actuator_trntype[actuator]) == int(mujoco.mjtTrn.mjTRN_TENDON):
        tendon = int(model.actuator_trnid[actuator, 0])
        if model.tendon_actfrclimited[tendon]:
            yield from _both(("tendon_actfrcrange", tendon), model.tendon_actfrcrange, (), strength)


def _both(
    place: tuple[str, int], ranges: mujoco.MjModel, limit: tuple[str, ...], strength: tuple[str, ...]
) -> Iterator[Entry]:
    """Both ends of a range: the torque limit where there is one, times the strength."""
    field, row = place
    for side, sign in enumerate((-1.0, 1.0)):
        nominal = float(ranges[row, side])
        if limit and nominal:  # an end of 0 bounds a norm
            yield Entry(field, 2 * row + side, sign, (*limit, *strength))
        else:
            yield Entry(field, 2 * row + side, nominal, strength)


def _check_shared(world: Described, actuator: int) -> None:
    """Refuse a strength where a limit holds several actuators together that do not share it."""
    model = world.model
    mine = element_name(model, "actuator", actuator)
    strength = owner(world, "strength", mine)
    shared = [("joint", joint, list(levers(model, joint))) for joint in limited_joints(model, actuator)]
    if int(model.actuator_trntype[actuator]) == int(mujoco.mjtTrn.mjTRN_TENDON):
        tendon = int(model.actuator_trnid[actuator, 0])
        if model.tendon_actfrclimited[tendon]:
            same = (model.actuator_trntype == model.actuator_trntype[actuator]) & (
                model.actuator_trnid[:, 0] == tendon
            )
            shared.append(("tendon", tendon, [int(k) for k in same.nonzero()[0]]))
    for kind, number, actuators in shared:
        for other in (element_name(model, "actuator", k) for k in actuators):
            if owner(world, "strength", other) != strength:
                raise InvalidValue(
                    f"{strength[0]}: actuator {mine!r} can't have it alone, because {kind} "
                    f"{element_name(model, kind, number)!r} limits what it and {other!r} give together; name "
                    "both in the elements of one strength"
                )
