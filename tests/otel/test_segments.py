"""Machines that live long: traces that end and go on in new ones, and the links between them."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import pytest

import septum
from septum import LabeledTransition, Pop, Push, Retry, StateConfiguration, StateMachine
from septum.testing import ManualClock
from tests.otel.spans import Tracing


class Do(Enum):
    """What to do next."""

    GO = auto()


@septum.state(config=StateConfiguration(can_dwell=True))
def Here() -> None:
    @septum.on_state
    async def on_state(ctx):
        return ctx.msg

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


def links(span: Any) -> list[tuple[str, Any]]:
    """Return kind and target of a span's links."""
    return [(link.attributes["septum.link.type"], link.context) for link in span.links]


def parts(tracing: Tracing, *keys: str) -> list[tuple[Any, ...]]:
    """Return of each span of Septum's its name and some attributes, in the order in which they began."""
    return [(span.name, *(span.attributes.get(f"septum.{key}") for key in keys)) for span in tracing.engine_spans()]


async def walk(tracing: Tracing, steps: int, *, seconds: float = 0.0, start: Any = Here) -> StateMachine[Any]:
    """Send *steps* messages, with so many *seconds* before each."""
    clock = ManualClock()
    async with StateMachine(start, name="M", hooks=[tracing.hooks], clock=clock) as fsm:
        for _ in range(steps):
            await clock.advance(seconds)
            fsm.send_message(Do.GO)
            await fsm.tick()
    return fsm


def test_after_so_many_visits_a_run_goes_on_in_a_new_trace() -> None:
    """Each segment is a trace with a root that ends; the next one links to it and to the first, and the run's id stays."""
    tracing = Tracing(segment_max_visits=2)
    asyncio.run(walk(tracing, 4))
    runs = [span for span in tracing.engine_spans() if span.name == "run M"]
    assert [(span.attributes["septum.run.segment"], span.attributes["septum.run.outcome"], span.parent) for span in runs] == [
        (0, "continued", None),
        (1, "continued", None),
        (2, "stopped", None),
    ]
    assert len({span.context.trace_id for span in runs}) == 3
    assert len({span.attributes["septum.run.id"] for span in tracing.engine_spans()}) == 1
    first, second, third = runs
    assert links(first) == []
    assert links(second) == [("previous_segment", first.context), ("first_segment", first.context)]
    assert links(third) == [("previous_segment", second.context), ("first_segment", first.context)]
    visits = [span for span in tracing.engine_spans() if span.name.startswith("visit")]
    assert [(span.attributes["septum.visit.number"], span.parent) for span in visits] == [
        (1, first.context),
        (2, first.context),
        (3, second.context),
        (4, second.context),
        (5, third.context),
    ]


def test_after_so_many_seconds_a_long_visit_goes_on_in_a_new_trace() -> None:
    """At the next message the visit's span ends as continued and another with the same number begins; there is no timer."""
    tracing = Tracing(segment_max_age=900.0)
    asyncio.run(walk(tracing, 1, seconds=901.0))
    assert sorted(parts(tracing, "visit.number", "visit.outcome", "run.outcome", "run.segment")) == [
        ("run M", None, None, "continued", 0),
        ("run M", None, None, "stopped", 1),
        ("visit M.Here", 1, "continued", None, None),
        ("visit M.Here", 1, "transition", None, None),
        ("visit M.There", 2, "stopped", None, None),
    ]


def test_with_scope_visit_every_visit_is_a_trace_of_its_own() -> None:
    """No run span; each visit links to the one before and to the first, and the last says how the run ended."""
    tracing = Tracing(trace_scope="visit")
    asyncio.run(walk(tracing, 2))
    first, second, third = tracing.engine_spans()
    assert [span.parent for span in (first, second, third)] == [None, None, None]
    assert len({span.context.trace_id for span in (first, second, third)}) == 3
    assert links(second) == [("previous_segment", first.context), ("first_segment", first.context)]
    assert links(third) == [("previous_segment", second.context), ("first_segment", first.context)]
    assert parts(tracing, "run.segment", "visit.outcome", "run.outcome") == [
        ("visit M.Here", 0, "transition", None),
        ("visit M.There", 1, "transition", None),
        ("visit M.Here", 2, "stopped", "stopped"),
    ]


def test_with_scope_message_the_work_is_in_the_sender_s_trace() -> None:
    """The message's span is a child of the sender's; so is the visit that it leads to, which links to the run's segment."""
    tracing = Tracing(trace_scope="message", detail="auto")

    async def main() -> None:
        async with StateMachine(Here, name="M", hooks=[tracing.hooks]) as fsm:
            await fsm.tick()
            with tracing.provider.get_tracer("request").start_as_current_span("request"):
                fsm.send_message(Do.GO)
            await fsm.tick()

    asyncio.run(main())
    run, here, process, there = tracing.engine_spans()
    request = tracing.named("request")
    assert (run.parent, here.parent, process.parent, there.parent) == (None, run.context, request.context, process.context)
    assert links(process) == [("segment", here.context)]
    assert links(there) == [("segment", run.context)]


@septum.state(config=StateConfiguration(can_dwell=True))
def Desk() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Push(Call, Desk) if ctx.msg else None

    @septum.transitions
    def transitions():
        return [Push(Call, Desk)]


@septum.state(config=StateConfiguration(retries=3))
def Call() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Pop if ctx.retry_count else Retry

    @septum.transitions
    def transitions():
        return [Pop, Retry]


def test_a_pop_links_to_its_caller_and_a_retry_to_what_decided_it() -> None:
    """The visit that comes back links to the visit that pushed it and to the one that popped; the retry to the visit before."""
    tracing = Tracing()
    asyncio.run(walk_through(tracing))
    _, desk, call, again, back = tracing.engine_spans()
    assert [span.attributes["septum.transition.kind"] for span in (desk, call, again, back)] == ["initial", "push", "retry", "pop"]
    assert (links(desk), links(call)) == ([], [])
    assert links(again) == [("cause", call.context)]
    assert links(back) == [("cause", again.context), ("caller", desk.context)]


async def walk_through(tracing: Tracing) -> None:
    """Let a desk make one call."""
    async with StateMachine(Desk, name="M", hooks=[tracing.hooks]) as fsm:
        fsm.send_message("call")
        await fsm.run(timeout=0)


@pytest.mark.parametrize("parent", ["auto", "ambient", "root"])
def test_a_machine_served_by_a_task_of_its_own_is_a_root_with_a_link(parent: Any) -> None:
    """With "auto" as with "root"; "ambient" hangs it below the span that started the task all the same."""
    tracing = Tracing(parent=parent)

    async def main() -> None:
        fsm: StateMachine[Any] = StateMachine(Here, name="M", hooks=[tracing.hooks])
        with tracing.provider.get_tracer("request").start_as_current_span("request"):
            task = asyncio.create_task(fsm.serve())
            await asyncio.sleep(0)
        fsm.stop()
        await task

    asyncio.run(main())
    run, request = tracing.named("run M"), tracing.named("request")
    expected = (request.context, []) if parent == "ambient" else (None, [("spawned_by", request.context)])
    assert (run.parent, links(run)) == expected
