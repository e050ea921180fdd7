"""What a random program is made of, as plain values: a definition, a tape of what its handlers do, and commands.

The model interprets these values; `machine.py` builds real states and a real machine from the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HANDLERS = ("on_state", "on_enter", "on_leave", "on_timeout", "on_fail")


@dataclass(frozen=True)
class Edge:
    """One transition of a state: `label` is a number or None, `kind` what it does, `targets` numbers of states."""

    label: int | None
    kind: str
    targets: tuple[int, ...] = ()


@dataclass(frozen=True)
class Policy:
    """A `RetryPolicy` without jitter."""

    max: int | None = None
    base: float = 0.1
    factor: float = 2.0
    max_delay: float = 60.0

    def delay(self, count: int) -> float:
        """Return the seconds before retry number *count*."""
        return min(self.max_delay, self.base * self.factor ** (count - 1))


@dataclass(frozen=True)
class State:
    """One state: `handlers` says which it has and whether each is "sync" or "async"."""

    handlers: dict[str, str] = field(default_factory=lambda: {"on_state": "async"})
    edges: tuple[Edge, ...] = ()
    timeout: float | None = None
    retries: int | None = None
    policy: Policy | None = None
    terminal: bool = False
    can_dwell: bool = False


@dataclass(frozen=True)
class Definition:
    """States by number; the first is the initial one. `error` is the number of the error state."""

    states: tuple[State, ...]
    error: int | None = None
    max_queue_size: int = 1000
    policy: str = "block"
    filtered: frozenset[int] = frozenset()
    """Numbers of messages that `filter_fn` keeps out."""
    filter_raises: frozenset[int] = frozenset()
    """Numbers of messages at which `filter_fn` raises."""
    has_trap: bool = False
    on_error: str | None = None
    """None, "sync" or "async": the machine's `on_error_fn`."""


@dataclass(frozen=True)
class Message:
    """A message: `kind` is "user", "internal" or "error"."""

    kind: str
    number: int


@dataclass(frozen=True)
class Answer:
    """What a handler returns.

    `kind`: "nothing" (None), "edge" (number `pick` of the state's edges, modulo; a label, or the unlabelled target), "name" and
    "value" (the same edge, by its label's name or value), a marker's name ("again", ...),
    "state" (state number `pick`, modulo), "push" (to state number `pick`, modulo, as the state's edge has it), or "rubbish" number `pick`.
    """

    kind: str = "nothing"
    pick: int = 0


@dataclass(frozen=True)
class Doing:
    """Something a handler does before it answers.

    `kind`: "nap" (suspend without time), "hang" (suspend for `amount` seconds), "advance" (move the clock by `amount`), "send" (`message`).
    """

    kind: str
    amount: float = 0.0
    message: Message | None = None


@dataclass(frozen=True)
class Call:
    """One handler call: what it does, then it raises (`boom`: the exception's number) or answers."""

    doings: tuple[Doing, ...] = ()
    answer: Answer = Answer()
    boom: int | None = None
    swallow: bool = False
    """At a cancellation by the deadline: answer at once instead of giving way."""


@dataclass(frozen=True)
class Command:
    """Something done to a machine from outside; see `Model.do`."""

    kind: str
    amount: float | None = None
    limit: int | None = None
    message: Message | None = None
    cancel_at: int | None = None
    """Cancel the calling task at this suspension (0 is the first) of a handler."""


RUBBISH = 8


def reachable(definition: Definition) -> set[int]:
    """Return the states that edges lead to from the initial and the error state: those of the machine's graph."""
    found: set[int] = set()
    todo = [0] if definition.error is None else [0, definition.error]
    while todo:
        state = todo.pop()
        if state not in found:
            found.add(state)
            todo += [target for edge in definition.states[state].edges for target in edge.targets]
    return found


MARKERS = ("again", "unhandled", "repeat", "restart", "retry", "pop")


def said(answer: Answer, state: State, states: int) -> tuple[str, Any] | None:
    """Return what *answer* comes to in *state*: None, or what sort of object it is and which."""
    if answer.kind == "nothing" or (answer.kind in {"edge", "name", "value"} and not state.edges):
        return None
    if answer.kind == "rubbish":
        return ("rubbish", answer.pick % RUBBISH)
    if answer.kind in MARKERS:
        return ("marker", answer.kind)
    if answer.kind == "state":
        return ("state", answer.pick % states)
    if answer.kind == "push":
        first = answer.pick % states
        edge = next((edge for edge in state.edges if edge.kind == "push" and edge.targets[0] == first), None)
        return ("push", edge.targets if edge else (first,))
    edge = state.edges[answer.pick % len(state.edges)]
    if edge.label is not None:
        return ("label" if answer.kind == "edge" else answer.kind, edge.label)
    if edge.kind == "direct":
        return ("state", edge.targets[0])
    return ("push", edge.targets) if edge.kind == "push" else ("marker", edge.kind)


def find(said: tuple[str, Any] | None, state: State) -> Edge | None:
    """Return the edge of *state* that was meant; None if there is none."""
    if said is None:
        return Edge(None, "nothing")
    sort, which = said
    if sort in {"label", "name", "value"}:
        return next(edge for edge in state.edges if edge.label == which)
    if sort == "state":
        return next((edge for edge in state.edges if edge.kind in {"label", "direct"} and edge.targets == (which,)), None)
    if sort == "push":
        return next((edge for edge in state.edges if edge.kind == "push" and edge.targets == which), None)
    listed = next((edge for edge in state.edges if edge.kind == which), None)
    return listed or (Edge(None, which) if sort == "marker" and which != "pop" else None)


class Tape:
    """The calls that handlers make, in the order in which they are called; after its end every handler answers nothing."""

    def __init__(self, calls: tuple[Call, ...]) -> None:
        self.calls = calls
        self.position = 0

    def next(self) -> Call:
        """Return what the handler that is being called does."""
        call = self.calls[self.position] if self.position < len(self.calls) else Call()
        self.position += 1
        return call
