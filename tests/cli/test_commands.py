"""`septum` itself: its commands are imported when they are needed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("click")

import click
from click.testing import CliRunner

import septum as package
from septum.cli._commands import COMMANDS, septum

if TYPE_CHECKING:
    from tests.cli.programs import Program


def test_help_lists_every_command_and_imports_none() -> None:
    """Each has a line; not one of their modules is loaded for it."""
    code = (
        "import json, sys\nfrom click.testing import CliRunner\nfrom septum.cli._commands import COMMANDS, septum\n"
        "done = CliRunner().invoke(septum, ['--help'])\n"
        "loaded = [a.place for a in COMMANDS.values() if a.place.partition(':')[0] in sys.modules]\n"
        "print(json.dumps([done.exit_code, loaded, [line.split()[0] for line in done.stdout.split('Commands:')[1].splitlines()[1:] "
        "if line.startswith('  ') and line[2] != ' ']]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, loaded, names = json.loads(done.stdout)
    assert (exit_code, loaded) == (0, [])
    assert names[: len(COMMANDS)] == list(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_is_there_and_its_help_has_examples(name: str) -> None:
    """The table leads to a command of that name, which says what to type."""
    done = CliRunner().invoke(septum, [name, "--help"])
    assert done.exit_code == 0
    assert f"\n    septum {name}" in done.stdout or f"septum {name} " in done.stdout.partition("Options:")[2]
    assert COMMANDS[name].summary.endswith(".")


def test_an_unknown_command_is_refused() -> None:
    """The usage error ends with 2."""
    done = CliRunner().invoke(septum, ["chekc"])
    assert done.exit_code == 2
    assert "No such command 'chekc'" in done.stderr


def test_a_command_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on working."""
    monkeypatch.setitem(sys.modules, "packaging", None)
    for module in ("septum.cli._doctor", "septum.cli._checks", "septum.cli._installed", "packaging.version", "packaging.requirements"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    done = CliRunner().invoke(septum, ["doctor"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: septum doctor needs packaging")
    assert done.stderr.endswith('install it with: pip install "septum[cli]"\n')


def test_a_missing_module_of_septum_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation shows its traceback."""
    monkeypatch.delitem(sys.modules, "septum.cli._version", raising=False)
    monkeypatch.setitem(sys.modules, "septum.cli._version", None)
    with pytest.raises(ModuleNotFoundError):
        CliRunner().invoke(septum, ["version"], catch_exceptions=False)


def test_version_says_what_it_stands_on() -> None:
    """Versions by line, and where the package is; the same as JSON."""
    text = CliRunner().invoke(septum, ["version"]).stdout.splitlines()
    data = json.loads(CliRunner().invoke(septum, ["version", "--json"]).stdout)
    place = str(Path(package.__file__).parent)
    assert text == [*(f"{name} {number}" for name, number in data["versions"].items()), f"in {place}"]
    assert (data["versions"]["septum"], data["versions"]["click"], data["place"]) == (version("septum"), version("click"), place)


def test_version_leaves_out_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Septum and Python are always there."""
    monkeypatch.setattr("septum.cli._version._BESIDE", ("click", "surely-not-installed"))
    data = json.loads(CliRunner().invoke(septum, ["version", "--json"]).stdout)
    assert list(data["versions"]) == ["septum", "python", "click"]


@pytest.mark.slow
def test_completion_is_clicks_own(door: Program) -> None:
    """The shell's script comes from the command itself, and commands are completed with their sentence."""
    script = door.process(_SEPTUM_COMPLETE="bash_source")
    assert (script.returncode, "_septum_completion()" in script.stdout) == (0, True)
    names = door.process(_SEPTUM_COMPLETE="bash_complete", COMP_WORDS="septum ", COMP_CWORD="1").stdout.splitlines()
    assert [line.partition(",")[2] for line in names] == list(COMMANDS)


def complete(door: Program, words: str, place: int) -> list[str]:
    """Return what bash is told to complete the word at *place* of *words* by."""
    done = door.run(_SEPTUM_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(place))
    return [line.partition(",")[2] for line in door.text(done.stdout).splitlines()]


def test_bash_completes_a_state_behind_the_colon_that_ends_a_word(door: Program) -> None:
    """Of the answer it puts in what is behind the colon; where the shell does not end words there, it gets the whole."""
    name = f"{door.name}.door"
    assert complete(door, f"septum graph {name} : O", 4) == ["Open"]
    assert complete(door, f"septum graph {name} :", 3) == ["Closed", "Open", "Porter", "Walled", "Lost"]
    assert complete(door, f"septum graph {name}:O", 2) == ["PACKAGE.door:Open"]
    assert complete(door, f"septum graph {door.name}/door.py : P", 4) == ["Porter"]
    assert complete(door, f"septum graph {name} : Open --by", 5) == ["--by"]
    assert complete(door, f"septum graph {name} : Open --by ", 6) == ["count", "time"]
    assert complete(door, f"septum graph {name[:-2]}", 2) == ["PACKAGE.door"]


@pytest.mark.parametrize("name", ["check", "graph", "run", "coverage", "doctor", "version"])
def test_every_option_has_a_row_in_the_reference(name: str) -> None:
    """docs/reference/cli.md has a section for the command, with a row for each of its options."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `septum {name}`\n")[2].partition("\n## ")[0]
    command = septum.get_command(click.Context(septum), name)
    assert command is not None
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    missing = [option.opts[-1] for option in options if not any(f"`{text}" in section for text in option.opts)]
    assert (bool(section), missing) == (True, [])
