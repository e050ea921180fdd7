"""The OpenTelemetry SDK as a program sets it up, writing OTLP as JSON lines or sending it, and a reader for what it wrote."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

# The HTTP client's spans in today's names (`http.request.method`), not those of 2021; read when its instrumentation is first used.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")

from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
from opentelemetry.exporter.otlp.json.file.metric_exporter import FileMetricExporter
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import septum.otel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def sibling(spans: Path, signal: str) -> Path:
    """Return where *signal* is written when spans are written to *spans*."""
    stem = spans.stem.removesuffix("-spans")
    return spans.with_name(f"{stem}-{signal}{spans.suffix}")


@contextmanager
def telemetry(file: IO[str], path: Path) -> Iterator[TracerProvider]:
    """Observe all machines made in the block; when it is left, all spans stand in *file*, and metrics and events in files beside *path*.

    With `OTEL_EXPORTER_OTLP_ENDPOINT` set they are sent there instead, and the file stays empty.
    """
    if os.environ.get(ENDPOINT):
        with septum.otel.setup("orders") as sending:
            yield sending.tracer_provider
        return
    with ExitStack() as stack:
        metrics, logs = (stack.enter_context(sibling(path, signal).open("w", encoding="utf-8")) for signal in ("metrics", "logs"))
        resource = Resource.create({SERVICE_NAME: "orders"})
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        # The default queue of 2,048 spans drops what comes too fast; here every span is wanted.
        tracers.add_span_processor(BatchSpanProcessor(FileSpanExporter(stream=file), max_queue_size=1_000_000, schedule_delay_millis=500))
        reader = PeriodicExportingMetricReader(FileMetricExporter(stream=metrics), export_interval_millis=5_000)
        meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(BatchLogRecordProcessor(FileLogExporter(stream=logs), max_queue_size=1_000_000))
        septum.otel.instrument(tracers, meters, loggers)
        try:
            yield tracers
        finally:
            septum.otel.uninstrument()
            for provider in (tracers, meters, loggers):
                provider.shutdown()


def read_metrics(path: Path) -> Counter[str]:
    """Return the last value of each metric in a file of OTLP JSON lines, summed over its attributes; of histograms the counts."""
    totals = Counter[str]()
    for line in path.read_text(encoding="utf-8").splitlines():
        for resource in json.loads(line)["resourceMetrics"]:
            for metric in (metric for scope in resource["scopeMetrics"] for metric in scope["metrics"]):
                kind = next(kind for kind in ("sum", "gauge", "histogram") if kind in metric)
                points = metric[kind]["dataPoints"]
                totals[metric["name"]] = sum(
                    int(float(point.get("count", point.get("asInt", point.get("asDouble", 0))))) for point in points
                )
    return totals


def read_events(path: Path) -> Counter[str]:
    """Return how many events of each name stand in a file of OTLP JSON lines."""
    return Counter(
        record["eventName"]
        for line in path.read_text(encoding="utf-8").splitlines()
        for resource in json.loads(line)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
        if record.get("eventName")
    )


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
