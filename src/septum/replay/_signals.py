"""What every format comes down to: spans and events, with plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEEPEST: Final = 64
"""How deep a value of an attribute or a body may be nested."""

_LONGEST: Final = 20  # digits of 64 bits, with a sign

SEPTUM: Final = "septum"
"""What the name of each of our scopes begins with."""


build: Final[Callable[[type[Any], tuple[Any, ...]], Any]] = cast("Any", tuple).__new__
"""Make a named tuple from the whole tuple, in half the time that calling its class takes."""


class Span(NamedTuple):
    """A span of Septum's, as every format has it.

    Attributes:
        trace_id, span_id: In hexadecimal digits.
        start, end: Unix nanoseconds; Jaeger's own format rounds down to microseconds.
        attributes: By name; lists as tuples.
    """

    trace_id: str
    span_id: str
    start: int
    end: int
    attributes: Mapping[str, object]


class Event(NamedTuple):
    """A log record of Septum's that has an event name.

    Attributes:
        name: The event's name.
        time: Unix nanoseconds.
        attributes: By name.
        body: A plain value; None if it has none.
    """

    name: str
    time: int
    attributes: Mapping[str, object]
    body: object


def number(value: object, what: str) -> int:
    """Return a whole number of at most 64 bits.

    Raises:
        TypeError: It is none.
        ValueError: It is larger, or text that is no number.
    """
    # Numbers are text in OTLP as JSON, since not every JSON reader has 64 bits. A longer text is not even looked at.
    if type(value) is str and len(value) <= _LONGEST:
        value = int(value)
    if type(value) is not int:
        raise TypeError(f"{what} is {shown(value)}, no whole number")
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"{what} is a number of more than 64 bits")
    return value


def mapping(value: object, what: str) -> Mapping[str, object]:
    """Return *value* if it is a JSON object.

    Raises:
        TypeError: It is none.
    """
    if type(value) is not dict:
        raise TypeError(f"{what} is {shown(value)}, no object")
    return value  # pyright: ignore[reportUnknownVariableType] - JSON's keys are text


def listed(value: object, what: str) -> list[object]:
    """Return *value* if it is a JSON array; an empty one for None, since OTLP leaves out what is empty.

    Raises:
        TypeError: It is none.
    """
    if value is None:
        return []
    if type(value) is not list:
        raise TypeError(f"{what} is {shown(value)}, no array")
    return value  # pyright: ignore[reportUnknownVariableType] - of anything


def shown(value: object) -> str:
    """Return a short form of *value* for an error."""
    text = f"{value:.40}" if isinstance(value, str) else repr(value) if isinstance(value, int | float | None) else ""
    return f"{text[:40]!r}" if isinstance(value, str) else text[:40] or f"a value of type {type(value).__name__}"
