"""What is told about two versions of a definition."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from septum import Again, Graph, LabeledTransition, Pop, Push, Retry, RetryPolicy, StateConfiguration, StateSpec


class E(Enum):
    """Labels."""

    GO = auto()
    BACK = auto()


def make(name: str, *listed: Any, **limits: Any) -> StateSpec:
    """Return a state made by hand with these transitions."""
    return StateSpec(name=f"d.{name}", qualname=name, on_state=print, config=StateConfiguration(**limits), transitions=lambda: list(listed))


def between(old: StateSpec, new: StateSpec, old_error: StateSpec | None = None, new_error: StateSpec | None = None) -> list[str]:
    """Return what became different; nothing did if and only if the hashes are equal."""
    before, after = Graph.of(old, old_error), Graph.of(new, new_error)
    sentences = before.diff(after)
    assert bool(sentences) == (before.hash != after.hash)
    return sentences


def test_nothing_is_told_of_equal_definitions() -> None:
    """The order of edges, handlers, what only telemetry sees, and 5 for 5.0 make no difference."""
    B = make("B", Retry, Again, timeout=5, retry=RetryPolicy(base=1))
    again = make("B", Again, Retry, timeout=5.0, retry=RetryPolicy(base=1.0), expect=3)
    again.on_enter = print
    assert between(make("A", B), make("A", again)) == []


def test_states_come_and_go() -> None:
    """Those of the old definition first; the beginning and the error state are told by themselves."""
    assert between(make("A", make("B")), make("A", make("C"))) == [
        "An edge without a label of state 'd.A' was removed; it led to 'd.B'.",
        "An edge without a label of state 'd.A' was added; it leads to 'd.C'.",
        "State 'd.B' was removed.",
        "State 'd.C' was added.",
    ]
    assert between(make("A"), make("B")) == [
        "The machine begins in 'd.B' instead of 'd.A'.",
        "State 'd.A' was removed.",
        "State 'd.B' was added.",
    ]
    A = make("A")
    assert between(A, A, None, A) == ["The error state is 'd.A' instead of none."]
    assert between(A, A, A) == ["The error state is none instead of 'd.A'."]


def test_limits_are_told_one_by_one() -> None:
    """With what they were."""
    assert between(make("A", timeout=5.0, retries=2), make("A", terminal=True, can_dwell=True, retry=RetryPolicy(max=3))) == [
        "State 'd.A' has timeout=None instead of 5.0.",
        "State 'd.A' has retries=3 instead of 2.",
        "State 'd.A' has retry=RetryPolicy(base=0.1, factor=2.0, max_delay=60.0, jitter=0.0) instead of None.",
        "State 'd.A' has terminal=True instead of False.",
        "State 'd.A' has can_dwell=True instead of False.",
    ]


def test_edges_are_told_by_their_labels() -> None:
    """Another target or another kind is one change; a label that came or went is told as such."""
    B = make("B")

    def a(*listed: Any) -> StateSpec:
        return make("A", *listed, LabeledTransition(E.BACK, B))

    def go(target: Any) -> list[LabeledTransition]:
        return [LabeledTransition(E.GO, target)]

    assert between(a(*go(B)), a(*go(Pop))) == ["Edge E.GO of state 'd.A' leads to Pop instead of to 'd.B'."]
    assert between(a(*go(Push(B, B))), a(*go(None))) == ["Edge E.GO of state 'd.A' leads to the end instead of to a push of 'd.B', 'd.B'."]
    assert between(a(*go(Push(B))), a(*go(Again))) == ["Edge E.GO of state 'd.A' leads to Again instead of to a push of 'd.B'."]
    assert between(a(), a(*go(B))) == ["Edge E.GO of state 'd.A' was added; it leads to 'd.B'."]
    assert between(a(*go(B)), a()) == ["Edge E.GO of state 'd.A' was removed; it led to 'd.B'."]


def test_edges_without_a_label_are_counted() -> None:
    """One more of the same is a difference."""
    B = make("B")
    assert between(make("A", B, Pop), make("A", B, B, Pop)) == ["An edge without a label of state 'd.A' was added; it leads to 'd.B'."]
