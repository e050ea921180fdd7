"""What a message is to the mailbox: how urgent, and what travels beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Priority(IntEnum):
    """What is taken first; upstream's numbers (`StateMachine.MessagePriorities`)."""

    ERROR = 0
    INTERNAL_MESSAGE = 1
    MESSAGE = 2


@dataclass
class SeptumInternalMessage:
    """The root of messages that go before all others but exceptions; subclass it for messages of your own that must not queue up."""


@dataclass
class TimeoutMessage(SeptumInternalMessage):
    """What upstream sends when a deadline passes; kept for programs that name it, the engine's deadlines are no messages."""

    state_name: str
    timeout_id: int
    timeout_duration: float


@dataclass(order=True)
class PrioritizedMessage:
    """A message with its priority, ordered by priority alone; kept for programs that name it."""

    priority: int
    item: Any = field(compare=False)


class Envelope:
    """A message with what travels beside it; made only when there is something to say."""

    __slots__ = ("at", "headers", "message", "number")

    def __init__(self, message: object, headers: Mapping[str, str] | None, at: float | None, number: int) -> None:
        self.message = message
        self.headers = headers
        self.at = at
        self.number = number


# Types whose objects are plain messages, learned as they are sent: one look here is quicker than asking what a message is.
PLAIN: Final[set[type]] = set()
_MOST_PLAIN: Final = 1000


def priority_of(message: object) -> Priority:
    """Return how urgent *message* is."""
    if isinstance(message, SeptumInternalMessage):
        return Priority.INTERNAL_MESSAGE
    if isinstance(message, Exception):
        return Priority.ERROR
    if len(PLAIN) > _MOST_PLAIN:
        # A program that makes classes as it goes must not fill our memory with them.
        PLAIN.clear()
    PLAIN.add(message.__class__)
    return Priority.MESSAGE
