"""What a machine holds of its users, messages and `common` and exceptions, written for a snapshot and read again."""

from __future__ import annotations

import base64
import random
import re
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from septum._classes import Classes
from septum._codec import Unencodable, decode, encode
from septum._errors import CodecError, bad_snapshot, not_kept
from septum._message import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from septum._codec import Decoder, Encoder
    from septum._graph import Graph
    from septum._snapshot import KeptMessage, Snapshot

_CHANCE: Final = struct.Struct(">625L?d")
"""A state of the Mersenne Twister, then whether `gauss` has a number left over, and which."""


def write(value: object, place: str, extra: Encoder | None) -> Any:
    """Return *value*, which stands at *place* of a machine, as what JSON can hold.

    Raises:
        NotKept: Something in it cannot be written; names the place in it.
    """
    try:
        return encode(value, extra=extra)
    except Unencodable as error:
        where, why = re.split(r" (?=is |contains |raised )", str(error), maxsplit=1)
        raise not_kept(place + where.removeprefix("value"), why) from None


def write_chance(chance: random.Random) -> str:
    """Return the state of a source of chance as text."""
    _, numbers, left_over = chance.getstate()
    return base64.b64encode(_CHANCE.pack(*numbers, left_over is not None, left_over or 0.0)).decode("ascii")


class Contents(NamedTuple):
    """What a snapshot holds of its machine's users, as objects again.

    Attributes:
        common: As `ctx.common`.
        messages: Message and headers of each that waits, in the snapshot's order.
        exception: What the decided move answers to; None for nothing.
        chance: What `random.Random.setstate` takes; None if the machine never drew.
    """

    common: Any
    messages: list[tuple[Any, Any]]
    exception: BaseException | None
    chance: tuple[Any, ...] | None


def read(snapshot: Snapshot, graph: Graph, extra: Decoder | None, classes: Iterable[type[Any]], *, with_common: bool) -> Contents:
    """Return what *snapshot* holds, for a machine of *graph*.

    Args:
        extra: Makes an object of what the program's own `encode=` gave.
        classes: That may be named besides those of the definition's packages.
        with_common: Read `common` as well.

    Raises:
        BadSnapshot: Something cannot be read, names a class that may not be named, or is of the wrong kind.
    """
    specs = [node.spec for node in graph.nodes]
    resolve = Classes({module for spec in specs for module in (spec.module, spec.origin.module)}, allowed=classes)

    def find(data: object, place: str) -> Any:
        try:
            return decode(data, resolve, extra=extra)
        except (CodecError, RecursionError) as error:
            raise bad_snapshot(f"snapshot.{place}", str(error)) from error

    common = find(snapshot.common, "common") if with_common else None
    messages: list[tuple[Any, Any]] = []
    for index, kept in enumerate(snapshot.messages):
        message = find(kept.message, f"messages[{index}].message")
        if _is_misplaced(kept, message):
            raise bad_snapshot(f"snapshot.messages[{index}].priority", f"no {type(message).__qualname__} has priority {kept.priority}")
        messages.append((message, find(kept.headers, f"messages[{index}].headers")))
    decided = snapshot.decided
    exception = None if decided is None else find(decided.exception, "decided.exception")
    if exception is not None and not isinstance(exception, BaseException):
        raise bad_snapshot("snapshot.decided.exception", f"a {type(exception).__qualname__} is no exception")
    return Contents(common, messages, exception, None if snapshot.chance is None else _read_chance(snapshot.chance))


def _is_misplaced(kept: KeptMessage, message: object) -> bool:
    # Priorities follow from the message, but for what cannot be told here: whether a class is still a subclass of what it was.
    return message is None or kept.priority > 2 or (kept.priority == 0) != isinstance(message, Exception)  # noqa: PLR2004 - the lowest


def _read_chance(text: str) -> tuple[Any, ...]:
    try:
        *numbers, has_left_over, left_over = _CHANCE.unpack(base64.b64decode(text, validate=True))
        state = (3, tuple(numbers), left_over if has_left_over else None)
        random.Random().setstate(state)  # noqa: S311 - to see whether it is one
    except (ValueError, struct.error):
        raise bad_snapshot("snapshot.chance", "no state of a source of chance") from None
    return state


def unwrap(item: object) -> tuple[Any, Any, int, float | None]:
    """Return of something that waits in a mailbox: the message, its headers, its number, and when it came (None if nobody noted)."""
    return (item.message, item.headers, item.number, item.at) if isinstance(item, Envelope) else (item, None, 0, None)
