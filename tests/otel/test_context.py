"""What is current inside handlers: the promise that a span made there is a child of the visit, whoever makes it and whenever."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage, context, trace

from septum import LabeledTransition, Pop, Push, Repeat, Restart, Retry, RetryPolicy, StateConfiguration, StateMachine, septum
from septum.testing import ManualClock, settle
from tests.otel.spans import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum import SharedContext


class Go(Enum):
    ON = auto()


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    made = Tracing()
    yield made
    made.provider.shutdown()


@pytest.fixture(autouse=True)
def _no_detach_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is logged at WARNING or above, by OpenTelemetry ("Failed to detach context") or by Septum."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def observed(state: Any, tracing: Tracing, **arguments: Any) -> StateMachine[Any]:
    return StateMachine(state, common_data=tracing, name="M", hooks=[tracing.hooks], **arguments)


def probe(ctx: SharedContext[Tracing], name: str) -> None:
    ctx.common.probe(name)


@septum.state
def Full() -> None:
    @septum.on_enter
    async def on_enter(ctx):
        probe(ctx, "on_enter")

    @septum.on_state
    async def on_state(ctx):
        probe(ctx, "on_state")
        return Go.ON

    @septum.on_leave
    async def on_leave(ctx):
        probe(ctx, "on_leave")

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Timed)]


@septum.state(config=StateConfiguration(timeout=5.0))
def Timed() -> None:
    @septum.on_state
    def on_state(ctx):
        probe(ctx, "sync on_state")

    @septum.on_timeout
    async def on_timeout(ctx):
        probe(ctx, "on_timeout")
        return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Failing)]


@septum.state(config=StateConfiguration(retries=1, retry=RetryPolicy(base=2.0)))
def Failing() -> None:
    @septum.on_enter
    async def on_enter(ctx):
        probe(ctx, f"on_enter {ctx.retry_count}")

    @septum.on_state
    async def on_state(ctx):
        probe(ctx, f"try {ctx.retry_count}")
        return Retry

    @septum.on_fail
    async def on_fail(ctx):
        probe(ctx, "on_fail")
        return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Calling)]


@septum.state
def Calling() -> None:
    @septum.on_state
    async def on_state(ctx):
        probe(ctx, "before push")
        return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Push(Called, Back))]


@septum.state
def Called() -> None:
    @septum.on_state
    async def on_state(ctx):
        probe(ctx, "pushed")
        return Pop

    @septum.transitions
    def transitions():
        return [Pop]


@septum.state
def Back() -> None:
    @septum.on_state
    async def on_state(ctx):
        probe(ctx, "after pop")
        raise LookupError("lost")


@septum.state(config=StateConfiguration(terminal=True))
def Trouble() -> None:
    @septum.on_state
    async def on_state(ctx):
        probe(ctx, "error state")


def test_a_span_made_in_any_handler_is_a_child_of_its_visit(tracing: Tracing) -> None:
    """Every handler kind, after a timeout, a retry, a push, a pop and in the error state."""

    async def main() -> None:
        clock = ManualClock()
        fsm = observed(Full, tracing, error_state=Trouble, clock=clock)
        serving = asyncio.create_task(fsm.serve())
        await clock.run_for(10)
        await serving

    asyncio.run(main())

    assert tracing.places() == {
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


@septum.state(config=StateConfiguration(can_dwell=True))
def Renewing() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is not None:
            probe(ctx, str(ctx.msg))
            return {"repeat": Repeat, "restart": Restart}.get(ctx.msg)

    @septum.transitions
    def transitions():
        return [Repeat, Restart]


def test_each_message_is_seen_in_the_visit_that_takes_it(tracing: Tracing) -> None:
    """Repeat and Restart begin a new visit; a message that changes nothing stays in the old one."""

    async def main() -> None:
        fsm = observed(Renewing, tracing)
        for message in ("stay", "repeat", "restart", "last"):
            fsm.send_message(message)
        await fsm.run(timeout=0)

    asyncio.run(main())

    assert tracing.places() == {"stay": "1 Renewing", "repeat": "1 Renewing", "restart": "2 Renewing", "last": "3 Renewing"}


@septum.state(config=StateConfiguration(can_dwell=True))
def Spawning() -> None:
    @septum.on_state
    async def on_state(ctx):
        async def later(gate: asyncio.Event) -> None:
            probe(ctx, "at once")
            await gate.wait()
            probe(ctx, "after the handler, and after the visit")

        if ctx.msg is not None:
            gate, tasks = ctx.msg
            tasks.append(asyncio.create_task(later(gate)))
            await asyncio.gather(asyncio.to_thread(probe, ctx, "in a thread"))
            return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Renewing)]


def test_tasks_that_a_handler_starts_belong_to_its_visit(tracing: Tracing) -> None:
    """They keep the visit's span as long as they live, also when the machine is somewhere else by then."""

    async def main() -> None:
        fsm = observed(Spawning, tracing)
        gate, tasks = asyncio.Event(), []
        fsm.send_message((gate, tasks))
        await fsm.run(timeout=0)
        gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())

    assert tracing.places() == {
        "at once": "1 Spawning",
        "in a thread": "1 Spawning",
        "after the handler, and after the visit": "1 Spawning",
    }


@septum.state(config=StateConfiguration(can_dwell=True))
def Ping() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is not None:
            probe(ctx, ctx.msg)
            return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Pong)]


@septum.state(config=StateConfiguration(can_dwell=True))
def Pong() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is not None:
            probe(ctx, ctx.msg)
            return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Ping)]


def test_two_machines_in_one_task_keep_their_visits_apart(tracing: Tracing) -> None:
    """Ticked in turns by one task, each machine's spans stand in its own trace, and nothing is current in between."""

    async def main() -> list[object]:
        one, two = (StateMachine(Ping, common_data=tracing, name=name, hooks=[tracing.hooks]) for name in ("One", "Two"))
        between = []
        for turn in range(3):
            for fsm, name in ((one, "one"), (two, "two")):
                fsm.send_message(f"{name} {turn}")
                await fsm.tick()
                between.append(trace.get_current_span())
        return between

    between = asyncio.run(main())

    assert between == [trace.INVALID_SPAN] * 6
    assert tracing.places() == {
        "one 0": "1 Ping",
        "two 0": "1 Ping",
        "one 1": "2 Pong",
        "two 1": "2 Pong",
        "one 2": "3 Ping",
        "two 2": "3 Ping",
    }
    traces = {name: {tracing.named(f"{name} {turn}").context.trace_id for turn in range(3)} for name in ("one", "two")}
    assert [len(ids) for ids in traces.values()] == [1, 1]
    assert traces["one"] != traces["two"]


def test_a_machine_driven_from_two_tasks_keeps_its_visits(tracing: Tracing) -> None:
    """Ticks from different tasks, each with a span of its own current, find the machine's visit inside the handlers."""

    async def main() -> None:
        fsm = observed(Ping, tracing)
        await fsm.initialize()

        async def drive(name: str) -> None:
            with tracing.provider.get_tracer("driver").start_as_current_span(name):
                fsm.send_message(f"by {name}")
                await fsm.tick()
                tracing.probe(f"{name} afterwards")

        for name in ("first", "second", "third"):
            await asyncio.create_task(drive(name))

    asyncio.run(main())

    assert tracing.places() == {
        "by first": "1 Ping",
        "first afterwards": "first",
        "by second": "2 Pong",
        "second afterwards": "second",
        "by third": "3 Ping",
        "third afterwards": "third",
    }


@septum.state(config=StateConfiguration(can_dwell=True))
def Looking() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is not None:
            probe(ctx, "inside")
            ctx.msg.append(baggage.get_baggage("tenant"))


def test_what_else_the_driver_has_in_its_context_is_kept(tracing: Tracing) -> None:
    """The visit's span is put on top of the driver's context: baggage of who ticks is seen in the handler and is as before after it."""

    async def main() -> list[object]:
        fsm = observed(Looking, tracing)
        await fsm.initialize()
        seen: list[object] = []
        token = context.attach(baggage.set_baggage("tenant", "acme"))
        fsm.send_message(seen)
        await fsm.tick()
        seen.append(baggage.get_baggage("tenant"))
        context.detach(token)
        return seen

    assert asyncio.run(main()) == ["acme", "acme"]
    assert tracing.places() == {"inside": "1 Looking"}


@septum.state(config=StateConfiguration(can_dwell=True))
def Hanging() -> None:
    @septum.on_enter
    async def on_enter(ctx):
        probe(ctx, f"on_enter in {asyncio.current_task().get_name()}")

    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is not None:
            probe(ctx, f"{ctx.msg} in {asyncio.current_task().get_name()}")
            if ctx.msg == "hang":
                await asyncio.Event().wait()


def test_a_cancelled_handler_leaves_nothing_attached(tracing: Tracing) -> None:
    """The handler is cancelled while it waits; the task goes on with its own context, and the machine in another with the same visit."""

    async def main() -> None:
        fsm = observed(Hanging, tracing)

        async def drive() -> None:
            fsm.send_message("hang")
            try:
                await fsm.run()
            except asyncio.CancelledError:
                tracing.probe("after the cancellation")
                raise

        task = asyncio.create_task(drive(), name="one")
        await settle()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        fsm.send_message("again")
        await asyncio.create_task(fsm.tick(), name="two")

    asyncio.run(main())

    assert tracing.places() == {
        "on_enter in one": "1 Hanging",
        "hang in one": "1 Hanging",
        "after the cancellation": "",
        "again in two": "1 Hanging",
    }


def test_a_handler_cut_by_its_deadline_leaves_nothing_attached(tracing: Tracing) -> None:
    """The deadline cancels a handler that hangs; `on_timeout` is in the same visit, and nothing is current after the tick."""

    @septum.state(config=StateConfiguration(timeout=5.0))
    def Slow() -> None:
        @septum.on_state
        async def on_state(ctx):
            probe(ctx, "on_state")
            await asyncio.Event().wait()

        @septum.on_timeout
        async def on_timeout(ctx):
            probe(ctx, "on_timeout")

    async def main() -> None:
        clock = ManualClock()
        fsm = observed(Slow, tracing, clock=clock)
        ticking = asyncio.create_task(fsm.tick())
        await clock.run_for(5)
        await ticking
        tracing.probe("afterwards")

    asyncio.run(main())

    place = "1 test_a_handler_cut_by_its_deadline_leaves_nothing_attached.<locals>.Slow"
    assert tracing.places() == {"on_state": place, "on_timeout": place, "afterwards": ""}


def test_an_abandoned_tick_that_is_closed_elsewhere_is_no_error(tracing: Tracing) -> None:
    """A coroutine that is closed in another context than it ran in (a loop that went away) detaches nothing there and logs nothing."""
    fsm = observed(Hanging, tracing)
    fsm.send_message("hang")

    async def begin() -> Any:
        tick = fsm.tick()

        def step() -> None:
            tick.send(None)

        contextvars.copy_context().run(step)
        return tick

    tick = asyncio.run(begin())
    tick.close()
    tracing.probe("afterwards")

    assert tracing.places()["afterwards"] == ""


def test_a_machine_driven_inside_a_handler_of_another_hangs_below_its_visit(tracing: Tracing) -> None:
    """The inner run is a child of the outer visit, which is current again when the inner machine rests."""

    @septum.state(config=StateConfiguration(can_dwell=True))
    def Outer() -> None:
        @septum.on_state
        async def on_state(ctx):
            inner = StateMachine(Ping, common_data=tracing, name="Inner", hooks=[tracing.hooks])
            async with inner:
                inner.send_message("inner")
                await inner.tick()
            probe(ctx, "outer")

    async def main() -> None:
        async with observed(Outer, tracing) as fsm:
            await fsm.tick()

    asyncio.run(main())

    outer = "1 test_a_machine_driven_inside_a_handler_of_another_hangs_below_its_visit.<locals>.Outer"
    assert tracing.places() == {"inner": "1 Ping", "outer": outer}
    inner_run = tracing.named("run Inner")
    assert inner_run.parent == tracing.named(f"visit M.{outer[2:]}").context
