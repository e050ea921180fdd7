"""What is kept of a fact until it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from septum import facts


class Note(NamedTuple):
    """What is kept of one fact: redacted, and nothing of the user's but text. Its first fields are those of `facts.Passed`.

    Attributes:
        origin: Which run.
        seq, visit, at, wall: As in the fact.
        event, attributes, text, context: As in `Item`.
    """

    origin: facts.Origin
    seq: int
    visit: int
    at: float
    wall: int
    event: str
    attributes: Mapping[str, object]
    text: str | None = None
    context: object = None


Entry: TypeAlias = "Note | facts.Passed"
"""A fact, or a step along a plain edge."""

# Unbound methods of tuple have types that a strict checker knows only in part.
_tuple: Any = tuple
make_note: Final[Callable[[type[Note], tuple[Any, ...]], Note]] = _tuple.__new__
"""Make a Note of all its fields, in half the time that its own constructor takes."""


def run_of(entry: Entry) -> str:
    """Return the id of the run that *entry* is of."""
    return entry[0][2]


def size_of(entry: Entry) -> int:
    """Return how many records *entry* becomes."""
    return 1 if isinstance(entry, Note) else 2
