"""How protobuf is written: numbers, and fields of a message, with bounds that a generated reader would not keep."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

    Value = int | bytes

# How a field is written.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

MORE: Final = 0x80
"""The bit of a byte that says that the number goes on."""

_MOST_BITS: Final = 70
_UINT64: Final = struct.Struct("<Q").unpack_from


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Yield number and content of each field of a message: a number, or bytes.

    Raises:
        ValueError: It is no message.
    """
    place, end = 0, len(data)
    while place < end:
        tag, begin = data[place], place + 2
        # Bytes, up to 16,383 of them, in one of the first 15 fields: nearly all fields that this is asked for.
        if tag & 7 == BYTES and tag < MORE and begin < end and (data[begin - 1] < MORE or data[begin] < MORE):
            size = data[begin - 1]
            if size >= MORE:
                size += (data[begin] << 7) - MORE
                begin += 1
            place = begin + size
            if place > end:
                raise too_long(size, end - begin)
            yield tag >> 3, data[begin:place]
        else:
            number, value, place = read_field(data, place)
            yield number, value


def read_field(data: bytes, place: int) -> tuple[int, Value, int]:
    """Return number and content of the field at *place*, and the place after it.

    Raises:
        ValueError: There is none.
    """
    end = len(data)
    tag, place = read_varint(data, place)
    wire = tag & 7
    if wire == BYTES:
        size, begin = read_varint(data, place)
        place = begin + size
        if place > end:
            raise too_long(size, end - begin)
        return tag >> 3, data[begin:place], place
    if wire == VARINT:
        number, place = read_varint(data, place)
        return tag >> 3, number, place
    if wire == FIXED64:
        if place + 8 > end:
            raise ValueError("a message breaks off")
        return tag >> 3, _UINT64(data, place)[0], place + 8
    if wire == FIXED32:
        if place + 4 > end:
            raise ValueError("a message breaks off")
        return tag >> 3, int.from_bytes(data[place : place + 4], "little"), place + 4
    raise ValueError(f"a field has the wire type {wire}, which protobuf does not know")


def too_long(size: int, left: int) -> ValueError:
    """Build the error for a field of *size* bytes where there are fewer."""
    return ValueError(f"a field of {size} bytes stands where only {left} are left")


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the number at *place* and the place after it.

    Raises:
        ValueError: There is none of at most 64 bits.
    """
    number = shift = 0
    while place < len(data) and shift < _MOST_BITS:
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < MORE:
            return number & 0xFFFFFFFFFFFFFFFF, place
        shift += 7
    raise ValueError("a number breaks off or has more than 64 bits")


def signed(number: int) -> int:
    """Return what *number* is as one with a sign."""
    return number - (1 << 64) if number >> 63 else number


def is_bytes(value: object) -> TypeGuard[bytes]:
    """Say whether the content of a field is bytes."""
    return isinstance(value, bytes)
