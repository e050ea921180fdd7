"""Frozen dataclasses of plain values, to and from what JSON can hold: their annotations are what is checked."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Final, Literal, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from septum._errors import bad_snapshot
from septum._sealed import check_plain

R = TypeVar("R")

_MOST: Final = 1 << 63
"""Whole numbers are counts and nanoseconds; whatever reaches this is neither."""


def fields_of(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as an object of JSON; what its annotation leaves open (`Any`) is shared, not copied."""
    return {name: _plain_of(getattr(record, name), kind) for name, kind in _kinds(type(record)).items()}


def check_record(cls: type[R], plain: object, place: str) -> R:
    """Return the dataclass of which *plain* is an object with exactly its fields, each of its type.

    Raises:
        BadSnapshot: Names the field, below *place*.
    """
    if type(plain) is not dict:
        _refuse(place, "an object", plain)
    given = cast("dict[str, object]", plain)
    kinds = _kinds(cls)
    for name in kinds:
        if name not in given:
            raise bad_snapshot(f"{place}.{name}", "it is missing")
    for name in given:
        if name not in kinds:
            raise bad_snapshot(f"{place}.{name[:40]}", f"there is no such field; known are {', '.join(kinds)}")
    return cls(**{name: _check(kind, given[name], f"{place}.{name}") for name, kind in kinds.items()})


_known: Final[dict[object, dict[str, Any]]] = {}


def _kinds(cls: Any) -> dict[str, Any]:
    """Return the annotations of a dataclass's fields, in their order."""
    known = _known.get(cls)
    if known is None:
        # Where the class was written: `__module__` of a public one is the address that users import it from.
        hints = get_type_hints(cls, cls.__init__.__globals__)
        known = _known[cls] = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    return known


def _plain_of(value: Any, kind: Any) -> Any:
    if kind is Any:
        return value
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)  # type: ignore[redundant-cast]  # pyright finds it wanting
        return [_plain_of(item, get_args(kind)[0]) for item in items]
    if dataclasses.is_dataclass(value):
        return fields_of(value)
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value


def _check(kind: Any, value: Any, place: str) -> Any:
    if kind is Any:
        return check_plain(value, place)
    if kind in _SIMPLE:
        return _SIMPLE[kind](value, place)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return None if value is None else _check(inner, value, place)
    if origin is Literal:
        return value if type(value) is str and value in arguments else _refuse(place, f"one of {', '.join(arguments)}", value)
    if origin is tuple:
        if type(value) is not list:
            _refuse(place, "a list", value)
        items = cast("list[Any]", value)  # type: ignore[redundant-cast]  # as above
        return tuple([_check(arguments[0], item, f"{place}[{index}]") for index, item in enumerate(items)])
    if origin is Mapping:
        if type(value) is not dict:
            _refuse(place, "an object", value)
        table = cast("dict[Any, Any]", value)  # type: ignore[redundant-cast]  # as above
        return {_text(key, place): _check(arguments[1], item, f"{place}[{key[:40]!r}]") for key, item in table.items()}
    return check_record(kind, value, place)


def _text(value: Any, place: str) -> str:
    return value if type(value) is str else _refuse(place, "a text", value)


def _flag(value: Any, place: str) -> bool:
    return value if type(value) is bool else _refuse(place, "true or false", value)


def _count(value: Any, place: str) -> int:
    return value if type(value) is int and 0 <= value < _MOST else _refuse(place, "a whole number from 0 to 2**63", value)


def _seconds(value: Any, place: str) -> float:
    good = (type(value) is float and math.isfinite(value)) or (type(value) is int and -_MOST < value < _MOST)
    return float(value) if good else _refuse(place, "a number of seconds", value)


_SIMPLE: Final[dict[Any, Any]] = {str: _text, bool: _flag, int: _count, float: _seconds}


def _refuse(place: str, wanted: str, found: object) -> NoReturn:
    # Not the value: it may be secret, and it may be a gigabyte.
    kind = "a number out of range" if type(found) in {int, float} else type(found).__qualname__
    raise bad_snapshot(place, f"it should be {wanted}, and is {kind}")
