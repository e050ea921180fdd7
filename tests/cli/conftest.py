"""What the tests of the command share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("click")

from tests.cli.programs import DOOR, Program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def door(tmp_path: Path) -> Program:
    """Return a program with a module `door`, in which nothing is wrong."""
    return Program(tmp_path, door=DOOR)
