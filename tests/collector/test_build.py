"""Building the servers: once, from pinned modules, with Go from the machine or from a wheel."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.collector.stack import COLLECTOR, build, clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BUILD = COLLECTOR / "native" / "build.py"


@pytest.mark.slow
def test_a_second_build_does_nothing(programs: Mapping[str, Path]) -> None:
    """What is built is found and told, without a line of progress."""
    done = subprocess.run([sys.executable, BUILD], env=clean_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        str(programs[name]) for name in ("otelcol", "victoria-metrics", "prometheus", "promtool")
    ]


def test_what_is_not_built_is_known(tmp_path: Path) -> None:
    """An empty folder has nothing; a program without its stamp, or with that of another version, counts as missing."""
    assert not build.built(["collector"], into=tmp_path)
    (tmp_path / "otelcol").touch()
    assert not build.built(["collector"], into=tmp_path)
    (tmp_path / "collector.stamp").write_text("of another version", encoding="utf-8")
    assert not build.built(["collector"], into=tmp_path)


@pytest.mark.parametrize("name", build.SERVERS)
def test_every_module_is_pinned(name: str) -> None:
    """Each server's go.mod has exact versions, replaces nothing, and has a go.sum beside it."""
    folder = COLLECTOR / "native" / build.SERVERS[name].folder
    text = (folder / "go.mod").read_text(encoding="utf-8")
    assert re.search(r"^go 1\.\d+", text, re.MULTILINE)
    assert not re.search(r"^replace", text, re.MULTILINE)
    assert (folder / "go.sum").stat().st_size > 1000


def test_an_unknown_server_is_refused() -> None:
    """The command names those that it knows."""
    done = subprocess.run([sys.executable, BUILD, "grafana"], env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "choose from" in done.stderr
