"""The way from logs to OTLP: each line is exported once, whoever logged it, and a second way out is refused."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from structlog.contextvars import clear_contextvars, merge_contextvars
from structlog.stdlib import ProcessorFormatter

from septum import Hooks, SeptumError, facts
from septum.otel._log_bridge import bridges
from septum.otel.structlog import StructlogHooks, drop_engine_events, setup_logging
from tests.otel.logged import PLACE, Chain, Go, handle, in_fresh_python, without_run
from tests.otel.spans import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Younger than the oldest OpenTelemetry that Septum supports.
contrib = pytest.importorskip("opentelemetry.instrumentation.structlog")
handlers = pytest.importorskip("opentelemetry.instrumentation.logging.handler")

ROOT = logging.getLogger()
STDLIB = logging.getLogger("lib")
Memory: Any = getattr(log_export, "InMemoryLogRecordExporter", None) or log_export.InMemoryLogExporter


class Exported:
    """A logger provider of one's own and what went through it."""

    def __init__(self) -> None:
        self._exporter = Memory()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(log_export.SimpleLogRecordProcessor(self._exporter))

    @property
    def records(self) -> list[Any]:
        return [data.log_record for data in self._exporter.get_finished_logs()]

    @property
    def names(self) -> list[object]:
        """What each record says: the name of an event, else the body."""
        return [record.event_name or record.body for record in self.records]


class Events(Hooks):
    """Exports transitions as `OTelHooks` does."""

    def __init__(self, provider: LoggerProvider) -> None:
        self._logger = provider.get_logger("septum")

    def transition_taken(self, fact: facts.TransitionTaken, /) -> None:
        self._logger.emit(event_name="septum.transition")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Structlog and the root logger are after the test what they were before."""
    before, level = list(ROOT.handlers), ROOT.level
    ROOT.setLevel(logging.INFO)
    yield
    instrumentor = contrib.StructlogInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
    ROOT.handlers[:] = [handler for handler in ROOT.handlers if handler in before]
    ROOT.setLevel(level)
    structlog.reset_defaults()
    setup_logging("none")
    clear_contextvars()


@pytest.fixture
def exported() -> Iterator[Exported]:
    made = Exported()
    yield made
    made.provider.shutdown()


def log_in_three_ways(ctx: Any) -> Go:
    ctx.log("by ctx.log", left=3)
    structlog.get_logger("mine").info("by structlog", left=3)
    STDLIB.warning("by %s", "stdlib", extra={"left": 3})
    return Go.ON


RENDERERS = {
    "json": structlog.processors.JSONRenderer(),
    "log_kwargs": structlog.stdlib.render_to_log_kwargs,
    "formatter": ProcessorFormatter.wrap_for_formatter,
}


def native(renderer: Any = RENDERERS["json"]) -> None:
    """Let structlog write by itself."""
    structlog.configure([merge_contextvars, renderer], logger_factory=structlog.PrintLoggerFactory(io.StringIO()))


def routed(renderer: Any = RENDERERS["log_kwargs"]) -> None:
    """Let structlog hand on what it has to the stdlib."""
    structlog.configure(
        [structlog.stdlib.filter_by_level, merge_contextvars, structlog.stdlib.add_log_level, renderer],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


LINES = ["by ctx.log", "by structlog", "by stdlib"]
COMBINATIONS: list[tuple[Callable[[], None], str, list[str]]] = [
    (native, "structlog", LINES),
    (native, "stdlib", LINES),
    (native, "none", []),
    (routed, "structlog", LINES),
    (routed, "stdlib", LINES),
    (routed, "none", []),
]


@pytest.mark.parametrize(("route", "otlp", "lines"), COMBINATIONS, ids=lambda part: getattr(part, "__name__", None))
def test_each_log_call_is_exported_once(route: Callable[[], None], otlp: Any, lines: list[str], exported: Exported) -> None:
    """Structlog by itself or through the stdlib, the bridge here, there or nowhere: one record a call, one event of the engine's a fact.

    That a line has no second record holds for what septum.logs and StructlogHooks say of the same fact as well.
    """
    route()
    setup_logging(otlp, exported.provider)
    handle(log_in_three_ways, StructlogHooks(), Events(exported.provider))

    assert exported.names == [*lines, "septum.transition"]


@pytest.mark.parametrize("otlp", ["structlog", "stdlib"])
def test_without_structlog_hooks_it_is_the_same(otlp: Any, exported: Exported) -> None:
    """Where `ctx.log` goes to the stdlib it is exported once too, with the stdlib's fields."""
    native()
    setup_logging(otlp, exported.provider)
    handle(log_in_three_ways, Events(exported.provider))

    assert exported.names == [*LINES, "septum.transition"]
    found = exported.records[0].attributes
    assert [found[name] for name in ("left", "septum_machine", "septum_state", "septum_visit")] == [3, "order", "till.Waiting", 1]


@pytest.mark.parametrize("otlp", ["structlog", "stdlib"])
@pytest.mark.parametrize("renderer", RENDERERS)
def test_each_log_call_is_exported_once_whatever_the_last_processor(renderer: str, otlp: Any, exported: Exported) -> None:
    """All that structlog can hand on to the stdlib, a text, keywords or a dict for a formatter, is known to be structlog's."""
    routed(RENDERERS[renderer])
    setup_logging(otlp, exported.provider)
    handle(log_in_three_ways, StructlogHooks(), Events(exported.provider))

    if (renderer, otlp) == ("json", "stdlib"):
        # The handler sees what was rendered, and nothing else.
        assert [json.loads(body)["event"] for body in exported.names[:2]] == LINES[:2]  # type: ignore[arg-type]
        assert exported.names[2:] == [LINES[2], "septum.transition"]
    else:
        assert exported.names == [*LINES, "septum.transition"]


@pytest.mark.parametrize(
    ("route", "otlp", "renderer", "stdlib"),
    [
        (native, "structlog", "json", PLACE),
        (native, "stdlib", "json", {}),
        (routed, "structlog", "formatter", PLACE),
        (routed, "stdlib", "formatter", {}),
        (routed, "stdlib", "log_kwargs", {}),
    ],
)
def test_exported_record_has_the_fields(route: Any, otlp: Any, renderer: str, stdlib: dict[str, object], exported: Exported) -> None:
    """Keywords are attributes, and where the line was said; the stdlib's own records know that where structlog's bridge exports them."""
    route(RENDERERS[renderer])
    setup_logging(otlp, exported.provider)
    handle(log_in_three_ways, StructlogHooks())

    found = [{name: value for name, value in without_run(record.attributes).items() if name != "level"} for record in exported.records]
    assert found == [PLACE | {"left": 3}, PLACE | {"left": 3}, stdlib | {"left": 3}]
    assert [record.severity_text for record in exported.records] == ["INFO", "INFO", "WARN"]


@pytest.mark.parametrize("otlp", ["structlog", "stdlib"])
@pytest.mark.parametrize("route", [native, routed])
def test_line_in_a_handler_has_the_trace_of_the_visit(route: Callable[[], None], otlp: Any, exported: Exported) -> None:
    """The exported record's trace and span are those of the visit's span, however it was logged."""
    tracing = Tracing()
    route()
    setup_logging(otlp, exported.provider)
    handle(log_in_three_ways, StructlogHooks(), tracing.hooks)

    visit = next(span for span in tracing.engine_spans() if span.name == "visit order.Waiting")
    assert visit.context is not None
    lines = [record for record in exported.records if record.body in LINES]
    assert [(record.trace_id, record.span_id) for record in lines] == [(visit.context.trace_id, visit.context.span_id)] * 3
    tracing.provider.shutdown()


@pytest.mark.parametrize("otlp", ["structlog", "stdlib"])
def test_exception_is_exported_with_its_traceback(otlp: Any, exported: Exported) -> None:
    """`ctx.log.exception` has type, message and stacktrace in the attributes of OpenTelemetry."""

    def fail(ctx: Any) -> Go:
        try:
            int("x")
        except ValueError:
            ctx.log.exception("failed")
        return Go.ON

    native()
    setup_logging(otlp, exported.provider)
    handle(fail, StructlogHooks())

    (record,) = exported.records
    assert (record.body, record.severity_text, record.attributes["exception.type"]) == ("failed", "ERROR", "ValueError")
    assert record.attributes["exception.message"] == "invalid literal for int() with base 10: 'x'"
    assert 'int("x")' in record.attributes["exception.stacktrace"]


def test_finding_is_exported(exported: Exported) -> None:
    """What the checks of a definition say is the engine's, but nobody else exports it."""
    native()
    setup_logging("structlog", exported.provider)
    logging.getLogger("septum.machine").warning("SEP015 in lonely", extra={"septum_fact": "finding", "_septum_engine": True})
    logging.getLogger("septum.machine").warning("a fact", extra={"septum_fact": "overdue", "_septum_engine": True})

    assert exported.names == ["SEP015 in lonely"]


@pytest.mark.parametrize("otlp", ["structlog", "stdlib"])
@pytest.mark.parametrize("route", [native, routed])
def test_logger_that_was_used_before_is_exported_too(route: Callable[[], None], otlp: Any, exported: Exported) -> None:
    """cache_logger_on_first_use keeps a logger as it was put together first, and its lines still come once; and not after "none"."""
    route()
    structlog.configure(cache_logger_on_first_use=True)
    cached = structlog.get_logger("early")
    hook = StructlogHooks()
    cached.info("before")
    handle(lambda ctx: ctx.log("before"), hook)
    setup_logging(otlp, exported.provider)
    cached.info("cached")
    handle(lambda ctx: ctx.log("by ctx.log"), hook)
    setup_logging("none")
    cached.info("after")
    handle(lambda ctx: ctx.log("after"), hook)

    assert exported.names == ["cached", "by ctx.log"]


def test_async_methods_of_structlog_are_exported_once(exported: Exported) -> None:
    """What structlog logs in another thread, for a handler that awaits it, is known as structlog's there too."""
    routed()
    setup_logging("structlog", exported.provider)

    async def say(_: Any) -> Go:
        await structlog.get_logger("mine").ainfo("by structlog")
        return Go.ON

    handle(say, StructlogHooks())

    assert [(record.body, without_run(record.attributes)) for record in exported.records] == [("by structlog", PLACE)]


def test_later_configuration_keeps_structlogs_bridge(exported: Exported) -> None:
    """A program that configures structlog after setup_logging has its lines exported once, and the engine's not at all."""
    setup_logging("structlog", exported.provider)
    routed()
    handle(log_in_three_ways, StructlogHooks(), Events(exported.provider))

    assert exported.names == [*LINES, "septum.transition"]


def test_calling_it_again_changes_the_bridge(exported: Exported) -> None:
    """The last call counts, and what it puts in is there once."""
    native()
    for otlp in ("structlog", "structlog", "stdlib", "stdlib", "none", "structlog"):
        setup_logging(otlp, exported.provider)  # type: ignore[arg-type]
        structlog.get_logger().info(otlp)

    assert exported.names == ["structlog", "structlog", "stdlib", "stdlib", "structlog"]


def test_bridges_are_named() -> None:
    """What exports logs can be asked for, whoever put it in."""
    assert bridges() == []
    setup_logging("structlog")
    assert bridges() == [PROCESSOR]
    setup_logging("stdlib")
    assert bridges() == [HANDLER]


def test_handler_of_a_higher_level_gets_no_less_than_that(exported: Exported) -> None:
    """The level of a handler that was there holds for structlog's own events too."""
    native()
    add_handler(exported.provider).setLevel(logging.WARNING)
    setup_logging("stdlib")
    structlog.get_logger().info("one")
    structlog.get_logger().warning("two")

    assert exported.names == ["two"]


def test_none_leaves_nothing_behind() -> None:
    """After "none" structlog's chain, whether it is configured, and the root logger's handlers are as before."""
    before = list(structlog.get_config()["processors"]), structlog.is_configured(), list(ROOT.handlers)
    for otlp in ("structlog", "stdlib"):
        setup_logging(otlp)  # type: ignore[arg-type]
        setup_logging("none")

    assert (structlog.get_config()["processors"], structlog.is_configured(), ROOT.handlers) == before


def test_chain_that_is_no_list_is_taken_too(exported: Exported) -> None:
    """structlog takes any iterable of processors."""
    for otlp in ("stdlib", "structlog"):
        structlog.configure((merge_contextvars, RENDERERS["json"]), logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
        setup_logging(otlp, exported.provider)  # type: ignore[arg-type]
        structlog.get_logger().info(otlp)

    assert exported.names == ["stdlib", "structlog"]


def test_exporter_that_logs_is_not_exported_for_ever(exported: Exported) -> None:
    """What is logged while a record is exported goes no further."""

    class Talkative(log_export.SimpleLogRecordProcessor):
        def on_emit(self, data: Any) -> None:
            STDLIB.warning("exporting")

    exported.provider.add_log_record_processor(Talkative(Memory()))
    native()
    setup_logging("structlog", exported.provider)
    STDLIB.warning("once")
    structlog.get_logger().warning("twice")

    assert exported.names == ["once", "twice"]


def add_handler(provider: LoggerProvider | None = None) -> logging.Handler:
    """Do what LoggingInstrumentor does."""
    handler: logging.Handler = handlers.LoggingHandler(logger_provider=provider)
    ROOT.addHandler(handler)
    return handler


def add_processor(provider: LoggerProvider | None = None) -> None:
    """Do what a program may do by hand."""
    structlog.configure([contrib.StructlogProcessor(provider), *structlog.get_config()["processors"]])


def instrument(provider: LoggerProvider | None = None) -> None:
    contrib.StructlogInstrumentor().instrument(logger_provider=provider)


def instrument_and_forget() -> None:
    """Leave the instrumentor on, whose processor the next configuration brings."""
    instrument()
    structlog.reset_defaults()


HANDLER = "opentelemetry.instrumentation.logging.handler.LoggingHandler on the root logger"
PROCESSOR = "opentelemetry.instrumentation.structlog.StructlogProcessor in structlog's processors"
INSTRUMENTOR = "opentelemetry.instrumentation.structlog.StructlogInstrumentor in structlog's processors"
NO_HANDLER = (
    "LoggingInstrumentor().uninstrument(), or the variable OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION=false, "
    "or logging.getLogger().removeHandler(...)"
)
NO_PROCESSOR = (
    "StructlogInstrumentor().uninstrument(), or the variable OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=structlog, "
    "or structlog.configure() without the processor"
)


@pytest.mark.parametrize(
    ("found", "otlp", "text"),
    [
        (
            [add_handler],
            "structlog",
            (
                f"structlog's processor, but there is {HANDLER}. Take it out: {NO_HANDLER}; "
                'or keep what is there: setup_logging(otlp="stdlib")'
            ),
        ),
        (
            [add_processor],
            "stdlib",
            (
                f"the root logger's handler, but there is {PROCESSOR}. Take it out: {NO_PROCESSOR}; "
                'or keep what is there: setup_logging(otlp="structlog")'
            ),
        ),
        (
            [instrument],
            "none",
            (
                f"no export at all, but there is {PROCESSOR}. Take it out: {NO_PROCESSOR}; "
                'or keep what is there: setup_logging(otlp="structlog")'
            ),
        ),
        (
            [instrument_and_forget],
            "stdlib",
            (
                f"the root logger's handler, but there is {INSTRUMENTOR}. Take it out: {NO_PROCESSOR}; "
                'or keep what is there: setup_logging(otlp="structlog")'
            ),
        ),
        (
            [add_handler, instrument],
            "stdlib",
            f"the root logger's handler, but there is {HANDLER} and {PROCESSOR}. Take it out: {NO_PROCESSOR}",
        ),
        (
            [add_handler, add_handler],
            "stdlib",
            f"the root logger's handler, but there is {HANDLER} and {HANDLER}. Take it out: {NO_HANDLER}",
        ),
        (
            [instrument, add_processor],
            "structlog",
            f"structlog's processor, but there is {PROCESSOR} and {PROCESSOR}. Take it out: {NO_PROCESSOR}",
        ),
    ],
    ids=lambda part: part if isinstance(part, str) and len(part) < 10 else None,
)
def test_second_bridge_is_refused(found: list[Callable[[], object]], otlp: Any, text: str) -> None:
    """The error names what is asked for, what is there, how to be rid of it and what to do instead; nothing is changed."""
    for put in found:
        put()
    before = list(structlog.get_config()["processors"]), list(ROOT.handlers)
    with pytest.raises(SeptumError) as caught:
        setup_logging(otlp)

    assert str(caught.value) == f'setup_logging(otlp="{otlp}") asks for {text}'
    assert (list(structlog.get_config()["processors"]), ROOT.handlers) == before


def test_deprecated_handler_of_the_sdk_is_a_bridge_too() -> None:
    """The SDK's own handler is found by its name, deprecated or not."""
    from opentelemetry.sdk import _logs

    class Old(_logs.LoggingHandler):
        def __init__(self) -> None:
            logging.Handler.__init__(self)

    ROOT.addHandler(Old())
    with pytest.raises(SeptumError, match=r"there is opentelemetry\.sdk\._logs\.\S*LoggingHandler on the root logger"):
        setup_logging("structlog")


@pytest.mark.parametrize(
    ("put", "otlp"),
    [(add_handler, "stdlib"), (add_processor, "structlog"), (instrument, "structlog")],
)
def test_bridge_that_is_there_is_kept(put: Callable[[LoggerProvider], object], otlp: Any, exported: Exported) -> None:
    """No second one is put in, and the kept one is fed from the other world and spared what the engine says."""
    native()
    put(exported.provider)
    setup_logging(otlp)
    setup_logging(otlp, exported.provider)
    handle(log_in_three_ways, StructlogHooks(), Events(exported.provider))

    assert exported.names == [*LINES, "septum.transition"]


def test_instrumentor_whose_processor_was_taken_out_puts_it_in_again(exported: Exported) -> None:
    """After structlog.reset_defaults() the instrumentor believes in a processor that is gone."""
    instrument(exported.provider)
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
    setup_logging("structlog")
    structlog.get_logger().info("one")

    assert exported.names == ["one"]


def test_kept_bridge_with_another_provider_is_refused(exported: Exported) -> None:
    """Lines would go elsewhere than was asked for."""
    add_handler()
    with pytest.raises(SeptumError, match="LoggingHandler on the root logger exports already, and to another logger provider than"):
        setup_logging("stdlib", exported.provider)


def test_wrong_arguments_say_what_is_right() -> None:
    """An unknown word and something else than a provider are refused before anything is done."""
    with pytest.raises(ValueError, match='otlp must be "structlog", "stdlib" or "none", not \'otlp\''):
        setup_logging("otlp")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"logger_provider must be an OpenTelemetry LoggerProvider or None, not 'p'; opentelemetry\.sdk"):
        setup_logging("stdlib", "p")  # type: ignore[arg-type]


PIP = "install it with: pip install"


@pytest.mark.parametrize(
    ("missing", "call", "text"),
    [
        ("structlog", "", f'septum.otel.structlog needs structlog; {PIP} "septum[structlog]"'),
        (
            "opentelemetry.instrumentation.structlog",
            "s.setup_logging('structlog')",
            f'setup_logging(otlp="structlog") needs a package; {PIP} "opentelemetry-instrumentation-structlog>=0.65b0"',
        ),
        (
            "opentelemetry.instrumentation.logging.handler",
            "s.setup_logging('stdlib')",
            f'setup_logging(otlp="stdlib") needs a package; {PIP} "opentelemetry-instrumentation-logging>=0.61b0"',
        ),
    ],
    ids=["structlog", "structlog's bridge", "stdlib's bridge"],
)
@pytest.mark.slow
def test_missing_package_is_named(missing: str, call: str, text: str) -> None:
    """The error says what to install."""
    code = f"import sys; sys.modules[{missing!r}] = None\ntry:\n import septum.otel.structlog as s\n {call}\n"
    assert in_fresh_python(code + "except ImportError as error: print(error)") == text


@pytest.mark.slow
def test_sdk_is_not_imported() -> None:
    """Neither the module nor setting up needs more than the API."""
    code = "import sys, septum.otel.structlog as s\nfor otlp in ('structlog', 'stdlib'): s.setup_logging(otlp)\n"
    assert in_fresh_python(code + "print('opentelemetry.sdk' in sys.modules)") == "False"


def test_chain_of_ones_own_is_spared_the_engine(exported: Exported) -> None:
    """With a logger of one's own for the engine, drop_engine_events before the bridge keeps the engine out of OTLP."""
    bridge = contrib.StructlogProcessor(exported.provider)
    Chain(drop_engine_events, bridge)
    handle(log_in_three_ways, StructlogHooks(structlog.get_logger("mine")), Events(exported.provider))

    assert exported.names == [*LINES[:2], "septum.transition"]


def test_engines_lines_stay_on_the_console(exported: Exported) -> None:
    """The engine's events miss the bridge only: the renderer gets them."""
    out = io.StringIO()
    structlog.configure(
        [RENDERERS["json"]],
        logger_factory=structlog.PrintLoggerFactory(out),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    setup_logging("structlog", exported.provider)
    handle(lambda ctx: Go.ON, StructlogHooks())

    shown = [json.loads(line)["septum.fact"] for line in out.getvalue().splitlines()]
    assert (shown, exported.names) == (["run_started", "transition_taken", "run_ended"], [])
