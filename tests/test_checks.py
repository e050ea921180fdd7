"""What is said about definitions that can be built but are wrong or doubtful."""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import Any

import pytest

import septum
from septum import DefinitionError, Finding, Graph, LabeledTransition, Pop, Push, Retry, RetryPolicy, StateConfiguration, StateSpec
from septum._checks import check, require_valid


class E(Enum):
    """Labels."""

    GO = auto()
    END = auto()


def make(name: str, *listed: Any, **parts: Any) -> StateSpec:
    """Return a state made by hand with these transitions."""
    return StateSpec(name=f"c.{name}", qualname=name, **({"on_state": print, "transitions": lambda: list(listed)} | parts))


def found(*listed: Any, **parts: Any) -> list[tuple[str, str, str, str]]:
    """Return code, state, message and hint of the findings about state A, and that errors have the lower codes."""
    findings = check(Graph.of(make("A", *listed, **parts)))
    assert [finding.severity for finding in findings] == ["error" if finding.code < "SEP012" else "warning" for finding in findings]
    return [(finding.code, finding.state, finding.message, finding.hint) for finding in findings]


def test_sound_definition_has_no_findings() -> None:
    """Every edge labelled, every label used, every limit handled."""
    limits = StateConfiguration(timeout=math.inf, retries=0, retry=RetryPolicy(jitter=1, max_delay=math.inf), expect=0)
    B = make("B", config=StateConfiguration(terminal=True))
    edges = [LabeledTransition(E.GO, B), LabeledTransition(E.END, None), Pop, Retry]
    assert found(*edges, Events=E, config=limits, on_timeout=print, on_fail=print) == []
    assert require_valid(Graph.of(B)) == ()


def test_two_edges_for_one_label_are_an_error() -> None:
    """Even if they lead to one place; the old words stay findable."""
    assert found(LabeledTransition(E.GO, Retry), LabeledTransition(E.END, None), LabeledTransition(E.GO, Retry)) == [
        ("SEP006", "c.A", "State 'c.A' has multiple transitions for E.GO: 2 of them.", "Keep one, or give each its own label."),
    ]


@pytest.mark.parametrize("timeout", [-1, -0.5, math.nan, -math.inf, "5", True])
def test_timeout_that_is_no_time_is_an_error(timeout: Any) -> None:
    """Negative, NaN, infinite backwards, a text, a bool."""
    hint = "Give seconds, zero or more, or None for no deadline."
    findings = found(config=StateConfiguration(timeout=timeout), on_timeout=print)
    assert findings == [("SEP007", "c.A", f"State 'c.A' has timeout={timeout!r}.", hint)]


@pytest.mark.parametrize("retries", [-1, 1.5, math.nan, "3", True])
def test_retry_limit_that_is_no_count_is_an_error(retries: Any) -> None:
    """Negative, broken, NaN, a text, a bool."""
    hint = "Give a whole number, zero or more, or None for no limit."
    assert found(config=StateConfiguration(retries=retries), on_fail=print) == [
        ("SEP008", "c.A", f"State 'c.A' has retries={retries!r}.", hint)
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"max": -1},
        {"base": -1},
        {"base": math.inf},
        {"factor": math.nan},
        {"factor": math.inf},
        {"max_delay": -1},
        {"jitter": 1.5},
        {"jitter": "1"},
    ],
    ids=str,
)
def test_policy_without_sense_is_an_error(fields: Any) -> None:
    """Each of its numbers has a range."""
    policy = RetryPolicy(**fields)
    hint = "max is a whole number or None; base, factor and max_delay are zero or more; jitter is from 0 to 1."
    assert found(config=StateConfiguration(retry=policy), on_fail=print) == [("SEP009", "c.A", f"State 'c.A' has retry={policy!r}.", hint)]


@pytest.mark.parametrize("expect", [-1, math.nan, "1"])
def test_expectation_that_is_no_time_is_an_error(expect: Any) -> None:
    """As a timeout."""
    hint = "Give seconds, zero or more, or None."
    assert found(config=StateConfiguration(expect=expect)) == [("SEP010", "c.A", f"State 'c.A' has expect={expect!r}.", hint)]


def test_event_without_edge_is_a_warning() -> None:
    """All of a state in one finding; a terminal state, which answers nothing, has none."""
    hint = "Answering one raises UnknownTransition. Add its LabeledTransition, or remove it."
    assert found(Events=E) == [("SEP012", "c.A", "State 'c.A' declares Events without a transition: GO, END.", hint)]
    assert found(LabeledTransition(E.END, None), Events=E)[0][2] == "State 'c.A' declares Events without a transition: GO."
    assert found(Events=E, config=StateConfiguration(terminal=True)) == []


def test_undecorated_events_are_known_by_the_labels_used() -> None:
    """A class that is written in the state's own function is its Events; one from elsewhere may serve several states."""

    @septum.state
    def Own():
        class Events(Enum):
            GO = auto()
            END = auto()

        @septum.on_state
        def handle(ctx):
            pass

        @septum.transitions
        def transitions():
            return [LabeledTransition(Events.GO, None), LabeledTransition(E.GO, None)]

    (finding,) = check(Graph.of(Own))
    assert (finding.code, finding.message) == ("SEP012", f"State {Own.name!r} declares Events without a transition: END.")
    assert found(LabeledTransition(E.GO, None)) == []


def test_state_or_push_without_label_is_a_warning() -> None:
    """Markers need none."""
    B = make("B")
    hint = "Write LabeledTransition(Events.X, ...), so that traces and drawings can name it."
    assert found(B, Push(B, B), Pop, Retry) == [
        ("SEP013", "c.A", "State 'c.A' lists c.B without a label.", hint),
        ("SEP013", "c.A", "State 'c.A' lists Push(c.B, c.B) without a label.", hint),
    ]


def test_terminal_state_with_edges_is_a_warning() -> None:
    """They are named."""
    assert found(LabeledTransition(E.GO, None), Retry, config=StateConfiguration(terminal=True)) == [
        (
            "SEP014",
            "c.A",
            "State 'c.A' is terminal and has transitions: E.GO, Retry.",
            "They are never taken. Remove them, or terminal=True.",
        )
    ]


def test_timeout_without_handler_is_a_warning() -> None:
    """It says what happens then."""
    hint = "UnhandledTimeout is raised when it passes. Add an @septum.on_timeout handler."
    assert found(config=StateConfiguration(timeout=5)) == [("SEP015", "c.A", "State 'c.A' has timeout=5 and no on_timeout.", hint)]


@pytest.mark.parametrize("config", [StateConfiguration(retries=2), StateConfiguration(retry=RetryPolicy(max=2))])
def test_retries_without_on_fail_are_a_warning(config: StateConfiguration) -> None:
    """Whether the state or its policy limits them; without a limit nothing fails."""
    hint = "RetriesExhausted is raised after them. Add an @septum.on_fail handler."
    assert found(config=config) == [("SEP016", "c.A", "State 'c.A' allows 2 retries and has no on_fail.", hint)]
    assert found(config=StateConfiguration(retry=RetryPolicy())) == []


def test_handler_declared_twice_is_a_warning() -> None:
    """One for each kind."""
    assert found(repeated=("on_enter", "on_state")) == [
        ("SEP017", "c.A", "State 'c.A' declares on_enter more than once.", "The last one counts. Remove the others."),
        ("SEP017", "c.A", "State 'c.A' declares on_state more than once.", "The last one counts. Remove the others."),
    ]


def test_errors_come_before_warnings() -> None:
    """Within each, kind by kind, in the order of the states."""
    B = make("B", config=StateConfiguration(timeout=-1))
    A = make("A", B, config=StateConfiguration(timeout=-1, retries=-1))
    assert [(finding.code, finding.state) for finding in check(Graph.of(A))] == [
        ("SEP007", "c.A"),
        ("SEP007", "c.B"),
        ("SEP008", "c.A"),
        ("SEP013", "c.A"),
        ("SEP015", "c.A"),
        ("SEP015", "c.B"),
        ("SEP016", "c.A"),
    ]


def test_errors_are_raised_together() -> None:
    """With the warnings behind them; without errors, the warnings are given back."""
    graph = Graph.of(make("A", config=StateConfiguration(timeout=-1)))
    with pytest.raises(DefinitionError) as caught:
        require_valid(graph)
    assert caught.value.findings == check(graph)
    assert str(caught.value).splitlines() == [
        "State machine validation failed: no machine can be made from state 'c.A'.",
        "  SEP007 State 'c.A' has timeout=-1. Give seconds, zero or more, or None for no deadline.",
        f"  {check(graph)[1]}",
    ]
    sound = Graph.of(make("A", config=StateConfiguration(timeout=1)))
    assert require_valid(sound) == check(sound)


def test_finding_reads_as_a_line() -> None:
    """Code, message and hint; without a hint nothing hangs over."""
    assert str(Finding("SEP001", "error", "c.A", "Wrong.", "Do right.")) == "SEP001 Wrong. Do right."
    assert str(Finding("SEP011", "error", "c.A", "Wrong.", "")) == "SEP011 Wrong."
