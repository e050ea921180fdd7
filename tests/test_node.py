"""One state of a graph: what each answer finds there."""

from __future__ import annotations

import functools
from enum import Enum, IntEnum, StrEnum, auto
from typing import Any

import pytest

import septum
from septum import (
    Again,
    Graph,
    LabeledTransition,
    Pop,
    Push,
    Repeat,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateRef,
    StateSpec,
    Unhandled,
)
from septum._node import ASYNC, ASYNC_TIMED, MARKERS, SLOW, SYNC, Edge, Node

MARKER_KINDS = [(Again, "again"), (Unhandled, "unhandled"), (Repeat, "repeat"), (Restart, "restart"), (Retry, "retry")]


class E(Enum):
    """Labels with values of many kinds."""

    GO = "go"
    BACK = 2
    DOWN = (3, 4)
    LIST = [5]  # noqa: RUF012
    ONE = 1
    YES = False


def make(name: str, *listed: Any, **parts: Any) -> StateSpec:
    """Return a state made by hand with these transitions."""
    return StateSpec(name=f"n.{name}", qualname=name, **({"on_state": print, "transitions": lambda: list(listed)} | parts))


def node(*listed: Any, **parts: Any) -> Node:
    """Return the compiled state A with these transitions."""
    return Graph.of(make("A", *listed, **parts)).initial


B = make("B")
C = make("C")


def test_label_is_found_by_itself_its_name_and_its_value() -> None:
    """All three find the edge; another label does not."""
    state = node(LabeledTransition(E.GO, B), LabeledTransition(E.BACK, Again), LabeledTransition(E.DOWN, Pop))
    found = {answer: state.resolve(answer) for answer in (E.GO, "GO", "go", E.BACK, "BACK", 2, E.DOWN, "DOWN", (3, 4))}
    go, back, down = state.edges
    assert list(found.values()) == [go, go, go, back, back, back, down, down, down]
    assert [state.resolve(answer) for answer in (E.ONE, "ONE", 1, "DO", (3,), None)] == [None] * 6


def test_edge_says_what_it_is() -> None:
    """Kind, targets and a name for people."""
    state = node(
        LabeledTransition(E.GO, B),
        LabeledTransition(E.BACK, None),
        LabeledTransition(E.ONE, Push(B, C)),
        LabeledTransition(E.DOWN, Retry()),
        B,
        Push(C),
        Pop,
    )
    b, c = (state.edges[0].targets[0], state.edges[2].targets[1])
    assert [(edge.kind, edge.label, edge.targets, edge.name) for edge in state.edges] == [
        ("label", E.GO, (b,), "E.GO"),
        ("end", E.BACK, (), "E.BACK"),
        ("push", E.ONE, (b, c), "E.ONE"),
        ("retry", E.DOWN, (), "E.DOWN"),
        ("direct", None, (b,), "n.B"),
        ("push", None, (c,), "Push(n.C)"),
        ("pop", None, (), "Pop"),
    ]


@pytest.mark.parametrize(("marker", "kind"), MARKER_KINDS)
def test_marker_is_found_listed_or_not(marker: Any, kind: str) -> None:
    """As class and as instance; a labelled edge to it is the one that is meant."""
    unlisted, listed, labelled = node(), node(marker), node(LabeledTransition(E.GO, marker()))
    for answer in (marker, marker()):
        assert unlisted.resolve(answer) is MARKERS[marker]
        assert (listed.resolve(answer), labelled.resolve(answer)) == (Edge(None, kind), Edge(E.GO, kind))  # type: ignore[arg-type]


def test_pop_must_be_listed() -> None:
    """A state that does not list it cannot pop; with or without label does not matter."""
    assert [node().resolve(answer) for answer in (Pop, Pop())] == [None, None]
    for state in (node(Pop), node(LabeledTransition(E.GO, Pop))):
        assert [state.resolve(answer) for answer in (Pop, Pop())] == [state.edges[0]] * 2


def test_state_is_found_only_where_an_edge_leads() -> None:
    """By itself, its reference or its name; an edge without a label goes first."""
    state = node(LabeledTransition(E.GO, B), B)
    assert [state.resolve(answer) for answer in (B, StateRef("n.B"), "n.B")] == [state.edges[1]] * 3
    assert [node(LabeledTransition(E.GO, B)).resolve(answer) for answer in (C, StateRef("n.C"), "n.C")] == [None] * 3
    first = node(LabeledTransition(E.GO, B), LabeledTransition(E.BACK, B))
    assert first.resolve(B) is first.edges[0]


def test_push_is_found_only_as_it_is_listed() -> None:
    """The same states in the same order, however they are named; a pushed state alone is not found."""
    state = node(LabeledTransition(E.GO, Push(B, C)))
    assert [state.resolve(answer) for answer in (Push(B, C), Push("n.B", StateRef("n.C")))] == [state.edges[0]] * 2
    assert [state.resolve(answer) for answer in (Push(C, B), Push(B), B, Push)] == [None] * 4


def test_member_goes_before_name_and_name_before_value() -> None:
    """Where two labels want one answer, the order is fixed."""

    class Crossed(StrEnum):
        a = "b"
        b = "c"

    class Named(Enum):
        x = "y"
        y = "z"

    state = node(LabeledTransition(Crossed.a, B), LabeledTransition(Crossed.b, C))
    assert [state.resolve(answer) for answer in (Crossed.a, Crossed.b, "a", "b", "c")] == [state.edges[place] for place in (0, 1, 0, 0, 1)]
    state = node(LabeledTransition(Named.x, B), LabeledTransition(Named.y, C))
    assert [state.resolve(answer) for answer in ("x", "y", "z")] == [state.edges[place] for place in (0, 1, 1)]


def test_bool_is_never_taken_for_a_number() -> None:
    """True does not find a value 1, nor 0 the value False; each finds its own."""
    state = node(LabeledTransition(E.ONE, B), LabeledTransition(E.YES, C))
    assert [state.resolve(answer) for answer in (1, False)] == list(state.edges)
    assert [state.resolve(answer) for answer in (True, 0)] == [None, None]


def test_numeric_label_is_not_taken_for_a_bool() -> None:
    """A member of an IntEnum equals its value, and still True does not find it."""

    class Number(IntEnum):
        ZERO = 0
        ONE = 1
        TWO = 2

    state = node(*(LabeledTransition(member, B) for member in Number))
    assert [state.resolve(answer) for answer in (*Number, 0, 1, 2, "ZERO")] == [state.edges[place] for place in (0, 1, 2, 0, 1, 2, 0)]
    assert [state.resolve(answer) for answer in (True, False)] == [None, None]
    assert list(state.plain) == [Number.TWO]


def test_value_that_is_not_hashable_is_left_out() -> None:
    """Such a label is found by itself and its name; such an answer finds nothing."""
    state = node(LabeledTransition(E.LIST, B))
    assert [state.resolve(answer) for answer in (E.LIST, "LIST", [5], {}, (5, []))] == [state.edges[0], state.edges[0], None, None, None]


def test_first_of_two_edges_for_a_label_is_found() -> None:
    """Such a state has a finding, but a graph."""
    state = node(LabeledTransition(E.GO, B), LabeledTransition(E.GO, Again))
    assert (state.resolve(E.GO), list(state.plain)) == (state.edges[0], [E.GO])
    other = node(LabeledTransition(E.GO, Again), LabeledTransition(E.GO, B))
    assert (other.resolve(E.GO), list(other.plain)) == (other.edges[0], [])


def test_plain_edge_is_one_with_nothing_to_do() -> None:
    """A label to a state, without on_leave here, on_enter there, or an end; pushes, markers and edges without label are not plain."""
    T = make("T", config=StateConfiguration(timeout=5.0))
    entered = make("Entered", on_enter=print)
    listed = [
        LabeledTransition(E.GO, T),
        LabeledTransition(E.BACK, entered),
        LabeledTransition(E.DOWN, Push(B)),
        LabeledTransition(E.LIST, None),
        C,
        Again,
    ]
    state = node(*listed)
    assert state.plain == {E.GO: (E.GO, state.edges[0].targets[0], 5.0, "E.GO", 0)}
    assert [node(*listed, **parts).plain for parts in ({"on_leave": print}, {"config": StateConfiguration(terminal=True)})] == [{}, {}]


def test_plain_edge_that_is_looked_up_is_noted() -> None:
    """Only the label itself finds it: what is merely equal, or not hashable, is the business of `resolve`."""

    class Word(StrEnum):
        GO = auto()

    state = node(LabeledTransition(Word.GO, B), LabeledTransition(E.BACK, Again))
    fresh = state.quick
    assert [state.look_up(answer) for answer in ("go", "GO", E.BACK, [], None)] == [None] * 5
    assert (state.quick is fresh, fresh[1:]) == (True, (state, None, "", 0))
    assert state.look_up(Word.GO) is state.plain[Word.GO] is state.quick


async def handle(ctx):
    """Answer nothing."""


@pytest.mark.parametrize(
    ("parts", "is_async", "speed"),
    [
        ({"on_state": print}, False, SYNC),
        ({"on_state": print, "config": StateConfiguration(timeout=1)}, False, SYNC),
        ({"on_state": handle}, True, ASYNC),
        ({"on_state": functools.partial(handle)}, True, ASYNC),
        ({"on_state": handle, "config": StateConfiguration(timeout=1)}, True, ASYNC_TIMED),
        ({"on_state": handle, "config": StateConfiguration(terminal=True)}, True, SLOW),
    ],
)
def test_node_knows_how_its_handler_is_called(parts: dict[str, Any], is_async: bool, speed: int) -> None:
    """Sync or async, with a deadline or without, terminal or not."""
    assert (node(**parts).is_async, node(**parts).speed) == (is_async, speed)


@pytest.mark.parametrize(
    ("config", "retries", "may_wait"),
    [
        (StateConfiguration(), None, False),
        (StateConfiguration(can_dwell=True), None, True),
        (StateConfiguration(timeout=0), None, True),
        (StateConfiguration(retries=0), 0, False),
        (StateConfiguration(retry=RetryPolicy()), None, False),
        (StateConfiguration(retry=RetryPolicy(max=4)), 4, False),
        (StateConfiguration(retries=2, retry=RetryPolicy(max=4)), 2, False),
    ],
)
def test_node_has_the_limits_of_its_state(config: StateConfiguration, retries: int | None, may_wait: bool) -> None:
    """The state's own retries go before the policy's; it may wait if it can dwell or has a timeout."""
    state = node(config=config)
    assert (state.retries, state.may_wait) == (retries, may_wait)
    assert (state.timeout, state.retry, state.expect) == (config.timeout, config.retry, config.expect)
    assert (state.terminal, state.can_dwell) == (config.terminal, config.can_dwell)


def test_node_shows_its_name() -> None:
    """The full one."""
    assert repr(node()) == "<node n.A>"


def test_state_with_a_name_of_its_own_goes_by_it() -> None:
    """Two states of one factory are two in telemetry and drawings; the module's name is left out where the name begins with it."""

    def declared(name: str | None) -> StateSpec:
        @septum.state(name=name, config=StateConfiguration(terminal=True))
        def Made() -> None:
            @septum.on_state
            def on_state(ctx):
                pass

        return Made

    own = "test_state_with_a_name_of_its_own_goes_by_it.<locals>.declared.<locals>.Made"
    names = ["billing.One", "billing.Two", f"{__name__}.Three", None]
    assert [Graph.of(declared(name)).initial.qualname for name in names] == ["billing.One", "billing.Two", "Three", own]
