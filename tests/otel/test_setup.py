"""`setup`: which exporters the variables ask for, what is refused before anything is made, and that nothing is lost at the end."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest
from opentelemetry import _logs, metrics, trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import septum.otel
from septum import SeptumError
from septum.otel import _setup
from septum.otel._exports import Export, read_exports
from septum.otel._setup import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = "http://localhost:4317"
APP = """
import asyncio
import septum.otel
from septum import StateConfiguration, StateMachine, septum as declare

@declare.state(config=StateConfiguration(can_dwell=True))
def Idle():
    @declare.on_state
    async def on_state(ctx):
        pass

async def main():
    fsm = StateMachine(Idle, name="Job")
    await fsm.initialize()
    await fsm.tick()
    return fsm  # it is still open when the process ends
"""


def places(launcher: bool = False, **environ: str) -> dict[str, str]:
    """Return in words where each signal goes."""
    return {signal: str(export) for signal, export in read_exports(environ, launcher=launcher).items()}


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a Python of its own with *variables*, and no others of OpenTelemetry."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SEPTUM_"))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**kept, **variables}, timeout=120, check=False)


class Collector(ThreadingHTTPServer):
    """Takes OTLP by HTTP on this machine; `received` are the bodies, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Reception)
        self.received: dict[str, list[bytes]] = {}

    @property
    def spans(self) -> list[tuple[str, str]]:
        """Name of the service and of the span, for each span in the order of arrival."""
        found: list[tuple[str, str]] = []
        for body in self.received.get("/v1/traces", []):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                services = [pair.value.string_value for pair in resource.resource.attributes if pair.key == "service.name"]
                found += [(services[0], span.name) for scope in resource.scope_spans for span in scope.spans]
        return found


class _Reception(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.received.setdefault(self.path, []).append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_without_a_variable_setup_sends_nothing_and_the_launcher_sends_home() -> None:
    """`setup` is quiet until it is told where to; opentelemetry-instrument tries a collector on this machine."""
    assert places() == {"traces": "nowhere", "metrics": "nowhere", "logs": "nowhere"}
    assert set(places(launcher=True).values()) == {f"{HERE} (OTLP, gRPC)"}


def test_one_endpoint_serves_all_signals_and_one_of_its_own_goes_before() -> None:
    """By HTTP the common endpoint gets the path of its signal; one of a signal's own is taken as it stands."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector/",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces/in",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc",
    }
    assert places(**environ) == {
        "traces": "http://traces/in (OTLP, HTTP)",
        "metrics": "http://collector/v1/metrics (OTLP, HTTP)",
        "logs": "http://collector/ (OTLP, gRPC)",
    }


def test_an_endpoint_of_one_signal_is_for_that_signal() -> None:
    """The others still go nowhere."""
    assert places(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=HERE) == {"traces": f"{HERE} (OTLP, gRPC)", "metrics": "nowhere", "logs": "nowhere"}


def test_port_4318_means_http_unless_a_variable_says_otherwise() -> None:
    """OTLP by gRPC is never served there; opentelemetry-instrument does not think so far, and the doctor must know."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}
    assert read_exports(endpoint, launcher=False)["traces"] == Export(
        signal="traces", exporters=("otlp_proto_http",), endpoint="http://localhost:4318/v1/traces", guessed=True
    )
    assert places(**endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")["traces"] == "http://localhost:4318 (OTLP, gRPC)"
    assert places(launcher=True, **endpoint)["traces"] == "http://localhost:4318 (OTLP, gRPC)"


def test_exporters_are_chosen_by_name() -> None:
    """`OTEL_TRACES_EXPORTER` and its kin, several with commas; `none` drops even where there is an endpoint."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": HERE,
        "OTEL_TRACES_EXPORTER": "otlp, console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "console",
    }
    assert places(**environ) == {"traces": f"{HERE} (OTLP, gRPC), console", "metrics": "nowhere", "logs": "console"}


def test_otlp_without_an_endpoint_goes_to_this_machine() -> None:
    """Each protocol has its own port there."""
    assert places(OTEL_TRACES_EXPORTER="otlp")["traces"] == f"{HERE} (OTLP, gRPC)"
    by_http = places(OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert by_http["traces"] == "http://localhost:4318/v1/traces (OTLP, HTTP)"


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_a_protocol_that_nobody_speaks_is_refused(name: str) -> None:
    """The variable, its value, and what may stand in it."""
    with pytest.raises(ValueError, match=f"^{name} is 'http/json'; allowed are grpc, http/protobuf[.]$"):
        read_exports({"OTEL_TRACES_EXPORTER": "otlp", name: "http/json"}, launcher=False)


def test_an_endpoint_that_is_no_address_is_left_to_the_exporter() -> None:
    """Nothing is guessed from it, and nothing raised."""
    assert places(OTEL_EXPORTER_OTLP_ENDPOINT="http://[broken:4318")["traces"] == "http://[broken:4318 (OTLP, gRPC)"


@pytest.mark.parametrize(
    ("name", "fields", "error", "text"),
    [
        (7, {}, TypeError, "setup's service_name must be a text that names the service, not 7"),
        (" ", {}, ValueError, "setup's service_name must be a text that names the service, not ' '"),
        ("shop", {"detail": "all"}, ValueError, "SeptumConfig.detail must be 'auto', 'visits' or 'handlers', not 'all'."),
        ("shop", {"detials": "all"}, TypeError, "SeptumConfig has no field 'detials'. Did you mean 'detail'?"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_made(name: Any, fields: dict[str, Any], error: type[Exception], text: str) -> None:
    """The text says what is allowed."""
    with pytest.raises(error) as raised:
        septum.otel.setup(name, **fields)
    assert str(raised.value).startswith(text)


class Process:
    """Stands for the process's own providers, which can be set only once; `providers` are those that are set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.providers: dict[str, Any] = {}
        for kind, module in {"tracer": trace, "meter": metrics, "logger": _logs}.items():
            stand_in = getattr(module, f"get_{kind}_provider")()
            patch.setattr(module, f"get_{kind}_provider", partial(self.providers.get, kind, stand_in))
            patch.setattr(module, f"set_{kind}_provider", partial(self.providers.__setitem__, kind))


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """A process that has no provider and no variable of OpenTelemetry's."""
    for name in [name for name in os.environ if name.startswith(("OTEL_", "SEPTUM_"))]:
        monkeypatch.delenv(name)
    yield Process(monkeypatch)
    septum.otel.uninstrument()


def test_the_three_providers_are_the_process_s(process: Process) -> None:
    """With the name of the service, and without an exporter if there is none; the second call is refused."""
    with septum.otel.setup("shop", detail="visits") as telemetry:
        assert process.providers == {
            "tracer": telemetry.tracer_provider,
            "meter": telemetry.meter_provider,
            "logger": telemetry.logger_provider,
        }
        assert telemetry.exports == {"traces": "nowhere", "metrics": "nowhere", "logs": "nowhere"}
        assert repr(telemetry) == "<Telemetry to nowhere: set OTEL_EXPORTER_OTLP_ENDPOINT>"
        assert telemetry.tracer_provider.resource.attributes["service.name"] == "shop"
        with pytest.raises(SeptumError, match="has a TracerProvider already; .* call septum.otel.instrument.. instead"):
            septum.otel.setup("shop")


def test_the_name_in_the_variable_goes_before(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs a program names it."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-2")
    with septum.otel.setup("shop") as telemetry:
        assert telemetry.logger_provider.resource.attributes["service.name"] == "shop-2"


def test_a_reader_and_exporters_by_name_are_put_to_their_signals(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter of metrics may be a reader itself, as that of Prometheus is."""
    monkeypatch.setattr(_setup, "entry_points", fake_entry_points)
    for signal in ("TRACES", "METRICS", "LOGS"):
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "memory")
    with septum.otel.setup("shop", detail="visits") as telemetry:
        assert repr(telemetry) == "<Telemetry: traces to memory; metrics to memory; logs to memory>"
        telemetry.tracer_provider.get_tracer("test").start_span("probe").end()
        assert telemetry.tracer_provider.force_flush()
        assert [span.name for span in Memory.made[0].get_finished_spans()] == ["probe"]


class Memory(InMemorySpanExporter):
    """Notes each that was made."""

    made: ClassVar[list[Memory]] = []

    def __init__(self) -> None:
        super().__init__()
        self.made[:] = [self]


class Dropping:
    """An exporter of log records that drops them."""

    def export(self, batch: object) -> None:
        pass

    def shutdown(self) -> None:
        pass


class Plug(NamedTuple):
    """An entry point that leads to *load*'s answer."""

    name: str
    load: Callable[[], Any]


def fake_entry_points(group: str) -> list[Plug]:
    """Return an exporter `memory` for each signal, and `periodic`, which hands metrics to nobody."""
    made = {
        "opentelemetry_traces_exporter": Memory,
        "opentelemetry_metrics_exporter": InMemoryMetricReader,
        "opentelemetry_logs_exporter": Dropping,
    }
    return [Plug("memory", lambda: made[group]), Plug("console", lambda: partial(ConsoleMetricExporter, out=io.StringIO()))]


def test_an_exporter_of_metrics_gets_a_reader(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that reads every minute, and at the end."""
    monkeypatch.setattr(_setup, "entry_points", fake_entry_points)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "console")
    with septum.otel.setup("shop") as telemetry:
        assert telemetry.exports["metrics"] == "console"
        assert telemetry.meter_provider.force_flush()


@pytest.mark.parametrize(
    ("environ", "error", "text"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "consle"},
            ValueError,
            "^OTEL_TRACES_EXPORTER names 'consle', which is not installed; there are console, ",
        ),
        (
            {"OTEL_LOGS_EXPORTER": "otlp"},
            ImportError,
            'setup needs opentelemetry-exporter-otlp-proto-grpc; install it with: pip install "septum\\[otlp\\]"$',
        ),
        ({"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "tcp"}, ValueError, "OTEL_EXPORTER_OTLP_PROTOCOL is 'tcp'"),
    ],
)
def test_what_the_variables_cannot_have_is_refused_and_nothing_set(
    process: Process, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], error: type[Exception], text: str
) -> None:
    """The text names the variable, or the package."""
    monkeypatch.setattr(_setup, "entry_points", fake_entry_points)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=text):
        septum.otel.setup("shop")
    assert process.providers == {}


def test_without_the_sdk_the_error_says_what_to_install(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(ImportError, match='setup needs opentelemetry.sdk.resources; install it with: pip install "septum.otlp."$'):
        septum.otel.setup("shop")
    assert process.providers == {}


def test_settings_that_disagree_with_those_in_force_are_refused_and_nothing_set(process: Process) -> None:
    """The providers that were made for it are closed again."""
    septum.otel.instrument(detail="handlers")
    with pytest.raises(SeptumError, match="traced already, with detail='handlers', and now detail='visits' was given"):
        septum.otel.setup("shop", detail="visits")
    assert process.providers == {}


REFUSED = """
from opentelemetry import metrics, trace
from septum import SeptumError
import septum.otel
{before}
try:
    septum.otel.setup("shop", detail="visits")
except (SeptumError, ImportError, ValueError) as error:
    print(type(error).__name__, error)
print(type(trace.get_tracer_provider()).__name__, type(metrics.get_meter_provider()).__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "variables", "said"),
    [
        (
            "septum.otel.instrument(detail='handlers')",
            {},
            "SeptumError machines are traced already, with detail='handlers', and now detail='visits' was given; ",
        ),
        (
            "",
            {"OTEL_TRACES_EXPORTER": "consle"},
            "ValueError OTEL_TRACES_EXPORTER names 'consle', which is not installed; there are ",
        ),
        (
            "import septum.otel._setup as it; it.entry_points = lambda group: []",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE},
            'ImportError septum.otel.setup needs opentelemetry-exporter-otlp-proto-grpc; install it with: pip install "septum[otlp]"',
        ),
    ],
)
def test_a_refusal_leaves_the_process_without_a_provider(before: str, variables: dict[str, str], said: str) -> None:
    """Whatever is wrong, no provider is set, so that the program can put it right and try again."""
    done = run(REFUSED.format(before=before), **variables)
    error, providers = done.stdout.splitlines()
    assert (error.startswith(said), providers, done.stderr) == (True, "ProxyTracerProvider _ProxyMeterProvider", ""), error


@pytest.mark.slow
def test_a_provider_for_logs_alone_is_enough_to_refuse() -> None:
    """A program that has set up any signal has set up OpenTelemetry."""
    before = """
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
set_logger_provider(LoggerProvider())
"""
    said = "SeptumError this process has a LoggerProvider already; septum.otel.setup() is for scripts that have set up nothing: "
    assert run(REFUSED.format(before=before)).stdout.startswith(said)


@pytest.mark.slow
def test_everything_has_arrived_when_the_process_has_ended(collector: Collector) -> None:
    """A script that neither shuts down nor stops its machine loses nothing: open spans end with it, and all three signals are sent."""
    code = APP + "\ntelemetry = septum.otel.setup('shop', detail='visits')\nprint(telemetry)\nleft = asyncio.run(main())"
    endpoint = f"http://127.0.0.1:{collector.server_port}"

    done = run(code, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == (
        f"<Telemetry: traces to {endpoint}/v1/traces (OTLP, HTTP); metrics to {endpoint}/v1/metrics (OTLP, HTTP); "
        f"logs to {endpoint}/v1/logs (OTLP, HTTP)>"
    )
    assert sorted(collector.received) == ["/v1/logs", "/v1/metrics", "/v1/traces"]
    assert sorted(collector.spans) == [("shop", "run Job"), ("shop", "visit Job.Idle")]


@pytest.mark.slow
def test_the_end_of_the_block_sends_what_is_there(collector: Collector) -> None:
    """Afterwards machines are not traced, and the process goes on."""
    code = APP + (
        "\nwith septum.otel.setup('shop', detail='visits') as telemetry:\n    first = asyncio.run(main())\n"
        "second = asyncio.run(main())\ntelemetry.shutdown()\nprint('done')"
    )
    endpoint = f"http://127.0.0.1:{collector.server_port}/v1/traces"

    done = run(code, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")

    assert (done.stdout, done.stderr) == ("done\n", "")
    assert sorted(collector.spans) == [("shop", "run Job"), ("shop", "visit Job.Idle")]


class Provider:
    """Notes that it was shut down, and fails if it is told to."""

    def __init__(self, name: str, calls: list[str], *, fails: bool = False) -> None:
        self.name, self.calls, self.fails = name, calls, fails

    def shutdown(self) -> None:
        self.calls.append(self.name)
        if self.fails:
            raise RuntimeError(self.name)


def test_a_provider_that_fails_keeps_no_other_from_sending() -> None:
    """Each is shut down, once; the error comes after."""
    calls: list[str] = []
    made = Telemetry((Provider("traces", calls, fails=True), Provider("metrics", calls), Provider("logs", calls)), {"traces": "console"})

    with pytest.raises(RuntimeError, match="traces"):
        made.shutdown()
    made.shutdown()

    assert calls == ["traces", "logs", "metrics"]
    assert repr(made) == "<Telemetry: traces to console>"
