"""Records as they are read: from log records of the scope `septum.recording`, brought into their order."""

from __future__ import annotations

import heapq
import json
from typing import TYPE_CHECKING, Final

from septum import semconv
from septum.replay._batch import expand
from septum.replay._record import BATCH, EVENTS, FIELDS, PREFIX, VERSION, Record
from septum.replay._signals import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from septum.replay._signals import Event

WINDOW: Final = 4096
"""How many records are held back until those before them have come; a collector may put batches in another order."""

_AS_JSON: Final = (semconv.RecordingEncoding.JSON, semconv.RecordingEncoding.REPR)
_NOT_KEPT: Final = FIELDS.keys() | {semconv.RECORDING_VERSION}
_TEXTS: Final = (semconv.RUN_ID, semconv.MACHINE_ID, semconv.MACHINE_NAME)
_NUMBERS: Final = (semconv.RECORDING_INDEX, semconv.SEQ, semconv.VISIT_NUMBER, semconv.RECORDING_TIME)


def is_record(event: Event) -> bool:
    """Say whether an event is one of a recording."""
    return event.name.startswith(PREFIX)


def record_of(event: Event) -> Record | None:
    """Return the record that an event is; None for a kind that this version does not know.

    Raises:
        ValueError: It was written by a newer version of Septum, in a format that this one cannot read; or its body is no JSON.
        KeyError, TypeError: It lacks what every record has, or has something else in its place.
    """
    found = event.attributes
    version = found.get(semconv.RECORDING_VERSION, VERSION)
    if type(version) is not int or version < 1:
        raise TypeError(f"{semconv.RECORDING_VERSION} is {shown(version)}, no version")
    if version > VERSION:
        raise ValueError(f"the recording has version {version} of the format, and this Septum reads up to {VERSION}: update it")
    name = event.name.removeprefix(PREFIX)
    if name not in EVENTS and name != BATCH:
        return None
    run_id, machine_id, machine_name = (_text(found, key) for key in _TEXTS)
    index, seq, visit, at = (_whole(found, key) for key in _NUMBERS)
    body = event.body
    if isinstance(body, str) and (name == BATCH or found.get(semconv.RECORDING_ENCODING) in _AS_JSON):
        body = _parse(body)
    attributes = {key: value for key, value in found.items() if key not in _NOT_KEPT}
    digest = found.get(semconv.MACHINE_DEFINITION_HASH)
    definition = digest if isinstance(digest, str) else ""
    return Record(name, index, seq, visit, at, event.time, run_id, machine_id, machine_name, attributes, body, definition)


def records_of(event: Event) -> tuple[Record, ...]:
    """Return the records that an event is: one, none of a kind that this version does not know, or those of a batch.

    Raises:
        ValueError, KeyError, TypeError: As `record_of`; or the table of a batch is none.
    """
    record = record_of(event)
    if record is None:
        return ()
    return tuple(expand(record)) if record.event == BATCH else (record,)


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body of a record is no JSON: {error}") from None


def _text(found: Mapping[str, object], key: str) -> str:
    value = found[key]
    if type(value) is not str:
        raise TypeError(f"{key} is {shown(value)}, no text")
    return value


def _whole(found: Mapping[str, object], key: str) -> int:
    value = found[key]
    if type(value) is not int:
        raise TypeError(f"{key} is {shown(value)}, no whole number")
    return value


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
    over: dict[str, int] = {}
    for record in found:
        run_id = record.run_id
        order = orders.get(run_id)
        if order is None:
            # A restored machine goes on with its run, and counts on.
            following = over.get(run_id, 1)
            if record.index < following:
                continue  # a copy
            order = orders[run_id] = Order(following)
        for due in order.put(record):
            yield due
            if due.event == "end":
                # A service has many runs in a year; of those that are over, the last index is enough.
                over[run_id] = due.index + 1
                orders.pop(run_id, None)
    for order in orders.values():
        yield from order.rest()
