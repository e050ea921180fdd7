"""What a handler may answer, as values: equal by meaning, hashable, unchangeable, the same as class and as instance."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from enum import Enum
from typing import Any

import pytest

from septum import Again, LabeledTransition, Pop, Push, Repeat, Restart, Retry, StateRef, StateSpec, Unhandled
from septum._transitions import StateContinuation, StateRenewal, StateTransition, TransitionType

MARKERS = [Again, Unhandled, Retry, Repeat, Restart, Pop]


class E(Enum):
    """Labels."""

    GO = "go"


def spec(name: str) -> StateSpec:
    """Return a state of that name that nobody registered."""
    return StateSpec(name=name, qualname=name.rpartition(".")[2], on_state=print)


@pytest.mark.parametrize("marker", MARKERS)
def test_marker_is_the_same_as_class_and_as_instance(marker: Any) -> None:
    """A marker and its instance are equal both ways round, with one hash, whatever AWAITS says."""
    assert marker() == marker
    assert marker == marker()
    assert marker() == marker(AWAITS=True)
    assert {hash(marker), hash(marker()), hash(marker(AWAITS=True))} == {hash(marker)}
    assert ({marker: 1}[marker()], {marker(): 2}[marker]) == (1, 2)


@pytest.mark.parametrize("marker", MARKERS)
def test_marker_differs_from_every_other(marker: Any) -> None:
    """Neither another marker nor anything else is equal to it."""
    others = [other for other in MARKERS if other is not marker]
    assert [other for other in [*others, *[other() for other in others], None, marker.__name__, object] if marker() == other] == []


def test_marker_names_itself_and_its_kind() -> None:
    """`name` is the marker's own, `base_name` that of its kind, as they always were."""
    assert [(marker().name, marker().base_name) for marker in MARKERS] == [
        ("Again", "StateContinuation"),
        ("Unhandled", "StateContinuation"),
        ("Retry", "StateContinuation"),
        ("Repeat", "StateRenewal"),
        ("Restart", "StateRenewal"),
        ("Pop", "StateTransition"),
    ]
    assert [kind.__mro__[1] for kind in (StateTransition, StateContinuation, StateRenewal)] == [TransitionType] * 3


def test_marker_tells_whether_it_awaits() -> None:
    """Unhandled and Restart say so on the class and on the instance, the others do not."""
    assert [marker for marker in MARKERS if marker.AWAITS] == [Unhandled, Restart]
    assert [marker for marker in MARKERS if marker().AWAITS] == [Unhandled, Restart]


@pytest.mark.parametrize("value", [Again(), Unhandled(), StateRef("m.A"), Push("m.A"), LabeledTransition(E.GO, Pop)], ids=repr)
def test_value_cannot_be_changed(value: Any) -> None:
    """Setting one of its fields is refused."""
    field = next(name for name in ("AWAITS", "label") if hasattr(value, name))
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, True)


@pytest.mark.parametrize(
    "value",
    [*MARKERS, *[marker() for marker in MARKERS], StateRef("m.A"), Push("m.A", StateRef("m.B")), LabeledTransition(E.GO, None)],
    ids=repr,
)
def test_value_survives_pickling_and_copying(value: Any) -> None:
    """What comes back is equal and has the same hash."""
    for back in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert (back, hash(back)) == (value, hash(value))


def test_state_ref_is_equal_by_the_name_it_holds() -> None:
    """Two references to one name are equal; a reference is neither the name nor the state."""
    assert StateRef("m.A") == StateRef(state="m.A")
    assert hash(StateRef("m.A")) == hash(StateRef("m.A"))
    assert [other for other in (StateRef("m.B"), "m.A", spec("m.A"), StateRef) if StateRef("m.A") == other] == []
    assert (repr(StateRef("m.A")), StateRef("m.A").state, StateRef("m.A").name) == ("StateRef('m.A')", "m.A", "StateRef")


def test_push_is_equal_by_the_states_it_names() -> None:
    """It does not matter whether a state, its reference or its name stands there; their order does."""
    A, B = spec("m.A"), spec("m.B")
    same = [Push(A, B), Push(StateRef("m.A"), B), Push("m.A", StateRef("m.B"))]
    assert [push == same[0] for push in same] == [True] * 3
    assert {hash(push) for push in same} == {hash(same[0])}
    assert [other for other in (Push(B, A), Push(A), Push(), Push, A, (A, B)) if Push(A, B) == other] == []


def test_push_keeps_its_states_in_order() -> None:
    """The list that it gives is the caller's own: changing it leaves the push as it was."""
    push = Push("m.A", StateRef("m.B"))
    push.push_states.clear()
    assert push.push_states == ["m.A", StateRef("m.B")]
    assert repr(push) == "Push('m.A', StateRef('m.B'))"


def test_labeled_transition_is_equal_by_label_and_target() -> None:
    """A marker as class and as instance make equal edges."""
    assert LabeledTransition(E.GO, Retry) == LabeledTransition(label=E.GO, transition=Retry())
    assert hash(LabeledTransition(E.GO, Retry)) == hash(LabeledTransition(E.GO, Retry()))
    assert LabeledTransition(E.GO, Retry) != LabeledTransition(E.GO, Pop)
