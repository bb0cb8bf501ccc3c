"""Pages from templates: every text is escaped on its way in, unless it says that it is HTML; pictures alike.

    fill(__package__, "page.html", {"title": name, "rows": Html("".join(rows)), "data": embedded(table)})

Names come from other people's files: a joint may be called ``<b>j1</b>``.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from importlib import resources
from string import Template
from typing import Any


class Html(str):
    """Text that is HTML already, its own texts escaped."""


def fill(package: str, name: str, parts: Mapping[str, str]) -> str:
    """A template of a package with its ``$names`` replaced.

    Args:
        package: where the template stands, such as ``sim2real.doctor``.
        name: of its file.
        parts: text, which is escaped, or `Html`, which is not.
    """
    template = Template(resources.files(package).joinpath(name).read_text("utf-8"))
    return template.substitute({k: v if isinstance(v, Html) else escape(v) for k, v in parts.items()})


def in_markdown(text: str) -> str:
    """A text in a line of Markdown, in which nothing is markup; an underscore inside a word is none."""
    return re.sub(r"([\\`*{}\[\]<>#|!~&]|\b_|_\b)", r"\\\1", " ".join(text.split()))


def embedded(table: object) -> Html:
    """Plain values as JSON that is safe inside a script element: nothing in it ends or opens one.

    Raises:
        ValueError: for a NaN, which JSON does not have.
    """
    return Html(json.dumps(table, allow_nan=False, ensure_ascii=True).replace("<", "\\u003c"))


@contextmanager
def plain_text(settings: Mapping[str, object] | None = None) -> Iterator[None]:
    """Matplotlib with one font and these settings, to draw and to save under.

    Names are never formulas, and a letter that the font lacks is a box in the picture, not a warning.
    """
    import matplotlib as mpl

    given: Any = {"font.family": ["DejaVu Sans"], "text.parse_math": False, **(settings or {})}
    with mpl.rc_context(given), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
