"""A workload in which everything happens that telemetry has a name for, and an SDK that keeps what is exported."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum, auto
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from septum import (
    Again,
    BlockedInUntimedState,
    Hooks,
    LabeledTransition,
    MailboxFull,
    Pop,
    Push,
    Repeat,
    Restart,
    RetriesExhausted,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    Unhandled,
    UnhandledTimeout,
    UnknownTransition,
    facts,
    septum,
)
from septum.otel import OTelHooks
from septum.testing import ManualClock, settle
from tests.otel.conformance import Conformance, LogExporter, WatchingMeterProvider

SECRET = "a secret of the sender"


class Export:
    """Three providers of an SDK, and hooks that export to them."""

    def __init__(self, **fields: Any) -> None:
        """Make the hooks with the *fields* of a SeptumConfig."""
        self._spans, self._logs, self._reader = InMemorySpanExporter(), LogExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(log_export.SimpleLogRecordProcessor(self._logs))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.watching = WatchingMeterProvider(self.meters)
        self.hooks = OTelHooks(tracer_provider=self.tracers, meter_provider=self.watching, logger_provider=self.loggers, **fields)

    def collect(self, conformance: Conformance) -> None:
        """Show the metrics of this moment to *conformance*."""
        conformance.see_metrics(self._reader.get_metrics_data())

    def close(self, conformance: Conformance) -> None:
        """End everything, and show all of it to *conformance*."""
        self.hooks.close()
        conformance.see_instruments(self.watching)
        conformance.see_spans(self._spans.get_finished_spans())
        conformance.see_logs(self._logs.get_finished_logs())
        for provider in (self.tracers, self.loggers, self.meters):
            provider.shutdown()


class Note:
    """A message with content."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Note({self.text!r})"


class Ask(Enum):
    """What the desk can be asked for."""

    LABEL = auto()
    DIRECT = auto()
    PUSH = auto()
    AGAIN = auto()
    REPEAT = auto()
    RESTART = auto()
    RETRY = auto()
    UNHANDLED = auto()
    LOSE = auto()
    RECONNECT = auto()
    MISLABEL = auto()
    REENTER = auto()
    END = auto()


class Go(Enum):
    """Labels of the edges."""

    ON = auto()
    CHECK = auto()
    BACK = auto()
    GIVE_UP = auto()
    END = auto()
    NOWHERE = auto()


@septum.state(config=StateConfiguration(can_dwell=True, expect=10.0, retries=2, retry=RetryPolicy(base=1.0)))
def Desk() -> None:
    @septum.on_enter
    async def on_enter(ctx):
        pass

    @septum.on_state
    async def on_state(ctx):
        match ctx.msg:
            case Ask.LOSE:
                raise LookupError(SECRET)
            case Ask.RECONNECT:
                raise ConnectionError
            case Ask.REENTER:
                ctx.send_message(ctx.msg)
                ctx.send_message(ctx.msg)
            case asked:
                return ANSWERS.get(asked)

    @septum.on_leave
    async def on_leave(ctx):
        pass

    @septum.on_fail
    async def on_fail(ctx):
        return Go.GIVE_UP

    @septum.transitions
    def transitions():
        return [
            LabeledTransition(Go.ON, Waiting),
            LabeledTransition(Go.CHECK, Push(Helper, Desk)),
            LabeledTransition(Go.GIVE_UP, Waiting),
            LabeledTransition(Go.END, None),
            Waiting,
            Retry,
            Repeat,
            Restart,
            Again,
        ]


@septum.state(config=StateConfiguration(can_dwell=True))
def Helper() -> None:
    @septum.on_state
    async def on_state(ctx):
        return None if ctx.msg is None else Pop

    @septum.transitions
    def transitions():
        return [Pop]


@septum.state(config=StateConfiguration(timeout=5.0))
def Waiting() -> None:
    @septum.on_state
    async def on_state(ctx):
        return None

    @septum.on_timeout
    async def on_timeout(ctx):
        return Go.BACK

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.BACK, Desk)]


@septum.state(config=StateConfiguration(timeout=1.0))
def Impatient() -> None:
    @septum.on_state
    async def on_state(ctx):
        return None

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.END, None)]


@septum.state(config=StateConfiguration(retries=1))
def Hopeless() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Retry

    @septum.transitions
    def transitions():
        return [Retry, LabeledTransition(Go.END, None)]


@septum.state
def Stuck() -> None:
    @septum.on_state
    async def on_state(ctx):
        return None

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.END, None)]


@septum.state(config=StateConfiguration(terminal=True))
def Lost() -> None:
    @septum.on_state
    async def on_state(ctx):
        pass


ANSWERS: dict[Any, Any] = {
    Ask.LABEL: Go.ON,
    Ask.DIRECT: Waiting,
    Ask.PUSH: Go.CHECK,
    Ask.AGAIN: Again,
    Ask.REPEAT: Repeat,
    Ask.RESTART: Restart,
    Ask.RETRY: Retry,
    Ask.UNHANDLED: Unhandled,
    Ask.MISLABEL: Go.NOWHERE,
    Ask.END: Go.END,
}


class Clumsy(Hooks):
    """A hook that raises."""

    def run_started(self, fact: facts.RunStarted, /) -> None:
        raise ZeroDivisionError


def reconnect(ctx: Any, error: BaseException) -> Any:
    """Answer lost connections with a retry, and leave everything else to others."""
    return Retry if isinstance(error, ConnectionError) else None


class Workload:
    """Machines, one scene after the other, all told to the hooks of one export."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._tracer = export.tracers.get_tracer("the program")
        self.clock = ManualClock()
        self.machines: list[StateMachine[Any]] = []

    def machine(self, state: Any, name: str, **arguments: Any) -> StateMachine[Any]:
        """Return a new machine that is observed; it is kept until the end."""
        hooks = (self._export.hooks, *arguments.pop("hooks", ()))
        fsm: StateMachine[Any] = StateMachine(state, name=name, hooks=hooks, clock=self.clock, **arguments)
        self.machines.append(fsm)
        return fsm

    def serve(self, fsm: StateMachine[Any]) -> asyncio.Task[Any]:
        """Serve *fsm* in a task that a span of the program spawns."""
        with self._tracer.start_as_current_span("spawn"):
            return asyncio.create_task(fsm.serve())

    async def tell(self, fsm: StateMachine[Any], *messages: object, within: float = 0.0) -> None:
        """Send *messages* one by one, each below a span of the program, and let the machine deal with each of them for *within* seconds."""
        for message in messages:
            with self._tracer.start_as_current_span("sender"):
                fsm.send_message(message)
            await settle()
            await self.clock.run_for(within)

    async def play(self, conformance: Conformance) -> None:
        """Play all scenes and show *conformance* the metrics while the last machines are still there."""
        await self.take_every_edge()
        await self.fail_in_every_way()
        await self.drop_for_every_reason()
        await self.end_in_every_way()
        await self.dwell()
        self._export.collect(conformance)

    async def take_every_edge(self) -> None:
        """Every kind of answer, timeouts that are handled, retries up to their limit, errors that are handled."""
        fsm = self.machine(Desk, "edges", on_error_fn=reconnect, hooks=(Clumsy(),))
        serving = self.serve(fsm)
        await settle()
        await self.tell(fsm, Note(SECRET), Ask.AGAIN, Ask.UNHANDLED, Ask.REPEAT, Ask.RESTART)
        await self.tell(fsm, Ask.PUSH, Note(SECRET))
        await self.tell(fsm, Ask.LABEL, within=6.0)
        await self.tell(fsm, Ask.DIRECT, within=6.0)
        # Two retries, a message within the second, and the third, which goes to on_fail.
        await self.tell(fsm, Ask.RETRY, Ask.RECONNECT, Note(SECRET), Ask.RETRY, within=8.0)
        await self.tell(fsm, Ask.END)
        await serving

    async def fail_in_every_way(self) -> None:
        """Every error of Septum's own, one of the user's, and the error state."""
        for state, messages, error in (
            (Impatient, (), UnhandledTimeout),
            (Hopeless, (), RetriesExhausted),
            (Stuck, (), BlockedInUntimedState),
            (Desk, (Ask.MISLABEL,), UnknownTransition),
            (Desk, (Ask.LOSE,), LookupError),
            (Desk, (Ask.REENTER,), MailboxFull),
        ):
            fsm = self.machine(state, "failures", max_queue_size=1, queue_overflow_policy="fail")
            serving = self.serve(fsm)
            await settle()
            await self.tell(fsm, *messages)
            await self.clock.run_for(2.0)
            with pytest.raises(error):
                await serving
        fsm = self.machine(Desk, "rescued", error_state=Lost)
        serving = self.serve(fsm)
        await settle()
        await self.tell(fsm, Ask.LOSE)
        await serving

    async def drop_for_every_reason(self) -> None:
        """Filtered, refused, dropped for want of room, and left over at the end."""
        for policy in ("fail", "drop_newest", "drop_oldest"):
            fsm = self.machine(
                Desk,
                "drops",
                max_queue_size=1,
                queue_overflow_policy=policy,
                filter_fn=lambda ctx, message: isinstance(message, str),
            )
            await fsm.initialize()
            await fsm.tick()
            for message in (SECRET, Ask.UNHANDLED, Note(SECRET)):
                with suppress(MailboxFull), self._tracer.start_as_current_span("sender"):
                    fsm.send_message(message)
            await fsm.close()

    async def end_in_every_way(self) -> None:
        """Stopped, cancelled and reset; completed and failed ones were there."""
        fsm = self.machine(Desk, "ends")
        for end in (fsm.stop, None):
            serving = self.serve(fsm)
            await settle()
            if end is None:
                serving.cancel()
            else:
                end()
            with suppress(asyncio.CancelledError):
                await serving
        await fsm.tick()
        await fsm.reset()
        await fsm.close()

    async def dwell(self) -> None:
        """A visit that lasts too long and goes on in a new segment, and a machine that is still there when telemetry ends."""
        fsm = self.machine(Desk, "dwelling")
        serving = self.serve(fsm)
        await self.clock.run_for(20.0)
        await self.tell(fsm, Note(SECRET))
        # Long enough for a new segment, within the visit.
        await self.clock.run_for(1000.0)
        await self.tell(fsm, Note(SECRET))
        fsm.stop()
        await serving
        restored = await StateMachine.restore(fsm.snapshot(), Desk, hooks=(self._export.hooks,), clock=self.clock)
        self.machines.append(restored)
        await restored.close()
        await self.machine(Desk, "open").tick()


def play(conformance: Conformance, **fields: Any) -> None:
    """Play the whole workload with hooks of these *fields* and show *conformance* everything that it exports."""

    async def main() -> None:
        export = Export(**fields)
        workload = Workload(export)
        await workload.play(conformance)
        export.close(conformance)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
