"""The OpenTelemetry SDK as a program sets it up, writing OTLP as JSON lines or sending it, and a reader for what it wrote."""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

# The HTTP client's spans in today's names (`http.request.method`), not those of 2021; read when its instrumentation is first used.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")

from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
from opentelemetry.exporter.otlp.json.file.metric_exporter import FileMetricExporter
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import septum.otel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path


ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Files(NamedTuple):
    """Where the three signals are written."""

    spans: Path
    metrics: Path
    logs: Path

    @classmethod
    def beside(cls, spans: Path) -> Self:
        """Return *spans*, and beside it a file for metrics and one for logs: `orders-metrics.jsonl` beside `orders-spans.jsonl`."""
        stem = spans.stem.removesuffix("-spans")
        metrics, logs = (spans.parent / f"{stem}-{signal}{spans.suffix}" for signal in ("metrics", "logs"))
        return cls(spans, metrics, logs)


class SetUpError(Exception):
    """The variables say something that cannot be done; the text says what, and what would help."""


def sending() -> tuple[AbstractContextManager[TracerProvider], dict[str, str]]:
    """Set OpenTelemetry up as the variables say; return what observes all machines made in its block, and where each signal goes.

    When the block is left, what there is to send has been given to the exporters. SetUpError if an exporter is missing or a variable wrong.
    """
    try:
        telemetry = septum.otel.setup("orders")
    except (ImportError, ValueError) as error:
        raise SetUpError(str(error)) from error

    @contextmanager
    def observing() -> Iterator[TracerProvider]:
        with telemetry, _log_lines_to(telemetry.logger_provider):
            yield telemetry.tracer_provider

    return observing(), telemetry.exports


@contextmanager
def writing(spans: IO[str], metrics: IO[str], logs: IO[str]) -> Iterator[TracerProvider]:
    """Observe all machines made in the block, with providers that the program makes itself; when it is left, all is in the three files."""
    resource = Resource.create({SERVICE_NAME: "orders"})
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    # The default queue of 2,048 spans drops what comes too fast; here every span is wanted.
    tracers.add_span_processor(BatchSpanProcessor(FileSpanExporter(stream=spans), max_queue_size=1_000_000, schedule_delay_millis=500))
    reader = PeriodicExportingMetricReader(FileMetricExporter(stream=metrics), export_interval_millis=5_000)
    meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
    loggers.add_log_record_processor(BatchLogRecordProcessor(FileLogExporter(stream=logs), max_queue_size=1_000_000))
    septum.otel.instrument(tracers, meters, loggers)
    try:
        with _log_lines_to(loggers):
            yield tracers
    finally:
        septum.otel.uninstrument()  # ends the spans that are open
        for provider in (tracers, meters, loggers):
            provider.shutdown()


@contextmanager
def _log_lines_to(loggers: LoggerProvider) -> Iterator[None]:
    """Export what handlers say with `ctx.log`, from INFO on. What the engine says is exported by Septum itself, as events."""
    handler = LoggingHandler(logger_provider=loggers)
    said = logging.getLogger("septum.app")
    level, propagate = said.level, said.propagate
    said.addHandler(handler)
    said.setLevel(logging.INFO)
    said.propagate = False  # warnings would stand on stderr, in the middle of the progress bar
    try:
        yield
    finally:
        said.removeHandler(handler)
        said.setLevel(level)
        said.propagate = propagate


@dataclass(frozen=True)
class Point:
    """One series of a metric: a count, or how many values a histogram has and their sum."""

    attributes: dict[str, Any]
    count: int
    sum: float
    """0.0 unless it is a histogram's."""


def read_metrics(path: Path) -> dict[str, list[Point]]:
    """Return each metric's series as they were last written to a file of OTLP JSON lines."""
    found: dict[str, list[Point]] = {}
    for metric in _read(path, "Metrics", "metrics"):
        kind = next(kind for kind in ("sum", "gauge", "histogram") if kind in metric)
        # Totals since the start: a later line says all that an earlier one said.
        found[metric["name"]] = [
            Point(
                _values(point.get("attributes", ())),
                int(point.get("count") or point.get("asInt") or point.get("asDouble") or 0),
                float(point.get("sum", 0.0)),
            )
            for point in metric[kind]["dataPoints"]
        ]
    return found


@dataclass(frozen=True)
class Record:
    """One log record as it stands in the file: an event of Septum's, or what a handler said."""

    event: str
    """Its name; the empty string for what a handler said."""
    body: str
    """What was said; the empty string for an event."""
    span_id: str
    attributes: dict[str, Any]


def read_records(path: Path) -> list[Record]:
    """Return all log records in a file of OTLP JSON lines."""
    return [
        Record(
            event=raw.get("eventName", ""),
            body=raw.get("body", {}).get("stringValue", ""),
            span_id=raw.get("spanId", ""),
            attributes=_values(raw.get("attributes", ())),
        )
        for raw in _read(path, "Logs", "logRecords")
    ]


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
    return [
        Span(
            trace_id=raw["traceId"],
            span_id=raw["spanId"],
            parent_id=raw.get("parentSpanId", ""),
            name=raw["name"],
            start=int(raw["startTimeUnixNano"]),
            end=int(raw["endTimeUnixNano"]),
            attributes=_values(raw.get("attributes", ())),
            failed=raw.get("status", {}).get("code", 0) in (2, "STATUS_CODE_ERROR"),
            scope=raw["scope"],
        )
        for raw in _read(path, "Spans", "spans")
    ]


def _read(path: Path, signal: str, things: str) -> Iterator[dict[str, Any]]:
    """Yield the *things* of *signal* in a file of OTLP JSON lines, each with the name of its scope."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            for resource in json.loads(line)[f"resource{signal}"]:
                for scope in resource[f"scope{signal}"]:
                    for thing in scope[things]:
                        yield {**thing, "scope": scope["scope"]["name"]}


def _values(attributes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return *attributes* by key; in OTLP's JSON 64-bit numbers are text, and every value names its type."""
    values = {attribute["key"]: next(iter(attribute["value"].items())) for attribute in attributes}
    return {key: int(value) if kind == "intValue" else value for key, (kind, value) in values.items()}


@dataclass(frozen=True)
class Told:
    """What telemetry wrote down, read again from the files."""

    spans: list[Span]
    metrics: dict[str, list[Point]]
    records: list[Record]

    @property
    def said(self) -> list[Record]:
        """What handlers said with `ctx.log`."""
        return [record for record in self.records if not record.event]

    @property
    def events(self) -> list[Record]:
        """What Septum told."""
        return [record for record in self.records if record.event]
