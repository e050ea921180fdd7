"""What the counts say about one definition: which of its goals were reached, and how often."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from septum import DefinitionError, Graph, StateMachine, StateSpec
from septum.testing._errors import CoverageError
from septum.testing._goals import KINDS, Goal, GoalKind, list_goals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from septum._node import Edge, Node
    from septum.testing._coverage import Counts


class Covered(NamedTuple):
    """One definition, measured.

    Attributes:
        target: What it was asked for by, `module:State`.
        graph: The definition.
        counts: How often each goal was reached; 0 for those that were not.
    """

    target: str
    graph: Graph
    counts: Mapping[Goal, int]

    @property
    def missing(self) -> tuple[Goal, ...]:
        """The goals that were not reached."""
        return tuple(goal for goal, count in self.counts.items() if not count)

    def tally(self, kind: GoalKind) -> tuple[int, int]:
        """Return how many goals of *kind* were reached, and how many there are."""
        found = [count for goal, count in self.counts.items() if goal.kind == kind]
        return sum(count > 0 for count in found), len(found)


def measure(target: str, graph: Graph, counts: Counts) -> Covered:
    """Return what *counts* say about *graph*."""
    seen = _Seen(graph, counts)
    return Covered(target, graph, {goal: seen.count(goal) for goal in list_goals(graph)})


def percent(covered: Iterable[Covered]) -> float:
    """Return the share of goals that were reached, of all definitions together; 100.0 if there are none."""
    found = [count > 0 for each in covered for count in each.counts.values()]
    return 100.0 * sum(found) / len(found) if found else 100.0


def find_graph(target: str) -> Graph:
    """Return the graph of *target*: `module:State`, or `module:State,ErrorState` with the error state of its machines.

    Raises:
        CoverageError: There is no such module or state; the text says which.
    """
    first, _, error = target.partition(",")
    if error and ":" not in error:
        error = f"{first.rpartition(':')[0]}:{error}"
    found = _find(first)
    if isinstance(found, StateMachine):
        return found.graph  # pyright: ignore[reportUnknownMemberType] - of whatever data
    try:
        return Graph.of(_state(first, found), _state(error, _find(error)) if error else None)
    except DefinitionError as refused:
        raise CoverageError(f"--septum-cov={target}: {refused}") from refused


def _state(text: str, found: object) -> StateSpec:
    if not isinstance(found, StateSpec):
        raise CoverageError(f"{text!r} is {type(found).__name__}, not a state. Give MODULE:STATE of a state that @septum.state made.")
    return found


def _find(text: str) -> object:
    module, _, path = text.rpartition(":")
    if not module:
        raise CoverageError(f"{text!r} names no state. Write MODULE:STATE, for example shop.states:Idle.")
    try:
        found: object = importlib.import_module(module)
    except ImportError as error:
        raise CoverageError(
            f"{text!r}: module {module!r} cannot be imported: {error}. If only the tests find it, set pythonpath in pytest's settings."
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            states = sorted(name for name, value in vars(found).items() if isinstance(value, StateSpec))
            raise CoverageError(f"{text!r}: there is no {part!r} in {module!r}. States there: {', '.join(states) or 'none'}.")
        found = getattr(found, part)
    return found


class _Seen:
    """The counts, sorted by what they are asked for."""

    def __init__(self, graph: Graph, counts: Counts) -> None:
        self._graph = graph
        self._counts = counts
        self._entered: dict[str, int] = dict(counts.starts)
        self._by_kind: dict[tuple[str, str], int] = {}
        for (source, target, _, kind), count in counts.transitions.items():
            if target is not None:
                self._entered[target] = self._entered.get(target, 0) + count
            self._by_kind[source, kind] = self._by_kind.get((source, kind), 0) + count
        for (source, _, _, _), count in counts.transitions.items():
            # A machine that was seen in the middle of its run first was in the state that it left.
            self._entered.setdefault(source, count)

    def count(self, goal: Goal) -> int:
        match goal.kind:
            case "state":
                return self._entered.get(goal.state, 0)
            case "edge":
                node = self._graph.by_name[goal.state]
                return self._taken(node, node.edges[goal.edge])
            case "timeout":
                return self._counts.timeouts.get(goal.state, 0)
            case "retry":
                return self._by_kind.get((goal.state, "retry"), 0)
            case "exhausted":
                return self._counts.exhausted.get(goal.state, 0)
            case "error":
                error = self._graph.error
                return 0 if error is None else self._counts.transitions.get((goal.state, error.name, None, "error"), 0)

    def _taken(self, node: Node, edge: Edge) -> int:
        label = None if edge.label is None else edge.name
        if edge.kind == "pop":
            return sum(
                count
                for (source, _, by, kind), count in self._counts.transitions.items()
                if (source, by, kind) == (node.name, label, "pop")
            )
        target = edge.targets[0].name if edge.targets else None if edge.kind == "end" else node.name
        return self._counts.transitions.get((node.name, target, label, edge.kind), 0)


__all__ = ["KINDS", "Covered", "find_graph", "measure", "percent"]
