"""OTLP as JSON, decoded by msgspec into just the fields that are looked at: half the time of reading all of it. Needs the extra `replay`.

What does not fit, because it is of another format, older, newer or hostile, is left to `_otlp`, which says what is wrong with it.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Struct

from septum.replay._otlp import SPAN_ID, TRACE_ID, hexadecimal
from septum.replay._signals import DEEPEST, SEPTUM, Event, Span

if TYPE_CHECKING:
    from collections.abc import Iterator


# Numbers are text in OTLP as JSON, since not every JSON reader has 64 bits; a decoder that is not strict takes them so.
_Whole = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


# No cycles can be in what is parsed, so the collector of them need not look at it.
class _Value(Struct, gc=False, forbid_unknown_fields=True):
    stringValue: str | None = None  # noqa: N815 - OTLP's names
    intValue: _Whole | None = None  # noqa: N815 - as above
    doubleValue: float | str | None = None  # noqa: N815 - as above
    boolValue: bool | None = None  # noqa: N815 - as above
    arrayValue: _Values | None = None  # noqa: N815 - as above
    kvlistValue: _Pairs | None = None  # noqa: N815 - as above
    bytesValue: str | None = None  # noqa: N815 - as above


class _Values(Struct, gc=False, forbid_unknown_fields=True):
    values: list[_Value] = []


class _Pair(Struct, gc=False):
    key: str
    value: _Value


class _Pairs(Struct, gc=False, forbid_unknown_fields=True):
    values: list[_Pair] = []


class _Span(Struct, gc=False):
    traceId: str  # noqa: N815 - OTLP's names
    spanId: str  # noqa: N815 - as above
    startTimeUnixNano: _Whole  # noqa: N815 - as above
    endTimeUnixNano: _Whole | None = None  # noqa: N815 - as above
    attributes: list[_Pair] = []


class _Log(Struct, gc=False):
    timeUnixNano: _Whole | None = None  # noqa: N815 - OTLP's names
    observedTimeUnixNano: _Whole | None = None  # noqa: N815 - as above
    eventName: str | None = None  # noqa: N815 - as above
    body: _Value | None = None
    attributes: list[_Pair] = []


class _Scope(Struct, gc=False):
    name: str = ""


class _ScopeSpans(Struct, gc=False, forbid_unknown_fields=True):
    spans: list[_Span] = []
    scope: _Scope | None = None
    schemaUrl: str = ""  # noqa: N815 - OTLP's names


class _ScopeLogs(Struct, gc=False, forbid_unknown_fields=True):
    logRecords: list[_Log] = []  # noqa: N815 - OTLP's names
    scope: _Scope | None = None
    schemaUrl: str = ""  # noqa: N815 - as above


class _ResourceSpans(Struct, gc=False, forbid_unknown_fields=True):
    scopeSpans: list[_ScopeSpans] = []  # noqa: N815 - OTLP's names
    resource: msgspec.Raw = msgspec.Raw()
    schemaUrl: str = ""  # noqa: N815 - as above


class _ResourceLogs(Struct, gc=False, forbid_unknown_fields=True):
    scopeLogs: list[_ScopeLogs] = []  # noqa: N815 - OTLP's names
    resource: msgspec.Raw = msgspec.Raw()
    schemaUrl: str = ""  # noqa: N815 - as above


# Whatever OTLP is wrapped in: by Jaeger, and by Tempo in two versions.
class _Document(Struct, gc=False, forbid_unknown_fields=True):
    resourceSpans: list[_ResourceSpans] = []  # noqa: N815 - OTLP's names
    resourceLogs: list[_ResourceLogs] = []  # noqa: N815 - as above
    batches: list[_ResourceSpans] = []
    result: _Document | None = None
    trace: _Document | None = None
    metrics: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Document, strict=False).decode
_parse = msgspec.json.Decoder().decode


def parse(data: bytes) -> object:
    """Return what a JSON text says.

    Raises:
        ValueError, RecursionError: It is none, or one that the standard library must look at.
    """
    return _parse(data)


def read(data: bytes) -> Iterator[Span | Event] | None:
    """Return Septum's spans and events in a JSON text; None if it is not just what OTLP of today is.

    Raises:
        ValueError: While they are gone through: something in it is not what it must be.
    """
    try:
        document = _decode(data)
    except (ValueError, RecursionError):
        return None
    return _signals(document)


def _signals(document: _Document) -> Iterator[Span | Event]:
    for inner in (document.result, document.trace):
        if inner is not None:
            yield from _signals(inner)
    for resource in (*document.resourceSpans, *document.batches):
        for scope in resource.scopeSpans:
            if scope.scope is not None and scope.scope.name and not scope.scope.name.startswith(SEPTUM):
                continue
            for span in scope.spans:
                trace_id, span_id = span.traceId, span.spanId
                if len(trace_id) != TRACE_ID or len(span_id) != SPAN_ID:
                    trace_id, span_id = hexadecimal(trace_id, TRACE_ID), hexadecimal(span_id, SPAN_ID)
                start = span.startTimeUnixNano
                yield Span(trace_id, span_id, start, span.endTimeUnixNano or start, _attributes(span.attributes))
    for of_logs in document.resourceLogs:
        for logs in of_logs.scopeLogs:
            if logs.scope is not None and logs.scope.name and not logs.scope.name.startswith(SEPTUM):
                continue
            for log in logs.logRecords:
                attributes = _attributes(log.attributes)
                name = log.eventName or attributes.get("event.name")
                if isinstance(name, str) and name.startswith(SEPTUM):
                    time = log.timeUnixNano or log.observedTimeUnixNano or 0
                    yield Event(name, time, attributes, None if log.body is None else _plain(log.body))


def _attributes(pairs: list[_Pair]) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in pairs:
        value = pair.value
        text = value.stringValue
        if text is not None:
            found[pair.key] = text
        elif (whole := value.intValue) is not None:
            found[pair.key] = whole
        else:
            found[pair.key] = _plain(value)
    return found


def _plain(value: _Value, depth: int = 0) -> object:
    if depth > DEEPEST:
        raise ValueError("a value is nested too deeply")
    if value.stringValue is not None:
        return value.stringValue
    if value.intValue is not None:
        return value.intValue
    if value.doubleValue is not None:
        return float(value.doubleValue)
    if value.boolValue is not None:
        return value.boolValue
    if value.arrayValue is not None:
        return tuple(_plain(each, depth + 1) for each in value.arrayValue.values)
    if value.kvlistValue is not None:
        return {pair.key: _plain(pair.value, depth + 1) for pair in value.kvlistValue.values}
    return None if value.bytesValue is None else base64.b64decode(value.bytesValue, validate=True)
