"""OTLP as protobuf, read by hand: the two dozen fields that are looked at, with bounds that a generated reader would not keep.

Attributes repeat from span to span (the machine, the run, the states), so the last ones that were read are remembered by their bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeGuard

from septum.replay._signals import DEEPEST, SEPTUM, Event, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Value = int | bytes

# How a field is written.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE: Final = 0x80
_SHORTEST: Final = 2  # bytes that a field has at least
_MOST_BITS: Final = 70

# Numbers of fields: of a request and its resources (1000 is where OTLP before 0.15 had the scopes), of a scope, of spans and log records.
_RESOURCE, _SCOPES, _SCOPE, _ENTRY = 1, {2, 1000}, 1, 2
_SPAN_TRACE, _SPAN_ID, _SPAN_START, _SPAN_END, _SPAN_ATTRIBUTES = 1, 2, 7, 8, 9
_LOG_TIME, _LOG_BODY, _LOG_ATTRIBUTES, _LOG_OBSERVED, _LOG_NAME = 1, 5, 6, 11, 12
_KEY, _VALUE = 1, 2
_KEY_TAG, _VALUE_TAG, _TEXT_TAG, _WHOLE_TAG, _DOUBLE_TAG = 0x0A, 0x12, 0x0A, 0x18, 0x21
_UINT64_SIZE: Final = 8
_IDS: Final = (16, 8)

_MOST_KNOWN: Final = 4096
_LONGEST_KNOWN: Final = 256
_MOST_PAIRS: Final = 4096
_UINT64: Final = struct.Struct("<Q").unpack_from
_DOUBLE: Final = struct.Struct("<d").unpack


class Reader:
    """Reads messages, and remembers the attributes that they have in common."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, object]] = {}

    def read(self, data: bytes) -> Iterator[Span | Event]:
        """Yield Septum's spans and events in an export request, or in what Tempo answers, which is written alike.

        Raises:
            ValueError: It is no such message.
        """
        for field, resource in _fields(data):
            if field == _RESOURCE and _is_bytes(resource):
                for inner, scope in _fields(resource):
                    if inner in _SCOPES and _is_bytes(scope):
                        yield from self._read_scope(scope)

    def _read_scope(self, data: bytes) -> Iterator[Span | Event]:
        scope = next((value for field, value in _fields(data) if field == _SCOPE and _is_bytes(value)), b"")
        name = next((value for field, value in _fields(scope) if field == _KEY and _is_bytes(value)), b"")
        if name and not name.decode().startswith(SEPTUM):
            return
        for field, entry in _fields(data):
            if field == _ENTRY and _is_bytes(entry):
                found = self._read_entry(entry)
                if found is not None:
                    yield found

    def _read_entry(self, data: bytes) -> Span | Event | None:
        """Return a span or an event; None for what is neither."""
        plain: dict[int, Value] = {}
        of_span: list[bytes] = []
        of_log: list[bytes] = []
        # What `_fields` does, without the generator: this is where the time goes.
        place, size = 0, len(data)
        while place < size:
            tag = data[place]
            if tag & 7 != _BYTES or tag >= _MORE or size - place < _SHORTEST or data[place + 1] >= _MORE:
                field, value, place = _field(data, place)
            else:
                begin = place + 2
                place = begin + data[place + 1]
                if place > size:
                    raise _too_long(data[begin - 1], size - begin)
                field, value = tag >> 3, data[begin:place]
            if field == _SPAN_ATTRIBUTES:
                of_span.append(value)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - a number fails below
            elif field == _LOG_ATTRIBUTES:
                of_log.append(value)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the same
            else:
                plain[field] = value
        if len(of_span) + len(of_log) > _MOST_PAIRS:
            raise ValueError(f"a span or event has more than {_MOST_PAIRS} attributes")
        # Only a span has two fixed64s there, and only a log record has one here; a metric has neither.
        trace_id, span_id, start, end = (plain.get(field) for field in (_SPAN_TRACE, _SPAN_ID, _SPAN_START, _SPAN_END))
        if _is_bytes(trace_id) and isinstance(start, int):
            if not _is_bytes(span_id) or (len(trace_id), len(span_id)) != _IDS:
                raise ValueError("a span has no ids")
            return Span(trace_id.hex(), span_id.hex(), start, end if isinstance(end, int) else start, self._read_pairs(of_span))
        time = plain.get(_LOG_TIME) or plain.get(_LOG_OBSERVED)
        if not isinstance(time, int):
            return None
        attributes = self._read_pairs(of_log)
        body, name = plain.get(_LOG_BODY), plain.get(_LOG_NAME)
        named = name.decode() if _is_bytes(name) else attributes.get("event.name")
        if not isinstance(named, str) or not named.startswith(SEPTUM):
            return None
        return Event(named, time, attributes, _read_value(body) if _is_bytes(body) else None)

    def _read_pairs(self, pairs: Iterable[bytes]) -> dict[str, object]:
        found: dict[str, object] = {}
        known = self._known
        for pair in pairs:
            entry = known.get(pair)
            if entry is None:
                entry = _read_short_pair(pair) or _read_pair(pair)
                # Numbers hardly come twice.
                if type(entry[1]) is str and len(pair) <= _LONGEST_KNOWN:
                    if len(known) >= _MOST_KNOWN:
                        known.clear()
                    known[pair] = entry
            found[entry[0]] = entry[1]
        return found


def _read_short_pair(data: bytes) -> tuple[str, object] | None:
    """Return what `_read_pair` does, for nearly all pairs that there are; None for the others."""
    end = len(data)
    middle = data[1] + _SHORTEST if end > _SHORTEST else end
    # Key and value, in this order, each of less than 128 bytes, and nothing else.
    if middle + 3 >= end or data[0] != _KEY_TAG or data[middle] != _VALUE_TAG or data[middle + 1] != end - middle - _SHORTEST:
        return None
    if data[1] >= _MORE or data[middle + 1] >= _MORE:
        return None
    key, kind, begin = data[_SHORTEST:middle], data[middle + 2], middle + 3
    if kind == _TEXT_TAG and data[begin] == end - begin - 1:
        return key.decode(), data[begin + 1 :].decode()
    if kind == _WHOLE_TAG:
        number, place = _varint(data, begin)
        return (key.decode(), _signed(number)) if place == end else None
    if kind == _DOUBLE_TAG and end - begin == _UINT64_SIZE:
        return key.decode(), _DOUBLE(data[begin:])[0]
    return None


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _read_pair(data: bytes, depth: int = 0) -> tuple[str, object]:
    key, value = "", None
    for field, content in _fields(data):
        if field == _KEY and _is_bytes(content):
            key = content.decode()
        elif field == _VALUE and _is_bytes(content):
            value = _read_value(content, depth)
    return key, value


def _read_value(data: bytes, depth: int = 0) -> object:
    """Return the plain value of an AnyValue; lists are tuples."""
    if depth > DEEPEST:
        raise ValueError("a value is nested too deeply")
    found: object = None
    for field, content in _fields(data):
        match field, content:
            case 1, bytes():
                found = content.decode()
            case 2, int():
                found = bool(content)
            case 3, int():
                found = _signed(content)
            case 4, int():
                found = _DOUBLE(content.to_bytes(8, "little"))[0]
            case 5, bytes():
                found = tuple(_read_value(each, depth + 1) for inner, each in _fields(content) if inner == 1 and _is_bytes(each))
            case 6, bytes():
                found = dict(_read_pair(each, depth + 1) for inner, each in _fields(content) if inner == 1 and _is_bytes(each))
            case 7, bytes():
                found = content
            case _:
                raise ValueError(f"a value has field {field}, which OTLP does not know")
    return found


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Yield number and content of each field of a message: a number, or bytes.

    Raises:
        ValueError: It is no message.
    """
    place, end = 0, len(data)
    while place < end:
        field, value, place = _field(data, place)
        yield field, value


def _field(data: bytes, place: int) -> tuple[int, Value, int]:
    """Return number and content of the field at *place*, and the place after it."""
    end = len(data)
    tag, place = _varint(data, place)
    wire = tag & 7
    if wire == _BYTES:
        size, begin = _varint(data, place)
        place = begin + size
        if place > end:
            raise _too_long(size, end - begin)
        return tag >> 3, data[begin:place], place
    if wire == _VARINT:
        number, place = _varint(data, place)
        return tag >> 3, number, place
    if wire == _FIXED64:
        if place + 8 > end:
            raise ValueError("a message breaks off")
        return tag >> 3, _UINT64(data, place)[0], place + 8
    if wire == _FIXED32:
        if place + 4 > end:
            raise ValueError("a message breaks off")
        return tag >> 3, int.from_bytes(data[place : place + 4], "little"), place + 4
    raise ValueError(f"a field has the wire type {wire}, which protobuf does not know")


def _too_long(size: int, left: int) -> ValueError:
    return ValueError(f"a field of {size} bytes stands where only {left} are left")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the number at *place* and the place after it."""
    number = shift = 0
    while place < len(data) and shift < _MOST_BITS:
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < _MORE:
            return number & 0xFFFFFFFFFFFFFFFF, place
        shift += 7
    raise ValueError("a number breaks off or has more than 64 bits")


def _is_bytes(value: object) -> TypeGuard[bytes]:
    return isinstance(value, bytes)
