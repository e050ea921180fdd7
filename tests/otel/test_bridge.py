"""Events as span events: the conditions of the specification, one by one, and what is copied."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan

from septum.otel._bridge import EventToSpanEventProcessor

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kept(LogRecordProcessor):
    """Keeps the names of the records that come by; a processor that exports would stand here."""

    def __init__(self) -> None:
        self.names: list[str | None] = []

    def on_emit(self, log_record: Any) -> None:
        self.names.append(log_record.log_record.event_name)

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


class Bench:
    """A tracer, and a logger whose records go through the bridge and then to `kept`."""

    def __init__(self) -> None:
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracer = self.tracers.get_tracer("t")
        self.kept = Kept()
        self.bridge = EventToSpanEventProcessor()
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(self.bridge)
        self.loggers.add_log_record_processor(self.kept)
        self.logger: Any = self.loggers.get_logger("l")

    def span(self, name: str = "visit") -> tuple[Any, context.Context]:
        """Return a new span and a context in which it is current."""
        span = self.tracer.start_span(name)
        return span, trace.set_span_in_context(span)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.loggers.shutdown()
    made.tracers.shutdown()


@pytest.fixture(autouse=True)
def _no_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """OpenTelemetry finds nothing to complain of, such as an event added to an ended span."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def events(span: Any) -> list[tuple[str, int, dict[str, Any]]]:
    return [(event.name, event.timestamp, dict(event.attributes or {})) for event in span.events]


def test_an_event_is_copied_to_the_span_of_its_context(bench: Bench) -> None:
    """Name, timestamp and all attributes; the context is the record's own, whatever else is current."""
    span, here = bench.span()
    attributes = {"septum.state.name": "Idle", "septum.visit.number": 3, "septum.stack": ("A", "B"), "dwell": 1.5, "last": True}

    with bench.tracer.start_as_current_span("another") as another:
        bench.logger.emit(
            event_name="septum.transition",
            context=here,
            timestamp=17,
            severity_number=SeverityNumber.INFO,
            body={"not": "copied"},
            attributes=attributes,
        )

    assert events(span) == [("septum.transition", 17, attributes)]
    assert events(another) == []


def test_an_event_without_a_context_belongs_to_the_current_span(bench: Bench) -> None:
    """Emitted the plain way, by any library, inside a span."""
    with bench.tracer.start_as_current_span("current") as span:
        bench.logger.emit(event_name="app.paid", timestamp=17)

    assert events(span) == [("app.paid", 17, {})]


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"timestamp": 17, "observed_timestamp": 18}, 17), ({"observed_timestamp": 18}, 18), ({"timestamp": 0, "observed_timestamp": 18}, 0)],
)
def test_the_observed_timestamp_stands_in_for_a_missing_one(given: dict[str, int], expected: int, bench: Bench) -> None:
    """An event happened when it says, or else when it was seen."""
    span, here = bench.span()

    bench.logger.emit(event_name="e", context=here, **given)

    assert events(span) == [("e", expected, {})]


def test_several_events_keep_their_order(bench: Bench) -> None:
    """One span event for each, in the order of emission."""
    span, here = bench.span()

    for name in ("a", "b", "a"):
        bench.logger.emit(event_name=name, context=here, timestamp=1)

    assert events(span) == [("a", 1, {}), ("b", 1, {}), ("a", 1, {})]


def test_changing_the_record_later_does_not_change_the_span(bench: Bench) -> None:
    """Attributes are copied: a processor further on that redacts its record redacts only that."""

    class Redacting(Kept):
        def on_emit(self, log_record: Any) -> None:
            log_record.log_record.attributes["secret"] = "***"

    bench.loggers.add_log_record_processor(Redacting())
    span, here = bench.span()

    bench.logger.emit(event_name="e", context=here, timestamp=1, attributes={"secret": "s"})

    assert events(span) == [("e", 1, {"secret": "s"})]


@pytest.mark.parametrize("name", [None, ""])
def test_a_record_without_a_name_is_no_event(name: str | None, bench: Bench) -> None:
    """An ordinary log line is not copied."""
    span, here = bench.span()

    bench.logger.emit(event_name=name, body="a line", context=here)

    assert events(span) == []


def test_outside_of_any_span_nothing_is_copied(bench: Bench) -> None:
    """No valid trace and span id."""
    bench.logger.emit(event_name="e")

    assert bench.kept.names == ["e"]


def test_an_ended_span_gets_nothing_more(bench: Bench) -> None:
    """It is not recording any more, and nobody complains."""
    span, here = bench.span()
    span.end()

    bench.logger.emit(event_name="e", context=here)

    assert events(span) == []


def test_a_span_that_is_not_recorded_gets_nothing(bench: Bench) -> None:
    """Dropped by the sampler, or of another process."""
    dropped = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("t").start_span("dropped")

    for span in (dropped, NonRecordingSpan(bench.span()[0].get_span_context())):
        bench.logger.emit(event_name="e", context=trace.set_span_in_context(span))

    assert bench.kept.names == ["e", "e"]


@pytest.mark.parametrize("change", [{"trace_id": 7}, {"span_id": 7}, {"trace_id": 0}, {"span_id": 0}])
def test_a_record_that_names_another_span_is_not_copied(change: dict[str, int], bench: Bench) -> None:
    """Its ids were set to those of another span, or of none, than its context holds."""
    span, here = bench.span()

    class Meddling(Kept):
        def on_emit(self, log_record: Any) -> None:
            for name, value in change.items():
                setattr(log_record.log_record, name, value)
            bench.bridge.on_emit(log_record)

    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(Meddling())
    loggers.get_logger("l").emit(event_name="e", context=here)
    loggers.shutdown()

    assert events(span) == []


def test_the_record_goes_on_to_other_processors(bench: Bench) -> None:
    """Copied or not, every record arrives at the processor behind the bridge."""
    _, here = bench.span()

    bench.logger.emit(event_name="e", context=here)
    bench.logger.emit(body="a line", context=here)

    assert bench.kept.names == ["e", None]


def test_after_shutdown_nothing_is_copied(bench: Bench) -> None:
    """The span goes on without; flushing has nothing to wait for, before and after."""
    span, here = bench.span()
    assert bench.bridge.force_flush() is True

    bench.loggers.shutdown()
    bench.logger.emit(event_name="e", context=here)

    assert events(span) == []
    assert bench.bridge.force_flush(10) is True


def test_without_the_sdk_the_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ImportError that names the command."""
    monkeypatch.delitem(sys.modules, "septum.otel._bridge")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk._logs", None)

    with pytest.raises(ImportError) as raised:
        import_module("septum.otel._bridge")

    assert str(raised.value) == (
        'septum.otel.EventToSpanEventProcessor needs opentelemetry-sdk; install it with: pip install "septum[otlp]"'
    )
