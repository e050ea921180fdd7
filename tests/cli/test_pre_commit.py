"""pre-commit runs `septum check` as .pre-commit-hooks.yaml says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("click")

from tests.cli.programs import Program

if TYPE_CHECKING:
    from tests.cli.programs import Program as Door

ROOT = Path(__file__).parents[2]
NEEDED = ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml", "src")


def git(folder: Path, *arguments: str) -> str:
    """Run git in *folder* and return what it printed."""
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    """Make *folder* a repository with all that is in it, and return the commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", "--message", "all")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def hooks(tmp_path: Path) -> tuple[Path, str]:
    """Return a repository of Septum as it is in this tree, and its commit."""
    pytest.importorskip("pre_commit")
    if not all((ROOT / name).exists() for name in NEEDED):
        pytest.skip("only the repository has the hook's definition")
    made = tmp_path / "septum-repository"
    made.mkdir()
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, made / name)
    return made, commit(made)


def run(folder: Path, cache: Path) -> tuple[int, str]:
    """Run the hooks of *folder* over all its files; return exit code and output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PRE_COMMIT"))}
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color=never"],
        cwd=folder,
        env={**kept, "PRE_COMMIT_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_the_hook_installs_septum_and_checks_the_definitions(door: Door, hooks: tuple[Path, str], tmp_path: Path) -> None:
    """It passes where nothing is wrong, and fails with the finding where something is."""
    folder, rev = hooks
    (tmp_path / "user").mkdir()
    user = Program(tmp_path / "user", door=(door.folder / door.name / "door.py").read_text(encoding="utf-8"))
    config = f"repos:\n- repo: {folder}\n  rev: {rev}\n  hooks:\n  - id: septum-check\n    args: [{user.name}.door]\n"
    (user.folder / ".pre-commit-config.yaml").write_text(config, encoding="utf-8")
    commit(user.folder)
    code, text = run(user.folder, tmp_path / "cache")
    assert (code, "septum check" in text, "Passed" in text) == (0, True, True), text

    file = user.folder / user.name / "door.py"
    file.write_text(
        file.read_text(encoding="utf-8").replace("LabeledTransition(Events.OPENED, Open)", "LabeledTransition(Events.OPENED, Pop)")
    )
    git(user.folder, "add", "--all")
    code, text = run(user.folder, tmp_path / "cache")
    assert (code, "error SEP101" in text) == (1, True), text
