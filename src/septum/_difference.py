"""What became different from one definition to another, in sentences: of the same states, edges and limits that make its hash."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_Edge: TypeAlias = "tuple[str | None, str, tuple[str, ...]]"
"""Label, kind and targets."""

_LIMITS: Final = ("timeout", "retries", "retry", "terminal", "can_dwell")


def tell_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what is different in *new*, both as `Graph.to_dict` gives them; states in the order of *old*, then those that are new."""
    return list(_tell(old, new))


def _tell(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if old["initial"] != new["initial"]:
        yield f"The machine begins in {new['initial']!r} instead of {old['initial']!r}."
    if old["error"] != new["error"]:
        yield f"The error state is {_name(new['error'])} instead of {_name(old['error'])}."
    before: dict[str, Mapping[str, Any]] = {state["name"]: state for state in old["states"]}
    after: dict[str, Mapping[str, Any]] = {state["name"]: state for state in new["states"]}
    for name, state in before.items():
        if name not in after:
            yield f"State {name!r} was removed."
        else:
            yield from _tell_limits(name, state, after[name])
            yield from _tell_edges(name, _count_edges(state), _count_edges(after[name]))
    for name in after:
        if name not in before:
            yield f"State {name!r} was added."


def _tell_limits(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for limit in _LIMITS:
        if old[limit] != new[limit]:
            yield f"State {name!r} has {limit}={_show(new[limit])} instead of {_show(old[limit])}."


def _tell_edges(name: str, old: Counter[_Edge], new: Counter[_Edge]) -> Iterator[str]:
    removed, added = list((old - new).elements()), list((new - old).elements())
    for edge in removed:
        others = [other for other in added if other[0] == edge[0] is not None]
        if others:
            added.remove(others[0])
            yield f"Edge {edge[0]} of state {name!r} leads {_lead(others[0])} instead of {_lead(edge)}."
        else:
            yield f"{_begin(edge)} of state {name!r} was removed; it led {_lead(edge)}."
    for edge in added:
        yield f"{_begin(edge)} of state {name!r} was added; it leads {_lead(edge)}."


def _count_edges(state: Mapping[str, Any]) -> Counter[_Edge]:
    return Counter((edge["label"], edge["kind"], tuple(edge["targets"])) for edge in state["edges"])


def _begin(edge: _Edge) -> str:
    return "An edge without a label" if edge[0] is None else f"Edge {edge[0]}"


def _lead(edge: _Edge) -> str:
    _, kind, targets = edge
    names = ", ".join(map(repr, targets))
    if kind == "push":
        return f"to a push of {names}"
    return f"to {names}" if targets else "to the end" if kind == "end" else f"to {kind.capitalize()}"


def _name(state: str | None) -> str:
    return "none" if state is None else repr(state)


def _show(limit: object) -> str:
    if isinstance(limit, dict):
        return f"RetryPolicy({', '.join(f'{name}={value!r}' for name, value in cast('dict[str, object]', limit).items())})"
    return repr(limit)
