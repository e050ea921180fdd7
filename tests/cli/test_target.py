"""What `module:State` on the command line leads to, and what is said where it leads nowhere."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("click")

from septum.cli._target import UserError, format_user_traceback, guard
from tests.cli.programs import DOOR, Program

if TYPE_CHECKING:
    from pathlib import Path


def graph(program: Program, target: str, *more: str) -> tuple[int, str, str]:
    """Return exit code, first line of stdout and all of stderr of `septum graph` for *target*, without the names of this test."""
    done = program.run("graph", target, *more)
    return done.exit_code, program.text(done.stdout).partition("\n")[0], program.text(done.stderr)


@pytest.mark.parametrize("name", ["Closed", "make_machine", "MACHINE", "Box.Inner", "give_state"])
def test_a_target_is_a_state_a_machine_or_a_function_that_makes_one(door: Program, name: str) -> None:
    """Each of them is looked up in the module, attributes of attributes too."""
    more = "\n\nMACHINE = make_machine()\n\n\nclass Box:\n    Inner = Closed\n\n\ndef give_state():\n    return Closed\n"
    door.write("door", DOOR + more)
    assert graph(door, f"PACKAGE.door:{name}") == (0, "  Closed  initial", "")


def test_a_file_is_the_module_that_it_holds(door: Program, tmp_path: Path) -> None:
    """A path is taken for the module of its package, whose folder goes to the head of the path."""
    (tmp_path / "elsewhere").mkdir()
    before, door.folder = door.folder, tmp_path / "elsewhere"
    assert graph(door, f"../{door.name}/door.py:Closed") == (0, "  Closed  initial", "")
    door.folder = before
    assert graph(door, "PACKAGE/doors.py:Closed")[2].endswith("There is no file 'PACKAGE/doors.py'. Did you mean FOLDER/PACKAGE/door.py?\n")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("PACKAGE.doer:Closed", "There is no module 'PACKAGE.doer'. Did you mean PACKAGE.door?"),
        ("PACKAGE.door.x:Closed", "There is no module 'PACKAGE.door.x': 'PACKAGE.door' is no package."),
        ("PACKAGE.door:Clsed", "There is no 'Clsed' in 'PACKAGE.door'. Did you mean PACKAGE.door:Closed"),
        (
            "PACKAGE.door:Xyzzy",
            "There is no 'Xyzzy' in 'PACKAGE.door'. There are PACKAGE.door:Closed, PACKAGE.door:Open, PACKAGE.door:Porter",
        ),
        ("PACKAGE.door:Order.OPE", "There is no 'OPE' in 'PACKAGE.door:Order'. Did you mean PACKAGE.door:Order.OPEN?"),
        ("PACKAGE.door", "'PACKAGE.door' names no state; write MODULE:STATE. There are PACKAGE.door:Closed, PACKAGE.door:Open"),
        ("PACKAGE.door:", "'PACKAGE.door:' names no state; write MODULE:STATE."),
        ("PACKAGE.door:Order", "'PACKAGE.door:Order' is a class, not a state or a machine. There are PACKAGE.door:Closed"),
        ("PACKAGE.door:auto", "'PACKAGE.door:auto' is a class, not a state or a machine."),
        ("PACKAGE.door:Order.OPEN", "'PACKAGE.door:Order.OPEN' is an Order, not a state or a machine."),
        ("PACKAGE:door", "'PACKAGE:door' is a module, not a state or a machine."),
    ],
)
def test_a_target_that_leads_nowhere_names_what_is_near(door: Program, target: str, said: str) -> None:
    """The error ends with 2, and names what is nearly so called, or what there is."""
    door.run("graph", "PACKAGE.door:Closed")
    code, _, text = graph(door, target)
    assert code == 2
    assert text.startswith(f"Error: {said}")


def test_a_class_that_holds_states_names_them(door: Program) -> None:
    """The next name is to be added."""
    door.write("door", DOOR + "\n\nclass Box:\n    Inner = Closed\n")
    said = "'PACKAGE.door:Box' is a class, not a state or a machine. There is PACKAGE.door:Box.Inner."
    assert graph(door, "PACKAGE.door:Box")[2] == f"Error: {said}\n"


def test_a_module_that_is_nowhere_is_said_where_it_was_looked_for(door: Program) -> None:
    """The folder is named; and where the module is in src, the way to it."""
    assert graph(door, "zzzyyy:State")[2] == "Error: There is no module 'zzzyyy' in FOLDER or where Python looks otherwise.\n"
    (door.folder / "src" / "zzzyyy").mkdir(parents=True)
    (door.folder / "src" / "zzzyyy" / "__init__.py").touch()
    assert graph(door, "zzzyyy.states:Idle")[2] == (
        "Error: There is no module 'zzzyyy' in FOLDER or where Python looks otherwise. "
        "It is in src: give its path, src/zzzyyy/states.py, or set PYTHONPATH=src.\n"
    )


def test_the_error_state_is_looked_for_beside_the_state(door: Program) -> None:
    """A name alone is one of the same module; a whole target is taken as it is; a machine's own is replaced."""
    door.write("more", "from PACKAGE.door import Lost")
    for error in ("Lost", "PACKAGE.more:Lost"):
        assert (
            "  Lost    error state" in door.run("graph", "PACKAGE.door:Closed", "--error-state", error.replace("PACKAGE", door.name)).stdout
        )
    assert "  Walled  error state" in door.run("graph", "PACKAGE.door:make_machine", "--error-state", "Walled").stdout
    assert graph(door, "PACKAGE.door:Closed", "--error-state", "Order")[2].startswith("Error: 'PACKAGE.door:Order' is a class")


@pytest.mark.slow
def test_a_module_that_cannot_be_imported_shows_the_users_traceback_alone(door: Program) -> None:
    """Neither Septum's nor click's nor the import system's frames are shown; what raised it is said below."""
    door.write("deep", "def fail():\n    return {}['key']\n")
    door.write(
        "broken", "from PACKAGE.deep import fail\n\ntry:\n    fail()\nexcept KeyError as error:\n    raise ValueError('sorry') from error\n"
    )
    done = door.process("check", "PACKAGE.broken")
    lines = [line for line in door.text(done.stderr).splitlines() if not line or set(line.strip()) - set("^~")]
    assert (done.returncode, done.stdout, lines) == (
        2,
        "",
        [
            "Traceback (most recent call last):",
            '  File "FOLDER/PACKAGE/broken.py", line 4, in <module>',
            "    fail()",
            '  File "FOLDER/PACKAGE/deep.py", line 2, in fail',
            "    return {}['key']",
            "KeyError: 'key'",
            "",
            "The above exception was the direct cause of the following exception:",
            "",
            "Traceback (most recent call last):",
            '  File "FOLDER/PACKAGE/broken.py", line 6, in <module>',
            "    raise ValueError('sorry') from error",
            "ValueError: sorry",
            "Error: Module 'PACKAGE.broken' could not be imported.",
        ],
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "import zzz_is_missing",
            "ModuleNotFoundError: No module named 'zzz_is_missing'\nError: Module 'PACKAGE.broken' could not be imported.\n",
        ),
        ("def f(:", "SyntaxError: invalid syntax\nError: Module 'PACKAGE.broken' could not be imported.\n"),
        (
            "raise SystemExit(3)",
            (
                "SystemExit: 3\nError: Importing module 'PACKAGE.broken' ended the process. "
                'Put what it runs under `if __name__ == "__main__":`.\n'
            ),
        ),
        (
            "from septum import septum\n@septum.state\nclass Idle:\n    pass\n",
            (
                "    @septum.state\nseptum.DefinitionError: State 'PACKAGE.broken.Idle' must have an @on_state decorated method. "
                "Decorate one function in its body with @septum.on_state; it takes ctx and answers a transition.\n"
                "Error: Module 'PACKAGE.broken' could not be imported.\n"
            ),
        ),
    ],
)
def test_whatever_importing_raises_is_shown(door: Program, text: str, said: str) -> None:
    """What is missing deeper, what is no Python, what ends the process, and what Septum itself refuses at a decorator."""
    door.write("broken", text)
    code, out, err = graph(door, "PACKAGE.broken:Idle")
    assert (code, out) == (2, "")
    assert "\n".join(line for line in err.splitlines() if set(line.strip()) - {"^"}).endswith(said.rstrip("\n"))
    assert "septum/" not in err.replace(door.name, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "class Skipped(BaseException): pass\nraise Skipped('no database')\n",
            "Skipped: no database\nError: Module 'PACKAGE.broken' could",
        ),
        ("def make(): raise SystemExit(0)\n", "SystemExit: 0\nError: Calling 'PACKAGE.broken:make' ended the process.\n"),
        ("class Skipped(BaseException): pass\ndef make(): raise Skipped\n", "Skipped\nError: Calling 'PACKAGE.broken:make' failed.\n"),
    ],
)
def test_what_is_no_exception_is_shown_as_well(door: Program, text: str, said: str) -> None:
    """A test module that skips itself, and a function that ends the process, do not end the command without a word."""
    door.write("broken", text)
    code, out, err = graph(door, "PACKAGE.broken:make")
    assert (code, out) == (2, "")
    assert said in err


def test_an_interrupt_while_importing_ends_the_command(door: Program) -> None:
    """Ctrl-C is the user's, not the module's."""
    door.write("slow", "raise KeyboardInterrupt\n")
    assert graph(door, "PACKAGE.slow:Idle") == (1, "", "\nAborted!\n")
    door.write("maker", "def make():\n    raise KeyboardInterrupt\n")
    assert graph(door, "PACKAGE.maker:make") == (1, "", "\nAborted!\n")


def test_what_user_code_prints_is_kept_out_of_what_programs_read(door: Program) -> None:
    """Modules, functions that make machines, and transitions() may print: that goes to stderr."""
    loud = DOOR.replace("    def transitions():\n", "    def transitions():\n        print('transitions')\n")
    door.write("loud", f"{loud}    \n\nprint('import')\n\ndef make():\n    print('call')\n    return make_machine()\n")
    done = door.process("graph", "PACKAGE.loud:make", "--format", "json")
    assert json.loads(done.stdout)["initial"] == f"{door.name}.loud.Closed"
    assert set(done.stderr.splitlines()) == {"import", "call", "transitions"}
    for arguments in (("PACKAGE.loud",), ("PACKAGE.loud:Open",)):
        done = door.process("check", *arguments, "--format", "json")
        assert json.loads(done.stdout)["definitions"]
        assert set(done.stderr.splitlines()) == {"import", "transitions"}


def test_a_function_that_raises_shows_the_users_traceback(door: Program) -> None:
    """The function that is to make the machine is the user's too."""
    door.write("maker", "def make():\n    raise KeyError('nothing')\n")
    assert graph(door, "PACKAGE.maker:make")[2] == (
        "Traceback (most recent call last):\n  File \"FOLDER/PACKAGE/maker.py\", line 2, in make\n    raise KeyError('nothing')\n"
        "KeyError: 'nothing'\nError: Calling 'PACKAGE.maker:make' failed.\n"
    )


def test_states_that_make_no_graph_are_explained(door: Program) -> None:
    """The findings are the error's text."""
    door.write(
        "bad",
        """
        from septum import StateRef, septum
        @septum.state
        class Idle:
            @septum.on_state
            async def on_state(ctx): ...
            @septum.transitions
            def transitions(): return StateRef("nowhere.Idle")
        """,
    )
    code, _, text = graph(door, "PACKAGE.bad:Idle")
    assert code == 2
    assert text.startswith("Error: State machine validation failed: no machine can be made from state 'PACKAGE.bad.Idle'.\n  SEP001 ")


def test_traceback_of_a_group_loses_our_frames_in_every_part() -> None:
    """Exceptions in an ExceptionGroup, and one that is its own context, are gone through as well."""

    def fail() -> None:
        try:
            guard("inner", lambda: 1 / 0)
        except UserError as error:
            raise ExceptionGroup("several", [ValueError("one")]) from error

    with pytest.raises(ExceptionGroup) as caught:
        fail()
    text = format_user_traceback(caught.value)
    assert "cli/_target.py" not in text
    assert "| ValueError: one" in text


def complete(program: Program, word: str) -> list[str]:
    """Return what bash is told for `septum graph WORD`."""
    done = program.run(_SEPTUM_COMPLETE="bash_complete", COMP_WORDS=f"septum graph {word}", COMP_CWORD="2")
    return [line.partition(",")[2] for line in program.text(done.stdout).split()]


def test_targets_are_completed_without_importing_them(door: Program) -> None:
    """Modules of the current directory, then the states in one: its text is read, and nothing of it runs."""
    door.write("__init__", "import sys\nfrom septum import septum\n@septum.state\ndef Top(): ...\n")
    door.write("broken", "def f(:")
    known = set(sys.modules)
    assert complete(door, door.name[:-1]) == ["PACKAGE"]
    assert complete(door, f"{door.name}.d") == ["PACKAGE.door"]
    assert complete(door, f"{door.name}.door:C") == ["PACKAGE.door:Closed"]
    assert complete(door, f"{door.name}:") == ["PACKAGE:Top"]
    assert complete(door, f"{door.name}.broken:") == []
    assert set(sys.modules) - known == set()
