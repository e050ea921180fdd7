"""A stream of bytes as a row of documents: lines of JSON, one JSON text, protobuf with or without lengths before it."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from septum.replay._compressed import GZIP, ZSTD, inflate, open_stream, read_exactly
from septum.replay._refusal import BadRecording, Place, bad_recording

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from septum.replay import _quick
except ImportError:  # pragma: no cover - without the extra `replay`
    _quick = None  # type: ignore[assignment] # the module, where it can be imported

MOST: Final = 64 << 20
"""Bytes that one document may have: a line, a message, or a whole trace."""

_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
# Messages begin with field 1, a length-delimited one, in OTLP as in Tempo's answers.
_FIELD_1: Final = 0x0A
_PREFIX: Final = 4
_LONGEST_SIGN: Final = 4  # bytes of UTF-8
_LONGEST_ESCAPE: Final = 6  # characters
_WORDS: Final = ("true", "false", "null", "NaN", "Infinity", "-Infinity")


class Document(NamedTuple):
    """One document.

    Attributes:
        place: Where it begins.
        content: The parsed JSON, the bytes of a protobuf message, or an iterator of the signals where it was read in one go.
        alone: It is a line that can be found again where it begins.
    """

    place: Place
    content: object
    alone: bool = False


class Documents:
    """What stands in one stream.

    Attributes:
        name: What errors call it.
        truncated: It broke off within its last document, which was left out; known at the end.
    """

    def __init__(self, raw: BinaryIO, name: str) -> None:
        self.name = name
        self.truncated = False
        self._stream, self._decompressed = open_stream(raw, name)

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents in their order.

        Raises:
            BadRecording: It is in no known format, or broken elsewhere than at its end.
        """
        found = False
        for document in self._documents():
            found = True
            yield document
        if self._decompressed is not None and self._decompressed.cut:
            if not found:
                raise bad_recording(Place(self.name), "is compressed and breaks off before anything could be read")
            self.truncated = True

    def _documents(self) -> Iterator[Document]:
        stream = self._stream
        head = stream.peek(16)[:16]
        if head.startswith(_BOM):
            stream.read(len(_BOM))
            head = head[len(_BOM) :]
        found = head.lstrip(_BLANK)
        if not head:
            return
        if not found or found[0] in b"{[":
            yield from self._lines(stream if self._decompressed is not None else _at_once(stream))
        elif head[0] == _FIELD_1:
            yield self._message(stream)
        elif head[0] < MOST >> 24:
            yield from self._prefixed(stream)
        else:
            raise bad_recording(Place(self.name), "is in no format that is known")

    def _lines(self, stream: io.BufferedReader | io.BytesIO) -> Iterator[Document]:
        offset = number = documents = 0
        refused: BadRecording | None = None
        while line := stream.readline(MOST + 1):
            number += 1
            place = Place(self.name, offset, number)
            offset += len(line)
            if len(line) > MOST:
                raise bad_recording(place, f"a line is longer than {MOST >> 20} MiB")
            if line.isspace():
                continue
            try:
                content = parse(line, place)
            except BadRecording as error:
                if not documents and refused is None:
                    # It may be one text over many lines. If it is none, those behind half a line may be whole.
                    try:
                        yield self._whole(stream, line, place)
                    except BadRecording as whole:
                        refused = whole
                    else:
                        return
                    if not stream.seekable():
                        raise refused from None
                    stream.seek(offset)
                if not _breaks_off(line):
                    raise (error if documents else refused or error) from None
                self.truncated = True
                continue
            documents += 1
            yield Document(place, content, alone=self._decompressed is None)
        if refused is not None and not documents:
            raise refused

    def _whole(self, stream: io.BufferedReader | io.BytesIO, line: bytes, place: Place) -> Document:
        """Return the one document whose first line is *line*, on which alone it is no JSON."""
        rest = read_exactly(stream, MOST + 1 - len(line))
        if len(line) + len(rest) > MOST:
            raise bad_recording(place, f"is no JSON in its first line, and longer than {MOST >> 20} MiB")
        return Document(place, parse(line + rest, place))

    def _message(self, stream: io.BufferedReader) -> Document:
        place = Place(self.name)
        data = read_exactly(stream, MOST + 1)
        if len(data) > MOST:
            raise bad_recording(place, f"a message is longer than {MOST >> 20} MiB")
        return Document(place, data)

    def _prefixed(self, stream: io.BufferedReader) -> Iterator[Document]:
        offset = documents = 0
        while prefix := read_exactly(stream, _PREFIX):
            place = Place(self.name, offset)
            size = int.from_bytes(prefix, "big")
            if len(prefix) == _PREFIX and size > MOST:
                raise bad_recording(place, f"a message is said to have {size} bytes, more than {MOST >> 20} MiB")
            data = read_exactly(stream, size)
            if len(prefix) < _PREFIX or len(data) < size:
                if not documents:
                    raise bad_recording(place, "breaks off within its first message")
                self.truncated = True
                return
            offset += _PREFIX + size
            if not data:
                continue
            place = Place(self.name, place.offset + _PREFIX)
            if not documents and data[0] not in {_FIELD_1, *b"{", GZIP[0], ZSTD[0]}:
                raise bad_recording(Place(self.name), "is in no format that is known")
            data = inflate(data, place, MOST)
            documents += 1
            yield Document(place, parse(data, place) if data[:1] == b"{" else data)


def _at_once(stream: io.BufferedReader) -> io.BufferedReader | io.BytesIO:
    """Return what is left of a file whose first line is long: put together from pieces, that would cost half as much as to decode it."""
    if b"\n" in stream.peek():
        return stream
    try:
        size = os.fstat(stream.fileno()).st_size - stream.tell()
    except OSError:  # no file, or a pipe
        return stream
    # No more is allocated than is there.
    return io.BytesIO(stream.read(size)) if 0 < size <= MOST else stream


def _breaks_off(line: bytes) -> bool:
    """Say whether a line that is no JSON would be some if it went on."""
    text = line.rstrip(_BLANK)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        rest = error.doc[error.pos :]
        if error.msg.startswith("Unterminated string") or not rest:
            return True
        if "escape" in error.msg:
            return len(rest) <= _LONGEST_ESCAPE
        return any(word.startswith(rest) for word in _WORDS)
    except UnicodeDecodeError as error:
        return error.start >= len(text) - _LONGEST_SIGN
    except (ValueError, RecursionError):
        return False
    return False


def parse(data: bytes, place: Place) -> object:
    """Return what a JSON text says; the signals in it if it is just OTLP.

    Raises:
        BadRecording: It is no JSON, or nested too deeply.
    """
    if _quick is not None:
        found = _quick.read(data, lambda: _parse_slowly(data, place))
        if found is not None:
            return found
        try:
            return _quick.parse(data)
        except (ValueError, RecursionError):
            pass  # NaN, a lone surrogate, a larger number: the standard library takes them, or says what is wrong
    return _parse_slowly(data, place)


def _parse_slowly(data: bytes, place: Place) -> object:
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        # The error counts characters, which up to here are bytes but for what is not ASCII.
        before = len(error.doc[: error.pos].encode(errors="surrogatepass"))
        line = place.line and place.line + error.lineno - 1
        raise bad_recording(Place(place.file, place.offset + before, line), f"is no JSON: {error.msg}") from None
    except RecursionError:
        raise bad_recording(place, "is nested too deeply") from None
    except ValueError as error:
        raise bad_recording(place, f"is no JSON: {error}") from None
