"""From files to runs: the door of this package."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TypeAlias, cast

from septum import semconv
from septum.replay import _jaeger, _otlp, _protobuf
from septum.replay._documents import Document, Documents
from septum.replay._drafts import Draft, take_span
from septum.replay._record import Record
from septum.replay._recorded import in_order, is_record, records_of
from septum.replay._refusal import BadRecording, Place, bad_recording
from septum.replay._signals import Event, Span, mapping
from septum.replay._tape import Tape
from septum.replay._told import take_event
from septum.replay._walk import build_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum.replay._model import Run

Source: TypeAlias = "str | os.PathLike[str] | bytes | Mapping[str, Any] | Record"
"""A file or folder ("-": standard input), what stands in a file, a parsed OTLP, Jaeger or Tempo answer, or a record."""

STDIN: Final = "-"
_RUN_ID: Final = semconv.RUN_ID
_OPERATION: Final = semconv.OPERATION_NAME
_DIGITS: Final = 6
_BUFFER: Final = 1 << 19
"""Bytes that are read at once: a line is not put together from pieces, which costs more than to read it."""
_WRONG: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)


def load(source: Source | Iterable[Source]) -> list[Run]:
    """Return the runs that are told of in files, one for each run id, in the order in which they began.

    Read are recordings, spans and events of Septum, in whatever format OTLP is stored in, told by what stands in a file and not by its
    name: OTLP as JSON lines or as length-prefixed protobuf (what the collector's file exporter and Septum's own sinks write), compressed
    with gzip or zstd or not, and what Jaeger (UI and v3) and Tempo (v1 and v2) answer for a trace. What is not Septum's is passed over.

    Spans, events and records of one run are put together, whichever files they are in; segments are stitched, copies left out and
    counted. What is missing is reported (`Run.gaps`, `Run.truncated`), never made up.

    Args:
        source: A path, of a folder for every file in it and below; "-" for standard input; or any number of these. Besides, for what is
            at hand already: bytes that stand for a file, parsed JSON, and records of a `MemorySink`.

    Raises:
        OSError: A file cannot be read.
        BadRecording: A file is in no known format, broken elsewhere than at its end, of a newer format version, or hostile; it says where.
    """
    drafts = Drafts()
    with _no_collections():
        for each in _each(source):
            drafts.take(each)
        return drafts.build()


def records(source: Source | Iterable[Source], *, run_id: str | None = None) -> Iterator[Record]:
    """Yield the records of recordings one by one, those of each run in their order and without copies.

    Nothing is kept but what has come too early: the memory is bounded, however long a recording is.

    Args:
        source: As for `load`; files of one run in their order.
        run_id: Only the records of this run; None for all runs.

    Raises:
        OSError, BadRecording: As for `load`, when it comes to it.
    """
    found = _read_records(source)
    return in_order(found if run_id is None else (record for record in found if record.run_id == run_id))


def _read_records(source: Source | Iterable[Source]) -> Iterator[Record]:
    for each in _each(source):
        if isinstance(each, Record):
            yield each
            continue
        for document in each.documents():
            yield from _records_in(document)


def _records_in(document: Document) -> Iterator[Record]:
    try:
        for signal in signals(document):
            if isinstance(signal, Event) and is_record(signal):
                yield from records_of(signal)
    except _WRONG as error:
        raise _wrong(document.place, error) from error


# ---- where it comes from


class File(NamedTuple):
    """One file, or what stands for one.

    Attributes:
        name: What errors call it.
        path: Where it is; None if it can be read only once.
        content: What stands in it, where there is no path: bytes, a stream, or a parsed document.
    """

    name: str
    path: str | None = None
    content: object = None

    def documents(self) -> Iterator[Document]:
        """Yield its documents."""
        return iter(_Reading(self))


class _Reading:
    """One reading of a file; `truncated` is known at its end."""

    def __init__(self, file: File) -> None:
        self._file = file
        self.truncated = False

    def __iter__(self) -> Iterator[Document]:
        name, path, content = self._file
        if path is not None:
            with Path(path).open("rb", _BUFFER) as stream:
                yield from self._read(stream, name)
        elif isinstance(content, bytes):
            yield from self._read(BytesIO(content), name)
        elif isinstance(content, Mapping):
            yield Document(Place(name), content)  # pyright: ignore[reportUnknownArgumentType] - of anything
        else:
            yield from self._read(cast("BinaryIO", content), name)

    def _read(self, stream: BinaryIO, name: str) -> Iterator[Document]:
        documents = Documents(stream, name)
        yield from documents
        self.truncated = documents.truncated


def _each(source: Source | Iterable[Source]) -> Iterator[File | Record]:
    if isinstance(source, Record):
        yield source
    elif isinstance(source, bytes):
        yield File("<bytes>", content=source)
    elif isinstance(source, Mapping):
        yield File("<document>", content=source)
    elif isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if path == STDIN:
            yield File("<stdin>", content=sys.stdin.buffer)
        elif os.path.isdir(path):  # noqa: PTH112 - the path is text, and stays it in errors
            yield from (File(str(found), str(found)) for found in sorted(Path(path).rglob("*"), key=_age) if found.is_file())
        else:
            yield File(path, path)
    else:
        for each in cast("Any", source):
            yield from _each(each)


def _age(path: Path) -> tuple[Path, int]:
    """Sort files by their names, and those that were rotated, `x.jsonl.2`, from the oldest to the newest."""
    number = path.suffix.removeprefix(".")
    return (path.with_suffix(""), -int(number)) if number.isdecimal() and len(number) < _DIGITS else (path, 0)


def signals(document: Document) -> Iterator[Span | Event]:
    """Return an iterator of Septum's spans and events in a document.

    Raises:
        KeyError, TypeError, ValueError ...: Here or while they are gone through: something is not what it must be (see `_wrong`).
    """
    content = document.content
    if isinstance(content, bytes):
        return _PROTOBUF.read(content)
    if isinstance(content, Generator):
        return cast("Iterator[Span | Event]", content)
    return _read_json(content)


def _read_json(content: object) -> Iterator[Span | Event]:
    for each in cast("list[object]", content) if isinstance(content, list) else (content,):
        found = mapping(each, "a document")
        if _jaeger.is_jaeger(found):
            yield from _jaeger.read(found)
        elif _otlp.is_otlp(found) or not found:
            yield from _otlp.read(found)
        else:
            raise ValueError(f"is JSON, but of no format that is known (it has {', '.join(sorted(found)[:5])})")


_PROTOBUF = _protobuf.Reader()


def _wrong(place: Place, error: Exception) -> Exception:
    """Return the error for something in a document that is not what it must be."""
    if isinstance(error, BadRecording):
        return error
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return bad_recording(place, what or type(error).__name__, "It is no telemetry of Septum as it was exported; export it again.")


# ---- what becomes of it


class Again:
    """The records of one run, read again from its files at every iteration; only the lines that hold any where files have lines.

    Args:
        files: For each path the bytes at which lines begin that have records of the run; empty for all of the file.
        run_id: Which run.
    """

    def __init__(self, files: Mapping[str, list[int]], run_id: str) -> None:
        self._files = files
        self._run_id = run_id

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in their order."""
        return in_order(record for record in self._read() if record.run_id == self._run_id)

    def _read(self) -> Iterator[Record]:
        for path, places in self._files.items():
            if not places:
                yield from _read_records(path)
                continue
            with Path(path).open("rb") as stream:
                for place in places:
                    stream.seek(place)
                    for document in Documents(BytesIO(stream.readline()), path):
                        yield from _records_in(document)


class Drafts:
    """The runs of some files while they are read."""

    def __init__(self) -> None:
        self._runs: dict[str, Draft] = {}
        self._definitions: dict[str, Mapping[str, object]] = {}
        self._truncated: set[str] = set()
        self._kept: dict[str, list[Record]] = {}

    def take(self, source: File | Record) -> None:
        """Read a file, or take a record."""
        if isinstance(source, Record):
            try:
                self._take_record(source, None, 0)
            except _WRONG as error:
                raise _wrong(Place("<records>"), error) from error
            return
        reading = _Reading(source)
        for document in reading:
            try:
                for signal in signals(document):
                    if type(signal) is Span:
                        self._take_span(signal, source.name)
                    else:
                        self._take_event(cast("Event", signal), source, document)
            except _WRONG as error:
                raise _wrong(document.place, error) from error
        if reading.truncated:
            self._truncated.add(source.name)

    def _take_span(self, span: Span, name: str) -> None:
        found = span[4]
        run_id = found.get(_RUN_ID)
        if type(run_id) is str and _OPERATION in found:
            draft = self._runs.get(run_id) or self._begin(run_id, found)
            if name not in draft.files:
                draft.files[name] = []
            take_span(draft, span)

    def _take_event(self, event: Event, file: File, document: Document) -> None:
        if is_record(event):
            for record in records_of(event):
                self._take_record(record, file, document.place.offset if document.alone else -1)
            return
        found = event.attributes
        if event.name == semconv.Event.MACHINE_DEFINITION:
            self._definitions[str(found.get(semconv.MACHINE_DEFINITION_HASH))] = mapping(event.body, "a definition")
            return
        run_id = found.get(semconv.RUN_ID)
        if type(run_id) is str:
            draft = self._runs.get(run_id) or self._begin(run_id, found)
            draft.files.setdefault(file.name, [])
            take_event(draft, event)

    def _begin(self, run_id: str, found: Mapping[str, object]) -> Draft:
        draft = self._runs[run_id] = Draft(run_id)
        draft.machine_id, draft.machine_name = str(found.get(semconv.MACHINE_ID, "")), str(found.get(semconv.MACHINE_NAME, ""))
        return draft

    def _take_record(self, record: Record, file: File | None, offset: int) -> None:
        draft = self._runs.get(record.run_id)
        if draft is None:
            draft = self._runs[record.run_id] = Draft(record.run_id)
        draft.machine_id, draft.machine_name = record.machine_id, record.machine_name
        draft.definition_hash = draft.definition_hash or record.definition_hash
        if draft.tape is None:
            draft.tape = Tape(draft)
        if file is None or file.path is None:
            # It cannot be read a second time.
            self._kept.setdefault(record.run_id, []).append(record)
        if file is not None:
            places = draft.files.setdefault(file.name, [])
            if not places or places[-1] != offset:
                places.append(offset)
        draft.tape.put(record)

    def build(self) -> list[Run]:
        """Return the runs, in the order in which they began."""
        runs: list[Run] = []
        for run_id, draft in self._runs.items():
            truncated = not self._truncated.isdisjoint(draft.files)
            definition = self._definitions.get(draft.definition_hash)
            runs.append(build_run(draft, definition, truncated=truncated, records=self._records(run_id, draft)))
        return sorted(runs, key=lambda run: run.started)

    def _records(self, run_id: str, draft: Draft) -> Iterable[Record]:
        if draft.tape is None:
            return ()
        if run_id in self._kept:
            return tuple(in_order(self._kept[run_id]))
        return Again({path: [] if -1 in places else places for path, places in draft.files.items()}, run_id)


@contextmanager
def _no_collections() -> Generator[None]:
    """Let the collector of cycles rest: parsed telemetry has none, and it takes a third of the time looking for them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
