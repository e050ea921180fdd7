"""Where states and edges stand, and which comments count."""

# fmt: off

from __future__ import annotations

import functools
import sys
from enum import Enum, auto
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import septum
from septum import Again, Graph, LabeledTransition, Pop, StateSpec
from septum._source import find_edge_places, find_place, read_allowances

if TYPE_CHECKING:
    pass

PROGRAM = '''\
from enum import Enum, auto
from septum import Again, LabeledTransition, Pop, StateConfiguration, septum

class Events(Enum):
    GO = auto()
    BACK = auto()

def edges(*entries):
    return list(entries)

@septum.state
def Plain():
    @septum.on_state
    def on_state(ctx): ...
    @septum.transitions
    def transitions():
        return [
            LabeledTransition(Events.GO, Pop),

            LabeledTransition(Events.BACK, None),
        ]

@septum.state(  # septum: allow SEP101 first reason
    config=StateConfiguration(
        timeout=5,
    ),  # noqa: X  # septum: allow SEP015, SEP104 - a timer  # and so on
)
class Dressed:  # septum: allow SEP999

    Text = """  # septum: allow SEP102 in a text"""

    @septum.on_state
    def on_state(ctx): ...  # septum: allow SEP103 not on the first line

    @septum.transitions
    def transitions():
        listed = [LabeledTransition(Events.GO, Again)]
        if True:
            listed.append(
                LabeledTransition(Events.BACK, Again)
            )
        return edges(*listed, Pop)

def factory(again):
    @septum.state(name=again)
    class Made:
        @septum.on_state
        def on_state(ctx): ...
        transitions = septum.transitions(lambda: [Again])
    return Made

@septum.state
class Outer(Dressed.origin.body):
    pass

One, Two = factory("one"), factory("two")

if True:
    @septum.state(name="first")
    class Twice:
        @septum.on_state
        def on_state(ctx): ...

    @septum.state(name="second")
    class Twice:
        @septum.on_state
        def on_state(ctx): ...
    Second = Twice
'''


@pytest.fixture(name="program")
def _program(tmp_path: Path) -> ModuleType:
    """Return the program as a module that was imported from a file."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM, encoding="utf-8")
    module = ModuleType("program")
    module.__file__ = str(file)
    sys.modules["program"] = module
    try:
        exec(compile(PROGRAM, str(file), "exec"), module.__dict__)
    finally:
        del sys.modules["program"]
    return module


def line_of(text: str, after: int = 0) -> int:
    """Return the number of the first line of the program, behind the line *after*, that holds *text*."""
    lines = PROGRAM.splitlines()
    return next(number for number in range(after + 1, len(lines) + 1) if text in lines[number - 1])


def test_states_stand_where_their_decorator_is(program: ModuleType) -> None:
    """In both forms, made by a factory, with inherited handlers, and where a name is declared twice."""
    places = [find_place(spec) for spec in (program.Plain, program.Dressed, program.One, program.Outer, program.Second)]
    lines = [line_of("@septum.state"), line_of("@septum.state("), line_of("name=again"), line_of("class Outer") - 1, line_of('"second"')]
    assert places == [f"{program.__file__}:{line}" for line in lines]


def test_state_made_by_hand_stands_nowhere() -> None:
    """It has no place and no comments."""
    spec = StateSpec(name="h.A", on_state=print)
    assert (find_place(spec), read_allowances(spec), find_edge_places(spec, ())) == ("", [], [])


def places_of_edges(spec: StateSpec) -> list[tuple[str, int]]:
    """Return name and line of each edge, asked of the graph one by one."""
    graph = Graph.of(spec)
    places = [graph.where(graph.initial, edge) for edge in graph.initial.edges]
    assert places == find_edge_places(spec, graph.initial.edges)
    return [(edge.name, int(place.rpartition(":")[2])) for edge, place in zip(graph.initial.edges, places, strict=True)]


def test_edges_stand_where_they_are_listed(program: ModuleType) -> None:
    """In a list that is returned each has its line; else that of its label counts, or that of the function."""
    assert places_of_edges(program.Plain) == [("Events.GO", line_of("GO, Pop")), ("Events.BACK", line_of("BACK, None"))]
    listed = line_of("listed = ")
    function = listed - 2
    assert places_of_edges(program.Dressed) == [("Events.GO", listed), ("Events.BACK", listed + 3), ("Pop", function)]
    assert places_of_edges(program.One) == [("Again", line_of("lambda"))]


class E(Enum):
    """Labels."""

    GO = auto()


def test_edges_of_a_function_that_returns_here_and_there_stand_at_their_labels() -> None:
    """There is no one list to count along."""

    def listed() -> Any:
        if E.GO.value:
            return LabeledTransition(E.GO, None)
        return Again

    spec = StateSpec(name="h.A", on_state=print, transitions=listed)
    (place,) = find_edge_places(spec, Graph.of(spec).initial.edges)
    assert place == f"{__file__}:{listed.__code__.co_firstlineno + 1}"


def test_edges_that_no_source_shows_stand_nowhere_in_particular() -> None:
    """A builtin has no line; a function that was typed in has only that."""
    partial = StateSpec(name="h.A", on_state=print, transitions=functools.partial(list, [Again]))
    assert find_edge_places(partial, Graph.of(partial).initial.edges) == [""]
    scope: dict[str, Any] = {"Again": Again, "Pop": Pop}
    exec(compile("def listed():\n    return [Again,\n        Pop]", "<typed>", "exec"), scope)
    typed = StateSpec(name="h.A", on_state=print, transitions=scope["listed"])
    assert find_edge_places(typed, Graph.of(typed).initial.edges) == ["<typed>:1", "<typed>:1"]


def test_edges_of_a_lambda_inside_a_call_stand_where_it_begins() -> None:
    """Its source line is no program of its own."""
    spec = StateSpec(
        name="h.A", on_state=print,
        transitions=lambda: [LabeledTransition(E.GO, None)], Events=E)
    (place,) = find_edge_places(spec, Graph.of(spec).initial.edges)
    assert place.rpartition(":")[0] == __file__


def test_comments_count_from_the_decorator_to_the_header(program: ModuleType) -> None:
    """On any of these lines, behind other comments, for several codes; what a text holds is no comment."""
    first = line_of("@septum.state(")
    assert [tuple(comment) for comment in read_allowances(program.Dressed)] == [
        (("SEP101",), "first reason", f"{program.__file__}:{first}"),
        (("SEP015", "SEP104"), "a timer", f"{program.__file__}:{first + 3}"),
        (("SEP999",), "", f"{program.__file__}:{first + 5}"),
    ]
    assert read_allowances(program.Plain) == []


def test_state_whose_file_is_gone_has_no_comments(program: ModuleType) -> None:
    """Nor one whose lines are no longer a program."""
    file = Path(str(program.__file__))
    file.write_text(PROGRAM[: PROGRAM.index("Dressed:")], encoding="utf-8")
    assert len(read_allowances(program.Dressed)) == 2
    file.write_text("", encoding="utf-8")
    assert read_allowances(program.Dressed) == []
    file.unlink()
    assert read_allowances(program.Dressed) == []


def test_class_that_was_not_written_stands_where_its_handler_is(program: ModuleType) -> None:
    """As far as anybody can tell."""
    made = septum.state(type("Made", (program.Dressed.origin.body,), {}))
    assert find_place(made) == f"{program.__file__}:{line_of('@septum.on_state', line_of('class Dressed'))}"


def make_typed(source: str) -> StateSpec:
    """Return the state A that *source* declares, which stands in no file."""
    scope: dict[str, Any] = {"septum": septum, "__name__": "typed"}
    exec(compile(source, "<typed>", "exec"), scope)
    state: StateSpec = scope["A"]
    return state


@pytest.mark.parametrize("head", ["def A():", "class A:"])
def test_state_that_was_typed_in_has_no_comments(head: str) -> None:
    """Its place says where it was typed."""
    state = make_typed(f"@septum.state  # septum: allow SEP101 why\n{head}\n    @septum.on_state\n    def on_state(ctx): ...")
    assert (find_place(state), read_allowances(state)) == ("<typed>:1", [])
