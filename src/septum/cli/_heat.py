"""How often a recorded program was in each state and took each edge, or how long it stayed, as a drawing's heat."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from septum import Graph
    from septum._node import Edge, Node

By: TypeAlias = Literal["count", "time"]

_BY_AN_EDGE: Final = {"transition", "timeout", "push", "pop", "repeat", "restart", "retry", "completed"}
"""Outcomes of visits that an edge ends; errors and what comes from outside take none."""


@dataclass(slots=True)
class Heat:
    """What was seen of a definition.

    Attributes:
        states: Visits or seconds of each state, by full name; all states of the definition are in it.
        edges: How often each edge was taken, by the full name of its state and the edge's name. Again and Unhandled are not in it: they
            end no visit, so that visits do not tell of them.
        runs: How many runs were read.
        unknown: Visits by the name of a state that is none of the definition's.
        others: How many of the runs are of another definition, by its hash.
    """

    states: dict[str, float] = field(default_factory=dict[str, float])
    edges: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    runs: int = 0
    unknown: Counter[str] = field(default_factory=Counter[str])
    others: int = 0

    def as_mapping(self) -> dict[object, float]:
        """Return it as `Graph.to_svg` and its like take it."""
        every: list[tuple[object, float]] = [*self.states.items(), *self.edges.items()]
        return dict(every)


def read_heat(graph: Graph, path: str, by: By) -> Heat:
    """Return what the runs in the file *path*, spans or a recording, did with the states of *graph*.

    Raises:
        click.ClickException: The file cannot be read, or `septum.replay` is not there.
    """
    try:
        load: Any = import_module("septum.replay").load
    except (ImportError, AttributeError) as error:
        raise click.ClickException(f"--heat needs septum.replay, which reads recordings and spans: {error}") from None
    try:
        runs = load(path)
    except OSError as error:
        raise click.FileError(path, str(error.strerror)) from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    return count_heat(graph, runs, by)


def count_heat(graph: Graph, runs: Iterable[Any], by: By) -> Heat:
    """Return what *runs* (of `septum.replay.load`) did with the states of *graph*."""
    # Telemetry calls a state by its name below the module.
    nodes = {node.qualname: node for node in graph.nodes} | {node.name: node for node in graph.nodes}
    heat = Heat(
        states={node.name: 0 for node in graph.nodes},
        edges={(node.name, edge.name): 0 for node in graph.nodes for edge in node.edges if edge.kind not in {"again", "unhandled"}},
    )
    for run in runs:
        heat.runs += 1
        heat.others += bool(run.definition_hash) and run.definition_hash != graph.hash
        for step in run.steps:
            node = nodes.get(step.state)
            if node is None:
                heat.unknown[step.state] += 1
                continue
            heat.states[node.name] += 1 if by == "count" else (step.duration or 0) / 1e9
            edge = _find_edge(node, step, nodes)
            if edge is not None:
                heat.edges[node.name, edge.name] += 1
    return heat


def _find_edge(node: Node, step: Any, nodes: dict[str, Node]) -> Edge | None:
    """Return the edge by which *step* left *node*; None if it did not leave it by one of its edges."""
    if step.exit is not None:
        return next((edge for edge in node.edges if step.exit == edge.name), None)
    bare = [edge for edge in node.edges if edge.label is None]
    target = nodes.get(step.target or "")
    fitting = [edge for edge in bare if edge.kind == step.outcome or (edge.kind == "direct" and edge.targets[0] is target)]
    return fitting[0] if fitting and step.outcome in _BY_AN_EDGE else None
