"""`OTelHooks`: the hook that users attach; it opens each run and sends others to see the rest of it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Unpack

from opentelemetry.context import attach, detach, get_current
from opentelemetry.metrics import NoOpMeterProvider, get_meter_provider
from opentelemetry.trace import get_tracer

from septum import Hooks, semconv
from septum.otel import _detached
from septum.otel._config import Fields, SeptumConfig
from septum.otel._events import EventLog, Events, Failures
from septum.otel._metrics import HOOKS, Counting, Instruments
from septum.otel._run import Run, Runs
from septum.otel._segments import Segments
from septum.otel._spans import Ends, HandlerTracing, Tracing, Working

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from septum import StateMachine, facts
    from septum.otel._recording import LogsSink
    from septum.replay import Recorder
    from septum.replay._values import Level


class OTelHooks(Hooks):
    """Tells OpenTelemetry what machines do, as spans, metrics and events; one object serves any number of machines.

    A run's span is a child of the span that is current where the run begins. While the machine works the visit's span is current, on top of
    the context that the machine is driven from: spans that a handler makes, also in tasks that it starts, are children of the visit, or of
    the message that it deals with. What the sampler, the providers and the configuration leave no use for is not asked of the machine.

    Attributes:
        config: What is made.
        tracer_provider, meter_provider, logger_provider: As they were given.
        gives_way: A machine that has other `OTelHooks` too is left to those; so with the hooks that `instrument` installs.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        config: SeptumConfig | None = None,
        **fields: Unpack[Fields],
    ) -> None:
        """Make hooks that record nothing yet.

        Args:
            tracer_provider: Where spans are made; None means the global provider, also one that the program sets later. So for the others.
            meter_provider: Where instruments are made.
            logger_provider: Where events are emitted.
            config: The settings; None for those of the environment.
            fields: Fields of `SeptumConfig` that differ from that.

        Raises:
            TypeError: A provider is none, or a field is unknown or of another type.
            ValueError: A field has a value that is not allowed.
        """
        for name, provider, method in (
            ("tracer_provider", tracer_provider, "get_tracer"),
            ("meter_provider", meter_provider, "get_meter"),
            ("logger_provider", logger_provider, "get_logger"),
        ):
            if provider is not None and not callable(getattr(provider, method, None)):
                kind = "".join(word.capitalize() for word in name.split("_"))
                raise TypeError(
                    f"{name} must be an OpenTelemetry {kind} or None, not {provider!r}; "
                    f"opentelemetry.sdk.{ {'get_tracer': 'trace', 'get_meter': 'metrics'}.get(method, '_logs') }.{kind}() makes one"
                )
        self.tracer_provider = tracer_provider
        self.meter_provider = meter_provider
        self.logger_provider = logger_provider
        self.config = SeptumConfig.of(config, fields)
        self._runs = Runs()
        tracer = get_tracer(semconv.SCOPE, _version(), tracer_provider, schema_url=semconv.SCHEMA_URL)
        self._segments = Segments(tracer, self.config, self._runs)
        self._working = Working(self._segments)
        self._tracing = HandlerTracing(self._segments) if self.config.detail == "handlers" else Tracing(self._segments)
        self._ends = Ends(self._segments)
        log = EventLog(logger_provider, _version())
        self._log = log
        self._events = Events(log, self._runs)
        self._failures = Failures(log, self._runs, events=False)
        self._instruments: Instruments | None = None
        self._counting: dict[bool, Counting] | None = None
        self._sink: LogsSink | None = None
        self._recorder: Recorder | None = None
        if self.config.record != "off":
            self._record(self.config.record)
        self._closed = False
        self.gives_way = False
        self._measure()
        _detached.install()

    def _record(self, level: Level) -> None:
        """Make a recorder; what it is made of is imported only by those who record."""
        from septum.otel._recording import LogsSink, Payloads  # noqa: PLC0415 - see the docstring
        from septum.replay import Recorder  # noqa: PLC0415 - as above

        self._sink = LogsSink(self.logger_provider)
        self._recorder = Recorder(self._sink, level=level)
        if level == "inline":
            self._tracing.payloads = Payloads(self._recorder)

    def _measure(self) -> None:
        """Make the instruments, once there is somebody who wants them."""
        if self._instruments is not None or self.config.metrics == "off":
            return
        provider = get_meter_provider() if self.meter_provider is None else self.meter_provider
        # The API's own stand-in for a provider that may come later.
        if isinstance(provider, NoOpMeterProvider) or type(provider).__name__ == "_ProxyMeterProvider":
            return
        meter = provider.get_meter(semconv.SCOPE, _version() or "", semconv.SCHEMA_URL)
        self._instruments = Instruments(meter, self._runs, self.config.metrics)
        kind = HOOKS[self.config.metrics]
        self._counting = {traced: kind(self._instruments, self._runs, exemplars=traced) for traced in (False, True)}

    def run_started(self, fact: facts.RunStarted, /) -> None:
        """Open the run."""
        self._segments.sweep()
        if self._closed or (self.gives_way and self._has_its_own(fact.machine)):
            return
        known = self._runs.pop(fact.run_id, None)
        if known is not None:
            # Detached and attached again in mid-run: what happened in between was not seen.
            self._segments.end(known, semconv.RunOutcome.CONTINUED, semconv.VisitOutcome.CONTINUED, known.last)
        run = Run(fact)
        self._measure()
        self._segments.begin(run, fact)
        if self._instruments is not None:
            self._instruments.begin(run)
        if self._has_events(run):
            self._events.begin(run, fact)
        if self._recorder is not None and self._sink is not None and not run.suppressed and self._sink.is_on():
            # Told before anybody works in the run's span; what the recording begins with belongs to it all the same.
            token = attach(get_current() if run.context is None else run.context)
            try:
                self._recorder.run_started(fact)
            finally:
                detach(token)

    def _has_its_own(self, machine: StateMachine[Any] | None) -> bool:
        return machine is not None and any(isinstance(hook, OTelHooks) and hook is not self for hook in machine.hooks)

    def _has_events(self, run: Run) -> bool:
        return self.config.events and not run.suppressed and self._log.is_on()

    def delegates(self, run: facts.Origin, /) -> Iterable[Hooks]:
        """Return the hooks for what is wanted of this run."""
        known = self._runs.get(run[2])
        if known is None or self._closed:
            return (self,)
        span = known.span
        traced = not known.suppressed and (self.config.trace_scope != "run" or (span is not None and span.is_recording()))
        sent: list[Hooks] = [self._tracing if traced else self._working]
        if self._has_events(known):
            sent.append(self._events)
        elif traced:
            sent.append(self._failures)
        if self._counting is not None and not known.suppressed:
            sent.append(self._counting[traced])
        if self._recorder is not None and self._recorder.is_recording(run[2]):
            sent.append(self._recorder)
        sent.append(self._ends)
        return sent

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Close a run that others were not sent to."""
        self._ends.run_ended(fact)

    def close(self) -> None:
        """End every open span as `continued` and record nothing more; the machines run on."""
        self._closed = True
        for run_id, run in list(self._runs.items()):
            self._segments.end(run, semconv.RunOutcome.CONTINUED, semconv.VisitOutcome.CONTINUED, run.last)
            self._runs.pop(run_id, None)
        if self._recorder is not None:
            self._recorder.close()

    def __repr__(self) -> str:
        return f"<OTelHooks {self.config}>"


def _version() -> str | None:
    """Return Septum's version; None when it runs from a directory that was never installed."""
    try:
        return version("septum")
    except PackageNotFoundError:
        return None
