"""Where the values stand in a span that is written as protobuf.

Spans of one kind differ in their values, and hardly in anything else. What was read once, field by field, says what stands around the
values: tags, lengths and the names of attributes. Another message of that length with just these bytes in just these places is the same but
for its values, and all of them are taken out at once.
"""

from __future__ import annotations

import struct
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from septum.replay._signals import Span, build
from septum.replay._wire import BYTES, FIXED64, MORE, VARINT, read_field, read_varint, signed

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRACE, _ID, _START, _END, _ATTRIBUTE = 1, 2, 7, 8, 9
_OF_SPAN: Final = (_TRACE, _ID, _START, _END)
_KEY_TAG, _VALUE_TAG, _TEXT_TAG, _WHOLE_TAG, _DOUBLE_TAG = 0x0A, 0x12, 0x0A, 0x18, 0x21
_UINT64_SIZE: Final = 8

_LONGEST: Final = 4096  # bytes of a message
_MOST: Final = 512
_MOST_OF_A_LENGTH: Final = 8
_MOST_KNOWN: Final = 4096
_LONGEST_KNOWN: Final = 256


class Layouts:
    """Those that were seen last."""

    def __init__(self) -> None:
        self._found: dict[int, list[Layout]] = {}
        self._count = 0

    def read(self, data: bytes) -> Span | None:
        """Return the span that a message is, if its layout is known.

        Raises:
            ValueError: A text in it is none.
        """
        layouts = self._found.get(len(data))
        if layouts is not None:
            number = int.from_bytes(data, "little")
            for layout in layouts:
                if number & layout.mask == layout.around:
                    return layout.read(data)
        return None

    def learn(self, data: bytes, attributes: Mapping[str, object]) -> None:
        """Remember how a span with these attributes is written, unless that is unusual."""
        if len(data) > _LONGEST:
            return
        sketch = _Sketch(data)
        if not sketch.draw(attributes):
            return
        if self._count >= _MOST:
            self._found.clear()
            self._count = 0
        layouts = self._found.setdefault(len(data), [])
        if len(layouts) >= _MOST_OF_A_LENGTH:
            layouts.pop(0)
        else:
            self._count += 1
        layouts.append(Layout(sketch, attributes))


class _Sketch:
    """A message while its layout is found out.

    Attributes:
        data: The message.
        mask: For each byte the bits that belong to the layout.
        parts: Of the format by which `struct` takes the values out.
        of_span: Which of the values is which field of the span.
        texts, plain, numbers: Which attributes are texts, what `struct` can read, and longer whole numbers; each with which value it is.
        end: Of the last value.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.mask = bytearray(b"\xff" * len(data))
        self.parts: list[str] = []
        self.of_span: dict[int, int] = {}
        self.texts: list[tuple[str, int]] = []
        self.plain: list[tuple[str, int]] = []
        self.numbers: list[tuple[str, int]] = []
        self.end = 0

    def draw(self, attributes: Mapping[str, object]) -> bool:
        """Go through the message, which is a span with these attributes; False if it is written in an unusual way."""
        data, place, pairs = self.data, 0, 0
        while place < len(data):
            tag, begin = read_varint(data, place)
            _, content, place = read_field(data, place)
            field, wire = tag >> 3, tag & 7
            if isinstance(content, bytes):
                begin = place - len(content)
            if field == _ATTRIBUTE:
                pairs += 1
                self._draw_pair(begin, place)
            elif field in _OF_SPAN:
                of_bytes = field in {_TRACE, _ID}
                if field in self.of_span or wire != (BYTES if of_bytes else FIXED64):
                    return False
                self.of_span[field] = self._take(begin, place, f"{place - begin}s" if of_bytes else "Q")
            else:
                # Of a number, a bit of each byte says whether it goes on; all else may be anything.
                self.mask[begin:place] = bytes([MORE if wire == VARINT else 0]) * (place - begin)
        keys = {key for kind in (self.texts, self.plain, self.numbers) for key, _ in kind}
        return pairs == len(attributes) and keys <= attributes.keys() and self.of_span.keys() == set(_OF_SPAN)

    def _draw_pair(self, begin: int, end: int) -> None:
        """Find the value of an attribute, if it is a text or a number; else all of it belongs to the layout."""
        data = self.data
        if data[begin] != _KEY_TAG:
            return
        size, place = read_varint(data, begin + 1)
        key, place = data[place : place + size].decode(), place + size
        if place >= end or data[place] != _VALUE_TAG:
            return
        size, place = read_varint(data, place + 1)
        if not size or place + size != end:
            return
        kind, place = data[place], place + 1
        if kind == _TEXT_TAG:
            size, place = read_varint(data, place)
            if place + size == end:
                self.texts.append((key, self._take(place, end, f"{size}s")))
        elif kind == _WHOLE_TAG and read_varint(data, place)[1] == end:
            where = self.plain if end - place == 1 else self.numbers
            where.append((key, self._take(place, end, "B" if end - place == 1 else f"{end - place}s", MORE)))
        elif kind == _DOUBLE_TAG and place + _UINT64_SIZE == end:
            self.plain.append((key, self._take(place, end, "d")))

    def _take(self, begin: int, end: int, kind: str, keep: int = 0) -> int:
        """Let a value be taken out; return which one it is."""
        self.parts.append(f"{begin - self.end}x{kind}")
        self.mask[begin:end] = bytes([keep]) * (end - begin)
        self.end = end
        return len(self.parts) - 1


class Layout:
    """Where the values of one span stand, and what stands around them.

    Attributes:
        mask, around: A message has this layout if it is as long, and *mask* leaves just *around* of it, as a little-endian number.
    """

    __slots__ = ("_constants", "_keys", "_numbers", "_order", "_plain", "_unpack", "around", "mask")

    def __init__(self, sketch: _Sketch, attributes: Mapping[str, object]) -> None:
        kinds = (sketch.texts, sketch.plain, sketch.numbers)
        self._unpack = struct.Struct(f"<{''.join(sketch.parts)}{len(sketch.data) - sketch.end}x").unpack
        self._order: itemgetter[Any] = itemgetter(*(sketch.of_span[field] for field in _OF_SPAN), *(at for kind in kinds for _, at in kind))
        self._plain = len(_OF_SPAN) + len(sketch.texts)
        self._numbers = self._plain + len(sketch.plain)
        self._keys = tuple([key for kind in kinds for key, _ in kind])
        self._constants = {key: value for key, value in attributes.items() if key not in self._keys}
        self.mask = int.from_bytes(sketch.mask, "little")
        self.around = int.from_bytes(sketch.data, "little") & self.mask

    def read(self, data: bytes) -> Span:
        """Return the span that a message of this layout is.

        Raises:
            ValueError: A text in it is none.
        """
        values = self._order(self._unpack(data))
        plain, numbers = self._plain, self._numbers
        trace_id, span_id, start, end = values[:4]
        found = [*map(_text, values[4:plain]), *values[plain:numbers], *map(_number, values[numbers:])]
        attributes: dict[str, object] = dict(zip(self._keys, found, strict=True))
        if self._constants:
            attributes.update(self._constants)
        span: Span = build(Span, (trace_id.hex(), span_id.hex(), start, end, attributes))
        return span


class _Texts(dict[bytes, str]):
    """Texts by their bytes; most come again and again."""

    def __missing__(self, piece: bytes) -> str:
        text = piece.decode()
        if len(piece) <= _LONGEST_KNOWN:
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[piece] = text
        return text


class _Numbers(dict[bytes, int]):
    """Whole numbers by the bytes that they are written in."""

    def __missing__(self, piece: bytes) -> int:
        number = signed(read_varint(piece, 0)[0])
        if len(self) >= _MOST_KNOWN:
            self.clear()
        self[piece] = number
        return number


_text = _Texts().__getitem__
_number = _Numbers().__getitem__
