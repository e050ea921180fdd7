"""What `septum check` found, as text for people, as JSON, and as annotations of GitHub."""

from __future__ import annotations

import json
import linecache
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from septum import Finding
    from septum._report import Report
    from septum.cli._target import Definition

_COLORS: Final = {"error": "red", "warning": "yellow", "note": "cyan"}
_GITHUB: Final = {"error": "error", "warning": "warning", "note": "notice"}
_REACH: Final = 30
"""Most lines from the first of a state to its `class` or `def`: the decorator's may be long."""


class Checked(NamedTuple):
    """A definition and what was found about it."""

    definition: Definition
    report: Report


class Place(NamedTuple):
    """A line of a file.

    Attributes:
        file: As the user would write it from the current directory; absolute where it is elsewhere.
        line: From 1.
    """

    file: str
    line: int

    @classmethod
    def of(cls, finding: Finding) -> Place | None:
        """Return the place of *finding*; None if it is unknown."""
        return cls.at(finding.where)

    @classmethod
    def at(cls, where: str) -> Place | None:
        """Return the place that *where*, `"file:line"`, names; None if it is empty."""
        file, _, line = where.rpartition(":")
        if not file:
            return None
        path = Path(file)
        return cls((path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path).as_posix(), int(line))


class Findings:
    """The findings about several definitions, each once, though it be one of several of them.

    Attributes:
        checked: The definitions.
        all: Their findings, errors first.
    """

    def __init__(self, checked: Sequence[Checked]) -> None:
        self.checked = checked
        found = [finding for each in checked for finding in each.report.findings]
        ranks = list(_COLORS)
        self.all = sorted(dict.fromkeys(found), key=lambda finding: ranks.index(finding.severity))
        self._counts: Counter[str] = Counter(finding.severity for finding in self.all)

    def count(self, severity: str) -> int:
        """Return how many findings of this severity there are."""
        return self._counts[severity]


def as_text(findings: Findings) -> str:
    """Return *findings* for people, in colour: each with its lines of source, its path and what to do, then a summary."""
    parts = ["\n".join(_describe(finding)) for finding in findings.all]
    return "\n".join([*(f"{part}\n" for part in parts), *_summarise(findings)])


def as_json(findings: Findings) -> str:
    """Return *findings* as one JSON object."""
    data = {
        "ok": not findings.count("error"),
        "definitions": [
            {
                "initial": each.definition.name,
                "error": each.definition.error and each.definition.error.name,
                "hash": each.report.graph and each.report.graph.hash,
                "states": each.report.graph and len(each.report.graph.nodes),
                "stack_depth": each.report.stack_depth,
                "allowed": [finding.code for finding in each.report.allowed],
            }
            for each in findings.checked
        ],
        "findings": [_as_data(finding) for finding in findings.all],
    }
    return json.dumps(data, indent=2, ensure_ascii=False)


def as_github(findings: Findings) -> str:
    """Return *findings* as commands of GitHub's workflows, by which they become annotations, and the summary as a log line."""
    lines: list[str] = []
    for finding in findings.all:
        place = Place.of(finding)
        properties = {"file": place.file, "line": str(place.line)} if place else {}
        properties["title"] = f"{finding.code} {finding.state}"
        text = "\n".join([f"{finding.message} {finding.hint}".rstrip(), *([f"Path: {show_path(finding)}"] if finding.path else [])])
        given = ",".join(f"{name}={_escape(value, ':,')}" for name, value in properties.items())
        lines.append(f"::{_GITHUB[finding.severity]} {given}::{_escape(text)}")
    return "\n".join([*lines, *_summarise(findings)])


def show_path(finding: Finding) -> str:
    """Return the path of *finding* in words: `Idle -Events.ASK-> Menu -Pop->`."""
    return " ".join(f"{state} -{answer}->" for state, answer in finding.path)


def _as_data(finding: Finding) -> dict[str, object]:
    place = Place.of(finding)
    return {
        "code": finding.code,
        "severity": finding.severity,
        "state": finding.state,
        "message": finding.message,
        "hint": finding.hint,
        "path": [list(step) for step in finding.path],
        "file": place and place.file,
        "line": place and place.line,
    }


def _describe(finding: Finding) -> Iterator[str]:
    place = Place.of(finding)
    at = click.style(f"{place.file}:{place.line}: ", bold=True) if place else ""
    kind = click.style(f"{finding.severity} {finding.code}", fg=_COLORS[finding.severity], bold=True)
    yield f"{at}{kind} {finding.message}"
    bar = click.style("|", fg="blue")
    lines = _read_source(finding)
    width = max((len(str(number)) for number, _ in lines), default=1)
    for number, line in lines:
        yield f"  {click.style(str(number).rjust(width), fg='blue')} {bar} {line}"
    sign = click.style("=", fg="blue")
    if finding.path:
        yield f"  {' ' * width} {sign} path: {show_path(finding)}"
    if finding.hint:
        yield f"  {' ' * width} {sign} do: {finding.hint}"


def _read_source(finding: Finding) -> list[tuple[int, str]]:
    """Return the numbered lines at which a state begins: its decorator's first, and its `class` or `def`."""
    file, _, first = finding.where.rpartition(":")
    numbers = range(int(first), int(first) + _REACH) if file else ()
    lines = [(number, line) for number in numbers if (line := linecache.getline(file, number).rstrip())]
    named = next((line for line in lines if line[1].lstrip().startswith(("class ", "def "))), None)
    return lines[:1] if named is None else list(dict.fromkeys([lines[0], named]))


def _summarise(findings: Findings) -> Iterator[str]:
    for definition, report in findings.checked:
        error = f" (error state {definition.error.name})" if definition.error else ""
        if report.graph is None:
            yield f"{definition.name}{error}: no machine can be made of it"
            continue
        count = len(report.graph.nodes)
        depth = "" if report.stack_depth is None else f", stack depth at most {report.stack_depth}"
        allowed = f", {len(report.allowed)} allowed" if report.allowed else ""
        yield f"{definition.name}{error}: {count} state{'s' * (count != 1)}{depth}{allowed}"
    found = [f"{findings.count(kind)} {kind}{'s' * (findings.count(kind) != 1)}" for kind in _COLORS if findings.count(kind)]
    color = "red" if findings.count("error") else "yellow" if findings.count("warning") else "green"
    yield click.style(f"{', '.join(found)}." if found else "Nothing is wrong.", fg=color, bold=True)


def _escape(text: str, more: str = "") -> str:
    """Escape *text* as GitHub's commands want it, and in their properties *more*."""
    for sign in f"%\r\n{more}":
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text
