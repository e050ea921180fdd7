"""`Recorder`: the hook that writes down what enters a run."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from septum.replay._ledger import gather
from septum.replay._note import run_of, size_of
from septum.replay._scribe import Scribe

if TYPE_CHECKING:
    from septum import facts
    from septum._codec import Encoder
    from septum.replay._item import Sink
    from septum.replay._ledger import Run
    from septum.replay._limits import Limits
    from septum.replay._note import Entry, Note
    from septum.replay._redaction import Redact, Redaction
    from septum.replay._values import Level

_LOGGER: Final = logging.getLogger("septum.replay")

_BATCH: Final = 512
"""Entries that wait at most."""

_PATIENCE: Final = 0.5
"""Seconds that an entry waits at most, as long as an event loop runs."""


class Recorder(Scribe):
    """Writes what enters the runs of its machines, and what their handlers answer, into a sink; one object serves any number of machines.

        recorder = Recorder(FileSink("orders.jsonl"), level="full")
        machine = StateMachine(Open, hooks=[recorder])

    Records wait in memory and are written together: when there are 512, half a second after the first of them, when a run ends or an
    exception is raised to a caller, on `flush` and `close`, and when Python ends. Secrets are left out before they wait (see `Redaction`).

    Attributes:
        sink: Where it goes.
        level: "metadata" has no payloads, no results and no texts; "inline" has those of at most 1 KiB; "full" has all, within the limits.
        limits: See `Limits`.
        lost: Records that the sink raised at; they are gone, and their numbers are missing from the recording.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        level: Level = "metadata",
        redact: Redaction | Redact | None = None,
        encode: Encoder | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Make a recorder that has written nothing yet.

        Args:
            sink: A `FileSink`, a `MemorySink`, a `LogsSink`, or an object with their methods.
            level: "metadata", "inline" or "full".
            redact: A `Redaction`, or its function `redact(kind, meta, value)`; None for the default.
            encode: Asked of each object that is not of Python's own types: a name and what stands for the object (anything that can be
                written), or None if it is not its business. Whoever replays gives the `decode` for it.
            limits: None for the default.

        Raises:
            ValueError: There is no such level.
            TypeError: *sink* or *redact* is none.
        """
        super().__init__(level=level, redact=redact, encode=encode, limits=limits)
        for method in ("write", "flush", "close"):
            if not callable(getattr(sink, method, None)):
                raise TypeError(f"sink must have the methods write, flush and close, as FileSink has; {sink!r} has no {method}")
        self.sink = sink
        self.lost = 0
        self._context = getattr(sink, "context", None)
        self._entries: deque[Entry] = deque()
        self._lock = threading.RLock()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = self._failed = False
        if level != "full":
            # At "full" each handler is told by itself, for what it left in `common`.
            self.passed = self._pass  # type: ignore[method-assign]  # engines look at the object too
        _open.add(self)

    def _pass(self, step: facts.Passed, /) -> None:
        entries = self._entries
        entries.append(step)
        if self._timer is None or len(entries) >= _BATCH:
            self._see_to_writing()

    def _take(self, note: Note) -> None:
        self._entries.append(note)
        if self._timer is None or len(self._entries) >= _BATCH:
            self._see_to_writing()

    def _count(self, run: Run) -> int:
        mine = [entry for entry in list(self._entries) if run_of(entry) == run.identity.run_id]
        return run.index + sum(map(size_of, mine))

    def _see_to_writing(self) -> None:
        """Write if there is enough, and else see to it that it is done soon."""
        if len(self._entries) >= _BATCH:
            self._write()
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._loop = loop
        self._timer = loop.call_later(_PATIENCE, self._write)

    def run_ended(self, fact: facts.RunEnded, /) -> None:
        """Note how the run ended, and write."""
        super().run_ended(fact)
        self.flush()

    def error_routed(self, fact: facts.ErrorRouted, /) -> None:
        """Note where an exception went, and write if that is out of the machine."""
        super().error_routed(fact)
        if fact.to == "raised":
            self.flush()

    def flush(self) -> None:
        """Write what waits, to where it outlives the process."""
        self._write()
        self._do(self.sink.flush)

    def close(self) -> None:
        """Write what waits and close the sink; machines that run on are not recorded any more. A second call does nothing."""
        if self._closed:
            return
        self.flush()
        self._closed = True
        _open.discard(self)
        self._do(self.sink.close)

    def __enter__(self) -> Self:
        """Return the recorder; it is closed at the end of the block."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()

    def _write(self) -> None:
        """Hand what waits to the sink."""
        with self._lock:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            vanished = self._runs.vanished
            gone = [vanished.popleft() for _ in range(len(vanished))]
            # Other threads may add to it meanwhile.
            entries = [self._entries.popleft() for _ in range(len(self._entries))]
            parts = gather(entries, self._runs)
            gone += [run_of(entry) for entry in entries if entry[5] == "end"]
            for run_id in gone:
                self._runs.pop(run_id, None)
            if not parts or self._closed:
                return
            try:
                self.sink.write(parts)
            except Exception as error:  # noqa: BLE001 - a disk may be full, a network gone; the machine must not notice
                self.lost += sum(map(size_of, entries))
                self._complain(error)

    def _do(self, action: object) -> None:
        try:
            action()  # type: ignore[operator]  # a method of the sink
        except Exception as error:  # noqa: BLE001 - as above
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            _LOGGER.error("the recording cannot be written; Recorder.lost counts what is gone, later errors are not logged", exc_info=error)

    def __repr__(self) -> str:
        return f"<Recorder level={self.level!r} into {self.sink!r}>"


_open: weakref.WeakSet[Recorder] = weakref.WeakSet()


@atexit.register
def _flush_all() -> None:
    """Write what waits when Python ends."""
    for recorder in list(_open):
        recorder.flush()
