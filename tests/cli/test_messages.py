"""What a typed line means as a message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from types import ModuleType

import pytest

pytest.importorskip("click")

from septum import StateSpec
from septum.cli._messages import NoMessageError, Vocabulary


class Order(Enum):
    """Messages."""

    OPEN = auto()
    SHUT = auto()


class Signal(Enum):
    """Other messages, one of which has the name of an order."""

    SHUT = auto()
    HUP = auto()


class Events(Enum):
    """Labels of a state."""

    GONE = auto()


@dataclass(frozen=True)
class Parcel:
    """A message with content."""

    id: int
    to: str = "me"


@pytest.fixture
def vocabulary() -> Vocabulary:
    """Return the vocabulary of two modules."""
    first, second = ModuleType("first"), ModuleType("second")
    vars(first).update(Order=Order, Parcel=Parcel, Idle=StateSpec(name="Idle", Events=Events), number=7, Alias=Order)
    vars(second).update(Signal=Signal, Order=None)
    return Vocabulary([first, second])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("OPEN", Order.OPEN),
        ("  OPEN \n", Order.OPEN),
        ("Order.SHUT", Order.SHUT),
        ("HUP", Signal.HUP),
        ("Signal.SHUT", Signal.SHUT),
        ("Idle.Events.GONE", Events.GONE),
        ('Parcel {"id": 7}', Parcel(7)),
        ('Parcel   {"id": 7, "to": "you"}', Parcel(7, "you")),
        ('{"id": 7}', {"id": 7}),
        ("[1, 2]", [1, 2]),
        ("3.5", 3.5),
        ("true", True),
        ('"OPEN"', "OPEN"),
        ("open", "open"),
        ("Parcel", "Parcel"),
        ("number", "number"),
        ("number.real", "number.real"),
        ("Order.GONE", "Order.GONE"),
        ("hello, you there", "hello, you there"),
        ("Nobody {1}", "Nobody {1}"),
    ],
)
def test_a_line_means_a_message(vocabulary: Vocabulary, line: str, message: object) -> None:
    """A member of an Enum, an object of a class, what JSON knows, or a text."""
    read = vocabulary.read(line)
    assert (type(read), read) == (type(message), message)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("SHUT", "SHUT is a member of Order and of Signal: say which."),
        ("null", 'null is no message. For the text write "null".'),
        ('{"id":', "This begins like JSON and is none: Expecting value: line 1 column 7 (char 6)."),
        ('Parcel {"no": 1}', r"Parcel cannot be made of this: TypeError: .*unexpected keyword argument 'no'"),
        ("Parcel {7}", "This begins like JSON and is none: "),
    ],
)
def test_what_means_no_message_is_explained(vocabulary: Vocabulary, line: str, said: str) -> None:
    """Nothing is sent in its place."""
    with pytest.raises(NoMessageError, match=f"^{said if '.*' in said else re.escape(said)}"):
        vocabulary.read(line)


def test_words_are_what_can_be_typed_without_doubt(vocabulary: Vocabulary) -> None:
    """A member that two Enums have is offered with its class; labels of states are answers, not messages."""
    assert vocabulary.list_words() == ["HUP", "OPEN", "Order.SHUT", "Signal.SHUT"]
