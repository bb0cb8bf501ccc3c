"""YAML that another project wrote, as plain data: tags of Python's are dropped, nothing is constructed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sim2real.documents import Section, read_text
from sim2real.errors import InvalidValue


def read_yaml(path: Path) -> Section:
    """A YAML file whose outermost value is a table.

    Raises:
        InvalidValue: for a file that is missing, or none of that kind.
    """
    import yaml

    try:
        found = yaml.load(read_text(path), Loader=_plain_loader())
    except FileNotFoundError as error:
        raise InvalidValue(f"there is no file {path}") from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidValue(f"{path} is not a YAML file: {reason}; mend it, or copy it again") from error
    if not isinstance(found, dict):
        raise InvalidValue(f"{path} holds no table; give IO_descriptors.yaml, config.yaml or policy.onnx")
    return Section(str(path), found)


def _plain_loader() -> Any:  # noqa: ANN401
    """A safe loader to which tuples and slices are lists, and other objects what they were made of."""
    import yaml

    def plain(loader: Any, suffix: str, node: object) -> object:  # noqa: ANN401
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_scalar(node) or suffix.rpartition(":")[2]

    loader: Any = type("Plain", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("tag:yaml.org,2002:python/", plain)
    loader.add_multi_constructor("!", plain)
    return loader
