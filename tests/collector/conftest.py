"""Real servers for the tests of the pipeline: built in CI, and asked for elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.collector.stack import build

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture(scope="session")
def programs() -> Mapping[str, Path]:
    """The programs of the native pipeline; where they cannot be built, CI fails and other machines skip."""
    names = tuple(build.SERVERS)
    if os.environ.get("CI") == "true":
        built: Mapping[str, Path] = build.build(names)
        return built
    if not build.built(names):
        pytest.skip("the servers are not built: python collector/native/build.py collector victoriametrics prometheus compose")
    ready: Mapping[str, Path] = build.build(names)
    return ready
