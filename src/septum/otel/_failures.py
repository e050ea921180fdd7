"""How exceptions are named in telemetry: the value of `error.type`, bounded where it stands on a metric, and the status of a span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.trace import StatusCode

from septum import BlockedInUntimedState, MailboxFull, RetriesExhausted, UnhandledTimeout, UnknownTransition, semconv

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_OWN: Final[dict[type[BaseException], str]] = {
    UnhandledTimeout: semconv.ErrorType.TIMEOUT,
    RetriesExhausted: semconv.ErrorType.RETRIES_EXHAUSTED,
    BlockedInUntimedState: semconv.ErrorType.BLOCKED_IN_UNTIMED_STATE,
    UnknownTransition: semconv.ErrorType.UNKNOWN_TRANSITION,
    MailboxFull: semconv.ErrorType.MAILBOX_FULL,
}

MOST_VALUES: Final = 256
"""Different values of one attribute on metrics; later ones become `_OTHER`, so that no program can make series without end."""


def error_type(exception: BaseException) -> str:
    """Return the value of `error.type` for *exception*: Septum's own word for it, else its qualified class name."""
    kind = type(exception)
    known = _OWN.get(kind)
    if known is not None:
        return known
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def message(exception: BaseException) -> str:
    """Return the text of *exception*, or its class name if making the text fails."""
    try:
        return str(exception)
    except Exception:  # noqa: BLE001 - it is the user's own __str__, and the span must end all the same
        return type(exception).__qualname__


def fail(span: Span, exception: BaseException | None) -> None:
    """Mark *span* as failed by *exception*."""
    if exception is None:
        span.set_status(StatusCode.ERROR)
        return
    span.set_attribute(semconv.ERROR_TYPE, error_type(exception))
    span.set_status(StatusCode.ERROR, message(exception))


class Bounded:
    """Lets the first 256 values of an attribute through."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return *value*, or `_OTHER` if there were too many before it."""
        if value in self._seen:
            return value
        if len(self._seen) >= MOST_VALUES:
            return semconv.OTHER
        self._seen.add(value)
        return value
