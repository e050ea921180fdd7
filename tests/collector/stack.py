"""The pipeline as tests start it: the collector with its own configuration, Prometheus, and a back end that can be taken away."""

from __future__ import annotations

import gzip
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
COLLECTOR = ROOT / "collector"
EXAMPLES = ROOT / "examples"
RULES = COLLECTOR / "prometheus" / "septum.rules.yml"


def load(path: Path) -> ModuleType:
    """Return the module in a file of the folder collector, which is no package."""
    name = f"septum_collector_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


build = load(COLLECTOR / "native" / "build.py")
servers = load(COLLECTOR / "native" / "servers.py")


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the variables of a process that is told of no collector but by *variables*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SEPTUM_OTEL_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **variables}


def wait(seconds: float) -> None:
    """Let real time pass: servers of others know no ManualClock."""
    threading.Event().wait(seconds)


def until(true: Callable[[], object], what: str, seconds: float = 90.0) -> None:
    """Return when *true* says so; AssertionError with *what* after *seconds*."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        wait(0.1)


class Backend:
    """A store of traces and logs that keeps ids; it can be taken away and come back on the same port."""

    def __init__(self) -> None:
        self.spans: Counter[str] = Counter()
        """Span id, in hex, to how often it came."""
        self.traces: dict[str, set[str]] = {}
        """Trace id to its span ids."""
        self.failed: set[str] = set()
        """Traces with a span of status ERROR."""
        self.records: Counter[tuple[str, str, int]] = Counter()
        """Scope, event and time of each log record."""
        self.bodies: list[str] = []
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    def up(self) -> None:
        """Listen."""
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                backend.take(self.path, gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named by the base class
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, path: str, body: bytes) -> None:
        """Keep what was sent."""
        if path.endswith("traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self.spans[span.span_id.hex()] += 1
                        self.traces.setdefault(span.trace_id.hex(), set()).add(span.span_id.hex())
                        if span.status.code == 2:
                            self.failed.add(span.trace_id.hex())
            return
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    self.records[scope.scope.name, record.event_name, record.time_unix_nano or record.observed_time_unix_nano] += 1
                    self.bodies.append(str(record))


class Pipeline:
    """A collector with a Prometheus behind it, all in one folder: `with Pipeline(programs, folder) as pipeline: ...`."""

    def __init__(
        self,
        programs: Mapping[str, Path],
        folder: Path,
        *,
        configs: tuple[str | Path, ...] = (),
        rules: Path | None = None,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.ports = {name: servers.free_port() for name in ("grpc", "http", "health", "self", "prometheus")}
        self.otlp = f"http://127.0.0.1:{self.ports['grpc']}"
        self.backend = Backend()
        self.backend.up()
        settings = {
            "METRICS_ENDPOINT": f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/otlp/v1/metrics",
            "TRACES_ENDPOINT": f"http://127.0.0.1:{self.backend.port}/v1/traces",
            "LOGS_ENDPOINT": f"http://127.0.0.1:{self.backend.port}/v1/logs",
            "SPAN_METRICS_FLUSH": "1s",
            **settings,
        }
        self.collector = servers.collector(programs["otelcol"], folder, self.ports, configs=(servers.CONFIG, *configs), **settings)
        if rules is None:
            rules = folder / "no.rules.yml"
            rules.write_text("groups: []\n", encoding="utf-8")
        self.prometheus = servers.prometheus(
            programs["prometheus"], folder, self.ports["prometheus"], scrape=self.ports["self"], rules=rules, interval="1s"
        )
        self.more: list[Any] = []
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        try:
            for server in (self.prometheus, self.collector, *self.more):
                server.start()
            for server in (self.prometheus, self.collector, *self.more):
                server.wait_until_well(60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            stack.callback(self.backend.down)
            for server in (self.prometheus, self.collector, *self.more):
                stack.callback(server.stop)
            for process in self._processes:
                if process.poll() is None:
                    process.kill()
                process.communicate()

    def process(self, *command: str | Path, **variables: str) -> subprocess.Popen[str]:
        """Start a program that sends to the collector."""
        environment = clean_environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=self.otlp,
            OTEL_METRIC_EXPORT_INTERVAL="1000",
            OTEL_BSP_MAX_QUEUE_SIZE="100000",
            OTEL_BLRP_MAX_QUEUE_SIZE="100000",
            SEPTUM_OTEL_METRICS="full",
            **variables,
        )
        whole = [sys.executable, *map(str, command)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(whole, env=environment, cwd=self.folder, text=True, **pipes)
        self._processes.append(process)
        return process

    def ask(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each series that *expression* gives now."""
        return [(found["metric"], _value(found)) for found in self.api("query", query=expression)["result"]]

    def has_answered(self, expression: str, seconds: int) -> bool:
        """Tell whether *expression*, drawn over the last *seconds*, shows a number anywhere, with the labels that it groups by."""
        now = time.time()
        found = self.api("query_range", query=expression, start=str(now - seconds), end=str(now), step="1")["result"]
        series = [
            (
                each["metric"],
                max(
                    (float(value) for _, value in each.get("values", ()) if value != "NaN"),
                    default=0.0 if "histograms" in each else math.nan,
                ),
            )
            for each in found
        ]
        return answers(series, expression)

    def api(self, path: str, **parameters: str) -> Any:
        """Return what Prometheus answers."""
        address = f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float:
        """Return the sum of what *expression* gives now; 0 if it gives nothing."""
        return sum(value for _, value in self.ask(expression))

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the lines of a file of the collector's, its older parts first."""
        stem = name.removesuffix(".jsonl")
        for path in [*sorted(self.folder.glob(f"{stem}-*.jsonl")), self.folder / name]:
            if path.exists():
                with path.open(encoding="utf-8") as lines:
                    yield from map(json.loads, lines)

    def spans_in(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the spans in a file of the collector's."""
        for line in self.lines(name):
            for resource in line.get("resourceSpans", ()):
                for scope in resource["scopeSpans"]:
                    yield from ({**span, "scope": scope["scope"]["name"]} for span in scope["spans"])


def _value(found: dict[str, Any]) -> float:
    """Return the value of one series; for a native histogram, how many values it has."""
    return float(found["value"][1]) if "value" in found else float(found["histogram"][1]["count"])


def answers(found: list[tuple[dict[str, str], float]], expression: str) -> bool:
    """Tell whether there is an answer with a number in it, and all labels that *expression* groups by."""
    grouped = re.findall(r"by \(([^)]*)\)", expression)
    # error.type is there only where something failed.
    labels = set(grouped[0].replace(" ", "").split(",")) - {"le", "error_type"} if grouped and _outermost(expression) else set()
    return any(not math.isnan(value) and labels <= metric.keys() for metric, value in found)


def _outermost(expression: str) -> bool:
    """Tell whether the first `by (...)` of *expression* is what its answer is grouped by."""
    return bool(re.match(r"(?:\w+\([\d.]+, )?(?:sum|max) by", expression))


def faster(rules: Path, into: Path, *, day: int, factor: int = 30) -> Path:
    """Write *rules* with all durations divided by *factor* and a day of *day* seconds, so that a test needs no hours."""
    text = rules.read_text(encoding="utf-8")

    def shorter(found: re.Match[str]) -> str:
        number, unit = int(found[1]), found[2]
        return f"{day}s" if unit == "d" else f"{max(number * 60 // factor, 1)}s"

    # In expressions and `for:`; the names of recorded rules keep theirs.
    text = re.sub(r"(?<=[\s\[])(\d+)([md])\b", shorter, text.replace("1d15m", f"{day + 15 * 60 // factor}s"))
    into.write_text(text, encoding="utf-8")
    assert yaml.safe_load(text)["groups"]
    return into
