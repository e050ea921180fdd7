"""Trace context as text, for messages that leave the process or come into it.

    queue.send(body, headers=propagation.inject())                     # here
    fsm.send_message(body, headers=received.headers)                   # there: the machine links to the sender by itself

Inside one process none of this is needed: a message carries its sender's context anyway. How the text looks is decided by OpenTelemetry's
global propagator (`OTEL_PROPAGATORS`); by default it is W3C Trace Context (`traceparent`, `tracestate`) and W3C Baggage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap
from opentelemetry.propagators.textmap import Getter, TextMapPropagator, default_setter
from opentelemetry.trace import get_current_span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

__all__ = ["extract", "inject", "sender_context"]


class _Headers(Getter["Mapping[str, str]"]):
    """Reads headers whatever their case is; what is no text counts as absent."""

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        """Return the values under *key*; None if there is none."""
        key = key.lower()
        found = [value for name, value in _texts(carrier) if name.lower() == key]
        return found or None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        """Return the names of all headers."""
        return [name for name, _ in _texts(carrier)]


def _texts(headers: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the headers that are what their type says: brokers deliver bytes, and worse."""
    return [(name, value) for name, value in headers.items() if isinstance(name, str) and isinstance(value, str)]


_HEADERS = _Headers()
_fields: tuple[TextMapPropagator | None, frozenset[str]] = (None, frozenset())


def inject(headers: Mapping[str, str] | None = None, context: Context | None = None) -> dict[str, str]:
    """Return *headers* together with those that describe the current span.

    Args:
        headers: Others to send along; never changed. A trace context among them, say of a message that is passed on, is replaced.
        context: Whose span and baggage to describe; None means the current context.

    Returns:
        A new dict; a copy of *headers* if there is nothing to describe.
    """
    carrier: dict[str, str] = {}
    get_global_textmap().inject(carrier, context, default_setter)
    if not headers:
        return carrier
    replaced = {name.lower() for name in carrier}
    if "traceparent" in replaced:
        replaced.add("tracestate")  # It belongs to the traceparent that it came with.
    return {name: value for name, value in headers.items() if name.lower() not in replaced} | carrier


def extract(headers: Mapping[str, str] | None) -> Context:
    """Return a context with what *headers* say of their sender, and nothing else.

    Args:
        headers: Names in any case; malformed values, and values that are not text, are ignored.
    """
    return get_global_textmap().extract(headers or {}, Context(), getter=_HEADERS)


def sender_context(headers: Mapping[str, str] | None) -> SpanContext | None:
    """Return the span of whoever sent a message with these *headers*; None if they do not say, or not in a form that can be read.

    Never raises, whatever the headers are.
    """
    if not headers:
        return None
    try:
        fields = _names()
        if not any(isinstance(name, str) and name.lower() in fields for name in headers):
            return None
        found = get_current_span(extract(headers)).get_span_context()
    except Exception:  # noqa: BLE001 - headers come from outside, propagators from anyone, and a message must not fail for either
        return None
    return found if found.is_valid else None


def _names() -> frozenset[str]:
    """Return the headers that the global propagator reads; asking it costs more than the answer is worth for each message."""
    global _fields  # noqa: PLW0603 - a cache of one, which holds its key
    propagator, names = _fields
    current = get_global_textmap()
    if propagator is not current:
        names = frozenset(name.lower() for name in current.fields)
        _fields = (current, names)
    return names
