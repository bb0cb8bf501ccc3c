"""A gate as files that a CI page reads: JUnit XML, and a summary in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from sim2real.evaluate.gate import Decision, Gate

_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKS = {"met": "✅ met", "broken": "❌ broken", "undecided": "❔ undecided"}


def junit(gate: Gate) -> str:
    """The gate as JUnit XML: a test case a decision, a failure where it is broken, an error if undecided."""
    found = [decision.verdict for decision in gate.decisions]
    suite = ElementTree.Element(
        "testsuite",
        name=_plain(gate.title),
        tests=str(len(found)),
        failures=str(found.count("broken")),
        errors=str(found.count("undecided")),
        skipped="0",
    )
    for decision in gate.decisions:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            name=_plain(decision.requirement.text),
            classname=_plain(decision.label),
            time="0",
        )
        if decision.verdict != "met":
            kind = "failure" if decision.verdict == "broken" else "error"
            ElementTree.SubElement(case, kind, type=decision.verdict, message=_plain(decision.text))
        ElementTree.SubElement(case, "system-out").text = _plain(decision.text)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def markdown(gate: Gate, changes: Sequence[str] = ()) -> str:
    """The gate as a table, behind it lines on what changed since another run."""
    lines = [
        f"### {_cell(gate.title)}: {_MARKS[gate.verdict]}" if gate.decisions else f"### {_cell(gate.title)}"
    ]
    if gate.decisions:
        lines += ["", "| | requirement | method | measured [95 % interval] | |", "|---|---|---|---|---|"]
        lines += [_row(decision) for decision in gate.decisions]
    if changes:
        lines += ["", *(f"- {_cell(line)}" for line in changes)]
    return "\n".join(lines) + "\n"


def _row(decision: Decision) -> str:
    cells = (decision.requirement.text, decision.label, decision.found, decision.note)
    return f"| {' | '.join([_MARKS[decision.verdict], *map(_cell, cells)])} |"


def _cell(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", " ".join(text.split()))


def _plain(text: str) -> str:
    """Text without what XML can't hold."""
    return _NOT_IN_XML.sub("�", text)
