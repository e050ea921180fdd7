"""OTLP as JSON: what the collector's file exporter and Septum write, and what Jaeger (v3) and Tempo (v1, v2) answer.

Ids are hexadecimal there, save in older answers of Tempo and Jaeger, where they are base64 as in all other protobuf JSON: their length
tells which.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final, cast

from septum.replay._signals import DEEPEST, SEPTUM, Event, Span, listed, mapping, number, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TRACE_ID: Final = 32
SPAN_ID: Final = 16
"""Hexadecimal digits of an id."""

# Where the resources stand: OTLP, Tempo v1.
_RESOURCES: Final = ("resourceSpans", "batches", "resourceLogs", "resource_spans", "resource_logs")
# Their scopes: OTLP, OTLP before 0.15.
_SCOPES: Final = ("scopeSpans", "scopeLogs", "instrumentationLibrarySpans", "instrumentationLibraryLogs", "scope_spans", "scope_logs")
# What wraps the whole: Jaeger v3, Tempo v2.
_WRAPPERS: Final = ("result", "trace")
_LOGS: Final = ("logRecords", "logs", "log_records")


def is_otlp(content: Mapping[str, object]) -> bool:
    """Say whether a JSON object is OTLP, wrapped or not; metrics are, and hold nothing for us."""
    keys = content.keys()
    return not keys.isdisjoint((*_RESOURCES, *_WRAPPERS, "resourceMetrics"))


def read(content: Mapping[str, object]) -> Iterator[Span | Event]:
    """Yield Septum's spans and events in a JSON object.

    Raises:
        TypeError, ValueError, KeyError: Something in it is not what it must be.
    """
    for scope in _scopes(content):
        found = scope.get("scope") or scope.get("instrumentationLibrary")
        name = mapping(found, "scope").get("name") if found else None
        # Where the name was lost on the way, attributes tell.
        if isinstance(name, str) and name and not name.startswith(SEPTUM):
            continue
        for entry in listed(scope.get("spans"), "spans"):
            span = mapping(entry, "span")
            start = number(span["startTimeUnixNano"], "startTimeUnixNano")
            # One that was exported before its end has none.
            end = number(span.get("endTimeUnixNano") or start, "endTimeUnixNano")
            trace_id, span_id = span["traceId"], span["spanId"]
            if type(trace_id) is not str or len(trace_id) != TRACE_ID or type(span_id) is not str or len(span_id) != SPAN_ID:
                trace_id, span_id = hexadecimal(trace_id, TRACE_ID), hexadecimal(span_id, SPAN_ID)
            yield Span(trace_id, span_id, start, end, read_attributes(span.get("attributes")))
        for key in _LOGS:
            for entry in listed(scope.get(key), key):
                yield from _read_log(mapping(entry, "log record"))


def _scopes(content: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    for inner in (content, *(mapping(content[wrapper], wrapper) for wrapper in _WRAPPERS if wrapper in content)):
        for key in _RESOURCES:
            for entry in listed(inner.get(key), key):
                resource = mapping(entry, key)
                for scopes in _SCOPES:
                    for scope in listed(resource.get(scopes), scopes):
                        yield mapping(scope, scopes)


def _read_log(log: Mapping[str, object]) -> Iterator[Event]:
    attributes = read_attributes(log.get("attributes"))
    name = log.get("eventName") or log.get("event_name") or attributes.get("event.name")
    if isinstance(name, str) and name.startswith(SEPTUM):
        time = log.get("timeUnixNano") or log.get("observedTimeUnixNano") or 0
        body = log.get("body")
        yield Event(name, number(time, "timeUnixNano"), attributes, None if body is None else read_value(body))


def hexadecimal(found: object, digits: int) -> str:
    """Return an id that may be base64, in *digits* hexadecimal digits.

    Raises:
        TypeError, ValueError: It is none.
    """
    if type(found) is not str:
        raise TypeError(f"an id is {shown(found)}, no text")
    if len(found) == digits:
        return found
    if len(found) != (digits // 2 + 2) // 3 * 4:
        raise ValueError(f"an id has {len(found)} characters; it takes {digits} hexadecimal digits")
    return binascii.a2b_base64(found, strict_mode=True).hex()


def read_attributes(pairs: object) -> dict[str, object]:
    """Return a list of OTLP's key-value pairs as a dict.

    Raises:
        TypeError, ValueError, KeyError: It is none.
    """
    found: dict[str, object] = {}
    # Not checked but used, as this is done a dozen times a span: what is no pair raises here as well.
    for pair in cast("list[dict[str, Any]]", listed(pairs, "attributes")):
        held = pair["value"]
        text = held.get("stringValue")
        found[pair["key"]] = text if type(text) is str else read_value(held)
    return found


def read_value(held: object, depth: int = 0) -> object:
    """Return the plain value of one of OTLP's AnyValues; lists are tuples.

    Raises:
        TypeError, ValueError, KeyError: It is none, or is nested too deeply.
    """
    if depth > DEEPEST:
        raise ValueError("a value is nested too deeply")
    for kind, value in mapping(held, "a value").items():
        match kind:
            case "stringValue":
                if type(value) is not str:
                    raise TypeError(f"a text is {shown(value)}")
                return value
            case "boolValue":
                if type(value) is not bool:
                    raise TypeError(f"a truth value is {shown(value)}")
                return value
            case "intValue":
                return number(value, "a whole number")
            case "doubleValue":
                return float(value)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - NaN and infinity are text
            case "arrayValue":
                return tuple(read_value(each, depth + 1) for each in listed(mapping(value, kind).get("values"), "values"))
            case "kvlistValue":
                pairs = [mapping(pair, "pair") for pair in listed(mapping(value, kind).get("values"), "values")]
                return {str(pair["key"]): read_value(pair["value"], depth + 1) for pair in pairs}
            case "bytesValue":
                return base64.b64decode(value, validate=True)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - checked
            case _:
                raise ValueError(f"a value has the kind {kind[:40]!r}, which OTLP does not know")
    return None
