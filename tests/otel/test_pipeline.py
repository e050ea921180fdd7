"""A real pipeline: OTLP by gRPC and by HTTP into rotel, which is written in Rust, and from there, encoded anew, to this test."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import septum
from septum import LabeledTransition, Retry, StateConfiguration, StateMachine
from septum.otel import OTelHooks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

pytestmark = pytest.mark.slow
LIMIT = 30.0  # seconds that anything may take


def find_agent() -> Path:
    """Return rotel's program; where it is missing in CI the test fails, elsewhere it is skipped."""
    spec = find_spec("rotel")
    found = Path(str(spec.origin)).parent / "rotel-agent" if spec and spec.origin else None
    if found is None or not found.exists():
        if os.environ.get("CI"):
            pytest.fail('rotel is not installed; pip install "septum[test-otel]" brings it')
        pytest.skip("there is no wheel of rotel for this machine")
    return found


class Sink(HTTPServer):
    """Takes OTLP over HTTP and keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.grown = threading.Condition()
        super().__init__(("127.0.0.1", 0), Taker)

    def wait_for(self, count: int) -> list[Any]:
        """Return the spans, once there are *count*."""
        with self.grown:
            assert self.grown.wait_for(lambda: len(self.spans) >= count, LIMIT), f"{len(self.spans)} of {count} spans arrived"
            return list(self.spans)


class Taker(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Sink

    def do_POST(self) -> None:
        """Keep the spans of an export request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        with self.server.grown:
            self.server.spans.extend(span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans)
            self.server.grown.notify_all()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when *port* takes connections."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            threading.Event().wait(0.05)
        else:
            return
    pytest.fail(f"rotel does not listen: {log.read_text()}")


@contextmanager
def pipeline(folder: Path) -> Iterator[tuple[Sink, int, int]]:
    """Start a sink and rotel before it; yields the sink and rotel's ports for gRPC and for HTTP."""
    agent = find_agent()
    sink = Sink()
    serving = threading.Thread(target=sink.serve_forever, daemon=True)
    serving.start()
    grpc, http = free_port(), free_port()
    log = folder / "rotel.txt"
    arguments = [
        f"--otlp-grpc-endpoint=127.0.0.1:{grpc}",
        f"--otlp-http-endpoint=127.0.0.1:{http}",
        f"--pid-file={folder / 'rotel.pid'}",
        "--exporter=otlp",
        f"--otlp-exporter-endpoint=http://127.0.0.1:{sink.server_port}",
        "--otlp-exporter-protocol=http",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen([agent, "start", *arguments], stdout=output, stderr=output)
    try:
        wait_until_open(grpc, process, log)
        wait_until_open(http, process, log)
        yield sink, grpc, http
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        sink.shutdown()
        sink.server_close()
        serving.join()


class Do(Enum):
    """What to do next."""

    GO = auto()


@septum.state(config=StateConfiguration(can_dwell=True, retries=2))
def Here() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg == "again":
            return Retry
        if ctx.msg == "fail":
            raise LookupError("no such order: \u00e4\u00f6\u00fc")
        return Do.GO if ctx.msg else None

    @septum.transitions
    def transitions():
        return [LabeledTransition(Do.GO, Here), Retry]


async def live(provider: TracerProvider) -> None:
    """Lead a machine through messages with links, retries, failures and segments."""
    hooks = OTelHooks(tracer_provider=provider, metrics="off", events=False, detail="handlers", send_spans=True, segment_max_visits=4)
    async with StateMachine(Here, name="M", hooks=[hooks]) as fsm:
        for message in ("go", "again", "again", "fail", "go", "go"):
            fsm.send_message(message)
            try:
                await fsm.tick()
                await fsm.tick()
            except LookupError:
                continue


def of_memory(span: ReadableSpan) -> dict[str, Any]:
    """Return what is to be compared of a span as the SDK has it."""
    assert span.context is not None
    return {
        "trace": f"{span.context.trace_id:032x}",
        "id": f"{span.context.span_id:016x}",
        "parent": "" if span.parent is None else f"{span.parent.span_id:016x}",
        "name": span.name,
        "kind": span.kind.name,
        "times": (span.start_time, span.end_time),
        "attributes": dict(span.attributes or {}),
        "links": [(f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}", dict(link.attributes or {})) for link in span.links],
        "events": [event.name for event in span.events],
        "status": (span.status.status_code.name, span.status.description or ""),
    }


def of_wire(span: Any) -> dict[str, Any]:
    """Return the same of a span as it came over the wire."""
    kinds = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    return {
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": kinds[span.kind],
        "times": (span.start_time_unix_nano, span.end_time_unix_nano),
        "attributes": {found.key: plain(found.value) for found in span.attributes},
        "links": [
            (link.trace_id.hex(), link.span_id.hex(), {found.key: plain(found.value) for found in link.attributes}) for link in span.links
        ],
        "events": [event.name for event in span.events],
        "status": (("UNSET", "OK", "ERROR")[span.status.code], span.status.message),
    }


def plain(value: Any) -> Any:
    """Return what an OTLP value holds."""
    kind = value.WhichOneof("value")
    return tuple(plain(one) for one in value.array_value.values) if kind == "array_value" else getattr(value, kind)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_what_arrives_is_what_was_made(protocol: str, tmp_path: Path) -> None:
    """Every span, with ids, parent, kind, times, attributes, links, events and status, through another implementation and back."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with pipeline(tmp_path) as (sink, grpc, http):
        exporter = (
            GrpcExporter(endpoint=f"http://127.0.0.1:{grpc}", insecure=True)
            if protocol == "grpc"
            else HttpExporter(endpoint=f"http://127.0.0.1:{http}/v1/traces")
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
        asyncio.run(live(provider))
        provider.shutdown()
        made = sorted((of_memory(span) for span in kept.get_finished_spans()), key=lambda span: span["id"])
        arrived = sorted(map(of_wire, sink.wait_for(len(made))), key=lambda span: span["id"])
    assert len(made) > 30
    assert arrived == made
