"""What the pages tell readers to ask Prometheus: every piece of code in them that names a series."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.collector.names import OTHERS, SERIES
from tests.collector.stack import COLLECTOR, ROOT

GUIDES = ROOT / "docs" / "guides"
PAGES = [GUIDES / "telemetry.md", GUIDES / "operate.md", *sorted((GUIDES / "alerts").glob("*.md")), COLLECTOR / "README.md"]


class Told(NamedTuple):
    """A question on a page."""

    page: str
    expression: str


def questions() -> list[Told]:
    """Return each question of each page; a name alone, `septum_retries_total`, is one as well."""
    return [Told(page.stem, code) for page in PAGES for code in _codes(page.read_text(encoding="utf-8")) if _asks(code)]


def _codes(text: str) -> list[str]:
    """Return what stands in backticks, and the lines of blocks that are PromQL."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return [line for language, block in blocks if language == "promql" for line in block.splitlines() if line] + inline


def _asks(code: str) -> bool:
    """Tell whether *code* is a question to Prometheus; with `|` it is one to Loki."""
    names = set(re.findall(r"\b\w+\b", re.sub(r'"[^"]*"', "", code)))
    return "|" not in code and (
        bool(names & SERIES.keys()) or "__name__" in names or any(OTHERS.fullmatch(name) for name in names - {"up"})
    )
