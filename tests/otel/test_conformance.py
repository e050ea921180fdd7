"""The checker that compares exports with the registry has a sentence for whatever is wrong or missing, and none for what is right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from septum import semconv
from tests.otel.conformance import Conformance, LogExporter, WatchingMeterProvider

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "a secret of the sender"
RIGHT = (semconv.SCOPE, semconv.SCHEMA_URL)
OTHERS = InstrumentationScope("httpx")
SCOPE = InstrumentationScope(semconv.SCOPE, "1.0", semconv.SCHEMA_URL)
IDENTITY: dict[str, Any] = {"septum.machine.name": "Order", "septum.machine.id": "order-4711", "septum.run.id": "run-0815"}
VISIT: dict[str, Any] = {
    **IDENTITY,
    "septum.operation.name": "visit",
    "septum.state.name": "Open",
    "septum.visit.number": 1,
    "septum.transition.kind": "initial",
    "septum.visit.outcome": "completed",
    "septum.seq": 2,
}
POINT = {"septum.machine.name": "Order"}
EVENT: dict[str, Any] = {
    **IDENTITY,
    "septum.state.name": "Open",
    "septum.visit.number": 1,
    "septum.dwell": 12.5,
    "septum.dwell.limit": 10.0,
}


def span(changes: dict[str, Any] | None = None, **other: Any) -> ReadableSpan:
    """Return a visit's span as it should be, but for *changes* of its attributes (None takes one away) and whatever *other* says."""
    attributes = {key: value for key, value in {**VISIT, **(changes or {})}.items() if value is not None}
    right = {"name": "visit Order.Open", "kind": SpanKind.INTERNAL, "start_time": 1, "end_time": 2, "instrumentation_scope": SCOPE}
    return ReadableSpan(**{**right, "attributes": attributes, **other})


def link(changes: dict[str, Any]) -> ReadableSpan:
    """Return a visit's span with a link that has these attributes."""
    return span(links=[Link(SpanContext(1, 1, is_remote=False), changes)])


FAILED = Status(StatusCode.ERROR, "it broke")


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (span({"septum.color": "red"}), "span septum.visit has the attribute septum.color, which is not declared for it"),
        (span({"septum.drop.reason": "closed"}), "span septum.visit has the attribute septum.drop.reason, which is not declared for it"),
        (span({"septum.state.name": None}, name="visit Order.None"), "span septum.visit lacks the attribute septum.state.name"),
        (span({"septum.visit.number": True}), "span septum.visit has septum.visit.number = True, which is no int"),
        (span({"septum.visit.number": "1"}), "span septum.visit has septum.visit.number = '1', which is no int"),
        (span({"septum.timeout.duration": 5}), "span septum.visit has septum.timeout.duration = 5, which is no double"),
        (span({"septum.stack": "Open"}), "span septum.visit has septum.stack = 'Open', which is no string[]"),
        (span({"septum.stack": ("Open", 1)}), "span septum.visit has septum.stack = ('Open', 1), which is no string[]"),
        (span({"septum.visit.outcome": "left"}), "span septum.visit has septum.visit.outcome = 'left', which is no member of its set"),
        (span({"septum.operation.name": "walk"}), "span 'visit Order.Open' is of no kind that is declared"),
        (span({"septum.operation.name": "replay"}), "span 'visit Order.Open' is of no kind that is declared"),
        (span(kind=SpanKind.SERVER), "span septum.visit has the kind 'server', declared is 'internal'"),
        (span(name="visit Order"), "span septum.visit has the name 'visit Order', declared is 'visit Order.Open'"),
        (
            span({"septum.state.name": "order-4711"}, name="visit Order.order-4711"),
            "span septum.visit has the value of septum.machine.id in its name: 'visit Order.order-4711'",
        ),
        (
            span({"septum.state.name": SECRET}, name="visit Order.Open"),
            f"span septum.visit has the name 'visit Order.Open', declared is 'visit Order.{SECRET}'",
        ),
        (span({"septum.stack": (SECRET,)}), f"span septum.visit tells what users sent, in septum.stack: ('{SECRET}',)"),
        (span(status=Status(StatusCode.OK)), "span septum.visit has the status OK"),
        (span(status=FAILED), "span septum.visit has either error.type or the status ERROR, not both"),
        (span({"error.type": "KeyError"}), "span septum.visit has either error.type or the status ERROR, not both"),
        (span(end_time=None), "span septum.visit ends before it starts, or never"),
        (span(end_time=0), "span septum.visit ends before it starts, or never"),
        (span(events=[Event("septum.transition")]), "span septum.visit has a span event 'septum.transition'"),
        (
            span(events=[Event("exception", {"exception.color": "red"})]),
            "span septum.visit has a span event 'exception', with exception.color",
        ),
        (link({}), "link lacks the attribute septum.link.type"),
        (link({"septum.link.type": "friend"}), "link has septum.link.type = 'friend', which is no member of its set"),
        (
            span(links=[Link(SpanContext(0, 0, is_remote=False), {"septum.link.type": "cause"})]),
            "span septum.visit has a link to nothing",
        ),
        (
            span(instrumentation_scope=InstrumentationScope("septum", "1.0", "")),
            f"span 'visit Order.Open' has the scope and schema URL ('septum', ''), declared is {RIGHT!r}",
        ),
        (
            span(instrumentation_scope=InstrumentationScope("septum.otel", "1.0", semconv.SCHEMA_URL)),
            f"span 'visit Order.Open' has the scope and schema URL {('septum.otel', semconv.SCHEMA_URL)!r}, declared is {RIGHT!r}",
        ),
        (
            span(instrumentation_scope=OTHERS),
            "span 'visit Order.Open' has Septum's attributes but the scope of somebody else",
        ),
    ],
)
def test_a_span_that_is_not_as_declared_is_a_problem(wrong: ReadableSpan, problem: str) -> None:
    """Whatever is changed in a span that is right, the checker has a sentence for just that."""
    conformance = Conformance(secrets=[SECRET])
    conformance.see_spans([span(), span({"error.type": "KeyError"}, status=FAILED), link({"septum.link.type": "cause"})])
    conformance.see_spans([ReadableSpan("GET", instrumentation_scope=OTHERS)])
    assert conformance.problems == []
    conformance.see_spans([wrong, wrong])
    assert problem in conformance.problems
    assert len(conformance.problems) <= 2


def enqueued(value: object = 3, attributes: dict[str, Any] = POINT, *, monotonic: bool = True, **other: Any) -> Metric:
    """Return the metric of accepted messages."""
    data = Sum([NumberDataPoint(attributes, 1, 2, value)], AggregationTemporality.CUMULATIVE, monotonic)
    metric = Metric(
        semconv.Metric.ENQUEUED_MESSAGES.name, semconv.Metric.ENQUEUED_MESSAGES.brief, semconv.Metric.ENQUEUED_MESSAGES.unit, data
    )
    return replace(metric, **other)


def waited(total: object = 0.5, bounds: tuple[float, ...] = semconv.Metric.MESSAGE_WAIT_DURATION.buckets) -> Metric:
    """Return the histogram of waiting times."""
    point = HistogramDataPoint(POINT, 1, 2, 1, total, [0] * (len(bounds) + 1), bounds, 0.5, 0.5)
    made = semconv.Metric.MESSAGE_WAIT_DURATION
    return Metric(made.name, made.brief, made.unit, Histogram([point], AggregationTemporality.CUMULATIVE))


BUCKETS = list(semconv.Metric.MESSAGE_WAIT_DURATION.buckets)


def exported(*metrics: Metric, scope: InstrumentationScope = SCOPE) -> MetricsData:
    """Return *metrics* as a reader has them."""
    return MetricsData([ResourceMetrics(Resource({}), [ScopeMetrics(scope, list(metrics), "")], "")])


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (enqueued(name="septum.color"), "metric septum.color is not declared"),
        (enqueued(unit="1"), "metric septum.enqueued.messages has the unit '1', declared is '{message}'"),
        (
            enqueued(description="Many."),
            f"metric septum.enqueued.messages has the description 'Many.', declared is {semconv.Metric.ENQUEUED_MESSAGES.brief!r}",
        ),
        (enqueued(monotonic=False), "metric septum.enqueued.messages has the instrument 'updowncounter', declared is 'counter'"),
        (
            replace(waited(), name="septum.enqueued.messages"),
            "metric septum.enqueued.messages has the instrument 'histogram', declared is 'counter'",
        ),
        (enqueued(2.0), "metric septum.enqueued.messages has the value 2.0, which is no int"),
        (enqueued(True), "metric septum.enqueued.messages has the value True, which is no int"),
        (enqueued(-1), "metric septum.enqueued.messages has the negative value -1"),
        (enqueued(attributes={}), "metric septum.enqueued.messages lacks the attribute septum.machine.name"),
        (
            enqueued(attributes={**POINT, "septum.machine.id": "order-4711"}),
            "metric septum.enqueued.messages has the attribute septum.machine.id, which is not declared for it",
        ),
        (
            enqueued(data=Sum([], AggregationTemporality.CUMULATIVE, is_monotonic=True)),
            "metric septum.enqueued.messages was exported without a point",
        ),
        (waited(3), "metric septum.message.wait.duration has the value 3, which is no float"),
        (
            waited(bounds=(1.0,)),
            f"metric septum.message.wait.duration has the buckets [1.0], declared is {BUCKETS!r}",
        ),
    ],
)
def test_a_metric_that_is_not_as_declared_is_a_problem(wrong: Metric, problem: str) -> None:
    """Whatever is changed in a metric that is right, the checker has a sentence for just that."""
    conformance = Conformance()
    conformance.see_metrics(None)
    conformance.see_metrics(exported(enqueued(), waited()))
    conformance.see_metrics(exported(Metric("http.requests", "", "1", Sum([], AggregationTemporality.DELTA, True)), scope=OTHERS))
    assert conformance.problems == []
    conformance.see_metrics(exported(wrong))
    assert problem in conformance.problems


def test_a_metric_under_another_scope_is_a_problem() -> None:
    """Septum's names belong to Septum's scope, with its schema URL."""
    conformance = Conformance()
    conformance.see_metrics(exported(enqueued(), scope=OTHERS))
    conformance.see_metrics(exported(enqueued(), scope=InstrumentationScope("septum", "1.0", "")))
    assert conformance.problems == [
        "metric septum.enqueued.messages has the scope of somebody else",
        f"metric septum.enqueued.messages has the scope and schema URL ('septum', ''), declared is {RIGHT!r}",
    ]


def test_an_instrument_that_is_not_as_declared_is_a_problem() -> None:
    """Observable or not, unit and description are seen where the instrument is made, by position and by name; and it works as before."""
    conformance, watching = Conformance(), WatchingMeterProvider(MeterProvider(shutdown_on_exit=False))
    meter = watching.get_meter("septum")
    accepted, waiting, usage = semconv.Metric.ENQUEUED_MESSAGES, semconv.Metric.MESSAGE_WAIT_DURATION, semconv.Metric.MAILBOX_USAGE
    meter.create_observable_counter(accepted.name, [], accepted.unit, accepted.brief)
    meter.create_histogram(waiting.name, waiting.unit, description=waiting.brief).record(1.0)
    meter.create_observable_up_down_counter(usage.name, callbacks=[], unit=usage.unit, description=usage.brief)
    conformance.see_instruments(watching)
    assert conformance.problems == []

    meter.create_counter(accepted.name, unit="1", description=accepted.brief).add(1)
    meter.create_counter("septum.color")
    conformance.see_instruments(watching)
    assert conformance.problems == [
        "metric septum.enqueued.messages has the instrument 'counter', declared is 'observable_counter'",
        "metric septum.enqueued.messages has the unit '1', declared is '{message}'",
        "metric septum.color is not declared",
    ]


def emit(conformance: Conformance, *, scope: str = semconv.SCOPE, schema_url: str = semconv.SCHEMA_URL, **changes: Any) -> None:
    """Show *conformance* the event of an overdue visit, as it should be but for *changes*."""
    provider, exporter = LoggerProvider(shutdown_on_exit=False), LogExporter()
    provider.add_log_record_processor(log_export.SimpleLogRecordProcessor(exporter))
    right = {"timestamp": 1, "severity_number": SeverityNumber.WARN, "attributes": EVENT, "event_name": "septum.state.overdue"}
    provider.get_logger(scope, schema_url=schema_url).emit(LogRecord(**{**right, **changes}))
    conformance.see_logs(exporter.get_finished_logs())
    provider.shutdown()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"event_name": "septum.color"}, "event 'septum.color' is not declared"),
        ({"event_name": None}, "event '' is not declared"),
        ({"severity_number": SeverityNumber.INFO}, "event septum.state.overdue has the severity INFO"),
        ({"severity_text": "warning"}, "event septum.state.overdue has the severity WARN with the text 'warning'"),
        ({"body": {"a": 1}}, "event septum.state.overdue has the body {'a': 1}"),
        ({"body": f"got {SECRET}"}, f"event septum.state.overdue tells what users sent, in body: 'got {SECRET}'"),
        ({"timestamp": None}, "event septum.state.overdue has no timestamp"),
        (
            {"attributes": {**EVENT, "error.type": "KeyError"}},
            "event septum.state.overdue has the attribute error.type, which is not declared for it",
        ),
        ({"attributes": {**EVENT, "septum.dwell": 12}}, "event septum.state.overdue has septum.dwell = 12, which is no double"),
        ({"scope": "httpx"}, "event septum.state.overdue has the scope of somebody else"),
        (
            {"schema_url": ""},
            f"event septum.state.overdue has the scope and schema URL ('septum', ''), declared is {RIGHT!r}",
        ),
    ],
)
def test_an_event_that_is_not_as_declared_is_a_problem(changes: dict[str, Any], problem: str) -> None:
    """Whatever is changed in an event that is right, the checker has a sentence for just that."""
    conformance = Conformance(secrets=[SECRET])
    emit(conformance)
    emit(conformance, scope="httpx", event_name="request", severity_number=SeverityNumber.FATAL)
    assert conformance.problems == []
    emit(conformance, **changes)
    assert conformance.problems == [problem]


@pytest.mark.parametrize(
    ("show", "seen"),
    [
        (
            lambda conformance: conformance.see_spans([link({"septum.link.type": "cause"})]),
            {
                "span septum.visit",
                *(f"span septum.visit: {key}" for key in VISIT),
                "link: septum.link.type",
                "septum.operation.name: visit",
                "septum.transition.kind: initial",
                "septum.visit.outcome: completed",
                "septum.link.type: cause",
            },
        ),
        (
            lambda conformance: conformance.see_metrics(exported(enqueued())),
            {"metric septum.enqueued.messages", "metric septum.enqueued.messages: septum.machine.name"},
        ),
        (
            emit,
            {
                "event septum.state.overdue",
                *(f"event septum.state.overdue: {key}" for key in EVENT),
                "event septum.state.overdue: severity WARN",
            },
        ),
    ],
)
def test_what_was_declared_and_not_exported_is_told(show: Callable[[Conformance], None], seen: set[str]) -> None:
    """Whatever is exported is no longer missing, down to single members of closed sets; reserved ones are never missing."""
    conformance = Conformance()
    before = set(conformance.unseen)
    show(conformance)
    now = set(conformance.unseen)
    named = {line for line in seen if ":" not in line}
    # A signal that never came is one line, not one for each attribute.
    assert before - now == {line for line in seen if line in before}
    assert named <= before
    assert now & seen == set()
    assert not {"septum.operation.name: replay"} & before
