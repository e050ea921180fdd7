"""Values as JSON and back: what recordings and snapshots keep of messages, results and `common`.

What JSON has is written as it is, everything else as an object with the key "$", which names its kind. Nothing in a file is ever executed:
an object is made without its `__init__`, and only of a class that `resolve` gives for its name ("module:Qualified.Name").
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from septum._errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Encoder: TypeAlias = "Callable[[Any], tuple[str, object] | None]"
Decoder: TypeAlias = "Callable[[str, object], Any]"
Resolve: TypeAlias = "Callable[[str], type[Any]]"

TAG: Final = "$"
MOST_DEPTH: Final = 100
"""Levels of lists, mappings and objects in one another; deeper ones are refused, on both ways."""

_PLAIN: Final = frozenset({type(None), bool, str})
_LAYOUTS: Final = (dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float)


class Unencodable(Exception):
    """Something in the value cannot be written, or the value is longer than allowed; the text says what and where."""


def reference(kind: type[Any]) -> str:
    """Return how a class is named in a file."""
    # Python 3.13 has moved its paths into a private module; a file written by one version is read by another.
    module = "pathlib" if kind.__module__ == "pathlib._local" else kind.__module__
    return f"{module}:{kind.__qualname__}"


def encode(
    value: object, *, extra: Encoder | None = None, most: int | None = None, refused: Callable[[object], object] | None = None
) -> Json:
    """Return *value* as what `json` can write, so that `decode` gives an equal object.

    Args:
        value: Of None, bool, int, float, str, bytes, list, tuple, dict, set, Enum, dataclass, datetime, date, time, timedelta, UUID,
            Decimal, named tuple, exception, pydantic or attrs model, class, object with nothing but a `__dict__`; in one another.
        extra: Asked of each value that is not of the first six or a container: a name and what stands for it, or None if it is not its
            business. `decode` hands both to its own *extra*.
        most: Refuse what would take more than about so many characters; None for no limit.
        refused: Called with each object that cannot be written; that becomes `{"$": "repr", "t": class}` then, which `decode` refuses, in
            place of an error. What is longer than *most* is an error all the same.

    Raises:
        Unencodable: Something in it cannot be written; the text says where.
    """
    return _Encoding(extra, most, refused).encode(value, "value", 0)


def to_text(data: Json) -> str:
    """Return encoded *data* as JSON text: the same text for equal data."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


class _Encoding:
    """One call of `encode`."""

    def __init__(self, extra: Encoder | None, most: float | None, refused: Callable[[object], object] | None) -> None:
        self._extra = extra
        self._left = math.inf if most is None else most
        self._refused = refused
        self._above: set[int] = set()

    def encode(self, value: object, where: str, depth: int) -> Json:
        kind = type(value)
        self._left -= len(cast("str", value)) + 4 if kind is str or kind is bytes else 8
        if self._left < 0:
            raise Unencodable(f"{where} is beyond the longest that is written")
        if kind in _PLAIN:
            return cast("Json", value)
        if isinstance(value, int) and kind is int:
            # Python itself refuses to read longer ones from text.
            return value if -_BIG < value < _BIG else {TAG: "int", "v": hex(value)}
        if isinstance(value, float) and kind is float:
            return value if math.isfinite(value) else {TAG: "float", "v": repr(value)}
        if depth >= MOST_DEPTH:
            return self._refuse(value, f"{where} is more than {MOST_DEPTH} levels deep")
        if id(value) in self._above:
            return self._refuse(value, f"{where} contains itself")
        self._above.add(id(value))
        try:
            return self._encode_object(value, kind, where, depth + 1)
        except Unencodable:
            raise
        except Exception as error:  # noqa: BLE001 - attributes of users' objects may be properties that raise anything
            return self._refuse(value, f"{where} raised {type(error).__name__} while it was read")
        finally:
            self._above.discard(id(value))

    def _refuse(self, value: object, why: str) -> Json:
        if self._refused is not None:
            self._refused(value)
            return {TAG: "repr", "t": reference(type(value))}
        raise Unencodable(why)

    def _list(self, values: Iterable[Any], where: str, depth: int) -> list[Json]:
        return [self.encode(inner, f"{where}[{place}]", depth) for place, inner in enumerate(values)]

    def _named(self, values: Iterable[tuple[str, Any]], where: str, depth: int) -> dict[str, Json]:
        return {name: self.encode(inner, f"{where}.{name}", depth) for name, inner in values}

    def _encode_object(self, value: Any, kind: type[Any], where: str, depth: int) -> Json:
        if kind is list:
            return self._list(value, where, depth)
        if kind is dict:
            return self._mapping(value, where, depth)
        if kind is tuple:
            return {TAG: "tuple", "v": self._list(value, where, depth)}
        if kind is set or kind is frozenset:
            return {TAG: kind.__name__, "v": sorted(self._list(value, where, depth), key=to_text)}
        if kind is bytes or kind is bytearray:
            return {TAG: kind.__name__, "v": base64.b64encode(value).decode("ascii")}
        if self._extra is not None:
            given = self._extra(value)
            if given is not None:
                return {TAG: "extra", "t": given[0], "v": self.encode(given[1], where, depth)}
        name = reference(kind)
        if name in _TEXTS:
            return {TAG: name, "v": _TEXTS[name][0](value)}
        if isinstance(value, Enum):
            # A combination of flags has a name that is not a member's, or none.
            member = kind.__members__.get(value.name) is value
            return {TAG: "enum", "t": name, **({"n": value.name} if member else {"v": self.encode(value.value, where, depth)})}
        if isinstance(value, type):
            return {TAG: "type", "t": reference(value)}
        if isinstance(value, BaseException):
            return self._exception(value, name, where, depth)
        if is_dataclass(kind) and not isinstance(value, _LAYOUTS):
            inner = [(field.name, getattr(value, field.name)) for field in fields(kind) if hasattr(value, field.name)]
            data: dict[str, Json] = {TAG: "data", "t": name, "v": self._named(inner, where, depth)}
            # What is no field: set by `__post_init__`, or by a subclass that is no dataclass itself.
            more = [pair for pair in getattr(value, "__dict__", {}).items() if pair[0] not in kind.__dataclass_fields__]
            return {**data, "s": self._named(more, where, depth)} if more else data
        return self._other_object(value, kind, name, where, depth)

    def _mapping(self, value: dict[Any, Any], where: str, depth: int) -> Json:
        if all(type(key) is str for key in value) and TAG not in value:
            self._left -= sum(map(len, value))
            return self._named(value.items(), where, depth)
        pairs = [self._list(pair, where, depth) for pair in value.items()]
        return {TAG: "dict", "v": cast("Json", pairs)}

    def _exception(self, value: BaseException, name: str, where: str, depth: int) -> Json:
        # What an exception carries besides its arguments is for people; it must not keep the exception from being written.
        own = _Encoding(self._extra, self._left, self._refused or id)
        own._above = self._above
        args = own._list(value.args, f"{where}.args", depth)
        more = own._named(vars(value).items(), where, depth)
        self._left = own._left
        kept = {key: inner for key, inner in more.items() if key != "__notes__" and not _holds_repr(inner)}
        return {TAG: "error", "t": name, "v": cast("Json", args), "s": kept}

    def _other_object(self, value: Any, kind: Any, name: str, where: str, depth: int) -> Json:
        if hasattr(kind, "_fields") and tuple in kind.__mro__:
            return {TAG: "named", "t": name, "v": self._named(zip(kind._fields, value, strict=True), where, depth)}
        if hasattr(kind, "model_construct") and isinstance(getattr(kind, "model_fields", None), dict):
            inner = [(field, getattr(value, field)) for field in kind.model_fields]
            inner += (getattr(value, "model_extra", None) or {}).items()
            given = sorted(value.model_fields_set)
            return {TAG: "model", "t": name, "v": self._named(inner, where, depth), "s": cast("Json", given)}
        attributes = getattr(kind, "__attrs_attrs__", None)
        if attributes is not None:
            inner = [(attribute.name, getattr(value, attribute.name)) for attribute in attributes]
            return {TAG: "data", "t": name, "v": self._named(inner, where, depth)}
        if _is_plain_object(value, kind):
            return {TAG: "object", "t": name, "v": self._named(value.__dict__.items(), where, depth)}
        return self._refuse(value, f"{where} is a {name.replace(':', '.')}, which cannot be written; `encode=` can teach it")


def _holds_repr(data: Json) -> bool:
    if isinstance(data, dict):
        return data.get(TAG) == "repr" or any(map(_holds_repr, data.values()))
    return isinstance(data, list) and any(map(_holds_repr, data))


_OWN_STATE: Final = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")


def _is_plain_object(value: object, kind: type[Any]) -> bool:
    """Say whether everything that makes *value* is in its `__dict__`."""
    heap = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement
    if not hasattr(value, "__dict__") or any(not base.__flags__ & heap for base in kind.__mro__[:-1]):
        return False
    slots = any(getattr(base, "__slots__", ()) for base in kind.__mro__)
    return not slots and not any(getattr(kind, name, None) is not getattr(object, name, None) for name in _OWN_STATE)


def _iso(value: Any) -> str:
    text: str = value.isoformat()
    return text


_BIG: Final = 10**4000

# By name, so that `import septum` imports none of them; each as (text of value, value of class and text).
_TEXTS: Final[Mapping[str, tuple[Callable[[Any], str], Callable[[Any, str], Any]]]] = {
    "datetime:datetime": (_iso, lambda kind, text: kind.fromisoformat(text)),
    "datetime:date": (_iso, lambda kind, text: kind.fromisoformat(text)),
    "datetime:time": (_iso, lambda kind, text: kind.fromisoformat(text)),
    "datetime:timedelta": (
        lambda value: f"{value.days} {value.seconds} {value.microseconds}",
        lambda kind, text: kind(*map(int, text.split(" "))),
    ),
    "decimal:Decimal": (str, lambda kind, text: kind(text)),
    "uuid:UUID": (str, lambda kind, text: kind(text)),
    "fractions:Fraction": (str, lambda kind, text: kind(text)),
    "pathlib:PosixPath": (str, lambda kind, text: kind(text)),
    "pathlib:PurePosixPath": (str, lambda kind, text: kind(text)),
    "builtins:complex": (str, lambda kind, text: kind(text)),
}


def decode(data: object, resolve: Resolve, *, extra: Decoder | None = None) -> Any:
    """Return the object that *data*, the outcome of `encode` read from JSON, stands for.

    Args:
        data: Whatever a file holds; nothing of it is trusted.
        resolve: Gives the class of a name ("module:Qualified.Name"), or raises; see `Classes`.
        extra: Makes an object of what the encoder's *extra* gave.

    Raises:
        CodecError: It is not what `encode` makes, or names a class that is not given or does not fit; the text says where.
    """
    return _Decoding(resolve, extra).decode(data, "value", 0)


class _Decoding:
    """One call of `decode`."""

    def __init__(self, resolve: Resolve, extra: Decoder | None) -> None:
        self._resolve = resolve
        self._extra = extra

    def decode(self, data: object, where: str, depth: int) -> Any:
        if depth > MOST_DEPTH:
            raise CodecError(f"{where} is more than {MOST_DEPTH} levels deep", where=where)
        if data is None or isinstance(data, bool | int | float | str):
            return data
        if isinstance(data, list):
            return self._list(cast("list[object]", data), where, depth)
        if not isinstance(data, dict):
            raise CodecError(f"{where} is a {type(data).__name__}, which JSON does not have", where=where)
        if TAG not in data:
            return self._named(cast("dict[str, object]", data), where, depth)
        try:
            return self._tagged(cast("dict[str, Any]", data), where, depth)
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"{where} is no {data[TAG]!r} that can be read: {type(error).__name__}: {error}", where=where) from error

    def _list(self, data: list[object], where: str, depth: int) -> list[Any]:
        return [self.decode(inner, f"{where}[{place}]", depth + 1) for place, inner in enumerate(data)]

    def _named(self, data: dict[str, object], where: str, depth: int) -> dict[str, Any]:
        return {key: self.decode(inner, f"{where}.{key}", depth + 1) for key, inner in data.items()}

    def _tagged(self, data: dict[str, Any], where: str, depth: int) -> Any:
        tag, inner = data[TAG], data.get("v")
        match tag:
            case "int":
                return int(inner, 16)  # type: ignore[arg-type]  # whatever is wrong is caught above
            case "float":
                return float(inner)  # type: ignore[arg-type]  # as above
            case "bytes" | "bytearray":
                raw = base64.b64decode(inner, validate=True)  # type: ignore[arg-type]  # as above
                return raw if tag == "bytes" else bytearray(raw)
            case "tuple":
                return tuple(self._list(inner, where, depth))  # type: ignore[arg-type]  # as above
            case "set" | "frozenset":
                made = self._list(inner, where, depth)  # type: ignore[arg-type]  # as above
                return set(made) if tag == "set" else frozenset(made)
            case "dict":
                return {self.decode(k, where, depth + 1): self.decode(v, where, depth + 1) for k, v in inner}  # type: ignore[union-attr]  # as above
            case "repr":
                raise CodecError(f"{where} was a {data.get('t')!r}, which could not be recorded", where=where)
            case "extra":
                if self._extra is None:
                    raise CodecError(f"{where} is a {data['t']!r} of the program's own `encode=`; give the `decode=` for it", where=where)
                return self._extra(data["t"], self.decode(inner, where, depth + 1))
            case str() if tag in _TEXTS:
                module, _, name = tag.partition(":")
                if not isinstance(inner, str):
                    raise CodecError(f"{where} is a {tag} without its text", where=where)
                return _TEXTS[tag][1](getattr(import_module(module), name), inner)
            case _:
                return self._of_class(tag, data, where, depth)

    def _of_class(self, tag: object, data: dict[str, Any], where: str, depth: int) -> Any:
        if tag not in _FITS or not isinstance(data.get("t"), str):
            raise CodecError(f"{where} has the unknown tag {tag!r}", where=where)
        kind: Any = self._resolve(data["t"])
        inner = data.get("v")
        if not _FITS[tag](kind):
            raise CodecError(f"{where} was recorded as {tag!r}, which {data['t']} is not", where=where)
        match tag:
            case "type":
                return kind
            case "enum":
                return kind[data["n"]] if "n" in data else kind(self.decode(inner, where, depth + 1))
            case "error":
                return _make_error(kind, self._list(data["v"], where, depth), self._named(data.get("s") or {}, where, depth))
            case "named":
                made = self._named(data["v"], where, depth)
                if tuple(made) != kind._fields:
                    raise CodecError(f"{where} has the fields {tuple(made)} and {data['t']} has {kind._fields}", where=where)
                return kind._make(made.values())
            case "model":
                return kind.model_construct(set(data["s"]), **self._named(data["v"], where, depth))
            case "data":
                found = _make_data(kind, self._named(data["v"], where, depth), where)
                for name, value in self._named(data.get("s") or {}, where, depth).items():
                    object.__setattr__(found, name, value)
                return found
            case _:
                return _make_object(kind, self._named(data["v"], where, depth), where)


_FITS: Final[Mapping[object, Callable[[type[Any]], bool]]] = {
    "enum": lambda kind: issubclass(kind, Enum),
    "type": lambda _: True,
    "data": lambda kind: is_dataclass(kind) or hasattr(kind, "__attrs_attrs__"),
    "error": lambda kind: issubclass(kind, BaseException),
    "named": lambda kind: hasattr(kind, "_fields") and tuple in kind.__mro__,
    "model": lambda kind: hasattr(kind, "model_construct"),
    "object": lambda kind: not issubclass(kind, type | BaseException | Enum),
}
"""For each tag that names a class, what the class must be like."""


def _make_error(kind: type[BaseException], args: list[Any], more: dict[str, Any]) -> BaseException:
    made = kind.__new__(kind, *args)
    made.args = tuple(args)
    vars(made).update(more)
    return made


def _make_data(kind: type[Any], values: dict[str, Any], where: str) -> object:
    made = object.__new__(kind)
    names: list[str] = []
    for field in fields(kind) if is_dataclass(kind) else kind.__attrs_attrs__:
        names.append(field.name)
        if field.name in values:
            object.__setattr__(made, field.name, values[field.name])
        elif is_dataclass(kind) and field.default is not MISSING:
            object.__setattr__(made, field.name, field.default)
        elif is_dataclass(kind) and field.default_factory is not MISSING:
            object.__setattr__(made, field.name, field.default_factory())
        else:
            raise CodecError(f"{where} lacks the field {field.name!r} of {reference(kind)}", where=where)
    unknown = sorted(values.keys() - set(names))
    if unknown:
        raise CodecError(f"{where} has {', '.join(map(repr, unknown))}, which {reference(kind)} does not have", where=where)
    return made


def _make_object(kind: type[Any], values: dict[str, Any], where: str) -> object:
    made = object.__new__(kind)
    if not _is_plain_object(made, kind):
        raise CodecError(f"{where} was recorded as a plain object, which {reference(kind)} is no longer", where=where)
    made.__dict__.update(values)
    return made
