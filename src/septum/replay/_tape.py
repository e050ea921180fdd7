"""A recording, followed record by record: the visits, messages and errors that it tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from septum import semconv
from septum.replay._drafts import Seen, message_number, seconds, text, texts, timeouts, whole
from septum.replay._model import Message, RunError
from septum.replay._recorded import Order

if TYPE_CHECKING:
    from septum.replay._drafts import Draft
    from septum.replay._record import Record

_ON_TIMEOUT = semconv.HandlerName.ON_TIMEOUT
_DECIDING = {semconv.HandlerName.ON_STATE, _ON_TIMEOUT, semconv.HandlerName.ON_FAIL}
_OUTCOMES = {"label": "transition", "direct": "transition", "end": "completed"}
_ERROR = "error"
_MOVES = {semconv.TransitionKind.PUSH, semconv.TransitionKind.POP}


class Tape:
    """Follows the records of one run.

    Attributes:
        order: Puts them into their order.
        resumed: The run began before it was recorded.
        last_index, last_visit: Of the last record that was followed.
    """

    def __init__(self, draft: Draft) -> None:
        self.order = Order()
        self.resumed = False
        self.last_index = self.last_visit = 0
        self._draft = draft
        self._seq = self._wall = 0
        self._visit = 0
        self._state: str | None = None
        self._kind: str | None = None
        self._begin: tuple[int, int] | None = None
        self._stack: list[str] | None = None
        self._retry: tuple[int, int | None] | None = (0, None)
        self._decided: str | None = ""
        self._error: str | None = None
        # A push or pop was the last record: the one that tells what it did to the stack comes next.
        self._moves = False
        # The state that a retry's delay leads to, and when it is over.
        self._delay: tuple[str, int] | None = None

    def put(self, record: Record) -> None:
        """Take a record, in whatever order.

        Raises:
            KeyError, TypeError: It is not what a record is.
        """
        for following in (record,) if self.order.is_due(record) else self.order.put(record):
            self._follow(following)

    def finish(self) -> None:
        """Follow what was held back, and close the visit that goes on."""
        for following in self.order.rest():
            self._follow(following)
        self._draft.duplicates += self.order.duplicates
        if self._moves:
            self._stack = None
        self._close(None, None, None, None)

    def _follow(self, record: Record) -> None:
        if self._moves and (record.event != "stack" or record.index != self.last_index + 1):
            self._stack, self._moves = None, False  # the record of its change is missing
        self._arrive(record)
        if not self._moves and record.event == "stack":
            self._close(None, None, None, None)  # the record of the transition is missing
        self._moves = False
        take = getattr(self, f"_take_{record.event}", None)
        if take is not None:
            take(record)
        self.last_index, self._seq, self._wall = record.index, record.seq, record.wall
        self.last_visit = max(self.last_visit, record.visit)

    def _arrive(self, record: Record) -> None:
        """Find out whether another visit has begun since the last record."""
        if record.index != self.last_index + 1:
            # What decided may be among what is missing.
            self._decided, self._error = None, None
            if record.visit != self._visit:
                self._close(None, None, None, None)
                self._stack, self._retry, self._delay = None, None, None
        if record.visit <= self._visit or record.event == "start":
            return
        if self._delay is not None:
            state, over = self._delay
            self._delay = None
            self._open(record.visit, self._seq + 1, max(self._wall, over), state, semconv.TransitionKind.RETRY)
        else:
            self._close(None, None, None, None)
            self._visit = record.visit
        # After a gap the first record that names the state tells where the machine is.
        if self._state is None:
            known = text(record.attributes, semconv.STATE_NAME) or text(record.attributes, semconv.TRANSITION_FROM_STATE)
            if known is not None:
                self._open(record.visit, record.seq, record.wall, known, None)
            else:
                self._visit -= 1

    def _open(self, visit: int, seq: int, wall: int, state: str, kind: str | None) -> None:
        self._visit, self._state, self._kind, self._begin = visit, state, kind, (seq, wall)
        self._decided, self._error = "", None

    def _close(self, outcome: str | None, target: str | None, label: str | None, end: int | None) -> None:
        state, begin = self._state, self._begin
        if state is None or begin is None:
            return
        retry, limit = (None, None) if self._retry is None else self._retry
        stack = None if self._stack is None else tuple(self._stack)
        error = self._error if outcome == _ERROR else None
        timeout = self._draft.timeouts.get(state)
        seen = Seen(begin[0], state, self._kind, stack, begin[1], end, outcome, target, label, error, retry, limit, timeout)
        before = self._draft.recorded.get(self._visit)
        if before is None:
            self._draft.recorded[self._visit] = seen
        elif end is not None:
            # It went on after a restore.
            self._draft.recorded[self._visit] = before._replace(end=end, outcome=outcome, target=target, exit=label, error=error)
        self._state = self._begin = None
        self._retry = (0, None)

    # ---- one method for each kind of record that tells of the walk

    def _take_start(self, record: Record) -> None:
        found = record.attributes
        self.resumed = found.get(semconv.RECORDING_RESUMED) is True
        self._stack = list(texts(found, semconv.STACK))
        self._draft.begin(record.wall)
        self._draft.timeouts |= timeouts(found)
        state = text(found, semconv.STATE_NAME)
        visit = record.visit if self.resumed else record.visit + 1
        if record.index <= self.last_index:
            self._rewind(record)
        known = self._draft.recorded.get(visit)
        if state is not None and known is not None and known.outcome == semconv.VisitOutcome.RETRY:
            # It was restored in the delay.
            self._visit, self._delay = visit, (state, record.wall)
        elif state is not None and (self._state is None or visit != self._visit):
            self._open(visit, record.seq + 1, record.wall, state, semconv.TransitionKind.INITIAL)

    def _rewind(self, record: Record) -> None:
        """Forget what happened after the snapshot that the machine was restored from."""
        draft = self._draft
        self._state = self._begin = self._delay = None
        for later in [number for number in draft.recorded if number > record.visit]:
            del draft.recorded[later]
        for later in [number for number in draft.fired if number > record.visit]:
            del draft.fired[later]
        draft.errors = [error for error in draft.errors if error.visit <= record.visit]
        for number, message in [*draft.numbered.items()]:
            if message.queued >= record.seq:
                del draft.numbered[number]
            elif message.taken >= record.seq or message.dropped >= record.seq:
                draft.numbered[number] = message._replace(taken=0, taken_at=0, visit=0, dropped=0, dropped_at=0, reason=None)

    def _take_handler(self, record: Record) -> None:
        name = text(record.attributes, semconv.HANDLER_NAME)
        if name in _DECIDING:
            self._decided = name or ""

    def _take_error(self, record: Record) -> None:
        found = record.attributes
        to, kind = text(found, semconv.ERROR_DESTINATION), text(found, semconv.ERROR_TYPE) or semconv.OTHER
        if to != semconv.ErrorDestination.RAISED:
            # What is raised to the caller decides nothing: the machine goes on where it was.
            self._decided = _ERROR
        self._error = None if to == semconv.ErrorDestination.ON_ERROR_FN else kind
        self._draft.errors.append(RunError(record.visit, text(found, semconv.STATE_NAME) or "", kind, to, record.wall))

    def _take_transition(self, record: Record) -> None:
        found = record.attributes
        kind, target, label = (text(found, key) for key in (semconv.TRANSITION_KIND, semconv.TRANSITION_TO_STATE, semconv.TRANSITION_LABEL))
        if kind is None:
            raise TypeError("a transition has no kind")
        if kind == semconv.TransitionKind.AGAIN:
            return
        outcome = None
        if self._decided is not None:
            outcome = {_ON_TIMEOUT: "timeout", _ERROR: _ERROR}.get(self._decided) or _OUTCOMES.get(kind, kind)
        self._close(outcome, target, label, record.wall)
        self._moves = kind in _MOVES
        if target is not None and kind != semconv.TransitionKind.RETRY:
            # The fact of the stack stands between.
            self._open(record.visit + 1, record.seq + (2 if self._moves else 1), record.wall, target, kind)

    def _take_stack(self, record: Record) -> None:
        found = record.attributes
        states, depth = list(texts(found, semconv.STACK_STATES)), whole(found, semconv.STACK_DEPTH, 0)
        pushed = found.get(semconv.STACK_CHANGE) == semconv.StackChange.PUSHED
        stack = self._stack
        if stack is not None:
            stack = [*stack, *states] if pushed else stack[:-1]
        # After a gap, a stack that holds no more than this is known again.
        known = states if pushed else []
        self._stack = stack if stack is not None and len(stack) == depth else known if len(known) == depth else None

    def _take_timer(self, record: Record) -> None:
        found = record.attributes
        duration = seconds(found, semconv.TIMER_DURATION)
        if found.get(semconv.TIMER_KIND) != semconv.TimerKind.RETRY_BACKOFF:
            self._draft.fired[record.visit] = (record.wall, duration, record.seq)
            return
        limit = whole(found, semconv.RETRY_LIMIT, 0) if semconv.RETRY_LIMIT in found else None
        self._retry = (whole(found, semconv.RETRY_COUNT, 0), limit)
        state = text(found, semconv.STATE_NAME) or ""
        if duration > 0:
            self._delay = (state, record.wall + round(duration * 1e9))
        else:
            self._open(record.visit + 1, record.seq + 1, record.wall, state, semconv.TransitionKind.RETRY)

    def _take_snapshot(self, record: Record) -> None:
        self._stack = list(texts(record.attributes, semconv.STACK))

    def _take_end(self, record: Record) -> None:
        found = record.attributes
        outcome, state = text(found, semconv.RUN_OUTCOME), text(found, semconv.STATE_NAME)
        if outcome is None:
            raise TypeError("the end of a run has no outcome")
        self._draft.end(record.wall, outcome, state, record.visit)
        of_visit: str | None = _ERROR if outcome == semconv.RunOutcome.FAILED else outcome
        if outcome == semconv.RunOutcome.COMPLETED and self._decided == _ON_TIMEOUT:
            of_visit = semconv.VisitOutcome.TIMEOUT
        self._error = text(found, semconv.ERROR_TYPE) or self._error
        # After a gap the visit may have been over already, in a retry's delay.
        whole_visit = self._decided is not None
        self._close(of_visit if whole_visit else None, None, None, record.wall if whole_visit else None)

    # ---- messages

    def _take_message(self, record: Record) -> None:
        found = record.attributes
        number, kind = message_number(found), text(found, semconv.MESSAGE_TYPE) or ""
        queued = Message(number, kind, whole(found, semconv.MESSAGE_PRIORITY, 2), record.seq, record.wall)
        self._keep(queued)

    def _take_taken(self, record: Record) -> None:
        number = message_number(record.attributes)
        known = self._draft.numbered.get(number) or Message(number, text(record.attributes, semconv.MESSAGE_TYPE) or "")
        self._keep(known._replace(taken=record.seq, taken_at=record.wall, visit=record.visit))

    def _take_dropped(self, record: Record) -> None:
        number = message_number(record.attributes)
        known = self._draft.numbered.get(number) or Message(number, text(record.attributes, semconv.MESSAGE_TYPE) or "")
        self._keep(known._replace(dropped=record.seq, dropped_at=record.wall, reason=text(record.attributes, semconv.DROP_REASON)))

    def _keep(self, message: Message) -> None:
        if message.number:
            self._draft.numbered[message.number] = message
        else:
            self._draft.messages.append(message)
