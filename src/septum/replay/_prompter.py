"""What a machine under replay is given of its recording: messages, moments, results, chances; and its end, where they do not fit."""

from __future__ import annotations

import math
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NoReturn

from septum import Hooks, semconv
from septum._errors import MailboxFull, mailbox_full
from septum._mode import DELAY, WAIT
from septum.logs import type_name
from septum.replay import _lines as lines
from septum.replay._actor import DROPPED
from septum.replay._divergence import Divergence, Halt
from septum.replay._names import names_of
from septum.replay._payloads import Unreadable
from septum.replay._script import GAP, NOTHING, START
from septum.replay._telling import in_words, is_own, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType, TracebackType

    from septum.replay._actor import Actor
    from septum.replay._divergence import Kind
    from septum.replay._names import Names
    from septum.replay._payloads import Digests, Payloads
    from septum.replay._record import Record
    from septum.replay._script import Script

    Step = tuple[str, str | None, str | None, str] | tuple[str, str, str]
    Stop = Callable[[FrameType | None, TracebackType | None, Divergence], None]

MOST_MOVES: Final = 1_000
"""Transitions of a path that are kept."""

_ERROR: Final = semconv.ERROR_TYPE
_SENT_OUTSIDE: Final = frozenset({"filtered", "overflow_newest", "rejected", "closed"})
_NEW_PART: Final = frozenset({GAP, START})
_NO_DIFFERENCE: Final = frozenset({"gap", "unreadable"})


class Prompter(Hooks):
    """Leads one machine through one recording: the source of all that the machine takes from outside.

    Attributes:
        script: The recording.
        actor: The machine.
        calls, transitions: How many there were so far.
        path: The last transitions: source, target, label, and the kind where that is not "label".
        stop: Called before a divergence ends the replay, with the frame or traceback to look at; None to go on at once.
        halt: What ended the replay, once it has ended, though a handler swallowed it.
        in_middle: The recording begins in the middle of a run, or records are missing.
        is_edited: There may be fewer messages than there were.
    """

    strict = True
    replaces_log = True

    def __init__(self, script: Script, payloads: Payloads) -> None:
        self.script = script
        self.payloads = payloads
        self.calls: int = 0
        self.transitions: int = 0
        self.path: deque[Step] = deque(maxlen=MOST_MOVES)
        self.stop: Stop | None = None
        self.halt: Halt | None = None
        self.actor: Actor
        self._digests: Digests | None = None
        self._compares_common = False
        self._called: Names
        self._names: Mapping[str, str] = {}
        self.in_middle = False
        self.is_edited = False
        self._injecting: Record | None = None
        self._supplied: Record | None = None
        self._before: list[str] = []

    def take(self, actor: Actor) -> None:
        """Hold *actor* to the recording."""
        self.actor = actor
        self._called = names_of(actor.plan.graph)
        self._names = self._called.states

    def compare_values(self, digests: Digests, *, common: bool) -> None:
        """Compare the arguments of calls by their digests, and `common` after each handler if that is wanted."""
        self._digests = digests
        self._compares_common = common

    def forget_common(self) -> None:
        """Compare `common` no more: a handler that may have changed it was not called here."""
        self._compares_common = False

    def know_common(self) -> None:
        """Compare `common` from here on: the machine has what was recorded of it."""
        self._compares_common = True

    # -- where both part

    def diverge(
        self,
        kind: Kind,
        found: str,
        *,
        frame: FrameType | None = None,
        trace: TracebackType | None = None,
        **details: Any,
    ) -> NoReturn:
        """End the replay, because *found* is not what was recorded; *details* as `describe` takes them.

        Raises:
            Halt: Always.
        """
        event = self.script.next.event
        if event in _NEW_PART and kind not in _NO_DIFFERENCE:
            # The player sees to it.
            raise Halt(None)
        if event == NOTHING and kind not in _NO_DIFFERENCE:
            # Nobody knows what came then: the process ended there, or the recording.
            self.halt = Halt(None)
            raise self.halt
        divergence = self.describe(kind, found, **details)
        self.halt = Halt(divergence)
        if self.stop is not None and kind not in _NO_DIFFERENCE:
            self.stop(frame, trace, divergence)
        raise self.halt

    def describe(
        self,
        kind: Kind,
        found: str,
        *,
        expected: str | None = None,
        handler: str | None = None,
        where: str | None = None,
        advice: str = "",
    ) -> Divergence:
        """Return where the recording is, and what is *found* there."""
        record, last = self.script.next, self.script.last
        return Divergence(
            kind=kind,
            index=record.index or last.index + 1,
            seq=record.seq or last.seq,
            visit=record.visit or last.visit,
            at=record.at or last.at,
            state=self.name(self.actor.state),
            handler=handler,
            expected=in_words(record) if expected is None else expected,
            found=found,
            where=where,
            advice=advice,
            before=(in_words(last),),
        )

    def refuse(self, record: Record, why: Unreadable) -> NoReturn:
        """End the replay, because the value of *record* is not there."""
        what = in_words(record).partition(":")[0]
        self.diverge("unreadable", f"record {record.index}: its value {why.what}", expected=what, advice=why.advice)

    def read(self, record: Record) -> Any:
        """Return the value that *record* holds."""
        try:
            return self.payloads.read(record)
        except Unreadable as error:
            self.refuse(record, error)

    def name(self, state: str) -> str:
        """Return what a state is called in the recording."""
        return self._names.get(state, state)

    def _reach(self, event: str) -> Record:
        """Let in what came from outside meanwhile, and return what is next then: a record of *event*, if the recording has one there."""
        script = self.script
        while True:
            record = script.next
            if record.event == event:
                return record
            if record.event == "snapshot":
                script.advance()
            elif self.is_outside(record):
                self.let_in(record)
            else:
                return record

    # -- messages from outside

    def is_outside(self, record: Record) -> bool:
        """Say whether *record* is something that others did: sent a message, or tried to."""
        if record.event == "message":
            return not is_own(record)
        if record.event != "dropped":
            return False
        if record.attributes.get(semconv.DROP_REASON) in _SENT_OUTSIDE:
            return not is_own(record)
        follower = next(self.script.ahead(), None)
        return follower is not None and follower.event == "message" and not is_own(follower)

    def let_in(self, record: Record) -> None:
        """Do what others did at *record*, which is next."""
        script = self.script
        if record.event == "dropped":
            if record.attributes.get(semconv.DROP_REASON) in _SENT_OUTSIDE:
                script.advance()
                return
            if not self.actor.is_full():
                # The mailbox held messages that were there before anybody recorded.
                self.actor.remove(number_of(record))
                script.advance()
                return
            # It had to go for the message that comes next.
            record = next(script.ahead())
        message = self.read(record)
        script.clock.advance(record.at / 1e9)
        self._injecting = record
        try:
            queued = self.actor.let_in(message, number_of(record))
        except MailboxFull as error:
            self.diverge(
                "machine", f"the mailbox was full: {error}", advice="Give max_queue_size= and queue_overflow_policy= as they were."
            )
        finally:
            self._injecting = None
        if not queued:
            self.diverge(
                "machine", "the message was not queued", advice="Give filter_fn=, max_queue_size= and queue_overflow_policy= as they were."
            )

    def set_clock(self, record: Record, stage: int) -> None:
        """Set the clock for what is due, and see to it that the message is there if that is one.

        A deadline is over if *record*, which is next, says so, and is not otherwise, whatever a nanosecond says.
        """
        actor, clock = self.actor, self.script.clock
        deadline = actor.deadline
        if deadline is not None:
            if stage == DELAY:
                clock.advance(deadline)
            elif stage == WAIT:
                if record.event == "timer":
                    clock.advance(max(deadline, record.at / 1e9))
                elif clock.time >= deadline:
                    clock.time = math.nextafter(deadline, -math.inf)
        if record.event == "taken" and stage == WAIT:
            self._supply(record)
        elif record.event in {"handler", "effect", "message"}:
            self.script.begin_call()

    def _supply(self, record: Record) -> None:
        """Put a message in that was queued before the recording began, or where records are missing."""
        if record is self._supplied:
            return
        self._supplied = record
        number = number_of(record)
        if semconv.RECORDING_ENCODING in record.attributes:
            self.actor.put_first(self.read(record), number)
        elif (not number or self.in_middle) and not self.actor.bring(number):
            if self.is_edited:
                self.diverge("message", "there is no such message any more")
            self.diverge("gap", f"{in_words(record)}; the record that has its payload is missing")

    def _diverge_at_frame(self, kind: Kind, found: str) -> NoReturn:
        """End the replay at the line of the handler that asks now."""
        frame = lines.users_frame(sys._getframe(1))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the one way to a caller's line
        where = None if frame is None else lines.say(frame.f_code.co_filename, frame.f_lineno)
        self.diverge(kind, found, where=where, frame=frame)

    def expect(self, message: object) -> int | None:
        """Let in what came from outside before a handler sends *message*.

        Returns:
            The number that it will have; None if it has none, `DROPPED` if it found no room.

        Raises:
            MailboxFull: It found no room, and the handler was told so.
        """
        script = self.script
        while (self.is_outside(script.next) and not self._is_meant(script.next, message)) or self._is_of_before(script.next):
            self.let_in(script.next)
        record = script.next
        if record.event == "dropped" and is_own(record) and record.attributes.get(semconv.MESSAGE_TYPE) == type_name(message):
            reason = record.attributes.get(semconv.DROP_REASON)
            if reason in {"rejected", "overflow_newest"} and not self.actor.is_full():
                # For the same reason as in let_in.
                script.advance()
                if reason == "rejected":
                    raise mailbox_full(self.actor.plan.limit, self.actor.plan.policy)
                return DROPPED
        return number_of(record) if record.event == "message" else None

    def _is_meant(self, record: Record, message: object) -> bool:
        """Say whether *record* tells of *message*, sent by the machine itself."""
        return (
            is_own(record) is not False
            and record.attributes.get(semconv.MESSAGE_TYPE) == type_name(message)
            and self.payloads.is_same(record, message)
        )

    def _is_of_before(self, record: Record) -> bool:
        """Say whether a message was dropped for a newer one because of messages that were there before anybody recorded."""
        return record.event == "dropped" and record.attributes.get(semconv.DROP_REASON) == "overflow_oldest" and not self.actor.is_full()
