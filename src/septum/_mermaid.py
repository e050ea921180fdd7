"""A graph as the text of a Mermaid flowchart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from septum._picture import PLAIN, compose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from septum._picture import Arrow, ArrowKind, Box, BoxKind, Drawable, Look, Style

_SHAPES: Final[dict[BoxKind, tuple[str, str]]] = {
    "state": ("[", "]"),
    "terminal": ("[[", "]]"),
    "start": ("((", "))"),
    "end": ("(((", ")))"),
    "stack": ("{{", "}}"),
    "anywhere": ("([", "])"),
}
_LINES: Final[dict[ArrowKind, str]] = {"plain": "-->", "push": "==>", "below": "-.->", "pop": "-.->", "error": "-.->"}


def draw(graph: Drawable, look: Look = PLAIN) -> str:
    """Return *graph* as a Mermaid flowchart: a box for each state, an arrow for each edge.

    A push has a thick arrow to the state that is entered and dotted ones to those that are put below it, numbered in the order in which
    they are entered. A pop is dotted, because where it leads depends on the stack.

    Raises:
        ValueError: *look* names what is not in the graph.
    """
    return "\n".join(["flowchart TD", *(f"    {line}" for line in _draw_lines(graph, look))])


def _draw_lines(graph: Drawable, look: Look) -> Iterator[str]:
    picture = compose(graph, look)
    yield from (_draw_box(box) for box in picture.boxes)
    yield from (_draw_arrow(arrow) for arrow in picture.arrows)
    yield from (f"style {box.id} {style}" for box in picture.boxes if (style := _draw_style(box.style)))
    # Arrows have no names in Mermaid; their numbers count from 0 in the order in which they were drawn.
    yield from (f"linkStyle {place} {style}" for place, arrow in enumerate(picture.arrows) if (style := _draw_style(arrow.style)))


def _draw_box(box: Box) -> str:
    text = "<br/>".join(_escape(line) for line in (box.title, *box.notes))
    left, right = _SHAPES[box.kind]
    return f'{box.id}{left}"{text}"{right}'


def _draw_arrow(arrow: Arrow) -> str:
    line = _LINES[arrow.kind]
    text = "<br/>".join(_escape(part) for part in arrow.lines)
    return f'{arrow.source} {line}|"{text}"| {arrow.target}' if text else f"{arrow.source} {line} {arrow.target}"


def _draw_style(style: Style) -> str:
    parts = {
        "fill": style.fill,
        "stroke": style.stroke,
        "stroke-width": f"{style.width:.3g}px" if style.width else "",
        "stroke-dasharray": "4 3" if style.dashed else "",
        "color": style.text,
    }
    return ",".join(f"{name}:{value}" for name, value in parts.items() if value)


def _escape(text: str) -> str:
    # Mermaid writes characters that mean something to it as entities, with # for &.
    return "".join(char if char.isalnum() or char == " " or _is_plain(text, place) else f"#{ord(char)};" for place, char in enumerate(text))


def _is_plain(text: str, place: int) -> bool:
    """Say whether the sign there means nothing in Markdown either, which labels are: "1. ", "- " and "_x_" do, GOT_IT does not."""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    return (text[place] == "." and bool(after.strip())) or (text[place] in "_-" and before.isalnum() and after.isalnum())
