"""Spans in every form that is read: what the collector, Jaeger and Tempo make of OTLP, made here from OTLP's own messages."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import zstandard
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as encode_protobuf

from septum.replay import _documents, _recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Document = dict[str, Any]
BATCH = 7


@contextmanager
def standard_library_only() -> Iterator[None]:
    """Read as without the extra `replay`."""
    before = _documents._quick, _recorded._quick
    _documents._quick = _recorded._quick = None  # type: ignore[assignment]
    try:
        yield
    finally:
        _documents._quick, _recorded._quick = before


def batches(spans: Sequence[Any]) -> list[Sequence[Any]]:
    """Return *spans* in batches, as an exporter sends them."""
    return [spans[place : place + BATCH] for place in range(0, len(spans), BATCH)]


def document(spans: Sequence[Any]) -> Document:
    """Return OTLP as JSON has it."""
    found: Document = encode_spans(spans).to_dict()
    return found


def text(content: object, **options: Any) -> bytes:
    """Return JSON."""
    return json.dumps(content, **options).encode()


def json_lines(spans: Sequence[Any]) -> bytes:
    """What the collector's file exporter and OpenTelemetry's own write."""
    return b"".join(text(document(batch), separators=(",", ":")) + b"\n" for batch in batches(spans))


def json_lines_of_the_collector(spans: Sequence[Any]) -> bytes:
    """The same with what the collector adds and leaves out: kinds by name, no empty lists, a schema, numbers as numbers."""
    lines = []
    for batch in batches(spans):
        content = document(batch)
        for resource in content["resourceSpans"]:
            resource["schemaUrl"] = "https://opentelemetry.io/schemas/1.27.0"
            for span in spans_in(content):
                span["kind"] = "SPAN_KIND_INTERNAL"
                span["startTimeUnixNano"] = int(span["startTimeUnixNano"])
                span.setdefault("links", [])
        lines.append(text(content) + b"\n")
    return b"".join(lines)


def indented_json(spans: Sequence[Any]) -> bytes:
    """One request, as people look at it."""
    return text(document(spans), indent=2)


def protobuf(spans: Sequence[Any]) -> bytes:
    """One request, as OTLP over HTTP carries it, and what Tempo answers when it is asked for protobuf."""
    found: bytes = encode_protobuf(spans).SerializeToString()
    return found


def prefixed(messages: Sequence[bytes]) -> bytes:
    """Messages with four bytes of length before each."""
    return b"".join(struct.pack(">I", len(message)) + message for message in messages)


def prefixed_protobuf(spans: Sequence[Any]) -> bytes:
    """What the collector's file exporter writes with `format: proto`."""
    return prefixed([protobuf(batch) for batch in batches(spans)])


def zstd_messages(spans: Sequence[Any]) -> bytes:
    """The same with `compression: zstd`: each message by itself."""
    return prefixed([zstandard.compress(protobuf(batch)) for batch in batches(spans)])


def zstd_json_messages(spans: Sequence[Any]) -> bytes:
    """The same with `format: json`."""
    return prefixed([zstandard.compress(text(document(batch))) for batch in batches(spans)])


def zstd_stream(spans: Sequence[Any]) -> bytes:
    """Lines compressed as a whole."""
    return zstandard.compress(json_lines(spans))


def zstd_frames(spans: Sequence[Any]) -> bytes:
    """Lines compressed in two frames, as by a writer that was started anew."""
    lines = json_lines(spans)
    middle = len(lines) // 2
    return zstandard.compress(lines[:middle]) + zstandard.compress(lines[middle:])


def gzipped(spans: Sequence[Any]) -> bytes:
    """What is rotated away."""
    return gzip.compress(json_lines(spans), mtime=0)


def gzipped_protobuf(spans: Sequence[Any]) -> bytes:
    """The same of protobuf."""
    return gzip.compress(prefixed_protobuf(spans), mtime=0)


def jaeger_v3(spans: Sequence[Any]) -> bytes:
    """`/api/v3/traces/{id}`."""
    return text({"result": document(spans)})


def tempo_v2(spans: Sequence[Any]) -> bytes:
    """`/api/v2/traces/{id}`, with ids in base64."""
    return text({"trace": with_base64(document(spans)), "metrics": {}})


def tempo_v1(spans: Sequence[Any]) -> bytes:
    """`/api/traces/{id}`, with ids in base64."""
    return text({"batches": with_base64(document(spans))["resourceSpans"]})


def tempo_of_old(spans: Sequence[Any]) -> bytes:
    """The same before OTLP 0.15."""
    resources = with_base64(document(spans))["resourceSpans"]
    for resource in resources:
        resource["instrumentationLibrarySpans"] = scopes = resource.pop("scopeSpans")
        for scope in scopes:
            scope["instrumentationLibrary"] = scope.pop("scope")
    return text({"batches": resources})


def jaeger_ui(spans: Sequence[Any]) -> bytes:
    """What Jaeger's UI saves and `/api/traces/{id}` answers: one trace after the other, times in microseconds."""
    traces: dict[str, list[Document]] = {}
    for resource in document(spans)["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                traces.setdefault(span["traceId"], []).append(as_jaeger(span, scope["scope"]["name"]))
    processes = {"p1": {"serviceName": "orders", "tags": []}}
    data = [{"traceID": trace, "spans": spans, "processes": processes, "warnings": None} for trace, spans in traces.items()]
    return text({"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None})


def as_jaeger(span: Document, scope: str) -> Document:
    """Return a span as Jaeger's UI has it."""
    start, end = int(span["startTimeUnixNano"]) // 1000, int(span["endTimeUnixNano"]) // 1000
    parent = span.get("parentSpanId")
    above = [{"refType": "CHILD_OF", "traceID": span["traceId"], "spanID": parent}] if parent else []
    links = [{"refType": "FOLLOWS_FROM", "traceID": link["traceId"], "spanID": link["spanId"]} for link in span.get("links", ())]
    tags = [{"key": "otel.scope.name", "type": "string", "value": scope}, *map(as_tag, span["attributes"])]
    return {
        "traceID": span["traceId"].lstrip("0"),
        "spanID": span["spanId"],
        "operationName": span["name"],
        "references": above + links,
        "startTime": start,
        "duration": end - start,
        "tags": tags,
        "logs": [],
        "processID": "p1",
        "warnings": None,
    }


def as_tag(pair: Document) -> Document:
    """Return an attribute as a tag; lists are text."""
    ((kind, value),) = pair["value"].items()
    if kind == "arrayValue":
        value = json.dumps([each["stringValue"] for each in value["values"]])
    names = {"stringValue": "string", "intValue": "int64", "doubleValue": "float64", "boolValue": "bool", "arrayValue": "string"}
    return {"key": pair["key"], "type": names[kind], "value": int(value) if kind == "intValue" else value}


def with_base64(content: Document) -> Document:
    """Return OTLP with its ids in base64, as everything that uses protobuf's own JSON has them."""
    found = copy.deepcopy(content)
    for span in spans_in(found):
        for holder in (span, *span.get("links", ())):
            for key in ("traceId", "spanId", "parentSpanId"):
                if holder.get(key):
                    holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
    return found


def spans_in(content: Document) -> list[Document]:
    """Return all spans of a request."""
    return [span for resource in content["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]


FORMS: Mapping[str, Callable[[Sequence[Any]], bytes]] = {
    "otlp.jsonl": json_lines,
    "otlp-collector.jsonl": json_lines_of_the_collector,
    "otlp-indented.json": indented_json,
    "otlp.jsonl.gz": gzipped,
    "otlp.jsonl.zst": zstd_stream,
    "otlp-frames.jsonl.zst": zstd_frames,
    "otlp-message.binpb": protobuf,
    "otlp.binpb": prefixed_protobuf,
    "otlp.binpb.gz": gzipped_protobuf,
    "otlp-messages-zstd.binpb": zstd_messages,
    "otlp-messages-zstd.json": zstd_json_messages,
    "jaeger-ui.json": jaeger_ui,
    "jaeger-v3.json": jaeger_v3,
    "tempo-v1.json": tempo_v1,
    "tempo-v1-old.json": tempo_of_old,
    "tempo-v2.json": tempo_v2,
}
"""Each form by the name of its fixture."""

ROUNDED = frozenset({"jaeger-ui.json"})
"""Forms whose times are whole microseconds."""
