"""Where a recording goes: into memory, or into a file of OTLP JSON lines."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from septum import semconv
from septum.replay._record import PREFIX, SCOPE, VERSION
from septum.replay._scribe import septum_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from septum.replay._item import Identity, Item, Part
    from septum.replay._record import Record

_LINE: Final = 256 * 1024
"""Characters from which on a line is ended: readers hold one line at a time."""


class MemorySink:
    """Keeps records for a test or a look; the oldest go when there are too many.

    Attributes:
        records: The records, oldest first; those of a run are in their order.
        forgotten: How many went.
    """

    def __init__(self, most: int = 1_000_000) -> None:
        """Make an empty one.

        Args:
            most: Records that are kept; at least 1.

        Raises:
            ValueError: *most* is below 1.
        """
        if most < 1:
            raise ValueError(f"a MemorySink keeps at least 1 record, not {most!r}")
        self.records: deque[Record] = deque(maxlen=most)
        self.forgotten = 0

    def write(self, parts: Sequence[Part]) -> None:
        """Keep the records."""
        for part in parts:
            before = len(self.records)
            count = 0
            for count, record in enumerate(part.records(), start=1):  # noqa: B007 - counted
                self.records.append(record)
            self.forgotten += before + count - len(self.records)

    def flush(self) -> None:
        """Do nothing: it is there already."""

    def close(self) -> None:
        """Do nothing; the records stay."""

    def __repr__(self) -> str:
        return f"<MemorySink of {len(self.records)} records>"


class FileSink:
    """Writes OTLP JSON lines: each line is an `ExportLogsServiceRequest` that OpenTelemetry collectors and `septum replay` read.

    Lines reach the operating system whole, with each `write`: a process that is killed loses what was not written yet, and at most the end
    of the last line. Files are opened for appending; several processes may write into one as long as it is not rotated.

    Attributes:
        path: The file that is written now; older ones are `path.1` (the newest), `path.2` ...
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        most_bytes: int = 64 * 1024 * 1024,
        backups: int = 4,
        resource: Mapping[str, str] | None = None,
    ) -> None:
        """Open the file when the first record comes.

        Args:
            path: Where; folders are made.
            most_bytes: Size at which the next file is begun; a file is never empty, so that one longer line still fits.
            backups: Older files that are kept; the oldest goes for the newest.
            resource: What made the recording, such as `{"service.name": "orders"}`; stands on every line.

        Raises:
            ValueError: *most_bytes* is below 1 or *backups* below 0.
        """
        if most_bytes < 1 or backups < 0:
            raise ValueError(f"most_bytes must be at least 1 and backups at least 0, not {most_bytes!r} and {backups!r}")
        self.path = Path(path)
        self._most = most_bytes
        self._backups = backups
        self._frame = frame(resource or {})
        self._file: int | None = None
        self._size = 0
        self._closed = False
        self._lock = threading.Lock()

    def write(self, parts: Sequence[Part]) -> None:
        """Append the records as whole lines.

        Raises:
            OSError: The file cannot be written; what was written before stays readable.
            ValueError: The sink is closed.
        """
        with self._lock:
            if self._closed:
                raise ValueError(f"the sink of {self.path} is closed")
            for line in lines(parts, self._frame):
                self._append(line.encode())

    def _append(self, line: bytes) -> None:
        file = self._open() if self._file is None else self._file
        if self._size and self._size + len(line) > self._most:
            file = self._rotate()
        view = memoryview(line)
        while view:
            written = os.write(file, view)
            self._size += written
            view = view[written:]

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o640)
        self._size = os.fstat(file).st_size
        if self._size and not self._ends_whole():
            # Someone was killed here; the line that he began must not spoil ours.
            self._size += os.write(file, b"\n")
        return file

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _rotate(self) -> int:
        self._shut()
        if self._backups:
            for number in range(self._backups - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            self.path.replace(self._numbered(1))
        else:
            self.path.unlink(missing_ok=True)
        return self._open()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _shut(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def flush(self) -> None:
        """Do nothing: what was written is with the operating system already, which keeps it when the process is killed."""

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._closed = True
            self._shut()

    def __repr__(self) -> str:
        return f"<FileSink {str(self.path)!r}>"


def frame(resource: Mapping[str, str]) -> tuple[str, str]:
    """Return what stands before and after the log records of a line."""
    scope = {"name": SCOPE, **({"version": ours} if (ours := septum_version()) else {})}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
    before = f'{{"resourceLogs":[{{"resource":{_json({"attributes": attributes})},"scopeLogs":[{{"scope":{_json(scope)},"logRecords":['
    return before, f'],"schemaUrl":"{semconv.SCHEMA_URL}"}}]}}]}}\n'


def lines(parts: Iterable[Part], around: tuple[str, str]) -> Iterator[str]:
    """Yield *parts* as lines of OTLP JSON, each with as many records as make it long enough."""
    before, after = around
    held: list[str] = []
    length = 0
    for part in parts:
        prefix = _identity(part.identity)
        for item in part.items:
            text = _log_record(item, prefix)
            held.append(text)
            length += len(text)
            if length >= _LINE:
                yield f"{before}{','.join(held)}{after}"
                held, length = [], 0
    if held:
        yield f"{before}{','.join(held)}{after}"


def _identity(who: Identity) -> str:
    known = {
        semconv.RECORDING_VERSION: VERSION,
        semconv.RUN_ID: who.run_id,
        semconv.MACHINE_ID: who.machine_id,
        semconv.MACHINE_NAME: who.machine_name,
        semconv.MACHINE_DEFINITION_HASH: who.definition_hash,
    }
    return ",".join(_attribute(key, value) for key, value in known.items())


def _log_record(item: Item, prefix: str) -> str:
    own = "".join([f",{_attribute(key, value)}" for key, value in item.attributes.items()])
    body = "" if item.text is None else f',"body":{{"stringValue":{_json(item.text)}}}'
    return (
        f'{{"timeUnixNano":"{item.wall}","observedTimeUnixNano":"{item.wall}","severityNumber":9,"severityText":"INFO",'
        f'"eventName":"{PREFIX}{item.event}","attributes":[{prefix},'
        f'{{"key":"{semconv.RECORDING_INDEX}","value":{{"intValue":"{item.index}"}}}},'
        f'{{"key":"{semconv.RECORDING_TIME}","value":{{"intValue":"{item.at}"}}}},'
        f'{{"key":"{semconv.SEQ}","value":{{"intValue":"{item.seq}"}}}},'
        f'{{"key":"{semconv.VISIT_NUMBER}","value":{{"intValue":"{item.visit}"}}}}{own}]{body}}}'
    )


def _attribute(key: str, value: object) -> str:
    return f'{{"key":"{key}","value":{_any_value(value)}}}'


def _any_value(value: object) -> str:
    """Return a value as OTLP JSON has it: 64-bit numbers as texts."""
    if isinstance(value, str):
        return f'{{"stringValue":{_json(value)}}}'
    if isinstance(value, bool):
        return '{"boolValue":true}' if value else '{"boolValue":false}'
    if isinstance(value, int):
        return f'{{"intValue":"{value}"}}'
    if isinstance(value, float):
        return f'{{"doubleValue":{_double(value)}}}'
    inner: Any = value
    return f'{{"arrayValue":{{"values":[{",".join(map(_any_value, inner))}]}}}}'


def _double(value: float) -> str:
    # Protobuf's JSON has texts for what JSON cannot write.
    words = {"inf": '"Infinity"', "-inf": '"-Infinity"', "nan": '"NaN"'}
    return words.get(repr(value), repr(value))


_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
