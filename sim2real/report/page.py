"""Pages from templates: one HTML file each, which opens offline and loads nothing.

Every text is escaped on its way in (Jinja2's autoescape): a joint may be called ``<b>j1</b>``. Besides, a
page tells the browser to run the scripts it was written with and no other, and to load nothing at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from sim2real.report.chart import Chart
from sim2real.report.style import svg
from sim2real.report.tables import Table

_SCRIPTS = ("page.js", "chart.js")


@dataclass(frozen=True, eq=False)
class Section:
    """A heading with what stands below it: a sentence, a figure, charts to zoom in, tables."""

    title: str
    lead: str = ""
    tables: Sequence[Table] = ()
    figure: Figure | None = None
    label: str = ""
    """What the figure shows, for those who don't see it."""
    charts: Sequence[Chart] = ()


@dataclass(frozen=True, eq=False)
class Page:
    """What a page says, from top to bottom."""

    kind: str
    """Such as ``gap report``."""
    title: str
    lead: Sequence[tuple[str, str]]
    """Sentences that it opens with, each with its tone: ``good``, ``fair``, ``bad`` or none."""
    sections: Sequence[Section] = ()
    tiles: Sequence[tuple[str, str, str, str]] = ()
    """Numbers to see first: the number, what it is, a note, and its colour in the style or nothing."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Files beside the page, and what they are."""
    facts: Mapping[str, str] | None = None
    """Provenance; ``command`` is what makes this page again, and has a heading of its own."""


def render(page: Page, template: str = "page.html", **parts: object) -> str:
    """The page as HTML.

    Args:
        page: what it says.
        template: one that extends ``page.html``.
        parts: what the template wants besides.

    Raises:
        ValueError: for a NaN in a chart's data, which JSON does not have.
    """
    scripts = [_environment().get_template(name).render() for name in _SCRIPTS]
    filled = (
        _environment()
        .get_template(template)
        .render(
            page=page,
            scripts=[Markup(script) for script in scripts],
            hashes=Markup(" ".join(map(_hash, scripts))),
            **parts,
        )
    )
    return f"{filled}\n"


def _hash(script: str) -> str:
    """As a Content-Security-Policy names a script that may run."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sim2real.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "ensure_ascii": True}
    environment.filters["svg"] = svg
    parts: Any = environment.get_template("parts.html").module
    environment.globals |= {name: getattr(parts, name) for name in ("table", "figure", "chart")}
    return environment
