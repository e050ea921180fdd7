"""The records of one run in their order, one at a time: what a replay is led by and held to."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Final, cast

from septum import semconv
from septum.replay._record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from septum.replay._virtual import VirtualClock

GAP: Final = "gap"
START: Final = "start"
_IN_CALL: Final = frozenset({"effect", "message", "dropped"})
NOTHING: Final = "nothing"

_NO_RECORD: Final = Record(NOTHING, 0, 0, 0, 0, 0, "", "", "")


class Script:
    """A recording that is read record by record; nothing that was passed is kept.

    Attributes:
        next: The record that comes now. Its event is "gap" where records are missing, and "nothing" after the last one.
        last: The one before it.
        passed: How many were passed.
        clock: Set to the moment of each record that is passed.
        lost: Where `next` is a gap: the indexes of the first and last record that are missing.
    """

    __slots__ = ("_ahead", "_source", "_starts", "clock", "last", "lost", "next", "passed")

    def __init__(self, records: Iterable[Record], clock: VirtualClock) -> None:
        self._source: Iterator[Record] = iter(records)
        self._ahead: deque[Record] = deque()
        self.clock = clock
        self._starts: set[tuple[int, int, int]] = set()
        self.lost = (0, 0)
        self.passed = 0
        self.last = _NO_RECORD
        self.next = next(self._source, _NO_RECORD)

    def advance(self) -> None:
        """Go on to the next record."""
        last = self.next
        # By their places, which is quicker: this is done for each record of a recording.
        index = last[1]
        if index and last[0] is not GAP:
            if last[0] == START:
                self._starts.add((index, last[2], last[5]))
            self.last = last
            self.passed += 1
            time = last[4] / 1e9
            clock = self.clock
            if time > clock.time:  # noqa: PLR1730 - max() costs a call
                clock.time = time
            ahead = self._ahead
            record = ahead.popleft() if ahead else next(self._source, _NO_RECORD)
            self.next = record if record[1] == index + 1 else self._follow(last, record)
        elif index:
            ahead = self._ahead
            self.next = self._follow(last, ahead.popleft() if ahead else next(self._source, _NO_RECORD))

    def _follow(self, last: Record, record: Record) -> Record:
        """Return what comes after *last*: *record* or a later one, or a gap if that is not the next one."""
        while record.index != last.index + 1 and record.event != NOTHING:
            if record.event == START and (record.index, record.seq, record.wall) not in self._starts:
                # A machine that was restored counts on from its snapshot, whatever else came after that.
                return record
            if record.index > last.index:
                self._ahead.appendleft(record)
                self.lost = (last.index + 1, record.index - 1)
                # It takes the place of the last one that is lost, so that what follows is in order again.
                return _NO_RECORD._replace(event=GAP, index=record.index - 1, at=last.at, visit=last.visit)
            # A copy of one that was there already.
            record = self._ahead.popleft() if self._ahead else next(self._source, _NO_RECORD)
        return record

    def ahead(self) -> Iterator[Record]:
        """Go through what comes after `next`, without passing it, up to the next gap."""
        place, before = 0, self.next.index
        while True:
            if place == len(self._ahead):
                more = next(self._source, None)
                if more is None:
                    return
                self._ahead.append(more)
            record = self._ahead[place]
            place += 1
            if record.index > before + 1 or (record.event == START and record.index != before + 1):
                return
            if record.index == before + 1:
                before = record.index
                yield record

    def begin_call(self) -> None:
        """Set the clock to when the call began that comes next, where the recording tells."""
        record = self.next
        if record.event in _IN_CALL:
            record = next((other for other in self.ahead() if other.event not in _IN_CALL), record)
        if record.event == "handler" and semconv.HANDLER_DURATION in record.attributes:
            self.clock.advance(record.at / 1e9 - cast("float", record.attributes[semconv.HANDLER_DURATION]))

    def skip_to(self, *events: str) -> bool:
        """Pass everything up to the next record of such an event; False, with everything passed, if there is none."""
        while self.next.event not in {*events, NOTHING}:
            self.advance()
        return self.next.event in events

    def insert(self, *records: Record) -> None:
        """Let *records* come before what is next."""
        self._ahead.extendleft(reversed([*records[1:], self.next]))
        self.next = records[0]

    def rest(self) -> Iterator[Record]:
        """Return everything that is left, `next` first."""
        first = () if self.next.event in {NOTHING, GAP} else (self.next,)
        return chain(first, list(self._ahead), self._source)
