"""What a recording calls the states, edges and answers of a definition."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from septum import semconv
from septum.logs import type_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from septum._graph import Graph, Node
    from septum.replay._batch import Edge

Attributes: TypeAlias = "dict[str, object]"

_MOST: Final = 64
_MOST_TYPES: Final = 4096


class Names:
    """The names of one definition.

    Attributes:
        states: For each full name what telemetry calls the state, but for those that would share that name: they keep the full one.
        edges: The plain edges with those names, by what the engine calls them.
        timeouts: Each state that has one with its timeout, as a recording tells it.
    """

    __slots__ = ("_calls", "_definition", "edges", "states", "timeouts")

    def __init__(self, definition: Graph) -> None:
        shared = Counter(node.qualname for node in definition.nodes)
        self._definition = definition
        self._calls: dict[tuple[str, str, str, str], Attributes] = {}
        self.states: Mapping[str, str] = {
            node.name: node.qualname if shared[node.qualname] == 1 else node.name for node in definition.nodes
        }
        self.timeouts = tuple([f"{self.states[node.name]} {node.timeout}" for node in definition.nodes if node.timeout is not None])
        self.edges: Mapping[Edge, Edge] = {edge: (self.states[edge[0]], self.states[edge[1]], edge[2]) for edge in definition.plain}

    def call(self, handler: str, state: str, answer: object) -> Attributes:
        """Return the attributes of a call that returned *answer*: one object for all calls that say the same, not to be changed."""
        kind, name = self.answer(state, answer)
        key = (handler, state, kind, name)
        known = self._calls.get(key)
        if known is None:
            made: Attributes = {semconv.HANDLER_NAME: handler, semconv.STATE_NAME: self.states[state], semconv.ANSWER_KIND: kind}
            if name:
                made[semconv.ANSWER_NAME] = name
            if kind == semconv.AnswerKind.OTHER:
                return made  # of which there may be any number
            known = self._calls[key] = made
        return known

    def answer(self, state: str, answer: Any) -> tuple[str, str]:
        """Return kind and name of what a handler of the *state* with that full name answered; the name of None is empty."""
        kinds = semconv.AnswerKind
        if answer is None:
            return kinds.WAIT, ""
        edge = self._definition.by_name[state].resolve(answer)
        if edge is None:
            target = self._definition.find(answer) if not isinstance(answer, str) else None
            return (kinds.OTHER, type_name(answer)) if target is None else (kinds.STATE, self.states[target.name])
        if edge.label is not None:
            return kinds.LABEL, edge.name
        if edge.kind == "direct":
            return kinds.STATE, self._of(edge.targets[0])
        if edge.kind == "push":
            return kinds.MARKER, f"Push({', '.join(map(self._of, edge.targets))})"
        return kinds.MARKER, edge.name

    def _of(self, node: Node) -> str:
        return self.states[node.name]


_known: dict[Graph, Names] = {}


def names_of(definition: Graph) -> Names:
    """Return the names of *definition*, made once."""
    found = _known.get(definition)
    if found is None:
        if len(_known) >= _MOST:
            # Definitions made one by one must not fill our memory.
            _known.clear()
        found = _known[definition] = Names(definition)
    return found


_types: dict[type[Any], str] = {}


def name_of(thing: object) -> str:
    """Return what may be told of a user's object: see `septum.logs.type_name`; what is no Enum's member is looked up once a type."""
    kind = type(thing)
    known = _types.get(kind)
    if known is None:
        known = type_name(thing)
        if not isinstance(thing, Enum) and len(_types) < _MOST_TYPES:
            _types[kind] = known
    return known
