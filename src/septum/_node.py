"""One state of a graph and its ways out: what an answer finds there.

`Pop` must be listed, as a state and a `Push` must: what is proved about the stack would not hold otherwise. The other markers need not.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from septum._transitions import Again, Pop, Push, Repeat, Restart, Retry, StateRef, Unhandled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import Enum

    from septum._states import Handler, RetryPolicy, StateSpec

EdgeKind = Literal["label", "direct", "push", "pop", "again", "unhandled", "repeat", "restart", "retry", "end"]

MARKER_KINDS: Final[dict[type[Any], EdgeKind]] = {
    Again: "again",
    Unhandled: "unhandled",
    Repeat: "repeat",
    Restart: "restart",
    Retry: "retry",
    Pop: "pop",
}


@dataclass(frozen=True, slots=True)
class Edge:
    """One way out of a state.

    Attributes:
        label: What a handler answers to take it; None for an edge that is listed without one.
        kind: "label" and "direct" lead to a state, with and without a label; "end" ends the machine; the others are the markers'.
        targets: The state to enter; for a push also those to put below it, in the order given; empty for the other kinds.
        name: `"Events.START"`, or the name of the marker or of the target.
    """

    label: Enum | None
    kind: EdgeKind
    targets: tuple[Node, ...] = ()
    name: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self._find_name())

    def _find_name(self) -> str:
        if self.label is not None:
            return f"{type(self.label).__name__}.{self.label.name}"
        if self.kind == "direct":
            return self.targets[0].name
        if self.kind == "push":
            return f"Push({', '.join(target.name for target in self.targets)})"
        return self.kind.capitalize()


MARKERS: Final[dict[object, Edge]] = {marker: Edge(None, kind) for marker, kind in MARKER_KINDS.items() if marker is not Pop}
"""What a handler may answer though its state does not list it. An instance of a marker finds its class, being equal to it."""


# How the engine's fast loops may call an on_state.
ASYNC_DWELLS: Final = 0  # await it; it may answer "wait", and messages may follow at once
ASYNC: Final = 1  # await it
ASYNC_TIMED: Final = 2  # drive it, cut at the deadline
SYNC: Final = 3  # call it
SLOW: Final = 4  # only in full: the state is terminal

_NO_ANSWER: Final = object()


PlainEdge: TypeAlias = "tuple[Any, Node, float | None, str, int]"


class Node:
    """One state of a graph; two nodes are the same only if they are one object.

    Attributes:
        name: The full name; `qualname` is the part below the module, or the whole of a name that was given by hand.
        index: Its place in `Graph.nodes`.
        is_async: `on_state` is a coroutine function. A handler that is not may still return an awaitable.
        retries: How many retries are allowed: the state's own number, else that of its policy; None for no limit.
        may_wait: It can dwell, or has a timeout.
        edges: In the order of declaration.
        answers: The edge for each answer, save for those that Python takes for equal to a bool; `resolve` knows these too.
        speed: How the fast loops may call `on_state`: one of `SLOW`, `ASYNC_DWELLS`, `ASYNC`, `ASYNC_TIMED`, `SYNC`.
        quick: The plain edge taken last, as (label, target, its timeout, label as text, its place in
            `Graph.plain`); `look_up` writes it.
        plain: For each label with nothing to do but to enter the target (no `on_leave` here, no `on_enter` there): what `quick` may hold.
    """

    __slots__ = (
        "_twins",
        "answers",
        "can_dwell",
        "edges",
        "expect",
        "index",
        "is_async",
        "may_wait",
        "name",
        "on_enter",
        "on_fail",
        "on_leave",
        "on_state",
        "on_timeout",
        "plain",
        "qualname",
        "quick",
        "retries",
        "retry",
        "spec",
        "speed",
        "terminal",
        "timeout",
    )

    def __init__(self, spec: StateSpec, on_state: Handler, index: int) -> None:
        config = spec.config
        self.spec = spec
        self.name: str = spec.name
        self.qualname: str = _below_module(spec)
        self.index = index
        self.on_state: Handler = on_state
        self.on_enter: Handler | None = spec.on_enter
        self.on_leave: Handler | None = spec.on_leave
        self.on_timeout: Handler | None = spec.on_timeout
        self.on_fail: Handler | None = spec.on_fail
        self.is_async: bool = inspect.iscoroutinefunction(on_state)
        self.timeout: float | None = config.timeout
        self.retry: RetryPolicy | None = config.retry
        self.retries: int | None = config.retry.max if config.retries is None and config.retry is not None else config.retries
        self.expect: float | None = config.expect
        self.terminal: bool = config.terminal
        self.can_dwell: bool = config.can_dwell
        self.may_wait: bool = config.can_dwell or config.timeout is not None
        self.edges: tuple[Edge, ...] = ()
        self.answers: dict[object, Edge] = {}
        self._twins: dict[tuple[bool, object], Edge] = {}
        # One tuple, replaced as a whole: two threads that run machines of one definition cannot pair a label with another's target.
        self.quick: PlainEdge = (_NO_ANSWER, self, None, "", 0)
        self.plain: dict[Any, PlainEdge] = {}
        if self.terminal:
            self.speed = SLOW
        elif not self.is_async:
            self.speed = SYNC
        else:
            self.speed = ASYNC_TIMED if self.timeout is not None else ASYNC_DWELLS if self.can_dwell else ASYNC

    def look_up(self, answer: object) -> PlainEdge | None:
        """Return the plain edge that *answer* takes and note it in `quick`; None if it takes none."""
        try:
            quick: PlainEdge | None = self.plain.get(answer)
        except TypeError:
            return None
        # An equal answer of another kind (1 for an IntEnum) is the resolver's business.
        if quick is None or quick[0] is not answer:
            return None
        self.quick = quick
        return quick

    def resolve(self, answer: object) -> Edge | None:
        """Return the edge that *answer* finds here, or None; anything may be asked, also what is not hashable."""
        try:
            edge = self.answers.get(answer) or MARKERS.get(answer)
            return edge or self._twins.get((isinstance(answer, bool), answer))
        except TypeError:
            return None

    def connect(self, edges: tuple[Edge, ...], place: int) -> None:
        """Set the ways out, once every target has its node; plain edges are numbered from *place* on."""
        self.edges = edges
        for answer, edge in _find_answers(edges):
            if _is_like_bool(answer):
                self._twins.setdefault((isinstance(answer, bool), answer), edge)
            else:
                self.answers.setdefault(answer, edge)
        if self.on_leave is None and not self.terminal:
            for edge in edges:
                label, is_first = edge.label, self.answers.get(edge.label) is edge
                if edge.kind == "label" and label is not None and is_first and edge.targets[0].on_enter is None:
                    self.plain[label] = (label, edge.targets[0], edge.targets[0].timeout, edge.name, place + len(self.plain))

    def __repr__(self) -> str:
        return f"<node {self.name}>"


def _below_module(spec: StateSpec) -> str:
    """Return what a state is called where its module need not be said; two states of one factory that were named are two here as well."""
    if spec.qualname and f".{spec.name}".endswith(f".{spec.qualname}"):
        return spec.qualname
    return spec.name.removeprefix(f"{spec.module}.")


NO_EDGE: Final = cast("PlainEdge", (_NO_ANSWER, None, None, "", 0))
"""Stands for a plain edge that no answer takes."""


def _find_answers(edges: tuple[Edge, ...]) -> Iterator[tuple[object, Edge]]:
    """Yield what may be answered for each edge, what goes first when two edges want the same answer before the other."""
    labelled = [(edge.label, edge) for edge in edges if edge.label is not None]
    yield from labelled
    # An edge without a label is what a state that is answered means; a labelled one there stands in for it.
    for edge in sorted(edges, key=lambda edge: edge.label is not None):
        specs = [target.spec for target in edge.targets]
        if edge.kind == "push":
            yield Push(*specs), edge
        elif specs:
            yield specs[0], edge
            yield StateRef(specs[0].name), edge
        else:
            yield from ((marker, edge) for marker, kind in MARKER_KINDS.items() if kind == edge.kind)
    yield from ((label.name, edge) for label, edge in labelled)
    yield from ((label.value, edge) for label, edge in labelled if _is_hashable(label.value))


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_like_bool(answer: object) -> bool:
    # In a dict, True finds what 1 was stored for. Only numbers do that.
    return isinstance(answer, int | float | complex) and answer in (0, 1)
