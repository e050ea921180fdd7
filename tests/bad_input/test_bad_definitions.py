"""Definitions that cannot work are refused when the machine is constructed, and leave nothing behind."""

from __future__ import annotations

from collections import Counter
from enum import Enum, auto
from typing import Any

import pytest

from septum import (
    DefinitionError,
    LabeledTransition,
    Push,
    Retry,
    StateConfiguration,
    StateMachine,
    StateRef,
    StateSpec,
    UnknownState,
    ValidationError,
)
from septum.testing import ManualClock
from tests.scenes import ledger, name_case, run


class Say(Enum):
    """Labels."""

    GO = auto()
    STAY = auto()


def spec(name: str, transitions: Any = None, **parts: Any) -> StateSpec:
    """Return a state that dwells and keeps its messages, unless told otherwise."""
    keep = {"on_state": lambda ctx: ctx.common["seen"].append(ctx.msg), "config": StateConfiguration(can_dwell=True)}
    return StateSpec(name=f"bad.{name}", qualname=name, transitions=transitions, **(keep | parts))


async def works(state: StateSpec) -> None:
    """A machine on *state* takes a message and loses nothing: what went wrong before left no trace."""
    fsm = StateMachine(state, common_data={"seen": []}, clock=ManualClock())
    fsm.send_message("hello")
    await fsm.tick()
    assert (fsm.context.common, ledger(fsm)) == ({"seen": [None, "hello"]}, {"accepted": 1, "handled": 1})


@pytest.mark.parametrize("target", ["bad.Nowhere", StateRef("bad.Nowhere")])
def test_unknown_target_is_named(target: Any) -> None:
    """An edge to a state that nobody declared is refused with its name, by the old name of the error as well."""
    A = spec("A", lambda: [LabeledTransition(Say.GO, target)])
    with pytest.raises(UnknownState, match="'bad.Nowhere' not found in registry") as caught:
        StateMachine(A)
    assert (isinstance(caught.value, ValidationError), isinstance(caught.value, ValueError), caught.value.name) == (
        True,
        True,
        "bad.Nowhere",
    )
    A.transitions = list
    run(works(A))


@pytest.mark.parametrize("where", ["initial_state", "error_state", "push"])
def test_unknown_state_is_named_wherever_it_stands(where: str) -> None:
    """The initial state, the error state and a pushed state are looked up as edges are."""
    A = spec("A", lambda: [Push(A, "bad.Nowhere")] if where == "push" else [])
    with pytest.raises(UnknownState, match="not found in registry"):
        StateMachine("bad.Nowhere" if where == "initial_state" else A, error_state="bad.Nowhere" if where == "error_state" else None)


def test_transitions_that_raise_are_a_definition_error() -> None:
    """What transitions() raises is the cause of a DefinitionError that names the state; corrected, the state works."""
    A = spec("A", lambda: 1 / 0)
    with pytest.raises(DefinitionError, match="bad.A") as caught:
        StateMachine(A)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    A.transitions = None
    run(works(A))


@pytest.mark.parametrize(
    "rubbish",
    [
        42,
        object(),
        "GO",
        [42],
        [None],
        [[LabeledTransition(Say.GO, Retry)]],
        {"GO": Retry},
        [Say.GO],
        [LabeledTransition("GO", Retry)],
        [object],
    ],
    ids=name_case,
)
def test_transitions_that_return_rubbish_are_a_definition_error(rubbish: Any) -> None:
    """What is no transition is refused at construction, with the state's name; nothing half-built stays."""
    A = spec("A", lambda: rubbish)
    for _ in range(2):
        with pytest.raises(DefinitionError, match="bad.A"):
            StateMachine(A)
    A.transitions = list
    run(works(A))


def test_label_with_two_edges_is_a_definition_error() -> None:
    """Two edges for one label are an error with a finding, not a silent pick."""
    A = spec("A", lambda: [LabeledTransition(Say.GO, A), LabeledTransition(Say.GO, Retry)])
    with pytest.raises(DefinitionError) as caught:
        StateMachine(A)
    assert [finding.severity for finding in caught.value.findings] == ["error"]
    assert str(caught.value.findings[0].code).startswith("SEP")


def test_state_without_on_state_is_a_definition_error() -> None:
    """The old text that people match on stays findable."""
    with pytest.raises(DefinitionError, match="must have an @on_state"):
        StateMachine(spec("A", on_state=None))


@pytest.mark.parametrize("limits", [{"timeout": -1.0}, {"timeout": float("nan")}, {"retries": -1}], ids=name_case)
def test_impossible_limits_are_definition_errors(limits: dict[str, Any]) -> None:
    """A negative or NaN timeout and a negative retry limit are refused before anything runs."""
    A = spec("A", config=StateConfiguration(can_dwell=True, **limits))
    with pytest.raises(DefinitionError) as caught:
        StateMachine(A)
    assert "error" in Counter(finding.severity for finding in caught.value.findings)
    A.config = StateConfiguration(can_dwell=True)
    run(works(A))


@pytest.mark.parametrize("policy", ["drop_oldst", "", None, "BLOCK"])
def test_unknown_overflow_policy_is_refused(policy: Any) -> None:
    """The policies are four; what is none of them is refused at construction."""
    with pytest.raises(ValueError, match="drop_oldest"):
        StateMachine(spec("A"), queue_overflow_policy=policy)


@pytest.mark.parametrize("size", [-1, 1.5, True, None])
def test_mailbox_size_that_is_none_is_refused(size: Any) -> None:
    """What is no number of messages is refused at construction; 0 is one, and means any number."""
    with pytest.raises(ValueError, match="max_queue_size"):
        StateMachine(spec("A"), size)


@pytest.mark.parametrize("hook", [object(), "recorder", None, ManualClock])
def test_hook_that_is_no_hook_is_refused(hook: Any) -> None:
    """Something that is not a Hooks object is refused, at construction and by attach."""
    with pytest.raises(TypeError, match="septum.Hooks"):
        StateMachine(spec("A"), hooks=[hook])
    fsm = StateMachine(spec("A"))
    with pytest.raises(TypeError, match="septum.Hooks"):
        fsm.attach(hook)
