"""Jaeger's own JSON: what its UI saves, and what `/api/traces/{id}` answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from septum.replay._signals import SEPTUM, Span, listed, mapping, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SCOPE: Final = "otel.scope.name"
_SCOPE_OF_OLD: Final = "otel.library.name"


def is_jaeger(content: Mapping[str, object]) -> bool:
    """Say whether a JSON object is one of Jaeger's."""
    return isinstance(content.get("data"), list) or ("traceID" in content and "spans" in content)


def read(content: Mapping[str, object]) -> Iterator[Span]:
    """Yield Septum's spans in a JSON object. Its times are whole microseconds.

    Raises:
        TypeError, ValueError, KeyError: Something in it is not what it must be.
    """
    for entry in [content] if "spans" in content else listed(content.get("data"), "data"):
        trace = mapping(entry, "trace")
        for each in listed(trace.get("spans"), "spans"):
            span = mapping(each, "span")
            attributes = _read_tags(span.get("tags"))
            if not is_septums(attributes):
                continue
            start = number(span["startTime"], "startTime") * 1000
            end = start + number(span["duration"], "duration") * 1000
            # Leading zeros are left out.
            yield Span(str(span["traceID"]).rjust(32, "0"), str(span["spanID"]).rjust(16, "0"), start, end, attributes)


def is_septums(attributes: Mapping[str, object]) -> bool:
    """Say whether a span with these attributes is of a scope of Septum's; one whose scope was lost on the way may be."""
    get = attributes.get
    scope = get(_SCOPE, get(_SCOPE_OF_OLD))
    return not isinstance(scope, str) or scope.startswith(SEPTUM)


def _read_tags(tags: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for entry in listed(tags, "tags"):
        tag = mapping(entry, "tag")
        key = str(tag["key"])
        found[key] = read_value(key, tag.get("type"), tag["value"])
    return found


def read_value(key: str, kind: object, value: object) -> object:
    """Return the value of an attribute for the one of a tag."""
    if type(value) is str and key.startswith(SEPTUM) and value.startswith("["):
        return _read_list(value)
    if type(value) is int and kind == "float64":
        return float(value)
    return value


def _read_list(text: str) -> object:
    """Return the list that *text* is, since Jaeger has none; what only looks like one stays text."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, list):
        return text
    entries = cast("list[object]", value)
    return tuple(entries) if all(isinstance(each, str) for each in entries) else text
