"""OTLP and Jaeger's JSON, decoded by msgspec into just the fields that are looked at: half the time of reading all of it.

What does not fit, because it is of another format, older, newer or hostile, is left to `_otlp` and `_jaeger`, which say what is wrong with
it. A large document is not decoded at once, but span by span: what is in the processor's cache is read twice as fast, and never is all of
it in memory as objects. Needs the extra `replay`.
"""

from __future__ import annotations

import base64
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

from septum.replay import _jaeger, _otlp
from septum.replay._batch import Table
from septum.replay._otlp import SPAN_ID, TRACE_ID, hexadecimal
from septum.replay._signals import DEEPEST, SEPTUM, Event, Span, build, mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Slowly: TypeAlias = Callable[[], object]
    """Returns what the standard library reads, or raises what it has to say."""

LARGE: Final = 1 << 20
"""Bytes of a document from which on it is decoded span by span."""

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


S = TypeVar("S", _Span, Raw)


class _ScopeSpans(Struct, Generic[S], gc=False, forbid_unknown_fields=True):
    spans: list[S] = []
    scope: _Scope | None = None
    schemaUrl: str = ""  # noqa: N815 - OTLP's names


class _ScopeLogs(Struct, gc=False, forbid_unknown_fields=True):
    logRecords: list[_Log] = []  # noqa: N815 - OTLP's names
    scope: _Scope | None = None
    schemaUrl: str = ""  # noqa: N815 - as above


class _ResourceSpans(Struct, Generic[S], gc=False, forbid_unknown_fields=True):
    scopeSpans: list[_ScopeSpans[S]] = []  # noqa: N815 - OTLP's names
    resource: Raw = Raw()
    schemaUrl: str = ""  # noqa: N815 - as above


class _ResourceLogs(Struct, gc=False, forbid_unknown_fields=True):
    scopeLogs: list[_ScopeLogs] = []  # noqa: N815 - OTLP's names
    resource: Raw = Raw()
    schemaUrl: str = ""  # noqa: N815 - as above


# Whatever OTLP is wrapped in: by Jaeger, and by Tempo in two versions.
class _Document(Struct, Generic[S], gc=False, forbid_unknown_fields=True):
    resourceSpans: list[_ResourceSpans[S]] = []  # noqa: N815 - OTLP's names
    resourceLogs: list[_ResourceLogs] = []  # noqa: N815 - as above
    batches: list[_ResourceSpans[S]] = []
    result: _Document[S] | None = None
    trace: _Document[S] | None = None
    metrics: Raw = Raw()


class _Tag(Struct, gc=False):
    key: str
    value: str | int | float | bool | None
    type: str = ""


class _JaegerSpan(Struct, gc=False):
    traceID: str  # noqa: N815 - Jaeger's names
    spanID: str  # noqa: N815 - as above
    startTime: _Whole  # noqa: N815 - as above
    duration: _Whole
    tags: list[_Tag] = []


class _Trace(Struct, gc=False):
    spans: list[Raw] = []


class _Jaeger(Struct, gc=False):
    data: list[_Trace] | None = None
    spans: list[Raw] | None = None
    traceID: Raw | None = None  # noqa: N815 - Jaeger's names


_decode = msgspec.json.Decoder(_Document[_Span], strict=False).decode
_decode_large = msgspec.json.Decoder(_Document[Raw], strict=False).decode
_decode_span = msgspec.json.Decoder(_Span, strict=False).decode
_decode_jaeger = msgspec.json.Decoder(_Jaeger).decode
_decode_jaeger_span = msgspec.json.Decoder(_JaegerSpan).decode
_decode_table = msgspec.json.Decoder(Table).decode
_parse = msgspec.json.Decoder().decode


def read_table(text: str) -> Table | None:
    """Return the table of a batch; None if *text* is not just that."""
    try:
        return _decode_table(text)
    except (ValueError, RecursionError):
        return None


def parse(data: bytes | str) -> object:
    """Return what a JSON text says.

    Raises:
        ValueError, RecursionError: It is none, or one that the standard library must look at.
    """
    return _parse(data)


def read(data: bytes, slowly: Slowly) -> Iterator[Span | Event] | None:
    """Return Septum's spans and events in a JSON text; None if it is not just what OTLP or Jaeger's format of today is.

    Args:
        data: The text.
        slowly: For the rest of a large document of which a part is not.

    Raises:
        ValueError: While they are gone through: something in it is not what it must be; besides, all that *slowly* raises.
    """
    try:
        if len(data) >= LARGE:
            return _or_else(_read_otlp(_decode_large(data)), slowly, _otlp.read)
        return _read_otlp(_decode(data))
    except (ValueError, RecursionError):
        pass
    try:
        document = _decode_jaeger(data)
    except (ValueError, RecursionError):
        return None
    traces = document.data
    if document.spans is not None:
        traces = [_Trace(document.spans)] if traces is not None or document.traceID is not None else None
    return None if traces is None else _or_else(_read_jaeger(traces), slowly, _jaeger.read)


def _or_else(found: Iterator[Span | Event], slowly: Slowly, read: Callable[..., Iterator[Span | Event]]) -> Iterator[Span | Event]:
    """Yield what is found, and from where that fails on what the standard library finds."""
    count = 0
    try:
        for signal in found:
            yield signal
            count += 1
    except (ValueError, RecursionError):
        yield from islice(read(mapping(slowly(), "a document")), count, None)


def _read_otlp(document: _Document[_Span] | _Document[Raw]) -> Iterator[Span | Event]:
    for inner in (document.result, document.trace):
        if inner is not None:
            yield from _read_otlp(inner)
    for resource in (*document.resourceSpans, *document.batches):
        for scope in resource.scopeSpans:
            if scope.scope is not None and scope.scope.name and not scope.scope.name.startswith(SEPTUM):
                continue
            for each in scope.spans:
                span = each if isinstance(each, _Span) else _decode_span(each)
                trace_id, span_id = span.traceId, span.spanId
                if len(trace_id) != TRACE_ID or len(span_id) != SPAN_ID:
                    trace_id, span_id = hexadecimal(trace_id, TRACE_ID), hexadecimal(span_id, SPAN_ID)
                start = span.startTimeUnixNano
                yield build(Span, (trace_id, span_id, start, span.endTimeUnixNano or start, _attributes(span.attributes)))
    for of_logs in document.resourceLogs:
        for logs in of_logs.scopeLogs:
            if logs.scope is not None and logs.scope.name and not logs.scope.name.startswith(SEPTUM):
                continue
            for log in logs.logRecords:
                attributes = _attributes(log.attributes)
                name = log.eventName or attributes.get("event.name")
                if isinstance(name, str) and name.startswith(SEPTUM):
                    time = log.timeUnixNano or log.observedTimeUnixNano or 0
                    yield build(Event, (name, time, attributes, None if log.body is None else _plain(log.body)))


def _read_jaeger(traces: list[_Trace]) -> Iterator[Span]:
    for trace in traces:
        for each in trace.spans:
            span = _decode_jaeger_span(each)
            attributes: dict[str, object] = {}
            for tag in span.tags:
                value = tag.value
                if "[" in value if type(value) is str else tag.type == "float64":
                    attributes[tag.key] = _jaeger.read_value(tag.key, tag.type, value)
                else:
                    attributes[tag.key] = value
            if _jaeger.is_septums(attributes):
                start = span.startTime * 1000
                ids = span.traceID.rjust(TRACE_ID, "0"), span.spanID.rjust(SPAN_ID, "0")
                yield build(Span, (*ids, start, start + span.duration * 1000, attributes))


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
