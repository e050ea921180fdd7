"""A run that goes on in another process: the spans there are linked to the spans here."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import pytest
from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.utils import suppress_instrumentation

import septum
from septum import LabeledTransition, Pop, Push, StateConfiguration, StateMachine
from septum._snapshot import Snapshot
from septum.otel import propagation
from septum.testing import ManualClock, settle
from tests.otel.spans import Tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Do(Enum):
    """What to do next."""

    GO = auto()


@septum.state(config=StateConfiguration(can_dwell=True))
def Here() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Push(There, Here) if ctx.msg is Do.GO else None

    @septum.transitions
    def transitions():
        return [Push(There, Here), LabeledTransition(Do.GO, None)]


@septum.state(config=StateConfiguration(can_dwell=True))
def There() -> None:
    @septum.on_state
    async def on_state(ctx):
        return Pop if ctx.msg is Do.GO else None

    @septum.transitions
    def transitions():
        return [Pop]


def links(span: Any) -> list[tuple[str, Any]]:
    """Return kind and target of a span's links; where a span stood in another process is known by its ids."""
    return [(link.attributes["septum.link.type"], (link.context.trace_id, link.context.span_id)) for link in span.links]


def at(span: Any) -> tuple[int, int]:
    """Return the ids of *span*."""
    return span.context.trace_id, span.context.span_id


def machine(tracing: Tracing, **options: Any) -> StateMachine[Any]:
    """Return a machine that is traced."""
    return StateMachine(Here, name="M", hooks=[tracing.hooks], clock=ManualClock(), **options)


async def moved(fsm: StateMachine[Any], tracing: Tracing, **options: Any) -> StateMachine[Any]:
    """Write *fsm* down, as a process does that ends, and bring it back under the hooks of another."""
    kept = Snapshot.from_json(fsm.snapshot("deploy").to_json())
    return await StateMachine[Any].restore(kept, Here, hooks=[tracing.hooks], clock=ManualClock(wall_ns=kept.taken_at), **options)


def runs(tracing: Tracing) -> list[Any]:
    """Return the spans of runs."""
    return [span for span in tracing.engine_spans() if span.name == "run M"]


@pytest.mark.parametrize("scope", ["run", "message"])
def test_first_segment_after_a_restore_links_to_the_last_before(scope: Any) -> None:
    """The run has one id, its segments count on, and each process's first segment is a trace of its own that links back."""
    tracings = [Tracing(trace_scope=scope) for _ in range(3)]

    async def main() -> None:
        fsm = machine(tracings[0])
        await fsm.tick()
        for tracing in tracings[1:]:
            fsm = await moved(fsm, tracing)
            await fsm.tick()
        await fsm.close()

    asyncio.run(main())
    for tracing in tracings:
        tracing.hooks.close()
    (first,), (second,), (third,) = map(runs, tracings)
    assert [span.attributes["septum.run.segment"] for span in (first, second, third)] == [0, 1, 2]
    assert len({span.attributes["septum.run.id"] for span in (first, second, third)}) == 1
    assert len({span.context.trace_id for span in (first, second, third)}) == 3
    assert links(first) == []
    assert links(second) == [("resumed_from", at(first)), ("first_segment", at(first))]
    assert links(third) == [("resumed_from", at(second)), ("first_segment", at(first))]
    assert [span.attributes["septum.run.outcome"] for span in (first, second, third)] == ["continued", "continued", "stopped"]
    visits = [span for tracing in tracings for span in tracing.engine_spans() if span.name == "visit M.Here"]
    assert [span.attributes["septum.visit.number"] for span in visits] == [1, 1, 1]
    numbers = [span.attributes["septum.seq"] for span in (first, visits[0], second, visits[1], third, visits[2])]
    assert numbers == sorted(set(numbers))


def test_with_scope_visit_the_first_visit_links_to_the_last() -> None:
    """Where each visit is a trace, the restored one links to the visit in which the machine was written down."""
    tracings = [Tracing(trace_scope="visit") for _ in range(2)]

    async def main() -> None:
        fsm = machine(tracings[0])
        fsm.send_message(Do.GO)
        await fsm.run(timeout=0)
        fsm = await moved(fsm, tracings[1])
        fsm.send_message(Do.GO)
        await fsm.run(timeout=0)

    asyncio.run(main())
    for tracing in tracings:
        tracing.hooks.close()
    here, there = tracings[0].engine_spans()
    there_too, back = tracings[1].engine_spans()
    assert [span.attributes["septum.run.segment"] for span in (here, there, there_too, back)] == [0, 1, 2, 3]
    assert links(there_too) == [("resumed_from", at(there)), ("first_segment", at(here))]
    assert links(back)[-2:] == [("previous_segment", at(there_too)), ("first_segment", at(here))]


def test_messages_and_the_stack_are_linked_to_the_spans_of_before() -> None:
    """A message that waited links to who sent it there, and the visit that comes back to the one that pushed there."""
    before, after = Tracing(detail="auto"), Tracing(detail="auto")

    async def main() -> None:
        fsm = machine(before)
        fsm.send_message(Do.GO)
        await fsm.run(timeout=0)
        with before.provider.get_tracer("request").start_as_current_span("request"):
            fsm.send_message(Do.GO)
        fsm = await moved(fsm, after)
        await fsm.run(timeout=0)

    asyncio.run(main())
    before.hooks.close()
    after.hooks.close()
    (process,) = [span for span in after.engine_spans() if span.name == "process Do.GO"]
    assert links(process) == [("message", at(before.named("request")))]
    back = after.named("visit M.Here")
    pushing = before.named("visit M.Here")
    assert ("caller", at(pushing)) in links(back)


def test_run_that_had_ended_is_linked_to_all_the_same() -> None:
    """A machine that was stopped before it was written down has another run there, which links to the one that ended here."""
    before, after = Tracing(), Tracing()

    async def main() -> None:
        fsm = machine(before)
        serving = asyncio.create_task(fsm.serve())
        await settle()
        fsm.stop()
        await serving
        await (await moved(fsm, after)).close()

    asyncio.run(main())
    (ended,), (begun,) = runs(before), runs(after)
    assert links(begun) == [("resumed_from", at(ended)), ("first_segment", at(ended))]
    assert ended.attributes["septum.run.id"] != begun.attributes["septum.run.id"]


def test_machine_that_was_not_traced_links_to_nothing() -> None:
    """Without telemetry before the snapshot there is nothing to link to, and the run begins as any."""
    tracing = Tracing()

    async def main() -> None:
        fsm: StateMachine[Any] = StateMachine(Here, name="M", clock=ManualClock())
        await fsm.tick()
        await (await moved(fsm, tracing)).close()

    asyncio.run(main())
    (run,) = runs(tracing)
    assert (links(run), run.attributes["septum.run.segment"]) == ([], 0)


def test_machine_whose_telemetry_was_closed_keeps_nothing() -> None:
    """After close() the hooks know of no run, and the snapshot is taken without them."""
    tracing = Tracing()

    async def main() -> Snapshot:
        fsm = machine(tracing)
        await fsm.tick()
        tracing.hooks.close()
        return fsm.snapshot()

    assert asyncio.run(main()).trace.kept == {}


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({"traceparent": "nonsense", "septum.run.segment": "3"}, []),
        ({"traceparent": PARENT}, []),
        ({"traceparent": PARENT, "septum.run.segment": "٣"}, []),
        ({"traceparent": PARENT, "septum.run.segment": "9" * 5000}, []),
        ({"traceparent": PARENT, "septum.run.segment": "3"}, ["resumed_from"]),
    ],
)
def test_kept_text_that_cannot_be_read_is_left_alone(kept: dict[str, str], expected: list[str]) -> None:
    """What somebody wrote into a snapshot in the place of a trace context links to nothing, and does not hurt."""
    tracing = Tracing()

    async def main() -> None:
        fsm = machine(Tracing())
        await fsm.tick()
        snapshot = fsm.snapshot()
        changed = snapshot.to_plain()
        changed["trace"]["kept"] = {**kept, "message/x/traceparent": "?", "message/1/traceparent": "?", "stack/0/traceparent": "?"}
        found = Snapshot.from_plain(changed)
        back = await StateMachine[Any].restore(found, Here, hooks=[tracing.hooks], clock=ManualClock())
        await back.close()
        assert back.stats().hook_errors == 0

    asyncio.run(main())
    (run,) = runs(tracing)
    assert [kind for kind, _ in links(run)] == expected


def test_run_that_was_not_to_be_instrumented_keeps_nothing() -> None:
    """Where the program asked for silence there is no span to go on from."""
    tracing = Tracing()

    async def main() -> Snapshot:
        fsm = machine(tracing)
        with suppress_instrumentation():
            await fsm.tick()
        return fsm.snapshot()

    assert asyncio.run(main()).trace.kept == {}


def test_trace_state_and_sampling_come_along() -> None:
    """The link has the flags and the state of the span that it leads to, whatever propagator the program has."""
    before, after = Tracing(), Tracing()
    parent = propagation.extract({"traceparent": f"00-{1:032x}-{2:016x}-01", "tracestate": "vendor=7"})

    async def main() -> None:
        token = attach(parent)
        fsm = machine(before)
        await fsm.tick()
        detach(token)
        await (await moved(fsm, after)).close()

    asyncio.run(main())
    before.hooks.close()
    (old,), (new,) = runs(before), runs(after)
    resumed = new.links[0].context
    assert (resumed.trace_id, resumed.trace_flags, dict(resumed.trace_state)) == (old.context.trace_id, 1, {"vendor": "7"})
