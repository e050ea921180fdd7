"""Spans: names, parents, attributes, status, and what becomes of them when a machine ends, vanishes or is no longer watched."""

from __future__ import annotations

import asyncio
import gc
from enum import Enum, auto
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from septum import (
    Again,
    BlockedInUntimedState,
    LabeledTransition,
    RetriesExhausted,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    UnhandledTimeout,
    UnknownTransition,
    facts,
    semconv,
    septum,
)
from septum.otel import OTelHooks
from septum.otel import _hooks as otel_hooks
from septum.testing import ManualClock, RecorderHooks, settle
from tests.otel.spans import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterator


class Do(Enum):
    NEXT = auto()
    END = auto()


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    made = Tracing()
    yield made
    made.provider.shutdown()


def observed(state: Any, tracing: Tracing, **arguments: Any) -> StateMachine[Any]:
    return StateMachine(
        state,
        name="Job",
        machine_id="job-7",
        hooks=[OTelHooks(tracer_provider=tracing.provider, detail="visits", metrics="off")],
        **arguments,
    )


@septum.state(config=StateConfiguration(can_dwell=True))
def Idle() -> None:
    @septum.on_state
    async def on_state(ctx):
        match ctx.msg:
            case BaseException():
                raise ctx.msg
            case "hang":
                await asyncio.Event().wait()
            case answer:
                return answer

    @septum.transitions
    def transitions():
        return [LabeledTransition(Do.NEXT, Busy), LabeledTransition(Do.END, None), Again]


@septum.state(config=StateConfiguration(timeout=2.5))
def Busy() -> None:
    @septum.on_state
    async def on_state(ctx):
        return ctx.msg

    @septum.on_timeout
    async def on_timeout(ctx):
        return Do.NEXT

    @septum.transitions
    def transitions():
        return [LabeledTransition(Do.NEXT, Idle)]


@septum.state(config=StateConfiguration(terminal=True))
def Broken() -> None:
    @septum.on_state
    async def on_state(ctx):
        pass


def test_a_run_has_a_span_and_each_visit_a_child_with_all_attributes(tracing: Tracing) -> None:
    """Names, kinds, times by the machine's clock, every attribute, and status unset when nothing failed."""
    recorder = RecorderHooks()

    async def main() -> StateMachine[Any]:
        clock = ManualClock()
        fsm = observed(Idle, tracing, clock=clock)
        fsm.attach(recorder)
        fsm.send_message(Do.NEXT)
        await fsm.tick()
        await clock.advance(2.5)
        await fsm.tick()
        fsm.send_message(Do.END)
        with pytest.raises(StateMachineComplete):
            await fsm.tick()
        return fsm

    asyncio.run(main())

    run, first, second, third = tracing.engine_spans()
    (started,), (ended,) = recorder.of(facts.RunStarted), recorder.of(facts.RunEnded)
    run_id = started.run_id
    identity = {"septum.machine.name": "Job", "septum.machine.id": "job-7", "septum.run.id": run_id}
    starts = {fact.visit: fact for fact in recorder.of(facts.VisitStarted)}
    ends = {fact.visit: fact for fact in recorder.of(facts.VisitEnded)}
    assert (run.name, run.kind, run.parent, run.status.status_code) == ("run Job", SpanKind.INTERNAL, None, StatusCode.UNSET)
    assert dict(run.attributes) == {
        "septum.operation.name": "run",
        "septum.machine.definition.hash": started.definition.hash,
        "septum.run.outcome": "completed",
        "septum.run.segment": 0,
        "septum.seq": 1,
        **identity,
    }
    assert (run.instrumentation_scope.name, run.instrumentation_scope.schema_url) == (semconv.SCOPE, semconv.SCHEMA_URL)
    below = "septum.transition."
    for number, (span, state, outcome, way) in enumerate(
        [
            (first, "Idle", "transition", {f"{below}kind": "initial", f"{below}label": "Do.NEXT", f"{below}to_state": "Busy"}),
            (
                second,
                "Busy",
                "timeout",
                {f"{below}kind": "label", f"{below}label": "Do.NEXT", f"{below}to_state": "Idle", "septum.timeout.duration": 2.5},
            ),
            (third, "Idle", "completed", {f"{below}kind": "label", f"{below}label": "Do.END"}),
        ],
        1,
    ):
        assert (span.name, span.kind, span.parent, span.status.status_code) == (
            f"visit Job.{state}",
            SpanKind.INTERNAL,
            run.context,
            StatusCode.UNSET,
        )
        assert dict(span.attributes) == {
            "septum.operation.name": "visit",
            "septum.state.name": state,
            "septum.visit.number": number,
            "septum.visit.outcome": outcome,
            "septum.seq": starts[number].seq,
            **way,
            **identity,
        }
        assert (span.start_time, span.end_time) == (starts[number].wall, ends[number].wall)
    assert (run.start_time, run.end_time) == (started.wall, ended.wall)
    assert second.end_time - second.start_time == 2_500_000_000


def test_a_run_begins_below_the_span_that_is_current_then(tracing: Tracing) -> None:
    """Who initializes the machine is the parent; who ticks it later is not."""

    async def main() -> None:
        tracer = tracing.provider.get_tracer("request")
        async with observed(Idle, tracing) as unparented:
            pass
        fsm = observed(Idle, tracing)
        with tracer.start_as_current_span("request one"):
            await fsm.initialize()
        with tracer.start_as_current_span("request two"):
            fsm.send_message(Do.NEXT)
            await fsm.tick()
        await fsm.reset()
        assert unparented is not fsm

    asyncio.run(main())

    first, second = (span for span in tracing.spans if span.name == "run Job")
    assert first.parent is None
    assert second.parent == tracing.named("request one").context
    assert tracing.named("visit Job.Busy").parent == second.context


def failing(kind: str) -> Any:
    """Return a state that goes wrong in the way called *kind*."""

    @septum.state(config=StateConfiguration(timeout=1.0 if kind == "timeout" else None, retries=0 if kind == "retries" else None))
    def Wrong() -> None:
        @septum.on_state
        async def on_state(ctx):
            if kind == "raises":
                raise KeyError("lost")
            if kind == "mute":
                raise Mute
            return {"retries": Retry, "unknown": Do.END}.get(kind)

    return Wrong


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("kind", "error", "error_type", "text"),
    [
        ("raises", KeyError, "KeyError", "'lost'"),
        ("mute", Mute, f"{Mute.__module__}.Mute", "Mute"),
        ("retries", RetriesExhausted, "retries_exhausted", None),
        ("unknown", UnknownTransition, "unknown_transition", None),
        ("blocked", BlockedInUntimedState, "blocked_in_untimed_state", None),
        ("timeout", UnhandledTimeout, "timeout", None),
    ],
)
def test_a_visit_that_an_exception_ends_is_an_error(
    tracing: Tracing, kind: str, error: type[Exception], error_type: str, text: str | None
) -> None:
    """Status ERROR with the exception's text, and its type under a name from a closed set if it is Septum's own."""
    recorder = RecorderHooks()

    async def main() -> None:
        clock = ManualClock()
        fsm = observed(failing(kind), tracing, error_state=Broken, clock=clock)
        fsm.attach(recorder)
        serving = asyncio.create_task(fsm.serve())
        await clock.run_for(2)
        await serving

    asyncio.run(main())

    (routed,) = [fact.exception for fact in recorder.of(facts.ErrorRouted)]
    assert type(routed) is error
    run, wrong, broken = tracing.engine_spans()
    assert wrong.attributes["septum.visit.outcome"] == "error"
    assert wrong.attributes["error.type"] == error_type
    assert (wrong.status.status_code, wrong.status.description) == (StatusCode.ERROR, str(routed) if text is None else text)
    assert [(span.status.status_code, "error.type" in span.attributes) for span in (run, broken)] == [(StatusCode.UNSET, False)] * 2


def test_an_exception_that_is_handled_is_no_error(tracing: Tracing) -> None:
    """`on_error_fn` answered a transition: an exception ended the visit but was handled, so there is no ERROR and no error.type."""

    async def main() -> None:
        fsm = observed(Idle, tracing, on_error_fn=lambda ctx, error: Do.NEXT)
        fsm.send_message(KeyError("lost"))
        await fsm.tick()
        await fsm.reset()

    asyncio.run(main())

    assert tracing.walk()[:2] == [("run Job", "reset"), ("visit Job.Idle", "error")]
    assert [(span.status.status_code, "error.type" in span.attributes) for span in tracing.spans] == [(StatusCode.UNSET, False)] * 3


def test_a_run_that_fails_is_an_error(tracing: Tracing) -> None:
    """The exception came out of serve(): run and visit are errors of its type."""

    async def main() -> None:
        fsm = observed(Idle, tracing)
        fsm.send_message(LookupError("nothing there"))
        with pytest.raises(LookupError):
            await fsm.serve()

    asyncio.run(main())

    assert tracing.walk() == [("run Job", "failed"), ("visit Job.Idle", "error")]
    assert [(span.status.status_code, span.attributes["error.type"]) for span in tracing.spans] == [(StatusCode.ERROR, "LookupError")] * 2


def test_a_cancelled_run_is_no_error(tracing: Tracing) -> None:
    """Cancellation is an outcome; status stays unset and there is no error.type."""

    async def main() -> None:
        fsm = observed(Idle, tracing)
        fsm.send_message("hang")
        serving = asyncio.create_task(fsm.serve())
        await settle()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())

    assert tracing.walk() == [("run Job", "cancelled"), ("visit Job.Idle", "cancelled")]
    assert [(span.status.status_code, "error.type" in span.attributes) for span in tracing.spans] == [(StatusCode.UNSET, False)] * 2


def test_reset_and_stop_close_the_run_with_their_outcomes(tracing: Tracing) -> None:
    """Each run is a trace of its own."""

    async def main() -> None:
        async with observed(Idle, tracing) as fsm:
            await fsm.reset()

    asyncio.run(main())

    assert sorted(tracing.walk()) == [
        ("run Job", "reset"),
        ("run Job", "stopped"),
        ("visit Job.Idle", "reset"),
        ("visit Job.Idle", "stopped"),
    ]
    assert len({span.context.trace_id for span in tracing.spans}) == 2


def test_a_run_that_is_not_sampled_makes_no_visit_spans_but_passes_its_trace_on() -> None:
    """Nothing is recorded, and a span made in a handler is not recorded either, since its parent says so."""
    tracing = Tracing(ALWAYS_OFF)
    current = []

    @septum.state(config=StateConfiguration(can_dwell=True))
    def Seen() -> None:
        @septum.on_state
        async def on_state(ctx):
            span = get_current_span().get_span_context()
            current.append((span.is_valid, bool(span.trace_flags.sampled)))

    async def main() -> None:
        async with observed(Seen, tracing) as fsm:
            await fsm.tick()

    asyncio.run(main())
    tracing.provider.shutdown()

    assert current == [(True, False)]
    assert tracing.spans == ()


def test_a_machine_first_watched_in_mid_run_has_spans_from_then_on(tracing: Tracing) -> None:
    """Attached late, the run and the visit that it is in begin where the hook begins to see."""

    async def main() -> None:
        fsm = StateMachine(Idle, name="Job")
        fsm.send_message(Do.NEXT)
        await fsm.tick()
        fsm.attach(OTelHooks(tracer_provider=tracing.provider, detail="visits", metrics="off"))
        fsm.send_message(Do.NEXT)
        await fsm.tick()
        await fsm.reset()

    asyncio.run(main())

    assert tracing.walk()[:3] == [("run Job", "reset"), ("visit Job.Busy", "transition"), ("visit Job.Idle", "reset")]


def test_a_hook_that_comes_back_ends_what_it_left_open(tracing: Tracing) -> None:
    """Detached and attached again in mid-run: the old spans end as continued, new ones begin, the run's id stays."""

    async def main() -> None:
        hooks = OTelHooks(tracer_provider=tracing.provider, detail="visits", metrics="off")
        async with StateMachine(Idle, name="Job", hooks=[hooks]) as fsm:
            await fsm.tick()
            fsm.detach(hooks)
            fsm.attach(hooks)
            await fsm.tick()

    asyncio.run(main())

    assert sorted(tracing.walk()) == [
        ("run Job", "continued"),
        ("run Job", "stopped"),
        ("visit Job.Idle", "continued"),
        ("visit Job.Idle", "stopped"),
    ]
    assert len({span.attributes["septum.run.id"] for span in tracing.spans}) == 1


def test_machines_that_are_dropped_leave_nothing_behind(tracing: Tracing) -> None:
    """Nobody says that a dropped machine ends; its spans are closed as stopped by the next fact of any other, and nothing is kept of it."""
    hooks = OTelHooks(tracer_provider=tracing.provider, detail="visits", metrics="off")
    clock = ManualClock()

    async def begin() -> None:
        for number in range(3):
            fsm = StateMachine(Idle, name="Job", machine_id=f"{number}", hooks=[hooks], clock=clock)
            await fsm.tick()
        del fsm
        gc.collect()

    async def main() -> None:
        await begin()
        clock.advance(60)
        async with StateMachine(Busy, name="Other", hooks=[hooks], clock=clock):
            assert len(hooks._runs) == 1

    asyncio.run(main())

    assert [step for step in tracing.walk() if "Job" in step[0]] == [*[("run Job", "stopped")] * 3, *[("visit Job.Idle", "stopped")] * 3]
    assert {span.end_time - span.start_time for span in tracing.spans} == {0}
    assert hooks._runs == {}


def test_a_running_machine_tidies_up_after_a_dropped_one(tracing: Tracing) -> None:
    """Any other machine's next visit is enough; a machine dropped just before close() is ended once, as continued."""
    hooks = OTelHooks(tracer_provider=tracing.provider, detail="visits", metrics="off")

    async def main() -> None:
        async with StateMachine(Idle, name="Other", hooks=[hooks]) as other:
            await StateMachine(Idle, name="First", hooks=[hooks]).tick()
            other.send_message(Do.NEXT)
            await other.tick()
            await StateMachine(Idle, name="Second", hooks=[hooks]).tick()
            hooks.close()
            await other.reset()

    asyncio.run(main())

    assert [(span.name, outcome_of(span)) for span in tracing.spans] == [
        ("visit Other.Idle", "transition"),
        ("visit First.Idle", "stopped"),
        ("run First", "stopped"),
        ("visit Other.Busy", "continued"),
        ("run Other", "continued"),
        ("visit Second.Idle", "continued"),
        ("run Second", "continued"),
    ]
    assert hooks._runs == {}


def outcome_of(span: Any) -> str:
    return span.attributes.get("septum.visit.outcome") or span.attributes["septum.run.outcome"]


def test_a_retry_delay_is_no_visit(tracing: Tracing) -> None:
    """The retried visit ends before the delay, the next begins after it; closed in between, only the run is left to end."""
    hooks = OTelHooks(tracer_provider=tracing.provider, detail="visits", metrics="off")

    @septum.state(name="Trying", config=StateConfiguration(retry=RetryPolicy(base=4.0)))
    def Trying() -> None:
        @septum.on_state
        async def on_state(ctx):
            return Retry

    async def main() -> None:
        clock = ManualClock()
        fsm = StateMachine(Trying, name="Job", hooks=[hooks], clock=clock)
        await fsm.tick()
        await clock.advance(4)
        await fsm.tick()
        hooks.close()

    asyncio.run(main())

    run, first, second = tracing.engine_spans()
    assert [outcome_of(span) for span in (run, first, second)] == ["continued", "retry", "retry"]
    assert second.start_time - first.end_time == 4_000_000_000
    assert run.end_time == second.end_time


def test_facts_without_a_machine_make_spans_too(tracing: Tracing) -> None:
    """Facts told by somebody else than a machine in this process (a replay): no machine to watch, an error without its exception."""
    recorder = RecorderHooks()

    async def main() -> None:
        async with StateMachine(Idle, name="Job", hooks=[recorder]) as fsm:
            await fsm.tick()

    asyncio.run(main())
    (started,), (visited,) = recorder.of(facts.RunStarted), recorder.of(facts.VisitStarted)
    told = [
        facts.RunStarted(**started.fields()),
        facts.VisitStarted(**visited.fields()),
        facts.VisitEnded(run_id=started.run_id, wall=visited.wall, state=visited.state, outcome="error", duration=0.0, exception=None),
        facts.RunEnded(run_id=started.run_id, wall=visited.wall, state=visited.state, outcome="failed", duration=0.0, exception=None),
    ]

    for fact in told:
        for hook in (tracing.hooks,) if fact is told[0] else tracing.hooks.delegates(told[0].origin):
            getattr(hook, fact.told_as)(fact)

    assert tracing.walk() == [("run Job", "failed"), ("visit Job.Idle", "error")]
    assert [(span.status.status_code, "error.type" in span.attributes) for span in tracing.spans] == [(StatusCode.ERROR, False)] * 2


def test_facts_of_an_unknown_run_are_ignored(tracing: Tracing) -> None:
    """A hook that never saw the run begin, or closed it already, makes nothing of what it is told."""
    hooks = OTelHooks(tracer_provider=tracing.provider, detail="visits", metrics="off")
    common = {"run_id": "unknown", "state": "m.A"}

    for fact in (
        facts.VisitStarted(**common, kind="initial", stack=()),
        facts.HandlerStarted(**common, handler="on_state", message=None),
        facts.HandlerFinished(**common, handler="on_state", message=None, answer=None, duration=0.0, exception=None),
        facts.ErrorRouted(**common, exception=KeyError("lost"), to="on_error_fn"),
        facts.VisitEnded(**common, outcome="transition", duration=0.0, exception=None),
        facts.RunEnded(**common, outcome="completed", duration=0.0, exception=None),
    ):
        getattr(hooks, fact.told_as)(fact)

    assert tracing.spans == ()
    assert hooks._runs == {}


def test_the_scope_has_septum_s_version_if_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scope carries the version of the distribution; none when Septum runs from a directory that was never installed."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    assert otel_hooks._version() == version("septum")
    monkeypatch.setattr(otel_hooks, "version", missing)
    assert otel_hooks._version() is None


def test_closed_hooks_end_their_spans_and_stay_silent(tracing: Tracing) -> None:
    """close() ends run and visit as continued, also from inside a handler, and the machine goes on without spans."""
    hooks = OTelHooks(tracer_provider=tracing.provider, detail="visits", metrics="off")

    @septum.state(config=StateConfiguration(can_dwell=True))
    def Closing() -> None:
        @septum.on_state
        async def on_state(ctx):
            if ctx.msg:
                hooks.close()
                tracing.probe("inside")

    async def main() -> None:
        async with StateMachine(Closing, name="Job", hooks=[hooks]) as fsm:
            fsm.send_message("close")
            await fsm.tick()
            tracing.probe("after")
            await fsm.reset()
            await fsm.tick()

    asyncio.run(main())

    state = "test_closed_hooks_end_their_spans_and_stay_silent.<locals>.Closing"
    assert tracing.walk() == [("run Job", "continued"), (f"visit Job.{state}", "continued")]
    assert tracing.places() == {"inside": f"1 {state}", "after": ""}
    assert hooks._runs == {}


def test_a_tracer_provider_that_is_none_is_refused() -> None:
    """The error says what was given and how to make one."""
    with pytest.raises(
        TypeError, match=r"tracer_provider must be an OpenTelemetry TracerProvider or None, not 'console'; .*TracerProvider\(\)"
    ):
        OTelHooks(tracer_provider="console")
