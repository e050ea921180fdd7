"""The rules of the house that a linter does not know: sizes, reserved names, who may read a clock, what an import drags in."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import septum

ROOT = Path(__file__).resolve().parents[1]
# Where the package really is: src in the tree, site-packages when the wheel is tested.
PACKAGE = Path(septum.__file__).resolve().parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
TEXTS = [
    path
    for path in sorted(ROOT.rglob("*"))
    if path.is_file()
    and path.suffix in {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ""}
    and not any((part.startswith(".") and part != ".ci") or part in {"build", "dist", "out"} for part in path.relative_to(ROOT).parts)
]
FRONT = ("septum", "septum.core", "septum.util", "septum.hooks", "septum.facts", "septum.logs", "septum.semconv", "septum.testing")


def trees(paths: list[Path], root: Path) -> list[tuple[str, ast.Module]]:
    """Return each file's short name and its syntax tree."""
    return [(path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def imported(tree: ast.Module) -> set[str]:
    """Return the modules that *tree* imports, and "module.name" for each name taken out of one."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def in_fresh_python(code: str) -> object:
    """Run *code* in a new interpreter and return what it printed, as JSON."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_no_source_file_passes_the_cap() -> None:
    """A file of 400 lines or more has a second reason to change and is split."""
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines >= 400} == {}


def test_no_source_file_is_a_drawer() -> None:
    """Files are called by what they hold, never utils, helpers, common, types or base."""
    drawers = {"utils", "helpers", "common", "types", "base", "misc", "constants", "interfaces"}
    assert [path.name for path in SOURCES if path.stem.strip("_") in drawers] == []


def test_source_never_prints() -> None:
    """What the package has to say goes to hooks and loggers."""
    calls = [
        f"{name}:{node.lineno}"
        for name, tree in trees(SOURCES, PACKAGE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def test_only_the_clock_file_reads_time_and_chance() -> None:
    """Time and ids come from _clock.py, so that machines see only a test's clock; in a replay's event loop, sleep is virtual."""
    forbidden = {"time", "uuid", "secrets", "os.urandom", "asyncio.sleep"}
    reading = {"asyncio.sleep", "os.urandom", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    virtual = {"replay/_virtual.py", "replay/_free.py"}
    offenders = {name: imported(tree) & forbidden for name, tree in trees(SOURCES, PACKAGE) if name != "_clock.py"}
    offenders |= {
        name: {ast.unparse(node)}
        for name, tree in trees(SOURCES, PACKAGE)
        for node in ast.walk(tree)
        if name != "_clock.py"
        and isinstance(node, ast.Attribute)
        and ast.unparse(node) in reading - ({"asyncio.sleep"} if name in virtual else set())
    }
    assert {name: found for name, found in offenders.items() if found} == {}


def test_user_code_is_never_handed_to_another_task() -> None:
    """asyncio.wait_for runs its awaitable in another task on Python 3.11 and loses what hooks put into contextvars."""
    users = [
        name for name, tree in trees(SOURCES, PACKAGE) if "wait_for" in {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    ]
    assert users == []


def test_only_otel_knows_opentelemetry() -> None:
    """OpenTelemetry is named in septum.otel and nowhere else."""
    others = [name for name, tree in trees(SOURCES, PACKAGE) if any(module.split(".")[0] == "opentelemetry" for module in imported(tree))]
    assert [name for name in others if not name.startswith("otel/")] == []


def test_exemptions_say_why() -> None:
    """Every noqa, type: ignore, pyright: ignore and no cover names its code and its reason on the line."""
    mark = re.compile(r"#\s*(?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|(?:type|pyright): ignore\[[\w, -]+\]|pragma: no (?:cover|branch))")
    bare: list[str] = []
    for path in SOURCES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            exempts = re.search(r"#\s*(noqa|type: ignore|pyright: ignore|pragma: no)", line)
            reason = mark.sub("", line[exempts.start() :]).strip(" #-") if exempts else ""
            if exempts and (len(reason) < 6 or re.search("noqa|ignore|pragma", reason)):
                bare.append(f"{path.name}:{number}: {line.strip()}")
    assert bare == []


def test_no_module_hides_a_public_name() -> None:
    """A public submodule called like a name of __all__ would replace it as soon as it is imported."""
    modules = {path.stem if path.name != "__init__.py" else path.parent.name for path in PACKAGE.glob("*.py")}
    modules |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    public = {name for name in modules if not name.startswith("_")} - {PACKAGE.name}
    assert public & (set(septum.__all__) - {"hooks", "facts", "logs", "testing", "core", "util"}) == set()
    assert public <= {"core", "util", "hooks", "facts", "logs", "semconv", "otel", "replay", "testing", "studio", "distributed", "cli"}


def test_public_names_are_there_and_documented() -> None:
    """Every name of septum.__all__ exists, is listed once and has a docstring if it is a class or a function."""
    assert sorted(set(septum.__all__)) == sorted(septum.__all__)
    missing = [name for name in septum.__all__ if not hasattr(septum, name)]
    mute = [name for name in septum.__all__ if callable(getattr(septum, name)) and not (getattr(septum, name).__doc__ or "").strip()]
    assert (missing, mute) == ([], [])


def test_import_needs_nothing_but_the_standard_library() -> None:
    """Importing every module of the core brings in no OpenTelemetry and no other package."""
    code = (
        "import sys, json; before = set(sys.modules)\n"
        f"import {', '.join(FRONT)}\n"
        "roots = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(roots - set(sys.stdlib_module_names))))"
    )
    assert in_fresh_python(code) == ["septum"]


def test_import_leaves_logging_as_it_was() -> None:
    """Importing sets up no logging: the root logger has no handler and nothing goes to stderr for want of one."""
    code = (
        "import json, logging, septum\n"
        "print(json.dumps([[type(h).__name__ for h in logging.getLogger(name).handlers] for name in (None, 'septum')]))"
    )
    assert in_fresh_python(code) == [[], ["NullHandler"]]


def test_package_is_marked_as_typed() -> None:
    """The package ships py.typed, so that users' type checkers read its annotations."""
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize("word", ["pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "crates" + ".io", "proxy.golang" + ".org"])
def test_no_file_names_a_registry(word: str) -> None:
    """Where packages come from is the business of whoever installs, not of the repository."""
    assert [path.relative_to(ROOT).as_posix() for path in TEXTS if word in path.read_text(encoding="utf-8", errors="replace")] == []


def test_every_test_states_its_fact() -> None:
    """Each test has a docstring whose first line is a sentence."""
    mute = [
        f"{name}::{node.name}"
        for name, tree in trees(TESTS, ROOT)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").partition("\n")[0].endswith(".")
    ]
    assert mute == []


def test_tests_neither_mock_nor_sleep() -> None:
    """Tests use fakes and ManualClock: no unittest.mock, and no time.sleep but where real servers take real time."""
    offenders = [
        name
        for name, tree in trees(TESTS, ROOT)
        if not name.startswith("tests/collector/")
        if "unittest.mock" in imported(tree)
        or any(isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep" for node in ast.walk(tree))
    ]
    assert offenders == []
