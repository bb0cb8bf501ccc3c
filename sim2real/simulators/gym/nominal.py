"""A model of an env as it was before anything of ours was written to it.

Wrappers come and go, and the model under the env may stay: a second wrapper must not take what the first one
drew for nominal. So what was written is remembered with the model, for as long as the model lives.
"""

from __future__ import annotations

import copy
import hashlib
from weakref import WeakKeyDictionary

import mujoco
import numpy as np

from sim2real.interface import Array, Ids


class Nominal:
    """The nominal model of a live one, and which of its numbers were written."""

    def __init__(self, live: mujoco.MjModel) -> None:
        """Take a model that nobody has drawn for."""
        self.model = copy.deepcopy(live)
        """Never written to."""
        self._written: dict[str, Ids] = {}

    @classmethod
    def of(cls, live: mujoco.MjModel) -> Nominal:
        """The nominal model of an env's: all that is not ours is as it is now."""
        known = _KNOWN.get(live)
        if known is not None and not known._written:
            known = None  # whatever differs by now is the env's own
        nominal = cls(live)
        if known is not None:
            known.restore(nominal.model)
            nominal._written = known._written
        _KNOWN[live] = nominal
        return nominal

    def follow(self, copied: mujoco.MjModel) -> None:
        """Be the nominal model of a copy of the live one as well."""
        _KNOWN[copied] = self

    def note(self, field: str, addresses: Ids) -> None:
        """Some numbers of a field are going to be written."""
        self._written[field] = np.union1d(self._written.get(field, addresses), addresses)

    def restore(self, live: mujoco.MjModel) -> None:
        """Put back what was written, and what the engine derives from it."""
        for name, addresses in self._written.items():
            nominal, now = field_of(self.model, name), field_of(live, name)
            if isinstance(nominal, float):
                setattr(live.opt, name.removeprefix("opt."), nominal)
            else:
                np.reshape(now, -1, copy=False)[addresses] = np.ravel(nominal)[addresses]
        if any(field in mujoco.MjModel._setconst_inputs for field in self._written):
            mujoco.mj_setConst(live, mujoco.MjData(live))

    def digest(self) -> str:
        """A name for everything that is in the model."""
        content = np.empty(mujoco.mj_sizeModel(self.model), np.uint8)
        mujoco.mj_saveModel(self.model, None, content)
        return hashlib.sha256(content.tobytes()).hexdigest()


_KNOWN: WeakKeyDictionary[mujoco.MjModel, Nominal] = WeakKeyDictionary()


def field_of(model: mujoco.MjModel, name: str) -> float | Array:
    """A field of a model or, as ``opt.<name>``, of its options, where some are plain numbers."""
    prefix, _, field = name.rpartition(".")
    found: float | Array = getattr(model.opt if prefix else model, field)
    return found
