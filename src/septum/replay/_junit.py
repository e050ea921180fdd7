"""JUnit XML, which every CI shows: a test suite with a test case for each run."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from septum.replay._report import Case

# XML 1.0 has no other control characters, not even escaped.
_FORBIDDEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd")


def as_junit(title: str, cases: Sequence[Case]) -> str:
    """Return *cases* as JUnit XML, in a suite of that *title*."""
    failed = sum(bool(case.problems) for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0"}
    suites = ET.Element("testsuites", {"name": "septum replay", **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": _plain(title), **counts})
    for case in cases:
        element = ET.SubElement(suite, "testcase", {"classname": _plain(case.group), "name": _plain(case.name)})
        if case.problems:
            first, text = case.problems[0], "\n".join(problem.text for problem in case.problems)
            failure = ET.SubElement(element, "failure", {"type": first.kind, "message": _plain(first.text.partition("\n")[0])})
            failure.text = _plain(text)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _plain(text: str) -> str:
    return text.translate(_FORBIDDEN)
