"""The walk-through of docs/guides/find-a-bug-with-a-recording.md: its commands run as they are written, and say what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "guides" / "find-a-bug-with-a-recording.md"
EXAMPLE = ROOT / "examples" / "debugging"
BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of the page."""

    kind: str
    body: str


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Path:
    """Give a copy of the example's folder."""
    return shutil.copytree(EXAMPLE, tmp_path / "debugging", ignore=shutil.ignore_patterns("__pycache__"))


def do(command: str, desk: Path) -> subprocess.CompletedProcess[str]:
    """Run *command* in a shell, with this environment's programs."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8", "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SEPTUM_", "COV_", "COVERAGE_"))}
    return subprocess.run(
        command, cwd=desk, shell=True, capture_output=True, encoding="utf-8", timeout=120, check=False, env={**kept, **variables}
    )


def patch(diff: str, desk: Path) -> None:
    """Apply the page's diff."""
    before, after = [], []
    for line in diff.splitlines():
        if not line.startswith(("---", "+++", "@@")):
            before += [line[1:]] if line[:1] != "+" else []
            after += [line[1:]] if line[:1] != "-" else []
    program = desk / "payments.py"
    text = program.read_text(encoding="utf-8")
    assert text.count("\n".join(before)) == 1
    program.write_text(text.replace("\n".join(before), "\n".join(after)), encoding="utf-8")


@pytest.mark.slow
def test_walk_through_finds_and_fixes_the_bug(desk: Path):
    """Every command gives the output that stands below it, and the test that it ends with passes, but not without the fix."""
    blocks = [Block(match["kind"], match["body"]) for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    said = ""
    for block in blocks:
        if block.kind == "console" and not block.body.startswith("cd "):
            done = do(block.body, desk)
            assert not done.stderr, done.stderr
            # Everything but the replay of a night in which one order goes another way now.
            assert done.returncode == ("not the same" in done.stdout), block.body + done.stdout
            said = done.stdout
        elif block.body.startswith("--- "):
            patch(block.body, desk)
        elif block.kind == "text":
            shown = (desk / "test_order_4711.py").read_text(encoding="utf-8") if block.body.startswith('"""') else said
            assert block.body.rstrip() == "\n".join(line.rstrip() for line in shown.splitlines()).rstrip()
    assert "1 passed" in said
    shutil.copy(EXAMPLE / "payments.py", desk)
    broken = do("pytest test_order_4711.py", desk)
    assert (broken.returncode, "1 failed" in broken.stdout) == (1, True)


@pytest.mark.slow
def test_recording_is_what_the_example_records(desk: Path):
    """The committed recording is of the committed program: made anew it has the same paths, and it replays to the end."""
    assert do("python record.py again.jsonl", desk).returncode == 0
    listed = [do(f"septum runs {name} --format json", desk).stdout for name in ("recording.jsonl", "again.jsonl")]
    shown = [re.sub(r'"(run_id|files?|path)": [^\n]*', "", text) for text in listed]
    assert shown[0].replace("again", "recording") == shown[1].replace("again", "recording")
    assert do("septum replay again.jsonl --machine payments:Placed --level execute", desk).returncode == 0
