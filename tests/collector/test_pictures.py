"""The dashboards in a real browser: every panel draws something for a depot in trouble."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.collector.stack import COLLECTOR, Pipeline, clean_environment, servers, until, wait

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow

DEPOT = Path(__file__).resolve().parent / "depot.py"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


def test_every_panel_draws_something_in_chromium(programs: Mapping[str, Path], tmp_path: Path) -> None:
    """Row by row, both dashboards of vmui are opened in Chromium, and no panel is empty."""
    if os.environ.get("CI") != "true":
        pytest.importorskip("playwright")
        if not CHROMIUM.exists():
            pytest.skip("there is no Chromium; CHROMIUM says where it is")
    port = servers.free_port()
    with Pipeline(
        programs, tmp_path, configs=(servers.VICTORIA,), VICTORIA_ENDPOINT=f"http://127.0.0.1:{port}/opentelemetry/v1/metrics"
    ) as pipeline:
        victoria = servers.victoria_metrics(programs["victoria-metrics"], tmp_path, port, scrape=pipeline.ports["self"])
        victoria.start()
        try:
            victoria.wait_until_well()
            depot = pipeline.process(DEPOT, "--seconds", "240", "--trouble-at", "12")
            until(lambda: not silent(port), "an answer for each panel")
            wait(10)  # a line takes more than a point
            pictures = [sys.executable, COLLECTOR / "dashboards" / "pictures.py", f"http://127.0.0.1:{port}", tmp_path / "pictures"]
            done = subprocess.run([*pictures, "3"], env=clean_environment(), capture_output=True, text=True, check=False)
            depot.kill()
            depot.communicate()
        finally:
            victoria.stop()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    taken = [path for path in (tmp_path / "pictures").glob("septum-*.png") if path.stat().st_size > 10_000]
    assert len(taken) == 7


def silent(port: int) -> set[str]:
    """Return the questions of the pages that VictoriaMetrics does not answer yet."""
    pages = [json.loads(path.read_text(encoding="utf-8")) for path in servers.DASHBOARDS.glob("*.json")]
    asked = {question for page in pages for row in page["rows"] for panel in row["panels"] for question in panel["expr"]}

    def answered(question: str) -> bool:
        address = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': question})}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return bool(json.load(answer)["data"]["result"])

    return {question for question in asked if not answered(question)}
