"""A policy by what a user types: whose it is, and where it lies.

    load_policy("furuta-nominal-0")                    # ours: a name of the catalogue, or a folder
    load_policy("sb3:ppo.zip,normalize=vec.pkl")       # Stable-Baselines3, with what VecNormalize learnt
    load_policy("onnx:policy.onnx")
    load_policy("torchscript:motion.pt", trust=True)
    load_policy("my_module:controller")                # or "controller.py:Controller"
    load_policy("walker=torchscript:motion.pt")        # with a label of one's own

`evaluate` and `play` take the same on the command line.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real.errors import InvalidValue, PolicyError, UnknownName
from sim2real.foreign.callables import actor_of, find_callable
from sim2real.foreign.policy import ForeignPolicy
from sim2real.policy import Policy

if TYPE_CHECKING:
    from sim2real.foreign.normalizer import Normalizer
    from sim2real.foreign.sb3 import Sb3Policy
    from sim2real.world import World

_log = logging.getLogger(__name__)

_SUFFIXES = (".zip", ".pt", ".pth", ".onnx", ".pkl", ".npz", ".safetensors")
"""Of files, so that what ends with one is no name in a module."""


@dataclass(frozen=True)
class Spec:
    """What a user typed, taken apart."""

    text: str
    label: str | None
    prefix: str
    """``sb3``, ``onnx``, ``torchscript``, ``python``; empty for a policy of ours."""
    place: str
    """A file, a name, or a module and a name in it."""
    options: Mapping[str, str] = field(default_factory=dict)


def load_policy(spec: str | object, trust: bool = False) -> Policy | ForeignPolicy:
    """A policy of ours or of others; acting is the same for all of them.

    Args:
        spec: as above, or a function or object in Python that acts: ``act(observation)``,
            ``predict(observation)``, or a call with a batch of observations.
        trust: whether to load TorchScript, which can run code of whoever made it.

    Raises:
        UnknownName: for a policy or a prefix that there is not.
        PolicyError: for a file that is damaged, or of a network that can't be run here, or isn't trusted.
        InvalidValue: for a module that can't be imported.
        MissingExtra: for ONNX, if nothing is installed that runs it.
    """
    if isinstance(spec, Policy | ForeignPolicy):
        return spec
    if isinstance(spec, Path):
        return Policy.load(spec)
    if not isinstance(spec, str):
        name = str(getattr(spec, "__name__", type(spec).__name__))
        return ForeignPolicy(name, name, "Python", actor_of(spec))
    asked = parse(spec)
    if not asked.prefix:
        policy = Policy.load(asked.place)
        label = asked.label or policy.contract.label
        return replace(policy, contract=replace(policy.contract, label=label))
    if asked.prefix != "sb3" and asked.options:
        raise UnknownName(f"option of {asked.prefix}:", next(iter(asked.options)), ())
    if asked.prefix == "torchscript" and not trust:
        raise PolicyError(
            f"{asked.place} is TorchScript, and loading it can run code of whoever made it; if you trust "
            "where it comes from, say so (--trust, or trust=True)"
        )
    found = _READERS[asked.prefix](asked)
    return found if asked.label is None else replace(found, label=asked.label)


def import_policy(spec: str, world: str | World, label: str | None = None) -> Policy:
    """A policy of ours of a zip of Stable-Baselines3: signals named after the world, ready to be fine-tuned.

    Args:
        spec: ``"sb3:FILE.zip"``, with ``,normalize=FILE`` where `VecNormalize` is not found beside it.
        world: that it was trained in, or its name or folder.
        label: what reports call it; by default the algorithm.

    Raises:
        InvalidValue: for a policy of another kind.
        PolicyError: for a zip that can't be read, or that does not fit the world.
    """
    from sim2real.env import Sim2RealVectorEnv
    from sim2real.foreign.adopt import adopt

    asked = parse(spec)
    if asked.prefix != "sb3":
        raise InvalidValue(
            f"{spec} is no zip of Stable-Baselines3 (sb3:FILE.zip), of which alone a policy folder can be "
            "made; ONNX and TorchScript can be evaluated as they are (onnx:FILE, torchscript:FILE)"
        )
    policy = adopt(*read_zip(asked), Sim2RealVectorEnv(world, 1), Path(asked.place).stem)
    label = label or asked.label or policy.label
    return replace(policy, contract=replace(policy.contract, label=label))


def parse(text: str) -> Spec:
    """Take apart what a user typed.

    Raises:
        UnknownName: for a prefix that there is not.
    """
    label, place = None, text
    if (m := re.fullmatch(r"([^=:,/\\]+)=(.+)", text)) and not Path(text).exists():
        label, place = m[1], m[2]
    head, colon, rest = place.partition(":")
    if not colon or Path(place).is_dir():
        return Spec(text, label, "", place)
    if head in _READERS and head != "python":
        file, *options = rest.split(",") if not Path(rest).is_file() else [rest]
        pairs = dict(option.partition("=")[::2] for option in options)
        return Spec(text, label, head, file, pairs)
    is_name = re.fullmatch(r"[A-Za-z_][\w.]*", rest) and Path(rest).suffix not in _SUFFIXES
    if is_name and re.fullmatch(r"[\w.]+|.*\.py", head):
        return Spec(text, label, "python", place)
    raise UnknownName(
        "kind of policy (or a module and a name in it, as my_module:controller)",
        f"{head}:",
        [f"{p}:" for p in _READERS if p != "python"],
    )


def read_zip(spec: Spec) -> tuple[Sb3Policy, Normalizer | None]:
    """A zip of Stable-Baselines3, and the statistics that are given with it or lie beside it."""
    from sim2real.foreign.normalizer import read_normalizer
    from sim2real.foreign.sb3 import read_sb3

    unknown = set(spec.options) - {"normalize"}
    if unknown:
        raise UnknownName("option of sb3:", sorted(unknown)[0], ["normalize"])
    path = Path(spec.place)
    saved = read_sb3(path)
    given = spec.options.get("normalize")
    file = None if given == "none" else Path(given) if given else _beside(path)
    if given is None and saved.normalized:
        if file is None:
            raise PolicyError(
                f"{path} was trained on observations that VecNormalize normalized, and no such file lies "
                f"beside it; give it as sb3:{path},normalize=FILE, or say normalize=none"
            )
        level = logging.INFO if path.stem in str(file) else logging.WARNING  # another zip's, maybe
        _log.log(level, "%s: observations are normalized by %s, which lies beside it", path, file)
    elif given is None:
        file = None
    return saved, None if file is None else read_normalizer(file)


def _beside(path: Path) -> Path | None:
    """The file that VecNormalize is saved to, by the names that are usual."""
    stem = path.stem
    names = (
        f"{stem}_vecnormalize.pkl",
        f"{stem}_vec_normalize.pkl",
        f"{stem}/vecnormalize.pkl",
        re.sub(r"^(.*)_(\d+_steps)$", r"\1_vecnormalize_\2.pkl", stem),
        "vecnormalize.pkl",
        "vec_normalize.pkl",
    )
    return next((path.parent / name for name in names if (path.parent / name).is_file()), None)


def _sb3(spec: Spec) -> ForeignPolicy:
    from sim2real.foreign.adopt import foreign_policy

    saved, normalizer = read_zip(spec)
    return foreign_policy(saved, normalizer, Path(spec.place).stem)


def _onnx(spec: Spec) -> ForeignPolicy:
    from sim2real.foreign.onnx import OnnxFile

    file, name = OnnxFile(Path(spec.place)), Path(spec.place).stem
    contract = file.contract
    return ForeignPolicy(
        name,
        name if contract is None else contract.label,
        "ONNX",
        file,
        seed=None if contract is None else contract.seed,
        steps=() if contract is None else tuple(step.steps for step in contract.provenance),
        num_observations=file.num_observations,
        num_actions=file.num_actions,
        contract=contract,
    )


def _torchscript(spec: Spec) -> ForeignPolicy:
    from sim2real.foreign.torchscript import TorchScript

    name = Path(spec.place).stem
    return ForeignPolicy(name, name, "TorchScript", TorchScript(Path(spec.place)))


def _python(spec: Spec) -> ForeignPolicy:
    name = spec.place.rpartition(":")[2]
    return ForeignPolicy(name, name, "Python", actor_of(find_callable(spec.place)))


_READERS: dict[str, Callable[[Spec], ForeignPolicy]] = {
    "sb3": _sb3,
    "onnx": _onnx,
    "torchscript": _torchscript,
    "python": _python,
}
