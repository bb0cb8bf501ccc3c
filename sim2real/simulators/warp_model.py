"""A world's model and data on Warp's device, with room for what differs between simulations.

Warp shares a field of the model between all simulations unless it is told a batch size, and its ``set_const``
fills the batch size that a derived field already has. So every field that a parameter of the world decides is
batched, and with it every field that C's ``set_const`` derives from those.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import logging
import warnings
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.batch import MODEL_FIELDS, Batch

from sim2real.errors import InvalidValue, MissingExtra
from sim2real.world.names import element_name

_log = logging.getLogger(__name__)

_ALWAYS = ("dof_frictionloss", "actuator_forcerange", "actuator_delay")  # channels write them too
_MOST_CONTACTS = 200  # a simulation; memory and time grow with it, and who needs more overflows
_OF_PAIR = {
    ("PLANE", "CAPSULE"): 2,
    ("PLANE", "ELLIPSOID"): 1,
    ("PLANE", "CYLINDER"): 4,
    ("PLANE", "MESH"): 4,
    ("CAPSULE", "CAPSULE"): 2,
    ("CAPSULE", "BOX"): 2,
}
"""Most contacts of two geoms; one with a sphere, 50 with a height field, 8 for all others."""

_DROPPED = ("NEFC", "NJMAX_NNZ", "BROADPHASE", "NARROWPHASE", "CCD", "HFIELD", "NVMAX")
"""Overflows after which contacts or constraints are missing."""


class WarpModel:
    """Warp and MuJoCo Warp, one model, and the data of all its simulations.

    Raises:
        MissingExtra: if one of the two packages is not installed.
        InvalidValue: for a model that MuJoCo Warp can't run; the message says what it stumbles over.
    """

    def __init__(self, model: mujoco.MjModel, num_envs: int, fields: Iterable[str]) -> None:
        """Put ``num_envs`` simulations of ``model`` on the first GPU, or on the CPU if there is none."""
        self.wp = _package("warp")
        self._host = model
        self._graphs: dict[object, Any] = {}
        with self._silence():
            self.mjw = _package("mujoco_warp")
            self.wp.init()
            both = self.wp.is_cuda_available() and torch.cuda.is_available()
            self.device = "cuda:0" if both else "cpu"
            with self.wp.ScopedDevice(self.device):
                self._build(model, num_envs, set(fields))
                self.wp.synchronize()  # torch has a stream of its own

    def _build(self, model: mujoco.MjModel, num_envs: int, fields: set[str]) -> None:
        model_fields = _batchable(self.mjw.Model)
        self._batched = (fields & model_fields) | set(_ALWAYS)
        if self._batched & set(mujoco.MjModel._setconst_inputs):
            self._batched |= _derived(model, self._batched) & model_fields
        for fault in _unheard(model):
            raise InvalidValue(
                f"MuJoCo Warp doesn't heed {fault}; change scene.xml, or use simulator 'mujoco'"
            )
        try:
            self.model = self.mjw.put_model(model, dict.fromkeys(self._batched, num_envs))
        except (NotImplementedError, ValueError) as error:
            raise InvalidValue(
                f"MuJoCo Warp can't run this world: {error}; change scene.xml, or use simulator 'mujoco'"
            ) from error
        options = _batchable(self.mjw.Option)
        for field in (field for field in fields if field.removeprefix("opt.") in options):
            self._batch_option(field.removeprefix("opt."), num_envs)
        # decided from nominal values when the model is made, and wrong for a world whose parameters move them
        self.model.has_fluid |= bool(fields & {"opt.wind", "opt.density", "opt.viscosity"})
        self.model.opt.warn_overflow = 0
        contacts, rows = capacity(model, self.model.nxn_geom_pair_filtered.numpy())
        self.data = self.mjw.make_data(model, nworld=num_envs, nconmax=contacts, njmax=rows)
        self._bits = {name: int(getattr(self.mjw.OverflowType, name)) for name in _DROPPED}
        self.fatal_overflows = sum(self._bits.values())

    def _batch_option(self, name: str, num_envs: int) -> None:
        shared = getattr(self.model.opt, name)
        repeated = np.repeat(shared.numpy(), num_envs, axis=0)
        array = self.wp.array(repeated, dtype=shared.dtype)
        array._is_batched = True
        setattr(self.model.opt, name, array)
        self._batched.add(f"opt.{name}")

    def tensor(self, array: object) -> torch.Tensor:
        """A torch tensor on the memory of a Warp array."""
        tensor: torch.Tensor = self.wp.to_torch(array, requires_grad=False)
        return tensor

    def field(self, name: str) -> torch.Tensor | None:
        """A field of the model, flattened, in each simulation; None if it can't be batched.

        Args:
            name: of a field of MjModel, or ``opt.<name>``.

        Returns:
            Live. Shape (num_envs, numbers of the field).
        """
        if name not in self._batched:
            return None
        option, attribute = name.startswith("opt."), name.removeprefix("opt.")
        tensor = self.tensor(getattr(self.model.opt if option else self.model, attribute))
        flat = tensor.view(tensor.shape[0], -1)
        width = np.size(getattr(self._host.opt if option else self._host, attribute))
        return flat if flat.shape[1] == width else None

    def command_buffers(self) -> tuple[list[int], list[int]]:
        """Columns of ``history`` that hold delayed commands, and the actuator of each."""
        columns: list[int] = []
        actuators: list[int] = []
        lines = zip(self._host.actuator_history[:, 0], self._host.actuator_historyadr, strict=True)
        for actuator, (samples, address) in enumerate(lines):
            values = int(address + 2 + samples)  # after user, cursor and the time stamps
            columns.extend(range(values, values + int(samples)))
            actuators.extend([actuator] * int(samples))
        return columns, actuators

    def launch(self, key: object, *calls: tuple[Any, ...]) -> None:
        """Replay the graph of some calls; the first time it is recorded, under ``key``.

        Args:
            key: of the graph.
            *calls: functions, each with its arguments.
        """
        if key not in self._graphs:
            with self._silence(), self.wp.ScopedDevice(self.device), self.wp.ScopedCapture() as capture:
                for function, *arguments in calls:
                    function(*arguments)
            self._graphs[key] = capture.graph
        # on torch's stream, so that graphs and tensor operations come one after the other
        stream = self.wp.stream_from_torch(self.device) if self.device != "cpu" else None
        self.wp.capture_launch(self._graphs[key], stream=stream)

    def overflow_message(self, overflows: torch.Tensor) -> str:
        """Which simulations needed more room than there is, in words.

        Args:
            overflows: bit masks of the engine. Shape (num_envs,).
        """
        rows = overflows.nonzero()[:, 0].tolist()
        kinds = [name for name, bit in self._bits.items() if bool((overflows & bit).any())]
        contacts = self.data.naconmax // self.data.nworld
        return (
            f"MuJoCo Warp dropped contacts or constraints ({', '.join(kinds)}) in simulations {rows[:5]}: "
            f"each has room for {contacts} contacts and {self.data.njmax} rows; they count as diverged"
        )

    @contextlib.contextmanager
    def _silence(self) -> Iterator[None]:
        """No banner and no lines about compiled kernels; warnings about the model go to the log."""
        level, self.wp.config.log_level = self.wp.config.log_level, self.wp.LOG_ERROR
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                yield
        finally:
            self.wp.config.log_level = level
        for warning in caught:
            _log.debug("%s", warning.message)


def _unheard(model: mujoco.MjModel) -> Iterator[str]:
    """What the engine takes without a word and does otherwise."""
    groups = model.actuator_group
    off = (model.opt.disableactuator >> groups) & ((groups >= 0) & (groups < 31))
    for actuator in np.flatnonzero(off & 1):
        yield f"that the group of actuator {element_name(model, 'actuator', int(actuator))!r} is disabled"
    room = np.diff(model.jnt_range).ravel() - 2 * model.jnt_margin
    for joint in np.flatnonzero((model.jnt_limited == 1) & (room < 0.0)):
        yield (
            f"both limits of joint {element_name(model, 'joint', int(joint))!r} at once, which its margin, "
            "wider than half its range, asks for"
        )


def capacity(model: mujoco.MjModel, pairs: np.ndarray[Any, Any]) -> tuple[int, int]:
    """Most contacts and most constraint rows that one simulation can have.

    Args:
        model: the compiled model.
        pairs: geoms that may touch. Shape (n, 2).
    """
    kinds = [mujoco.mjtGeom(kind).name.removeprefix("mjGEOM_") for kind in model.geom_type]
    contacts = [_contacts(kinds[a], kinds[b]) for a, b in pairs]
    dims = [int(max(model.geom_condim[a], model.geom_condim[b])) for a, b in pairs]
    elliptic = model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
    rows_of = [dim if elliptic or dim == 1 else 2 * (dim - 1) for dim in dims]
    most = min(sum(contacts), _MOST_CONTACTS)
    rows = min(sum(n * k for n, k in zip(contacts, rows_of, strict=True)), most * max(rows_of, default=0))
    limits = int(model.jnt_limited.sum() + 2 * model.tendon_limited.sum())
    return max(most, 1), max(rows + model.nv + model.ntendon + limits + 6 * model.neq, 1)


def _contacts(one: str, other: str) -> int:
    if "HFIELD" in (one, other):
        return 50
    if "SPHERE" in (one, other):
        return 1
    return _OF_PAIR.get((one, other), _OF_PAIR.get((other, one), 8))


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra("mujoco-warp", "warp") from error


def _batchable(kind: type) -> set[str]:
    """Fields of a dataclass of MuJoCo Warp that may differ between simulations."""
    shapes = {field.name: getattr(field.type, "shape", ()) for field in dataclasses.fields(kind)}
    return {name for name, shape in shapes.items() if shape and shape[0] == "*"}


_FRAMES = ("body_ipos", "body_iquat")


def _derived(model: mujoco.MjModel, fields: Iterable[str]) -> set[str]:
    """Fields that C's ``set_const`` makes different between simulations when ``fields`` differ."""
    batch = Batch(model, 2, 1)
    for field in fields:
        rows = batch.expand(field)
        moved = 1.25 * rows[1] + 0.01
        if field in _FRAMES:  # of a body compiled as centred, which no parameter then moves
            moved[model.body_simple > 0] = rows[1][model.body_simple > 0]
        rows[1] = moved
    batch.set_const()
    return {name for name in MODEL_FIELDS if _is_own(batch, name)}


def _is_own(batch: Batch, name: str) -> bool:
    try:
        return batch.expanded(name) is not None
    except ValueError:  # data of assets, which simulations always share
        return False
