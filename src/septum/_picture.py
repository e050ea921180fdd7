"""What every drawing of a graph shows, before it is Mermaid or DOT or text: boxes, arrows, and how they look."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, cast

from septum._states import StateSpec
from septum._transitions import StateRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from septum._node import Edge, Node

BoxKind = Literal["state", "terminal", "start", "end", "stack", "anywhere"]
ArrowKind = Literal["plain", "push", "below", "pop", "error"]

STACK_COLOR: Final = "#1f6feb"
ERROR_COLOR: Final = "#cf222e"
CURRENT_COLOR: Final = "#1a7f37"
_CURRENT_FILL: Final = "#dafbe1"
_COLD_COLOR: Final = "#8c959f"
_WARMEST: Final = (0xF4, 0x63, 0x3A)  # black on it has a contrast of 6.7; a darker red would not do for text
_COOLEST: Final = (0xFF, 0xF7, 0xEC)
_WHOLE: Final = 100  # from here on three digits are a whole number


class Drawable(Protocol):
    """What is drawn: a `Graph`."""

    initial: Node
    error: Node | None
    nodes: tuple[Node, ...]

    def find(self, target: object) -> Node | None:
        """Return the node of a state."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What is told about a graph besides its states and edges.

    Attributes:
        current: The state to highlight; a state, a `StateRef` or a full name.
        heat: A number for each state that has one, and for each edge under `(state, label)`. The label is a member of the state's Events,
            its text `"Events.START"`, or, for an edge without one, its name: that of a marker or of the target. `(state, Exception)` is the
            state's way to the error state.
        unit: What the numbers of states are: "" for how often, "s" for seconds. Those of edges are always how often.
    """

    current: object = None
    heat: Mapping[object, float] = field(default_factory=dict[object, float])
    unit: str = ""


PLAIN: Final = Look()


class Style(NamedTuple):
    """How a box or an arrow differs from the plain one; "" and 0 are as usual."""

    stroke: str = ""
    width: float = 0
    fill: str = ""
    text: str = ""
    dashed: bool = False


class Box(NamedTuple):
    """A state, or what stands for something that is none.

    Attributes:
        id: "S1", "S2" ... in the order of `Graph.nodes`, or a word of its own.
        title: The state's name below its module; for the others what they stand for.
        notes: Its limits, then its number.
        node: The state's.
        share: Its part of the greatest number, from 0 to 1; None where it has none.
        number: Its number, with the unit; "" where there is none.
    """

    id: str
    kind: BoxKind
    title: str
    notes: tuple[str, ...] = ()
    style: Style = Style()
    node: Node | None = None
    current: bool = False
    share: float | None = None
    number: str = ""


class Arrow(NamedTuple):
    """One arrow; a push has one for each of its states.

    Attributes:
        text: The label, and what its edge does unless it simply leads to a state.
        edge: What it is drawn for; None for those from the start and to the error state.
    """

    source: str
    target: str
    kind: ArrowKind = "plain"
    text: str = ""
    style: Style = Style()
    edge: Edge | None = None
    number: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What stands at the arrow, line by line."""
        return tuple(line for line in (self.text, self.number) if line)


class Picture(NamedTuple):
    """Boxes and arrows in the order in which they are drawn; states first among the boxes, in the order of the graph."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


START: Final = Box("start", "start", "start")
END: Final = Box("finish", "end", "end")
STACK: Final = Box("below", "stack", "top of the stack", style=Style(stroke=STACK_COLOR, dashed=True))
ANYWHERE: Final = Box("anywhere", "anywhere", "any state", style=Style(stroke=ERROR_COLOR, dashed=True))


def compose(graph: Drawable, look: Look) -> Picture:
    """Return the picture of *graph* with what *look* tells.

    Raises:
        ValueError: `current` or a key of `heat` is no state or edge of the graph; the text says which.
    """
    heat = _Heat(graph, look)
    current = None if look.current is None else _require(graph, look.current)
    boxes = [_compose_box(graph, node, heat, current=node is current) for node in graph.nodes]
    edges = [(node, edge) for node in graph.nodes for edge in node.edges]
    arrows = [Arrow("start", name_box(graph.initial))]
    if graph.error is not None:
        boxes.append(ANYWHERE)
        arrows += _compose_errors(graph, name_box(graph.error), heat)
    for node, edge in edges:
        arrows += _compose_arrows(node, edge, heat)
    kinds = {edge.kind for _, edge in edges}
    boxes += [box for kind, box in (("end", END), ("pop", STACK)) if kind in kinds]
    return Picture((START, *boxes), tuple(arrows))


def name_box(node: Node) -> str:
    """Return the id of the box of *node*."""
    return f"S{node.index + 1}"


def clean(text: str) -> str:
    r"""Return *text* with what cannot be seen, and what no drawing can hold, written as Python writes it: `"\\n"`, `"\\x00"`."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def count_text(value: float, unit: str) -> str:
    """Return *value* for people: `"37x"`, or `"1.25 s"` where *unit* is "s"."""
    digits = f"{value:.0f}" if value >= _WHOLE or value == int(value) else f"{value:.3g}"
    return f"{digits} {unit}" if unit else f"{digits}x"


def list_limits(node: Node) -> tuple[str, ...]:
    """Return the limits of *node*, a text each."""
    timeout = () if node.timeout is None else (f"timeout {node.timeout:g} s",)
    return timeout if node.retries is None else (*timeout, f"retries {node.retries}")


class _Heat:
    """The numbers of states and edges, and their parts of the greatest."""

    def __init__(self, graph: Drawable, look: Look) -> None:
        self.unit = look.unit
        self.states: dict[Node, float] = {}
        self.edges: dict[tuple[Node, str], float] = {}
        self.errors: dict[Node, float] = {}
        for key, value in look.heat.items():
            if isinstance(key, tuple) and key[1:] == (Exception,):
                self.errors[_require_failing(graph, cast("tuple[object, ...]", key)[0])] = value
            elif isinstance(key, tuple):
                node, name = _require_edge(graph, cast("tuple[object, ...]", key))
                self.edges[node, name] = value
            else:
                self.states[_require(graph, key)] = value
        self._most = max(self.states.values(), default=0) or 1
        self._most_taken = max((*self.edges.values(), *self.errors.values()), default=0) or 1

    def of_state(self, node: Node) -> tuple[float, float] | None:
        """Return the number of *node* and its share; None if it has none."""
        value = self.states.get(node)
        return None if value is None else (value, value / self._most)

    def of_edge(self, node: Node, edge: Edge) -> tuple[float, float] | None:
        """Return the number of *edge* and its share; None if it has none."""
        return self._compare(self.edges.get((node, edge.name)))

    def of_error(self, node: Node) -> tuple[float, float] | None:
        """Return the number of the way from *node* to the error state and its share; None if it has none."""
        return self._compare(self.errors.get(node))

    def _compare(self, value: float | None) -> tuple[float, float] | None:
        return None if value is None else (value, value / self._most_taken)


def _compose_box(graph: Drawable, node: Node, heat: _Heat, *, current: bool) -> Box:
    found = heat.of_state(node)
    number = "" if found is None else count_text(found[0], heat.unit)
    share = None if found is None else found[1]
    fill = "" if not share else _mix(share)
    style = Style(fill=fill, text="#000000" if fill else "")
    if share == 0:
        style = Style(stroke=_COLD_COLOR, text=_COLD_COLOR, dashed=True)
    elif node is graph.error:
        style = style._replace(stroke=ERROR_COLOR)
    if current:
        style = Style(stroke=CURRENT_COLOR, width=3, fill=fill or _CURRENT_FILL, text="#000000")
    notes = (*list_limits(node), number) if number else list_limits(node)
    return Box(name_box(node), "terminal" if node.terminal else "state", clean(node.qualname), notes, style, node, current, share, number)


def _compose_errors(graph: Drawable, target: str, heat: _Heat) -> Iterator[Arrow]:
    """Yield the arrow to the error state that stands for all states, and one for each state that is known to have gone there."""
    taken = [(node, found) for node in graph.nodes if (found := heat.of_error(node)) and found[0]]
    never = bool(heat.errors) and not taken
    yield Arrow("anywhere", target, "error", "error", _style((0, 0) if never else None, ERROR_COLOR), None, "0x" if never else "")
    for node, found in taken:
        yield Arrow(name_box(node), target, "error", "error", _style(found, ERROR_COLOR), None, count_text(found[0], ""))


def _style(found: tuple[float, float] | None, stroke: str = "") -> Style:
    """Return how an arrow looks that has this number and share, and else this colour."""
    if found is None:
        return Style(stroke=stroke)
    return Style(stroke=stroke, width=1 + 4 * found[1]) if found[1] else Style(stroke=_COLD_COLOR, width=1)


def _compose_arrows(node: Node, edge: Edge, heat: _Heat) -> Iterator[Arrow]:
    found = heat.of_edge(node, edge)
    number = "" if found is None else count_text(found[0], "")
    style = _style(found, STACK_COLOR if edge.kind in {"push", "pop"} else "")
    label = clean(edge.label.name) if edge.label is not None else ""
    source = name_box(node)
    if edge.kind in {"label", "direct"}:
        yield Arrow(source, name_box(edge.targets[0]), "plain", label, style, edge, number)
    elif edge.kind == "push":
        for place, target in enumerate(edge.targets, start=1):
            text = f"{label} push {place}" if len(edge.targets) > 1 else f"{label} push"
            yield Arrow(
                source, name_box(target), "push" if place == 1 else "below", text.strip(), style, edge, number if place == 1 else ""
            )
    elif edge.kind == "pop":
        yield Arrow(source, STACK.id, "pop", f"{label} pop".strip(), style, edge, number)
    elif edge.kind == "end":
        yield Arrow(source, END.id, "plain", label, style, edge, number)
    else:
        yield Arrow(source, source, "plain", f"{label} {edge.kind}".strip(), style, edge, number)


def _require(graph: Drawable, target: object) -> Node:
    node = graph.find(target)
    if node is None:
        name = target.name if isinstance(target, StateSpec) else target.state if isinstance(target, StateRef) else target
        raise ValueError(f"{name!r} is no state of this graph. There are {', '.join(each.name for each in graph.nodes)}.")
    return node


def _require_failing(graph: Drawable, state: object) -> Node:
    node = _require(graph, state)
    if graph.error is None or node is graph.error:
        raise ValueError(f"Exception is no edge of state {node.name!r}: from there it leads to no error state.")
    return node


def _require_edge(graph: Drawable, key: tuple[object, ...]) -> tuple[Node, str]:
    state, label = key if len(key) == 2 else (key, None)  # noqa: PLR2004 - a pair
    node = _require(graph, state)
    name = f"{type(label).__name__}.{label.name}" if isinstance(label, Enum) else label
    known = [edge.name for edge in node.edges]
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"{label!r} is no edge of state {node.name!r}. There are {', '.join(known) or 'none'}.")
    return node, name


def _mix(share: float) -> str:
    return "#" + "".join(f"{round(cool + (warm - cool) * share):02x}" for cool, warm in zip(_COOLEST, _WARMEST, strict=True))
