"""A graph as the text of a Mermaid flowchart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum._graph import Edge, Graph, Node


def draw(graph: Graph) -> str:
    """Return *graph* as a Mermaid flowchart: a box for each state, an arrow for each edge.

    A push has a thick arrow to each of its states, numbered in the order in which they are entered. A pop is dotted, because where it leads
    depends on the stack.
    """
    return "\n".join(["flowchart TD", *(f"    {line}" for line in _draw_lines(graph))])


def _draw_lines(graph: Graph) -> Iterator[str]:
    yield "start((start))"
    for node in graph.nodes:
        yield _draw_state(node)
    if any(edge.kind == "end" for node in graph.nodes for edge in node.edges):
        yield "finish(((end)))"
    if any(edge.kind == "pop" for node in graph.nodes for edge in node.edges):
        yield "below{{top of the stack}}"
    yield f"start --> {_id(graph.initial)}"
    if graph.error is not None:
        yield f"start -.->|error| {_id(graph.error)}"
    for node in graph.nodes:
        for edge in node.edges:
            yield from _draw_edge(node, edge)


def _draw_state(node: Node) -> str:
    text = _escape(node.qualname)
    if node.timeout is not None:
        text += f"<br/>timeout {node.timeout:g} s"
    if node.retries is not None:
        text += f"<br/>retries {node.retries}"
    return f'{_id(node)}[["{text}"]]' if node.terminal else f'{_id(node)}["{text}"]'


def _draw_edge(node: Node, edge: Edge) -> Iterator[str]:
    label = _escape(edge.label.name if edge.label is not None else "")
    if edge.kind in {"label", "direct"}:
        yield _draw_arrow(node, "-->", label, _id(edge.targets[0]))
    elif edge.kind == "push":
        for place, target in enumerate(edge.targets, start=1):
            yield _draw_arrow(node, "==>", f"{label} push {place}".strip(), _id(target))
    elif edge.kind == "pop":
        yield _draw_arrow(node, "-.->", label or "pop", "below")
    elif edge.kind == "end":
        yield _draw_arrow(node, "-->", label, "finish")
    else:
        yield _draw_arrow(node, "-->", f"{label} {edge.kind}".strip(), _id(node))


def _draw_arrow(node: Node, arrow: str, text: str, target: str) -> str:
    return f'{_id(node)} {arrow}|"{text}"| {target}' if text else f"{_id(node)} {arrow} {target}"


def _id(node: Node) -> str:
    return f"S{node.index + 1}"


def _escape(text: str) -> str:
    # Mermaid writes characters that mean something to it as entities, with # for &.
    return "".join(char if char.isalnum() or char in "._- " else f"#{ord(char)};" for char in text)
