"""What is known of runs while their spans, events and records come in, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from septum import semconv
from septum.replay._model import Message, RunError
from septum.replay._signals import build, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from septum.replay._signals import Span
    from septum.replay._tape import Tape

Place = int
"""Where a line of a file begins, in bytes."""

# Looked up for every span; an attribute of a module costs as much again.
_OPERATION: Final = semconv.OPERATION_NAME
_VISIT: Final = semconv.VISIT_NUMBER
_SEQ: Final = semconv.SEQ
_STATE: Final = semconv.STATE_NAME
_KIND: Final = semconv.TRANSITION_KIND
_OUTCOME: Final = semconv.VISIT_OUTCOME
_TARGET: Final = semconv.TRANSITION_TO_STATE
_LABEL: Final = semconv.TRANSITION_LABEL
_ERROR: Final = semconv.ERROR_TYPE
_TIMEOUT: Final = semconv.TIMEOUT_DURATION
_MESSAGE: Final = semconv.MESSAGE_ID
_TYPE: Final = semconv.MESSAGE_TYPE
_WAIT: Final = semconv.MESSAGE_WAIT_TIME
_PRIORITY: Final = semconv.MESSAGE_PRIORITY

_TEXT_OR_NONE: Final = {str, type(None)}
_LONGEST: Final = 20  # digits
_MOST_SECONDS: Final = 1e11  # three thousand years


class Seen(NamedTuple):
    """A visit, or a part of one, as its span tells it; without a kind its beginning is missing, "continued" has its end elsewhere."""

    seq: int
    state: str
    kind: str | None
    stack: tuple[str, ...] | None
    start: int
    end: int | None
    outcome: str | None
    target: str | None
    exit: str | None
    error: str | None
    retry: int | None
    limit: int | None
    timeout: float | None


class Entry(NamedTuple):
    """How a visit began, as the event of the transition tells it that led to it."""

    state: str
    kind: str
    label: str | None
    source: str
    wall: int
    dwell: int


class Segment(NamedTuple):
    """A segment of a run, as its span tells it."""

    start: int
    end: int
    number: int
    outcome: str | None
    error: str | None


class Draft:
    """One run.

    Attributes:
        visits: What spans tell of each visit; a list where it is in parts. `recorded` is the same from records.
        entries: What events tell of the beginning of each visit, and with it of the end of the one before.
        last: The edge to the end of the machine, from an event: the visit, label and wall.
        retries: From events, for the visit that a retry was asked for in: count, limit, when, and the state.
        fired: For each visit whose deadline fired: when, the seconds, and the `seq` if that is known.
        segments: From spans; `numbers` are all that were seen.
        resumed: From events and records: when the run was seen first again, in another process say; 0 for never.
        began, ended: From events: when the run started, and when, how, in which state and visit it ended (0: in none, or not known).
        left: From events: how visits ended.
        tape: From a recording: puts its records into their order, and follows them.
        numbered: Messages by their number, from a recording.
        timeouts: Seconds that states have, from a recording.
        spans: The ids of its spans.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.machine_id = self.machine_name = self.definition_hash = ""
        self.visits: dict[int, Seen | list[Seen]] = {}
        self.entries: dict[int, Entry] = {}
        self.last: tuple[int, str | None, int] | None = None
        self.retries: dict[int, tuple[int, int | None, int, str]] = {}
        self.fired: dict[int, tuple[int, float, int]] = {}
        self.left: dict[int, str | None] = {}
        self.messages: list[Message] = []
        self.sent: dict[int, tuple[int, int]] = {}
        self.errors: list[RunError] = []
        self.segments: list[Segment] = []
        self.numbers: set[int] = set()
        self.began: int | None = None
        self.resumed = 0
        self.ended: tuple[int, str, str | None, int] | None = None
        self.timeouts: dict[str, float] = {}
        self.duplicates = 0
        self.told: set[tuple[object, ...]] = set()
        self.spans: set[str] = set()
        self.has_spans = False
        self.recorded: dict[int, Seen] = {}
        self.numbered: dict[int, Message] = {}
        self.tape: Tape | None = None
        self.files: dict[str, list[Place]] = {}

    def begin(self, wall: int) -> None:
        """Note that the run began, or was seen again for the first time, at a moment."""
        if self.began is None:
            self.began = wall
        else:
            self.began, self.resumed = min(self.began, wall), max(self.began, self.resumed, wall)

    def end(self, wall: int, outcome: str, state: str | None, visit: int) -> None:
        """Note an end; a run that goes on in another process had an end in the one before."""
        if self.ended is None or wall > self.ended[0]:
            self.ended = (wall, outcome, state, visit)

    def see(self, number: int, seen: Seen) -> None:
        """Take what a span tells of a visit."""
        before = self.visits.setdefault(number, seen)
        if isinstance(before, list):
            before.append(seen)
        elif before is not seen:
            self.visits[number] = [before, seen]


def take_span(draft: Draft, span: Span) -> None:
    """Take a span of the run.

    Raises:
        KeyError, TypeError: It is not what Septum's spans are.
    """
    _, span_id, _, _, found = span
    if span_id in draft.spans:
        draft.duplicates += 1
        return
    draft.spans.add(span_id)
    draft.has_spans = True
    operation = found[_OPERATION]
    if operation == semconv.Operation.VISIT:
        _take_visit(draft, span, found)
    elif operation == semconv.Operation.PROCESS:
        _take_process(draft, span, found)
    elif operation == semconv.Operation.RUN:
        segment = whole(found, semconv.RUN_SEGMENT, 0)
        draft.numbers.add(segment)
        draft.segments.append(Segment(span.start, span.end, segment, text(found, semconv.RUN_OUTCOME), text(found, semconv.ERROR_TYPE)))
        draft.definition_hash = text(found, semconv.MACHINE_DEFINITION_HASH) or draft.definition_hash
    elif operation == semconv.Operation.SEND and semconv.MESSAGE_ID in found and semconv.ERROR_TYPE not in found:
        draft.sent[message_number(found)] = (whole(found, semconv.SEQ, 0), span.end)


def _take_visit(draft: Draft, span: Span, found: Mapping[str, object]) -> None:
    get = found.get
    number, seq, state = found[_VISIT], found[_SEQ], found[_STATE]
    if type(number) is not int or type(seq) is not int or type(state) is not str:
        raise TypeError(f"a visit has number {shown(number)}, seq {shown(seq)} and state {shown(state)}")
    kind, outcome, target, label, error = get(_KIND), get(_OUTCOME), get(_TARGET), get(_LABEL), get(_ERROR)
    if not {type(kind), type(outcome), type(target), type(label), type(error)} <= _TEXT_OR_NONE:
        for key in (_KIND, _OUTCOME, _TARGET, _LABEL, _ERROR):
            text(found, key)  # one of them raises
    retry: int | None = 0
    limit: object = None
    timeout = None
    if semconv.RETRY_COUNT in found:
        retry, limit = whole(found, semconv.RETRY_COUNT, 0), get(semconv.RETRY_LIMIT) and whole(found, semconv.RETRY_LIMIT, 0)
    if _TIMEOUT in found:
        timeout = seconds(found, _TIMEOUT)
    if semconv.RUN_SEGMENT in found:
        # trace_scope="visit": there is no run's span.
        draft.numbers.add(whole(found, semconv.RUN_SEGMENT, 0))
        draft.definition_hash = text(found, semconv.MACHINE_DEFINITION_HASH) or draft.definition_hash
        ended = text(found, semconv.RUN_OUTCOME)
        if ended is not None:
            draft.end(span.end, ended, state, number)
    stack = texts(found, semconv.STACK) if semconv.STACK in found else ()
    start, end = span[2], span[3]
    if error is not None and outcome == semconv.VisitOutcome.ERROR:
        draft.errors.append(RunError(number, state, cast("str", error), None, end))
    seen: Seen = build(Seen, (seq, state, kind, stack, start, end, outcome, target, label, error, retry, limit, timeout))
    if number in draft.visits:
        draft.see(number, seen)
    else:
        draft.visits[number] = seen


def _take_process(draft: Draft, span: Span, found: Mapping[str, object]) -> None:
    get = found.get
    start = span[2]
    visit, seq = get(_VISIT, 0), get(_SEQ, 0)
    if type(visit) is not int or type(seq) is not int:
        visit, seq = whole(found, _VISIT, 0), whole(found, _SEQ, 0)
    if _TIMEOUT in found:
        draft.fired[visit] = (start, seconds(found, _TIMEOUT), seq)
        return
    number, queued_at = message_number(found), 0
    if number and _WAIT in found:
        queued_at = start - round(seconds(found, _WAIT) * 1e9)
    kind, priority = get(_TYPE), get(_PRIORITY, 2)
    if not (type(kind) is str and type(priority) is int):
        kind, priority = text(found, _TYPE) or "", whole(found, _PRIORITY, 2)
    draft.messages.append(build(Message, (number, kind, priority, 0, queued_at, seq, start, visit, 0, 0, None)))


def message_number(found: Mapping[str, object]) -> int:
    """Return the number of a message, which is text in telemetry; 0 if it has none."""
    known = found.get(_MESSAGE)
    if not known or type(known) is not str:
        text(found, _MESSAGE)  # raises for all but a text and None
        return 0
    if len(known) > _LONGEST or not known.isdecimal():
        raise TypeError(f"{semconv.MESSAGE_ID} is {shown(known)}, no number")
    return int(known)


def text(found: Mapping[str, object], key: str) -> str | None:
    """Return an attribute that is text, if it is there."""
    value = found.get(key)
    if value is not None and type(value) is not str:
        raise TypeError(f"{key} is {shown(value)}, no text")
    return value


def whole(found: Mapping[str, object], key: str, otherwise: int) -> int:
    """Return an attribute that is a whole number; *otherwise* if it is not there."""
    value = found.get(key, otherwise)
    if type(value) is not int:
        raise TypeError(f"{key} is {shown(value)}, no whole number")
    return value


def seconds(found: Mapping[str, object], key: str) -> float:
    """Return an attribute that is a finite number."""
    value = found[key]
    # The comparison is false for what is not a number.
    if type(value) not in {int, float} or not -_MOST_SECONDS < value < _MOST_SECONDS:  # type: ignore[operator] # pyright: ignore[reportOperatorIssue] - see the left
        raise TypeError(f"{key} is {shown(value)}, no number of seconds")
    return float(value)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the same


def timeouts(found: Mapping[str, object]) -> dict[str, float]:
    """Return the timeouts of states that the start of a recording tells."""
    known: dict[str, float] = {}
    for told in texts(found, semconv.RECORDING_TIMEOUTS):
        state, _, number = told.rpartition(" ")
        try:
            known[state] = seconds({"": float(number)}, "")
        except ValueError:
            raise TypeError(f"{semconv.RECORDING_TIMEOUTS} has {shown(told)}, no state and its seconds") from None
    return known


def texts(found: Mapping[str, object], key: str) -> tuple[str, ...]:
    """Return an attribute that is a list of texts; empty if it is not there."""
    value = found.get(key, ())
    entries = cast("Sequence[object]", value) if isinstance(value, tuple | list) else None
    if entries is None or not all(type(each) is str for each in entries):
        raise TypeError(f"{key} is {shown(found.get(key))}, no list of texts")
    return tuple(cast("Sequence[str]", entries))
