"""An SDK that raises anywhere, hangs, or comes late: the machine does not notice, nothing stays current, and nothing grows."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import INVALID_SPAN, get_current_span

import septum
from septum import StateMachine
from septum.otel import OTelHooks
from tests.otel.test_trouble import Do, Rest, live

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan


@pytest.fixture
def plain() -> list[Any]:
    return asyncio.run(live())


class Failing(SpanProcessor):
    """Raises at one of its calls, or from one on."""

    def __init__(self, at: int, *, ever_after: bool) -> None:
        self._at = at
        self._ever_after = ever_after
        self.calls = 0

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self._at or (self._ever_after and self.calls > self._at):
            raise RuntimeError("a processor of the user's own")

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Perhaps fail."""
        self._call()

    def on_end(self, span: ReadableSpan) -> None:
        """Perhaps fail."""
        self._call()


@pytest.mark.parametrize("trace_scope", ["run", "visit", "message"])
@pytest.mark.parametrize("detail", ["visits", "auto", "handlers"])
@pytest.mark.parametrize("ever_after", [False, True])
def test_a_processor_that_raises_at_any_moment_is_not_noticed(plain: list[Any], trace_scope: Any, detail: Any, ever_after: bool) -> None:
    """Facts are those without telemetry, nothing stays current in the driver's task, and no run is kept, wherever it raises."""

    async def drive(hooks: OTelHooks) -> list[Any]:
        found = await live(hooks)
        assert get_current_span() is INVALID_SPAN
        return found

    at = 0
    while True:
        at += 1
        failing = Failing(at, ever_after=ever_after)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(failing)
        hooks = OTelHooks(tracer_provider=provider, metrics="off", detail=detail, trace_scope=trace_scope, segment_max_visits=2)
        assert asyncio.run(drive(hooks)) == plain, at
        assert dict(hooks._runs) == {}, at
        if failing.calls < at:
            break
    assert at > 10


class Hanging(SpanExporter):
    """Takes as long as a test wants it to."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Wait."""
        self.asked.set()
        assert self.go_on.wait(30)
        self.spans += spans
        return SpanExportResult.SUCCESS


def test_an_exporter_that_hangs_holds_nobody_up() -> None:
    """The machine is through while the exporter still hangs; what does not fit into the processor's queue is dropped."""
    exporter = Hanging()
    processor = BatchSpanProcessor(exporter, max_queue_size=16, max_export_batch_size=8, schedule_delay_millis=1)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    hooks = OTelHooks(tracer_provider=provider, metrics="off")

    async def main() -> int:
        async with StateMachine(Rest, hooks=[hooks]) as fsm:
            for _ in range(200):
                fsm.send_message(None)
                await fsm.tick()
            return fsm.stats().handled

    assert asyncio.run(main()) == 200
    assert not exporter.go_on.is_set()
    exporter.go_on.set()
    provider.shutdown()
    assert 0 < len(exporter.spans) <= 8 + 16
    assert dict(hooks._runs) == {}


class Down(SpanExporter):
    """Cannot export, and says so without a log record each time, which pytest would keep."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Fail."""
        return SpanExportResult.FAILURE


@pytest.mark.slow
@pytest.mark.parametrize("trace_scope", ["run", "visit", "message"])
def test_nothing_grows_while_the_collector_is_down(trace_scope: Any) -> None:
    """After 3,000 visits of a machine there are as many objects as after 2,000."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Down(), max_queue_size=32, max_export_batch_size=16, schedule_delay_millis=1))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    hooks = OTelHooks(tracer_provider=provider, meter_provider=meters, metrics="full", trace_scope=trace_scope, detail="handlers")

    async def main() -> list[int]:
        counts: list[int] = []
        async with StateMachine(Rest, machine_id="m", hooks=[hooks]) as fsm:
            for _ in range(3):
                for _ in range(1000):
                    fsm.send_message(Do.GO)
                    await fsm.tick()
                provider.force_flush()
                gc.collect()
                counts.append(len(gc.get_objects()))
        return counts

    _, before, after = asyncio.run(main())
    provider.shutdown()
    assert after - before < 100


def test_what_a_hook_raised_is_a_metric() -> None:
    """`septum.hook.errors` by the hook's class, also when it is telemetry itself that fails."""
    reader = InMemoryMetricReader()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Failing(1, ever_after=True))
    hooks = OTelHooks(tracer_provider=provider, meter_provider=MeterProvider([reader], shutdown_on_exit=False))
    asyncio.run(live(hooks))
    data: Any = reader.get_metrics_data()
    (points,) = [m.data.data_points for m in data.resource_metrics[0].scope_metrics[0].metrics if m.name == "septum.hook.errors"]
    counts = {point.attributes["septum.hook.name"]: point.value for point in points}
    assert counts == septum.hooks.errors()
    assert counts["OTelHooks"] > 0


LATE = """
import asyncio
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, export as logs
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import septum, septum.otel
from septum import StateConfiguration, StateMachine

@septum.state(config=StateConfiguration(can_dwell=True))
def Idle():
    @septum.on_state
    async def on_state(ctx):
        pass

async def main():
    septum.otel.instrument()
    one, two = StateMachine(Idle, name="One"), StateMachine(Idle, name="Two")
    await one.tick()
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    records = getattr(logs, "InMemoryLogRecordExporter", None) or logs.InMemoryLogExporter
    records = records()
    provider, logger_provider = TracerProvider(), LoggerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    logger_provider.add_log_record_processor(logs.SimpleLogRecordProcessor(records))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    set_logger_provider(logger_provider)
    await two.tick()
    await one.reset()
    await one.tick()
    for fsm in (one, two):
        await fsm.close()
    print(sorted(span.name for span in spans.get_finished_spans()))
    told = [data.log_record for data in records.get_finished_logs()]
    print(sorted(record.event_name + " " + record.attributes["septum.machine.name"] for record in told))
    found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    (active,) = [metric.data.data_points for metric in found if metric.name == "septum.machine.active"]
    print(sorted((point.attributes["septum.machine.name"], point.value) for point in active))

asyncio.run(main())
"""


@pytest.mark.slow
def test_providers_that_are_set_after_machines_were_made_serve_the_runs_from_then_on() -> None:
    """All three signals, for a machine that has not run and for the next run of one that has."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", LATE], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == [
        "['run One', 'run Two', 'visit One.Idle', 'visit Two.Idle']",
        # The definition once: both machines have the same.
        str(["septum.machine.definition Two", *(f"septum.run.{what} {name}" for what in ("end", "start") for name in ("One", "Two"))]),
        "[('One', 0), ('Two', 0)]",
    ], done.stderr
