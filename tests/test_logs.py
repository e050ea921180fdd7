"""What a machine logs: levels, texts, fields, and that it logs nothing of the user's and builds nothing when off."""

from __future__ import annotations

import logging
import pickle
from enum import Enum, StrEnum, auto
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from septum import LabeledTransition, StateConfiguration, StateMachine, facts, logs, septum
from septum._findings import warning
from septum.testing import ManualClock, RecorderHooks
from tests.samples import ERROR, MESSAGE, SAMPLES, sample
from tests.scenes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGGER = logging.getLogger("septum.machine")


class Keeper(logging.Handler):
    """A handler that keeps its records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Iterator[list[logging.LogRecord]]:
    """Return the list of records that the logger `septum.machine` writes at DEBUG and above during the test."""
    keeper = Keeper()
    LOGGER.addHandler(keeper)
    LOGGER.setLevel(logging.DEBUG)
    yield keeper.records
    LOGGER.setLevel(logging.NOTSET)
    LOGGER.removeHandler(keeper)


def tell(*told: facts.Fact) -> None:
    """Tell the hook that every machine has."""
    for fact in told:
        getattr(logs.hook, fact.told_as)(fact)


def test_each_fact_is_one_line_with_its_level_and_text(kept: list[logging.LogRecord]) -> None:
    """The whole log of one fact of every kind, word for word."""
    tell(*SAMPLES)

    assert [f"{record.levelname} {record.getMessage()}" for record in kept] == [
        "INFO orders[m-1]: run r-1 started in m.A",
        "INFO orders[m-1]: run r-1 goes on in m.A",
        "DEBUG orders[m-1]: message Secret queued, 3 waiting",
        "DEBUG orders[m-1]: message Secret taken after 0.250 s, 2 waiting",
        "DEBUG orders[m-1]: message Secret unhandled",
        "DEBUG orders[m-1]: message Secret filtered",
        "DEBUG orders[m-1]: message Secret rejected",
        "WARNING orders[m-1]: message Secret dropped: overflow_newest",
        "DEBUG orders[m-1]: visit 2 started: m.A (initial)",
        "DEBUG orders[m-1]: on_state of m.A called",
        "DEBUG orders[m-1]: on_state of m.A called with message Secret",
        "DEBUG orders[m-1]: on_state of m.A returned after 0.500000 s",
        "DEBUG orders[m-1]: on_leave of m.A raised ValueError after 0.500000 s",
        "DEBUG orders[m-1]: visit 2 ended: m.A after 1.500 s (transition)",
        "INFO orders[m-1]: m.A -Events.GO-> m.B",
        "INFO orders[m-1]: m.A -direct-> m.B",
        "INFO orders[m-1]: m.A -Events.ASK push-> m.B",
        "INFO orders[m-1]: m.A -Events.STOP-> end",
        "INFO orders[m-1]: retry 2 (of 3) of m.A in 0.200 s",
        "INFO orders[m-1]: retry 2 (no limit) of m.A in 0.200 s",
        "WARNING orders[m-1]: m.A used up its 3 retries",
        "INFO orders[m-1]: m.A timed out after 5 s, noticed 0.125 s late",
        "DEBUG orders[m-1]: pushed m.A, m.B, stack depth 2",
        "DEBUG orders[m-1]: popped m.B, stack depth 1",
        "ERROR orders[m-1]: ValueError in m.A, answered by on_error_fn",
        "ERROR orders[m-1]: ValueError in m.A, goes to the error state",
        "ERROR orders[m-1]: ValueError in m.A, raised to the caller",
        "DEBUG orders[m-1]: ctx.call gave a result",
        "DEBUG orders[m-1]: ctx.call raised ValueError",
        "WARNING orders[m-1]: m.A is overdue: 61.000 s, expected at most 60 s",
        "DEBUG orders[m-1]: snapshot taken in m.A",
        "INFO orders[m-1]: run r-1 ended in m.A after 3.500 s: completed",
        "INFO orders[m-1]: run r-1 ended in m.A after 3.500 s: failed, with ValueError",
    ]


@pytest.mark.parametrize("fact", SAMPLES, ids=lambda fact: fact.told_as)
def test_each_record_says_where_it_belongs(fact: facts.Fact, kept: list[logging.LogRecord]) -> None:
    """Machine, run, visit and state are fields, and the mark of the engine is set."""
    tell(fact)

    (record,) = kept
    state = getattr(fact, "source", None) or getattr(fact, "state", None)
    assert {name: getattr(record, name) for name in logs.RECORD_FIELDS} == {
        "septum_fact": fact.told_as,
        "septum_machine": "orders",
        "septum_machine_id": "m-1",
        "septum_run_id": "r-1",
        "septum_visit": 2,
        "septum_state": state,
        "_septum_engine": True,
    }
    assert record.name == "septum.machine"


@pytest.mark.parametrize("fact", SAMPLES, ids=lambda fact: fact.told_as)
def test_only_an_error_carries_its_exception(fact: facts.Fact, kept: list[logging.LogRecord]) -> None:
    """The traceback is there for the operator where an exception is routed, and nowhere else."""
    tell(fact)

    expected = (ValueError, ERROR, ERROR.__traceback__) if isinstance(fact, facts.ErrorRouted) else None
    assert [record.exc_info for record in kept] == [expected]


@pytest.fixture
def no_tracebacks() -> Iterator[None]:
    """Install the filter that docs/reference/logs.md shows."""

    def without_traceback(record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True

    LOGGER.addFilter(without_traceback)
    yield
    LOGGER.removeFilter(without_traceback)


@pytest.mark.usefixtures("no_tracebacks")
@pytest.mark.parametrize("fact", SAMPLES, ids=lambda fact: fact.told_as)
def test_nothing_of_the_users_is_in_a_record(fact: facts.Fact, kept: list[logging.LogRecord]) -> None:
    """Messages, answers, headers, reasons and texts of exceptions stay out of the text and of every field."""
    tell(fact)

    (record,) = kept
    assert "secret" not in record.getMessage()
    assert b"secret" not in pickle.dumps(vars(record))
    assert MESSAGE not in vars(record).values()


def test_a_message_is_named_by_its_type() -> None:
    """A str or an int is told by type, never by value; of an Enum the member is named, which stands in the program."""

    class Command(StrEnum):
        STOP = "secret"

    named = [logs.type_name(thing) for thing in (Command.STOP, "secret", 4711, MESSAGE, None)]

    assert named == ["test_a_message_is_named_by_its_type.<locals>.Command.STOP", "str", "int", "Secret", "NoneType"]


@pytest.mark.parametrize(
    ("set_to", "level", "heard"),
    [
        (logging.DEBUG, logging.DEBUG, {fact.told_as for fact in facts.FACTS}),
        (logging.INFO, logging.INFO, {"run_started", "run_ended", "transition_taken", "retry_scheduled", "timeout_fired"}),
        (logging.WARNING, logging.WARNING, {"message_dropped", "retries_exhausted", "overdue"}),
        (logging.ERROR, logging.ERROR, {"error_routed"}),
        (logging.CRITICAL, logs.OFF, set()),
        (logging.CRITICAL + 1, logs.OFF, set()),
        (logging.INFO + 1, logging.WARNING, {"message_dropped", "retries_exhausted", "overdue"}),
    ],
)
def test_listens_names_what_would_be_logged(set_to: int, level: int, heard: set[str], kept: list[logging.LogRecord]) -> None:
    """At a level, the hook asks for the facts of that level and above, and logs exactly the lines of these levels."""
    louder = {
        name
        for value, names in {
            logging.WARNING: {"message_dropped", "retries_exhausted", "overdue"},
            logging.ERROR: {"error_routed"},
        }.items()
        if value >= level
        for name in names
    }
    LOGGER.setLevel(set_to)

    tell(*SAMPLES)

    assert (logs.level(), logs.listens()) == (level, heard | louder)
    assert {record.septum_fact for record in kept} == logs.listens()
    assert [record.levelno for record in kept if record.levelno < set_to] == []


def test_a_change_of_level_anywhere_above_is_seen_at_once() -> None:
    """The level is that of the nearest logger with one, `logging.disable` counts, and a disabled logger hears nothing."""
    parent = logging.getLogger("septum")
    seen = [logs.level()]
    try:
        parent.setLevel(logging.INFO)
        seen.append(logs.level())
        logging.disable(logging.WARNING)
        seen.append(logs.level())
        logging.disable(logging.NOTSET)
        LOGGER.disabled = True
        seen.append(logs.level())
    finally:
        LOGGER.disabled = False
        parent.setLevel(logging.NOTSET)

    assert [*seen, logs.level()] == [logging.WARNING, logging.INFO, logging.ERROR, logs.OFF, logging.WARNING]


def test_below_its_level_a_fact_is_not_even_looked_at() -> None:
    """With INFO off no record, no text and no value of a field is made: a fact without any field passes."""
    made = []
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *args, **kwargs: made.append(args))
    try:
        for name in ("transition_taken", "visit_started", "message_queued", "stack_pushed", "timeout_fired"):
            getattr(logs.hook, name)(SimpleNamespace())
    finally:
        logging.setLogRecordFactory(before)

    assert made == []


def test_without_set_up_nothing_goes_to_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The logger `septum` has a NullHandler, so logging's last resort stays silent for a warning."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    tell(sample(facts.Overdue, state="m.A", age=2.0, limit=1.0))
    logging.getLogger("not.septum").warning("heard")

    assert capsys.readouterr().err == "heard\n"
    assert [type(handler) for handler in logging.getLogger("septum").handlers] == [logging.NullHandler]


def test_a_second_hook_writes_to_its_own_logger(kept: list[logging.LogRecord]) -> None:
    """`LogHooks(logger)` has its own level and leaves `septum.machine` alone."""
    keeper = Keeper()
    mine = logging.getLogger("tests.mine")
    mine.setLevel(logging.INFO)
    mine.addHandler(keeper)
    hook = logs.LogHooks(mine)

    for fact in SAMPLES:
        getattr(hook, fact.told_as)(fact)
    mine.removeHandler(keeper)

    assert hook.level() == logging.INFO
    assert {record.septum_fact for record in keeper.records} == hook.listens()
    assert {record.name for record in keeper.records} == {"tests.mine"}
    assert kept == []


def test_findings_are_warnings_with_code_state_and_hint(kept: list[logging.LogRecord]) -> None:
    """Each finding is one record."""
    logs.log_findings([warning("SEP012", "m.A", "label LOST has no edge.", "Add one."), warning("SEP015", "m.B", "No on_timeout.", "")])

    assert [f"{record.levelname} {record.getMessage()}" for record in kept] == [
        "WARNING SEP012 in m.A: label LOST has no edge. Add one.",
        "WARNING SEP015 in m.B: No on_timeout.",
    ]
    assert {name: getattr(kept[0], name) for name in logs.RECORD_FIELDS} == {
        "septum_fact": "finding",
        "septum_machine": None,
        "septum_machine_id": None,
        "septum_run_id": None,
        "septum_visit": None,
        "septum_state": "m.A",
        "_septum_engine": True,
    }


@pytest.mark.parametrize("kind", facts.FACTS, ids=lambda kind: kind.told_as)
def test_the_table_answers_for_every_fact(kind: type[facts.Fact]) -> None:
    """Each fact has lines, of which the last and only the last takes whatever is left; cases have words and fields exist."""
    lines = [line for line in logs.LINES if line.fact is kind]

    assert [line.applies is None for line in lines] == [*[False] * (len(lines) - 1), True]
    assert [line.case == "" for line in lines] == [line.applies is None for line in lines]
    assert [line.text.count("%") for line in lines] == [len(line.fields) for line in lines]
    known = {"visit", "run_id", *kind.own_fields, *logs.SHOWN}
    assert {field for line in lines for field in line.fields} <= known


@septum.state(config=StateConfiguration(can_dwell=True))
def Idle():
    @septum.on_state
    async def on_state(ctx):
        if isinstance(ctx.msg, Exception):
            raise ctx.msg
        return ctx.msg

    @septum.transitions
    def transitions():
        return [LabeledTransition(Say.AGAIN, Idle), LabeledTransition(Say.END, None)]


class Say(Enum):
    """Labels of the machine that logs."""

    AGAIN = auto()
    END = auto()


def texts(kept: list[logging.LogRecord]) -> list[str]:
    """Return level and text of each record, run ids and the module's name left out, and forget them."""
    lines = [f"{record.levelname} {record.getMessage().replace(f'{__name__}.', '')}" for record in kept]
    runs = {record.septum_run_id for record in kept if record.septum_run_id}
    kept.clear()
    for run_id in runs:
        lines = [line.replace(run_id, "RUN") for line in lines]
    return lines


def machine(**options: Any) -> StateMachine[Any]:
    """Return a machine that waits for labels."""
    return StateMachine(Idle, name="order", machine_id="7", clock=ManualClock(), **options)


def test_a_machine_logs_its_run_at_info(kept: list[logging.LogRecord]) -> None:
    """Start, transitions and end, with nothing attached to it."""
    LOGGER.setLevel(logging.INFO)
    fsm = machine()

    async def scene() -> None:
        fsm.send_message(Say.AGAIN)
        fsm.send_message(Say.END)
        await fsm.serve()

    run(scene())
    assert texts(kept) == [
        "INFO order[7]: run RUN started in Idle",
        "INFO order[7]: Idle -Say.AGAIN-> Idle",
        "INFO order[7]: Idle -Say.END-> end",
        "INFO order[7]: run RUN ended in Idle after 0.000 s: completed",
    ]


def test_a_machine_logs_its_handlers_and_messages_at_debug(kept: list[logging.LogRecord]) -> None:
    """Everything that can be told is a line."""
    fsm = machine()

    async def scene() -> None:
        await fsm.tick()
        kept.clear()
        fsm.send_message(Say.AGAIN)
        await fsm.tick()

    run(scene())
    assert texts(kept) == [
        "DEBUG order[7]: message Say.AGAIN queued, 1 waiting",
        "DEBUG order[7]: message Say.AGAIN taken after 0.000 s, 0 waiting",
        "DEBUG order[7]: on_state of Idle called with message Say.AGAIN",
        "DEBUG order[7]: on_state of Idle returned after 0.000000 s",
        "DEBUG order[7]: visit 1 ended: Idle after 0.000 s (transition)",
        "INFO order[7]: Idle -Say.AGAIN-> Idle",
        "DEBUG order[7]: visit 2 started: Idle (label)",
    ]


def test_turning_the_level_up_and_down_is_noticed_by_the_next_tick(kept: list[logging.LogRecord]) -> None:
    """A machine that runs already says where it goes on, and falls silent again."""
    fsm = machine()

    async def scene() -> list[list[str]]:
        said = []
        for level in (logging.WARNING, logging.INFO, logging.WARNING):
            LOGGER.setLevel(level)
            fsm.send_message(Say.AGAIN)
            await fsm.tick()
            said.append(texts(kept))
        return said

    assert run(scene()) == [[], ["INFO order[7]: run RUN goes on in Idle", "INFO order[7]: Idle -Say.AGAIN-> Idle"], []]


@pytest.mark.parametrize("observers", [[], [RecorderHooks()]], ids=["unobserved", "observed"])
def test_drops_and_errors_are_logged_by_default(observers: list[Any], kept: list[logging.LogRecord]) -> None:
    """At WARNING a machine says what it lost and what was raised, whether somebody observes it or not."""
    LOGGER.setLevel(logging.WARNING)
    fsm = machine(max_queue_size=1, queue_overflow_policy="drop_newest", hooks=observers)

    async def scene() -> None:
        await fsm.tick()
        fsm.send_message("kept")
        fsm.send_message("secret")
        await fsm.reset()
        fsm.send_message(ValueError("sent"))
        with pytest.raises(ValueError, match="sent"):
            await fsm.tick()

    run(scene())
    errors = [record.exc_info[1].args for record in kept if record.exc_info]
    assert texts(kept) == [
        "WARNING order[7]: message str dropped: overflow_newest",
        "WARNING order[7]: message str dropped: closed",
        "ERROR order[7]: ValueError in Idle, raised to the caller",
    ]
    assert errors == [("sent",)]


def test_a_definition_with_warnings_is_logged_once(kept: list[logging.LogRecord]) -> None:
    """The first machine of a definition logs its findings; the second, of the same, has nothing to add."""

    @septum.state(config=StateConfiguration(timeout=1.0), name="lonely")
    def Lonely():
        @septum.on_state
        async def on_state(ctx):
            pass

    StateMachine(Lonely)
    StateMachine(Lonely)

    assert [(record.levelname, record.septum_state, record.getMessage()[:16]) for record in kept] == [
        ("WARNING", "lonely", "SEP015 in lonely")
    ]
