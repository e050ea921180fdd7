"""`setup`: OpenTelemetry's SDK for a script that has set up none. The only place where Septum imports the SDK and sets providers."""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Self, Unpack

from opentelemetry import metrics, trace

from septum import SeptumError
from septum.otel._config import SeptumConfig
from septum.otel._exports import GRPC, HTTP, SIGNALS, Export, read_exports
from septum.otel._instrument import instrument, uninstrument

if TYPE_CHECKING:
    from types import TracebackType

    from septum.otel._config import Fields


class Telemetry:
    """What `setup` has set up; `shutdown()` sends what is left, and the end of the process, or of a `with`, calls it.

    Attributes:
        tracer_provider, meter_provider, logger_provider: The SDK's, which are the process's own from now on.
        exports: For "traces", "metrics" and "logs" in words where they go.
    """

    def __init__(self, providers: tuple[Any, Any, Any], exports: dict[str, str]) -> None:
        self.tracer_provider, self.meter_provider, self.logger_provider = providers
        self.exports = exports
        self._open = True
        atexit.register(self.shutdown)

    def shutdown(self) -> None:
        """Stop observing machines, send what is left and close the exporters; a second call does nothing.

        It waits for the exporters: at most `OTEL_EXPORTER_OTLP_TIMEOUT` for each, 10 seconds if that is not set.
        """
        if not self._open:
            return
        self._open = False
        atexit.unregister(self.shutdown)
        # Open spans end first, so that they are sent; a provider that fails keeps no other from sending.
        with ExitStack() as stack:
            for provider in (self.meter_provider, self.logger_provider, self.tracer_provider):
                stack.callback(provider.shutdown)
            stack.callback(uninstrument)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        if set(self.exports.values()) == {"nowhere"}:
            return "<Telemetry to nowhere: set OTEL_EXPORTER_OTLP_ENDPOINT>"
        return f"<Telemetry: {'; '.join(f'{signal} to {place}' for signal, place in self.exports.items())}>"


def setup(service_name: str, **fields: Unpack[Fields]) -> Telemetry:
    """Set OpenTelemetry up for this process and observe every machine made from now on.

    A signal goes to `OTEL_EXPORTER_OTLP_ENDPOINT`, or to its own, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and so on: by gRPC, or by HTTP where
    `OTEL_EXPORTER_OTLP_PROTOCOL` says `http/protobuf`, or says nothing and the endpoint's port is 4318. `OTEL_TRACES_EXPORTER` and its kin
    choose another exporter that is installed: `console` prints, `none` drops. A signal without an endpoint and without an exporter is made
    and sent nowhere: spans are current in handlers all the same, and nothing is printed. The SDK reads its other variables itself
    (`OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES` and others).

    Args:
        service_name: What the service is called in every back end, unless `OTEL_SERVICE_NAME` says otherwise.
        fields: As in `instrument`.

    Raises:
        ImportError: The SDK or the exporter is not installed; the text says how to install it. Nothing was changed.
        SeptumError: The program has set a provider already; then `instrument()` is what it needs. Or machines are traced already, with
            other settings. Nothing was changed.
        TypeError: *service_name* is no text, or as in `instrument`; nothing was changed.
        ValueError: *service_name* is empty, a variable has a value that is not allowed, or as in `instrument`; nothing was changed.
    """
    if not isinstance(service_name, str):
        raise TypeError(f"setup's service_name must be a text that names the service, not {service_name!r}")
    if not service_name.strip():
        raise ValueError(f"setup's service_name must be a text that names the service, not {service_name!r}")
    SeptumConfig.of(None, fields)  # refuses what is wrong before anything is made
    exports = read_exports(os.environ, launcher=False)
    _refuse_a_second_set_up()
    try:
        providers = _make(service_name, exports)
    except ImportError as error:
        raise ImportError(
            f'septum.otel.setup needs {error.name or "the OpenTelemetry SDK"}; install it with: pip install "septum[otlp]"', name=error.name
        ) from error
    try:
        instrument(**fields)
    except SeptumError:
        for provider in providers:
            provider.shutdown()
        raise
    trace.set_tracer_provider(providers[0])
    metrics.set_meter_provider(providers[1])
    import_module("opentelemetry._logs").set_logger_provider(providers[2])
    return Telemetry(providers, {signal: str(export) for signal, export in exports.items()})


def _refuse_a_second_set_up() -> None:
    """Raise SeptumError if the process has a provider: OpenTelemetry takes one for each signal, once."""
    logs = import_module("opentelemetry._logs")
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), logs.get_logger_provider()):
        name = type(provider).__name__
        # What the API gives until a real one is set: ProxyTracerProvider, _ProxyMeterProvider, ProxyLoggerProvider.
        if not name.lstrip("_").startswith("Proxy"):
            raise SeptumError(
                f"this process has a {name} already; septum.otel.setup() is for scripts that have set up nothing: "
                "call septum.otel.instrument() instead"
            )


def _make(service_name: str, exports: dict[str, Export]) -> tuple[Any, Any, Any]:
    """Make a provider for each signal; none is the process's own yet."""
    sdk = {name: import_module(f"opentelemetry.sdk.{name}") for name in ("resources", "trace", "metrics", "_logs")}
    spans, readers, records = (import_module(f"opentelemetry.sdk.{name}.export") for name in ("trace", "metrics", "_logs"))
    to = {signal: [_load(signal, name)() for name in exports[signal].exporters] for signal in SIGNALS}
    resource = sdk["resources"].Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or service_name})
    # shutdown_on_exit: Telemetry does it, after the open spans have ended.
    tracers = sdk["trace"].TracerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in to["traces"]:
        tracers.add_span_processor(spans.BatchSpanProcessor(exporter))
    loggers = sdk["_logs"].LoggerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in to["logs"]:
        loggers.add_log_record_processor(records.BatchLogRecordProcessor(exporter))
    # An exporter of metrics may be a reader itself, as that of Prometheus is.
    found = [
        exporter if isinstance(exporter, readers.MetricReader) else readers.PeriodicExportingMetricReader(exporter)
        for exporter in to["metrics"]
    ]
    return tracers, sdk["metrics"].MeterProvider(found, resource=resource, shutdown_on_exit=False), loggers


def _load(signal: str, name: str) -> Any:
    """Return the class of the exporter *name* of *signal*."""
    known = {entry.name: entry for entry in entry_points(group=f"opentelemetry_{signal}_exporter")}
    if name in known:
        return known[name].load()
    if name in {GRPC, HTTP}:
        package = f"opentelemetry-exporter-{name.replace('_', '-')}"
        raise ImportError(f"No exporter {name!r}", name=package)
    raise ValueError(
        f"OTEL_{signal.upper()}_EXPORTER names {name!r}, which is not installed; there are {', '.join(sorted({*known, 'none', 'otlp'}))}."
    )
