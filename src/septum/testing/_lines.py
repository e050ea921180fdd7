"""Facts as lines, short enough to read fifty of them below a failed test."""

from __future__ import annotations

import reprlib
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from septum import Graph, StateSpec
from septum.testing._walk import short_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from septum import facts

SHOWN: Final = 50
"""Facts below a failed test."""

_STATES: Final = frozenset({"state", "source", "target"})
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60
_REPR.maxlevel = 3


def describe_facts(told: Sequence[facts.Fact], most: int = SHOWN) -> str:
    """Return the last *most* facts as lines: seconds since the first fact, the machine if there are several, what happened.

    What users sent and answered is shown by its `repr`, cut to some 60 characters.
    """
    shown = told[-most:]
    several = len({fact.machine_id for fact in told}) > 1
    lines = [f"... {len(told) - len(shown)} facts before"] if len(told) > len(shown) else []
    return "\n".join([*lines, *(describe_fact(fact, told[0].at, several=several) for fact in shown)])


def describe_fact(fact: facts.Fact, began: float = 0.0, *, several: bool = False) -> str:
    """Return *fact* as a line, with the seconds since *began*; *several*: name its machine."""
    own = [f"{name}={_show(name, value)}" for name in fact.own_fields if (value := getattr(fact, name)) not in (None, (), "")]
    return " ".join([f"{fact.at - began:10.3f} s", *([fact.machine_name] if several else []), fact.told_as, *own])


def _show(field: str, value: Any) -> str:
    if field in _STATES:
        return short_name(value)
    if isinstance(value, StateSpec):
        return short_name(value.name)
    if isinstance(value, Graph):
        return value.hash
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, str) and field != "message":
        return value
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, tuple):
        return (
            f"({', '.join(short_name(part) if isinstance(part, str) else _REPR.repr(part) for part in cast('tuple[object, ...]', value))})"
        )
    return _REPR.repr(value)
