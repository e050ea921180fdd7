"""A graph as DOT, the language of Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from septum._picture import PLAIN, clean, compose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from septum._picture import Arrow, ArrowKind, Box, BoxKind, Drawable, Look, Style

_FONT: Final = "Helvetica,Arial,sans-serif"
_HEAD: Final = (
    f'graph [fontname="{_FONT}", rankdir=TB, nodesep=0.4, ranksep=0.5, bgcolor=white, pad=0.2]',
    f'node [fontname="{_FONT}", fontsize=13, shape=box, style="rounded,filled", fillcolor=white, color="#57606a", margin="0.16,0.08"]',
    f'edge [fontname="{_FONT}", fontsize=11, color="#57606a", arrowsize=0.8]',
)
_SHAPES: Final[dict[BoxKind, dict[str, str]]] = {
    "state": {},
    "terminal": {"peripheries": "2"},
    "start": {"shape": "circle", "style": "filled", "fillcolor": "#24292f", "width": "0.18", "fixedsize": "true"},
    "end": {"shape": "doublecircle", "style": "filled", "fillcolor": "#24292f", "width": "0.14", "fixedsize": "true"},
    "stack": {"shape": "hexagon", "style": "filled", "fontsize": "11"},
    "anywhere": {"shape": "ellipse", "style": "filled", "fontsize": "11"},
}
_LINES: Final[dict[ArrowKind, dict[str, str]]] = {
    "plain": {},
    "push": {"penwidth": "2.5"},
    "below": {"style": "dashed", "penwidth": "1.5"},
    "pop": {"style": "dotted", "penwidth": "2"},
    "error": {"style": "dashed"},
}


def draw(graph: Drawable, look: Look = PLAIN) -> str:
    """Return *graph* as DOT: a node S1, S2 ... for each state in the order of the graph, with the full name as tooltip.

    Raises:
        ValueError: *look* names what is not in the graph.
    """
    return "\n".join(["digraph {", *(f"    {line}" for line in _draw_lines(graph, look)), "}"])


def _draw_lines(graph: Drawable, look: Look) -> Iterator[str]:
    picture = compose(graph, look)
    yield from _HEAD
    for box in picture.boxes:
        yield f"{box.id} [{_draw_attributes(_describe_box(box))}]"
    for place, arrow in enumerate(picture.arrows):
        yield f"{arrow.source} -> {arrow.target} [{_draw_attributes(_describe_arrow(arrow, place))}]"


def _describe_box(box: Box) -> dict[str, str]:
    words = "" if box.kind in {"start", "end"} else "\\n".join(_escape(line) for line in (box.title, *box.notes))
    tooltip = box.title if box.node is None else clean(box.node.name)
    attributes = {"id": box.id, "label": words, "tooltip": _escape(tooltip), "class": f"{box.kind} current" if box.current else box.kind}
    return attributes | _SHAPES[box.kind] | _describe_style(box.style, _SHAPES[box.kind].get("style", "rounded,filled"))


def _describe_arrow(arrow: Arrow, place: int) -> dict[str, str]:
    attributes = {"id": f"E{place}", "class": arrow.kind}
    if arrow.lines:
        attributes["label"] = "\\n".join(f" {_escape(line)} " for line in arrow.lines)
        attributes["tooltip"] = attributes["labeltooltip"] = _escape(" ".join(arrow.lines))
    return attributes | _LINES[arrow.kind] | _describe_style(arrow.style, "")


def _describe_style(style: Style, shape: str) -> dict[str, str]:
    dashed = f"{shape},dashed".strip(",")
    parts: Mapping[str, str] = {
        "color": style.stroke,
        "fillcolor": style.fill,
        "penwidth": f"{style.width:.3g}" if style.width else "",
        "fontcolor": style.text,
        "style": dashed if style.dashed else "",
    }
    return {name: value for name, value in parts.items() if value}


def _draw_attributes(attributes: Mapping[str, str]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in attributes.items())


def _escape(text: str) -> str:
    # Graphviz reads entities even in plain strings, and "\N", "\G" and their kin as names of the node and the graph.
    return text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"').replace("<", "&lt;").replace(">", "&gt;")
