"""A graph as lines for a terminal, of nothing but text."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from septum._picture import PLAIN, clean, compose, list_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum._picture import Arrow, ArrowKind, Box, Drawable, Look, Picture

_LINES: Final[dict[ArrowKind, str]] = {"plain": "-->", "push": "==>", "pop": "..>", "error": "-->"}
_BAR: Final = 10


def draw(graph: Drawable, look: Look = PLAIN) -> str:
    """Return *graph* as lines: each state with its limits, and indented below it its edges.

    `-->` leads to a state, `==>` pushes, `..>` depends on the stack; `>` in the first column marks the current state.

    Raises:
        ValueError: *look* names what is not in the graph.
    """
    picture = compose(graph, look)
    states = [box for box in picture.boxes if box.node is not None]
    names = max(_width(box.title) for box in states)
    numbers = max(len(box.number) for box in states)
    rows = {box.id: list(_list_edges(picture, box)) for box in states}
    edges = [row for each in rows.values() for row in each]
    labels, targets = (max((_width(row[column]) for row in edges), default=0) for column in (0, 2))
    taken = max((len(row[3]) for row in edges), default=0)
    lines: list[str] = []
    for box in states:
        lines.append(_draw_state(graph, box, names, numbers))
        for label, line, target, number in rows[box.id]:
            lines.append(f"      {_pad(label, labels)} {line} {_pad(target, targets)}  {number.rjust(taken)}")
    return "\n".join(line.rstrip() for line in lines)


def _draw_state(graph: Drawable, box: Box, names: int, numbers: int) -> str:
    node = box.node
    notes = [
        *(["initial"] if node is graph.initial else []),
        *(["error state"] if node is graph.error else []),
        *(["terminal"] if box.kind == "terminal" else []),
        *(list_limits(node) if node is not None else ()),
    ]
    parts = [f"{'>' if box.current else ' '} {_pad(box.title, names)}"]
    if numbers:
        share = box.share or 0
        parts += [("#" * (round(share * _BAR) or bool(share))).ljust(_BAR), box.number.rjust(numbers)]
    return "  ".join([*parts, ", ".join(notes)])


def _list_edges(picture: Picture, box: Box) -> Iterator[tuple[str, str, str, str]]:
    """Yield label, line, target and number of each edge of *box*."""
    titles = {each.id: each.title for each in picture.boxes} | {box.id: "itself"}
    arrows = [arrow for arrow in picture.arrows if arrow.source == box.id]
    for arrow in arrows:
        if arrow.kind != "below":
            # A push is one line; what it puts below follows.
            below = [titles[each.target] for each in arrows if each.kind == "below" and each.edge is arrow.edge]
            yield _label(arrow), _LINES[arrow.kind], ", then ".join([titles[arrow.target], *below]), arrow.number


def _label(arrow: Arrow) -> str:
    """Return the label, and in brackets what the edge does where the arrow does not show it."""
    edge = arrow.edge
    if edge is None or edge.kind in {"label", "direct", "end"}:
        return arrow.text
    return edge.kind if edge.label is None else f"{clean(edge.label.name)} ({edge.kind})"


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Return how many columns *text* takes in a terminal."""
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
