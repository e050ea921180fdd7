"""What telemetry costs: Septum with `OTelHooks`, and beside it the span and the measurement that an engineer would write by hand.

Every subject has an SDK of its own, with a batch processor whose exporter drops what it gets; only making spans is measured, not sending.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from threading import Thread
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import NoOpTracerProvider, get_current_span, use_span

from septum import core, semconv
from septum.otel import OTelHooks
from septum.semconv import Metric as Instruments
from tests.bench import handlers
from tests.bench.metrics import Bench, Family, Loop, Metric, expect, machine_bench
from tests.bench.programs import Program, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

    Prepare = Callable[[], Coroutine[Any, Any, Loop]]

SERIES = 500
"""Series that a collection is timed with: machines of as many names as it takes."""

MANY_SERIES = 2_000
"""The same for a collection that a machine goes on beside: long enough that standing still for all of it would show."""

COMPUTED = 900_000
"""What a thread that only computes does: it takes as long as collecting so many series."""

VISIT = {
    semconv.OPERATION_NAME: semconv.Operation.VISIT,
    semconv.MACHINE_NAME: "bench",
    semconv.MACHINE_ID: "0199a0a5-5c1e-7a44-9d5e-3f3f0f5b7c11",
    semconv.RUN_ID: "0199a0a5-5c1e-7a44-9d5e-3f3f0f5b7c12",
    semconv.STATE_NAME: "bench.counting.One",
    semconv.SEQ: 7,
    semconv.TRANSITION_KIND: "label",
}
ENDED = {
    semconv.VISIT_OUTCOME: "transition",
    semconv.TRANSITION_TO_STATE: "bench.counting.Two",
    semconv.TRANSITION_LABEL: "Events.GO",
}
"""What a visit's span says when it begins, with the visit's number, and when it ends."""


class Nowhere(SpanExporter):
    """Drops spans, counts them, and remembers the last."""

    def __init__(self) -> None:
        self.last: ReadableSpan | None = None
        self.count = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Drop *spans*."""
        self.last = spans[-1]
        self.count += len(spans)
        return SpanExportResult.SUCCESS


class Tracing:
    """A tracer provider with a batch processor: the same for whoever makes spans here."""

    def __init__(self, *, sampled: bool = True) -> None:
        self.exporter = Nowhere()
        self.owed = 0
        sampler = ParentBased(ALWAYS_ON if sampled else ALWAYS_OFF)
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(self.exporter, max_queue_size=65536))

    def last(self) -> ReadableSpan | None:
        """Return the span that ended last."""
        self.provider.force_flush()
        return self.exporter.last

    def check(self, keys: set[str]) -> None:
        """Leave unless the last span of a state had attributes of just these *keys*."""
        span = self.last()
        found = set((span and span.attributes) or {})
        if found != keys:
            sys.exit(f"the span has {sorted(found)} and not {sorted(keys)}")

    def spans(self) -> int:
        """Return how many spans were exported so far."""
        self.provider.force_flush()
        return self.exporter.count

    def settle(self) -> None:
        """Let the exporter have what is queued; leave if a span was lost on the way, for that is cheaper than exporting it."""
        self.provider.force_flush()
        if self.exporter.count < self.owed:
            sys.exit(f"{self.owed} spans were made and {self.exporter.count} exported: the queue was full")

    def audited(self, prepare: Prepare) -> Prepare:
        """Return *prepare* with a loop that makes a span in each operation, and from whose samples none may be lost."""

        async def settled() -> Loop:
            self.settle()
            loop = await prepare()

            async def counted(count: int) -> None:
                await loop(count)
                self.owed += count

            return counted

        return settled


def bench(variant: str) -> Bench:
    """Return what is measured of telemetry.

    Args:
        variant: "traced", "unsampled", "counts", "states" and "collect" are Septum's; "span" and "record" are bare calls of the SDK,
            "thread" is a thread that only computes.
    """
    if variant == "span":
        tracing = Tracing()
        return Bench(metrics={"visit": Metric(prepare=tracing.audited(partial(_bare_span, tracing)))})
    if variant == "record":
        return Bench(metrics={"record": Metric(prepare=_bare_record)})
    if variant == "thread":
        return Bench(metrics={"pause": Metric(prepare=_pause_by_thread)})
    if variant == "collect":
        return Bench(metrics={"collect": Metric(prepare=_collect), "pause": Metric(prepare=_pause)})
    return _measured(variant) if variant in {"counts", "states"} else _traced(sampled=variant == "traced")


def _family(hook: OTelHooks) -> Bench:
    program = Program(core)
    return machine_bench(
        Family(
            machine=partial(core.StateMachine, hooks=(hook,), name="bench"),
            ticking=program.ticking,
            counting=program.counting,
            receiving=program.receiving,
            run=lambda fsm, count: fsm.run(max_iterations=count),
            drain=lambda fsm: fsm.run(timeout=0),
        )
    )


def _traced(*, sampled: bool) -> Bench:
    """Return Septum with spans, or with a sampler that wants none of them."""
    tracing = Tracing(sampled=sampled)
    hook = OTelHooks(tracer_provider=tracing.provider, meter_provider=NoOpMeterProvider(), metrics="off", events=False)
    found = _family(hook)
    run, tick = found.metrics["run"].prepare, found.metrics["tick"].prepare

    async def checked() -> Loop:
        await _check_current(hook, tracing, sampled=sampled)
        loop = await run()
        await loop(10)
        if sampled:
            tracing.check({*VISIT, *ENDED, semconv.VISIT_NUMBER})
        return loop

    if not sampled:
        return Bench(metrics={"run": Metric(prepare=checked)}, idle=found.idle)
    return Bench(
        metrics={"visit": Metric(prepare=tracing.audited(checked)), "tick": Metric(prepare=tracing.audited(tick))}, idle=found.idle
    )


async def _check_current(hook: OTelHooks, tracing: Tracing, *, sampled: bool) -> None:
    """Leave unless a handler finds the span of its visit current; or a span that is not sampled, and nothing was exported."""
    fsm = core.StateMachine(_looking(), hooks=(hook,), name="bench", common_data=[])
    await fsm.initialize()
    await fsm.run(max_iterations=2)
    seen: list[SpanContext] = fsm.common
    if not all(context.is_valid and context.trace_flags.sampled is sampled for context in seen):
        sys.exit(f"a handler found {seen} current")
    last = tracing.last()
    if sampled and (last is None or last.get_span_context() != seen[-1]):
        sys.exit("the span that was current in the handler is not the one that was exported")
    if not sampled and last is not None:
        sys.exit(f"a run that is not sampled exported {last.name!r}")


@cache
def _looking() -> Any:
    return pair(core, "bench.looking", _look, _look_back, core.StateConfiguration())


async def _look(ctx: Any) -> handlers.Events:
    ctx.common.append(get_current_span().get_span_context())
    return handlers.Events.GO


async def _look_back(ctx: Any) -> handlers.Events:
    return await _look(ctx)


def _measured(level: Any) -> Bench:
    """Return Septum with metrics of this *level* and nothing else."""
    reader = InMemoryMetricReader()
    hook = OTelHooks(tracer_provider=NoOpTracerProvider(), meter_provider=MeterProvider([reader]), metrics=level, events=False)
    found = _family(hook)

    def counted() -> tuple[int, int]:
        transitions = sum(point.value for point in _points(reader, Instruments.TRANSITIONS.name))
        return transitions, sum(point.count for point in _points(reader, Instruments.STATE_DURATION.name))

    async def checked() -> Loop:
        loop = await found.metrics["run"].prepare()
        transitions, visits = counted()
        await loop(10)
        now = counted()
        expect(now[0] - transitions, 10)
        expect(now[1] - visits, 10 if level == "states" else 0)
        return loop

    return Bench(metrics={"run": Metric(prepare=checked)}, idle=found.idle)


def _points(reader: InMemoryMetricReader, name: str) -> list[Any]:
    data = reader.get_metrics_data()
    if data is None:
        return []
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    return [point for scope in scopes for metric in scope.metrics if name in ("", metric.name) for point in metric.data.data_points]


class _Context:
    msg = None

    def __init__(self) -> None:
        self.common = {"count": 0}


async def _bare_span(tracing: Tracing) -> Loop:
    tracer = tracing.provider.get_tracer("bench")
    context = _Context()
    run = tracer.start_span("run bench")

    async def loop(count: int) -> None:
        with use_span(run):
            for number in range(count):
                attributes = {**VISIT, semconv.VISIT_NUMBER: number}
                with tracer.start_as_current_span("visit bench.One", attributes=attributes) as span:
                    await handlers.count_ping(context)
                    span.set_attributes(ENDED)

    await loop(2)
    tracing.check({*VISIT, *ENDED, semconv.VISIT_NUMBER})
    return loop


async def _bare_record() -> Loop:
    meter = MeterProvider([InMemoryMetricReader()]).get_meter("bench")
    made = Instruments.STATE_DURATION
    histogram = meter.create_histogram(made.name, made.unit, made.brief, explicit_bucket_boundaries_advisory=list(made.buckets))
    attributes = {semconv.MACHINE_NAME: "bench", semconv.STATE_NAME: "One", semconv.VISIT_OUTCOME: "transition"}

    async def loop(count: int) -> None:
        for _ in range(count):
            histogram.record(0.25, attributes)

    return loop


class Watched:
    """Machines of as many names as make so many series, and their reader."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self._hook = OTelHooks(tracer_provider=NoOpTracerProvider(), meter_provider=MeterProvider([self.reader]), events=False)
        self._state = Program(core).counting
        self.machines: list[Any] = []

    async def fill(self, series: int) -> None:
        """Make machines until there are *series*; each adds as many as the one before."""
        # There may be series without a machine: errors of hooks are those of the whole process.
        while (found := len(_points(self.reader, ""))) < series or not self.machines:
            each = found / len(self.machines) if self.machines else series
            for _ in range(max(1, int((series - found) / each))):
                fsm = core.StateMachine(self._state, hooks=(self._hook,), name=f"bench {len(self.machines)}", common_data={"count": 0})
                self.machines.append(fsm)
                await fsm.initialize()
                await fsm.run(max_iterations=10)

    async def step(self) -> None:
        """Let every machine make a step, so that histograms have something to hand over, as in a program at work."""
        for fsm in self.machines:
            await fsm.tick()

    def collect(self) -> None:
        """Collect, and leave if nothing was found."""
        if self.reader.get_metrics_data() is None:
            sys.exit("a collection found nothing")


@cache
def _watched(series: int) -> Watched:
    del series
    return Watched()


async def _collect() -> Loop:
    watched = _watched(SERIES)
    await watched.fill(SERIES)

    async def loop(count: int) -> int:
        took = 0
        for _ in range(count):
            await watched.step()
            start = perf_counter_ns()
            watched.collect()
            took += perf_counter_ns() - start
        return took

    return loop


async def _pause() -> Loop:
    watched = _watched(MANY_SERIES)
    await watched.fill(MANY_SERIES)
    return _longest_step(watched, watched.collect)


async def _pause_by_thread() -> Loop:
    watched = _watched(1)
    await watched.fill(1)
    return _longest_step(watched, _compute)


def _compute() -> None:
    """Do what a collection does as seen from other threads: nothing but Python."""
    total = 0
    for number in range(COMPUTED):
        total ^= number


def _longest_step(watched: Watched, work: Callable[[], None]) -> Loop:
    """Return a loop that says how long a machine's longest steps were while a thread did *work*."""
    stepping = watched.machines[0]

    async def loop(count: int) -> int:
        pauses = 0
        for _ in range(count):
            await watched.step()
            thread = Thread(target=work)
            longest, before = 0, perf_counter_ns()
            thread.start()
            while thread.is_alive():
                await stepping.tick()
                now = perf_counter_ns()
                longest = max(longest, now - before)
                before = now
            thread.join()
            pauses += longest
        return pauses

    return loop
