"""The OpenTelemetry SDK as a program sets it up, writing OTLP as JSON lines, and a reader for what it wrote."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

# The HTTP client's spans in today's names (`http.request.method`), not those of 2021; read when its instrumentation is first used.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")

from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import septum.otel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def tracing(file: IO[str]) -> Iterator[TracerProvider]:
    """Trace all machines made in the block; when it is left, all spans stand in *file*."""
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "orders"}), shutdown_on_exit=False)
    # The default queue of 2,048 spans drops what comes too fast; here every span is wanted.
    provider.add_span_processor(BatchSpanProcessor(FileSpanExporter(stream=file), max_queue_size=1_000_000, schedule_delay_millis=500))
    septum.otel.instrument(tracer_provider=provider)
    try:
        yield provider
    finally:
        septum.otel.uninstrument()
        provider.shutdown()


@dataclass(frozen=True)
class Span:
    """One span as it stands in the file; ids are hex, times nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    attributes: dict[str, Any]
    failed: bool
    scope: str

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.start) / 1e9


def read_spans(path: Path) -> list[Span]:
    """Return all spans in a file of OTLP JSON lines."""
    with path.open(encoding="utf-8") as lines:
        return [
            _span(raw, scope["scope"]["name"])
            for line in lines
            for resource in json.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for raw in scope["spans"]
        ]


def _span(raw: dict[str, Any], scope: str) -> Span:
    """Return the span that *raw* describes in OTLP's JSON, where 64-bit numbers are text and every value names its type."""
    values = {attribute["key"]: next(iter(attribute["value"].items())) for attribute in raw.get("attributes", ())}
    return Span(
        trace_id=raw["traceId"],
        span_id=raw["spanId"],
        parent_id=raw.get("parentSpanId", ""),
        name=raw["name"],
        start=int(raw["startTimeUnixNano"]),
        end=int(raw["endTimeUnixNano"]),
        attributes={key: int(value) if kind == "intValue" else value for key, (kind, value) in values.items()},
        failed=raw.get("status", {}).get("code", 0) in (2, "STATUS_CODE_ERROR"),
        scope=scope,
    )
