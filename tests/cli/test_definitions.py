"""Which definitions `septum check` finds in modules."""

from __future__ import annotations

import json
import py_compile
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("click")

from tests.cli.programs import DOOR, Program

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from septum import LabeledTransition, StateConfiguration, StateMachine, StateRef, StateSpec, septum


def state(name, *targets):
    def find(target):
        return globals()[target] if isinstance(target, str) else target

    made = septum.state(type(name, (), {
        "__module__": __name__,
        "on_state": staticmethod(septum.on_state(lambda ctx: None)),
        "transitions": staticmethod(septum.transitions(lambda: [find(target) for target in targets])),
    }))
    globals()[name] = made


"""


def found(program: Program, *targets: str) -> list[tuple[str, str | None]]:
    """Return initial and error state of each definition that is found, without the package's name."""
    data = json.loads(program.run("check", *targets, "--format", "json").stdout)
    assert all(finding["code"] in {"SEP013", "SEP104", "SEP106"} for finding in data["findings"]), data["findings"]
    return [(program.text(each["initial"]), each["error"] and program.text(each["error"])) for each in data["definitions"]]


def program(folder: Path, body: str) -> Program:
    """Return a program with a module `m` of this body, in which `state("A", "B")` declares a state that leads to others."""
    return Program(folder, m=HEAD + body)


@pytest.mark.parametrize(
    ("body", "initial"),
    [
        pytest.param("state('A', 'B'); state('B')", ["A"], id="what nothing leads to"),
        pytest.param("state('B'); state('A', 'B')", ["A"], id="whatever the order"),
        pytest.param("state('A', 'A')", ["A"], id="though it leads to itself"),
        pytest.param("state('A', 'B'); state('B', 'C'); state('C', 'A')", ["A"], id="of a circle the first"),
        pytest.param("state('C', 'A'); state('A', 'B'); state('B', 'A')", ["C"], id="what leads into a circle"),
        pytest.param("state('A', 'B'); state('B', 'A'); state('C', 'A'); state('D', 'C')", ["D"], id="at whatever distance"),
        pytest.param("state('A'); state('B'); state('C', 'A', 'B')", ["C"], id="one for several"),
        pytest.param("state('A', 'X'); state('B', 'X'); state('X')", ["A", "B"], id="several for one"),
        pytest.param("state('A', 'B'); state('B', 'A')\ndef make(): return StateMachine(B)", ["B"], id="what a machine is made of"),
        pytest.param(
            "state('A', 'B'); state('B', 'A'); state('C')\nmachine = StateMachine(B)", ["B", "C"], id="what a global machine is made of"
        ),
        pytest.param("state('A', 'B'); state('B', 'A')\ndef make(): return StateMachine[dict](initial_state=B)", ["B"], id="by keyword"),
        pytest.param(
            "state('A', 'B'); state('B', 'A')\ndef make(): return StateMachine(StateRef('PACKAGE.m.B'))", ["B"], id="by reference"
        ),
        pytest.param(
            "state('A')\ndef make(some): return StateMachine(some), StateMachine(A.x(1)), StateMachine(StateRef('no'))", ["A"], id="unknown"
        ),
        pytest.param("Hand = StateSpec(name='PACKAGE.m.Hand', qualname='Hand', on_state=print)", ["Hand"], id="made by hand"),
        pytest.param("from PACKAGE.other import Far; state('A', Far)", ["A"], id="not what is imported"),
    ],
)
def test_definitions_begin_where_nothing_leads_to(tmp_path: Path, body: str, initial: list[str]) -> None:
    """What the module makes machines of comes first; then what else is needed so that every declared state is in one."""
    made = Program(tmp_path, other=HEAD + "state('Far')")
    made.write("m", HEAD + body)
    assert found(made, "PACKAGE.m") == [(f"PACKAGE.m.{name}", None) for name in initial]


def test_the_error_state_of_a_machine_belongs_to_its_definition(door: Program) -> None:
    """It is no definition of its own; a machine without one is another definition."""
    door.write("door", DOOR + "\n\ndef make_other():\n    return StateMachine(Open, 10, 'block', Lost)\n")
    assert found(door, "PACKAGE.door") == [("PACKAGE.door.Closed", "PACKAGE.door.Lost"), ("PACKAGE.door.Open", "PACKAGE.door.Lost")]
    assert found(door, "PACKAGE.door:Closed", "PACKAGE.door") == [
        ("PACKAGE.door.Closed", None),
        ("PACKAGE.door.Closed", "PACKAGE.door.Lost"),
        ("PACKAGE.door.Open", "PACKAGE.door.Lost"),
    ]


def test_all_looks_below_a_package(tmp_path: Path) -> None:
    """Every module below is imported but `__main__`; a machine in one of them counts for states of another."""
    made = Program(tmp_path, a=HEAD + "state('A', 'B'); state('B', 'A')", b="from septum import StateMachine\nfrom PACKAGE import a\n")
    made.write("b", "from septum import StateMachine\nfrom PACKAGE import a\n\ndef make():\n    return StateMachine(a.B)\n")
    made.write("sub.c", HEAD + "state('C')")
    made.write("sub.__main__", "raise SystemExit")
    assert found(made, "PACKAGE", "--all") == [("PACKAGE.a.B", None), ("PACKAGE.sub.c.C", None)]


def test_all_looks_below_a_namespace(tmp_path: Path) -> None:
    """Folders without an `__init__.py` are packages below a namespace, and only there; those without a module are none."""
    made = Program(tmp_path)
    (tmp_path / made.name / "__init__.py").unlink()
    made.write("a.b.m", HEAD + "state('A')")
    for path in (made.folder / made.name / "a").rglob("__init__.py"):
        path.unlink()
    made.write("p.q.n", HEAD + "state('B')")
    made.write("p.templates.broken", "{{ not python }}")
    (tmp_path / made.name / "p" / "templates" / "__init__.py").unlink()
    (tmp_path / made.name / "data").mkdir()
    (tmp_path / made.name / "not-a-name").mkdir()
    (tmp_path / made.name / "not-a-name" / "x.py").touch()
    assert found(made, "PACKAGE", "--all") == [("PACKAGE.a.b.m.A", None), ("PACKAGE.p.q.n.B", None)]


def test_a_package_below_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    """It is not passed over."""
    made = Program(tmp_path)
    made.write("sub.c", "")
    made.write("sub.__init__", "import zzz_is_missing")
    done = made.run("check", "PACKAGE", "--all")
    assert done.exit_code == 2
    assert made.text(done.stderr).endswith("Error: Module 'PACKAGE.sub' could not be imported.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("PACKAGE",), "'PACKAGE' declares no state. To look below a package, say --all."),
        (("PACKAGE", "--all"), "'PACKAGE' declares no state. States that a function makes are found through it: MODULE:FUNCTION."),
        (("PACKAGE.empty",), "'PACKAGE.empty' declares no state. States that a function makes are found through it: MODULE:FUNCTION."),
        (("PACKAGE.empty", "--all"), "'PACKAGE.empty' is no package, so that there is nothing below it: leave out --all."),
    ],
)
def test_nothing_to_check_is_an_error(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """A check that looked at nothing does not pass."""
    made = Program(tmp_path, empty="")
    done = made.run("check", *arguments)
    assert (done.exit_code, made.text(done.stderr)) == (2, f"Error: {said}\n")


def test_a_module_without_source_is_searched_too(tmp_path: Path) -> None:
    """Where only compiled code is there, its globals still are."""
    made = program(tmp_path, "state('A', 'B'); state('B', 'A')\nmachine = StateMachine(B)\n")
    source = tmp_path / made.name / "m.py"
    py_compile.compile(str(source), cfile=str(source.with_suffix(".pyc")), doraise=True)
    source.unlink()
    assert found(made, "PACKAGE.m") == [("PACKAGE.m.B", None)]


def test_a_state_of_which_no_graph_can_be_made_is_a_definition_of_its_own(tmp_path: Path) -> None:
    """Where it leads is not known, so that whatever else is declared is looked at as well."""
    made = program(tmp_path, "state('A', 'B', StateRef('nowhere.X')); state('B')")
    data = json.loads(made.run("check", "PACKAGE.m", "--format", "json").stdout)
    assert [(made.text(each["initial"]), each["states"]) for each in data["definitions"]] == [("PACKAGE.m.A", None), ("PACKAGE.m.B", 1)]
