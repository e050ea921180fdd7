"""`FlightRecorder`: the last records of a process, in memory until something goes wrong."""

from __future__ import annotations

import logging
import os
import signal as signals
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from septum._clock import LOOP_CLOCK
from septum.facts import Origin
from septum.replay._item import Item, Part
from septum.replay._ledger import gather
from septum.replay._limits import Limits
from septum.replay._note import Note, run_of, size_of
from septum.replay._record import NO_ATTRIBUTES
from septum.replay._scribe import Scribe
from septum.replay._sinks import frame, lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from septum import facts
    from septum._codec import Encoder
    from septum.replay._ledger import Run
    from septum.replay._note import Entry
    from septum.replay._redaction import Redact, Redaction
    from septum.replay._values import Level

_LOGGER: Final = logging.getLogger("septum.replay")

_GONE: Final = "gone"
"""Stands in the ring for a machine that vanished: once it falls out, nothing of its run is left."""

_LAST: Final = frozenset({"end", _GONE})

_SHARE: Final = 8
"""An eighth of the ring goes at once."""

_NOTE: Final = "septum: the last records of this process "


class FlightRecorder(Scribe):
    """Keeps the last records of all its machines in a ring, and writes them to a file when an exception leaves a machine.

        septum.hooks.install(FlightRecorder(10_000, directory="/var/log/orders"))

    The exception gets a note that says where they are (`add_note`), which tracebacks show. The file is a recording like any other: of each
    run that is in it the start is there too, and the records between that and the oldest that the ring still has are a gap.

    Attributes:
        size: Entries that the ring has at most, seven eighths of it at least; a step along a plain edge is one, and two records.
        directory: Where files are written.
        written: The files that were written and are still kept, oldest first.
    """

    def __init__(
        self,
        size: int = 10_000,
        *,
        directory: str | os.PathLike[str] = ".",
        level: Level = "metadata",
        redact: Redaction | Redact | None = None,
        encode: Encoder | None = None,
        limits: Limits | None = None,
        files: int = 10,
        interval: float = 1.0,
    ) -> None:
        """Make an empty ring.

        Args:
            size: Entries; at least 1.
            directory: Where files are written; made when the first is.
            level, redact, encode: As for `Recorder`.
            limits: The same; `run` is the limit of all bodies in the ring together.
            files: Files that are kept at most; the oldest goes for the newest.
            interval: Seconds in which at most one file is written for failures, so that a thousand failures do not fill a disk; their
                exceptions name the file that was written before.

        Raises:
            ValueError: *size* or *files* is below 1, or there is no such level.
        """
        if size < 1 or files < 1:
            raise ValueError(f"a FlightRecorder needs size and files of at least 1, not {size!r} and {files!r}")
        known = Limits() if limits is None else limits
        super().__init__(level=level, redact=redact, encode=encode, limits=replace(known, run=1 << 62))
        self.size = size
        self.directory = Path(directory)
        self.written: list[Path] = []
        self._most_bytes = known.run
        self._most_files = files
        self._interval = interval
        self._last = -float("inf")
        self._ring: deque[Entry] = deque()
        self._bytes = 0
        self._starts = 0
        self._lost: dict[str, int] = {}
        self._files = 0
        # Re-entered by a signal in the middle of a dump.
        self._lock = threading.RLock()
        if level != "full":
            self.passed = self._pass  # type: ignore[method-assign]  # engines look at the object too

    def _pass(self, step: facts.Passed, /) -> None:
        ring = self._ring
        ring.append(step)
        if len(ring) > self.size:
            self._evict()

    def _take(self, note: Note) -> None:
        ring = self._ring
        if note[5] == "start":
            self._keep_start(note)
            return
        ring.append(note)
        if note[7] is not None:
            self._bytes += _length(note)
        if len(ring) > self.size or self._bytes > self._most_bytes:
            self._evict()

    def _keep_start(self, note: Note) -> None:
        """Keep where a run began outside of the ring, as long as the run is in it or goes on."""
        run = self._runs[note.origin[2]]
        if run.start is None:
            fits = self._starts + _length(note) <= self._most_bytes
            run.start = note if fits else note._replace(text=None)
            self._starts += _length(run.start)
        else:
            self._ring.append(note)

    def _count(self, run: Run) -> int:
        run_id = run.identity.run_id
        mine = [entry for entry in list(self._ring) if run_of(entry) == run_id and entry[5] != _GONE]
        return run.base + 1 + self._lost.get(run_id, 0) + sum(map(size_of, mine))

    def _evict(self) -> None:
        """Let the oldest entries go, some at once since that costs less, and with the last of a run what is known of the run."""
        ring, lost = self._ring, self._lost
        kept = self.size - self.size // _SHARE
        while len(ring) > kept or self._bytes > self._most_bytes:
            try:
                entry = ring.popleft()
            except IndexError:  # pragma: no cover - another thread's was the last, which no test can time
                return
            run_id = entry[0][2]
            if not isinstance(entry, Note):
                lost[run_id] = lost.get(run_id, 0) + 2
                continue
            self._bytes -= _length(entry)
            if entry[5] in _LAST and self._runs[run_id].ended:
                self._forget(run_id)
            else:
                lost[run_id] = lost.get(run_id, 0) + (entry[5] != _GONE)

    def _forget(self, run_id: str) -> None:
        self._lost.pop(run_id, None)
        self._starts -= _length(self._runs.pop(run_id).start)

    def run_started(self, fact: facts.RunStarted, /) -> None:
        """Keep where the run begins."""
        while self._runs.vanished:
            run = self._runs.get(self._runs.vanished.popleft())
            if run is not None and not run.ended:
                run.ended = True
                origin = Origin((run.identity.machine_id, run.identity.machine_name, run.identity.run_id))
                self._take(Note(origin, 0, 0, 0.0, 0, _GONE, NO_ATTRIBUTES))
        super().run_started(fact)

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Note where an exception went, and write everything if that is out of the machine."""
        super().error_routed(fact)
        if fact.to == "raised":
            self._report(fact.exception)

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Note how the run ended, and write everything if it failed with an exception that is not known yet."""
        super().run_ended(fact)
        if fact.outcome == "failed" and fact.exception is not None:
            self._report(fact.exception)

    def _report(self, exception: BaseException) -> None:
        """Write the ring, and say on the *exception* where."""
        if any(note.startswith(_NOTE) for note in getattr(exception, "__notes__", ())):
            return
        now = LOOP_CLOCK.now()
        if now - self._last < self._interval and self.written:
            exception.add_note(f"{_NOTE}are in {self.written[-1]}, as they were {now - self._last:.3f} s before this")
            return
        self._last = now
        try:
            exception.add_note(f"{_NOTE}are in {self.dump()}")
        except OSError as error:
            exception.add_note(f"{_NOTE}could not be written: {error}")

    def dump(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write what the ring has to a file, and keep it in the ring.

        Args:
            path: Where to; None for a new file in `directory`, which counts among its `files`. A file that is there is replaced.

        Returns:
            Where it is.

        Raises:
            OSError: It cannot be written.
        """
        with self._lock:
            target = self._new_path() if path is None else Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f".{target.name}.{os.getpid()}")
            with unfinished.open("w", encoding="utf-8") as file:
                file.writelines(lines(self._parts(), frame({})))
            unfinished.replace(target)
            if path is None:
                self.written.append(target)
                while len(self.written) > self._most_files:
                    self.written.pop(0).unlink(missing_ok=True)
            return target

    def _new_path(self) -> Path:
        while True:
            self._files += 1
            path = self.directory / f"septum-flight-{os.getpid()}-{self._files}.jsonl"
            if not path.exists():
                return path

    def _parts(self) -> list[Part]:
        """Return what the ring has, each run with its start before it."""
        entries = [entry for entry in list(self._ring) if entry[5] != _GONE]
        there = {run_of(entry) for entry in entries}
        # One of which the ring has nothing any more only says that it once began.
        runs = {run_id: run for run_id, run in list(self._runs.items()) if run_id in there or run_id not in self._lost}
        starts: dict[str, Item] = {}
        for run_id, run in runs.items():
            # Numbered from the start on at every dump.
            run.index = run.base
            ((starts[run_id],),) = [part.items for part in gather([cast("Note", run.start)], {run_id: run})]
            run.index += self._lost.get(run_id, 0)
        rest = {part.identity.run_id: part.items for part in gather(entries, runs)}
        return [Part(run.identity, [starts[run_id], *rest.get(run_id, ())]) for run_id, run in runs.items()]

    def dump_on_signal(self, signal: int | None = None) -> Callable[[], None]:
        """Write what the ring has whenever the process gets a *signal*, and then do what was done at that signal before.

        Args:
            signal: None for SIGUSR2, which Windows does not have.

        Returns:
            A function that takes it back.

        Raises:
            ValueError: There is no such signal, or this is not the main thread; nothing was changed.
        """
        number = getattr(signals, "SIGUSR2", None) if signal is None else signal
        if number is None:
            raise ValueError("there is no SIGUSR2 here; give the number of a signal that there is")
        before = signals.getsignal(number)

        def write(received: int, where: object) -> None:
            try:
                _LOGGER.warning("signal %d: the last records of this process are in %s", received, self.dump())
            except OSError:
                _LOGGER.exception("signal %d: the last records of this process cannot be written", received)
            if callable(before):
                before(received, where)  # type: ignore[arg-type]  # a frame, handed on as it came

        signals.signal(number, write)

        def take_back() -> None:
            if signals.getsignal(number) is write:
                signals.signal(number, before)

        return take_back

    def __repr__(self) -> str:
        return f"<FlightRecorder with {len(self._ring)} of {self.size} entries>"


def _length(note: Note | None) -> int:
    return 0 if note is None or note.text is None else len(note.text)
