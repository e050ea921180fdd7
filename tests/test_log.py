"""`ctx.log`: levels, what each record carries, whose line it is, what it costs while it is off, and who may take it over."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import pytest

from septum import Hooks, LabeledTransition, StateConfiguration, StateMachine, septum
from septum._log import TAKEN, Log, LogSink, as_text
from septum.testing import RecorderHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from septum._log import Place

APP = logging.getLogger("septum.app")
MACHINE = {"septum_machine": "order", "septum_machine_id": "7"}


class Keeper(logging.Handler):
    """A handler that keeps its records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Sink(Hooks, LogSink):
    """A hook that takes the log over, and remembers what was said at INFO and above."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def say(self, level: int, text: str, place: Callable[[], Place], fields: dict[str, object], /) -> None:
        if level >= logging.INFO:
            self.said.append((level, text, place(), fields))


class Go(Enum):
    ON = auto()


@septum.state(config=StateConfiguration(can_dwell=True), name="shop.Waiting")
def Waiting() -> None:
    @septum.on_state
    async def on_state(ctx):
        if ctx.msg is None:
            return None
        ctx.common(ctx)
        return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Waiting)]


@pytest.fixture
def kept() -> Iterator[list[logging.LogRecord]]:
    """Return the list of records that the logger `septum.app` writes at INFO and above during the test, and nobody else sees."""
    keeper = Keeper()
    APP.addHandler(keeper)
    APP.setLevel(logging.INFO)
    APP.propagate = False
    yield keeper.records
    APP.propagate = True
    APP.setLevel(logging.NOTSET)
    APP.removeHandler(keeper)


def handled(say: Callable[[Any], object], *hooks: Hooks) -> StateMachine[Any]:
    """Return a machine whose handler has called *say* with its context, twice, in its first and its second visit."""
    fsm: StateMachine[Any] = StateMachine(Waiting, name="order", machine_id="7", common_data=say, hooks=hooks)

    async def scene() -> None:
        for _ in range(2):
            fsm.send_message("work")
            await fsm.tick()

    asyncio.run(scene())
    return fsm


def extras(record: logging.LogRecord) -> dict[str, object]:
    """Return what a record has besides what every record has."""
    return {name: value for name, value in vars(record).items() if name not in TAKEN}


def test_each_method_logs_at_its_level(kept: list[logging.LogRecord]) -> None:
    """Calling the log is INFO, as it always was; the methods are named for their levels."""
    log = StateMachine(Waiting).log
    log("called")
    log(message="by its old name")
    for method in (log.debug, log.info, log.warning, log.error, log.critical):
        method(method.__name__)

    assert [(record.name, record.levelname, record.getMessage()) for record in kept] == [
        ("septum.app", "INFO", "called"),
        ("septum.app", "INFO", "by its old name"),
        ("septum.app", "INFO", "info"),
        ("septum.app", "WARNING", "warning"),
        ("septum.app", "ERROR", "error"),
        ("septum.app", "CRITICAL", "critical"),
    ]


def test_record_says_where_it_was_said(kept: list[logging.LogRecord]) -> None:
    """Machine, id, run, state and visit are fields named as in septum.logs; the number of the visit counts up."""
    recorder = RecorderHooks()
    handled(lambda ctx: ctx.log("here"), recorder)

    run_id = recorder.facts[0].run_id
    place = MACHINE | {"septum_run_id": run_id, "septum_state": "shop.Waiting"}
    assert [extras(record) for record in kept] == [place | {"septum_visit": 1}, place | {"septum_visit": 2}]


def test_record_of_an_unobserved_machine_names_no_run(kept: list[logging.LogRecord]) -> None:
    """Where nobody observes a machine its runs have no ids; before the first visit the number is 0."""
    StateMachine(Waiting, name="order", machine_id="7").log("early")

    assert [extras(record) for record in kept] == [
        MACHINE | {"septum_run_id": None, "septum_state": "shop.Waiting", "septum_visit": 0},
    ]


def test_keywords_are_fields_of_the_record(kept: list[logging.LogRecord]) -> None:
    """What is given by keyword stands on the record under its name, and is not formatted into the text."""
    handled(lambda ctx: ctx.log.info("100 % of {it}", amount=3, text="t"))

    assert {(record.msg, record.args, record.getMessage(), record.amount, record.text) for record in kept} == {  # type: ignore[attr-defined]
        ("100 % of {it}", (), "100 % of {it}", 3, "t"),
    }


def test_field_with_a_name_of_the_record_gets_an_underscore(kept: list[logging.LogRecord]) -> None:
    """Names that logging, the machine or a record factory has taken do not raise and take nothing away."""
    plain = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = plain(*args, **kwargs)
        record.tenant = "factory's"
        return record

    taken = {"name": 1, "message": 2, "septum_state": 3, "tenant": 4, "args": 5, "name_": 6}
    logging.setLogRecordFactory(factory)
    try:
        StateMachine(Waiting).log.info("text", **taken)
    finally:
        logging.setLogRecordFactory(plain)

    (record,) = kept
    given = {name: value for name, value in extras(record).items() if isinstance(value, int) and name != "septum_visit"}
    assert given == {"name_": 1, "message_": 2, "septum_state_": 3, "tenant_": 4, "args_": 5, "name__": 6}
    assert (record.name, record.getMessage(), record.tenant, record.septum_state) == (  # type: ignore[attr-defined]
        "septum.app",
        "text",
        "factory's",
        "shop.Waiting",
    )


@pytest.mark.parametrize("method", ["__call__", "debug", "info", "warning", "error", "critical", "exception"])
def test_record_names_the_line_of_the_caller(method: str, kept: list[logging.LogRecord]) -> None:
    """File, line and function are those of whoever called the log, for each of its methods."""
    APP.setLevel(logging.DEBUG)
    say = getattr(StateMachine(Waiting).log, method)
    here = [say("here"), inspect.getframeinfo(inspect.currentframe()).lineno]  # type: ignore[arg-type]

    assert [(record.pathname, record.lineno, record.funcName) for record in kept] == [
        (__file__, here[1], "test_record_names_the_line_of_the_caller"),
    ]


def test_stacklevel_and_stack_info_mean_what_they_mean_in_logging(kept: list[logging.LogRecord]) -> None:
    """A function of one's own that logs for its callers names their line; stack_info is the stack above it."""
    log = StateMachine(Waiting).log

    def note() -> None:
        log.info("here", stacklevel=2, stack_info=True)

    note()

    (record,) = kept
    assert record.funcName == "test_stacklevel_and_stack_info_mean_what_they_mean_in_logging"
    assert (record.stack_info or "").rstrip().endswith("note()")


def test_exception_is_that_being_handled_unless_it_is_given(kept: list[logging.LogRecord]) -> None:
    """`exception` takes the present one; `exc_info` takes an exception, a triple or True; without it there is none."""
    log = StateMachine(Waiting).log
    given = KeyError("given")
    try:
        int("x")
    except ValueError as error:
        present = error
        log.exception("one")
        log.warning("two", exc_info=True)
        log.critical("three", exc_info=sys.exc_info())
        log.exception("four", exc_info=given)
        log.warning("five")

    assert [record.exc_info and record.exc_info[1] for record in kept] == [present, present, present, given, None]


def test_log_that_is_off_asks_nothing_of_the_machine(kept: list[logging.LogRecord]) -> None:
    """Below the level no record is made, no id is given to the machine, and its memory stays as it is."""
    fsm = StateMachine(Waiting)
    fsm.log.debug("unheard", amount=3)

    assert (kept, fsm._aside) == ([], None)


def test_hook_that_is_a_sink_takes_the_log_over(kept: list[logging.LogRecord]) -> None:
    """The first sink among a machine's hooks gets level, text, place and fields, and the stdlib logger nothing."""
    first, second = Sink(), Sink()
    handled(lambda ctx: ctx.log.warning("low", left=3), RecorderHooks(), first, second)

    assert [
        (level, text, (place.machine, place.machine_id, place.state, place.visit), fields) for level, text, place, fields in first.said
    ] == [
        (logging.WARNING, "low", ("order", "7", "shop.Waiting", 1), {"left": 3}),
        (logging.WARNING, "low", ("order", "7", "shop.Waiting", 2), {"left": 3}),
    ]
    assert (second.said, kept) == ([], [])


def test_sink_is_there_as_long_as_it_is_attached(kept: list[logging.LogRecord]) -> None:
    """Another machine's log stays where it was, and detaching brings a machine's own back; a log that was kept follows."""
    sink = Sink()
    fsm, other = StateMachine(Waiting), StateMachine(Waiting)
    log = fsm.log
    fsm.attach(sink)
    log("taken")
    other.log("not taken")
    fsm.detach(sink)
    log("back")

    assert ([text for _, text, _, _ in sink.said], [record.msg for record in kept]) == (["taken"], ["not taken", "back"])


def test_sink_must_say_something() -> None:
    """The base class writes nowhere, and says so."""
    with pytest.raises(NotImplementedError):
        LogSink().say(logging.INFO, "text", lambda: pytest.fail("asked"), {})


def test_log_without_a_machine_is_one_text() -> None:
    """A function that takes texts gets the fields behind the text, at every level; where a Log is given it stays."""
    texts: list[str] = []
    log = as_text(texts.append)
    log("plain")
    log.debug("with", amount=3, name="x")
    log.error("failed", exc_info=KeyError("x"), stacklevel=2)

    assert texts == ["plain", "with amount=3 name='x'", "failed"]
    assert as_text(log) is log


def test_log_holds_nothing_but_the_machine() -> None:
    """It is made when it is asked for and is not kept."""
    fsm = StateMachine(Waiting)
    assert (fsm.log is fsm.log, Log.__slots__, hasattr(fsm.log, "__dict__")) == (False, ("_say",), False)
