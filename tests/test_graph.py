"""What a machine can reach: walking, resolving, refusing, remembering."""

# ruff: noqa: N805 - handlers of a class take ctx, not self

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import pytest

import septum
from septum import (
    Again,
    DefinitionError,
    DuplicateState,
    Finding,
    Graph,
    LabeledTransition,
    Pop,
    Push,
    RetryPolicy,
    StateConfiguration,
    StateRef,
    StateSpec,
    UnknownState,
    register_state,
)
from septum._transitions import StateTransition

if TYPE_CHECKING:
    from pathlib import Path


class E(Enum):
    """Labels."""

    GO = auto()
    BACK = auto()
    DOWN = auto()
    UP = auto()
    END = auto()


def make(name: str, transitions: Any = None, **parts: Any) -> StateSpec:
    """Return a state made by hand whose transitions function returns *transitions*, or is it."""
    function = transitions if callable(transitions) and not isinstance(transitions, type) else lambda: transitions
    keep = {"on_state": print, "module": "g", "transitions": None if transitions is None else function}
    return StateSpec(name=f"g.{name}", qualname=name, **(keep | parts))


def names(graph: Graph) -> list[str]:
    """Return the names of its states below the module."""
    return [node.qualname for node in graph.nodes]


def test_graph_holds_what_can_be_reached() -> None:
    """Breadth first in the order of declaration, then what only the error state reaches; nothing else, also if it is broken."""
    make("Broken", [42])
    D = make("D")
    C, B = make("C", [D]), make("B", lambda: [A, D])
    A = make("A", [LabeledTransition(E.GO, C), Push(B, C)])
    X = make("X", lambda: [D, A])
    graph = Graph.of(A, error_state=X)
    assert (names(Graph.of(A)), names(graph)) == (["A", "C", "B", "D"], ["A", "C", "B", "D", "X"])
    assert (graph.initial, graph.error) == (graph.nodes[0], graph.nodes[4])
    assert graph.by_name == {node.name: node for node in graph.nodes}
    assert [node.index for node in graph.nodes] == [0, 1, 2, 3, 4]
    assert (Graph.of(A).error, Graph.of(A).plan) == (None, None)


def test_error_state_may_be_on_the_way() -> None:
    """It is then the same node as the one that was walked to; it may even be the initial state."""
    B = make("B")
    A = make("A", [B])
    assert Graph.of(A, B).error is Graph.of(A, B).nodes[1]
    assert Graph.of(A, A).error is Graph.of(A, A).initial


def test_graph_is_built_once() -> None:
    """The second call for the same two states gives the same object, however they are given."""
    A, B = make("A"), make("B")
    register_state(A)
    graph, guarded = Graph.of(A), Graph.of(A, B)
    assert [Graph.of(target) is graph for target in (A, "g.A", StateRef("g.A"))] == [True] * 3
    assert (Graph.of(A, B) is guarded, graph is guarded) == (True, False)
    assert (A.graph_cache[None], A.graph_cache[B]) == (graph, guarded)


def test_error_state_of_the_same_name_is_another() -> None:
    """States are equal by name, so the remembered graph is only used for the very same error state."""
    A, X, Y = make("A"), make("X"), make("X")
    assert Graph.of(A, X).error.spec is X
    assert Graph.of(A, Y).error.spec is Y


@pytest.mark.parametrize("target", ["g.T", StateRef("g.T")], ids=repr)
def test_reference_leads_to_the_declared_state(target: Any) -> None:
    """Labelled, listed alone or pushed, a reference or a name is as good as the state."""
    T = make("T")
    register_state(T)
    for entry in (target, LabeledTransition(E.GO, target), Push(target)):
        assert Graph.of(make("A", [entry])).nodes[1].spec is T


def test_transitions_may_be_one_instead_of_a_list() -> None:
    """A labelled edge, a state, a marker, a reference alone; a tuple is a list."""
    T = make("T")
    register_state(T)
    for listed in (LabeledTransition(E.GO, T), T, Again, Again(), StateRef("g.T"), "g.T", Push(T), (T,)):
        assert len(Graph.of(make("A", listed)).initial.edges) == 1
    assert [Graph.of(make("A", listed)).initial.edges for listed in (None, [])] == [(), ()]


def test_node_is_found_by_whatever_means_its_state() -> None:
    """The state, its reference or its name; a state elsewhere, or no state at all, is not found."""
    B = make("B")
    graph = Graph.of(make("A", [B]))
    assert [graph.find(target) for target in (B, StateRef("g.B"), "g.B")] == [graph.nodes[1]] * 3
    assert [graph.find(target) for target in (make("C"), StateRef("g.C"), "g.C", E.GO, Again, None, 3, [])] == [None] * 8


def here(line_of: Any) -> str:
    """Return file and line where a function is written."""
    return f"{line_of.__code__.co_filename}:{line_of.__code__.co_firstlineno}"


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (None, "returned None."),
        (42, "returned 42."),
        (StateTransition(), "returned StateTransition(AWAITS=False)."),
        ({}, "returned {}."),
        ([None], "lists None."),
        ([Push], f"lists {Push!r}."),
        ([Push()], "lists Push()."),
        ([[Again]], f"lists [{Again!r}]."),
        ([E.GO], "lists <E.GO: 1>."),
        ([LabeledTransition(E.GO, print)], "lists LabeledTransition(label=<E.GO: 1>, transition=<built-in function print>)."),  # type: ignore[arg-type]
        ([LabeledTransition(E.GO, StateRef)], f"lists LabeledTransition(label=<E.GO: 1>, transition={StateRef!r})."),
    ],
    ids=lambda value: str(value)[:20],
)
def test_rubbish_is_refused_with_the_place_and_the_fix(listed: object, said: str) -> None:
    """The finding says which function of which state, where it stands, what it gave, and what to return."""

    def transitions() -> object:
        return listed

    with pytest.raises(DefinitionError) as caught:
        Graph.of(make("A", transitions))
    text = f"transitions() of state 'g.A' ({here(transitions)}) {said}"
    hint = "Return a list of LabeledTransition(label, target), states and markers, or one of these alone."
    assert caught.value.findings == (Finding("SEP003", "error", "g.A", text, hint),)
    assert str(caught.value) == f"State machine validation failed: no machine can be made from state 'g.A'.\n  SEP003 {text} {hint}"


def test_label_that_is_no_enum_member_is_refused() -> None:
    """Its finding says what a label is."""
    with pytest.raises(DefinitionError, match=r"whose label is not a member of an Enum\. Label it with a member"):
        Graph.of(make("A", [LabeledTransition("GO", Again)]))  # type: ignore[arg-type]


def test_push_of_something_else_is_refused() -> None:
    """What is pushed must be a state."""
    with pytest.raises(DefinitionError, match=r"pushes no state\. <class '.*Again'> is not a state"):
        Graph.of(make("A", [Push(Again)]))


def test_transitions_that_raise_are_refused_with_the_cause() -> None:
    """What they raised is in the text and is the cause."""

    def transitions() -> list[Any]:
        return [Nobody]  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DefinitionError) as caught:
        Graph.of(make("A", transitions))
    (finding,) = caught.value.findings
    assert (finding.code, finding.message) == (
        "SEP002",
        f"transitions() of state 'g.A' ({here(transitions)}) raised NameError: name 'Nobody' is not defined.",
    )
    assert isinstance(caught.value.__cause__, NameError)


def test_transitions_without_code_are_told_by_their_state() -> None:
    """A builtin has no place of its own."""
    with pytest.raises(DefinitionError, match=r"transitions\(\) of state 'g.A' \(module 'g'\) returned 0"):
        Graph.of(make("A", functools.partial(int)))


def test_all_faults_are_found_at_once() -> None:
    """The walk goes on behind a fault; an unknown state makes the error an UnknownState with the first such name."""
    C = make("C", [42])
    B = make("B", lambda: 1 / 0)
    A = make("A", [LabeledTransition(E.GO, "g.Gone"), LabeledTransition(E.END, B), Push(C, "g.Lost")])
    for _ in range(2):
        with pytest.raises(UnknownState) as caught:
            Graph.of(A)
        assert [(finding.code, finding.state) for finding in caught.value.findings] == [
            ("SEP001", "g.A"),
            ("SEP001", "g.A"),
            ("SEP002", "g.B"),
            ("SEP003", "g.C"),
        ]
        assert caught.value.name == "g.Gone"
    assert "State 'g.Gone' not found in registry" in str(caught.value)


def test_two_reachable_states_of_one_name_are_refused() -> None:
    """Neither is picked; the error names both places."""
    A = make("A", [LabeledTransition(E.GO, make("B", module="one")), LabeledTransition(E.END, make("B", module="two"))])
    with pytest.raises(DuplicateState, match=r"Two states named 'g\.B' are reachable, declared at module 'one' and module 'two'") as caught:
        Graph.of(A)
    assert ([finding.code for finding in caught.value.findings], caught.value.name) == (["SEP004"], "g.B")


@pytest.mark.parametrize("part", ["initial", "error", "target"])
def test_state_without_handler_is_refused(part: str) -> None:
    """Only a state made by hand can lack on_state; the old text stays findable."""
    A, X = make("A"), make("X", on_state=None)
    arguments = {"initial": (X,), "error": (A, X), "target": (make("B", [X]),)}[part]
    with pytest.raises(DefinitionError, match=r"State 'g\.X' must have an @on_state decorated method") as caught:
        Graph.of(*arguments)
    assert [(finding.code, finding.state) for finding in caught.value.findings] == [("SEP005", "g.X")]


def test_name_that_came_to_mean_two_things_is_refused() -> None:
    """A module global that came after the decorator makes a class's bare name ambiguous."""

    @septum.state
    class Late:
        LIMIT = 3

        @septum.on_state
        def handle(ctx):
            return LIMIT  # noqa: F821

    globals()["LIMIT"] = 4
    try:
        with pytest.raises(DefinitionError, match="reads 'LIMIT'") as caught:
            Graph.of(Late)
        assert [(finding.code, finding.hint) for finding in caught.value.findings] == [("SEP011", "")]
    finally:
        del globals()["LIMIT"]
    assert names(Graph.of(Late)) == [Late.qualname]


def drawn() -> Graph:
    """Return a graph with an edge of every shape."""
    B = make("B", config=StateConfiguration(timeout=2.5, retry=RetryPolicy(max=2, base=1.0), expect=9.0), on_timeout=print)
    A = make(
        "A", lambda: [LabeledTransition(E.GO, B), LabeledTransition(E.DOWN, Push(B, A)), LabeledTransition(E.END, None), Again, B, Pop]
    )
    X = make("X", config=StateConfiguration(terminal=True, retries=3))
    return Graph.of(A, X)


def test_graph_tells_everything_that_is_not_code() -> None:
    """As plain data that JSON can hold."""
    plain = {
        "timeout": None,
        "retries": None,
        "retry": None,
        "expect": None,
        "terminal": False,
        "can_dwell": False,
        "handlers": ["on_state"],
        "edges": [],
    }
    expected = {
        "initial": "g.A",
        "error": "g.X",
        "states": [
            plain
            | {
                "name": "g.A",
                "edges": [
                    {"label": "E.GO", "kind": "label", "targets": ["g.B"]},
                    {"label": "E.DOWN", "kind": "push", "targets": ["g.B", "g.A"]},
                    {"label": "E.END", "kind": "end", "targets": []},
                    {"label": None, "kind": "again", "targets": []},
                    {"label": None, "kind": "direct", "targets": ["g.B"]},
                    {"label": None, "kind": "pop", "targets": []},
                ],
            },
            plain
            | {
                "name": "g.B",
                "timeout": 2.5,
                "retries": 2,
                "retry": {"base": 1.0, "factor": 2.0, "max_delay": 60.0, "jitter": 0.0},
                "expect": 9.0,
                "handlers": ["on_state", "on_timeout"],
            },
            plain | {"name": "g.X", "terminal": True, "retries": 3},
        ],
    }
    assert json.loads(json.dumps(drawn().to_dict())) == expected
    assert Graph.of(make("A")).to_dict() == {"initial": "g.A", "error": None, "states": [plain | {"name": "g.A"}]}


def test_hash_is_that_of_the_rules() -> None:
    """Building again, the order of edges, handlers besides on_state and `expect` do not matter; it is 12 digits and never moves."""
    B = make("B")
    one = Graph.of(make("A", [LabeledTransition(E.GO, B), LabeledTransition(E.END, None)]))
    other = Graph.of(
        make("A", [LabeledTransition(E.END, None), LabeledTransition(E.GO, B)], on_enter=print, config=StateConfiguration(expect=1))
    )
    assert (one.hash, other.hash, drawn().hash) == ("b32b513a2ed8", "b32b513a2ed8", "1c614b5ec743")
    assert repr(one) == f"<graph of g.A, 2 states, {one.hash}>"


@pytest.mark.parametrize(
    "changed",
    [
        make("A", [LabeledTransition(E.GO, Again)]),
        make("A", config=StateConfiguration(timeout=1.0)),
        make("A", config=StateConfiguration(timeout=math.inf)),
        make("A", config=StateConfiguration(retries=1)),
        make("A", config=StateConfiguration(retry=RetryPolicy())),
        make("A", config=StateConfiguration(terminal=True)),
        make("A", config=StateConfiguration(can_dwell=True)),
        make("B"),
    ],
)
def test_hash_changes_with_every_rule(changed: StateSpec) -> None:
    """Edges, limits, names each make another definition; so does an error state."""
    assert Graph.of(changed).hash != Graph.of(make("A")).hash
    assert Graph.of(make("A"), make("X")).hash != Graph.of(make("A"), make("Y")).hash


@pytest.mark.slow
def test_hash_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Whatever the seed of Python's own hashes, and in whatever order a set gives the edges; the figure holds for every Python."""
    program = tmp_path / "hashed.py"
    program.write_text(
        "from enum import Enum\n"
        "from septum import *\n"
        "E = Enum('E', ['A', 'B', 'C', 'D'])\n"
        "make = lambda name, *to: StateSpec(name=name, on_state=print, config=StateConfiguration(timeout=5),\n"
        "    transitions=lambda: list({LabeledTransition(label, target) for label, target in zip(E, to)}))\n"
        "leaf = make('leaf', Pop, Again)\n"
        "print(Graph.of(make('root', Push(leaf, leaf), make('b', leaf), make('c', None), Retry)).hash)\n",
        encoding="utf-8",
    )
    hashes = [
        subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("0", "1", "2", "99")
    ]
    assert hashes == ["129e6ba9dfb8\n"] * 4


def test_whole_seconds_are_the_same_limit_as_int_and_float() -> None:
    """5 and 5.0 make one definition; a number too large for a float stays what it is."""
    assert (
        Graph.of(make("A", config=StateConfiguration(timeout=5))).hash == Graph.of(make("A", config=StateConfiguration(timeout=5.0))).hash
    )
    huge = [Graph.of(make("A", config=StateConfiguration(timeout=10**power))).hash for power in (400, 401)]
    assert huge[0] != huge[1]


def test_place_of_a_state_is_known() -> None:
    """File and line of its decorator; of an edge those of its own line."""

    @septum.state
    def Written():
        @septum.on_state
        def handle(ctx):
            pass

        @septum.transitions
        def transitions():
            return [
                LabeledTransition(E.GO, None),
                Again,
            ]

    graph = Graph.of(Written)
    file, _, line = graph.where(graph.initial).rpartition(":")
    lines = [int(graph.where(graph.initial, edge).rpartition(":")[2]) - int(line) for edge in graph.initial.edges]
    assert (file, lines) == (__file__, [9, 10])
