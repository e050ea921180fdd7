"""Records as they are read: from log records of the scope `septum.recording`, brought into their order."""

from __future__ import annotations

import heapq
import json
from typing import TYPE_CHECKING, Any, Final

from septum import semconv
from septum.replay._batch import WITH_BODY, expand
from septum.replay._record import BATCH, EVENTS, PREFIX, VERSION, Record
from septum.replay._signals import build, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from septum.replay._signals import Event

try:
    from septum.replay import _quick
except ImportError:  # pragma: no cover - without the extra `replay`
    _quick = None  # type: ignore[assignment] # the module, where it can be imported

WINDOW: Final = 4096
"""How many records are held back until those before them have come; a collector may put batches in another order."""

_EVENTS: Final = {PREFIX + event: event for event in (*EVENTS, BATCH)}
_TEXTS: Final = (semconv.RUN_ID, semconv.MACHINE_ID, semconv.MACHINE_NAME)
_NUMBERS: Final = (semconv.RECORDING_INDEX, semconv.SEQ, semconv.VISIT_NUMBER, semconv.RECORDING_TIME)

# Read for every record; an attribute of a module costs as much again.
_VERSION_KEY: Final = semconv.RECORDING_VERSION
_HASH_KEY: Final = semconv.MACHINE_DEFINITION_HASH
_ENCODING_KEY: Final = semconv.RECORDING_ENCODING
_RUN, _MACHINE, _NAME = _TEXTS
_INDEX, _SEQ, _VISIT, _AT = _NUMBERS


def is_record(event: Event) -> bool:
    """Say whether an event is one of a recording."""
    return event.name.startswith(PREFIX)


def record_of(event: Event) -> Record | None:
    """Return the record that an event is; None for a kind that this version does not know.

    Raises:
        ValueError: It was written by a newer version of Septum, in a format that this one cannot read; or its body is no JSON.
        KeyError, TypeError: It lacks what every record has, or has something else in its place.
    """
    name, time, found, body = event
    version = found.get(_VERSION_KEY, VERSION)
    if type(version) is not int or version < 1:
        raise TypeError(f"{_VERSION_KEY} is {shown(version)}, no version")
    if version > VERSION:
        raise ValueError(f"the recording has version {version} of the format, and this Septum reads up to {VERSION}: update it")
    kind = _EVENTS.get(name)
    if kind is None:
        return None
    attributes = dict(found)
    pop: Any = attributes.pop
    pop(_VERSION_KEY, None)
    run_id, machine_id, machine_name = pop(_RUN), pop(_MACHINE), pop(_NAME)
    index, seq, visit, at = pop(_INDEX), pop(_SEQ), pop(_VISIT), pop(_AT)
    if not (type(run_id) is type(machine_id) is type(machine_name) is str and type(index) is type(seq) is type(visit) is type(at) is int):
        raise _no_record(found)
    digest = pop(_HASH_KEY, "")
    if type(digest) is not str:
        digest = ""
    if type(body) is str:
        if kind == BATCH:
            body = _parse_table(body)
        elif found.get(_ENCODING_KEY) in WITH_BODY:
            body = _parse(body)
    record: Record = build(Record, (kind, index, seq, visit, at, time, run_id, machine_id, machine_name, attributes, body, digest))
    return record


def _no_record(found: Mapping[str, object]) -> TypeError:
    """Return the error for attributes of which one has another type than every record's."""
    wrong = next((key for key in _TEXTS if type(found[key]) is not str), None)
    if wrong is not None:
        return TypeError(f"{wrong} is {shown(found[wrong])}, no text")
    wrong = next(key for key in _NUMBERS if type(found[key]) is not int)
    return TypeError(f"{wrong} is {shown(found[wrong])}, no whole number")


def records_of(event: Event) -> Iterable[Record]:
    """Return the records that an event is: one, none of a kind that this version does not know, or those of a batch.

    Raises:
        ValueError, KeyError, TypeError: As `record_of`; or, while they are gone through, the table of a batch is none.
    """
    record = record_of(event)
    if record is None:
        return ()
    return expand(record) if record.event == BATCH else (record,)


def _parse_table(text: str) -> object:
    """Return the table of a batch, as far as it is one."""
    return (_quick and _quick.read_table(text)) or _parse(text)


def _parse(text: str) -> object:
    if _quick is not None:
        try:
            return _quick.parse(text)
        except (ValueError, RecursionError):
            pass  # the standard library takes it, or says what is wrong
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body of a record is no JSON: {error}") from None


class Order:
    """Brings the records of one run into their order, as far as a window allows.

    Attributes:
        duplicates: Records that were there before.
        gaps: First and last index of what is missing between those that came.
    """

    def __init__(self, first: int = 1) -> None:
        """Wait for the record with the index *first*."""
        self.duplicates = 0
        self.gaps: list[tuple[int, int]] = []
        self._next = first
        self._starts: set[tuple[int, int, int]] = set()
        self._waiting: list[tuple[int, int, Record]] = []
        self._indexes: set[int] = set()
        self._count = 0

    def is_due(self, record: Record) -> bool:
        """Say whether it is the turn of a record as it came, as it nearly always is; else it is to be put."""
        if record[1] != self._next or self._waiting or record[0] == "start":
            return False
        self._next += 1
        return True

    def put(self, record: Record) -> Iterator[Record]:
        """Take the next record as it came, and yield those whose turn it is."""
        if record.event == "start":
            began = (record.index, record.seq, record.wall)
            if record.index < self._next and began not in self._starts:
                # Restored from a snapshot, the run went on from there: what came after the snapshot was not to be.
                yield from self.rest()
                self._next = record.index
            self._starts.add(began)
        if record.index == self._next and not self._waiting:
            self._next += 1
            yield record
            return
        if record.index in self._indexes or (record.index < self._next and not self._is_lost(record.index)):
            self.duplicates += 1
            return
        if record.index < self._next:
            return  # Too late, and told as a gap.
        self._count += 1
        self._indexes.add(record.index)
        heapq.heappush(self._waiting, (record.index, self._count, record))
        if len(self._waiting) > WINDOW:
            self._skip()
        yield from self._due()

    def rest(self) -> Iterator[Record]:
        """Yield what is held back still; whatever is missing now is a gap."""
        while self._waiting:
            self._skip()
            yield from self._due()

    def _skip(self) -> None:
        first = self._waiting[0][0]
        if first > self._next:
            self.gaps.append((self._next, first - 1))
            self._next = first

    def _due(self) -> Iterator[Record]:
        while self._waiting and self._waiting[0][0] == self._next:
            record = heapq.heappop(self._waiting)[2]
            self._indexes.discard(record.index)
            self._next += 1
            yield record

    def _is_lost(self, index: int) -> bool:
        return any(first <= index <= last for first, last in self.gaps)


def in_order(found: Iterable[Record]) -> Iterator[Record]:
    """Yield records of any number of runs: those of each run by their index, without copies, with at most `WINDOW` of each held back."""
    orders: dict[str, Order] = {}
    over: dict[str, tuple[int, int]] = {}
    for record in found:
        run_id = record[6]
        order = orders.get(run_id)
        if order is None:
            # A restored machine goes on with its run, and counts on: from its snapshot, though another went on from there before.
            following, ended = over.get(run_id, (1, 0))
            if record.index < following:
                if record.event != "start" or record.wall <= ended:
                    continue  # a copy
                following = record.index
            order = orders[run_id] = Order(following)
        for due in (record,) if order.is_due(record) else order.put(record):
            yield due
            if due[0] == "end":
                # A service has many runs in a year; of those that are over, the last index is enough.
                over[run_id] = due.index + 1, due.wall
                orders.pop(run_id, None)
    for order in orders.values():
        yield from order.rest()
