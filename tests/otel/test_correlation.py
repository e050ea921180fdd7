"""A log line in a handler has the trace and the span of its visit, and whatever is cancelled leaves nothing attached."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.trace import INVALID_SPAN, get_current_span

from septum import LabeledTransition, Retry, RetryPolicy, StateConfiguration, StateMachine, septum
from septum.testing import ManualClock, settle
from tests.otel.spans import Tracing
from tests.otel.test_context import Full, Go, Ping, Spawning, Trouble

try:
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
except ImportError:  # OpenTelemetry before 1.40 has it in the SDK
    from opentelemetry.sdk._logs import LoggingHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

Memory: Any = getattr(log_export, "InMemoryLogRecordExporter", None) or log_export.InMemoryLogExporter
SHOP = logging.getLogger("shop")


class Correlating(Tracing):
    """A probe is also a line of the stdlib's logging, exported as OTLP would be."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self._lines = Memory()
        logs = LoggerProvider(shutdown_on_exit=False)
        logs.add_log_record_processor(log_export.SimpleLogRecordProcessor(self._lines))
        self.handler = LoggingHandler(logger_provider=logs)

    def probe(self, name: str) -> None:
        """Make a span, and log a line."""
        super().probe(name)
        SHOP.info(name)

    def lines(self) -> dict[str, tuple[int, int]]:
        """Return for each line trace and span."""
        records = [data.log_record for data in self._lines.get_finished_logs()]
        return {record.body: (record.trace_id, record.span_id) for record in records}

    def parents(self) -> dict[str, tuple[int, int]]:
        """Return for each probe trace and span of its parent."""
        probes = [span for span in self.spans if span.instrumentation_scope is not None and span.instrumentation_scope.name == "probe"]
        return {span.name: (0, 0) if span.parent is None else (span.parent.trace_id, span.parent.span_id) for span in probes}


@pytest.fixture
def tracing(request: pytest.FixtureRequest) -> Iterator[Correlating]:
    made = Correlating(**getattr(request, "param", {}))
    SHOP.addHandler(made.handler)
    SHOP.setLevel(logging.INFO)
    yield made
    SHOP.removeHandler(made.handler)
    made.provider.shutdown()


@pytest.fixture(autouse=True)
def _no_detach_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is logged at WARNING or above by any logger, "Failed to detach context" least of all."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def observed(state: Any, tracing: Correlating, **arguments: Any) -> StateMachine[Any]:
    return StateMachine(state, common_data=tracing, name="M", hooks=[tracing.hooks], **arguments)


PLACES = {
    "on_enter": "1 Full",
    "on_state": "1 Full",
    "on_leave": "1 Full",
    "sync on_state": "2 Timed",
    "on_timeout": "2 Timed",
    "on_enter 0": "3 Failing",
    "try 0": "3 Failing",
    "on_enter 1": "4 Failing",
    "try 1": "4 Failing",
    "on_fail": "4 Failing",
    "before push": "5 Calling",
    "pushed": "6 Called",
    "after pop": "7 Back",
    "error state": "8 Trouble",
}
EVERY = [{"trace_scope": scope, "detail": detail} for scope in ("run", "visit", "message") for detail in ("visits", "auto", "handlers")]


@pytest.mark.parametrize("tracing", EVERY, indirect=True, ids=lambda fields: "-".join(fields.values()))
def test_a_line_in_any_handler_has_the_trace_of_its_visit(tracing: Correlating) -> None:
    """Every handler kind, after a timeout, a retry, a push, a pop and in the error state: a line stands where a span would hang."""

    async def main() -> None:
        clock = ManualClock()
        serving = asyncio.create_task(observed(Full, tracing, error_state=Trouble, clock=clock).serve())
        await clock.run_for(10)
        await serving

    asyncio.run(main())

    assert tracing.places() == PLACES
    assert tracing.lines() == tracing.parents()
    traces = {f"{span.attributes['septum.visit.number']}": span.context.trace_id for span in tracing.spans if span.name.startswith("visit")}
    assert {name: trace for name, (trace, _) in tracing.lines().items()} == {name: traces[place[0]] for name, place in PLACES.items()}


def test_a_line_in_a_task_that_a_handler_started_has_it_too(tracing: Correlating) -> None:
    """Also after the handler, after the visit, and in a thread."""

    async def main() -> None:
        gate, tasks = asyncio.Event(), []
        fsm = observed(Spawning, tracing)
        fsm.send_message((gate, tasks))
        await fsm.run(timeout=0)
        gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())

    assert set(tracing.places().values()) == {"1 Spawning"}
    assert len(tracing.lines()) == 3
    assert tracing.lines() == tracing.parents()


def test_a_line_outside_has_no_trace(tracing: Correlating) -> None:
    """Before, between and after ticks nothing of a machine is current; in a second event loop the machine is in its visit again."""

    async def tick(message: str) -> None:
        tracing.probe(f"before {message}")
        fsm.send_message(message)
        await fsm.tick()
        tracing.probe(f"after {message}")

    fsm = observed(Ping, tracing)
    asyncio.run(tick("one"))
    asyncio.run(tick("two"))

    assert tracing.places() == {"before one": "", "one": "1 Ping", "after one": "", "before two": "", "two": "2 Pong", "after two": ""}
    assert tracing.lines() == tracing.parents()


@septum.state(config=StateConfiguration(can_dwell=True))
def Odd() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg == "raise":
            raise KeyError(ctx.msg)

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Ping)]


@pytest.mark.parametrize("flavour", ["sync", "async"])
def test_the_machine_s_own_functions_are_in_the_visit(tracing: Correlating, flavour: str) -> None:
    """`filter_fn`, `trap_fn` and `on_error_fn` see the visit's span as handlers do."""

    def keep_out(ctx: Any, message: Any) -> bool:
        tracing.probe(f"filter {message}")
        return False

    def trap(ctx: Any) -> None:
        tracing.probe(f"trap {ctx.msg}")

    def at_once(ctx: Any, error: Exception) -> Any:
        tracing.probe("on_error_fn")
        return Go.ON

    async def later(ctx: Any, error: Exception) -> Any:
        await asyncio.sleep(0)
        return at_once(ctx, error)

    async def main() -> None:
        fsm = observed(Odd, tracing, filter_fn=keep_out, trap_fn=trap, on_error_fn=at_once if flavour == "sync" else later)
        for message in ("ignored", "raise"):
            fsm.send_message(message)
            await fsm.tick()
        tracing.probe("outside")

    asyncio.run(main())

    outside = {"filter ignored": "", "filter raise": "", "outside": ""}
    assert tracing.places() == {**outside, "trap None": "1 Odd", "trap ignored": "1 Odd", "on_error_fn": "1 Odd"}
    assert tracing.lines() == tracing.parents()


def hanging(where: str) -> Any:
    """Return a state that hangs in the handler *where*."""

    async def hang(ctx: Any, handler: str) -> None:
        if handler == where:
            ctx.common.probe(handler)
            await asyncio.Event().wait()

    @septum.state(config=StateConfiguration(timeout=5.0, retries=0))
    def Hanging() -> None:
        @septum.on_enter
        async def on_enter(ctx):
            await hang(ctx, "on_enter")

        @septum.on_state
        async def on_state(ctx):
            await hang(ctx, "on_state")
            return {"on_leave": Go.ON, "on_fail": Retry, "delay": None, "wait": None}.get(where)

        @septum.on_leave
        async def on_leave(ctx):
            await hang(ctx, "on_leave")

        @septum.on_timeout
        async def on_timeout(ctx):
            await hang(ctx, "on_timeout")

        @septum.on_fail
        async def on_fail(ctx):
            await hang(ctx, "on_fail")

        @septum.transitions
        def transitions():
            return [LabeledTransition(Go.ON, Ping), Retry]

    return Hanging


@septum.state(config=StateConfiguration(retry=RetryPolicy(base=8.0)))
def Delayed() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Retry


@pytest.mark.parametrize("tracing", [{"detail": "visits"}, {"detail": "handlers"}], indirect=True, ids=["visits", "handlers"])
@pytest.mark.parametrize("where", ["on_enter", "on_state", "on_leave", "on_timeout", "on_fail", "wait", "delay"])
@pytest.mark.parametrize("call", ["tick", "run", "serve"])
def test_whatever_is_cancelled_leaves_its_caller_s_span(tracing: Correlating, where: str, call: str) -> None:
    """A call that is cancelled in any handler, while it waits for a message or for a retry: the caller's span is current again."""

    async def main() -> None:
        clock = ManualClock()
        fsm = observed(Delayed if where == "delay" else hanging(where), tracing, clock=clock)

        async def drive() -> None:
            if (where, call) == ("delay", "tick"):
                await fsm.tick()  # the next one begins with the delay
            with tracing.provider.get_tracer("driver").start_as_current_span("driver") as driver:
                try:
                    await {"tick": lambda: fsm.tick(None), "run": fsm.run, "serve": fsm.serve}[call]()
                finally:
                    assert get_current_span() is driver
            assert get_current_span() is INVALID_SPAN

        driving = asyncio.create_task(drive())
        await clock.run_for(6 if where == "on_timeout" else 1)
        await settle()
        assert not driving.done()
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving

    asyncio.run(main())

    assert set(tracing.places().values()) <= {"1 hanging.<locals>.Hanging"}
