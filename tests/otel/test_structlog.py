"""structlog with machines: what each event carries, what is bound in handlers, and where `ctx.log` goes."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from septum import Retry, StateMachine, facts, logs
from septum.otel.structlog import StructlogHooks, add_trace_context, drop_engine_events
from septum.testing import ManualClock, settle
from tests.otel.logged import PLACE, Chain, Go, Waiting, handle, in_fresh_python, machine, without_run
from tests.samples import SAMPLES, sample
from tests.scenes import run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """structlog is after the test what it was before."""
    yield
    structlog.reset_defaults()
    clear_contextvars()


def test_trace_context_is_flat_hex() -> None:
    """32, 16 and 2 digits of the current span; nothing is added where there is none."""
    provider = TracerProvider(shutdown_on_exit=False)
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        remote = add_trace_context(None, "info", {"event": "e"})
    with provider.get_tracer("t").start_as_current_span("s") as span:
        own = add_trace_context(None, "info", {"event": "e"})
    with TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("t").start_as_current_span("s"):
        dropped = add_trace_context(None, "info", {})

    assert remote == {"event": "e", "trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}", "trace_flags": "01"}
    assert own["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert [len(dropped[name]) for name in ("trace_id", "span_id")] == [32, 16]
    assert [len(dropped["trace_flags"]), int(dropped["trace_flags"], 16) & 1] == [2, 0]
    assert add_trace_context(None, "info", {"event": "e"}) == {"event": "e"}


def test_engine_events_are_dropped() -> None:
    """What carries the mark, as an event or as a record that structlog formats, is dropped; the rest passes."""
    record = logging.makeLogRecord({"_septum_engine": True})
    for event in ({"_septum_engine": True}, {"_record": record}):
        with pytest.raises(structlog.DropEvent):
            drop_engine_events(None, "info", event)

    assert drop_engine_events(None, "info", {"event": "e", "_record": logging.makeLogRecord({})})["event"] == "e"


def test_facts_are_logged_as_the_stdlib_has_them() -> None:
    """The same lines at the same levels as septum.logs, without the prefix that the keys stand for."""
    chain = Chain()
    hook = StructlogHooks()
    told: list[logging.LogRecord] = []
    keeper = logging.Handler()
    keeper.emit = told.append  # type: ignore[method-assign]
    logs.LOGGER.addHandler(keeper)
    logs.LOGGER.setLevel(logging.DEBUG)
    try:
        for fact in SAMPLES[2:]:
            getattr(hook, fact.told_as)(fact)
            getattr(logs.hook, fact.told_as)(fact)
    finally:
        logs.LOGGER.setLevel(logging.NOTSET)
        logs.LOGGER.removeHandler(keeper)

    assert [(event["method"].upper(), f"orders[m-1]: {event['event']}") for event in chain.events] == [
        (record.levelname, record.getMessage()) for record in told
    ]


def test_event_of_a_fact_carries_its_fact_and_place() -> None:
    """Keys are those of spans, plus the fact's name and the mark; an error brings its exception."""
    chain = Chain(level=logging.INFO)
    error = ValueError("no")

    def fail(ctx: Any) -> None:
        raise error

    async def scene() -> None:
        fsm = machine(fail, StructlogHooks())
        fsm.send_message("work")
        with pytest.raises(ValueError, match="no"):
            await fsm.tick()

    run(scene())

    _, routed_error = [{name: value for name, value in event.items() if name != "septum.run.id"} for event in chain.events]
    assert routed_error == {
        "method": "error",
        "event": "ValueError in till.Waiting, raised to the caller",
        "septum.fact": "error_routed",
        "septum.machine.name": "order",
        "septum.machine.id": "7",
        "septum.state.name": "Waiting",
        "septum.visit.number": 1,
        "_septum_engine": True,
        "exc_info": error,
    }


def test_machine_has_one_log() -> None:
    """The stdlib logger `septum.machine` hears nothing of a machine whose log goes to structlog, and all of another's."""
    chain = Chain(level=logging.INFO)
    told: list[logging.LogRecord] = []
    keeper = logging.Handler()
    keeper.emit = told.append  # type: ignore[method-assign]
    logs.LOGGER.addHandler(keeper)
    logs.LOGGER.setLevel(logging.INFO)
    try:
        handle(lambda ctx: Go.ON, StructlogHooks())
        handle(lambda ctx: Go.ON)
    finally:
        logs.LOGGER.setLevel(logging.NOTSET)
        logs.LOGGER.removeHandler(keeper)

    facts_told = ["run_started", "transition_taken", "run_ended"]
    assert [event["septum.fact"] for event in chain.events] == facts_told
    assert [record.__dict__["septum_fact"] for record in told] == facts_told


def test_run_of_a_machine_that_is_elsewhere_is_logged() -> None:
    """Facts without a machine behind them, told again from a record, are logged like others."""
    chain = Chain()
    graph = machine(lambda ctx: None).graph
    StructlogHooks().run_started(sample(facts.RunStarted, definition=graph, state="till.Waiting", resumed=False))

    assert [(event["event"], event["septum.state.name"]) for event in chain.events] == [("run r-1 started in till.Waiting", "Waiting")]


def test_bound_while_the_machine_works() -> None:
    """Handlers, what they await and what they start, and on_error_fn see where they are; nothing is bound outside, nor lost."""
    seen: list[tuple[str, object]] = []

    def note(who: str) -> None:
        bound = get_contextvars()
        seen.append((who, bound.get("septum.visit.number"), bound["user"]))  # type: ignore[arg-type]

    async def spawned(done: asyncio.Event) -> None:
        await done.wait()
        note("spawned, later")

    async def scene() -> None:
        bind_contextvars(user="u")
        done = asyncio.Event()
        tasks: list[asyncio.Task[None]] = []

        async def work(ctx: Any) -> Go:
            note("handler")
            if ctx.msg == "spawn":
                tasks.append(asyncio.ensure_future(spawned(done)))
                await asyncio.sleep(0)
                note("handler, after waiting")
            if ctx.msg == "fail":
                raise ValueError
            return Go.ON

        def answer(ctx: Any, error: Exception) -> Go:
            note("on_error_fn")
            return Go.ON

        fsm = machine(work, StructlogHooks(), on_error_fn=answer)
        for message in ("spawn", "fail", "last"):
            fsm.send_message(message)
            await fsm.tick()
            note("outside")
        done.set()
        await asyncio.gather(*tasks)
        assert get_contextvars() == {"user": "u"}

    run(scene())

    assert seen == [
        ("handler", 1, "u"),
        ("handler, after waiting", 1, "u"),
        ("outside", None, "u"),
        ("handler", 2, "u"),
        ("on_error_fn", 2, "u"),
        ("outside", None, "u"),
        ("handler", 3, "u"),
        ("outside", None, "u"),
        ("spawned, later", 1, "u"),
    ]


def test_bound_is_everything_about_the_place() -> None:
    """The five keys have the names that spans have."""
    seen: list[dict[str, object]] = []
    handle(lambda ctx: seen.append(without_run(get_contextvars())), StructlogHooks())
    assert seen == [PLACE]


def test_bound_in_the_second_visit_of_a_call() -> None:
    """A machine that goes through several visits in one call has each one's number bound, and after a retry's delay the next."""
    seen: list[object] = []
    clock = ManualClock()

    def work(ctx: Any) -> Any:
        seen.append(get_contextvars()["septum.visit.number"])
        return {"on": Go.ON, "again": Retry, "out": Go.OUT}[ctx.msg]

    async def scene() -> None:
        fsm = machine(work, StructlogHooks(), clock=clock)
        serving = asyncio.ensure_future(fsm.serve())
        for message in ("on", "again", "on", "out"):
            fsm.send_message(message)
            await settle()
            if message == "again":
                clock.advance(60.0)
                await settle()
        await serving

    run(scene())

    assert seen == [1, 2, 3, 4]


def test_run_that_was_not_told_of_is_not_bound() -> None:
    """A hook binds nothing for a run whose start it has not seen."""
    assert StructlogHooks().working(("7", "order", "unknown")) is None
    assert get_contextvars() == {}


def test_between_visits_no_state_is_bound() -> None:
    """After a visit's end, while a retry waits for its time, there is a machine and a run, and no state; undoing leaves nothing."""
    hook = StructlogHooks()
    graph = machine(lambda ctx: None).graph
    Chain()
    hook.run_started(sample(facts.RunStarted, definition=graph, state="till.Waiting", resumed=False))
    hook.visit_started(sample(facts.VisitStarted, state="till.Waiting", kind="initial", stack=()))
    hook.visit_ended(sample(facts.VisitEnded, state="till.Waiting", outcome="retry", duration=1.0, exception=None))
    undo = hook.working(("m-1", "orders", "r-1"))
    bound = get_contextvars()
    assert undo is not None
    undo()

    assert bound == {"septum.machine.name": "orders", "septum.machine.id": "m-1", "septum.run.id": "r-1"}
    assert get_contextvars() == {}


def test_machine_that_drives_another_is_bound_again_after_it() -> None:
    """A handler that ticks a second machine sees its own place before and after, the other one's handler the other's."""
    seen: list[object] = []

    def note(ctx: Any) -> None:
        seen.append(get_contextvars()["septum.machine.id"])

    async def scene() -> None:
        inner = StateMachine(Waiting, machine_id="inner", common_data=note, hooks=[hook])
        inner.send_message("work")

        async def work(ctx: Any) -> None:
            note(ctx)
            await inner.tick()
            note(ctx)

        outer = StateMachine(Waiting, machine_id="outer", common_data=work, hooks=[hook])
        outer.send_message("work")
        await outer.tick()
        seen.append(get_contextvars())

    hook = StructlogHooks()
    run(scene())

    assert seen == ["outer", "inner", "outer", {}]


def test_machines_in_one_task_and_one_machine_in_two() -> None:
    """Who is at work is who is bound, whatever task drives it."""
    seen: list[object] = []
    hook = StructlogHooks()

    def note(ctx: Any) -> Go:
        bound = get_contextvars()
        seen.append((bound["septum.machine.id"], bound["septum.visit.number"]))
        return Go.ON

    async def scene() -> None:
        first, second = (StateMachine(Waiting, machine_id=name, common_data=note, hooks=[hook]) for name in "ab")
        for fsm in (first, second, first, second):
            fsm.send_message("work")
            await fsm.tick()
        first.send_message("work")
        await asyncio.ensure_future(first.tick())

    run(scene())

    assert seen == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)]


def test_hook_that_comes_later_binds_from_the_next_call_on() -> None:
    """Attached in a task that does not drive the machine, it leaves that task's variables alone."""
    seen: list[object] = []

    async def scene() -> None:
        fsm = machine(lambda ctx: seen.append(without_run(get_contextvars())))
        await fsm.tick()
        fsm.attach(StructlogHooks())
        assert get_contextvars() == {}
        fsm.send_message("work")
        await fsm.tick()

    run(scene())

    assert seen == [PLACE]


def test_abandoned_call_that_is_closed_elsewhere_is_no_error() -> None:
    """A coroutine that nobody finishes is closed by whoever collects it, in a context where there is nothing to undo."""
    hook = StructlogHooks()

    async def scene() -> tuple[int, object]:
        async def work(ctx: Any) -> None:
            await asyncio.Event().wait()

        fsm = machine(work, hook)
        fsm.send_message("work")
        call = fsm.tick()
        copy_context().run(call.send, None)
        call.close()
        return fsm.stats().hook_errors, get_contextvars()

    assert run(scene()) == (0, {})


def test_machine_that_vanishes_is_forgotten() -> None:
    """A hook keeps nothing of a machine that was dropped in the middle of a run, or whose run has ended."""
    hook = StructlogHooks()

    async def scene() -> None:
        fsm = machine(lambda ctx: None, hook)
        await fsm.tick()
        assert len(hook._runs) == 1
        del fsm
        gc.collect()
        assert hook._runs == {}
        async with machine(lambda ctx: None, hook) as second:
            await second.tick()
        assert hook._runs == {}

    run(scene())


def test_ctx_log_goes_to_structlog_with_its_place() -> None:
    """Every event has the place, also outside a handler and in a chain without merge_contextvars; the level is its method's."""
    chain = Chain(level=logging.INFO)
    fsm = machine(lambda ctx: ctx.log.warning("low", left=3), StructlogHooks())
    fsm.log.debug("unheard")
    fsm.log("early")

    async def scene() -> None:
        fsm.send_message("work")
        await fsm.tick()

    run(scene())

    before = {name: value for name, value in PLACE.items() if name != "septum.run.id"}
    assert [without_run(event) for event in chain.events if "_septum_engine" not in event] == [
        {"method": "info", "event": "early", **before, "septum.visit.number": 0},
        {"method": "warning", "event": "low", **PLACE, "left": 3},
    ]


def test_level_that_is_off_asks_nothing_of_the_machine() -> None:
    """structlog's filtering loggers and the stdlib's are asked first; a logger that cannot be asked gets everything."""
    hook = StructlogHooks()
    asked: list[str] = []

    def place() -> Any:
        asked.append("asked")
        raise LookupError

    Chain(level=logging.WARNING)
    if hasattr(structlog.get_logger().bind(), "is_enabled_for"):  # not so before structlog 25.1
        hook.say(logging.INFO, "text", place, {})
    structlog.configure(
        [structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    hook.say(logging.DEBUG, "text", place, {})
    assert asked == []
    structlog.configure(wrapper_class=structlog.BoundLogger)
    with pytest.raises(LookupError):
        hook.say(logging.DEBUG, "text", place, {})


def test_field_with_a_name_of_structlogs_gets_an_underscore() -> None:
    """What structlog's methods or processors use, and the place, is not taken away by a keyword."""
    chain = Chain(level=logging.INFO)
    given = {"event": 1, "self": 2, "method_name": 3, "level": 4, "trace_id": 5, "septum.machine.id": 6, "name": 7}
    machine(lambda ctx: None, StructlogHooks()).log.info("text", **given)

    (event,) = chain.events
    assert {name: value for name, value in event.items() if isinstance(value, int) and name != "septum.visit.number"} == {
        "event_": 1,
        "self_": 2,
        "method_name_": 3,
        "level_": 4,
        "trace_id_": 5,
        "septum.machine.id_": 6,
        "name": 7,
    }


def test_caller_is_the_users_line() -> None:
    """CallsiteParameterAdder and the stdlib's records name the line that called ctx.log, and what stacklevel says."""
    adder = structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.FUNC_NAME])
    chain = Chain(adder, level=logging.INFO)
    log = machine(lambda ctx: None, StructlogHooks()).log

    def helper() -> None:
        log.info("one")
        log.info("two", stacklevel=2)

    helper()

    assert [event["func_name"] for event in chain.events] == ["helper", "test_caller_is_the_users_line"]


def test_structlog_that_finds_callers_another_way_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without structlog's private variable the line is logged all the same."""
    monkeypatch.setattr("septum.otel.structlog._calling", None)
    chain = Chain()
    machine(lambda ctx: None, StructlogHooks()).log("text")

    assert [event["event"] for event in chain.events] == ["text"]


@pytest.mark.slow
def test_caller_is_the_users_line_where_structlog_hands_on_to_the_stdlib() -> None:
    """With structlog configured after Septum was imported, as programs are written, the record has the user's function."""
    code = (
        "import logging, sys, structlog\n"
        "from septum import StateConfiguration, StateMachine, septum\n"
        "from septum.otel.structlog import StructlogHooks\n"
        "logging.basicConfig(stream=sys.stdout, format='%(name)s %(funcName)s %(message)s', level='INFO')\n"
        "structlog.configure([structlog.stdlib.render_to_log_kwargs], logger_factory=structlog.stdlib.LoggerFactory())\n"
        "@septum.state(config=StateConfiguration(can_dwell=True))\n"
        "def Idle():\n"
        "    @septum.on_state\n"
        "    async def on_state(ctx): pass\n"
        "def users(): StateMachine(Idle, hooks=[StructlogHooks()]).log('text')\n"
        "users()"
    )
    assert in_fresh_python(code) == "septum.app users text"
