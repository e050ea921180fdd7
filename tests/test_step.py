"""What an answer means, decided without running anything."""

from __future__ import annotations

import math
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septum import (
    Again,
    LabeledTransition,
    Pop,
    PopFromEmptyStack,
    Push,
    Repeat,
    Restart,
    Retry,
    RetryPolicy,
    StateConfiguration,
    Unhandled,
    UnknownTransition,
    septum,
)
from septum._graph import Graph
from septum._node import Node
from septum._step import COMPLETE, WAIT, Move, decide, follow, retry_delay


class E(Enum):
    """Every kind of edge, once with a label."""

    GO = "go"
    END = 2
    PUSH = 3
    POP = 4
    AGAIN = 5
    UNHANDLED = 6
    REPEAT = 7
    RESTART = 8
    RETRY = 9
    MISSING = 10


@septum.state
def Other():
    @septum.on_state
    def on_state(ctx):
        pass


@septum.state
def Third():
    @septum.on_state
    def on_state(ctx):
        pass


@septum.state(config=StateConfiguration(retries=2))
def Labelled():
    @septum.on_state
    def on_state(ctx):
        pass

    @septum.transitions
    def transitions():
        return [
            LabeledTransition(E.GO, Other),
            LabeledTransition(E.END, None),
            LabeledTransition(E.PUSH, Push(Other, Labelled, Third)),
            LabeledTransition(E.POP, Pop),
            LabeledTransition(E.AGAIN, Again),
            LabeledTransition(E.UNHANDLED, Unhandled),
            LabeledTransition(E.REPEAT, Repeat()),
            LabeledTransition(E.RESTART, Restart),
            LabeledTransition(E.RETRY, Retry),
        ]


@septum.state(config=StateConfiguration(retry=RetryPolicy(max=1)))
def Bare():
    @septum.on_state
    def on_state(ctx):
        pass

    @septum.transitions
    def transitions():
        return [Other, Push(Third, Other), Pop]


def node_of(spec: Any) -> Node:
    """Return the compiled state."""
    return Graph.of(spec).initial


LABELLED, BARE = node_of(Labelled), node_of(Bare)
BY_NAME = LABELLED.edges[0].targets[0]
THIRD = LABELLED.edges[2].targets[2]
BARE_OTHER, BARE_THIRD = BARE.edges[0].targets[0], BARE.edges[1].targets[0]


@pytest.mark.parametrize(
    ("answer", "move"),
    [
        (None, WAIT),
        (E.GO, Move("label", "E.GO", BY_NAME)),
        ("GO", Move("label", "E.GO", BY_NAME)),
        ("go", Move("label", "E.GO", BY_NAME)),
        (E.END, Move("end", "E.END")),
        (E.PUSH, Move("push", "E.PUSH", BY_NAME, (THIRD, LABELLED))),
        (E.POP, Move("pop", "E.POP", THIRD)),
        (E.AGAIN, Move("again", "E.AGAIN", LABELLED)),
        (E.UNHANDLED, Move("unhandled", "E.UNHANDLED")),
        (E.REPEAT, Move("repeat", "E.REPEAT", LABELLED)),
        (E.RESTART, Move("restart", "E.RESTART", LABELLED)),
        (E.RETRY, Move("retry", "E.RETRY", LABELLED)),
    ],
    ids=str,
)
def test_a_label_means_its_edge(answer: object, move: Move) -> None:
    """A label, its name or its value gives the edge's kind and target, and the label as text."""
    assert decide(LABELLED, THIRD, 0, answer) == move


@pytest.mark.parametrize(
    ("answer", "move"),
    [
        (Other, Move("direct", None, BARE_OTHER)),
        (Push(Third, Other), Move("push", None, BARE_THIRD, (BARE_OTHER,))),
        (Pop, Move("pop", None, BARE_THIRD)),
        (Pop(), Move("pop", None, BARE_THIRD)),
        (Again, Move("again", None, BARE)),
        (Unhandled, Move("unhandled")),
        (Repeat, Move("repeat", None, BARE)),
        (Restart(), Move("restart", None, BARE)),
        (Retry(), Move("retry", None, BARE)),
    ],
    ids=str,
)
def test_a_state_or_a_marker_means_itself(answer: object, move: Move) -> None:
    """Without a label the move has none; markers other than `Pop` need not be listed."""
    assert decide(BARE, BARE_THIRD, 0, answer) == move


@pytest.mark.parametrize("answer", [E.MISSING, "nonsense", 4711, [], Third, Push(Other), True, object])
def test_any_other_answer_is_refused_with_what_there_is(answer: object) -> None:
    """The error names the machine, the state, the answer and the edges."""
    with pytest.raises(UnknownTransition) as caught:
        decide(BARE, None, 0, answer, "robot")

    error = caught.value
    assert (error.machine, error.state, error.answer) == ("robot", Bare.name, answer)
    assert f"Known: {Other.name}, Push({Third.name}, {Other.name}), Pop." in str(error)


@pytest.mark.parametrize(("node", "answer"), [(LABELLED, E.POP), (BARE, Pop)])
def test_a_pop_with_nothing_below_is_refused(node: Node, answer: object) -> None:
    """The error names machine and state."""
    with pytest.raises(PopFromEmptyStack) as caught:
        decide(node, None, 0, answer, "robot")

    assert (caught.value.machine, caught.value.state) == ("robot", node.name)


@pytest.mark.parametrize(
    ("node", "used", "kind"),
    [
        (LABELLED, 0, "retry"),
        (LABELLED, 1, "retry"),
        (LABELLED, 2, "exhausted"),
        (LABELLED, 3, "exhausted"),
        (BARE, 0, "retry"),
        (BARE, 1, "exhausted"),
        (THIRD, 1_000_000, "retry"),
    ],
)
def test_a_retry_past_the_limit_is_left_to_on_fail(node: Node, used: int, kind: str) -> None:
    """`retries` counts, else the policy's `max`; without either there is no limit. A bare marker finds its labelled edge."""
    assert decide(node, None, used, Retry) == Move(kind, "E.RETRY" if node is LABELLED else None, node)


def test_following_an_edge_is_what_deciding_does() -> None:
    """A marker edge that nobody lists can be followed directly."""
    for edge in LABELLED.edges:
        assert follow(edge, LABELLED, THIRD, 0) == decide(LABELLED, THIRD, 0, edge.label)


def test_completion_is_a_move_without_target() -> None:
    """A terminal state that is through enters nothing."""
    assert Move("complete") == COMPLETE


def delays(policy: RetryPolicy | None, chance: float, counts: Any) -> list[float]:
    """Return the delays of these retries of a state with *policy*."""
    return [retry_delay(SimpleNamespace(retry=policy), count, chance) for count in counts]


def test_delays_grow_by_the_factor_up_to_the_most() -> None:
    """Each retry waits `factor` times as long as the last, never above `max_delay`; without a policy nobody waits."""
    assert delays(RetryPolicy(base=1.0, factor=3.0, max_delay=20.0), 0.9, range(1, 6)) == [1.0, 3.0, 9.0, 20.0, 20.0]
    assert delays(None, 0.5, (1, 2)) == [0.0, 0.0]


def test_a_delay_beyond_all_numbers_is_the_most() -> None:
    """The thousandth doubling overflows a float, and still there is an answer."""
    assert delays(RetryPolicy(base=1.0, factor=10.0, max_delay=60.0), 0.5, [5000]) == [60.0]


def test_jitter_spreads_the_delay_around_itself() -> None:
    """Chance 0 gives the shortest, one half the middle, nearly 1 the longest."""
    policy = RetryPolicy(base=10.0, factor=1.0, jitter=0.5)

    assert [delays(policy, chance, [1])[0] for chance in (0.0, 0.25, 0.5, 0.75)] == [5.0, 7.5, 10.0, 12.5]


POLICIES = st.builds(
    RetryPolicy,
    base=st.floats(0, 100),
    factor=st.floats(1, 10),
    max_delay=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)


@given(POLICIES, st.floats(0, 1, exclude_max=True), st.integers(1, 10_000))
def test_a_delay_is_never_negative_nor_endless(policy: RetryPolicy, chance: float, count: int) -> None:
    """Whatever the policy, the delay is finite and within the jitter of the most."""
    (delay,) = delays(policy, chance, [count])

    assert math.isfinite(delay)
    assert 0 <= delay <= policy.max_delay * (1 + policy.jitter)
