"""A value as text under a seal: JSON with a checksum in front, so that no damaged byte goes unnoticed.

The text is ASCII, one line, and has one spelling only: `{"septum_snapshot":1,"sha256":"<64 hex digits>",` and the rest, over which the
checksum goes as it stands. A store that spells JSON anew (PostgreSQL's `jsonb`, say) breaks the seal: keep it as text.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, Final, NoReturn, cast

from septum._errors import bad_snapshot

FORMAT: Final = 1
"""The version of the format that is written; every one up to it can be read."""

MOST_LEVELS: Final = 400
"""How deep lists and objects may stand in one another: what `_codec` makes of its deepest values, and below what Python can recurse."""

_FRONT: Final = '{"septum_snapshot":'
_MIDDLE: Final = ',"sha256":"'
_DIGITS: Final = 64
_HEAD: Final = re.compile(rf'{re.escape(_FRONT)}([1-9][0-9]{{0,8}}){_MIDDLE}([0-9a-f]{{{_DIGITS}}})",', re.ASCII)


def seal(plain: dict[str, Any]) -> str:
    """Return *plain*, an object of JSON with at least one member, as text under its checksum."""
    rest = json.dumps(plain, ensure_ascii=True, allow_nan=False, separators=(",", ":"))[1:]
    return f'{_FRONT}{FORMAT}{_MIDDLE}{_digest(rest)}",{rest}'


def unseal(text: str | bytes) -> dict[str, Any]:
    """Return what was sealed.

    Raises:
        BadSnapshot: The text is not one that `seal` wrote, to the last byte; names the first place where that shows.
    """
    text = _as_ascii(text)
    head = _HEAD.match(text)
    if head is None:
        place = _find_break(text)
        raise bad_snapshot(f"byte {place}", f"expected {_FRONT}<format>{_MIDDLE}<{_DIGITS} hex digits>...")
    if int(head[1]) != FORMAT:
        raise bad_snapshot("septum_snapshot", f"format {head[1]} is not known here; this Septum reads format {FORMAT}")
    rest = text[head.end() :]
    found = _digest(rest)
    if found != head[2]:
        _parse(rest, head.end())  # says more, if the text is not even JSON
        raise bad_snapshot("sha256", f"the text was changed: the checksum from byte {head.end()} on is {found}, not {head[2]}")
    return _parse(rest, head.end())


def check_plain(value: object, place: str) -> Any:
    """Return a copy of *value* that shares nothing with it, if JSON can hold it and gives back an equal one.

    Args:
        value: None, bool, int, finite float, str, and lists and dicts of these, with texts as keys.
        place: What errors call it.

    Raises:
        BadSnapshot: Names the place inside.
    """
    return _copy(value, place, MOST_LEVELS)


def _copy(value: Any, place: str, levels: int) -> Any:
    kind = cast("object", type(value))
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        if -_HUGE < value < _HUGE:
            return value
        raise bad_snapshot(place, "a number of more than 4300 digits")
    if kind is float:
        if math.isfinite(value):
            return value
        raise bad_snapshot(place, f"{value!r} is no number of JSON")
    if levels == 0:
        raise bad_snapshot(place, f"more than {MOST_LEVELS} levels of lists and objects")
    # Loops, not comprehensions, which take a frame each on Python 3.11.
    if kind is list:
        items: list[Any] = []
        for index, item in enumerate(value):
            items.append(_copy(item, f"{place}[{index}]", levels - 1))
        return items
    if kind is dict:
        table: dict[str, Any] = {}
        for key, item in value.items():
            if type(key) is not str:
                raise bad_snapshot(place, f"the key {key!r} is no text")
            table[key] = _copy(item, f"{place}[{key[:40]!r}]", levels - 1)
        return table
    raise bad_snapshot(place, f"JSON has no {type(value).__qualname__}")


# What `int` itself refuses to read or write as text, to be safe from whoever sends it digits by the million.
_HUGE: Final = 10**4300


def _digest(rest: str) -> str:
    return hashlib.sha256(rest.encode("ascii")).hexdigest()


def _as_ascii(text: object) -> str:
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    if not isinstance(text, str):
        raise bad_snapshot("the whole", f"a text is needed, not {type(text).__qualname__}")
    if not text.isascii():
        place = next(index for index, sign in enumerate(text) if not sign.isascii())
        raise bad_snapshot(f"byte {place}", "a snapshot's text is ASCII")
    return text


def _find_break(text: str) -> int:
    """Return where *text*, which has no proper head, stops looking like one."""
    usual = f"{_FRONT}{FORMAT}{_MIDDLE}"
    head = usual + "0" * _DIGITS + '",'
    for place, (sign, expected) in enumerate(zip(text, head, strict=False)):
        is_digit = 0 <= place - len(usual) < _DIGITS
        if sign not in "0123456789abcdef" if is_digit else sign != expected:
            return place
    return min(len(text), len(head))


def _parse(rest: str, offset: int) -> dict[str, Any]:
    """Parse JSON more strictly than `json` does by itself."""
    try:
        found = json.loads("{" + rest, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise bad_snapshot(f"byte {offset + error.pos - 1}", f"no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        why = "lists and objects too deep in one another" if isinstance(error, RecursionError) else str(error)
        raise bad_snapshot(f"from byte {offset} on", why) from None
    return cast("dict[str, Any]", found)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is too large a number")
    return number


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        times = dict.fromkeys(found, 0)
        for name, _ in pairs:
            times[name] += 1
        twin = next(name for name, count in times.items() if count > 1)
        raise ValueError(f"two members are called {twin[:40]!r}")
    return found
