"""The dashboards in a real browser: every panel draws something for a depot in trouble."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.collector.stack import COLLECTOR, Pipeline, clean_environment, servers, wait

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
            wait(25)
            pictures = [sys.executable, COLLECTOR / "dashboards" / "pictures.py", f"http://127.0.0.1:{port}", tmp_path / "pictures"]
            done = subprocess.run([*pictures, "3"], env=clean_environment(), capture_output=True, text=True, check=False)
            depot.kill()
            depot.communicate()
        finally:
            victoria.stop()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    taken = [path for path in (tmp_path / "pictures").glob("septum-*.png") if path.stat().st_size > 10_000]
    assert len(taken) == 7
