"""The page of findings: every code has an example that shows it, and a fix that helps."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from septum._report import check

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "reference" / "findings.md").read_text(encoding="utf-8")
SECTIONS = {section[:6]: section for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]}
PROGRAM = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))

FIXES = {
    "SEP101": ("Browsing", "Browsing.transitions = lambda: [LabeledTransition(Say.GO, Push(Helping, Browsing))]"),
    "SEP102": ("Helpless", "Explaining.transitions = lambda: [LabeledTransition(Say.BACK, Pop)]"),
    "SEP103": ("Serving", "Serving.transitions = lambda: [LabeledTransition(Say.GO, Push(Explaining, Cleaning))]"),
    "SEP104": ("Paying", "Broken.config = StateConfiguration(terminal=True)"),
    "SEP105": ("Calling", "Talking.transitions = lambda: [LabeledTransition(Say.DONE, Pop)]"),
    "SEP106": ("Polling", "Polling.config = StateConfiguration(timeout=1)"),
}
"""Of what is proved: the state to check and what the page advises, as a program."""


def test_every_code_of_the_table_has_an_example_that_shows_it() -> None:
    """In their order, each with its output and a fix."""
    table = PAGE.partition("## All codes")[2]
    rows = re.findall(r"^\| `(SEP\d{3})` \|", table, re.MULTILINE)
    assert list(SECTIONS) == rows
    shown = {code: "```output" in text and "\nFix: " in text for code, text in SECTIONS.items()}
    assert {code for code, holds in shown.items() if not holds} == set()


@pytest.fixture(name="page", scope="module")
def _page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Give the names of the page's program, run from a file."""
    file = tmp_path_factory.mktemp("page") / "findings.py"
    file.write_text(PROGRAM, encoding="utf-8")
    module = sys.modules["findings"] = ModuleType("findings")
    module.__dict__["print"] = lambda *texts, **how: None
    try:
        exec(compile(PROGRAM, str(file), "exec"), module.__dict__)
        yield module.__dict__
    finally:
        del sys.modules["findings"]


@pytest.mark.parametrize("code", FIXES)
def test_fix_of_what_is_proved_helps(page: dict[str, Any], code: str) -> None:
    """The page's example has the finding, and no longer when it is changed as the page says."""
    state, fix = FIXES[code]
    error = page["Broken"] if code == "SEP104" else None
    assert code in {finding.code for finding in check(page[state], error).findings}
    exec(fix, page)
    assert code not in {finding.code for finding in check(page[state], error).findings}
