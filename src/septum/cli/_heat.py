"""How often a recorded program was in each state and took each edge, or how long it stayed, as a drawing's heat."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import click

from septum.cli._deeds import Deed, list_deeds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from septum import Graph
    from septum._node import Edge, Node
    from septum.replay._model import Run

By: TypeAlias = Literal["count", "time"]


@dataclass(slots=True)
class Heat:
    """What was seen of a definition.

    Attributes:
        states: Visits or seconds of each state, by full name; all states of the definition are in it.
        edges: How often each edge was taken, by the full name of its state and the edge's name. Again and Unhandled are not in it: they
            end no visit, so that visits do not tell of them.
        errors: How often each state went to the error state, by full name; empty without an error state.
        runs: How many runs were read.
        unknown: Visits by the name of a state that is none of the definition's.
        others: How many of the runs are of another definition, by its hash.
    """

    states: dict[str, float] = field(default_factory=dict[str, float])
    edges: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    errors: dict[str, float] = field(default_factory=dict[str, float])
    runs: int = 0
    unknown: Counter[str] = field(default_factory=Counter[str])
    others: int = 0

    def as_mapping(self) -> dict[object, float]:
        """Return it as `Graph.to_svg` and its like take it."""
        failed = ((name, Exception) for name in self.errors)
        every: list[tuple[object, float]] = [*self.states.items(), *self.edges.items(), *zip(failed, self.errors.values(), strict=True)]
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


def count_heat(graph: Graph, runs: Iterable[Run], by: By) -> Heat:
    """Return what *runs* (of `septum.replay.load`) did with the states of *graph*."""
    # Telemetry calls a state by its name below the module.
    nodes = {node.qualname: node for node in graph.nodes} | {node.name: node for node in graph.nodes}
    heat = Heat(
        states={node.name: 0 for node in graph.nodes},
        edges={(node.name, edge.name): 0 for node in graph.nodes for edge in node.edges if edge.kind not in {"again", "unhandled"}},
        errors={node.name: 0 for node in graph.nodes if graph.error is not None and node is not graph.error},
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
        for deed in list_deeds(run):
            node = nodes.get(deed.source)
            edge = None if node is None else _find_edge(node, deed, nodes)
            if node is not None and edge is not None:
                heat.edges[node.name, edge.name] += 1
            elif node is not None and deed.way == "error" and nodes.get(deed.target) is graph.error and node.name in heat.errors:
                heat.errors[node.name] += 1
    return heat


def _find_edge(node: Node, deed: Deed, nodes: dict[str, Node]) -> Edge | None:
    """Return the edge of *node* that *deed* took; None if none of them fits."""
    target = nodes.get(deed.target)
    for edge in node.edges:
        if edge.label is not None:
            fits = deed.way == edge.name
        else:
            # Where a push or a direct edge leads, both have a target to tell them from others of their kind.
            fits = deed.way == edge.kind and (not edge.targets or edge.targets[0] is target)
        if fits and edge.kind not in {"again", "unhandled"}:
            return edge
    return None
