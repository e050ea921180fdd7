"""OTLP as protobuf, read by hand: the two dozen fields that are looked at, with bounds that a generated reader would not keep.

Attributes repeat from span to span (the machine, the run, the states), so the last ones that were read are remembered by their bytes; and
so does what surrounds them (see `_layout`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from septum.replay._layout import Layouts
from septum.replay._signals import DEEPEST, SEPTUM, Event, Span
from septum.replay._wire import BYTES, MORE, fields, is_bytes, read_field, read_varint, signed, too_long

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from septum.replay._wire import Value

_SHORTEST: Final = 2  # bytes that a field has at least

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
_DOUBLE: Final = struct.Struct("<d").unpack


class Reader:
    """Reads messages, and remembers the attributes that they have in common."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, object]] = {}
        self._layouts = Layouts()

    def read(self, data: bytes) -> Iterator[Span | Event]:
        """Yield Septum's spans and events in an export request, or in what Tempo answers, which is written alike.

        Raises:
            ValueError: It is no such message.
        """
        for field, resource in fields(data):
            if field == _RESOURCE and is_bytes(resource):
                for inner, scope in fields(resource):
                    if inner in _SCOPES and is_bytes(scope):
                        yield from self._read_scope(scope)

    def _read_scope(self, data: bytes) -> Iterator[Span | Event]:
        scope = next((value for field, value in fields(data) if field == _SCOPE and is_bytes(value)), b"")
        name = next((value for field, value in fields(scope) if field == _KEY and is_bytes(value)), b"")
        if name and not name.decode().startswith(SEPTUM):
            return
        layouts = self._layouts
        for field, entry in fields(data):
            if field == _ENTRY and is_bytes(entry):
                span = layouts.read(entry)
                if span is not None:
                    yield span
                    continue
                found = self._read_entry(entry)
                if type(found) is Span:
                    layouts.learn(entry, found.attributes)
                if found is not None:
                    yield found

    def _read_entry(self, data: bytes) -> Span | Event | None:
        """Return a span or an event; None for what is neither."""
        plain: dict[int, Value] = {}
        of_span: list[bytes] = []
        of_log: list[bytes] = []
        # What `fields` does, without the generator: this is where the time goes.
        place, size = 0, len(data)
        while place < size:
            tag = data[place]
            if tag & 7 != BYTES or tag >= MORE or size - place < _SHORTEST or data[place + 1] >= MORE:
                field, value, place = read_field(data, place)
            else:
                begin = place + 2
                place = begin + data[place + 1]
                if place > size:
                    raise too_long(data[begin - 1], size - begin)
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
        if is_bytes(trace_id) and isinstance(start, int):
            if not is_bytes(span_id) or (len(trace_id), len(span_id)) != _IDS:
                raise ValueError("a span has no ids")
            return Span(trace_id.hex(), span_id.hex(), start, end if isinstance(end, int) else start, self._read_pairs(of_span))
        time = plain.get(_LOG_TIME) or plain.get(_LOG_OBSERVED)
        if not isinstance(time, int):
            return None
        attributes = self._read_pairs(of_log)
        body, name = plain.get(_LOG_BODY), plain.get(_LOG_NAME)
        named = name.decode() if is_bytes(name) else attributes.get("event.name")
        if not isinstance(named, str) or not named.startswith(SEPTUM):
            return None
        return Event(named, time, attributes, _read_value(body) if is_bytes(body) else None)

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
    if data[1] >= MORE or data[middle + 1] >= MORE:
        return None
    key, kind, begin = data[_SHORTEST:middle], data[middle + 2], middle + 3
    if kind == _TEXT_TAG and data[begin] == end - begin - 1:
        return key.decode(), data[begin + 1 :].decode()
    if kind == _WHOLE_TAG:
        number, place = read_varint(data, begin)
        return (key.decode(), signed(number)) if place == end else None
    if kind == _DOUBLE_TAG and end - begin == _UINT64_SIZE:
        return key.decode(), _DOUBLE(data[begin:])[0]
    return None


def _read_pair(data: bytes, depth: int = 0) -> tuple[str, object]:
    key, value = "", None
    for field, content in fields(data):
        if field == _KEY and is_bytes(content):
            key = content.decode()
        elif field == _VALUE and is_bytes(content):
            value = _read_value(content, depth)
    return key, value


def _read_value(data: bytes, depth: int = 0) -> object:
    """Return the plain value of an AnyValue; lists are tuples."""
    if depth > DEEPEST:
        raise ValueError("a value is nested too deeply")
    found: object = None
    for field, content in fields(data):
        match field, content:
            case 1, bytes():
                found = content.decode()
            case 2, int():
                found = bool(content)
            case 3, int():
                found = signed(content)
            case 4, int():
                found = _DOUBLE(content.to_bytes(8, "little"))[0]
            case 5, bytes():
                found = tuple(_read_value(each, depth + 1) for inner, each in fields(content) if inner == 1 and is_bytes(each))
            case 6, bytes():
                found = dict(_read_pair(each, depth + 1) for inner, each in fields(content) if inner == 1 and is_bytes(each))
            case 7, bytes():
                found = content
            case _:
                raise ValueError(f"a value has field {field}, which OTLP does not know")
    return found
