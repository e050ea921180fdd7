"""Work that a handler starts and leaves alone: it begins traces of its own, and links to where it came from."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation
from opentelemetry.trace import Link

from septum import StateConfiguration, StateMachine, septum
from septum._detached import detached
from septum.otel import _detached
from septum.testing import settle
from tests.otel.spans import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import SpanContext

SPAWNED_BY = {"septum.link.type": "spawned_by"}


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    made = Tracing()
    _detached.install()
    yield made
    made.provider.shutdown()


@pytest.fixture(autouse=True)
def _no_detach_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is logged at WARNING or above, by OpenTelemetry ("Failed to detach context") or by Septum."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def current() -> SpanContext:
    return trace.get_current_span().get_span_context()


def targets(links: list[Link]) -> list[tuple[SpanContext, Any]]:
    """Return links as values: OpenTelemetry's own compare by identity."""
    return [(link.context, dict(link.attributes or {})) for link in links]


def test_inside_nothing_is_current_and_afterwards_it_is_again(tracing: Tracing) -> None:
    """Span and baggage are left; a span made inside is a root; the links lead back to the span that was left."""
    with tracing.provider.get_tracer("t").start_as_current_span("outer") as outer:
        token = context.attach(baggage.set_baggage("tenant", "acme"))
        with detached():
            assert (current().is_valid, baggage.get_baggage("tenant")) == (False, None)
            tracing.probe("inside")
            assert targets(_detached.links()) == [(outer.get_span_context(), SPAWNED_BY)]
        assert (current(), baggage.get_baggage("tenant")) == (outer.get_span_context(), "acme")
        assert _detached.links() == []
        context.detach(token)

    assert tracing.named("inside").parent is None


def test_a_task_started_inside_stays_detached(tracing: Tracing) -> None:
    """It has the emptied context for as long as it lives, and knows the span that started it after that has ended."""

    async def work(gate: asyncio.Event) -> list[tuple[SpanContext, Any]]:
        await gate.wait()
        tracing.probe("work")
        return targets(_detached.links())

    async def main() -> tuple[SpanContext, list[tuple[SpanContext, Any]]]:
        gate = asyncio.Event()
        with tracing.provider.get_tracer("t").start_as_current_span("outer") as outer:
            with detached():
                task = asyncio.create_task(work(gate))
            tracing.probe("beside")
        gate.set()
        return outer.get_span_context(), await task

    outer, found = asyncio.run(main())

    assert found == [(outer, SPAWNED_BY)]
    assert tracing.named("work").parent is None
    assert tracing.named("beside").parent == outer


def test_a_span_started_inside_takes_the_place_of_the_link(tracing: Tracing) -> None:
    """Below it there is nothing to link: it is the root, and may have the link itself."""
    tracer = tracing.provider.get_tracer("t")
    with tracer.start_as_current_span("outer"), detached():
        with tracer.start_as_current_span("root", links=_detached.links()):
            assert _detached.links() == []
            tracing.probe("child")
        assert len(_detached.links()) == 1

    outer, root = tracing.named("outer"), tracing.named("root")
    assert targets(list(root.links)) == [(outer.context, SPAWNED_BY)]
    assert (root.parent, tracing.named("child").parent) == (None, root.context)


def test_a_block_in_a_block_remembers_the_last_span(tracing: Tracing) -> None:
    """Leaving nothing keeps the link that is there; leaving a span inside replaces it, until that block ends."""
    tracer = tracing.provider.get_tracer("t")
    with tracer.start_as_current_span("outer") as outer, detached():
        with detached():
            assert targets(_detached.links()) == [(outer.get_span_context(), SPAWNED_BY)]
        with tracer.start_as_current_span("inner") as inner, detached():
            assert targets(_detached.links()) == [(inner.get_span_context(), SPAWNED_BY)]
        assert targets(_detached.links()) == [(outer.get_span_context(), SPAWNED_BY)]


def test_where_no_span_was_left_there_is_no_link(tracing: Tracing) -> None:
    """Outside of any span a block changes nothing but baggage."""
    with detached():
        assert _detached.links() == []
        tracing.probe("inside")

    assert tracing.named("inside").parent is None


def test_links_of_another_context(tracing: Tracing) -> None:
    """A context that was kept from inside a block is asked from outside of it."""
    with tracing.provider.get_tracer("t").start_as_current_span("outer") as outer, detached():
        kept = context.get_current()

    assert targets(_detached.links(kept)) == [(outer.get_span_context(), SPAWNED_BY)]
    assert _detached.links() == []


@pytest.mark.parametrize(("silence", "enabled"), [(suppress_instrumentation, False), (nullcontext, True)])
def test_who_asked_for_silence_goes_on_having_it(silence: Any, enabled: bool, tracing: Tracing) -> None:
    """`suppress_instrumentation()` holds for work that is started detached inside it."""
    with silence(), detached():
        assert is_instrumentation_enabled() is enabled


@septum.state(config=StateConfiguration(can_dwell=True))
def Spawning() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is not None:
            tracing, tasks = ctx.common, ctx.msg

            async def work() -> list[Link]:
                await asyncio.sleep(0)
                tracing.probe("work")
                return _detached.links()

            with detached():
                tasks.append(asyncio.create_task(work()))
            tracing.probe("handler")


def test_work_that_a_handler_detaches_is_not_in_its_visit(tracing: Tracing) -> None:
    """The task's spans are roots; the handler goes on in its visit, of which the link tells."""

    async def main() -> list[Link]:
        tasks: list[asyncio.Task[list[Link]]] = []
        async with StateMachine(Spawning, name="M", common_data=tracing, hooks=[tracing.hooks]) as fsm:
            fsm.send_message(tasks)
            await fsm.tick()
        return await tasks[0]

    (link,) = asyncio.run(main())

    visit = tracing.named("visit M.Spawning")
    assert targets([link]) == [(visit.context, SPAWNED_BY)]
    assert tracing.places() == {"handler": "1 Spawning", "work": ""}


@septum.state(config=StateConfiguration(terminal=True))
def Inner() -> None:
    @septum.on_state
    async def on_state(ctx):
        ctx.common.probe("inner")


@septum.state(config=StateConfiguration(terminal=True))
def Outer() -> None:
    @septum.on_state
    async def on_state(ctx):
        inner = StateMachine(Inner, name="Inner", common_data=ctx.common, hooks=[ctx.common.hooks])
        with detached():
            task = asyncio.create_task(inner.serve())
        await task


def test_a_machine_that_a_handler_detaches_has_a_trace_of_its_own(tracing: Tracing) -> None:
    """Its run is a root that links to the visit which started it."""

    async def main() -> None:
        await StateMachine(Outer, name="Outer", common_data=tracing, hooks=[tracing.hooks]).serve()

    asyncio.run(main())

    inner = tracing.named("run Inner")
    assert inner.parent is None
    assert targets(list(inner.links)) == [(tracing.named("visit Outer.Outer").context, SPAWNED_BY)]
    assert tracing.places()["inner"] == "1 Inner"


def test_a_block_that_is_cancelled_leaves_its_task_as_it_was(tracing: Tracing) -> None:
    """Cancelled while it waits inside, the task has its own span again on the way out."""

    async def main() -> None:
        async def wait() -> None:
            with tracing.provider.get_tracer("t").start_as_current_span("outer"):
                try:
                    with detached():
                        await asyncio.Event().wait()
                finally:
                    tracing.probe("after")

        task = asyncio.create_task(wait())
        await settle()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())

    assert tracing.places() == {"after": "outer"}


def test_a_block_that_is_closed_elsewhere_is_no_error(tracing: Tracing) -> None:
    """A coroutine that was abandoned inside a block is closed in another context: nothing is detached there and nothing is logged."""

    async def abandoned() -> None:
        with detached():
            await asyncio.Event().wait()

    async def begin() -> Any:
        coroutine = abandoned()

        def step() -> None:
            coroutine.send(None)

        contextvars.copy_context().run(step)
        return coroutine

    coroutine = asyncio.run(begin())
    with tracing.provider.get_tracer("t").start_as_current_span("here") as here:
        coroutine.close()
        assert current() == here.get_span_context()
