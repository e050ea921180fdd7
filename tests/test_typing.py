"""Programs of users under mypy and pyright, both strict: what is right passes, what is wrong is refused on its very line."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import septum

HERE = Path(__file__).parent / "typing"
PACKAGE = Path(septum.__file__).parent
# A checker finds an installed package by itself, and mypy refuses to be told where site-packages are.
SOURCE = None if "site-packages" in PACKAGE.parts else PACKAGE.parent
IGNORE = re.compile(r"  # (type|pyright): ignore\[.*")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("mypy", "pyright")),
        reason="needs mypy and pyright, which come with septum[lint]",
    ),
]


def refused_by_mypy(program: Path) -> set[int]:
    """Return the lines that mypy refuses."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--no-error-summary", "--hide-error-context", program.name]
    places = {"MYPYPATH": str(SOURCE)} if SOURCE else {}
    done = subprocess.run(command, cwd=program.parent, env=os.environ | places, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return {int(line) for line in re.findall(rf"^{re.escape(program.name)}:(\d+): error", done.stdout, re.MULTILINE)}


def refused_by_pyright(program: Path) -> set[int]:
    """Return the lines that pyright refuses."""
    settings = {"typeCheckingMode": "strict", "include": [program.name], "extraPaths": [str(SOURCE)] if SOURCE else []}
    (program.parent / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {finding["range"]["start"]["line"] + 1 for finding in found if finding["severity"] == "error"}


CHECKERS = pytest.mark.parametrize("refused", [refused_by_mypy, refused_by_pyright], ids=["mypy", "pyright"])


def copy(name: str, folder: Path) -> tuple[Path, set[int]]:
    """Put the program into *folder* without its ignore comments; return it and the lines that had one."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    program = folder / name
    program.write_text("\n".join(IGNORE.sub("", line) for line in lines if not line.startswith("# pyright:")) + "\n", encoding="utf-8")
    kept = [line for line in lines if not line.startswith("# pyright:")]
    return program, {number for number, line in enumerate(kept, start=1) if IGNORE.search(line)}


@CHECKERS
def test_right_program_is_accepted(refused, tmp_path: Path) -> None:
    """Every public call in all its forms, with the type that it is said to have; without a single ignore."""
    program, ignored = copy("api.py", tmp_path)
    assert (refused(program), ignored) == (set(), set())


@CHECKERS
def test_wrong_program_is_refused_line_by_line(refused, tmp_path: Path) -> None:
    """Each mistake is found where it is made, and nothing else is."""
    program, ignored = copy("rejected.py", tmp_path)
    assert refused(program) == ignored
