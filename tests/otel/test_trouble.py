"""Telemetry in trouble: machines do what they did, nothing grows, and it is counted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import septum
from septum import LabeledTransition, Retry, StateConfiguration, StateMachine
from septum.otel import OTelHooks
from septum.testing import ManualClock, RecorderHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan


class Do(Enum):
    """What to do next."""

    GO = auto()
    FAIL = auto()


@septum.state(config=StateConfiguration(can_dwell=True, timeout=5.0, retries=1))
def Work() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is Do.FAIL:
            raise LookupError("no such order")
        return ctx.msg

    @septum.on_timeout
    async def on_timeout(ctx):
        return Do.GO

    @septum.transitions
    def transitions():
        return [LabeledTransition(Do.GO, Rest), Retry]


@septum.state(config=StateConfiguration(can_dwell=True))
def Rest() -> None:
    @septum.on_state
    async def on_state(ctx):
        return ctx.msg

    @septum.transitions
    def transitions():
        return [LabeledTransition(Do.GO, Work)]


async def live(*hooks: septum.Hooks, between: Callable[[], object] = lambda: None) -> list[Any]:
    """Lead a machine through messages, a failure and a timeout; return what a recorder was told."""
    recorder, clock = RecorderHooks(), ManualClock()
    async with StateMachine(Work, name="M", machine_id="m-1", hooks=[recorder, *hooks], clock=clock) as fsm:
        for message in (Do.GO, Do.GO, Do.FAIL, Do.GO, Do.GO):
            fsm.send_message(message)
            try:
                await fsm.tick()
            except LookupError:
                between()
        await clock.advance(6.0)
        await fsm.tick()
    return [
        (
            type(fact).__name__,
            fact.seq,
            fact.visit,
            fact.at,
            *(repr(getattr(fact, field)) for field in fact.own_fields if field != "definition"),
        )
        for fact in recorder.facts
    ]


class Broken(SpanExporter):
    """Cannot export anything."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Fail."""
        raise ConnectionError("the collector is down")


class Dropping(SpanExporter):
    """Drops everything."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Do nothing."""
        return SpanExportResult.SUCCESS


def with_spans(processor: Any, **arguments: Any) -> tuple[TracerProvider, OTelHooks]:
    """Return a provider with *processor*, and hooks that use it."""
    provider = TracerProvider(shutdown_on_exit=False, **arguments)
    provider.add_span_processor(processor)
    return provider, OTelHooks(tracer_provider=provider, metrics="off")


@pytest.fixture
def plain() -> list[Any]:
    return asyncio.run(live())


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
def test_an_exporter_that_raises_is_not_noticed(plain: list[Any], processor: Any) -> None:
    """The SDK logs it; the machine's facts are those of a machine without telemetry."""
    provider, hooks = with_spans(processor(Broken()))
    assert asyncio.run(live(hooks)) == plain
    provider.shutdown()


def test_a_provider_that_is_shut_down_in_the_middle_is_not_noticed(plain: list[Any]) -> None:
    """Spans begun later go nowhere."""
    provider, hooks = with_spans(SimpleSpanProcessor(Broken()))
    assert asyncio.run(live(hooks, between=provider.shutdown)) == plain


def test_a_sampler_that_drops_everything_is_not_noticed(plain: list[Any]) -> None:
    """Nothing is recorded and nothing is different."""
    _, hooks = with_spans(SimpleSpanProcessor(Broken()), sampler=ALWAYS_OFF)
    assert asyncio.run(live(hooks)) == plain


def test_suppressed_instrumentation_makes_no_spans(plain: list[Any]) -> None:
    """A run that begins under `suppress_instrumentation()` is left alone."""
    _, hooks = with_spans(SimpleSpanProcessor(Broken()))
    with suppress_instrumentation():
        assert asyncio.run(live(hooks)) == plain


class Hostile:
    """A tracer provider whose tracers raise."""

    def get_tracer(self, *_: Any, **__: Any) -> Any:
        """Return what raises."""
        return self

    def start_span(self, *_: Any, **__: Any) -> Any:
        """Fail."""
        raise RuntimeError("no spans today")


def test_a_tracer_that_raises_is_counted_and_logged_once(plain: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    """The machine goes on as without telemetry; `septum.hook.errors` says how often, the log says it once."""
    reader = InMemoryMetricReader()
    hostile: Any = Hostile()
    hooks = OTelHooks(tracer_provider=hostile, meter_provider=MeterProvider([reader], shutdown_on_exit=False))
    before = septum.hooks.errors().get("OTelHooks", 0)
    assert asyncio.run(live(hooks)) == plain
    assert asyncio.run(live(hooks)) == plain
    assert septum.hooks.errors()["OTelHooks"] - before == 2
    assert [record.getMessage().split(";")[0] for record in caplog.records if record.name == "septum.hooks"] == [
        "hook OTelHooks raised RuntimeError"
    ]


def test_machines_that_come_and_go_leave_nothing() -> None:
    """A thousand machines, a third of them dropped in the middle of a run: no run is kept, every span is ended."""
    _, hooks = with_spans(SimpleSpanProcessor(Dropping()))

    async def main() -> None:
        for number in range(300):
            fsm: StateMachine[Any] = StateMachine(Rest, hooks=[hooks])
            fsm.send_message(None)
            await fsm.tick()
            if number % 3:
                await fsm.close()
        del fsm
        async with StateMachine(Rest, hooks=[hooks]):
            pass

    asyncio.run(main())
    assert (len(hooks._runs), len(hooks._runs.vanished)) == (0, 0)


def test_a_label_beyond_two_hundred_and_fifty_six_is_counted_as_other() -> None:
    """No program can make series without end."""
    reader = InMemoryMetricReader()
    hooks = OTelHooks(meter_provider=MeterProvider([reader], shutdown_on_exit=False), metrics="counts", events=False)
    errors = [type(f"Error{number}", (Exception,), {}) for number in range(300)]

    async def main() -> None:
        async with StateMachine(Rest, name="M", hooks=[hooks]) as fsm:
            for error in errors:
                fsm.send_message(error())
                with pytest.raises(error):
                    await fsm.tick()

    asyncio.run(main())
    data: Any = reader.get_metrics_data()
    (points,) = [metric.data.data_points for metric in data.resource_metrics[0].scope_metrics[0].metrics if metric.name == "septum.errors"]
    counts = {point.attributes["error.type"]: point.value for point in points}
    assert (len(counts), counts["_OTHER"], sum(counts.values())) == (257, 44, 300)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_forked_after_instrumenting_goes_on() -> None:
    """Parent and child both run their machines, with their own spans."""
    code = """
import asyncio, os, sys
import septum, septum.otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from septum import StateConfiguration, StateMachine

@septum.state(config=StateConfiguration(terminal=True))
def Done():
    @septum.on_state
    async def on_state(ctx):
        pass

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: f"{os.getpid() == first} {span.name}\\n")))
first = os.getpid()
septum.otel.instrument(tracer_provider=provider, metrics="off")
asyncio.run(StateMachine(Done, name="before").serve())
provider.force_flush()
child = os.fork()
asyncio.run(StateMachine(Done, name="after").serve())
provider.force_flush()
if child:
    os.waitpid(child, 0)
sys.stdout.flush()
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert sorted(done.stdout.split("\n")) == [
        "",
        "False run after",
        "False visit after.Done",
        "True run after",
        "True run before",
        "True visit after.Done",
        "True visit before.Done",
    ], done.stderr
