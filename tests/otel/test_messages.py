"""Messages in traces: where they came from, where they are dealt with, and what they led to."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from septum import LabeledTransition, MailboxFull, StateConfiguration, StateMachine, septum
from septum.otel import propagation
from septum.testing import ManualClock
from tests.otel.spans import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterator


class Do(Enum):
    GO = auto()


@septum.state(config=StateConfiguration(can_dwell=True, timeout=5.0))
def Here() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg == "fail":
            raise KeyError(ctx.msg)
        return ctx.msg if isinstance(ctx.msg, Do) else None

    @septum.on_timeout
    async def on_timeout(ctx):
        return Do.GO

    @septum.transitions
    def transitions():
        return [LabeledTransition(Do.GO, There)]


@septum.state(config=StateConfiguration(can_dwell=True))
def There() -> None:
    @septum.on_state
    async def on_state(ctx):
        return ctx.msg

    @septum.transitions
    def transitions():
        return [LabeledTransition(Do.GO, Here)]


@pytest.fixture
def tracing(request: pytest.FixtureRequest) -> Iterator[Tracing]:
    made = Tracing(**{"detail": "auto", **getattr(request, "param", {})})
    yield made
    made.provider.shutdown()


def observed(tracing: Tracing, **arguments: Any) -> StateMachine[Any]:
    return StateMachine(Here, name="M", machine_id="m-1", hooks=[tracing.hooks], **arguments)


def send(tracing: Tracing, fsm: StateMachine[Any], message: object, name: str, **arguments: Any) -> None:
    """Send *message* in a span called *name*."""
    with tracing.provider.get_tracer("sender").start_as_current_span(name):
        fsm.send_message(message, **arguments)


def links(span: Any) -> list[tuple[str, Any]]:
    return [(link.attributes["septum.link.type"], link.context) for link in span.links]


def made(tracing: Tracing, operation: str) -> list[Any]:
    return [span for span in tracing.engine_spans() if span.attributes["septum.operation.name"] == operation]


def test_a_message_has_a_span_with_all_that_is_known_of_it(tracing: Tracing) -> None:
    """Kind, parent, link, times from the taking to the decision, and every attribute; nothing of what the message says."""

    async def main() -> None:
        clock = ManualClock()
        async with observed(tracing, clock=clock) as fsm:
            await fsm.tick()
            send(tracing, fsm, Do.GO, "request")
            fsm.send_message("next")
            await clock.advance(1.5)
            await fsm.tick()

    asyncio.run(main())

    process = made(tracing, "process")[0]
    visit = made(tracing, "visit")[0]
    assert (process.name, process.kind, process.status.status_code) == ("process Do.GO", SpanKind.CONSUMER, StatusCode.UNSET)
    assert (process.parent, links(process)) == (visit.context, [("message", tracing.named("request").context)])
    assert (process.start_time - visit.start_time, process.end_time) == (1_500_000_000, visit.end_time)
    assert {key: value for key, value in process.attributes.items() if key not in {"septum.run.id", "septum.seq", "septum.message.id"}} == {
        "septum.operation.name": "process",
        "septum.machine.name": "M",
        "septum.machine.id": "m-1",
        "septum.state.name": "Here",
        "septum.visit.number": 1,
        "septum.message.type": "Do.GO",
        "septum.message.priority": 2,
        "septum.message.wait_time": 1.5,
        "septum.mailbox.depth": 1,
    }


def test_a_deadline_is_dealt_with_as_a_message_is(tracing: Tracing) -> None:
    """`process timeout` in the visit; the visit that it leads to is linked to it."""

    async def main() -> None:
        clock = ManualClock()
        async with observed(tracing, clock=clock) as fsm:
            await fsm.tick()
            await clock.advance(5)
            await fsm.tick()

    asyncio.run(main())

    (process,), (here, there) = made(tracing, "process"), made(tracing, "visit")
    assert (process.name, process.parent, links(process)) == ("process timeout", here.context, [])
    assert links(there) == [("cause", process.context)]


@pytest.mark.parametrize("tracing", [{"detail": "visits"}], indirect=True)
def test_without_spans_for_messages_a_visit_is_linked_to_the_message_that_led_to_it(tracing: Tracing) -> None:
    """Not to those before it, which led nowhere; a machine that dwells for years keeps none of them."""

    async def main() -> None:
        async with observed(tracing) as fsm:
            for number in range(3):
                send(tracing, fsm, None, f"request {number}")
                await fsm.tick()
            send(tracing, fsm, Do.GO, "request that moves")
            await fsm.tick()

    asyncio.run(main())

    here, there = made(tracing, "visit")
    assert links(here) == []
    assert links(there) == [("message", tracing.named("request that moves").context)]


@pytest.mark.parametrize("tracing", [{"detail": "visits"}], indirect=True)
def test_without_spans_for_messages_a_deadline_is_not_laid_to_a_message(tracing: Tracing) -> None:
    """What a timeout led to is linked to its visit alone, and not to a message that changed nothing before."""

    async def main() -> None:
        clock = ManualClock()
        async with observed(tracing, clock=clock) as fsm:
            send(tracing, fsm, None, "request")
            await fsm.tick()
            await clock.advance(5)
            await fsm.tick()

    asyncio.run(main())

    here, there = made(tracing, "visit")
    assert links(there) == [("cause", here.context)]


@pytest.mark.parametrize("scope", ["run", "visit", "message"])
def test_a_context_in_headers_goes_before_that_of_the_sender(scope: Any) -> None:
    """What came from another process is the sender; with scope "message" its trace goes on here."""
    tracing = Tracing(detail="auto", trace_scope=scope)
    with tracing.provider.get_tracer("sender").start_as_current_span("far away") as far:
        headers = propagation.inject({"tenant": "acme"})
    far_away = (far.get_span_context().trace_id, far.get_span_context().span_id)

    async def main() -> None:
        async with observed(tracing) as fsm:
            await fsm.tick()
            send(tracing, fsm, Do.GO, "broker", headers=headers)
            await fsm.tick()

    asyncio.run(main())

    (process,) = made(tracing, "process")
    targets = {kind: (context.trace_id, context.span_id) for kind, context in links(process)}
    parent = (process.parent.trace_id, process.parent.span_id)
    if scope == "message":
        assert (parent, targets.get("message")) == (far_away, None)
    else:
        assert targets == {"message": far_away}


def test_headers_without_a_context_leave_the_sender_s(tracing: Tracing) -> None:
    """Headers may be about anything else; the span that was current at the sending is the sender then."""

    async def main() -> None:
        async with observed(tracing) as fsm:
            await fsm.tick()
            send(tracing, fsm, Do.GO, "request", headers={"tenant": "acme"})
            await fsm.tick()

    asyncio.run(main())

    (process,) = made(tracing, "process")
    assert links(process) == [("message", tracing.named("request").context)]


def test_headers_of_a_message_that_waited_before_the_run_are_read(tracing: Tracing) -> None:
    """Also beside a message of a sender that was seen."""
    with tracing.provider.get_tracer("sender").start_as_current_span("far away") as far:
        headers = propagation.inject()

    async def main() -> None:
        fsm = observed(tracing)
        fsm.send_message(None)
        fsm.send_message("early", headers=headers)
        async with fsm:
            send(tracing, fsm, "later", "request")
            for _ in range(3):
                await fsm.tick()

    asyncio.run(main())

    assert [[context.span_id for _, context in links(span)] for span in made(tracing, "process")] == [
        [],
        [far.get_span_context().span_id],
        [tracing.named("request").context.span_id],
    ]


@pytest.mark.parametrize("tracing", [{"send_spans": True}], indirect=True)
def test_sending_can_be_a_span_that_the_message_carries(tracing: Tracing) -> None:
    """PRODUCER, a child of the sender; the message's own span is linked to it."""

    async def main() -> None:
        async with observed(tracing) as fsm:
            await fsm.tick()
            send(tracing, fsm, Do.GO, "request")
            await fsm.tick()

    asyncio.run(main())

    (sent,), (process,) = made(tracing, "send"), made(tracing, "process")
    assert (sent.name, sent.kind, sent.parent) == ("send Do.GO", SpanKind.PRODUCER, tracing.named("request").context)
    assert links(process) == [("message", sent.context)]
    assert sent.attributes["septum.message.id"] == process.attributes["septum.message.id"]


@pytest.mark.parametrize("tracing", [{"send_spans": True}], indirect=True)
def test_a_message_that_is_rejected_is_a_send_that_failed(tracing: Tracing) -> None:
    """ERROR with `mailbox_full`, no span for its processing, and nothing kept."""

    async def main() -> None:
        async with observed(tracing, max_queue_size=1, queue_overflow_policy="fail") as fsm:
            await fsm.tick()
            fsm.send_message("first")
            with pytest.raises(MailboxFull):
                fsm.send_message("second")
            (run,) = tracing.hooks._runs.values()
            assert len(run.senders or {}) == 1
            await fsm.tick()
            assert run.senders == {}

    asyncio.run(main())

    assert [(span.status.status_code, span.attributes.get("error.type")) for span in made(tracing, "send")] == [
        (StatusCode.UNSET, None),
        (StatusCode.ERROR, "mailbox_full"),
    ]
    assert len(made(tracing, "process")) == 1


@pytest.mark.parametrize("tracing", [{"detail": "handlers"}], indirect=True)
def test_each_call_is_a_span_below_the_message_and_what_it_makes_is_below_it(tracing: Tracing) -> None:
    """on_state hangs below its message, on_enter below its visit; one that raises is an error, and so is the message nobody answered."""

    async def main() -> None:
        async with observed(tracing) as fsm:
            await fsm.tick()
            fsm.send_message("fail")
            with pytest.raises(KeyError):
                await fsm.tick()

    asyncio.run(main())

    (visit,), (process,) = made(tracing, "visit"), made(tracing, "process")
    first, second = made(tracing, "handle")
    assert [(span.name, span.parent) for span in (first, second)] == [
        ("on_state M.Here", visit.context),
        ("on_state M.Here", process.context),
    ]
    assert [(span.status.status_code, span.attributes.get("error.type")) for span in (first, second, process)] == [
        (StatusCode.UNSET, None),
        (StatusCode.ERROR, "KeyError"),
        (StatusCode.ERROR, "KeyError"),
    ]


def test_messages_in_flight_keep_no_more_than_the_mailbox_does(tracing: Tracing) -> None:
    """Where a message was sent from is forgotten when it is taken, dropped or left behind by the run."""

    async def main() -> None:
        fsm = observed(tracing, max_queue_size=4, queue_overflow_policy="drop_oldest")
        await fsm.initialize()
        (run,) = tracing.hooks._runs.values()
        for number in range(100):
            send(tracing, fsm, f"{number}", "request")
            assert len(run.senders or {}) <= 4
        for _ in range(4):
            await fsm.tick()
        assert run.senders == {}
        await fsm.close()
        assert dict(tracing.hooks._runs) == {}

    asyncio.run(main())


def test_hooks_that_are_closed_while_a_message_is_dealt_with_end_its_span_after_its_start(tracing: Tracing) -> None:
    """No span ends before it begins, nor before those below it."""

    @septum.state(config=StateConfiguration(can_dwell=True))
    def Closing() -> None:
        @septum.on_state
        async def on_state(ctx):
            if ctx.msg:
                tracing.hooks.close()

    async def main() -> None:
        clock = ManualClock()
        async with StateMachine(Closing, name="M", hooks=[tracing.hooks], clock=clock) as fsm:
            await fsm.tick()
            await clock.advance(2)
            fsm.send_message("close")
            await fsm.tick()

    asyncio.run(main())

    (run,), (visit,), (process,) = made(tracing, "run"), made(tracing, "visit"), made(tracing, "process")
    assert process.start_time - visit.start_time == 2_000_000_000
    assert process.start_time == process.end_time == visit.end_time == run.end_time
