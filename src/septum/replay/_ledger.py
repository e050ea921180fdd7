"""What is known of the runs that are recorded, and how what was noted of them becomes records."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

from septum import semconv
from septum.replay._batch import handler_attributes, pack, transition_attributes
from septum.replay._item import Identity, Item, Part
from septum.replay._names import names_of
from septum.replay._note import Note
from septum.replay._record import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from septum import StateMachine, facts
    from septum.replay._note import Entry
    from septum.replay._values import Keeper


_ALONE: Final = frozenset({"start", "end", "error", "dropped", "snapshot"})
"""Records that people look for, and that are rare: each has a log record of its own."""

_SHORT: Final = 512
"""Characters of a body that needs no log record of its own."""

_FULL: Final = 64 * 1024
"""Characters of bodies with which a batch is full: what takes log records refuses those that are too long."""


class Run:
    """One run, until its last record is written.

    Attributes:
        identity: Which run of which machine.
        names: What its states are called.
        keeper: What keeps its values.
        zero: When it began to be recorded, in seconds of the machine's clock.
        offset: Nanoseconds to add to the machine's clock for the Unix epoch.
        base, index: Records of the run before this process had it; records so far.
        ended: Its end was told.
        waiting: Numbers of the messages in the mailbox that were recorded when they were queued.
        start: The note of its beginning, where that is kept for itself.
        task: The task in which the machine works now; None while it waits.
        machine: The machine, weakly.
    """

    __slots__ = ("base", "ended", "identity", "index", "keeper", "machine", "names", "offset", "start", "task", "waiting", "zero")

    def __init__(self, fact: facts.RunStarted, keeper: Keeper) -> None:
        self.identity = Identity(fact.run_id, fact.machine_id, fact.machine_name, fact.definition.hash)
        self.names = names_of(fact.definition)
        self.keeper = keeper
        # A restored machine goes on with its run.
        self.base = self.index = _number(fact, semconv.RECORDING_INDEX)
        self.zero = fact.at - _number(fact, semconv.RECORDING_TIME) / 1e9
        self.offset = fact.wall - int(fact.at * 1e9)
        self.ended = False
        self.waiting: set[int] = set()
        self.start: Note | None = None
        self.task: asyncio.Task[Any] | None = None
        self.machine: weakref.ref[StateMachine[Any]] | None = None

    def rest(self) -> None:
        """Note that the machine works no more."""
        self.task = None

    def is_at_work(self) -> bool:
        """Say whether it is the machine itself that does this: its handlers, `on_error_fn`, or what they call."""
        return self.task is not None and self.task is asyncio.current_task()


def _number(fact: facts.RunStarted, name: str) -> int:
    """Return what a snapshot kept; 0 for a run that began here."""
    found = fact.origin.kept.get(name, "")
    return int(found) if found.isdecimal() and len(found) <= _MOST_DIGITS else 0


_MOST_DIGITS = 18


class Runs(dict[str, Run]):
    """The runs that are recorded now, by their ids, and the ids of those whose machine vanished without an end."""

    def __init__(self) -> None:
        super().__init__()
        self.vanished: deque[str] = deque()

    def watch(self, run: Run, machine: StateMachine[Any] | None) -> None:
        """Note the end of *run* when *machine* is dropped without telling it."""
        if machine is not None:
            note: Callable[[str], None] = self.vanished.append
            run_id = run.identity.run_id
            run.machine = weakref.ref(machine, lambda _: note(run_id))


def gather(entries: Iterable[Entry], runs: Mapping[str, Run]) -> list[Part]:
    """Return *entries* as records, those of a run together and numbered on from its last; entries of unknown runs are left out."""
    found: dict[str, list[Entry]] = {}
    last: object = None
    mine: list[Entry] = []
    for entry in entries:
        origin = entry[0]
        if origin is not last:
            mine = found.setdefault(origin[2], [])
            last = origin
        mine.append(entry)
    return [Part(runs[run_id].identity, _items(runs[run_id], mine)) for run_id, mine in found.items() if run_id in runs]


def _items(run: Run, entries: list[Entry]) -> list[Item]:
    items: list[Item] = []
    waiting: list[Entry] = []
    size = 0
    for entry in entries:
        alone = isinstance(entry, Note) and _stands_alone(entry)
        if waiting and (alone or size >= _FULL):
            _add_batch(run, waiting, items)
            waiting, size = [], 0
        if not isinstance(entry, Note):
            waiting.append(entry)
        elif alone:
            _add(run, entry, items)
        else:
            waiting.append(entry)
            size += len(entry[7] or "")
    if waiting:
        _add_batch(run, waiting, items)
    return items


def _stands_alone(note: Note) -> bool:
    text = note[7]
    return note[8] is not None or note[5] in _ALONE or (text is not None and len(text) > _SHORT)


def _add(run: Run, note: Note, items: list[Item]) -> None:
    """Add a record that stands for itself."""
    run.index += 1
    run.offset = note.wall - int(note.at * 1e9)
    at = int((note.at - run.zero) * 1e9)
    items.append(Item(note.event, run.index, note.seq, note.visit, at, note.wall, *note[6:]))


def _add_batch(run: Run, entries: list[Entry], items: list[Item]) -> None:
    """Add what needs no record of its own: together, or as what it is if it is only one."""
    (first, *rest) = entries
    if isinstance(first, Note):
        if not rest:
            _add(run, first, items)
            return
        run.offset = first.wall - int(first.at * 1e9)
    index = run.index + 1
    seq, visit, at, records, text = pack(entries, run.zero, run.names.edges)
    run.index += records
    wall = run.offset + int(first[3] * 1e9)
    if rest:
        items.append(Item(BATCH, index, seq, visit, at, wall, text=text))
    else:
        edge = run.names.edges[cast("facts.Passed", first)[4]]
        items.append(Item("handler", index, seq, visit, at, wall, handler_attributes(edge)))
        items.append(Item("transition", index + 1, seq + 2, visit, at, wall, transition_attributes(edge)))
