"""What the documentation says is true: its code runs, its output is what comes out, its links and make targets exist.

In a page, all ```python blocks together are one program, run as a user would run it; blocks marked output (```output, ```mermaid output)
together are what it prints.
A block that is not meant to run is marked ```text.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import septum

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "collector" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
REFERENCE = ROOT / "docs" / "reference"


def text_of(page: Path) -> str:
    """Return what stands in *page*."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path, word: str) -> list[str]:
    """Return the fenced blocks that are marked with *word*, in order."""
    return [block["body"] for block in FENCE.finditer(text_of(page)) if word in block["info"].split()]


def program_of(page: Path) -> str:
    """Return the page's python blocks as one program whose line numbers are those of the page."""
    text = text_of(page)
    lines = [""] * (text.count("\n") + 1)
    for block in FENCE.finditer(text):
        if block["info"] == "python":
            first = text.count("\n", 0, block.start("body"))
            body = block["body"].splitlines()
            lines[first : first + len(body)] = body
    return "\n".join(lines)


def ident(page: Path) -> str:
    """Return the page's address in the repository."""
    return page.relative_to(ROOT).as_posix()


def run(*command: str, cwd: Path) -> str:
    """Run *command* and return what it printed; fail with its stderr if it does not succeed."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=ident)
def test_code_in_the_page_runs_and_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    """The page's code runs without a warning, and its output blocks are its output."""
    program = program_of(page)
    for extra in re.findall(r"^(?:import|from) (opentelemetry|structlog|httpx|septum\.otel|pytest)\b", program, re.MULTILINE):
        if find_spec("opentelemetry" if extra == "septum.otel" else extra) is None:
            pytest.skip(f"the page needs {extra}")
    script = tmp_path / f"{page.stem.lower().replace('-', '_')}.py"
    script.write_text(program, encoding="utf-8")
    printed = run(sys.executable, "-W", "error", str(script), cwd=tmp_path)
    assert printed == "".join(blocks(page, "output"))
    if "\ndef test_" in program:
        run(sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(script), cwd=tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_links_of_the_page_lead_somewhere(page: Path) -> None:
    """Every relative link names a file of the repository."""
    prose = FENCE.sub("", text_of(page))
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in target]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_make_targets_of_the_page_exist(page: Path) -> None:
    """Every `make x` that a page tells the reader to type is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    told = set(re.findall(r"(?:`|^\s*\$? ?)make ([a-z-]+)", text_of(page), re.MULTILINE))
    assert told - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_code_blocks_are_of_a_known_kind(page: Path) -> None:
    """A block runs (python), is compared (output), is drawn (mermaid), or is marked as text, console, diff, toml or yaml."""
    languages = {word for block in FENCE.finditer(text_of(page)) for word in block["info"].split() or [""]}
    assert languages <= {"python", "output", "mermaid", "text", "console", "diff", "toml", "yaml"}


def test_every_page_is_reachable_from_the_index() -> None:
    """docs/index.md links to every page of docs, or to a page that links to it."""
    index = (ROOT / "docs" / "index.md").resolve()
    linked = linked_from(index)
    for page in tuple(linked):
        linked |= linked_from(page)
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")} - {index}
    assert {ident(page) for page in pages - linked} == set()


def linked_from(page: Path) -> set[Path]:
    """Return the pages that *page* links to."""
    return {(page.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s:]+\.md)", text_of(page))}


def test_public_names_stand_in_the_reference() -> None:
    """Every name of septum.__all__ has a line in docs/reference/api.md."""
    api = text_of(REFERENCE / "api.md")
    assert [name for name in septum.__all__ if not re.search(rf"`(septum\.)?{name}\b", api)] == []


def test_members_of_the_machine_stand_in_the_reference() -> None:
    """Every public method and property of StateMachine has a line in docs/reference/api.md."""
    api = text_of(REFERENCE / "api.md")
    members = [name for name in dir(septum.StateMachine) if not name.startswith("_")]
    assert [name for name in members if not re.search(rf"`(fsm\.|StateMachine\.|ctx\.)?{name}\b", api)] == []


def test_errors_stand_in_the_reference() -> None:
    """Every exception of septum.__all__ has a row in docs/reference/errors.md."""
    page = text_of(REFERENCE / "errors.md")
    public = {name: getattr(septum, name) for name in septum.__all__}
    errors = [name for name, value in public.items() if isinstance(value, type) and issubclass(value, BaseException)]
    assert [name for name in errors if f"| `{name}`" not in page] == []


def test_findings_stand_in_the_reference() -> None:
    """Every finding code that the source knows has a row in docs/reference/findings.md, and no other code has one."""
    sources = Path(septum.__file__).parent.rglob("*.py")
    known = {code for path in sources for code in re.findall(r"SEP\d{3}", text_of(path))}
    rows = set(re.findall(r"^\| `(SEP\d{3})`", text_of(REFERENCE / "findings.md"), re.MULTILINE))
    assert rows == known


def test_house_is_drawn_as_it_stands() -> None:
    """The drawing of the floors names every file of the package, and no file that is gone."""
    (drawing,) = blocks(ROOT / "docs" / "explanation" / "house.md", "text")
    files = {path.stem for path in Path(septum.__file__).parent.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    drawn = set(re.findall(r"\w+", drawing))
    assert (files - {"__init__"} - drawn, {name for name in drawn if name.startswith("_")} - files) == (set(), set())


def test_picture_of_the_readme_is_drawn_by_septum(tmp_path: Path) -> None:
    """The README's diagram is what septum.util.to_mermaid makes of the README's program."""
    readme = ROOT / "README.md"
    (picture,) = blocks(readme, "mermaid")
    script = tmp_path / "readme.py"
    drawing = "\nfrom septum.util import to_mermaid\nprint(to_mermaid(StateMachine(Fetching)).rstrip())\n"
    script.write_text(program_of(readme) + drawing, encoding="utf-8")
    assert run(sys.executable, str(script), cwd=tmp_path) == "".join(blocks(readme, "output")) + picture
