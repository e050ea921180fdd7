"""Files as streams of bytes, whatever they are compressed with, in bounded memory."""

from __future__ import annotations

import gzip
import io
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from septum.replay._refusal import Place, bad_recording, missing_package

if TYPE_CHECKING:
    from collections.abc import Callable

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"

MOST_GROWTH: Final = 500
"""How many times its size a file may decompress to; telemetry, with its random ids, stays below 100."""

UNSUSPECTED: Final = 64 << 20
"""Bytes that anything may decompress to."""

_BITE: Final = 512
"""Bytes that zstd is given at once: what comes out of them all is in memory, and four bytes may say 128 KiB."""

MOST_WINDOW: Final = 128 << 20
"""Bytes that zstd may look back; more than its command line uses without being told to."""


def open_stream(raw: BinaryIO, name: str) -> tuple[io.BufferedReader, Decompressed | None]:
    """Return what *raw* holds, decompressed if it begins like something compressed, and who knows whether it was cut off.

    Raises:
        BadRecording: It needs a package that is not installed. Later, while it is read: it is broken, or decompresses to far too much.
    """
    peekable = cast("io.BufferedReader", raw) if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast("Any", raw))
    head = peekable.peek(4)[:4]
    if head.startswith(GZIP):
        # Not read(): at the end of a file that breaks off, it keeps what it has for itself.
        read: Any = gzip.GzipFile(fileobj=cast("Any", peekable)).read1
    elif head == ZSTD:
        read = _Frames(peekable, _zstandard(name).ZstdDecompressor(max_window_size=MOST_WINDOW)).read
    else:
        return peekable, None
    decompressed = Decompressed(read, peekable, name)
    return io.BufferedReader(decompressed, 1 << 18), decompressed


class _Frames:
    """Zstd frames one behind the other; zstandard's own reader does not say whether the last one broke off."""

    def __init__(self, raw: BinaryIO | io.BufferedReader, decompressor: Any) -> None:
        self._raw = raw
        self._decompressor = decompressor
        self._frame: Any = None
        self._rest = b""
        self._ready = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return at most *size* bytes; none at the end.

        Raises:
            EOFError: A frame breaks off.
        """
        while not self._ready:
            data = self._rest or self._raw.read(_BITE)
            if not data:
                if self._frame is not None:
                    raise EOFError
                return b""
            frame = self._frame = self._frame or self._decompressor.decompressobj()
            self._ready = memoryview(frame.decompress(data))
            self._rest = b""
            if frame.eof:
                self._rest, self._frame = frame.unused_data, None
        found, self._ready = self._ready[:size], self._ready[size:]
        return bytes(found)


class Decompressed(io.RawIOBase):
    """A stream that reads from a decompressor and watches it.

    Attributes:
        cut: The compressed data broke off.
    """

    def __init__(self, read: Callable[[int], bytes], raw: BinaryIO, name: str) -> None:
        super().__init__()
        self.cut = False
        self._read = read
        self._raw = raw
        self._name = name
        self._given = 0

    def readable(self) -> bool:
        """Say that it may be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Put the next bytes into *buffer* and return how many; 0 at the end."""
        try:
            found = self._read(len(buffer))
        except EOFError:
            self.cut = True
            return 0
        except (OSError, zlib.error, ValueError, _zstd_error()) as error:
            raise bad_recording(
                Place(self._name, self._given), f"cannot be decompressed: {error}", "Copy the file again from where it was made."
            ) from error
        self._given += len(found)
        if self._given > UNSUSPECTED and self._given > MOST_GROWTH * max(1, self._raw.tell()):
            raise too_much(Place(self._name, self._given))
        buffer[: len(found)] = found
        return len(found)


def inflate(data: bytes, place: Place, most: int) -> bytes:
    """Return *data* decompressed, if it is compressed; for messages that were compressed one by one.

    Raises:
        BadRecording: It is broken, holds more than *most* bytes, or needs a package that is not installed.
    """
    if not data.startswith((GZIP, ZSTD)):
        return data
    stream, decompressed = open_stream(io.BytesIO(data), place.file)
    try:
        found = read_exactly(stream, most + 1)
    except ValueError as error:
        raise bad_recording(place, f"a message cannot be decompressed: {error}") from error
    if len(found) > most:
        raise too_much(place)
    if decompressed is not None and decompressed.cut:
        raise bad_recording(place, "a compressed message breaks off")
    return found


def read_exactly(stream: BinaryIO | io.BufferedReader, count: int) -> bytes:
    """Return the next *count* bytes, or as many as there are; never allocates more than is there."""
    first = stream.read(min(count, 1 << 20))
    if not first or len(first) == count:
        return first
    parts = [first]
    count -= len(first)
    while count > 0:
        part = stream.read(min(count, 1 << 20))
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def too_much(place: Place) -> ValueError:
    """Build the error for what decompresses to far more than telemetry does."""
    return bad_recording(
        place, "decompresses to far more than telemetry does", "If you trust it, decompress it yourself and give the result."
    )


def _zstandard(name: str) -> Any:
    try:
        return import_module("zstandard")
    except ImportError:
        raise missing_package(name, "zstandard", "replay") from None


def _zstd_error() -> type[Exception]:
    try:
        error: type[Exception] = import_module("zstandard").ZstdError
    except ImportError:
        return ValueError
    return error
